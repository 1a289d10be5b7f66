/* allowed.h - how far a run on another device or library may lie from the recorded one and still be
 * called the same computation: what the class `numerical` promises.
 *
 * Training is chaotic. Two builds round differently, and what they differ by grows by a factor with
 * every step until it is as large as the steps' own noise: of 1800 steps in fp32, the losses of the
 * first hundred agree within 1e-6, those after a thousand within 3e-2, while the scores at the end
 * agree within 0.05 dB. So each of the first steps is compared, later ones by the mean of a
 * hundred, and scores by what such noise makes of them. */
#ifndef HARNESS_VERIFY_ALLOWED_H
#define HARNESS_VERIFY_ALLOWED_H

#include "harness/trial/record.h"
#include "mae/config/config.h"

enum { EARLY_STEPS = 100 }; /* compared one by one; after them, means over as many */

/* Relative differences of one of the steps' numbers. */
typedef struct StepSpread {
  double early; /* the largest of one of the first steps */
  double later; /* the largest of the mean over a hundred steps after them */
} StepSpread;

/* number: STEP_LOSS, ... steps: how many are compared, of both. */
StepSpread steps_spread(const RunRecord *then, const RunRecord *now, int number, int64_t steps,
                        Precision);
StepSpread steps_allowed(int number, Precision);

/* How far apart a score may be, in its own unit. trained: of the trained model; those of the
 * baselines do not pass through training. images: that were scored. */
double score_allowed(const char *name, double value, double images, bool trained);

#endif
