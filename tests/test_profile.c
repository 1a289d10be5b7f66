/* The profile: what it counts is what the operations do, floors follow from it, times add up. */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "mae/model/model.h"
#include "mae/train/bench.h"
#include "mae/train/profile.h"
#include "tests/suite.h"

static Device *device;
static Config config;

static void setup(void) {
  char message[256];
  device = backend_open("cpu", 2, true, message, sizeof message);
  ck_assert_msg(device != NULL, "%s", message);
  config_init(&config);
  config.model.image_size = 32;
  config.model.patch_size = 8;
  config.model.encoder = (Tower){64, 2, 2};
  config.model.decoder = (Tower){32, 1, 1};
  config.train.batch = 4;
  config.train.shards = 1;
}

static void teardown(void) {
  device->kernels->close(device);
}

/* Runs steps under the profile; returns the table's last line and the floor of a step. */
static double profile_steps(char line[256], bool counts_only, int steps, ProfilePeaks peaks) {
  BenchResult result;
  Error e;
  profile_attach(device, counts_only);
  bool ok = bench_steps(&result, &config, device, false, steps, 1, &e);
  profile_detach(device);
  ck_assert_msg(ok, "%s", e.message);
  FILE *file = tmpfile();
  ck_assert_ptr_nonnull(file);
  double floor = profile_print(file, steps, &peaks);
  rewind(file);
  while (fgets(line, 256, file)) {
  }
  fclose(file);
  ck_assert_msg(!strncmp(line, "all ", 4), "%s", line);
  return floor;
}

/* Every multiply-add that the model's own formula counts, and only those. */
START_TEST(test_counts_the_work_of_a_step) {
  char line[256];
  double milliseconds, gflop, megabytes;
  profile_steps(line, true, 3, (ProfilePeaks){1e9, 1e30});
  ck_assert_int_eq(sscanf(line, "all %lf %lf %lf", &milliseconds, &gflop, &megabytes), 3);
  double expected = config.train.batch * model_gflops_per_image(&config, true);
  /* At 1 GFLOP/s and with memory for nothing, milliseconds are MFLOP. */
  ck_assert_double_eq_tol(1e-3 * milliseconds, expected, 1e-3 * expected);
}
END_TEST

/* One GELU of 16-bit numbers reads and writes two bytes each. */
START_TEST(test_floor_is_the_larger_of_both) {
  enum { COUNT = 1 << 20 };
  ProfilePeaks slow_memory = {1e12, 1e6}, slow_products = {1e6, 1e12};
  FILE *nowhere = fopen("/dev/null", "w");
  profile_attach(device, true);
  device->kernels->gelu_forward(device, NULL, NULL, DTYPE_BF16, COUNT);
  profile_detach(device);
  ck_assert_double_eq_tol(profile_print(nowhere, 1, &slow_memory), 4e-6 * COUNT, 1e-12);
  profile_attach(device, true);
  device->kernels->linear_forward(device, NULL, DTYPE_F32, NULL, NULL, NULL, DTYPE_BF16, 100, 30,
                                  20);
  profile_detach(device);
  double bytes = 2 * (100 * 30 + 30 * 20) + 4 * 100 * 20, flops = 2 * 100 * 30 * 20;
  ck_assert_double_eq_tol(profile_print(nowhere, 1, &slow_memory), 1e-6 * bytes, 1e-12);
  ck_assert_double_eq_tol(profile_print(nowhere, 1, &slow_products), 1e-6 * flops, 1e-12);
  fclose(nowhere);
}
END_TEST

static double clock_seconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* More operations than a device has stamps, so that times are read in between. */
START_TEST(test_times_add_up) {
  enum { CALLS = DEVICE_STAMPS };
  float x[64] = {1};
  double milliseconds, began = clock_seconds();
  char line[256];
  FILE *file = tmpfile();
  profile_attach(device, false);
  for (int i = 0; i < CALLS; i++) device->kernels->gelu_forward(device, x, x, DTYPE_F32, 64);
  profile_detach(device);
  double spent = clock_seconds() - began;
  profile_print(file, 1, &(ProfilePeaks){1, 1});
  rewind(file);
  while (fgets(line, sizeof line, file)) {
    int calls;
    if (sscanf(line, "gelu_forward 64 %d", &calls) == 1) ck_assert_int_eq(calls, CALLS);
  }
  fclose(file);
  ck_assert_int_eq(sscanf(line, "all %lf", &milliseconds), 1);
  ck_assert_double_gt(milliseconds, 0);
  ck_assert_double_le(milliseconds, 1e3 * spent);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("profile");
  TCase *cases = tcase_create("profile");
  tcase_add_checked_fixture(cases, setup, teardown);
  tcase_set_timeout(cases, 120);
  tcase_add_test(cases, test_counts_the_work_of_a_step);
  tcase_add_test(cases, test_floor_is_the_larger_of_both);
  tcase_add_test(cases, test_times_add_up);
  suite_add_tcase(suite, cases);
  return suite_run(suite);
}
