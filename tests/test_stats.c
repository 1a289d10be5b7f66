/* Student's t and summaries against published values and hand-worked samples. */
#include <check.h>
#include <math.h>
#include <stdlib.h>

#include "harness/stats.h"
#include "tests/suite.h"

/* Percentage points of Student's t: those of Abramowitz and Stegun, table 26.10, to 15 digits, from
 * the incomplete beta function in 50-digit arithmetic. */
static const struct {
  double p, df, t;
} known[] = {
    {0.975, 1, 12.7062047361747},
    {0.975, 2, 4.30265272974946},
    {0.975, 3, 3.18244630528371},
    {0.975, 5, 2.57058183563632},
    {0.975, 10, 2.22813885198627},
    {0.975, 30, 2.04227245630124},
    {0.975, 100, 1.98397151852355},
    {0.95, 4, 2.13184678632665},
    {0.995, 7, 3.49948329735049},
    {0.9, 1, 3.07768353717525},
    {0.975, 2.5, 3.57465484200368},
    {0.025, 3, -3.18244630528371},
    {0.5, 8, 0},
};

START_TEST(quantiles_match_published_values) {
  double t = stats_t_quantile(known[_i].p, known[_i].df);
  ck_assert_double_le(fabs(t - known[_i].t), 1e-9 * (1 + fabs(known[_i].t)));
}
END_TEST

START_TEST(quantile_inverts_the_distribution) {
  for (double df = 1; df < 300; df *= 1.7)
    for (double p = 0.001; p < 1; p += 0.0567)
      ck_assert_double_eq_tol(stats_t_cdf(stats_t_quantile(p, df), df), p, 1e-12);
}
END_TEST

/* With one degree of freedom the distribution is Cauchy's: P = 1/2 + atan(t)/pi. */
START_TEST(one_degree_of_freedom_is_cauchy) {
  for (double t = -50; t <= 50; t += 0.7)
    ck_assert_double_eq_tol(stats_t_cdf(t, 1), 0.5 + atan(t) / M_PI, 1e-13);
}
END_TEST

START_TEST(summaries) {
  const double values[] = {18.25, 18.5, 18.9};
  Summary s = stats_summary(values, 3);
  ck_assert_uint_eq(s.n, 3);
  ck_assert_double_eq_tol(s.mean, 18.55, 1e-12);
  ck_assert_double_eq_tol(s.sd, sqrt((0.09 + 0.0025 + 0.1225) / 2), 1e-12);
  ck_assert_double_eq_tol(s.half, 4.302652729911275 * s.sd / sqrt(3), 1e-9);
  /* A large common offset must not eat the spread. */
  const double shifted[] = {1e8 + 1, 1e8 + 2, 1e8 + 3};
  ck_assert_double_eq_tol(stats_summary(shifted, 3).sd, 1, 1e-12);
  s = stats_summary(values, 1);
  ck_assert(s.mean == 18.25 && isnan(s.sd) && isnan(s.half));
  ck_assert(isnan(stats_summary(values, 0).mean));
}
END_TEST

/* Welch's example worked by hand: variances 1 and 4, n 3 and 3. */
START_TEST(differences) {
  const double a[] = {4, 5, 6}, b[] = {1, 3, 5};
  Summary d = stats_difference(a, 3, b, 3);
  double se = sqrt(1.0 / 3 + 4.0 / 3), df = (5.0 / 3) * (5.0 / 3) / ((1.0 / 9 + 16.0 / 9) / 2);
  ck_assert_double_eq_tol(d.mean, 2, 1e-12);
  ck_assert_double_eq_tol(d.sd, se, 1e-12);
  ck_assert_double_eq_tol(d.half, stats_t_quantile(0.975, df) * se, 1e-12);
  ck_assert(isnan(stats_difference(a, 1, b, 3).half));
}
END_TEST

int main(void) {
  Suite *suite = suite_create("stats");
  TCase *tests = tcase_create("stats");
  tcase_add_loop_test(tests, quantiles_match_published_values, 0,
                      (int)(sizeof known / sizeof *known));
  tcase_add_test(tests, quantile_inverts_the_distribution);
  tcase_add_test(tests, one_degree_of_freedom_is_cauchy);
  tcase_add_test(tests, summaries);
  tcase_add_test(tests, differences);
  suite_add_tcase(suite, tests);
  return suite_run(suite);
}
