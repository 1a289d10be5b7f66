/* probes.h - what the scorers that probe features have in common. */
#ifndef MAE_EVALUATE_PROBES_H
#define MAE_EVALUATE_PROBES_H

#include "mae/evaluate/evaluate.h"

typedef bool (*ProbeMaker)(ProbeScores *, Probe *, Evaluator *, Error *);
/* Chooses the images, has them scored, and turns the result into metrics. */
bool probe_score(Metrics *, Evaluator *, ProbeMaker, Error *);

#endif
