/* gpu_model_check - the whole model on a GPU beside the CPU.
 *
 *   gpu_model_check gradients|overflow run.device=cuda:0 [section.key=value]...
 *
 * gradients: loss, prediction and the gradient of every parameter in train.precision, from the same
 * weights, images and masks on both. The reference is the CPU in fp32. fp32 must agree within the
 * tolerance of tests/oracle/parity.py; a 16-bit result must be as near as that script demands,
 * where the place of PyTorch's own 16-bit run is taken by the CPU's.
 *
 * overflow: fp16 with a loss scale that begins far too high. Steps are skipped, each halves the
 * scale and changes no weight, and what follows has the bits of a run that began at the scale
 * found.
 *
 * What it allocates lives until it ends. Exit 0: agrees; 1: does not; else as the trainer. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/scalar.h"
#include "mae/model/mask.h"
#include "tests/model_run.h"

#define FP32_TOLERANCE 2e-5
#define PEER_FACTOR 1.25
enum { STREAM_IMAGES = 64, STREAM_WEIGHTS = 65, EXIT_DIFFERS = 1 };

/* What both devices are given. */
typedef struct Inputs {
  uint8_t *images;  /* [batch, size, size, 3] */
  int32_t *visible; /* [batch, keep] */
  float *weights;   /* the parameter arena */
} Inputs;

static void *space(size_t count, size_t size) {
  void *memory = calloc(count, size);
  if (memory) return memory;
  fprintf(stderr, "gpu_model_check: out of memory\n");
  exit(EXIT_DEVICE);
}

static void inputs_draw(Inputs *in, const Config *c, const ParamTable *t) {
  uint64_t seed = c->run.seed;
  size_t batch = (size_t)c->train.batch, size = (size_t)c->model.image_size;
  size_t pixels = size * size * 3;
  int keep = config_kept(c), patches = config_patches(c);
  uint8_t *masked = space((size_t)patches, 1);
  in->images = space(batch * pixels, 1);
  in->visible = space(batch * (size_t)keep, sizeof *in->visible);
  in->weights = space(t->total, sizeof *in->weights);
  for (size_t b = 0; b < batch; b++) {
    for (size_t i = 0; i < pixels; i++)
      in->images[b * pixels + i] = (uint8_t)random_bits(seed, STREAM_IMAGES, 0, b, (uint32_t)i);
    mask_draw(in->visible + b * (size_t)keep, masked, c->model.image_size / c->model.patch_size,
              keep, MASK_RANDOM, seed, STREAM_MASK, 0, b);
  }
  free(masked);
  /* Fresh biases are zero and norms one: noise on all, so that none of them can be left out. */
  params_init(t, in->weights, c);
  for (int i = 0; i < t->count; i++)
    for (size_t k = 0; t->list[i].trainable && k < t->list[i].count; k++)
      in->weights[t->list[i].offset + k] +=
          0.02f * (float)random_normal(seed, STREAM_WEIGHTS, 0, (uint64_t)i, (uint32_t)k);
}

static bool open_run(ModelRun *r, const Config *c, const Inputs *in, const float *rates,
                     size_t steps, Error *e) {
  if (!model_run_open(r, c, rates, steps, e)) return false;
  r->device->kernels->upload(r->device, r->model.params, in->weights,
                             r->model.table.total * sizeof *in->weights);
  model_sync_weights(&r->model);
  return true;
}

/* Gradients ------------------------------------------------------------------------------------*/

typedef struct Outcome {
  double loss;
  float *prediction;
  size_t predictions;
  float *gradient; /* the gradient arena, without the loss scale */
} Outcome;

static bool compute(Outcome *out, Config c, const char *device, const char *precision,
                    const Inputs *in, Error *e) {
  static const float rate = 0;
  ModelRun r;
  StepState state;
  c.run.emulate = true;
  if (!config_set(&c, "run.device", device, NULL, e) ||
      !config_set(&c, "train.precision", precision, NULL, e) || !open_run(&r, &c, in, &rate, 1, e))
    return false;
  size_t count = r.model.table.trainable;
  float scale = config_loss_scale(&c);
  out->predictions = model_run_prediction_count(&r);
  out->prediction = space(out->predictions, sizeof *out->prediction);
  out->gradient = space(count, sizeof *out->gradient);
  bool ok = model_run_step(&r, in->images, in->visible, &state, &out->loss, e);
  if (ok) {
    model_run_prediction(&r, out->prediction);
    r.device->kernels->download(r.device, out->gradient, r.model.grads[0],
                                count * sizeof *out->gradient);
    for (size_t i = 0; i < count; i++) out->gradient[i] /= scale;
  }
  model_run_close(&r);
  return ok;
}

/* ||a - b|| / ||b||; a NaN anywhere is never small. */
static double relative(const float *a, const float *b, size_t count) {
  double difference = 0, norm = 0;
  for (size_t i = 0; i < count; i++) {
    double d = (double)a[i] - b[i];
    difference += d * d;
    norm += (double)b[i] * b[i];
  }
  double error = sqrt(difference) / (norm > 0 ? sqrt(norm) : 1.0);
  return isfinite(error) ? error : (double)INFINITY;
}

typedef struct Distance {
  double loss, prediction, gradient; /* of the whole */
  double worst;                      /* of one parameter's gradient */
  const char *name;                  /* that parameter */
} Distance;

static Distance measure(const Outcome *a, const Outcome *b, const ParamTable *t) {
  float loss[2] = {(float)a->loss, (float)b->loss};
  Distance d = {.loss = relative(&loss[0], &loss[1], 1),
                .prediction = relative(a->prediction, b->prediction, a->predictions),
                .gradient = relative(a->gradient, b->gradient, t->trainable)};
  for (int i = 0; i < t->count; i++) {
    const Param *p = &t->list[i];
    if (!p->trainable) continue;
    double error = relative(a->gradient + p->offset, b->gradient + p->offset, p->count);
    if (d.name && error <= d.worst) continue;
    d.worst = error;
    d.name = p->name;
  }
  return d;
}

static void print_distance(const char *who, const Distance *d) {
  printf("%-16s %9.1e %10.1e %9.1e %9.1e  %s\n", who, d->loss, d->prediction, d->gradient, d->worst,
         d->name);
}

static bool within(const char *what, double error, double allowed) {
  if (error <= allowed) return true;
  printf("FAILED: %s differs by %.2e, allowed are %.2e\n", what, error, allowed);
  return false;
}

static int check_gradients(const Config *c, const ParamTable *t, const Inputs *in, Error *e) {
  Outcome exact = {0}, table = {0}, gpu = {0};
  char precision[16];
  config_get(c, "train.precision", precision, sizeof precision);
  bool exactly = c->train.precision == PRECISION_FP32;
  if (!compute(&exact, *c, "cpu", "fp32", in, e) ||
      (!exactly && !compute(&table, *c, "cpu", precision, in, e)) ||
      !compute(&gpu, *c, c->run.device, precision, in, e))
    return e->code;
  Distance d = measure(&gpu, &exact, t);
  /* Units in the last place of bf16 are 8 times those of fp16. */
  double allowed = exactly                                ? FP32_TOLERANCE
                   : c->train.precision == PRECISION_BF16 ? 1e-2
                                                          : 1e-2 / 8;
  double single = allowed;
  printf("%-16s %9s %10s %9s %9s  of\n", "from CPU, fp32", "loss", "prediction", "gradient",
         "worst");
  print_distance(c->run.device, &d);
  if (!exactly) {
    Distance peer = measure(&table, &exact, t);
    print_distance("CPU", &peer);
    if (PEER_FACTOR * peer.worst > single) single = PEER_FACTOR * peer.worst;
  }
  bool good = within("the loss", d.loss, allowed);
  good &= within("the prediction", d.prediction, allowed);
  good &= within("the whole gradient", d.gradient, allowed);
  good &= within(d.name, d.worst, single);
  return good ? EXIT_OK : EXIT_DIFFERS;
}

/* Overflow -------------------------------------------------------------------------------------*/

enum { SKIPS_MAX = 64, UPDATES = 4 };
#define START_SCALE 0x1p40f

/* Steps from `scale` on until there were UPDATES updates; weights receives the arena after them,
 * settled the scale in the end. */
static bool train_from(float scale, float *weights, float *settled, int *skipped, const Config *c,
                       const Inputs *in, Error *e) {
  float rates[SKIPS_MAX + UPDATES];
  ModelRun r;
  for (int i = 0; i < SKIPS_MAX + UPDATES; i++) rates[i] = 1e-3f;
  if (!open_run(&r, c, in, rates, SKIPS_MAX + UPDATES, e)) return false;
  size_t bytes = r.model.table.total * sizeof *weights;
  StepState state = {.loss_scale = scale};
  step_set_state(&r.step, &state);
  double loss = 0;
  bool ok = true;
  while (ok && state.updates < UPDATES) {
    StepState before = state;
    ok = model_run_step(&r, in->images, in->visible, &state, &loss, e);
    if (ok && !isfinite(loss))
      ok = error_set(e, EXIT_DIFFERS, "step %d: the loss is %g", (int)state.step, loss);
    if (ok && state.skipped > before.skipped) {
      r.device->kernels->download(r.device, weights, r.model.params, bytes);
      if (state.loss_scale != before.loss_scale / 2)
        ok = error_set(e, EXIT_DIFFERS, "a skipped step made the scale %g of %g",
                       (double)state.loss_scale, (double)before.loss_scale);
      else if (before.updates == 0 && memcmp(weights, in->weights, bytes))
        ok = error_set(e, EXIT_DIFFERS, "a skipped step changed the weights");
    }
    if (ok && state.skipped >= SKIPS_MAX)
      ok = error_set(e, EXIT_DIFFERS, "still too high after %d skipped steps", SKIPS_MAX);
  }
  r.device->kernels->download(r.device, weights, r.model.params, bytes);
  *settled = state.loss_scale;
  *skipped = (int)state.skipped;
  model_run_close(&r);
  return ok;
}

static int check_overflow(const Config *c, const ParamTable *t, const Inputs *in, Error *e) {
  float *recovered = space(t->total, sizeof *recovered), *direct = space(t->total, sizeof *direct);
  float settled, same;
  int skipped, none;
  if (!train_from(START_SCALE, recovered, &settled, &skipped, c, in, e) ||
      !train_from(settled, direct, &same, &none, c, in, e))
    return e->code;
  printf("loss scale from 2^%.0f to 2^%.0f: %d steps skipped, then %d updates\n",
         log2((double)START_SCALE), log2((double)settled), skipped, UPDATES);
  if (!skipped) return error_set(e, EXIT_DIFFERS, "nothing overflowed"), e->code;
  if (!none && !memcmp(recovered, direct, t->total * sizeof *direct)) return EXIT_OK;
  printf("FAILED: a run that began at the scale found has other weights\n");
  return EXIT_DIFFERS;
}

int main(int argc, char **argv) {
  static Config c;
  Error e = {0};
  ParamTable t;
  Inputs in;
  bool gradients = argc > 1 && !strcmp(argv[1], "gradients");
  if (!gradients && (argc < 2 || strcmp(argv[1], "overflow") != 0)) {
    fprintf(stderr, "usage: gpu_model_check gradients|overflow run.device=cuda:0 "
                    "[section.key=value]...\n");
    return EXIT_CONFIG;
  }
  int code = EXIT_CONFIG;
  if (model_run_settings(&c, argc - 2, argv + 2, &e) &&
      (gradients || config_set(&c, "train.precision", "fp16", NULL, &e)) &&
      config_validate(&c, &e) && params_build(&t, &c, &e)) {
    inputs_draw(&in, &c, &t);
    code = (gradients ? check_gradients : check_overflow)(&c, &t, &in, &e);
  }
  if (e.code) fprintf(stderr, "gpu_model_check: %s\n", e.message);
  return code;
}
