/* verify.h - is a run the same as a recorded one? The losses of every step, the final state, and
 * what differs in the two provenances. */
#ifndef HARNESS_VERIFY_H
#define HARNESS_VERIFY_H

#include <jansson.h>

#include "harness/facts.h"
#include "mae/config/config.h"

/* From the strongest: equal in every bit; within the tolerances below; as close as another seed. */
typedef enum { PROOF_NONE, PROOF_STATISTICAL, PROOF_NUMERICAL, PROOF_BITWISE } Proof;
const char *proof_name(Proof); /* "" for none */

/* What an event file tells about a run, step by step; later attempts replace what they repeat. */
typedef struct RunRecord {
  Facts facts;
  double *losses; /* [count + 1], by step from 1; NAN with known[] false where there is none */
  bool *known;
  int64_t count;    /* highest step */
  json_t *start;    /* the newest start event; NULL without one */
  json_t *saved;    /* {"step": state_sha256} of checkpoint events */
  double evaluated; /* facts_score */
} RunRecord;

bool record_read(RunRecord *, const char *events_path, Error *);
void record_free(RunRecord *);

typedef struct Comparison {
  int64_t steps;                     /* compared */
  int64_t first_step;                /* that differs; 0: none does */
  double loss_then, loss_now, worst; /* at first_step; largest relative difference of all */
  bool state_compared, state_equal;
  char tensor[128], tensor_detail[128]; /* the first that differs in the last checkpoints, or "" */
  double score_then, score_now;         /* dB; NAN: not compared */
  Proof proof;
  char detail[768]; /* why the next stronger class does not hold, in words */
} Comparison;

/* then_folder, now_folder: where checkpoints/step-N/ are. steps: how many to compare; a prefix
 * compares the state only where a checkpoint was recorded at its end. */
void compare_runs(Comparison *, const RunRecord *then, const RunRecord *now,
                  const char *then_folder, const char *now_folder, int64_t steps, Precision);
/* Is a score one that another seed could have given? scores: of the recorded seeds. */
bool compare_scores(Comparison *, const double *scores, int count);
/* One line for each member that differs, "key: then -> now"; returns how many. */
int compare_provenance(FILE *, const RunRecord *then, const RunRecord *now);

#endif
