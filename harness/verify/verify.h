/* verify.h - is a run the same as a recorded one? Every deterministic number of the two event
 * files, the final states, and what differs in the two provenances. */
#ifndef HARNESS_VERIFY_VERIFY_H
#define HARNESS_VERIFY_VERIFY_H

#include <stdio.h>

#include "harness/trial/record.h"
#include "mae/config/config.h"

/* From the strongest: equal in every bit; within what allowed.h says; as close as another seed. */
typedef enum { PROOF_NONE, PROOF_STATISTICAL, PROOF_NUMERICAL, PROOF_BITWISE } Proof;
const char *proof_name(Proof); /* "" for none */

typedef struct Comparison {
  int64_t steps;      /* compared */
  int64_t first_step; /* the first with a number that differs; 0: none has */
  int scores;         /* compared, of the model and the baselines */
  int reasons;        /* differences told in `detail` */
  bool near;          /* all of them lie within what `numerical` allows */
  bool same_data;     /* the images were the same */
  bool state_compared, state_equal;
  char tensor[128], tensor_detail[128]; /* the first that differs in the last checkpoints, or "" */
  double score_then, score_now;         /* dB; NAN: not compared */
  Proof proof;
  char detail[2048]; /* every kind of difference, each with its first place; a line each */
} Comparison;

/* Compares all that is deterministic: every number of the steps but the times, every score of the
 * model and the baselines, the state, files made of them, the images' hash. then_folder,
 * now_folder: where checkpoints/step-N/ are. steps: how many to compare; a prefix compares the
 * state only where a checkpoint was recorded at its end, and scores up to there. */
void compare_runs(Comparison *, const RunRecord *then, const RunRecord *now,
                  const char *then_folder, const char *now_folder, int64_t steps, Precision);
/* Is its score one that another seed could have given? scores: of the other recorded seeds. Fewer
 * than SEEDS_NEEDED say too little about their spread, and then it is not. */
enum { SEEDS_NEEDED = 3 };
void compare_scores(Comparison *, const double *scores, int count);
/* One line for each member that differs, "key: then -> now"; returns how many. */
int compare_provenance(FILE *, const RunRecord *then, const RunRecord *now);

#endif
