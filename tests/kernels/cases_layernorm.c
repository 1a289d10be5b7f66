/* Layer normalisation with the residual before it: every way the model calls it. */
#include <math.h>
#include <stddef.h>

#include "tests/kernels/cases.h"

/* Widths: one per number of register groups, and odd ones that no vector divides. */
static const int sizes[][CASE_SIZES] = {
    {1, 96}, {50, 96}, {197, 192}, {3, 384}, {50, 768}, {7, 512},  {9, 1024}, {5, 97},
    {2, 1},  {3, 6},   {600, 32},  {4, 641}, {1, 1000}, {3, 1280}, {2, 1027}, {2, 8192}};
static const int speed_sizes[][CASE_SIZES] = {{256 * 50, 768}, {256 * 197, 384}, {256 * 197, 512}};

static size_t cells(const Case *c) {
  return (size_t)c->size[0] * c->size[1];
}

static void row_statistics(const double *x, int width, double *mean, double *rstd) {
  double sum = 0, squares = 0;
  for (int i = 0; i < width; i++) sum += x[i];
  *mean = sum / width;
  for (int i = 0; i < width; i++) squares += (x[i] - *mean) * (x[i] - *mean);
  *rstd = 1 / sqrt(squares / width + 1e-6);
}

/* With a branch: sum = x + branch, x kept. */
enum { F_Y, F_MEAN, F_RSTD, F_WEIGHT, F_BIAS, F_X, F_SUM, F_BRANCH };

static void outputs(Case *c) {
  size_t rows = (size_t)c->size[0], width = (size_t)c->size[1];
  double small = case_tolerance(DTYPE_F32, 4);
  case_out(c, "y", (Kind)c->type, cells(c), case_tolerance(c->type, c->type == DTYPE_F32 ? 8 : 1));
  case_out(c, "mean", KIND_F32, rows, small);
  case_out(c, "rstd", KIND_F32, rows, small);
  case_in(c, "weight", KIND_F32, width, 1, 0.3);
  case_in(c, "bias", KIND_F32, width, 0, 0.3);
  c->flops = 8 * (double)cells(c);
}
static void forward_describe(Case *c) {
  outputs(c);
  case_in(c, "x", KIND_F32, cells(c), 0.5, 1);
  case_out(c, "sum", KIND_F32, cells(c), case_tolerance(DTYPE_F32, 1));
  case_in(c, "branch", (Kind)c->type, cells(c), 0, 1);
}
static void forward_call(Device *d, void *const *b, const Case *c) {
  d->kernels->layernorm_forward(d, b[F_Y], c->type, b[F_SUM], b[F_MEAN], b[F_RSTD], b[F_X],
                                b[F_BRANCH], b[F_WEIGHT], b[F_BIAS], (size_t)c->size[0],
                                c->size[1]);
}
static void normalise(double *const *b, const double *x, const Case *c) {
  int width = c->size[1];
  for (int r = 0; r < c->size[0]; r++) {
    row_statistics(x + r * width, width, &b[F_MEAN][r], &b[F_RSTD][r]);
    for (int i = 0; i < width; i++)
      b[F_Y][r * width + i] =
          (x[r * width + i] - b[F_MEAN][r]) * b[F_RSTD][r] * b[F_WEIGHT][i] + b[F_BIAS][i];
  }
}
static void forward_reference(double *const *b, const Case *c) {
  for (size_t i = 0; i < cells(c); i++) b[F_SUM][i] = b[F_X][i] + b[F_BRANCH][i];
  normalise(b, b[F_SUM], c);
}

/* The residual stream updated where it lies. */
enum { P_BRANCH = F_X + 1 };
static void in_place_describe(Case *c) {
  outputs(c);
  case_inout(c, "x, sum", KIND_F32, cells(c), 0.5, 1, case_tolerance(DTYPE_F32, 1));
  case_in(c, "branch", (Kind)c->type, cells(c), 0, 1);
}
static void in_place_call(Device *d, void *const *b, const Case *c) {
  d->kernels->layernorm_forward(d, b[F_Y], c->type, b[F_X], b[F_MEAN], b[F_RSTD], b[F_X],
                                b[P_BRANCH], b[F_WEIGHT], b[F_BIAS], (size_t)c->size[0],
                                c->size[1]);
}
static void in_place_reference(double *const *b, const Case *c) {
  for (size_t i = 0; i < cells(c); i++) b[F_X][i] += b[P_BRANCH][i];
  normalise(b, b[F_X], c);
}

/* No branch and no sum. A large mean, which a one-pass variance would not survive. */
static void alone_describe(Case *c) {
  outputs(c);
  case_in(c, "x", KIND_F32, cells(c), 100, 1);
  c->buffer[F_Y].tolerance = fmax(case_tolerance(c->type, 2), case_tolerance(DTYPE_F32, 200));
  c->buffer[F_RSTD].tolerance = case_tolerance(DTYPE_F32, 50);
}
static void alone_call(Device *d, void *const *b, const Case *c) {
  d->kernels->layernorm_forward(d, b[F_Y], c->type, NULL, b[F_MEAN], b[F_RSTD], b[F_X], NULL,
                                b[F_WEIGHT], b[F_BIAS], (size_t)c->size[0], c->size[1]);
}
static void alone_reference(double *const *b, const Case *c) {
  normalise(b, b[F_X], c);
}

enum { A_Y, A_X, A_MEAN, A_RSTD, A_WEIGHT, A_BIAS };
static void apply_describe(Case *c) {
  size_t rows = (size_t)c->size[0], width = (size_t)c->size[1];
  case_out(c, "y", (Kind)c->type, cells(c), case_tolerance(c->type, 1));
  case_in(c, "x", KIND_F32, cells(c), 0.5, 1);
  case_in(c, "mean", KIND_F32, rows, 0, 1);
  case_in(c, "rstd", KIND_F32, rows, 1, 0.1);
  case_in(c, "weight", KIND_F32, width, 1, 0.3);
  case_in(c, "bias", KIND_F32, width, 0, 0.3);
  c->flops = 4 * (double)cells(c);
}
static void apply_call(Device *d, void *const *b, const Case *c) {
  d->kernels->layernorm_apply(d, b[A_Y], c->type, b[A_X], b[A_MEAN], b[A_RSTD], b[A_WEIGHT],
                              b[A_BIAS], (size_t)c->size[0], c->size[1]);
}
static void apply_reference(double *const *b, const Case *c) {
  int width = c->size[1];
  for (size_t i = 0; i < cells(c); i++) {
    size_t r = i / width, column = i % width;
    b[A_Y][i] = (b[A_X][i] - b[A_MEAN][r]) * b[A_RSTD][r] * b[A_WEIGHT][column] + b[A_BIAS][column];
  }
}

enum {
  B_D_X,
  B_D_WEIGHT,
  B_D_BIAS,
  B_D_X_SUMS,
  B_D_X16,
  B_D_Y,
  B_X,
  B_MEAN,
  B_RSTD,
  B_WEIGHT,
  B_D_RESIDUAL
};

static void backward_inputs(Case *c) {
  size_t rows = (size_t)c->size[0], width = (size_t)c->size[1];
  case_out(c, "d_x16", (Kind)c->type, cells(c), case_tolerance(c->type, c->type ? 1 : 32));
  case_in(c, "d_y", (Kind)c->type, cells(c), 0, 1);
  case_in(c, "x", KIND_F32, cells(c), 0.5, 1);
  case_in(c, "mean", KIND_F32, rows, 0, 0);
  case_in(c, "rstd", KIND_F32, rows, 0, 0);
  case_in(c, "weight", KIND_F32, width, 1, 0.3);
  case_gradient(c, B_D_X, B_X);
  case_gradient(c, B_D_WEIGHT, B_WEIGHT);
  c->flops = 14 * (double)cells(c);
}
/* The whole of it: a residual gradient elsewhere, d_weight and d_bias overwritten. */
static void backward_describe(Case *c) {
  size_t width = (size_t)c->size[1];
  double tolerance = case_tolerance(DTYPE_F32, 32);
  case_out(c, "d_x", KIND_F32, cells(c), tolerance);
  case_out(c, "d_weight", KIND_F32, width, tolerance);
  case_out(c, "d_bias", KIND_F32, width, tolerance);
  case_out(c, "d_x_sums", KIND_F32, width, tolerance);
  backward_inputs(c);
  case_in(c, "d_residual", KIND_F32, cells(c), 0, 1);
}
static void backward_prepare(double *const *b, const Case *c) {
  for (int r = 0; r < c->size[0]; r++)
    row_statistics(b[B_X] + r * c->size[1], c->size[1], &b[B_MEAN][r], &b[B_RSTD][r]);
}
static void backward_call(Device *d, void *const *b, const Case *c) {
  d->kernels->layernorm_backward(d, b[B_D_X], b[B_D_X16], c->type, b[B_D_WEIGHT], b[B_D_BIAS],
                                 b[B_D_X_SUMS], b[B_D_RESIDUAL], b[B_D_Y], b[B_X], b[B_MEAN],
                                 b[B_RSTD], b[B_WEIGHT], (size_t)c->size[0], c->size[1], false);
}
static void write_output(double *const *b, const Case *c, int buffer, size_t i, double value) {
  if (c->buffer[buffer].role != ROLE_IN) b[buffer][i] = value;
}
/* Added to what is there: 0 in an output that is not an inout. */
static void add_output(double *const *b, const Case *c, int buffer, size_t i, double value) {
  write_output(b, c, buffer, i, b[buffer][i] + value);
}
static void backward_reference(double *const *b, const Case *c) {
  size_t width = (size_t)c->size[1];
  const double *residual = c->buffers > B_D_RESIDUAL ? b[B_D_RESIDUAL] : b[B_D_X];
  for (size_t at = 0; at < cells(c); at += width) {
    double rstd = b[B_RSTD][at / width], mean = b[B_MEAN][at / width], sum_g = 0, sum_gh = 0;
    for (size_t i = 0; i < width; i++) {
      double h = (b[B_X][at + i] - mean) * rstd, d_y = b[B_D_Y][at + i];
      add_output(b, c, B_D_WEIGHT, i, d_y * h);
      add_output(b, c, B_D_BIAS, i, d_y);
      sum_g += d_y * b[B_WEIGHT][i] / (double)width;
      sum_gh += d_y * b[B_WEIGHT][i] * h / (double)width;
    }
    for (size_t i = 0; i < width; i++) {
      double h = (b[B_X][at + i] - mean) * rstd, g = b[B_D_Y][at + i] * b[B_WEIGHT][i];
      double d_x = residual[at + i] + rstd * (g - sum_g - h * sum_gh);
      write_output(b, c, B_D_X, at + i, d_x);
      write_output(b, c, B_D_X16, at + i, d_x);
      add_output(b, c, B_D_X_SUMS, i, d_x);
    }
  }
}
static double layernorm_objective(double *const *b, const Case *c) {
  double sum = 0;
  int width = c->size[1];
  for (int r = 0; r < c->size[0]; r++) {
    double mean, rstd;
    row_statistics(b[B_X] + r * width, width, &mean, &rstd);
    for (int i = 0; i < width; i++)
      sum += b[B_D_Y][r * width + i] * (b[B_X][r * width + i] - mean) * rstd * b[B_WEIGHT][i];
  }
  return sum;
}
static double backward_objective(double *const *b, const Case *c) {
  double sum = layernorm_objective(b, c);
  for (size_t i = 0; i < cells(c); i++) sum += b[B_D_RESIDUAL][i] * b[B_X][i];
  return sum;
}

/* Everything added to what is there; the residual gradient is d_x itself; no 16-bit copy. */
static void accumulate_describe(Case *c) {
  size_t width = (size_t)c->size[1];
  double tolerance = case_tolerance(DTYPE_F32, 32);
  case_inout(c, "d_residual, d_x", KIND_F32, cells(c), 0, 1, tolerance);
  case_inout(c, "d_weight", KIND_F32, width, 0, 1, tolerance);
  case_inout(c, "d_bias", KIND_F32, width, 0, 1, tolerance);
  case_inout(c, "d_x_sums", KIND_F32, width, 0, 1, tolerance);
  backward_inputs(c);
  c->buffer[B_D_X16].role = ROLE_IN; /* not handed over */
}
static void accumulate_call(Device *d, void *const *b, const Case *c) {
  d->kernels->layernorm_backward(d, b[B_D_X], NULL, c->type, b[B_D_WEIGHT], b[B_D_BIAS],
                                 b[B_D_X_SUMS], b[B_D_X], b[B_D_Y], b[B_X], b[B_MEAN], b[B_RSTD],
                                 b[B_WEIGHT], (size_t)c->size[0], c->size[1], true);
}

/* No residual gradient, and no sums of d_x. */
static void bare_describe(Case *c) {
  size_t width = (size_t)c->size[1];
  double tolerance = case_tolerance(DTYPE_F32, 32);
  case_out(c, "d_x", KIND_F32, cells(c), tolerance);
  case_out(c, "d_weight", KIND_F32, width, tolerance);
  case_out(c, "d_bias", KIND_F32, width, tolerance);
  case_out(c, "d_x_sums", KIND_F32, width, tolerance);
  backward_inputs(c);
  c->buffer[B_D_X_SUMS].role = ROLE_IN; /* not handed over */
}
static void bare_call(Device *d, void *const *b, const Case *c) {
  d->kernels->layernorm_backward(d, b[B_D_X], b[B_D_X16], c->type, b[B_D_WEIGHT], b[B_D_BIAS], NULL,
                                 NULL, b[B_D_Y], b[B_X], b[B_MEAN], b[B_RSTD], b[B_WEIGHT],
                                 (size_t)c->size[0], c->size[1], false);
}

#define SIZES .size_names = "rows width", .sizes = sizes, .size_count = CASE_COUNT(sizes)
#define SPEED .speed_sizes = speed_sizes, .speed_count = CASE_COUNT(speed_sizes)

const Operation layernorm_operations[] = {
    {.name = "layernorm_forward",
     SIZES,
     SPEED,
     .describe = forward_describe,
     .call = forward_call,
     .reference = forward_reference},
    {.name = "layernorm_forward in place",
     SIZES,
     .describe = in_place_describe,
     .call = in_place_call,
     .reference = in_place_reference},
    {.name = "layernorm_forward alone",
     SIZES,
     .describe = alone_describe,
     .call = alone_call,
     .reference = alone_reference},
    {.name = "layernorm_apply",
     SIZES,
     SPEED,
     .describe = apply_describe,
     .call = apply_call,
     .reference = apply_reference},
    {.name = "layernorm_backward",
     SIZES,
     SPEED,
     .describe = backward_describe,
     .prepare = backward_prepare,
     .call = backward_call,
     .reference = backward_reference,
     .objective = backward_objective},
    {.name = "layernorm_backward accumulate",
     SIZES,
     .describe = accumulate_describe,
     .prepare = backward_prepare,
     .call = accumulate_call,
     .reference = backward_reference,
     .objective = layernorm_objective},
    {.name = "layernorm_backward bare",
     SIZES,
     .describe = bare_describe,
     .prepare = backward_prepare,
     .call = bare_call,
     .reference = backward_reference,
     .objective = layernorm_objective},
    {0},
};
