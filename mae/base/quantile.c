/* Sorting and quantiles. */
#include "mae/base/quantile.h"

#include <stdlib.h>

static int compare(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

void quantile_sort(double *values, int64_t count) {
  qsort(values, (size_t)count, sizeof *values, compare);
}

double quantile(const double *sorted, int64_t count, double share) {
  double at = share * (double)(count - 1);
  int64_t below = (int64_t)at;
  if (below + 1 >= count) return sorted[count - 1];
  return sorted[below] + (at - (double)below) * (sorted[below + 1] - sorted[below]);
}
