/* accuracy.h - labelled rows of numbers, and how often their class was told. */
#ifndef MAE_PROBE_ACCURACY_H
#define MAE_PROBE_ACCURACY_H

#include <stdbool.h>
#include <stdint.h>

#include "kernels/backend.h"

/* Features in host memory. */
typedef struct Rows {
  const float *values;   /* [count, width] */
  const int32_t *labels; /* [count] */
  int count, width;
} Rows;

/* In percent. NAN: not measured. */
typedef struct Accuracy {
  double top1, top5;
} Accuracy;

enum { TOP_MANY = 5 };

/* Running counts. */
typedef struct Tally {
  int64_t rows, first, among; /* all; those whose class came first; among the first TOP_MANY */
} Tally;

/* How many classes come before the label: with a higher score, or with an equal one and a lower
 * number. */
int accuracy_rank(const double *scores, int classes, int label);
void accuracy_add(Tally *, int rank);
/* top5 has no meaning with TOP_MANY classes or fewer. */
Accuracy accuracy_of(const Tally *, int classes);

#endif
