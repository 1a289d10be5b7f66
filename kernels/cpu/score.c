/* score.c - pictures made from predictions, and their distance from the originals: squared error
 * and SSIM. Only evaluation comes here. */
#include <math.h>
#include <string.h>

#include "kernels/cpu/cpu.h"
#include "kernels/scalar.h"

static const float channel_mean[3] = {IMAGENET_MEAN_R, IMAGENET_MEAN_G, IMAGENET_MEAN_B};
static const float channel_std[3] = {IMAGENET_STD_R, IMAGENET_STD_G, IMAGENET_STD_B};

static float clamp_unit(float x) {
  return x < 0.0f ? 0.0f : x > 1.0f ? 1.0f : x;
}

/* Mean and standard deviation of a normalised target patch, as norm_pix defines them; `corner` is
 * the patch's first pixel in its image. */
static void patch_statistics(double *mean, double *deviation, const uint8_t *corner, int size,
                             int patch) {
  double sum = 0.0, squares = 0.0;
  int count = 3 * patch * patch;
  for (int row = 0; row < patch; row++)
    for (int i = 0; i < 3 * patch; i++) {
      double t = corner[(size_t)row * size * 3 + i] / 255.0;
      sum += (t - channel_mean[i % 3]) / channel_std[i % 3];
    }
  *mean = sum / count;
  for (int row = 0; row < patch; row++)
    for (int i = 0; i < 3 * patch; i++) {
      double t = corner[(size_t)row * size * 3 + i] / 255.0;
      double d = (t - channel_mean[i % 3]) / channel_std[i % 3] - *mean;
      squares += d * d;
    }
  *deviation = sqrt(squares / (count - 1) + (double)NORM_PIX_EPS);
}

static void reconstruct_patch(float *full, float *composite, const float *pred,
                              const uint8_t *image, bool hidden, int size, int patch,
                              bool norm_pix) {
  double mean = 0.0, deviation = 1.0;
  if (norm_pix) patch_statistics(&mean, &deviation, image, size, patch);
  for (int row = 0; row < patch; row++)
    for (int i = 0; i < 3 * patch; i++) {
      size_t at = (size_t)row * size * 3 + i;
      float x = pred[(size_t)row * 3 * patch + i];
      if (norm_pix) x = (float)(x * deviation + mean);
      full[at] = clamp_unit(x * channel_std[i % 3] + channel_mean[i % 3]);
      composite[at] = hidden ? full[at] : pixel_unit(image[at]);
    }
}

void cpu_reconstruct(Device *device, float *full, float *composite, const float *pred, int extra,
                     const uint8_t *images, const uint8_t *masked, const PatchGrid *grid) {
  int size = grid->image_size, patch = grid->patch_size, side = size / patch;
  size_t patches = (size_t)side * side, values = (size_t)3 * patch * patch;
#pragma omp parallel for num_threads(cpu_device(device)->threads) schedule(static)
  for (int b = 0; b < grid->batch; b++)
    for (size_t l = 0; l < patches; l++) {
      size_t corner = (size_t)b * size * size * 3 +
                      ((l / side) * patch * (size_t)size + (l % side) * patch) * 3;
      reconstruct_patch(full + corner, composite + corner,
                        pred + ((size_t)b * (extra + patches) + extra + l) * values,
                        images + corner, masked[(size_t)b * patches + l], size, patch,
                        grid->norm_pix);
    }
}

/* SSIM of Wang et al. 2004. The window is separable, so each output row needs the vertical sums of
 * eleven rows, then the horizontal sums of eleven pixels. Channels stay interleaved: a horizontal
 * step of one pixel is three values. Rows go through in strips so that the sums fit a fixed
 * buffer. The window never leaves the picture: only pixels at least WINDOW_RADIUS from the border
 * count. Sums are in double, because E[x^2] - E[x]^2 cancels most digits in flat regions. */
enum { WINDOW_RADIUS = 5, WINDOW = 2 * WINDOW_RADIUS + 1, STRIP = 192 };
enum { STRIP_IN = STRIP + 3 * 2 * WINDOW_RADIUS };
#define WINDOW_SIGMA 1.5
#define SSIM_C1 (0.01 * 0.01)
#define SSIM_C2 (0.03 * 0.03)

enum { SUM_X, SUM_Y, SUM_XX, SUM_YY, SUM_XY, SUM_KINDS };

static void window_weights(double *weight) {
  double sum = 0.0;
  for (int i = 0; i < WINDOW; i++) {
    double d = i - WINDOW_RADIUS;
    weight[i] = exp(-0.5 * d * d / (WINDOW_SIGMA * WINDOW_SIGMA));
    sum += weight[i];
  }
  for (int i = 0; i < WINDOW; i++) weight[i] /= sum;
}

/* Vertical window sums of `count` values of WINDOW rows that begin at x and y, `stride` apart. */
static void vertical_sums(double sums[SUM_KINDS][STRIP_IN], const float *x, const uint8_t *y,
                          size_t stride, int count, const double *weight) {
  memset(sums, 0, sizeof(double[SUM_KINDS][STRIP_IN]));
  for (int k = 0; k < WINDOW; k++) {
    const float *x_row = x + k * stride;
    const uint8_t *y_row = y + k * stride;
    double w = weight[k];
    for (int i = 0; i < count; i++) {
      double a = x_row[i], b = y_row[i] / 255.0;
      sums[SUM_X][i] += w * a;
      sums[SUM_Y][i] += w * b;
      sums[SUM_XX][i] += w * a * a;
      sums[SUM_YY][i] += w * b * b;
      sums[SUM_XY][i] += w * a * b;
    }
  }
}

/* Sum of SSIM over `count` values whose windows begin at the sums' first `count` columns. */
static double strip_ssim(double sums[SUM_KINDS][STRIP_IN], int count, const double *weight) {
  double mean[SUM_KINDS][STRIP];
  for (int kind = 0; kind < SUM_KINDS; kind++) {
    for (int i = 0; i < count; i++) mean[kind][i] = weight[0] * sums[kind][i];
    for (int k = 1; k < WINDOW; k++)
      for (int i = 0; i < count; i++) mean[kind][i] += weight[k] * sums[kind][i + 3 * k];
  }
  double ssim[STRIP], total = 0.0;
  for (int i = 0; i < count; i++) {
    double x = mean[SUM_X][i], y = mean[SUM_Y][i];
    double var_x = mean[SUM_XX][i] - x * x, var_y = mean[SUM_YY][i] - y * y;
    double cov = mean[SUM_XY][i] - x * y;
    ssim[i] = (2.0 * x * y + SSIM_C1) * (2.0 * cov + SSIM_C2) /
              ((x * x + y * y + SSIM_C1) * (var_x + var_y + SSIM_C2));
  }
  for (int i = 0; i < count; i++) total += ssim[i];
  return total;
}

/* NaN when the picture is smaller than the window: there is no pixel to average over. */
static double picture_ssim(const float *x, const uint8_t *y, int size) {
  double weight[WINDOW], sums[SUM_KINDS][STRIP_IN], total = 0.0;
  window_weights(weight);
  int inner = size - 2 * WINDOW_RADIUS;
  if (inner <= 0) return NAN;
  size_t stride = (size_t)size * 3;
  for (int row = 0; row < inner; row++)
    for (int first = 0; first < inner * 3; first += STRIP) {
      int count = inner * 3 - first < STRIP ? inner * 3 - first : STRIP;
      size_t at = row * stride + first;
      vertical_sums(sums, x + at, y + at, stride, count + 3 * 2 * WINDOW_RADIUS, weight);
      total += strip_ssim(sums, count, weight);
    }
  return total / ((double)inner * inner * 3.0);
}

/* In double throughout: rounding the original to fp32 would show in the PSNR of a near copy. */
static double squared_error(const float *x, const uint8_t *y, size_t count) {
  double sum = 0.0;
  for (size_t i = 0; i < count; i++) {
    double d = x[i] - y[i] / 255.0;
    sum += d * d;
  }
  return sum;
}

void cpu_image_scores(Device *device, double *scores, const float *pictures, const uint8_t *images,
                      int batch, int image_size) {
  size_t values = (size_t)image_size * image_size * 3;
#pragma omp parallel for num_threads(cpu_device(device)->threads) schedule(static)
  for (int b = 0; b < batch; b++) {
    const float *picture = pictures + b * values;
    const uint8_t *image = images + b * values;
    double *score = scores + (size_t)b * PICTURE_SCORES;
    score[SCORE_ERROR] = squared_error(picture, image, values);
    score[SCORE_SSIM] = picture_ssim(picture, image, image_size);
  }
}
