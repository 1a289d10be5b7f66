/* ssim.c - sums over a window, and the similarity that follows from them. */
#include "mae/evaluate/ssim.h"

#include <math.h>
#include <stddef.h>

enum { WINDOW = 7, STRIP = 192 };
#define SSIM_C1 (0.01 * 0.01)
#define SSIM_C2 (0.03 * 0.03)

enum { SUM_X, SUM_Y, SUM_XX, SUM_YY, SUM_XY, SUM_KINDS };

/* sums of n pairs of values. divisor: n for the population's covariance, n - 1 for the sample's. */
static double window_ssim(const double sums[SUM_KINDS], double n, double divisor) {
  double x = sums[SUM_X] / n, y = sums[SUM_Y] / n;
  double var_x = (sums[SUM_XX] - n * x * x) / divisor, var_y = (sums[SUM_YY] - n * y * y) / divisor;
  double cov = (sums[SUM_XY] - n * x * y) / divisor;
  return (2.0 * x * y + SSIM_C1) * (2.0 * cov + SSIM_C2) /
         ((x * x + y * y + SSIM_C1) * (var_x + var_y + SSIM_C2));
}

static void add_value(double sums[SUM_KINDS], double x, double y) {
  sums[SUM_X] += x;
  sums[SUM_Y] += y;
  sums[SUM_XX] += x * x;
  sums[SUM_YY] += y * y;
  sums[SUM_XY] += x * y;
}

/* Sum of the similarity over `count` values side by side, whose windows' upper left corners are at
 * x and y. Each column of a window is added up once for all windows that have it; the channels are
 * interleaved, so a step of one pixel is three values. */
static double strip_ssim(const float *x, const uint8_t *y, size_t stride, int count) {
  double columns[STRIP + 3 * (WINDOW - 1)][SUM_KINDS] = {0}, total = 0.0;
  for (int row = 0; row < WINDOW; row++)
    for (int i = 0; i < count + 3 * (WINDOW - 1); i++)
      add_value(columns[i], x[row * stride + i], y[row * stride + i] / 255.0);
  for (int i = 0; i < count; i++) {
    double sums[SUM_KINDS] = {0};
    for (int k = 0; k < WINDOW; k++)
      for (int kind = 0; kind < SUM_KINDS; kind++) sums[kind] += columns[i + 3 * k][kind];
    total += window_ssim(sums, WINDOW * WINDOW, WINDOW * WINDOW - 1);
  }
  return total;
}

double ssim_uniform(const float *picture, const uint8_t *image, int size) {
  int inner = size - WINDOW + 1;
  if (inner <= 0) return NAN;
  double total = 0.0;
  size_t stride = (size_t)size * 3;
  for (int row = 0; row < inner; row++)
    for (int first = 0; first < inner * 3; first += STRIP) {
      size_t at = row * stride + first;
      int count = inner * 3 - first < STRIP ? inner * 3 - first : STRIP;
      total += strip_ssim(picture + at, image + at, stride, count);
    }
  return total / ((double)inner * inner * 3.0);
}

double ssim_global(const float *picture, const uint8_t *image, int size) {
  double sums[SUM_KINDS] = {0}, values = 3.0 * size * size;
  for (size_t i = 0; i < (size_t)values; i++) add_value(sums, picture[i], image[i] / 255.0);
  return window_ssim(sums, values, values);
}
