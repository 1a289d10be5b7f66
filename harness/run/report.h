/* report.h - what `harness run` prints on standard output: the plan (--dry-run) and the results;
 * and a line for each trial when it ends. */
#ifndef HARNESS_RUN_REPORT_H
#define HARNESS_RUN_REPORT_H

#include "harness/run/job.h"
#include "harness/run/progress.h"

/* The plan as a table, or as a JSON object: trials, cost, what would happen to each. */
void report_plan(FILE *, const Plan *, const Job *, bool json);
/* The results of a sweep's trials, what failed and why. */
void report_results(FILE *, const Plan *, const Job *, bool json);

/* How a trial ended, or that it waits at a step of [prune]: a line that stays. */
void report_outcome(Progress *, const Job *);

#endif
