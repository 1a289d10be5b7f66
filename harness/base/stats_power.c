/* stats_power.c - what a t test of so many seeds can show: the power of the noncentral t, and
 * Holm's correction of many tests at once. */
#include <math.h>
#include <stdlib.h>

#include "harness/base/stats.h"

enum { INTERVALS = 4000, SEEDS_MAX = 1000000 };
static const double wanted_power = 0.8;

/* P(Z > x) of a standard normal Z. */
static double normal_above(double x) {
  return 0.5 * erfc(x * M_SQRT1_2);
}

/* T = (Z + shift) / W, where W = sqrt(chi-squared of df / df) has the density
 * 2 (df/2)^(df/2) / Gamma(df/2) w^(df-1) exp(-df w^2 / 2). The probability of |T| > t is that of Z
 * given W, integrated over w by Simpson's rule; beyond 9 / sqrt(df) around 1 there is no mass that
 * a double would show. */
double stats_power(double df, double shift) {
  if (!(df > 0) || !isfinite(shift)) return NAN;
  double t = stats_t_quantile(0.975, df), sum = 0;
  double from = fmax(0, 1 - 9 / sqrt(df)), to = 1 + 9 / sqrt(df), width = (to - from) / INTERVALS;
  double constant = M_LN2 + df / 2 * log(df / 2) - lgamma(df / 2);
  for (int i = 0; i <= INTERVALS; i++) {
    double w = from + i * width, weight = i == 0 || i == INTERVALS ? 1 : i % 2 ? 4 : 2;
    double log_w = df == 1 ? 0 : (df - 1) * log(w); /* 0 to the power of 0 is 1 */
    double beyond = normal_above(t * w - shift) + normal_above(t * w + shift);
    sum += weight * beyond * exp(constant + log_w - df * w * w / 2);
  }
  return sum * width / 3;
}

double stats_shift_to_find(double df) {
  double low = 0, high = 1;
  if (!(df > 0)) return NAN;
  while (stats_power(df, high) < wanted_power && high < 1e6) high *= 2;
  for (int i = 0; i < 60 && high - low > 1e-10 * high; i++) {
    double middle = low + (high - low) / 2;
    if (stats_power(df, middle) < wanted_power)
      low = middle;
    else
      high = middle;
  }
  return high;
}

static bool enough(size_t n, double effect) {
  return stats_power((double)(n - 1), effect * sqrt((double)n)) >= wanted_power;
}

size_t stats_seeds_to_find(double effect) {
  size_t low = 1, high = 2; /* too few, and perhaps enough */
  effect = fabs(effect);
  if (!(effect > 0)) return 0;
  while (!enough(high, effect)) {
    low = high;
    high *= 2;
    if (high > SEEDS_MAX) return 0;
  }
  while (high - low > 1) {
    size_t middle = low + (high - low) / 2;
    if (enough(middle, effect))
      high = middle;
    else
      low = middle;
  }
  return high;
}

/* The smallest p is multiplied by the number of tests, the next by one less, ...; none becomes
 * smaller than the one before it. */
void stats_holm(double *p, size_t n) {
  double floor = 0;
  size_t tests = 0;
  for (size_t i = 0; i < n; i++) tests += !isnan(p[i]);
  bool *done = calloc(n + 1, sizeof *done);
  for (size_t left = tests; done && left > 0; left--) {
    size_t least = n;
    for (size_t i = 0; i < n; i++)
      if (!done[i] && !isnan(p[i]) && (least == n || p[i] < p[least])) least = i;
    floor = fmax(floor, fmin(1, p[least] * (double)left));
    p[least] = floor;
    done[least] = true;
  }
  if (!done) /* an uncorrected p would claim too much */
    for (size_t i = 0; i < n; i++) p[i] = NAN;
  free(done);
}
