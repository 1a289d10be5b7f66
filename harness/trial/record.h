/* record.h - a whole event file in memory: every deterministic number of a run, for comparing two
 * runs. */
#ifndef HARNESS_TRIAL_RECORD_H
#define HARNESS_TRIAL_RECORD_H

#include <jansson.h>

#include "harness/trial/facts.h"
#include "mae/base/error.h"

/* The numbers of a step event that are the same whenever the run is: all but the times. */
enum { STEP_LOSS, STEP_LR, STEP_GRAD_NORM, STEP_LOSS_SCALE, STEP_EPOCH, STEP_NUMBERS };
extern const char *const step_numbers[STEP_NUMBERS];

typedef struct StepRecord {
  bool known;
  Number numbers[STEP_NUMBERS];
} StepRecord;

/* What an event file tells about a run; later attempts replace what they repeat. */
typedef struct RunRecord {
  Facts facts;
  StepRecord *steps; /* [count + 1], by step from 1 */
  int64_t count;     /* highest step */
  json_t *start;     /* the newest start event; NULL without one */
  json_t *saved;     /* {"step": state_sha256} of checkpoint events */
  json_t *scores;    /* {"model at step 20" | "fill_mean": the eval or baseline event} */
  json_t *artifacts; /* {path: the artifact event} */
  double evaluated;  /* facts_score */
} RunRecord;

bool record_read(RunRecord *, const char *events_path, Error *);
void record_free(RunRecord *);
/* A step's number (STEP_LOSS, ...); absent of a step that was not recorded. */
Number record_number(const RunRecord *, int number, int64_t step);
/* Whether a member of an eval or baseline event is one of its scores. */
bool record_is_score(const char *member);

#endif
