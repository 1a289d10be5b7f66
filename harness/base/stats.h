/* stats.h - the few statistics a comparison of seeds needs, what so many seeds can show, and the
 * likeness of two orders. Everything in double, two passes. */
#ifndef HARNESS_BASE_STATS_H
#define HARNESS_BASE_STATS_H

#include <stdbool.h>
#include <stddef.h>

enum { STATS_RESAMPLES = 10000 }; /* of every bootstrap */

/* A sample's mean with its two-sided 95% interval by Student's t. sd divides by n - 1. With one
 * value sd, half, error, df and p are NaN, with none mean is too. */
typedef struct Summary {
  size_t n;
  double mean, sd, half; /* the interval is mean +- half */
  double error, df;      /* standard error of the mean, and the degrees of freedom of its t */
  double p;              /* of the mean being 0, two-sided; NaN when all values are alike */
} Summary;
Summary stats_summary(const double *values, size_t n);

/* Difference of the means of two independent samples, a - b, by Welch's t: unequal variances,
 * Satterthwaite's degrees of freedom. NaN half when either has fewer than two values. */
Summary stats_difference(const double *a, size_t n_a, const double *b, size_t n_b);

/* The interquartile mean: what is left when the whole quarter (n / 4, rounded down) of the lowest
 * and of the highest values is cut off, so that of up to three values it is the mean; as rliable
 * computes it (Agarwal et al., "Deep Reinforcement Learning at the Edge of the Statistical
 * Precipice", NeurIPS 2021). The values of all strata are one sample. NaN of none. */
typedef struct Iqm {
  double iqm;
  double low, high; /* 95%; NaN when a stratum has fewer than three values */
} Iqm;
/* The interval is the stratified percentile bootstrap's: in each of STATS_RESAMPLES draws every
 * stratum (the seeds of a point) is drawn anew with replacement. Draws as in stats_tau_interval.
 * False when memory is short. */
bool stats_iqm(Iqm *, const double *const *values, const size_t *counts, size_t strata);

/* What so many seeds can show (stats_power.c): a two-sided t test at 5%. */
/* The probability that it finds a true mean of `shift` standard errors, with df >= 1 degrees of
 * freedom: both tails of the noncentral t. */
double stats_power(double df, double shift);
/* The shift that it finds with a probability of 80%. */
double stats_shift_to_find(double df);
/* Values (pairs of seeds) after which a mean of `effect` standard deviations is found with a
 * probability of 80%, 2 or more; 0: more than a million. */
size_t stats_seeds_to_find(double effect);
/* Holm's step-down correction of n p-values (Scandinavian Journal of Statistics 6, 1979), in place:
 * those below 0.05 afterwards hold together with a probability of error of 5%. NaN stay and do not
 * count. */
void stats_holm(double *p, size_t n);

/* x with P(T <= x) = p for T of Student's t with df > 0 degrees of freedom, df need not be whole;
 * 0 < p < 1. Relative error below 1e-9. */
double stats_t_quantile(double p, double df);
/* P(T <= x). */
double stats_t_cdf(double x, double df);
/* P(|T| > |x|), without the cancellation of 1 - cdf. */
double stats_t_two_sided(double x, double df);

/* Kendall's tau-b of n pairs: (concordant - discordant pairs) over the geometric mean of the pairs
 * that a, and those that b, does not tie (Kendall, "The treatment of ties in ranking problems",
 * Biometrika 33, 1945). 1: the same order, -1: the opposite one. NaN when either has no two
 * different values. */
double stats_tau(const double *a, const double *b, size_t n);

/* How like the order of n settings' means is to a given order, with an interval over seeds. */
typedef struct TauInterval {
  double tau;       /* of the means; NaN as stats_tau */
  double low, high; /* 95%; NaN when tau is, or when a setting has fewer than two seeds */
} TauInterval;

/* order[n]: the numbers that give the order; values[i][counts[i]]: the seeds of setting i. The
 * interval is the percentile bootstrap's: in each of STATS_RESAMPLES draws every setting's seeds
 * are drawn anew with replacement, and tau of their means is taken, 0 where those are all alike.
 * The draws are Philox's, keyed by a constant: the same numbers give the same interval. With two or
 * three seeds such an interval is too narrow rather than too wide; it says what the seeds at hand
 * can say, not what others would. False when memory is short. */
bool stats_tau_interval(TauInterval *, const double *order, const double *const *values,
                        const size_t *counts, size_t n);

#endif
