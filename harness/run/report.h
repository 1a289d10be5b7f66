/* report.h - what `harness run` prints on standard output: the plan (--dry-run) and the results. */
#ifndef HARNESS_RUN_REPORT_H
#define HARNESS_RUN_REPORT_H

#include "harness/run/job.h"
#include "harness/run/supervise.h"

/* The plan as a table, or as a JSON object: trials, cost, what would happen to each. */
void report_plan(FILE *, const Plan *, const Job *, bool json);
/* The results of a sweep's trials, what failed and why. */
void report_results(FILE *, const Plan *, const Job *, bool json);

#endif
