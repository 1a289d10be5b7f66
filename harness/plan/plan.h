/* plan.h - from an experiment's INI files to the list of trials.
 *
 *   [experiment]   name (the file's own when absent), question, expected, source,
 *                  x (the swept key drawn on the x axis)
 *   [section]      any option of the trainer
 *   [sweep]        section.key = a, b, c           a grid over all such keys; the last varies
 *                                                  fastest
 *                  zip = section.key section.key   these keys' lists have one length and vary
 *                                                  together; more groups after a comma
 *                  exclude = key=a key2=b, key=c   combinations left out, between commas
 *                  seeds = 1..3 or 1, 2            short for run.seed, slowest of all
 *   [sweep.NAME]   the same, and counts only with --scale NAME: replaces those keys' lists
 *   [paper]        published numbers to compare with: paper.h
 *   [prune]        settings that are paused early: prune.h
 *
 * Later wins: defaults, the scale's file, FILE, --set. A --set of a swept key replaces its list; a
 * --set of sweep.KEY adds one, one of paper.KEY or prune.KEY replaces that line of the section. */
#ifndef HARNESS_PLAN_PLAN_H
#define HARNESS_PLAN_PLAN_H

#include "harness/plan/paper.h"
#include "harness/plan/prune.h"
#include "mae/config/config.h"

typedef struct PlanSetting { /* one swept key's value in a trial */
  char *key, *value;         /* canonical text (config_get) */
} PlanSetting;

typedef struct PlanTrial {
  Config config;
  char hash[65];      /* config_hash */
  PlanSetting *swept; /* in the order of [sweep]; run.seed among them when swept */
  int swept_count;
} PlanTrial;

typedef struct Plan {
  char *name, *question, *expected, *source, *x;
  char *scale; /* "" when none was applied */
  char *text;  /* what was read, merged, with --set applied: an INI file that gives this plan */
  char *note;  /* what in the files may be a slip and is no error, or NULL */
  Paper paper; /* empty (source NULL) when the experiment has none */
  Prune prune; /* PRUNE_NONE when it has none */
  PlanTrial *trials;
  int count;
  int excluded, duplicates; /* combinations left out by exclude; dropped, their hash being there */
} Plan;

typedef struct PlanOverride { /* --set section.key=value */
  const char *key, *value;
} PlanOverride;

/* scale_file: path of scales/NAME.ini or NULL. Every trial is validated; the first bad one is the
 * error, naming file, line, key and the trial's swept values. */
bool plan_load(Plan *, const char *file, const char *scale_file, const PlanOverride *,
               int overrides, Error *);
void plan_free(Plan *);
/* "train.mask_ratio=0.75 run.seed=1", or "(no sweep)"; the caller frees. */
char *plan_describe(const PlanTrial *);
/* setting[count]: numbers from 0, in the plan's order; trials that differ in the seed alone have
 * the same. How many there are. */
int plan_settings(const Plan *, int *setting);

#endif
