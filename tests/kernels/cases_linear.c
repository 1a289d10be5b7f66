/* Linear layers: y = x w^T + bias and both backward products. Products are a library's: a few
 * shapes show that its operands are described rightly. What is awkward is for the column sums that
 * make the bias gradient. */
#include <math.h>

#include "tests/kernels/cases.h"

static const int product_sizes[][CASE_SIZES] = {{1, 8, 8}, {33, 24, 40}, {197, 96, 136}};
/* Also weights whose rows lie apart by a multiple of 2 KiB: the CPU copies parts of them, and adds
 * up long sums in stretches. */
static const int input_sizes[][CASE_SIZES] = {
    {1, 8, 8}, {33, 24, 40}, {197, 96, 136}, {21, 512, 2500}, {9, 1024, 100}, {40, 1536, 30},
};
/* Weight gradients. One row and one column; rows around a slot's turn and a chunk, and more than
 * all chunks take 128 of; widths that are no whole access, and one more or less than a block's
 * columns; rows that lie apart by a multiple of 2 KiB, of one operand and of both. */
static const int sizes[][CASE_SIZES] = {
    {1, 8, 1},    {31, 8, 7},    {33, 8, 8},    {197, 8, 96},   {50, 8, 127},   {65, 8, 128},
    {70, 8, 129}, {250, 8, 260}, {65700, 8, 3}, {2500, 512, 8}, {100, 24, 512}, {70, 512, 1024},
};
static const int speed_sizes[][CASE_SIZES] = {{256 * 50, 768, 3072}, {256 * 197, 384, 1536}};

/* A product's sum of `terms`, added up in the library's order, then rounded to the type. */
static double product_tolerance(const Case *c, int terms) {
  return case_tolerance(c->type, 1) + 4 * 0x1p-24 * sqrt(terms);
}

enum { Y, FORWARD_X, WEIGHT, BIAS };

static void forward_describe(Case *c) {
  size_t rows = (size_t)c->size[0], in = (size_t)c->size[1], out = (size_t)c->size[2];
  case_out(c, "y", (Kind)c->type, rows * out, product_tolerance(c, c->size[1]));
  case_in(c, "x", (Kind)c->type, rows * in, 0, 1);
  case_in(c, "w", (Kind)c->type, out * in, 0, 1);
  case_in(c, "bias", (Kind)c->type, out, 0, 1);
  c->flops = 2 * (double)(rows * in * out);
}
static void forward_call(Device *d, void *const *b, const Case *c) {
  d->kernels->linear_forward(d, b[Y], c->type, b[FORWARD_X], b[WEIGHT], b[BIAS], c->type,
                             (size_t)c->size[0], c->size[1], c->size[2]);
}
static void forward_reference(double *const *b, const Case *c) {
  int rows = c->size[0], in = c->size[1], out = c->size[2];
  for (int r = 0; r < rows; r++)
    for (int o = 0; o < out; o++) {
      double sum = b[BIAS][o];
      for (int i = 0; i < in; i++) sum += b[FORWARD_X][r * in + i] * b[WEIGHT][o * in + i];
      b[Y][r * out + o] = sum;
    }
}

enum { D_X, INPUT_D_Y, INPUT_WEIGHT };

static void input_describe(Case *c) {
  size_t rows = (size_t)c->size[0], in = (size_t)c->size[1], out = (size_t)c->size[2];
  case_out(c, "d_x", (Kind)c->type, rows * in, product_tolerance(c, c->size[2]));
  case_in(c, "d_y", (Kind)c->type, rows * out, 0, 1);
  case_in(c, "w", (Kind)c->type, out * in, 0, 1);
  c->flops = 2 * (double)(rows * in * out);
}
static void input_call(Device *d, void *const *b, const Case *c) {
  d->kernels->linear_backward_input(d, b[D_X], b[INPUT_D_Y], b[INPUT_WEIGHT], c->type,
                                    (size_t)c->size[0], c->size[1], c->size[2]);
}
static void input_reference(double *const *b, const Case *c) {
  int rows = c->size[0], in = c->size[1], out = c->size[2];
  for (int r = 0; r < rows; r++)
    for (int i = 0; i < in; i++) {
      double sum = 0;
      for (int o = 0; o < out; o++) sum += b[INPUT_D_Y][r * out + o] * b[INPUT_WEIGHT][o * in + i];
      b[D_X][r * in + i] = sum;
    }
}

enum { D_WEIGHT, D_BIAS, D_Y, X };

/* A library adds up the rows in an order of its own: see fp32_tolerance in cases_attention.c. The
 * sums of d_bias are short, and of short sums. */
static double weight_tolerance(const Case *c) {
  return case_tolerance(DTYPE_F32, 1) + 4 * 0x1p-24 * sqrt(c->size[0]);
}
#define BIAS_TOLERANCE case_tolerance(DTYPE_F32, 4)

static void inputs(Case *c) {
  size_t rows = (size_t)c->size[0];
  case_in(c, "d_y", (Kind)c->type, rows * c->size[2], 0, 1);
  case_in(c, "x", (Kind)c->type, rows * c->size[1], 0, 1);
  c->flops = 2 * (double)rows * c->size[1] * c->size[2] + (double)rows * c->size[2];
}
static void describe(Case *c) {
  case_out(c, "d_weight", KIND_F32, (size_t)c->size[1] * c->size[2], weight_tolerance(c));
  case_out(c, "d_bias", KIND_F32, (size_t)c->size[2], BIAS_TOLERANCE);
  inputs(c);
}
static void call(Device *d, void *const *b, const Case *c) {
  d->kernels->linear_backward_weight(d, b[D_WEIGHT], b[D_BIAS], b[D_Y], b[X], c->type,
                                     (size_t)c->size[0], c->size[1], c->size[2], false);
}
/* Adds to what is in the outputs. */
static void add_gradients(double *const *b, const Case *c) {
  size_t in = (size_t)c->size[1], out = (size_t)c->size[2];
  for (size_t r = 0; r < (size_t)c->size[0]; r++)
    for (size_t o = 0; o < out; o++) {
      double d = b[D_Y][r * out + o];
      b[D_BIAS][o] += d;
      for (size_t i = 0; i < in; i++) b[D_WEIGHT][o * in + i] += d * b[X][r * in + i];
    }
}

static void accumulate_describe(Case *c) {
  size_t weights = (size_t)c->size[1] * c->size[2];
  case_inout(c, "d_weight", KIND_F32, weights, 0, 1, weight_tolerance(c));
  case_inout(c, "d_bias", KIND_F32, (size_t)c->size[2], 0, 1, BIAS_TOLERANCE);
  inputs(c);
}
static void accumulate_call(Device *d, void *const *b, const Case *c) {
  d->kernels->linear_backward_weight(d, b[D_WEIGHT], b[D_BIAS], b[D_Y], b[X], c->type,
                                     (size_t)c->size[0], c->size[1], c->size[2], true);
}

#define SIZES(list) .size_names = "rows in out", .sizes = list, .size_count = CASE_COUNT(list)
#define SPEED .speed_sizes = speed_sizes, .speed_count = CASE_COUNT(speed_sizes)

const Operation linear_operations[] = {
    {.name = "linear_forward",
     SIZES(product_sizes),
     SPEED,
     .describe = forward_describe,
     .call = forward_call,
     .reference = forward_reference},
    {.name = "linear_backward_input",
     SIZES(input_sizes),
     SPEED,
     .describe = input_describe,
     .call = input_call,
     .reference = input_reference},
    {.name = "linear_backward_weight",
     SIZES(sizes),
     SPEED,
     .describe = describe,
     .call = call,
     .reference = add_gradients},
    {.name = "linear_backward_weight accumulate",
     SIZES(sizes),
     .describe = accumulate_describe,
     .call = accumulate_call,
     .reference = add_gradients},
    {0},
};
