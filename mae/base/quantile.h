/* quantile.h - the middle and the ends of a sample of measurements. */
#ifndef MAE_BASE_QUANTILE_H
#define MAE_BASE_QUANTILE_H

#include <stdint.h>

/* Sorts values[count], upwards. */
void quantile_sort(double *values, int64_t count);
/* Of sorted values: share 0.5 is the median; between two values in proportion. */
double quantile(const double *sorted, int64_t count, double share);

#endif
