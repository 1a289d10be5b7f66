/* Conversion and GELU. */
#include <math.h>

#include "kernels/half.h"
#include "tests/kernels/cases.h"

/* Whole 16-byte accesses, tails of one element to seven, more than a block, and none at all. */
static const int counts[][CASE_SIZES] = {{0}, {1}, {7}, {8}, {1023}, {2049}, {3 * 197 * 96}};
static const int speed_counts[][CASE_SIZES] = {{64 * 50 * 3072}, {64 * 197 * 1536}};

static void convert_describe(Case *c) {
  size_t count = (size_t)c->size[0];
  case_out(c, "dst", (Kind)c->type, count, 0);
  int src = case_in(c, "src", KIND_F32, count, 0, 100);
  /* Halfway cases, both ways, and what overflows nothing. */
  static const double special[] = {1 + 0x1p-9, 1 + 0x1.8p-8, 1 + 0x1p-11, 1 + 0x1.8p-10,
                                   65504,      -0x1p-15,     0x1p-24};
  for (size_t i = 0; i < count && i < sizeof special / sizeof *special; i++)
    c->buffer[src].value[i] = special[i];
}
static void convert_call(Device *d, void *const *b, const Case *c) {
  d->kernels->convert(d, b[0], c->type, b[1], (size_t)c->size[0]);
}

static double gelu(double x) {
  return 0.5 * x * erfc(-x / sqrt(2));
}

static void gelu_forward_describe(Case *c) {
  size_t count = (size_t)c->size[0];
  case_out(c, "y", (Kind)c->type, count, case_tolerance(c->type, 1));
  case_in(c, "x", (Kind)c->type, count, 0, 2);
  c->flops = 20 * (double)count;
}
static void gelu_forward_call(Device *d, void *const *b, const Case *c) {
  d->kernels->gelu_forward(d, b[0], b[1], c->type, (size_t)c->size[0]);
}
static void gelu_forward_reference(double *const *b, const Case *c) {
  for (int i = 0; i < c->size[0]; i++) b[0][i] = gelu(b[1][i]);
}

enum { D_X, D_BIAS, D_Y, X };

/* Rows around a slot's turn and a chunk, and more than all chunks take 128 of; widths that are no
 * whole access, and one more or less than a block's columns. */
static const int matrices[][CASE_SIZES] = {{0, 8},     {1, 1},     {17, 7},    {33, 8},
                                           {130, 127}, {129, 128}, {300, 260}, {65700, 3}};
static const int every_count[][CASE_SIZES] = {{0x10000}}, every_matrix[][CASE_SIZES] = {{256, 256}};
static const int speed_matrices[][CASE_SIZES] = {{256 * 50, 3072}, {256 * 197, 1536}};

static size_t cells(const Case *c) {
  return (size_t)c->size[0] * (size_t)c->size[1];
}
static double gelu_slope_of(double x) {
  return 0.5 * erfc(-x / sqrt(2)) + x * exp(-0.5 * x * x) / sqrt(2 * acos(-1));
}

static void gelu_inputs(Case *c) {
  case_in(c, "d_y", (Kind)c->type, cells(c), 0, 1);
  case_in(c, "x", (Kind)c->type, cells(c), 0, 2);
  c->flops = 26 * (double)cells(c);
}
static void gelu_backward_describe(Case *c) {
  case_out(c, "d_x", (Kind)c->type, cells(c), case_tolerance(c->type, 1));
  case_out(c, "d_bias", KIND_F32, (size_t)c->size[1], case_tolerance(DTYPE_F32, 4));
  gelu_inputs(c);
  case_gradient(c, D_X, X);
}
static void gelu_backward_call(Device *d, void *const *b, const Case *c) {
  d->kernels->gelu_backward(d, b[D_X], b[D_BIAS], b[D_Y], b[X], c->type, (size_t)c->size[0],
                            c->size[1], false);
}
static void gelu_backward_reference(double *const *b, const Case *c) {
  for (size_t i = 0; i < cells(c); i++) {
    b[D_X][i] = b[D_Y][i] * gelu_slope_of(b[X][i]);
    b[D_BIAS][i % (size_t)c->size[1]] += b[D_X][i];
  }
}
static double gelu_objective(double *const *b, const Case *c) {
  double sum = 0;
  for (size_t i = 0; i < cells(c); i++) sum += b[D_Y][i] * gelu(b[X][i]);
  return sum;
}

/* Every 16-bit number from -16 to 16, both zeros too; in fp32 as many at equal distances. Where
 * there are fewer, 0. */
static void every_x(Case *c, int x) {
  for (int i = 0; i < 0x10000; i++) {
    double value = c->type == DTYPE_BF16  ? bf16_to_float((uint16_t)i)
                   : c->type == DTYPE_F16 ? f16_to_float((uint16_t)i)
                                          : (i - 0x8000) * 0x1p-11;
    c->buffer[x].value[i] = fabs(value) <= 16 ? value : 0;
  }
}
static void gelu_every_describe(Case *c) {
  gelu_forward_describe(c);
  every_x(c, 1);
}
static void gelu_backward_every_describe(Case *c) {
  gelu_backward_describe(c);
  every_x(c, X);
}

/* d_x in place of d_y, d_bias added to what is there. */
enum { IN_PLACE, IN_PLACE_D_BIAS, IN_PLACE_X };
static void gelu_in_place_describe(Case *c) {
  case_inout(c, "d_y, d_x", (Kind)c->type, cells(c), 0, 1, case_tolerance(c->type, 1));
  case_inout(c, "d_bias", KIND_F32, (size_t)c->size[1], 0, 1, case_tolerance(DTYPE_F32, 4));
  case_in(c, "x", (Kind)c->type, cells(c), 0, 2);
  c->flops = 26 * (double)cells(c);
}
static void gelu_in_place_call(Device *d, void *const *b, const Case *c) {
  d->kernels->gelu_backward(d, b[IN_PLACE], b[IN_PLACE_D_BIAS], b[IN_PLACE], b[IN_PLACE_X], c->type,
                            (size_t)c->size[0], c->size[1], true);
}
static void gelu_in_place_reference(double *const *b, const Case *c) {
  for (size_t i = 0; i < cells(c); i++) {
    b[IN_PLACE][i] *= gelu_slope_of(b[IN_PLACE_X][i]);
    b[IN_PLACE_D_BIAS][i % (size_t)c->size[1]] += b[IN_PLACE][i];
  }
}

#define COUNTS                                                                                     \
  .size_names = "count", .sizes = counts, .size_count = CASE_COUNT(counts),                        \
  .speed_sizes = speed_counts, .speed_count = CASE_COUNT(speed_counts)

#define MATRICES                                                                                   \
  .size_names = "rows width", .sizes = matrices, .size_count = CASE_COUNT(matrices),               \
  .speed_sizes = speed_matrices, .speed_count = CASE_COUNT(speed_matrices)

const Operation elementwise_operations[] = {
    {.name = "convert", COUNTS, .describe = convert_describe, .call = convert_call},
    {.name = "gelu_forward",
     COUNTS,
     .describe = gelu_forward_describe,
     .call = gelu_forward_call,
     .reference = gelu_forward_reference},
    {.name = "gelu_forward of every x",
     .size_names = "count",
     .sizes = every_count,
     .size_count = 1,
     .describe = gelu_every_describe,
     .call = gelu_forward_call,
     .reference = gelu_forward_reference},
    {.name = "gelu_backward",
     MATRICES,
     .describe = gelu_backward_describe,
     .call = gelu_backward_call,
     .reference = gelu_backward_reference,
     .objective = gelu_objective},
    {.name = "gelu_backward of every x",
     .size_names = "rows width",
     .sizes = every_matrix,
     .size_count = 1,
     .describe = gelu_backward_every_describe,
     .call = gelu_backward_call,
     .reference = gelu_backward_reference,
     .objective = gelu_objective},
    {.name = "gelu_backward in place",
     MATRICES,
     .describe = gelu_in_place_describe,
     .call = gelu_in_place_call,
     .reference = gelu_in_place_reference},
    {0},
};
