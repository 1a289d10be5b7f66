/* The products of a build without oneDNN, which this program has whatever the build: right beyond a
 * tile's edges and a part's end, and the same bits from any number of threads. Their other shapes
 * are in the test kernel_cases_plain. */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/backend.h"
#include "tests/suite.h"

/* Several tiles and parts of each operand, the last ones cut. */
enum { ROWS = 300, IN = 270, OUT = 530 };

static Device *device;

static void open_cpu(int threads) {
  char message[256];
  device = backend_open("cpu", threads, false, message, sizeof message);
  ck_assert_msg(device != NULL, "%s", message);
}
static void close_cpu(void) {
  char message[256];
  ck_assert_msg(device->kernels->synchronize(device, message, sizeof message), "%s", message);
  device->kernels->close(device);
}

static float *numbers(size_t count, uint32_t seed) {
  float *x = malloc(count * sizeof *x);
  ck_assert_ptr_nonnull(x);
  for (size_t i = 0; i < count; i++) {
    seed = seed * 1664525u + 1013904223u;
    x[i] = (float)(seed >> 8) * 0x1p-23f - 1.0f;
  }
  return x;
}

typedef struct Results {
  float y[ROWS * OUT], d_x[ROWS * IN], d_w[OUT * IN];
} Results;

/* One layer's three products; d_w is added to numbers. */
static Results *products(int threads) {
  Results *r = malloc(sizeof *r);
  float *x = numbers(ROWS * IN, 1), *w = numbers(OUT * IN, 2), *bias = numbers(OUT, 3);
  float *d_y = numbers(ROWS * OUT, 4), *older = numbers(OUT * IN, 5);
  ck_assert_ptr_nonnull(r);
  memset(r, 0xff, sizeof *r);
  memcpy(r->d_w, older, sizeof r->d_w);
  open_cpu(threads);
  const Kernels *k = device->kernels;
  k->linear_forward(device, r->y, DTYPE_F32, x, w, bias, DTYPE_F32, ROWS, IN, OUT);
  k->linear_backward_input(device, r->d_x, d_y, w, DTYPE_F32, ROWS, IN, OUT);
  k->linear_backward_weight(device, r->d_w, NULL, d_y, x, DTYPE_F32, ROWS, IN, OUT, true);
  close_cpu();
  for (size_t i = 0; i < ROWS; i++)
    for (size_t o = 0; o < OUT; o++) {
      double sum = bias[o];
      for (size_t j = 0; j < IN; j++) sum += (double)x[i * IN + j] * w[o * IN + j];
      ck_assert_msg(fabs(r->y[i * OUT + o] - sum) < 1e-4, "y[%zu,%zu]: %g, not %g", i, o,
                    r->y[i * OUT + o], sum);
    }
  for (size_t i = 0; i < ROWS; i++)
    for (size_t j = 0; j < IN; j++) {
      double sum = 0.0;
      for (size_t o = 0; o < OUT; o++) sum += (double)d_y[i * OUT + o] * w[o * IN + j];
      ck_assert_msg(fabs(r->d_x[i * IN + j] - sum) < 1e-4, "d_x[%zu,%zu]: %g, not %g", i, j,
                    r->d_x[i * IN + j], sum);
    }
  for (size_t o = 0; o < OUT; o++)
    for (size_t j = 0; j < IN; j++) {
      double sum = older[o * IN + j];
      for (size_t i = 0; i < ROWS; i++) sum += (double)d_y[i * OUT + o] * x[i * IN + j];
      ck_assert_msg(fabs(r->d_w[o * IN + j] - sum) < 1e-4, "d_w[%zu,%zu]: %g, not %g", o, j,
                    r->d_w[o * IN + j], sum);
    }
  free(x), free(w), free(bias), free(d_y), free(older);
  return r;
}

START_TEST(threads_make_no_difference) {
  Results *one = products(1);
  for (int threads = 2; threads <= 3; threads++) {
    Results *more = products(threads);
    ck_assert_msg(!memcmp(one, more, sizeof *one), "%d threads: other bits", threads);
    free(more);
  }
  free(one);
}
END_TEST

START_TEST(the_build_says_so) {
  char products[128];
  backend_cpu_products(products, sizeof products);
  ck_assert_str_eq(products, "plain loops (no oneDNN, slow)");
  DeviceInfo info;
  open_cpu(1);
  device->kernels->info(device, &info);
  close_cpu();
  ck_assert_msg(!strncmp(info.libraries, "plain loops", 11), "%s", info.libraries);
  ck_assert_ptr_null(strstr(info.features, "oneDNN"));
  ck_assert(!info.has_bf16);
}
END_TEST

START_TEST(bf16_needs_emulation) {
  open_cpu(1);
  uint16_t x[8] = {0}, w[8] = {0}, y[1];
  device->kernels->linear_forward(device, y, DTYPE_BF16, x, w, NULL, DTYPE_BF16, 1, 8, 1);
  char message[256];
  ck_assert(!device->kernels->synchronize(device, message, sizeof message));
  ck_assert_ptr_nonnull(strstr(message, "no fast bf16 products; run.emulate = true"));
  device->kernels->close(device);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("plain_product");
  TCase *cases = tcase_create("plain_product");
  tcase_set_timeout(cases, 120);
  tcase_add_test(cases, threads_make_no_difference);
  tcase_add_test(cases, the_build_says_so);
  tcase_add_test(cases, bf16_needs_emulation);
  suite_add_tcase(suite, cases);
  return suite_run(suite);
}
