/* plan.h - from an experiment's INI files to the list of trials.
 *
 *   include = ../scales/... is the harness's business: --scale NAME is read first, then FILE
 *   [experiment] name, question, expected, source, x (the swept key drawn on the x axis)
 *   [section]    any option of the trainer
 *   [sweep]      section.key = a, b, c        a grid over all such keys; the last varies fastest
 *                zip = section.key section.key these keys' lists have one length and vary together
 *                exclude = key=a key2=b; ...   combinations left out
 *                seeds = 1..3 or 1, 2          short for run.seed, slowest of all
 */
#ifndef HARNESS_PLAN_H
#define HARNESS_PLAN_H

#include "mae/config.h"

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
  char *text;  /* the merged INI as read, canonical, with --set applied */
  PlanTrial *trials;
  int count;
} Plan;

typedef struct PlanOverride { /* --set section.key=value */
  const char *key, *value;
} PlanOverride;

/* scale_file: path of scales/NAME.ini or NULL. Every trial is validated; the first bad one is the
 * error, naming file, line, key and the trial's swept values. */
bool plan_load(Plan *, const char *file, const char *scale_file, const PlanOverride *,
               int overrides, Error *);
void plan_free(Plan *);

#endif
