/* Scores of pictures, crops, and changes of colour. */
#include <math.h>
#include <string.h>

#include "tests/kernels/cases.h"

/* One window; a row and a column of windows more than a tile has; a tile's last column empty. And
 * none: the smallest pictures the model takes, and the largest without a window. */
static const int score_sizes[][CASE_SIZES] = {{1, 11}, {3, 16}, {2, 19}, {1, 42},
                                              {1, 75}, {3, 8},  {1, 10}};
static const int score_speed_sizes[][CASE_SIZES] = {{64, 224}};

enum { S_SCORES, S_PICTURES, S_IMAGES };
enum { WINDOW = 11 };

static void scores_describe(Case *c) {
  size_t values = (size_t)c->size[0] * c->size[1] * c->size[1] * 3;
  int scores = case_out(c, "scores", KIND_F64, 2 * (size_t)c->size[0], 1e-12);
  c->buffer[scores].undefined = c->size[1] < WINDOW;
  int pictures = case_in(c, "pictures", KIND_F32, values, 0, 0.1);
  int images = case_integers(c, "images", KIND_U8, values, 0, 255);
  /* The image, disturbed more in its second half: SSIM from nearly 1 downwards. */
  double *x = c->buffer[pictures].value, *y = c->buffer[images].value;
  for (size_t i = 0; i < values; i++)
    x[i] = fmin(fmax(y[i] / 255 + (2 * i < values ? 0.01 : 2) * x[i], 0), 1);
  double size = c->size[1], inner = fmax(size - WINDOW + 1, 0);
  /* Squares; sums along columns, then along rows. */
  c->flops = 3 * c->size[0] * (3 * size * size + inner * (110 * size + 130 * inner));
}
static void scores_call(Device *d, void *const *b, const Case *c) {
  d->kernels->image_scores(d, b[S_SCORES], b[S_PICTURES], b[S_IMAGES], c->size[0], c->size[1]);
}
/* The two-dimensional window outright, at every value that has one; NaN where none has. */
static double plain_ssim(const double *x, const double *y, int size) {
  double total = 0;
  int inner = size - WINDOW + 1;
  if (inner <= 0) return NAN;
  for (int at = 0; at < inner * inner * 3; at++) {
    int row = at / 3 / inner, column = at / 3 % inner, channel = at % 3;
    double w_sum = 0, mean_x = 0, mean_y = 0, xx = 0, yy = 0, xy = 0;
    for (int i = 0; i < WINDOW * WINDOW; i++) {
      int dy = i / WINDOW, dx = i % WINDOW;
      double w = exp(-((dy - 5) * (dy - 5) + (dx - 5) * (dx - 5)) / (2 * 1.5 * 1.5));
      size_t from = ((size_t)(row + dy) * size + column + dx) * 3 + channel;
      double a = x[from], b = y[from] / 255;
      w_sum += w;
      mean_x += w * a;
      mean_y += w * b;
      xx += w * a * a;
      yy += w * b * b;
      xy += w * a * b;
    }
    mean_x /= w_sum;
    mean_y /= w_sum;
    double var_x = xx / w_sum - mean_x * mean_x, var_y = yy / w_sum - mean_y * mean_y;
    double cov = xy / w_sum - mean_x * mean_y;
    total += (2 * mean_x * mean_y + 1e-4) * (2 * cov + 9e-4) /
             ((mean_x * mean_x + mean_y * mean_y + 1e-4) * (var_x + var_y + 9e-4));
  }
  return total / ((double)inner * inner * 3);
}
static void scores_reference(double *const *b, const Case *c) {
  size_t values = (size_t)c->size[1] * c->size[1] * 3;
  for (int image = 0; image < c->size[0]; image++) {
    const double *x = b[S_PICTURES] + image * values, *y = b[S_IMAGES] + image * values;
    double squares = 0;
    for (size_t i = 0; i < values; i++) squares += (x[i] - y[i] / 255) * (x[i] - y[i] / 255);
    b[S_SCORES][2 * image] = squares;
    b[S_SCORES][2 * image + 1] = plain_ssim(x, y, c->size[1]);
  }
}

/* "batch size width height": stretched, over several tiles too, shrunk, shrunk further than weights
 * are kept for, a pixel wide, and as it is. */
static const int crop_sizes[][CASE_SIZES] = {
    {3, 2, 3, 4},  {6, 16, 9, 12},  {1, 33, 20, 14},  {6, 33, 64, 64},   {4, 64, 64, 64},
    {3, 8, 1, 40}, {4, 8, 200, 30}, {2, 20, 37, 900}, {3, 40, 500, 375},
};
static const int crop_speed_sizes[][CASE_SIZES] = {{256, 224, 500, 375}, {256, 64, 64, 64}};

enum { C_OUT, C_POOL, C_CROPS };
enum { CROPS_MAX = 256 };

static int crop_draw(const Case *c, uint32_t i, int low, int high) {
  return low + (int)(case_uniform(c, 60, i) * (high - low + 1));
}
static void crop_describe(Case *c) {
  int batch = c->size[0], size = c->size[1], width = c->size[2], height = c->size[3];
  size_t image = (size_t)width * height * 3;
  static Crop crops[CROPS_MAX];
  case_out(c, "out", KIND_U8, (size_t)batch * size * size * 3, 0);
  case_integers(c, "pool", KIND_U8, image * batch, 0, 255);
  for (int b = 0; b < batch; b++) {
    uint32_t n = (uint32_t)b * 5;
    Crop *crop = &crops[b];
    *crop = (Crop){.offset = image * (batch - 1 - b), .src_width = width, .src_height = height};
    /* The first is the whole picture, the second, where it can be, as large as the result. */
    crop->width = !b ? width : b == 1 && size <= width ? size : crop_draw(c, n, 1, width);
    crop->height = !b ? height : b == 1 && size <= height ? size : crop_draw(c, n + 1, 1, height);
    crop->left = crop_draw(c, n + 2, 0, width - crop->width);
    crop->top = crop_draw(c, n + 3, 0, height - crop->height);
    crop->flip = b % 2;
  }
  case_bytes(c, "crops", ROLE_IN, crops, (size_t)batch * sizeof *crops);
  c->flops = 30.0 * (double)batch * size * (size + height) * 3;
}
static void crop_call(Device *d, void *const *b, const Case *c) {
  d->kernels->crop_resize(d, b[C_OUT], b[C_POOL], b[C_CROPS], c->size[0], c->size[1]);
}

/* One pixel; fewer than a block has threads, all six orders; more than threads, several warps and
 * not a whole number of them. */
static const int jitter_sizes[][CASE_SIZES] = {{1, 1}, {6, 7}, {2, 33}, {6, 64}};
static const int jitter_speed_sizes[][CASE_SIZES] = {{256, 224}, {256, 64}};

enum { J_IMAGES, J_JITTERS };

static void jitter_describe(Case *c) {
  static const int orders[6][JITTER_STEPS] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2},
                                              {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
  int batch = c->size[0], size = c->size[1];
  static Jitter jitters[CROPS_MAX];
  c->buffer[case_integers(c, "images", KIND_U8, (size_t)batch * size * size * 3, 0, 255)].role =
      ROLE_INOUT;
  for (int b = 0; b < batch; b++) {
    memcpy(jitters[b].order, orders[(b + size) % 6], sizeof orders[0]);
    for (int i = 0; i < JITTER_STEPS; i++)
      jitters[b].factor[i] = (int)(case_uniform(c, 61, (uint32_t)(3 * b + i)) * 2 * JITTER_ONE);
  }
  /* The ends: every factor doubled, where there are several images, and no colour at all. */
  for (int i = 0; i < JITTER_STEPS; i++) jitters[batch - 1].factor[i] = 2 * JITTER_ONE;
  jitters[0].factor[JITTER_SATURATION] = 0;
  case_bytes(c, "jitters", ROLE_IN, jitters, (size_t)batch * sizeof *jitters);
  c->flops = 60.0 * batch * size * size;
}
static void jitter_call(Device *d, void *const *b, const Case *c) {
  d->kernels->color_jitter(d, b[J_IMAGES], b[J_JITTERS], c->size[0], c->size[1]);
}
/* Pillow's mode L; the weights are those of ITU-R BT.601 in 16 bits. */
static double plain_luma(const double *rgb) {
  return floor((19595 * rgb[0] + 38470 * rgb[1] + 7471 * rgb[2]) / 65536 + 0.5);
}
static void jitter_reference(double *const *b, const Case *c) {
  const Jitter *jitters = (const Jitter *)c->buffer[J_JITTERS].bytes;
  size_t pixels = (size_t)c->size[1] * c->size[1];
  for (int image = 0; image < c->size[0]; image++)
    for (int i = 0; i < JITTER_STEPS; i++) {
      double *rgb = b[J_IMAGES] + image * pixels * 3, mean = 0;
      int step = jitters[image].order[i];
      double factor = (double)jitters[image].factor[step] / JITTER_ONE;
      for (size_t p = 0; p < pixels; p++) mean += plain_luma(rgb + 3 * p);
      mean = floor(mean / (double)pixels + 0.5);
      for (size_t p = 0; p < pixels; p++, rgb += 3) {
        double luma = plain_luma(rgb);
        double grey = step == JITTER_BRIGHTNESS ? 0 : step == JITTER_CONTRAST ? mean : luma;
        for (int k = 0; k < 3; k++)
          rgb[k] = floor(fmin(fmax(grey + factor * (rgb[k] - grey), 0), 255));
      }
    }
}

const Operation pictures_operations[] = {
    {.name = "image_scores",
     .size_names = "batch size",
     .sizes = score_sizes,
     .size_count = CASE_COUNT(score_sizes),
     .speed_sizes = score_speed_sizes,
     .speed_count = CASE_COUNT(score_speed_sizes),
     .fp32_only = true,
     .describe = scores_describe,
     .call = scores_call,
     .reference = scores_reference},
    {.name = "crop_resize",
     .size_names = "batch size width height",
     .sizes = crop_sizes,
     .size_count = CASE_COUNT(crop_sizes),
     .speed_sizes = crop_speed_sizes,
     .speed_count = CASE_COUNT(crop_speed_sizes),
     .fp32_only = true,
     .describe = crop_describe,
     .call = crop_call},
    {.name = "color_jitter",
     .size_names = "batch size",
     .sizes = jitter_sizes,
     .size_count = CASE_COUNT(jitter_sizes),
     .speed_sizes = jitter_speed_sizes,
     .speed_count = CASE_COUNT(jitter_speed_sizes),
     .fp32_only = true,
     .describe = jitter_describe,
     .call = jitter_call,
     .reference = jitter_reference},
    {0},
};
