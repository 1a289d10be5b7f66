/* stats.c - means, spreads and Student's t, without tables: the quantile inverts the distribution;
 * and the bootstraps of Kendall's tau and of the interquartile mean. */
#include "harness/base/stats.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>

#include "kernels/scalar.h"

/* Continued fraction of the regularised incomplete beta function by Lentz's method (Abramowitz and
 * Stegun 26.5.8); converges quickly for x < (a + 1)/(a + b + 2). */
static double beta_fraction(double a, double b, double x) {
  const double tiny = 1e-300;
  double c = 1, d = 1 - (a + b) * x / (a + 1);
  if (fabs(d) < tiny) d = tiny;
  d = 1 / d;
  double value = d;
  for (int m = 1; m <= 1000; m++) {
    double even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
    double odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
    d = 1 + even * d;
    c = 1 + even / c;
    d = 1 / (fabs(d) < tiny ? tiny : d);
    c = fabs(c) < tiny ? tiny : c;
    value *= d * c;
    d = 1 + odd * d;
    c = 1 + odd / c;
    d = 1 / (fabs(d) < tiny ? tiny : d);
    c = fabs(c) < tiny ? tiny : c;
    value *= d * c;
    if (fabs(d * c - 1) < 1e-15) break;
  }
  return value;
}

static double incomplete_beta(double a, double b, double x) {
  if (x <= 0) return 0;
  if (x >= 1) return 1;
  double front = exp(lgamma(a + b) - lgamma(a) - lgamma(b) + a * log(x) + b * log1p(-x));
  if (x < (a + 1) / (a + b + 2)) return front * beta_fraction(a, b, x) / a;
  return 1 - front * beta_fraction(b, a, 1 - x) / b;
}

/* P(T > x) for x >= 0, without the cancellation of 1 - cdf. */
static double upper_tail(double x, double df) {
  return 0.5 * incomplete_beta(df / 2, 0.5, df / (df + x * x));
}

double stats_t_cdf(double x, double df) {
  return x < 0 ? upper_tail(-x, df) : 1 - upper_tail(x, df);
}

double stats_t_two_sided(double x, double df) {
  return 2 * upper_tail(fabs(x), df);
}

double stats_t_quantile(double p, double df) {
  double tail = p < 0.5 ? p : 1 - p;
  if (tail == 0.5) return 0;
  double low = 0, high = 1;
  while (upper_tail(high, df) > tail && high < 1e300) high *= 2;
  for (int i = 0; i < 200 && high - low > 1e-13 * high; i++) {
    double middle = low + (high - low) / 2;
    if (upper_tail(middle, df) > tail)
      low = middle;
    else
      high = middle;
  }
  double x = low + (high - low) / 2;
  return p < 0.5 ? -x : x;
}

static double mean_of(const double *values, size_t n) {
  double sum = 0;
  for (size_t i = 0; i < n; i++) sum += values[i];
  return n ? sum / (double)n : NAN;
}

static double variance_of(const double *values, size_t n, double mean) {
  double sum = 0;
  for (size_t i = 0; i < n; i++) sum += (values[i] - mean) * (values[i] - mean);
  return n > 1 ? sum / (double)(n - 1) : NAN;
}

/* From mean, error and df to the interval and p. */
static void finish_summary(Summary *s) {
  s->half = s->error > 0 ? stats_t_quantile(0.975, s->df) * s->error : 0;
  s->p = s->error > 0 ? stats_t_two_sided(s->mean / s->error, s->df) : NAN;
}

static Summary summary_without_spread(size_t n, double mean) {
  return (Summary){.n = n, .mean = mean, .sd = NAN, .half = NAN, .error = NAN, .df = NAN, .p = NAN};
}

Summary stats_summary(const double *values, size_t n) {
  Summary s = summary_without_spread(n, mean_of(values, n));
  if (n < 2) return s;
  s.sd = sqrt(variance_of(values, n, s.mean));
  s.error = s.sd / sqrt((double)n);
  s.df = (double)(n - 1);
  finish_summary(&s);
  return s;
}

Summary stats_difference(const double *a, size_t n_a, const double *b, size_t n_b) {
  double mean_a = mean_of(a, n_a), mean_b = mean_of(b, n_b);
  Summary s = summary_without_spread(n_a < n_b ? n_a : n_b, mean_a - mean_b);
  if (n_a < 2 || n_b < 2) return s;
  double part_a = variance_of(a, n_a, mean_a) / (double)n_a;
  double part_b = variance_of(b, n_b, mean_b) / (double)n_b;
  double squares = part_a * part_a / (double)(n_a - 1) + part_b * part_b / (double)(n_b - 1);
  double part = part_a + part_b, least = (double)(s.n - 1);
  s.sd = s.error = sqrt(part); /* of the difference of means */
  /* Never below the smaller sample's, but for rounding: below 1 the power could not be computed. */
  s.df = squares > 0 ? fmax(least, part * part / squares) : (double)(n_a + n_b - 2);
  finish_summary(&s);
  return s;
}

static int sign_of(double x) {
  return (x > 0) - (x < 0);
}

double stats_tau(const double *a, const double *b, size_t n) {
  double balance = 0, apart_a = 0, apart_b = 0;
  for (size_t i = 0; i < n; i++) {
    for (size_t j = 0; j < i; j++) {
      int by_a = sign_of(a[i] - a[j]), by_b = sign_of(b[i] - b[j]);
      balance += by_a * by_b;
      apart_a += by_a != 0;
      apart_b += by_b != 0;
    }
  }
  return apart_a > 0 && apart_b > 0 ? balance / sqrt(apart_a * apart_b) : NAN;
}

/* Which of `count` values draw number i of a setting takes, in a resample. */
static size_t drawn(uint32_t resample, uint32_t setting, uint32_t i, size_t count) {
  enum { KEY = 0x5eed };
  Philox4 random = philox4x32((Philox4){{resample, setting, i, 0}}, KEY, 0);
  return (size_t)((uint64_t)random.v[0] * count >> 32);
}

/* The mean of as many values as there are, drawn with replacement. */
static double resampled_mean(const double *values, size_t count, uint32_t resample,
                             uint32_t setting) {
  double sum = 0;
  for (size_t i = 0; i < count; i++) sum += values[drawn(resample, setting, (uint32_t)i, count)];
  return sum / (double)count;
}

static int compare_numbers(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

/* The middle 95% of what the resamples gave, which are sorted. */
static void percentiles(double *resampled, double *low, double *high) {
  qsort(resampled, STATS_RESAMPLES, sizeof *resampled, compare_numbers);
  *low = resampled[STATS_RESAMPLES / 40];
  *high = resampled[STATS_RESAMPLES - 1 - STATS_RESAMPLES / 40];
}

bool stats_tau_interval(TauInterval *interval, const double *order, const double *const *values,
                        const size_t *counts, size_t n) {
  double *means = calloc(n + 1, sizeof *means), *taus = malloc(STATS_RESAMPLES * sizeof *taus);
  bool ok = means && taus, resampled = true;
  *interval = (TauInterval){NAN, NAN, NAN};
  for (size_t i = 0; ok && i < n; i++) {
    means[i] = mean_of(values[i], counts[i]);
    if (counts[i] < 2) resampled = false;
  }
  if (ok) interval->tau = stats_tau(order, means, n);
  if (ok && resampled && !isnan(interval->tau)) {
    for (uint32_t r = 0; r < STATS_RESAMPLES; r++) {
      for (size_t i = 0; i < n; i++)
        means[i] = resampled_mean(values[i], counts[i], r, (uint32_t)i);
      double tau = stats_tau(order, means, n);
      taus[r] = isnan(tau) ? 0 : tau;
    }
    percentiles(taus, &interval->low, &interval->high);
  }
  free(means);
  free(taus);
  return ok;
}

/* Sorts. */
static double trimmed_mean(double *values, size_t n) {
  size_t cut = n / 4;
  qsort(values, n, sizeof *values, compare_numbers);
  return mean_of(values + cut, n - 2 * cut);
}

static void resample_strata(double *sample, const double *const *values, const size_t *counts,
                            size_t strata, uint32_t resample) {
  for (size_t s = 0; s < strata; s++)
    for (size_t i = 0; i < counts[s]; i++)
      *sample++ = values[s][drawn(resample, (uint32_t)s, (uint32_t)i, counts[s])];
}

bool stats_iqm(Iqm *iqm, const double *const *values, const size_t *counts, size_t strata) {
  size_t n = 0, least = SIZE_MAX;
  bool finite = true;
  *iqm = (Iqm){NAN, NAN, NAN};
  for (size_t s = 0; s < strata; s++) {
    n += counts[s];
    least = counts[s] < least ? counts[s] : least;
    for (size_t i = 0; i < counts[s]; i++) finite = finite && isfinite(values[s][i]);
  }
  if (!n || !finite) return true;
  double *sample = malloc(n * sizeof *sample);
  double *resampled = malloc(STATS_RESAMPLES * sizeof *resampled);
  bool ok = sample && resampled;
  if (ok) {
    size_t at = 0;
    for (size_t s = 0; s < strata; s++)
      for (size_t i = 0; i < counts[s]; i++) sample[at++] = values[s][i];
    iqm->iqm = trimmed_mean(sample, n);
  }
  if (ok && least >= 3) {
    for (uint32_t r = 0; r < STATS_RESAMPLES; r++) {
      resample_strata(sample, values, counts, strata, r);
      resampled[r] = trimmed_mean(sample, n);
    }
    percentiles(resampled, &iqm->low, &iqm->high);
  }
  free(sample);
  free(resampled);
  return ok;
}
