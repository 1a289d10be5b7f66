/* What another device's rounding may do to a run and still be called the same computation, on runs
 * made up here: rounding that grows to the steps' noise passes, another computation does not. */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness/verify/allowed.h"
#include "harness/verify/verify.h"
#include "tests/suite.h"

enum { STEPS = 850 };
static RunRecord then, now;

/* Noise of a step, between -1 and 1, that no other step shares. */
static double noise(int64_t step, int run) {
  uint64_t x = (uint64_t)(2 * step + run) * 0x9e3779b97f4a7c15u;
  x ^= x >> 31;
  x *= 0xbf58476d1ce4e5b9u;
  return (double)(x >> 11) * 0x1p-52 - 1;
}

static void make_run(RunRecord *run) {
  *run = (RunRecord){.count = STEPS};
  run->steps = calloc(STEPS + 1, sizeof *run->steps);
  run->facts.step = run->facts.steps = STEPS;
  run->evaluated = NAN;
  strcpy(run->facts.end, "done");
  for (int64_t s = 1; s <= STEPS; s++) {
    const double values[STEP_NUMBERS] = {[STEP_LOSS] = 0.3 + 1.0 / (double)s,
                                         [STEP_LR] = 1e-3,
                                         [STEP_GRAD_NORM] = 0.2,
                                         [STEP_LOSS_SCALE] = 1,
                                         [STEP_EPOCH] = (double)s / 16};
    run->steps[s].known = true;
    for (int i = 0; i < STEP_NUMBERS; i++)
      run->steps[s].numbers[i] = (Number){values[i], NUMBER_FINITE};
  }
}
static void setup(void) {
  make_run(&then);
  make_run(&now);
}
static void teardown(void) {
  free(then.steps);
  free(now.steps);
}

static double *value(RunRecord *run, int64_t step, int number) {
  return &run->steps[step].numbers[number].value;
}

/* As measured between two builds: 1e-7 at first, tenfold every eighty steps, up to the noise. */
static void round_otherwise(void) {
  for (int64_t s = 1; s <= STEPS; s++) {
    double reached = fmin(1e-7 * pow(10, (double)s / 80), 1);
    *value(&now, s, STEP_LOSS) *= 1 + 0.02 * reached * noise(s, 0);
    *value(&now, s, STEP_GRAD_NORM) *= 1 + 0.5 * reached * noise(s, 1);
  }
}

static Proof proved(Precision precision) {
  Comparison c;
  compare_runs(&c, &then, &now, "", "", STEPS, precision);
  return c.proof;
}

START_TEST(rounding_grows_and_is_allowed) {
  ck_assert_int_eq(proved(PRECISION_FP32), PROOF_BITWISE);
  round_otherwise();
  ck_assert_int_eq(proved(PRECISION_FP32), PROOF_NUMERICAL);
  StepSpread loss = steps_spread(&then, &now, STEP_LOSS, STEPS, PRECISION_FP32);
  ck_assert_double_lt(loss.early, 1e-6);
  /* A promise about every step would be broken: it is what this class once asked for. */
  double worst = 0;
  for (int64_t s = 1; s <= STEPS; s++)
    worst = fmax(worst, fabs(*value(&now, s, STEP_LOSS) / *value(&then, s, STEP_LOSS) - 1));
  ck_assert_double_gt(worst, 1e-3);
}
END_TEST

/* Each is more than rounding explains. */
static const struct {
  int number;
  int64_t first, last;
  double factor;
} others[] = {
    {STEP_LOSS, 7, 7, 1.002},           {STEP_LOSS, 100, 100, 0.998},
    {STEP_LOSS, 500, STEPS, 1.006},     {STEP_LOSS, 101, 150, 1.02},
    {STEP_LOSS, STEPS, STEPS, 2},       {STEP_GRAD_NORM, 3, 3, 1.02},
    {STEP_GRAD_NORM, 600, STEPS, 1.15}, {STEP_LR, 700, STEPS, 1.001},
    {STEP_LOSS_SCALE, 1, 1, 2},         {STEP_EPOCH, 400, 400, 2},
    {STEP_LOSS, 400, 400, NAN},
};
START_TEST(another_computation_is_not_allowed) {
  round_otherwise();
  for (int64_t s = others[_i].first; s <= others[_i].last; s++) {
    *value(&now, s, others[_i].number) *= others[_i].factor;
    if (isnan(others[_i].factor)) now.steps[s].numbers[others[_i].number].kind = NUMBER_INVALID;
  }
  ck_assert_int_eq(proved(PRECISION_FP32), PROOF_NONE);
}
END_TEST

START_TEST(a_missing_step_is_not_allowed) {
  now.steps[STEPS - 1].known = false;
  ck_assert_int_eq(proved(PRECISION_FP32), PROOF_NONE);
  ck_assert_int_eq(proved(PRECISION_FP16), PROOF_NONE);
}
END_TEST

/* In 16 bits which of the later steps overflows is a matter of rounding; that it does is not. */
START_TEST(an_overflow_may_come_at_another_step) {
  for (int64_t s = 400; s <= STEPS; s++) *value(&now, s, STEP_LOSS_SCALE) = 0.5;
  now.steps[400].numbers[STEP_GRAD_NORM].kind = NUMBER_INF;
  ck_assert_int_eq(proved(PRECISION_FP16), PROOF_NUMERICAL);
  ck_assert_int_eq(proved(PRECISION_FP32), PROOF_NONE);
  *value(&now, 2, STEP_LOSS_SCALE) = 0.5;
  ck_assert_int_eq(proved(PRECISION_FP16), PROOF_NONE);
}
END_TEST

static bool near(const char *name, double a, double b, double images, bool trained) {
  return fabs(a - b) <= score_allowed(name, a, images, trained);
}

/* The first of each pair was measured between two builds, the second is another result. */
START_TEST(scores_may_differ_by_what_rounding_makes_of_them) {
  ck_assert(near("psnr_full", 17.4783, 17.4336, 512, true));
  ck_assert(!near("psnr_full", 17.4783, 17.3, 512, true));
  ck_assert(near("ssim_full", 0.3677, 0.3647, 512, true));
  ck_assert(!near("ssim_full", 0.3677, 0.35, 512, true));
  ck_assert(near("loss", 0.3896, 0.3896 * 1.01, 512, true));
  ck_assert(!near("loss", 0.3896, 0.3896 * 1.03, 512, true));
  ck_assert(near("linear_cls_top5", 54.5898, 58.6914, 1024, true));
  ck_assert(near("knn_cls_prenorm_k100_top5", 50.0977, 56.4453, 1024, true));
  ck_assert(!near("linear_cls_top5", 54.5898, 68, 1024, true));
  ck_assert(near("knn_mean", 9.0, 9.5, 10000, true));
  ck_assert(!near("knn_mean", 9.0, 11.5, 10000, true));
  ck_assert(near("knn_mean", 0, 100.0 / 1024, 1024, true)); /* one image of none */
  ck_assert(near("linear_cls_strength", 1e-4, 1e-5, 1024, true));
  ck_assert(near("perfect", 0, 3, 512, true));
  ck_assert(!near("images", 512, 511, 512, true));
  ck_assert(!near("classes", 10, 9, 1024, true));
}
END_TEST

/* Fills and untrained encoders have no steps in which rounding could grow. */
START_TEST(baselines_may_differ_by_less) {
  ck_assert(near("psnr_masked", 17.8735859213, 17.8735859214, 512, false));
  ck_assert(!near("psnr_masked", 17.87, 17.92, 512, false));
  ck_assert(!near("ssim_composite", 0.5166, 0.5186, 512, false));
  ck_assert(near("knn_mean", 10.0, 10.1, 1024, false));
  ck_assert(!near("knn_mean", 10.0, 12.0, 1024, false));
}
END_TEST

int main(void) {
  Suite *suite = suite_create("allowed");
  TCase *tests = tcase_create("allowed");
  tcase_add_checked_fixture(tests, setup, teardown);
  tcase_add_test(tests, rounding_grows_and_is_allowed);
  tcase_add_loop_test(tests, another_computation_is_not_allowed, 0,
                      (int)(sizeof others / sizeof *others));
  tcase_add_test(tests, a_missing_step_is_not_allowed);
  tcase_add_test(tests, an_overflow_may_come_at_another_step);
  tcase_add_test(tests, scores_may_differ_by_what_rounding_makes_of_them);
  tcase_add_test(tests, baselines_may_differ_by_less);
  suite_add_tcase(suite, tests);
  return suite_run(suite);
}
