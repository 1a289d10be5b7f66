/* Attention, forward and backward, with scores of ordinary size and with scores so large that a
 * softmax without its maximum taken off would overflow. */
#include <math.h>
#include <stdlib.h>

#include "tests/kernels/cases.h"

/* Tokens: every edge of a tile of 16 rows and of a chunk of 64 keys, the 50 and 197 tokens of the
 * encoder and decoder at 224 pixels, and more than any device but the largest holds of a head. Head
 * sizes: those of the tensor-core kernels, and others. The last two are for ThreadSanitizer, which
 * is slow. */
static const int sizes[][CASE_SIZES] = {
    {1, 1, 1, 64},   {2, 2, 3, 32},   {1, 15, 2, 64},  {3, 16, 1, 32},  {1, 17, 2, 64},
    {3, 50, 3, 64},  {1, 50, 6, 32},  {1, 63, 1, 32},  {1, 64, 1, 64},  {1, 65, 2, 32},
    {1, 128, 1, 64}, {1, 129, 1, 64}, {1, 197, 2, 32}, {1, 197, 1, 64}, {1, 208, 1, 64},
    {1, 257, 1, 64}, {2, 21, 2, 16},  {1, 50, 2, 24},  {1, 33, 1, 80},  {1, 65, 1, 128},
    {1, 70, 3, 8},   {2, 5, 2, 1},    {1, 19, 1, 37},  {1, 50, 1, 64},  {1, 197, 1, 32},
};
/* The tokens of 384 pixels, and of patches of 8 at 224: more of a head than shared memory holds, of
 * any device with several blocks on a multiprocessor. */
static const int long_sizes[][CASE_SIZES] = {{1, 577, 1, 64}, {1, 785, 1, 32}, {1, 785, 1, 64}};
static const int negative_sizes[][CASE_SIZES] = {{1, 21, 2, 64}, {1, 73, 1, 64}, {2, 77, 1, 32}};
static const int added_sizes[][CASE_SIZES] = {{4, 50, 2, 64}, {2, 21, 2, 16}, {1, 257, 2, 32}};
static const int speed_sizes[][CASE_SIZES] = {
    {256, 50, 12, 64}, {256, 197, 6, 64}, {256, 197, 12, 32}, {8, 577, 12, 64}, {8, 785, 12, 64}};

static size_t part_count(const Case *c) {
  return (size_t)c->size[0] * c->size[1] * c->size[2] * c->size[3];
}

/* out and lse of qkv (NULL: not wanted), and the sum of d_out * out (NULL: 0). */
static double attention(double *out, double *lse, const double *qkv, const double *d_out,
                        const Case *c) {
  int batch = c->size[0], tokens = c->size[1], heads = c->size[2], size = c->size[3];
  size_t row = (size_t)heads * size;
  double *p = malloc((size_t)tokens * sizeof *p), objective = 0;
  for (int b = 0; b < batch; b++)
    for (int h = 0; h < heads; h++)
      for (int t = 0; t < tokens; t++) {
        const double *first = qkv + (size_t)b * tokens * 3 * row + (size_t)h * size;
        const double *q = first + t * 3 * row;
        double max = -INFINITY, total = 0;
        for (int u = 0; u < tokens; u++) {
          const double *k = first + u * 3 * row + row;
          p[u] = 0;
          for (int i = 0; i < size; i++) p[u] += q[i] * k[i];
          p[u] /= sqrt(size);
          max = fmax(max, p[u]);
        }
        for (int u = 0; u < tokens; u++) total += p[u] = exp(p[u] - max);
        if (lse) lse[((size_t)b * heads + h) * tokens + t] = max + log(total);
        for (int i = 0; i < size; i++) {
          size_t at = ((size_t)b * tokens + t) * row + (size_t)h * size + i;
          double sum = 0;
          for (int u = 0; u < tokens; u++) sum += p[u] * first[u * 3 * row + 2 * row + i];
          if (out) out[at] = sum / total;
          if (d_out) objective += d_out[at] * sum / total;
        }
      }
  free(p);
  return objective;
}

/* What rounding in fp32 may cost an output, as a share of the typical output. A running sum of n
 * terms of either sign that is rounded at each step is off by at most sqrt(n) roundings of its own
 * size, or hardly ever by more (Higham and Mary, "A new approach to probabilistic rounding error
 * analysis", 2019). That is the sum over the tokens; and a score is such a sum over the head's
 * elements, whose absolute error is the relative error of its probability. Of 577 tokens and heads
 * of 64 the largest of 37,000 outputs were measured to be off by 24 roundings for the one and 28
 * for the other, where sqrt(n) + sqrt(D) is 32; four times that leaves room for other orders.
 * scores: the standard deviation of the scores; 1 more for the product of d_out and values. */
static double fp32_tolerance(const Case *c, double scores) {
  return 4 * 0x1p-24 * (sqrt(c->size[1]) + scores * sqrt(c->size[3]));
}

static void add_flops(Case *c, double products) {
  c->flops = products * 2 * c->size[0] * (double)c->size[1] * c->size[1] * c->size[2] * c->size[3];
}

static void describe_forward(Case *c, double deviation) {
  case_out(c, "out", (Kind)c->type, part_count(c),
           c->type == DTYPE_F32 ? fp32_tolerance(c, deviation * deviation)
                                : case_tolerance(c->type, 4));
  case_out(c, "lse", KIND_F32, part_count(c) / c->size[3], case_tolerance(DTYPE_F32, 4));
  case_in(c, "qkv", (Kind)c->type, 3 * part_count(c), 0, deviation);
  add_flops(c, 2);
}
static void forward_describe(Case *c) {
  describe_forward(c, 1);
}
static void forward_call(Device *d, void *const *b, const Case *c) {
  d->kernels->attention_forward(d, b[0], b[1], b[2], c->type, c->size[0], c->size[1], c->size[2],
                                c->size[3]);
}
static void forward_reference(double *const *b, const Case *c) {
  attention(b[0], b[1], b[2], NULL, c);
}

/* Scores of some hundreds. */
static void large_describe(Case *c) {
  describe_forward(c, 12);
}

/* BIAS: what was added to make qkv, so that there is a function whose gradient d_bias is; 0. */
enum { D_QKV, D_BIAS, D_OUT, QKV, OUT, LSE, BIAS };

static size_t bias_count(const Case *c) {
  return 3 * (size_t)c->size[2] * (size_t)c->size[3];
}
/* Of d_qkv, and of d_bias: the errors of its terms have either sign. */
static double backward_tolerance(const Case *c) {
  return c->type == DTYPE_F32 ? fp32_tolerance(c, 2) : case_tolerance(c->type, 8);
}
static void backward_inputs(Case *c) {
  case_in(c, "d_out", (Kind)c->type, part_count(c), 0, 1);
  case_in(c, "qkv", (Kind)c->type, 3 * part_count(c), 0, 1);
  case_in(c, "out", (Kind)c->type, part_count(c), 0, 0);
  case_in(c, "lse", KIND_F32, part_count(c) / c->size[3], 0, 0);
  case_in(c, "bias", KIND_F32, bias_count(c), 0, 0);
  case_gradient(c, D_QKV, QKV);
  add_flops(c, 5);
}
static void backward_describe(Case *c) {
  case_out(c, "d_qkv", (Kind)c->type, 3 * part_count(c), backward_tolerance(c));
  case_out(c, "d_bias", KIND_F32, bias_count(c), backward_tolerance(c));
  backward_inputs(c);
}
static void backward_prepare(double *const *b, const Case *c) {
  attention(b[OUT], b[LSE], b[QKV], NULL, c);
}
static void call_backward(Device *d, void *const *b, const Case *c, bool accumulate) {
  d->kernels->attention_backward(d, b[D_QKV], b[D_BIAS], b[D_OUT], b[QKV], b[OUT], b[LSE], c->type,
                                 c->size[0], c->size[1], c->size[2], c->size[3], accumulate);
}
static void backward_call(Device *d, void *const *b, const Case *c) {
  call_backward(d, b, c, false);
}
static double backward_objective(double *const *b, const Case *c) {
  size_t count = 3 * part_count(c);
  double *qkv = malloc(count * sizeof *qkv);
  for (size_t i = 0; i < count; i++) qkv[i] = b[QKV][i] + b[BIAS][i % bias_count(c)];
  double sum = attention(NULL, NULL, qkv, b[D_OUT], c);
  free(qkv);
  return sum;
}

/* d_bias added to what is there. */
static void added_describe(Case *c) {
  case_out(c, "d_qkv", (Kind)c->type, 3 * part_count(c), backward_tolerance(c));
  case_inout(c, "d_bias", KIND_F32, bias_count(c), 0, 1, backward_tolerance(c));
  backward_inputs(c);
  case_gradient(c, D_BIAS, BIAS);
}
static void added_call(Device *d, void *const *b, const Case *c) {
  call_backward(d, b, c, true);
}

/* Every score below -88, of which a softmax without its log-sum-exp would be infinite: also that of
 * a row of zeros behind the last token. */
static void negative_describe(Case *c) {
  double tolerance = c->type == DTYPE_F32 ? fp32_tolerance(c, 128) : case_tolerance(c->type, 8);
  case_out(c, "d_qkv", (Kind)c->type, 3 * part_count(c), tolerance);
  case_out(c, "d_bias", KIND_F32, bias_count(c), tolerance);
  backward_inputs(c);
  for (size_t i = 0; i < 3 * part_count(c); i++) {
    size_t part = i / (bias_count(c) / 3) % 3; /* q, k, v */
    double *x = &c->buffer[QKV].value[i];
    if (part < 2) *x = (part ? -1 : 1) * (5 + round(*x) / 2);
  }
}

#define SIZES(list)                                                                                \
  .size_names = "batch tokens heads head_size", .sizes = list, .size_count = CASE_COUNT(list)
#define SPEED .speed_sizes = speed_sizes, .speed_count = CASE_COUNT(speed_sizes)
#define FORWARD .call = forward_call, .reference = forward_reference
#define BACKWARD .prepare = backward_prepare, .objective = backward_objective

const Operation attention_operations[] = {
    {.name = "attention_forward", SIZES(sizes), SPEED, .describe = forward_describe, FORWARD},
    {.name = "attention_forward long", SIZES(long_sizes), .describe = forward_describe, FORWARD},
    {.name = "attention_forward large scores", SIZES(sizes), .describe = large_describe, FORWARD},
    {.name = "attention_backward",
     SIZES(sizes),
     SPEED,
     .describe = backward_describe,
     .call = backward_call,
     BACKWARD},
    {.name = "attention_backward long",
     SIZES(long_sizes),
     .describe = backward_describe,
     .call = backward_call,
     BACKWARD},
    {.name = "attention_backward negative scores",
     SIZES(negative_sizes),
     .describe = negative_describe,
     .call = backward_call,
     BACKWARD},
    {.name = "attention_backward added",
     SIZES(added_sizes),
     .describe = added_describe,
     .call = added_call,
     BACKWARD},
    {0},
};
