/* paper.h - the [paper] section of an experiment: published numbers, as data.
 *
 *   [paper]       source = whose numbers they are: paper, table, model, data set
 *                 key = section.key section.key    what the settings set; x when absent
 *                 linear = SETTING: ACCURACY, ...  a series in percent: finetuned or linear, as
 *                                                  the paper measures it
 *                 ours = SETTING: VALUE VALUE, ... the values of `key` that stand for a setting
 *                                                  named in the paper's own words; "-": none does.
 *                                                  A setting that is not here stands for itself
 *                                                  where it is a value of key, else for nothing
 *                 compare = METRIC, METRIC         ours of what is compared with it: the first
 *                                                  that was recorded (PAPER_COMPARE when absent)
 *   [paper.NAME]  the same, and counts only with --scale NAME: replaces those keys' values
 *
 * A setting that nothing of ours stands for, or that is not swept, is listed and has no part in the
 * comparison of orders. Metrics are names, which need not be known here: another program may have
 * recorded them. */
#ifndef HARNESS_PLAN_PAPER_H
#define HARNESS_PLAN_PAPER_H

#include "harness/base/strings.h"
#include "mae/config/config.h"
#include "mae/config/ini.h"

#define PAPER_COMPARE "linear_mean, knn_mean"

enum { PAPER_SERIES = 2, PAPER_SETTINGS_MAX = 64 };
extern const char *const paper_series[PAPER_SERIES];

typedef struct PaperSetting {
  char *name;                  /* as the paper calls it */
  StringList values;           /* canonical, one for each of the keys; none: not ours */
  double number[PAPER_SERIES]; /* percent; NaN where the series has none */
} PaperSetting;

typedef struct Paper {
  char *source;             /* NULL: the experiment has no [paper] */
  StringList keys, compare; /* at least one of each */
  PaperSetting *settings;   /* in the order in which the series name them */
  int count;
} Paper;

/* What the files say of each key, gathered while they are read; a later entry replaces an earlier
 * one. A key that is not given has a NULL value. */
enum { PAPER_KEYS = 4 + PAPER_SERIES };
typedef struct PaperEntries {
  IniEntry key[PAPER_KEYS]; /* their texts are the files' */
} PaperEntries;

/* Whether a section counts with this scale. */
bool paper_is_section(const char *section, const char *scale);
bool paper_take(PaperEntries *, const IniEntry *, Error *);
/* Reads what was gathered; nothing gathered leaves *paper empty. base checks the values, x is the
 * experiment's. Errors name file, line and key. */
bool paper_read(Paper *, const PaperEntries *, const Config *base, const char *x, Error *);
/* The section as an INI file has it; nothing for an experiment without one. */
void paper_write(FILE *, const PaperEntries *);
void paper_free(Paper *);

#endif
