/* The gradient's norm and the AdamW update. StepState must come out as the CPU leaves it, bit for
 * bit. */
#include <math.h>

#include "tests/kernels/cases.h"

/* "count decayed": a tail, less than a vector, no decay, decay ending inside a vector. */
static const int sizes[][CASE_SIZES] = {{1, 1}, {7, 3}, {8, 0}, {1023, 1023}, {70001, 40002}};
static const int speed_sizes[][CASE_SIZES] = {{100 << 20, 99 << 20}};

enum { N_STATE, N_GRAD_A, N_GRAD_B };

static void norm_describe(Case *c) {
  size_t count = (size_t)c->size[0];
  StepState state = {.loss_scale = 4, .step = 5, .updates = 3, .clean_steps = 2, .overflow = 1};
  case_bytes(c, "state", ROLE_INOUT, &state, sizeof state);
  case_in(c, "grad_a", KIND_F32, count, 0, 1e15); /* the square overflows fp32 at 1.8e19 */
  case_in(c, "grad_b", KIND_F32, count, 0, 1e15);
  c->buffer[N_GRAD_A].value[count / 2] = 0x1p100;
  c->flops = 3 * (double)count;
}
static void norm_call(Device *d, void *const *b, const Case *c) {
  d->kernels->gradient_norm(d, b[N_STATE], b[N_GRAD_A], b[N_GRAD_B], (size_t)c->size[0]);
}
static void norm_one_call(Device *d, void *const *b, const Case *c) {
  d->kernels->gradient_norm(d, b[N_STATE], b[N_GRAD_A], NULL, (size_t)c->size[0]);
}
/* Two finite halves whose sum is infinite, in the last element. */
static void norm_overflow_describe(Case *c) {
  size_t last = (size_t)c->size[0] - 1;
  norm_describe(c);
  c->buffer[N_GRAD_A].value[last] = c->buffer[N_GRAD_B].value[last] = 0x1.8p127;
}

enum { A_PARAM, A_M, A_V, A_PARAM16, A_STATE, A_GRAD_A, A_GRAD_B, A_RATES };
enum { STEPS = 4, STEP = 2 };

/* The buffers of an update that begins at `state`. */
static void describe(Case *c, StepState state) {
  size_t count = (size_t)c->size[0];
  double tolerance = case_tolerance(DTYPE_F32, 2);
  case_inout(c, "param", KIND_F32, count, 0, 1, tolerance);
  case_inout(c, "m", KIND_F32, count, 0, 0.01, tolerance);
  case_inout(c, "v", KIND_F32, count, 0, 1e-3, tolerance);
  case_inout(c, "param16", (Kind)c->type, count, 0, 1, case_tolerance(c->type, 1));
  if (c->type == DTYPE_F32) c->buffer[A_PARAM16].role = ROLE_IN; /* not handed over */
  state.step = STEP;
  case_bytes(c, "state", ROLE_INOUT, &state, sizeof state);
  case_in(c, "grad_a", KIND_F32, count, 0, 2);
  case_in(c, "grad_b", KIND_F32, count, 0, 2);
  int rates = case_in(c, "rate_table", KIND_F32, STEPS, 0, 0);
  for (int i = 0; i < STEPS; i++) c->buffer[rates].value[i] = 1e-3 * (i + 1);
  for (size_t i = 0; i < count; i++) c->buffer[A_V].value[i] = fabs(c->buffer[A_V].value[i]);
  c->flops = 16 * (double)count;
}
static AdamW update_of(void *const *b, const Case *c) {
  return (AdamW){.param = b[A_PARAM],
                 .m = b[A_M],
                 .v = b[A_V],
                 .param16 = c->type == DTYPE_F32 ? NULL : b[A_PARAM16],
                 .type = c->type,
                 .grad_a = b[A_GRAD_A],
                 .grad_b = b[A_GRAD_B],
                 .count = (size_t)c->size[0],
                 .decayed = (size_t)c->size[1],
                 .state = b[A_STATE],
                 .rate_table = b[A_RATES],
                 .beta1 = 0.9f,
                 .beta2 = 0.95f,
                 .epsilon = 1e-8f,
                 .weight_decay = 0.05f};
}
/* `scale` undoes the loss scale and clips; `updates` as after the step. */
static void update(double *const *b, const Case *c, double scale, int updates, bool two) {
  double rate = b[A_RATES][STEP], beta1 = 0.9f, beta2 = 0.95f;
  for (int i = 0; i < c->size[0]; i++) {
    double g = (b[A_GRAD_A][i] + (two ? b[A_GRAD_B][i] : 0)) * scale;
    double m = beta1 * b[A_M][i] + (1 - beta1) * g;
    double v = beta2 * b[A_V][i] + (1 - beta2) * g * g;
    double p = b[A_PARAM][i] - (i < c->size[1] ? rate * 0.05f * b[A_PARAM][i] : 0);
    p -= rate * (m / (1 - pow(beta1, updates))) / (sqrt(v / (1 - pow(beta2, updates))) + 1e-8);
    b[A_PARAM][i] = p;
    b[A_M][i] = m;
    b[A_V][i] = v;
    if (c->type != DTYPE_F32) b[A_PARAM16][i] = p;
  }
}

/* The very first update of half a gradient; no loss scale. */
static void first_describe(Case *c) {
  describe(c, (StepState){.loss_scale = 1, .grad_norm = 3});
}
static void first_call(Device *d, void *const *b, const Case *c) {
  AdamW a = update_of(b, c);
  a.grad_b = NULL;
  d->kernels->adamw(d, &a);
}
static void first_reference(double *const *b, const Case *c) {
  update(b, c, 1, 1, false);
}

/* Both halves, clipped, and the step that doubles the loss scale. */
static void clipped_describe(Case *c) {
  describe(c, (StepState){.loss_scale = 1024, .grad_norm = 3, .updates = 6, .clean_steps = 1999});
}
static void clipped_call(Device *d, void *const *b, const Case *c) {
  AdamW a = update_of(b, c);
  a.clip = 0.5f;
  a.dynamic_scale = true;
  d->kernels->adamw(d, &a);
}
static void clipped_reference(double *const *b, const Case *c) {
  update(b, c, 0.5 / 3 / 1024, 7, true);
}

/* Skipped: nothing changes but the state. */
static void overflow_describe(Case *c) {
  describe(c, (StepState){.loss_scale = 1024, .overflow = 1, .updates = 6, .clean_steps = 5});
  for (int i = A_PARAM; i <= A_PARAM16; i++) c->buffer[i].tolerance = 0;
}
static void overflow_reference(double *const *b, const Case *c) {
  (void)b, (void)c;
}

#define SIZES .size_names = "count decayed", .sizes = sizes, .size_count = CASE_COUNT(sizes)
#define SPEED .speed_sizes = speed_sizes, .speed_count = CASE_COUNT(speed_sizes)

const Operation optimizer_operations[] = {
    {.name = "gradient_norm",
     SIZES,
     SPEED,
     .fp32_only = true,
     .describe = norm_describe,
     .call = norm_call},
    {.name = "gradient_norm of one half",
     SIZES,
     .fp32_only = true,
     .describe = norm_describe,
     .call = norm_one_call},
    {.name = "gradient_norm overflow",
     SIZES,
     .fp32_only = true,
     .describe = norm_overflow_describe,
     .call = norm_call},
    {.name = "adamw first",
     SIZES,
     .describe = first_describe,
     .call = first_call,
     .reference = first_reference},
    {.name = "adamw clipped",
     SIZES,
     SPEED,
     .describe = clipped_describe,
     .call = clipped_call,
     .reference = clipped_reference},
    {.name = "adamw overflow",
     SIZES,
     .describe = overflow_describe,
     .call = clipped_call,
     .reference = overflow_reference},
    {0},
};
