/* products.h - the three products of a linear layer: right beside sums in double precision, and the
 * same bits from any number of threads. */
#ifndef TESTS_PRODUCTS_H
#define TESTS_PRODUCTS_H

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/backend.h"

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

static void expect_close(const char *what, float got, double sum, size_t row, size_t column) {
  ck_assert_msg(fabs(got - sum) < 1e-4, "%s[%zu,%zu]: %g, not %g", what, row, column, got, sum);
}

static void compare(const float *y, const float *x, const float *w, const float *bias,
                    const float *d_y, const float *older, size_t rows, size_t in, size_t out) {
  const float *d_x = y + rows * out, *d_w = d_x + rows * in;
  for (size_t i = 0; i < rows; i++)
    for (size_t o = 0; o < out; o++) {
      double sum = bias[o];
      for (size_t j = 0; j < in; j++) sum += (double)x[i * in + j] * w[o * in + j];
      expect_close("y", y[i * out + o], sum, i, o);
    }
  for (size_t i = 0; i < rows; i++)
    for (size_t j = 0; j < in; j++) {
      double sum = 0.0;
      for (size_t o = 0; o < out; o++) sum += (double)d_y[i * out + o] * w[o * in + j];
      expect_close("d_x", d_x[i * in + j], sum, i, j);
    }
  for (size_t o = 0; o < out; o++)
    for (size_t j = 0; j < in; j++) {
      double sum = older[o * in + j];
      for (size_t i = 0; i < rows; i++) sum += (double)d_y[i * out + o] * x[i * in + j];
      expect_close("d_w", d_w[o * in + j], sum, o, j);
    }
}

/* One layer's three products, each result behind the other; d_w is added to numbers. */
static float *products(int threads, size_t rows, size_t in, size_t out) {
  size_t count = rows * out + rows * in + out * in;
  float *y = malloc(count * sizeof *y), *d_x = y + rows * out, *d_w = d_x + rows * in;
  float *x = numbers(rows * in, 1), *w = numbers(out * in, 2), *bias = numbers(out, 3);
  float *d_y = numbers(rows * out, 4), *older = numbers(out * in, 5);
  ck_assert_ptr_nonnull(y);
  memset(y, 0xff, count * sizeof *y);
  memcpy(d_w, older, out * in * sizeof *d_w);
  open_cpu(threads);
  const Kernels *k = device->kernels;
  k->linear_forward(device, y, DTYPE_F32, x, w, bias, DTYPE_F32, rows, (int)in, (int)out);
  k->linear_backward_input(device, d_x, d_y, w, DTYPE_F32, rows, (int)in, (int)out);
  k->linear_backward_weight(device, d_w, NULL, d_y, x, DTYPE_F32, rows, (int)in, (int)out, true);
  close_cpu();
  if (threads == 1) compare(y, x, w, bias, d_y, older, rows, in, out);
  free(x), free(w), free(bias), free(d_y), free(older);
  return y;
}

static void threads_make_no_difference(size_t rows, size_t in, size_t out) {
  float *one = products(1, rows, in, out);
  for (int threads = 2; threads <= 3; threads++) {
    float *more = products(threads, rows, in, out);
    ck_assert_msg(!memcmp(one, more, (rows * out + rows * in + out * in) * sizeof *one),
                  "%d threads: other bits", threads);
    free(more);
  }
  free(one);
}

#endif
