/* prune.h - the [prune] section of an experiment: which settings are paused early, and when.
 *
 *   [prune]       rule = halving   at each step the best 1/eta of the settings go on, rounded up
 *                        median    at each step those go on that are not worse than the median of
 *                                  the others
 *                        none      as if there were no [prune]
 *                 metric = NAME    of the evaluation or the probe at that step, or train_loss: the
 *                                  mean loss of the last tenth of the steps up to it
 *                 steps = 100, 200 when; where the metric is recorded (eval.every, probe.every)
 *                 eta = 2          of halving
 *                 keep = key=value key2=value, key=value
 *                                  settings that are compared and never paused
 *   [prune.NAME]  the same, and counts only with --scale NAME: replaces those keys' values
 *
 * Settings are compared, by the mean over their seeds. All that still run are brought to a step
 * before any goes further, so that neither the order of the trials nor how many run at a time has a
 * part in what is decided (successive halving: Jamieson and Talwalkar 2016, arXiv 1502.07943). The
 * rule is no part of a trial's configuration: a paused trial goes on to the same bits. */
#ifndef HARNESS_PLAN_PRUNE_H
#define HARNESS_PLAN_PRUNE_H

#include "harness/base/strings.h"
#include "mae/config/config.h"
#include "mae/config/ini.h"

enum { PRUNE_STEPS_MAX = 32, PRUNE_KEYS = 5 };
/* Beside the names of metric_list. */
#define PRUNE_TRAIN_LOSS "train_loss"

typedef enum PruneRule { PRUNE_NONE, PRUNE_HALVING, PRUNE_MEDIAN } PruneRule;

typedef struct PruneClause { /* settings that are kept: all pairs must hold */
  StringList keys, values;   /* canonical */
} PruneClause;

typedef struct Prune {
  PruneRule rule; /* PRUNE_NONE: the experiment has none, and nothing else is set */
  char *metric;
  int better; /* 1: higher is better, -1: lower */
  int64_t steps[PRUNE_STEPS_MAX], eta;
  int count; /* of steps, which increase */
  PruneClause *kept;
  int kept_count;
  char *steps_at, *metric_at; /* "FILE:LINE:COLUMN: [prune] steps", for errors about these */
} Prune;

/* What the files say of each key, gathered while they are read; a later entry replaces an earlier
 * one. A key that is not given has a NULL value. */
typedef struct PruneEntries {
  IniEntry key[PRUNE_KEYS]; /* their texts are the files' */
} PruneEntries;

/* Whether a section counts with this scale. */
bool prune_is_section(const char *section, const char *scale);
bool prune_take(PruneEntries *, const IniEntry *, Error *);
/* Reads what was gathered; base checks the values of `keep`. Errors name file, line and key. */
bool prune_read(Prune *, const PruneEntries *, const Config *base, Error *);
/* The section as an INI file has it; nothing without a rule. */
void prune_write(FILE *, const PruneEntries *, const Prune *);
void prune_free(Prune *);

const char *prune_rule_name(PruneRule);
/* Whether a trial records the metric at the steps; `trial` names it in the error. steps: of its
 * training, 0: not known. */
bool prune_accepts(const Prune *, const Config *, int64_t steps, const char *trial, Error *);

/* A setting at a step. */
typedef struct PruneSetting {
  double value; /* NAN: it is not finite or a trial failed; such are the worst */
  bool stops;   /* by the rule */
  int place;    /* from 1, the best; of equal ones the earlier first */
  double limit; /* of the median rule: that of the others */
} PruneSetting;
/* Decides; the settings are in the plan's order. */
void prune_decide(const Prune *, PruneSetting *, int count);
/* The least and the most of `count` settings that go on. */
int prune_least(const Prune *, int count);
int prune_most(const Prune *, int count);

#endif
