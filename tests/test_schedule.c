/* The learning rate of every step, and how many steps there are. */
#include <check.h>
#include <math.h>
#include <string.h>

#include "mae/train/schedule.h"
#include "mae/train/train.h"
#include "tests/suite.h"

static Config base(void) {
  Config config;
  config_init(&config);
  config.train.batch = 64;
  config.train.blr = 1e-3;
  config.train.min_lr = 1e-5;
  config.train.epochs = 10;
  config.train.steps = 0;
  config.train.warmup_epochs = 2;
  config.train.warmup_steps = 0;
  return config;
}

START_TEST(test_steps) {
  Config config = base();
  int64_t steps;
  double per_epoch;
  Error e;
  ck_assert(schedule_steps(&config, 1000, &steps, &per_epoch, &e));
  ck_assert(per_epoch == 15.0); /* 1000/64 = 15.6: the last batch would not be full */
  ck_assert_int_eq(steps, 150);
  config.train.epochs = 0.5;
  ck_assert(schedule_steps(&config, 1000, &steps, &per_epoch, &e));
  ck_assert_int_eq(steps, 8);
  config.train.steps = 7;
  ck_assert(schedule_steps(&config, 1000, &steps, &per_epoch, &e));
  ck_assert_int_eq(steps, 7);
  ck_assert(schedule_steps(&config, 64, &steps, &per_epoch, &e));
  ck_assert(per_epoch == 1.0);
  ck_assert(!schedule_steps(&config, 63, &steps, &per_epoch, &e));
  ck_assert_int_eq(e.code, EXIT_CONFIG);
  ck_assert_ptr_nonnull(strstr(e.message, "train.batch"));
  config.train.steps = 0;
  config.train.epochs = 0.001;
  ck_assert(!schedule_steps(&config, 1000, &steps, &per_epoch, &e));
  ck_assert_int_eq(e.code, EXIT_CONFIG);
}
END_TEST

/* The formula of the reference: epoch as a fraction, lr = blr batch / 256. */
START_TEST(test_rates) {
  Config config = base();
  const double peak = 1e-3 * 64 / 256, per_epoch = 15.0;
  const int64_t steps = 150;
  ck_assert(schedule_rate(&config, 0, steps, per_epoch) == 0.0);
  ck_assert_double_eq_tol(schedule_rate(&config, 15, steps, per_epoch), peak / 2, 1e-18);
  ck_assert_double_eq_tol(schedule_rate(&config, 30, steps, per_epoch), peak, 1e-18);
  ck_assert_double_eq_tol(schedule_rate(&config, 90, steps, per_epoch), (peak + 1e-5) / 2, 1e-18);
  for (int64_t step = 31; step < steps; step++) {
    double share = ((double)step / per_epoch - 2.0) / 8.0;
    double expected = 1e-5 + (peak - 1e-5) * 0.5 * (1.0 + cos(M_PI * share));
    ck_assert_double_eq_tol(schedule_rate(&config, step, steps, per_epoch), expected, 1e-18);
    ck_assert(schedule_rate(&config, step, steps, per_epoch) <
              schedule_rate(&config, step - 1, steps, per_epoch));
  }
  ck_assert(schedule_rate(&config, steps - 1, steps, per_epoch) > 1e-5);
}
END_TEST

START_TEST(test_warmup_steps_win) {
  Config config = base();
  config.train.warmup_steps = 10;
  ck_assert_double_eq_tol(schedule_warmup_epochs(&config, 15.0), 10.0 / 15.0, 1e-15);
  ck_assert_double_eq_tol(schedule_rate(&config, 10, 150, 15.0), 2.5e-4, 1e-18);
  ck_assert_double_eq_tol(schedule_rate(&config, 9, 150, 15.0), 0.9 * 2.5e-4, 1e-18);
}
END_TEST

START_TEST(test_no_warmup_and_all_warmup) {
  Config config = base();
  config.train.warmup_epochs = 0;
  ck_assert(schedule_rate(&config, 0, 150, 15.0) == 2.5e-4);
  config.train.warmup_epochs = 20; /* longer than the run: never past it */
  for (int64_t step = 0; step < 150; step++)
    ck_assert_double_eq_tol(schedule_rate(&config, step, 150, 15.0), 2.5e-4 * (double)step / 300.0,
                            1e-18);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("schedule");
  TCase *tests = tcase_create("schedule");
  tcase_add_test(tests, test_steps);
  tcase_add_test(tests, test_rates);
  tcase_add_test(tests, test_warmup_steps_win);
  tcase_add_test(tests, test_no_warmup_and_all_warmup);
  suite_add_tcase(suite, tests);
  return suite_run(suite);
}
