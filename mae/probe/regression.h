/* regression.h - the class of an image by a linear classifier on its features: multinomial logistic
 * regression to convergence.
 *
 * Features are standardised by the training rows (what a batch norm without parameters does to
 * fixed features): (x - mean) / sqrt(variance + 1e-6). Minimised is the mean cross entropy plus
 * strength/2 times the sum of squared weights; biases are free. scikit-learn's LogisticRegression
 * calls 1 / (strength x rows) C; of two classes it fits one row of weights instead of two, at twice
 * the penalty, unless multi_class says multinomial.
 *
 * The strength is that of REGRESSION_STRENGTHS with the best top-1 on a tenth of the training rows,
 * drawn from the seed and not fitted; of equal ones the stronger. With it all training rows are
 * fitted, and the held-out rows are scored once. */
#ifndef MAE_PROBE_REGRESSION_H
#define MAE_PROBE_REGRESSION_H

#include "mae/base/error.h"
#include "mae/base/progress.h"
#include "mae/probe/accuracy.h"

#define REGRESSION_STRENGTHS 1.0, 1e-1, 1e-2, 1e-3, 1e-4, 1e-5
#define REGRESSION_TOLERANCE 1e-5 /* of the gradient's largest element */

typedef struct Regression {
  Accuracy accuracy; /* of the held-out rows */
  double strength;
  int iterations; /* of all fits */
  bool converged; /* every fit did */
} Regression;

/* Labels lie in 0..classes-1, and every feature is finite. At least two training rows. threads: of
 * the host. The listener hears of the iterations of each fit. */
bool regression_fit(Regression *, Device *, const Rows *train, const Rows *eval, int classes,
                    uint64_t seed, int threads, const ProgressListener *, Error *);
/* Bytes on the device meanwhile. */
size_t regression_memory(int train_rows, int width, int classes);

#endif
