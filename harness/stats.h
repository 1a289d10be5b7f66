/* stats.h - the few statistics a comparison of seeds needs. Everything in double, two passes. */
#ifndef HARNESS_STATS_H
#define HARNESS_STATS_H

#include <stddef.h>

/* A sample's mean with its two-sided 95% interval by Student's t. sd divides by n - 1. With one
 * value sd and half are NaN, with none mean is too. */
typedef struct Summary {
  size_t n;
  double mean, sd, half; /* the interval is mean +- half */
} Summary;
Summary stats_summary(const double *values, size_t n);

/* Difference of the means of two independent samples, a - b, by Welch's t: unequal variances,
 * Satterthwaite's degrees of freedom. NaN half when either has fewer than two values. */
Summary stats_difference(const double *a, size_t n_a, const double *b, size_t n_b);

/* x with P(T <= x) = p for T of Student's t with df > 0 degrees of freedom, df need not be whole;
 * 0 < p < 1. Relative error below 1e-9. */
double stats_t_quantile(double p, double df);
/* P(T <= x). */
double stats_t_cdf(double x, double df);

#endif
