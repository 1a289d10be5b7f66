/* Conversion and GELU. */
#include <math.h>

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

static void gelu_backward_describe(Case *c) {
  size_t count = (size_t)c->size[0];
  case_out(c, "d_x", (Kind)c->type, count, case_tolerance(c->type, 1));
  case_in(c, "d_y", (Kind)c->type, count, 0, 1);
  case_in(c, "x", (Kind)c->type, count, 0, 2);
  case_gradient(c, 0, 2);
  c->flops = 25 * (double)count;
}
static void gelu_backward_call(Device *d, void *const *b, const Case *c) {
  d->kernels->gelu_backward(d, b[0], b[1], b[2], c->type, (size_t)c->size[0]);
}
static double gelu_objective(double *const *b, const Case *c) {
  double sum = 0;
  for (int i = 0; i < c->size[0]; i++) sum += b[1][i] * gelu(b[2][i]);
  return sum;
}

/* d_x in place of d_y. */
static void gelu_in_place_describe(Case *c) {
  size_t count = (size_t)c->size[0];
  case_inout(c, "d_y, d_x", (Kind)c->type, count, 0, 1, case_tolerance(c->type, 1));
  case_in(c, "x", (Kind)c->type, count, 0, 2);
}
static void gelu_in_place_call(Device *d, void *const *b, const Case *c) {
  d->kernels->gelu_backward(d, b[0], b[0], b[1], c->type, (size_t)c->size[0]);
}
static void gelu_in_place_reference(double *const *b, const Case *c) {
  for (int i = 0; i < c->size[0]; i++) {
    double x = b[1][i];
    b[0][i] *= 0.5 * erfc(-x / sqrt(2)) + x * exp(-0.5 * x * x) / sqrt(2 * acos(-1));
  }
}

#define COUNTS                                                                                     \
  .size_names = "count", .sizes = counts, .size_count = CASE_COUNT(counts),                        \
  .speed_sizes = speed_counts, .speed_count = CASE_COUNT(speed_counts)

const Operation elementwise_operations[] = {
    {.name = "convert", COUNTS, .describe = convert_describe, .call = convert_call},
    {.name = "gelu_forward",
     COUNTS,
     .describe = gelu_forward_describe,
     .call = gelu_forward_call,
     .reference = gelu_forward_reference},
    {.name = "gelu_backward",
     COUNTS,
     .describe = gelu_backward_describe,
     .call = gelu_backward_call,
     .objective = gelu_objective},
    {.name = "gelu_backward in place",
     COUNTS,
     .describe = gelu_in_place_describe,
     .call = gelu_in_place_call,
     .reference = gelu_in_place_reference},
    {0},
};
