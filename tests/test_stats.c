/* Student's t, summaries and orders against published values, hand-worked samples and SciPy. */
#include <check.h>
#include <math.h>
#include <stdlib.h>

#include "harness/base/stats.h"
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

/* Where one sample has no spread, the degrees of freedom are the other's, and the smallest
 * difference that can be found is that of so many values: of two, statsmodels' 16.33 errors. */
START_TEST(a_sample_without_spread_lends_no_degrees_of_freedom) {
  const double still[] = {18, 18};
  for (int i = 1; i < 20; i++) {
    const double moving[] = {23.33, 23.33 - i * 0.57};
    Summary d = stats_difference(moving, 2, still, 2);
    ck_assert_double_ge(d.df, 1);
    ck_assert_double_eq_tol(stats_shift_to_find(d.df), 16.33401073540419, 1e-5);
  }
}
END_TEST

/* scipy.stats.kendalltau of SciPy 1.17, variant b. Among them two columns of the paper's own table,
 * which do not agree with each other. */
static const struct {
  size_t n;
  double a[10], b[10], tau;
} orders[] = {
    {5, {1, 2, 3, 4, 5}, {1, 2, 3, 4, 5}, 1},
    {5, {1, 2, 3, 4, 5}, {5, 4, 3, 2, 1}, -1},
    {2, {1, 2}, {7, 3}, -1},
    {4, {1, 1, 2, 2}, {3, 3, 3, 1}, -0.5773502691896258},
    {5, {12, 2, 1, 12, 2}, {1, 4, 7, 1, 0}, -0.4714045207910316},
    {5, {84.8, 84.9, 84.9, 84.9, 84.4}, {65.5, 70.0, 71.9, 73.5, 73.3}, 0.11952286093343935},
    {10,
     {83.2, 83.4, 83.4, 84.7, 84.9, 85.0, 84.9, 84.9, 84.5, 83.0},
     {54.6, 58.9, 61.7, 67.0, 69.9, 71.8, 73.2, 73.5, 71.8, 66.1},
     0.6121460921524146},
};

START_TEST(orders_are_compared_as_scipy_does) {
  double tau = stats_tau(orders[_i].a, orders[_i].b, orders[_i].n);
  ck_assert_double_eq_tol(tau, orders[_i].tau, 1e-12);
  ck_assert_double_eq(stats_tau(orders[_i].b, orders[_i].a, orders[_i].n), tau);
}
END_TEST

START_TEST(no_order_is_no_number) {
  const double apart[] = {1, 2, 3}, alike[] = {4, 4, 4};
  ck_assert(isnan(stats_tau(apart, alike, 3)));
  ck_assert(isnan(stats_tau(alike, apart, 3)));
  ck_assert(isnan(stats_tau(apart, apart, 1)));
  ck_assert(isnan(stats_tau(NULL, NULL, 0)));
}
END_TEST

static TauInterval interval_of(const double *order, const double *const *values,
                               const size_t *counts, size_t n) {
  TauInterval interval;
  ck_assert(stats_tau_interval(&interval, order, values, counts, n));
  return interval;
}

/* Of two settings the first is above the second only when every draw is its last seed: once in 27
 * with three seeds, within the 95%; once in 256 with four, outside. */
START_TEST(the_interval_is_over_seeds) {
  const double order[] = {1, 2}, first[] = {0, 0, 1}, longer[] = {0, 0, 0, 1};
  const double second[] = {0.9, 0.9, 0.9, 0.9};
  const size_t three[] = {3, 3}, four[] = {4, 4};
  TauInterval i = interval_of(order, (const double *const[]){first, second}, three, 2);
  ck_assert(i.tau == 1 && i.low == -1 && i.high == 1);
  i = interval_of(order, (const double *const[]){longer, second}, four, 2);
  ck_assert(i.tau == 1 && i.low == 1 && i.high == 1);
}
END_TEST

/* Means that are all alike in a draw count as 0: here in a quarter of the draws. */
START_TEST(ties_within_draws_are_no_order) {
  const double order[] = {2, 1}, first[] = {1, 1.5}, second[] = {1, 1};
  const size_t two[] = {2, 2};
  TauInterval i = interval_of(order, (const double *const[]){first, second}, two, 2);
  ck_assert(i.tau == 1 && i.low == 0 && i.high == 1);
}
END_TEST

/* SciPy's tau in 40,000 draws of NumPy's: -1/3 to 1. */
START_TEST(an_interval_agrees_with_scipys) {
  const double order[] = {65.5, 70.0, 71.9, 73.5};
  const double a[] = {10, 13, 11}, b[] = {12, 11.5, 13}, c[] = {12.4, 12.2, 14},
               d[] = {11, 13.5, 13.2};
  const double *const values[] = {a, b, c, d};
  const size_t counts[] = {3, 3, 3, 3};
  TauInterval i = interval_of(order, values, counts, 4);
  ck_assert_double_eq_tol(i.tau, 2.0 / 3, 1e-12);
  ck_assert_double_eq_tol(i.low, -1.0 / 3, 1e-12);
  ck_assert_double_eq_tol(i.high, 1, 1e-12);
  TauInterval again = interval_of(order, values, counts, 4);
  ck_assert(i.low == again.low && i.high == again.high);
}
END_TEST

START_TEST(one_seed_has_no_interval) {
  const double order[] = {1, 2}, a[] = {3}, b[] = {5, 6};
  const size_t counts[] = {1, 2};
  TauInterval i = interval_of(order, (const double *const[]){a, b}, counts, 2);
  ck_assert(i.tau == 1 && isnan(i.low) && isnan(i.high));
  i = interval_of(NULL, NULL, NULL, 0);
  ck_assert(isnan(i.tau) && isnan(i.low));
}
END_TEST

/* Both tails of SciPy 1.17's noncentral t, scipy.stats.nct. The last by hand: a shift of 0 leaves
 * what the test rejects wrongly. */
static const struct {
  double df, shift, power;
} powers[] = {
    {1, 5, 0.3051601027351559},     {2, 3, 0.38740012852597105},
    {2, 6.5, 0.8788808847898204},   {4, 2, 0.3359651039111674},
    {9, 3.1, 0.7875612675006031},   {29, 2.8, 0.7722536333919405},
    {999, 2.8, 0.7988011744583466}, {7, 0, 0.05},
};

START_TEST(power_is_that_of_the_noncentral_t) {
  double power = stats_power(powers[_i].df, powers[_i].shift);
  ck_assert_double_eq_tol(power, powers[_i].power, 1e-8);
  ck_assert_double_eq_tol(stats_power(powers[_i].df, -powers[_i].shift), power, 1e-12);
}
END_TEST

/* statsmodels 0.15, TTestPower.solve_power of effect sizes: the effect times sqrt(n). */
static const struct {
  size_t n;
  double shift;
} findable[] = {{2, 16.33401073540419}, {3, 5.6534892716012415},  {4, 4.255898686384231},
                {5, 3.761059816267204}, {10, 3.1496345918890136}, {30, 2.898743336048761}};

START_TEST(the_smallest_difference_is_statsmodels) {
  double shift = stats_shift_to_find((double)(findable[_i].n - 1));
  ck_assert_double_eq_tol(shift, findable[_i].shift, 1e-5);
}
END_TEST

/* statsmodels 0.15, the first n whose TTestPower.power is 0.8 or more. */
static const struct {
  double effect;
  size_t n;
} needed[] = {{0.2, 199}, {0.5, 34}, {1, 10}, {2, 5}, {-2, 5}, {5, 3}, {20, 2}, {1e-6, 0}, {0, 0}};

START_TEST(seeds_needed_are_statsmodels) {
  ck_assert_uint_eq(stats_seeds_to_find(needed[_i].effect), needed[_i].n);
}
END_TEST

/* statsmodels 0.15, multipletests(method="holm"). */
START_TEST(holm_is_statsmodels) {
  double p[] = {0.01, 0.04, NAN, 0.03, 0.005, 0.5};
  const double corrected[] = {0.04, 0.09, NAN, 0.09, 0.025, 0.5};
  stats_holm(p, 6);
  for (int i = 0; i < 6; i++)
    if (i != 2) ck_assert_double_eq_tol(p[i], corrected[i], 1e-12);
  ck_assert(isnan(p[2]));
  double one = 0.03, two[] = {0.7, 0.6};
  stats_holm(&one, 1);
  stats_holm(two, 2);
  ck_assert(one == 0.03 && two[0] == 1 && two[1] == 1);
}
END_TEST

/* scipy.stats.ttest_1samp and ttest_ind(equal_var=False). */
START_TEST(p_values_are_scipys) {
  const double pairs[] = {3, 2.75, 3.25}, a[] = {4, 5, 6}, b[] = {1, 3, 5}, alike[] = {2, 2, 2};
  ck_assert_double_eq_tol(stats_summary(pairs, 3).p, 0.002306808147352133, 1e-10);
  ck_assert_double_eq_tol(stats_difference(a, 3, b, 3).p, 0.22088084049409593, 1e-10);
  ck_assert(isnan(stats_summary(alike, 3).p) && stats_summary(alike, 3).half == 0);
  ck_assert(isnan(stats_summary(alike, 1).p));
}
END_TEST

static Iqm iqm_of(const double *values, size_t n) {
  Iqm iqm;
  ck_assert(stats_iqm(&iqm, &values, &n, 1));
  return iqm;
}

static const double eight[] = {21.0, 21.5, 22.25, 20.1, 35.0, 21.2, 21.9, 21.4};
static const double three[] = {18, 18.5, 19.75};

/* The means are scipy.stats.trim_mean(x, 0.25), which rliable uses; the intervals come from
 * 200,000 draws of NumPy's, whose own scatter the tolerance covers. */
START_TEST(the_interquartile_mean_is_rliables) {
  const double four[] = {10, 1, 3, 2};
  ck_assert_double_eq_tol(iqm_of(four, 4).iqm, 2.5, 1e-12);
  ck_assert_double_eq_tol(iqm_of(three, 3).iqm, 18.75, 1e-12);
  Iqm iqm = iqm_of(eight, 8), again = iqm_of(eight, 8);
  ck_assert_double_eq_tol(iqm.iqm, 21.5, 1e-12);
  ck_assert_double_eq_tol(iqm.low, 20.925, 0.03);
  ck_assert_double_eq_tol(iqm.high, 25.1625, 0.2);
  ck_assert(iqm.low == again.low && iqm.high == again.high);
}
END_TEST

/* Two points: each draw takes eight of the first's seeds and three of the second's. */
START_TEST(each_stratum_is_drawn_by_itself) {
  const double *const values[] = {eight, three};
  const size_t counts[] = {8, 3};
  Iqm iqm;
  ck_assert(stats_iqm(&iqm, values, counts, 2));
  ck_assert_double_eq_tol(iqm.iqm, 20.978571428571428, 1e-9);
  ck_assert_double_eq_tol(iqm.low, 20.44285714, 0.03);
  ck_assert_double_eq_tol(iqm.high, 23.16428571, 0.1);
}
END_TEST

START_TEST(few_or_equal_or_strange_values) {
  const double alike[] = {5, 5, 5}, strange[] = {1, NAN, 2, 3};
  Iqm iqm = iqm_of(three, 2);
  ck_assert(iqm.iqm == 18.25 && isnan(iqm.low) && isnan(iqm.high));
  iqm = iqm_of(three, 1);
  ck_assert(iqm.iqm == 18 && isnan(iqm.low));
  iqm = iqm_of(alike, 3);
  ck_assert(iqm.iqm == 5 && iqm.low == 5 && iqm.high == 5);
  ck_assert(isnan(iqm_of(strange, 4).iqm) && isnan(iqm_of(NULL, 0).iqm));
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
  tcase_add_test(tests, a_sample_without_spread_lends_no_degrees_of_freedom);
  tcase_add_loop_test(tests, orders_are_compared_as_scipy_does, 0,
                      (int)(sizeof orders / sizeof *orders));
  tcase_add_test(tests, no_order_is_no_number);
  tcase_add_test(tests, the_interval_is_over_seeds);
  tcase_add_test(tests, ties_within_draws_are_no_order);
  tcase_add_test(tests, an_interval_agrees_with_scipys);
  tcase_add_test(tests, one_seed_has_no_interval);
  tcase_add_loop_test(tests, power_is_that_of_the_noncentral_t, 0,
                      (int)(sizeof powers / sizeof *powers));
  tcase_add_loop_test(tests, the_smallest_difference_is_statsmodels, 0,
                      (int)(sizeof findable / sizeof *findable));
  tcase_add_loop_test(tests, seeds_needed_are_statsmodels, 0,
                      (int)(sizeof needed / sizeof *needed));
  tcase_add_test(tests, holm_is_statsmodels);
  tcase_add_test(tests, p_values_are_scipys);
  tcase_add_test(tests, the_interquartile_mean_is_rliables);
  tcase_add_test(tests, each_stratum_is_drawn_by_itself);
  tcase_add_test(tests, few_or_equal_or_strange_values);
  suite_add_tcase(suite, tests);
  return suite_run(suite);
}
