/* Patches of pixels in, losses and pictures out. */
#include <math.h>

#include "kernels/scalar.h"
#include "tests/kernels/cases.h"

/* Patch sizes that divide a 16-byte access, a word and nothing; extra rows; one patch. */
static const int sizes[][CASE_SIZES] = {
    {1, 8, 8, 1, 0},   {2, 64, 8, 16, 1}, {1, 64, 16, 3, 1}, {3, 28, 7, 5, 0},
    {2, 36, 6, 10, 2}, {2, 42, 14, 9, 1}, {3, 12, 4, 2, 1},  {1, 20, 2, 33, 1},
};
static const int speed_sizes[][CASE_SIZES] = {{256, 224, 16, 49, 1}};

typedef struct Shape {
  int batch, image, patch, chosen, extra;
  size_t side, patches, length, rows, pixels; /* rows: of all predictions */
} Shape;

static Shape shape_of(const Case *c) {
  const int *n = c->size;
  Shape s = {.batch = n[0], .image = n[1], .patch = n[2], .chosen = n[3], .extra = n[4]};
  s.side = (size_t)(s.image / s.patch);
  s.patches = s.side * s.side;
  s.length = (size_t)3 * s.patch * s.patch;
  s.rows = (size_t)s.batch * (s.extra + s.patches);
  s.pixels = (size_t)s.batch * s.image * s.image * 3;
  return s;
}
static PatchGrid grid_of(const Case *c, bool norm_pix) {
  return (PatchGrid){c->size[0], c->size[1], c->size[2], norm_pix};
}

static double normalised(double pixel, int channel) {
  static const double mean[] = {IMAGENET_MEAN_R, IMAGENET_MEAN_G, IMAGENET_MEAN_B};
  static const double std[] = {IMAGENET_STD_R, IMAGENET_STD_G, IMAGENET_STD_B};
  return (pixel / 255 - mean[channel]) / std[channel];
}
/* Where value i of patch l of image b, in a prediction's order, lies among the pixels. */
static size_t pixel_at(const Shape *s, size_t b, size_t l, size_t i) {
  size_t y = l / s->side * s->patch + i / (3 * (size_t)s->patch);
  size_t x = l % s->side * s->patch * 3 + i % (3 * (size_t)s->patch);
  return (b * s->image + y) * s->image * 3 + x;
}

enum { G_OUT, G_IMAGES, G_IDS };

static void gather_describe(Case *c) {
  Shape s = shape_of(c);
  size_t rows = (size_t)s.batch * s.chosen;
  case_out(c, "out", (Kind)c->type, rows * s.length, case_tolerance(c->type, 1));
  case_integers(c, "images", KIND_U8, s.pixels, 0, 255);
  case_integers(c, "patch_ids", KIND_I32, rows, 0, (int)s.patches - 1);
  c->flops = 4 * (double)(rows * s.length);
}
static void gather_call(Device *d, void *const *b, const Case *c) {
  PatchGrid grid = grid_of(c, false);
  d->kernels->patch_gather(d, b[G_OUT], c->type, b[G_IMAGES], b[G_IDS], c->size[3], &grid);
}
static void gather_reference(double *const *b, const Case *c) {
  Shape s = shape_of(c);
  size_t plane = (size_t)s.patch * s.patch;
  for (size_t r = 0; r < (size_t)s.batch * s.chosen; r++)
    for (size_t i = 0; i < s.length; i++) {
      size_t at = pixel_at(&s, r / s.chosen, (size_t)b[G_IDS][r], i);
      b[G_OUT][r * s.length + i % 3 * plane + i / 3] = normalised(b[G_IMAGES][at], (int)(i % 3));
    }
}

/* targets [length] of a patch. */
static void targets(double *t, const double *images, const Shape *s, size_t b, size_t l,
                    bool norm_pix) {
  double mean = 0, variance = 0;
  for (size_t i = 0; i < s->length; i++)
    t[i] = normalised(images[pixel_at(s, b, l, i)], (int)(i % 3));
  if (!norm_pix) return;
  for (size_t i = 0; i < s->length; i++) mean += t[i] / (double)s->length;
  for (size_t i = 0; i < s->length; i++) variance += (t[i] - mean) * (t[i] - mean);
  variance /= (double)(s->length - 1);
  for (size_t i = 0; i < s->length; i++) t[i] = (t[i] - mean) / sqrt(variance + 1e-6);
}

enum { L_LOSS, L_D_PRED, L_PRED, L_IMAGES, L_PATCH_OF, L_STATE };
enum { PATCH_MAX = 3 * 16 * 16 };
#define FACTOR 0.0625f
#define LOSS_SCALE 8.0f

/* Rows of an image's predictions. */
static size_t image_rows(const Case *c) {
  return c->buffer[L_PATCH_OF].count / (size_t)c->size[0];
}

static void loss_buffers(Case *c, size_t rows) {
  Shape s = shape_of(c);
  StepState state = {.loss_scale = LOSS_SCALE};
  size_t all = (size_t)s.batch * rows, values = all * s.length;
  case_out(c, "image_loss", KIND_F32, (size_t)s.batch, case_tolerance(DTYPE_F32, 8));
  case_out(c, "d_pred", (Kind)c->type, values,
           fmax(case_tolerance(c->type, 1), case_tolerance(DTYPE_F32, 8)));
  case_in(c, "pred", KIND_F32, values, 0, 1);
  case_integers(c, "images", KIND_U8, s.pixels, 0, 255);
  case_in(c, "patch_of", KIND_I32, all, 0, 0);
  case_bytes(c, "state", ROLE_IN, &state, sizeof state);
  c->flops = 8 * (double)values;
}
/* A row for every token, some of which are in the loss; the first patch is. */
static void loss_describe(Case *c) {
  Shape s = shape_of(c);
  size_t rows = (size_t)s.extra + s.patches;
  loss_buffers(c, rows);
  for (size_t r = 0; r < (size_t)s.batch * rows; r++) {
    int patch = (int)(r % rows) - s.extra;
    bool counts = patch >= 0 && (patch == 0 || case_uniform(c, 30, (uint32_t)r) < 0.5);
    c->buffer[L_PATCH_OF].value[r] = counts ? patch : -1;
  }
}
/* A row for each of the chosen patches, every second image's in descending order. */
static void loss_compact_describe(Case *c) {
  Shape s = shape_of(c);
  loss_buffers(c, (size_t)s.chosen);
  for (int r = 0; r < s.batch * s.chosen; r++) {
    int i = r % s.chosen, at = r / s.chosen % 2 ? s.chosen - 1 - i : i;
    c->buffer[L_PATCH_OF].value[r] = at * (int)s.patches / s.chosen;
  }
  case_gradient(c, L_D_PRED, L_PRED);
}
static double loss_and_gradient(double *const *b, const Case *c, double *image_loss, double *d_pred,
                                bool norm_pix, double scale) {
  Shape s = shape_of(c);
  size_t rows = image_rows(c);
  double total = 0, t[PATCH_MAX];
  for (size_t i = 0; d_pred && i < (size_t)s.batch * rows * s.length; i++) d_pred[i] = 0;
  for (size_t image = 0; image < (size_t)s.batch; image++) {
    double sum = 0;
    for (size_t r = image * rows; r < (image + 1) * rows; r++) {
      size_t row = r * s.length;
      if (b[L_PATCH_OF][r] < 0) continue;
      targets(t, b[L_IMAGES], &s, image, (size_t)b[L_PATCH_OF][r], norm_pix);
      for (size_t i = 0; i < s.length; i++) {
        double error = b[L_PRED][row + i] - t[i];
        sum += error * error / (double)s.length;
        if (d_pred) d_pred[row + i] = 2 * error / (double)s.length * scale;
      }
    }
    if (image_loss) image_loss[image] = sum;
    total += sum;
  }
  return total * scale;
}

static void loss_run(Device *d, void *const *b, const Case *c, bool norm_pix) {
  PatchGrid grid = grid_of(c, norm_pix);
  d->kernels->masked_loss(d, b[L_LOSS], b[L_D_PRED], c->type, b[L_PRED], b[L_PATCH_OF],
                          (int)image_rows(c), b[L_IMAGES], FACTOR, b[L_STATE], &grid);
}
static void loss_call(Device *d, void *const *b, const Case *c) {
  loss_run(d, b, c, false);
}
static void loss_reference(double *const *b, const Case *c) {
  loss_and_gradient(b, c, b[L_LOSS], b[L_D_PRED], false, FACTOR * LOSS_SCALE);
}
static void loss_norm_call(Device *d, void *const *b, const Case *c) {
  loss_run(d, b, c, true);
}
static void loss_norm_reference(double *const *b, const Case *c) {
  loss_and_gradient(b, c, b[L_LOSS], b[L_D_PRED], true, FACTOR * LOSS_SCALE);
}

/* The same with the gradient against difference quotients. */
static void loss_slope_describe(Case *c) {
  loss_describe(c);
  case_gradient(c, L_D_PRED, L_PRED);
}
static double loss_objective(double *const *b, const Case *c) {
  return loss_and_gradient(b, c, NULL, NULL, false, FACTOR * LOSS_SCALE);
}
static double loss_norm_objective(double *const *b, const Case *c) {
  return loss_and_gradient(b, c, NULL, NULL, true, FACTOR * LOSS_SCALE);
}

/* Evaluation: the loss alone. */
static void loss_alone_describe(Case *c) {
  loss_describe(c);
  c->buffer[L_D_PRED].role = ROLE_IN; /* not handed over */
}
static void loss_alone_call(Device *d, void *const *b, const Case *c) {
  PatchGrid grid = grid_of(c, true);
  d->kernels->masked_loss(d, b[L_LOSS], NULL, c->type, b[L_PRED], b[L_PATCH_OF], (int)image_rows(c),
                          b[L_IMAGES], FACTOR, NULL, &grid);
}
static void loss_alone_reference(double *const *b, const Case *c) {
  loss_and_gradient(b, c, b[L_LOSS], NULL, true, FACTOR);
}

enum { R_FULL, R_COMPOSITE, R_PRED, R_IMAGES, R_MASKED };

static void reconstruct_describe(Case *c) {
  Shape s = shape_of(c);
  double tolerance = case_tolerance(DTYPE_F32, 2);
  case_out(c, "full", KIND_F32, s.pixels, tolerance);
  case_out(c, "composite", KIND_F32, s.pixels, tolerance);
  case_in(c, "pred", KIND_F32, s.rows * s.length, 0, 1.5); /* some of it is clamped */
  case_integers(c, "images", KIND_U8, s.pixels, 0, 255);
  case_integers(c, "masked", KIND_U8, (size_t)s.batch * s.patches, 0, 1);
  c->flops = 4 * (double)(s.rows * s.length);
}
static void reconstruct_run(Device *d, void *const *b, const Case *c, bool norm_pix) {
  PatchGrid grid = grid_of(c, norm_pix);
  d->kernels->reconstruct(d, b[R_FULL], b[R_COMPOSITE], b[R_PRED], c->size[4], b[R_IMAGES],
                          b[R_MASKED], &grid);
}
static void repaint(double *const *b, const Case *c, bool norm_pix) {
  static const double mean[] = {IMAGENET_MEAN_R, IMAGENET_MEAN_G, IMAGENET_MEAN_B};
  static const double std[] = {IMAGENET_STD_R, IMAGENET_STD_G, IMAGENET_STD_B};
  Shape s = shape_of(c);
  for (size_t image = 0; image < (size_t)s.batch; image++)
    for (size_t l = 0; l < s.patches; l++) {
      double center = 0, variance = 0;
      for (size_t i = 0; i < s.length; i++)
        center += normalised(b[R_IMAGES][pixel_at(&s, image, l, i)], (int)(i % 3));
      center /= (double)s.length;
      for (size_t i = 0; i < s.length; i++)
        variance +=
            pow(normalised(b[R_IMAGES][pixel_at(&s, image, l, i)], (int)(i % 3)) - center, 2);
      double deviation = sqrt(variance / (double)(s.length - 1) + 1e-6);
      for (size_t i = 0; i < s.length; i++) {
        size_t at = pixel_at(&s, image, l, i);
        double x = b[R_PRED][(image * (s.extra + s.patches) + s.extra + l) * s.length + i];
        if (norm_pix) x = x * deviation + center;
        x = fmin(fmax(x * std[i % 3] + mean[i % 3], 0), 1);
        b[R_FULL][at] = x;
        b[R_COMPOSITE][at] = b[R_MASKED][image * s.patches + l] != 0 ? x : b[R_IMAGES][at] / 255;
      }
    }
}
static void reconstruct_call(Device *d, void *const *b, const Case *c) {
  reconstruct_run(d, b, c, false);
}
static void reconstruct_reference(double *const *b, const Case *c) {
  repaint(b, c, false);
}
static void reconstruct_norm_call(Device *d, void *const *b, const Case *c) {
  reconstruct_run(d, b, c, true);
}
static void reconstruct_norm_reference(double *const *b, const Case *c) {
  repaint(b, c, true);
}

#define SIZES                                                                                      \
  .size_names = "batch image patch chosen extra", .sizes = sizes, .size_count = CASE_COUNT(sizes)
#define SPEED .speed_sizes = speed_sizes, .speed_count = CASE_COUNT(speed_sizes)

const Operation patches_operations[] = {
    {.name = "patch_gather",
     SIZES,
     SPEED,
     .describe = gather_describe,
     .call = gather_call,
     .reference = gather_reference},
    {.name = "masked_loss",
     SIZES,
     SPEED,
     .describe = loss_slope_describe,
     .call = loss_call,
     .reference = loss_reference,
     .objective = loss_objective},
    {.name = "masked_loss norm_pix",
     SIZES,
     SPEED,
     .describe = loss_slope_describe,
     .call = loss_norm_call,
     .reference = loss_norm_reference,
     .objective = loss_norm_objective},
    {.name = "masked_loss compact",
     SIZES,
     SPEED,
     .describe = loss_compact_describe,
     .call = loss_call,
     .reference = loss_reference,
     .objective = loss_objective},
    {.name = "masked_loss alone",
     SIZES,
     .describe = loss_alone_describe,
     .call = loss_alone_call,
     .reference = loss_alone_reference},
    {.name = "reconstruct",
     SIZES,
     SPEED,
     .fp32_only = true,
     .describe = reconstruct_describe,
     .call = reconstruct_call,
     .reference = reconstruct_reference},
    {.name = "reconstruct norm_pix",
     SIZES,
     .fp32_only = true,
     .describe = reconstruct_describe,
     .call = reconstruct_norm_call,
     .reference = reconstruct_norm_reference},
    {0},
};
