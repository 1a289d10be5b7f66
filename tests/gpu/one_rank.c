/* NCCL with one rank, which a machine with one GPU has: training steps whose gradients go through a
 * communicator of one must equal, in every bit, the same steps without.
 *
 *   gpu_one_rank [--device cuda:N] [section.key=value ...]
 *
 * Prints one line. Exit 0: equal. 1: not equal, or NCCL failed. 2: usage or configuration. 3: no
 * NCCL in this build, or no such device. */
#include <stdlib.h>
#include <string.h>

#include "kernels/scalar.h"
#include "mae/model/device.h"
#include "mae/model/mask.h"
#include "mae/ranks/parts.h"
#include "mae/record/checkpoint.h"
#include "mae/train/step.h"

/* A step is recorded when it comes the second time in each of the two slots, then replayed. */
enum { STEPS = 10, EXIT_UNEQUAL = 1 };

typedef struct Trace {
  double losses[STEPS];
  StepState states[STEPS];
  char hash[65]; /* of weights, moments and counters after the last step */
} Trace;

/* Images and masks of the steps, on the host. */
typedef struct Input {
  uint8_t *images, *masked;
  int32_t *visible;
} Input;

static void input_free(Input *in) {
  free(in->images);
  free(in->masked);
  free(in->visible);
}

static bool input_make(Input *in, const Config *c, Error *e) {
  size_t batch = (size_t)c->train.batch, size = (size_t)c->model.image_size;
  size_t bytes = batch * size * size * 3;
  in->images = malloc(bytes);
  in->masked = malloc(batch * (size_t)config_patches(c));
  in->visible = malloc(batch * (size_t)config_kept(c) * sizeof *in->visible);
  if (!in->images || !in->masked || !in->visible)
    return error_set(e, EXIT_DEVICE, "out of memory for %d images", c->train.batch);
  for (size_t i = 0; i < bytes; i++)
    in->images[i] = (uint8_t)random_bits(c->run.seed, STREAM_SHAPES, 0, 0, (uint32_t)i);
  return true;
}

static void queue_step(TrainStep *s, Input *in, int step) {
  const Config *c = s->config;
  size_t patches = (size_t)config_patches(c), kept = (size_t)config_kept(c);
  int side = c->model.image_size / c->model.patch_size, batch = c->train.batch;
  for (size_t i = 0; i < (size_t)batch; i++)
    mask_draw(in->visible + i * kept, in->masked + i * patches, side, (int)kept, c->train.mask,
              c->run.seed, STREAM_MASK, (uint32_t)step, i);
  BatchBuffers *buffers = step_input(s);
  batch_set_images(buffers, in->images, batch);
  batch_set_masks(buffers, in->visible, in->masked, batch);
  step_run(s);
}

/* As a training run goes: the next step is queued before a result is waited for. */
static bool run_steps(Trace *trace, TrainStep *s, Input *in, Ranks *ranks, Error *e) {
  for (int i = 0; i <= STEPS; i++) {
    if (i < STEPS) queue_step(s, in, i);
    if (i == 0) continue;
    bool ok = step_result(s, i < STEPS ? 1 : 0, &trace->states[i - 1], &trace->losses[i - 1], e);
    if (!ranks_check(ranks, e) || !ok) return false;
  }
  return checkpoint_state_hash(trace->hash, s->model, &trace->states[STEPS - 1], e);
}

static bool train(Trace *trace, const Config *c, Device *device, Input *in, Ranks *ranks,
                  Error *e) {
  Model model = {0};
  TrainStep step = {0};
  float rates[STEPS];
  for (int i = 0; i < STEPS; i++) rates[i] = 1e-3f;
  bool ok = model_create(&model, c, device, true, e) && model_init_weights(&model, e) &&
            step_create(&step, &model, 0, c->train.shards, rates, STEPS, e);
  if (ok) {
    step.exchange = ranks_exchange(ranks); /* none before NCCL is open */
    ok = run_steps(trace, &step, in, ranks, e);
  }
  step_destroy(&step);
  model_destroy(&model);
  return ok;
}

static bool is_equal(const Trace *a, const Trace *b, Error *e) {
  for (int i = 0; i < STEPS; i++)
    if (memcmp(&a->losses[i], &b->losses[i], sizeof *a->losses) ||
        memcmp(&a->states[i].grad_norm, &b->states[i].grad_norm, sizeof(float)))
      return error_set(e, EXIT_UNEQUAL,
                       "step %d: loss %.17g and gradient norm %.9g without NCCL, %.17g and %.9g "
                       "with it",
                       i + 1, a->losses[i], (double)a->states[i].grad_norm, b->losses[i],
                       (double)b->states[i].grad_norm);
  return !strcmp(a->hash, b->hash) ||
         error_set(e, EXIT_UNEQUAL,
                   "the states after %d steps differ: %.12s without NCCL, %.12s "
                   "with it",
                   STEPS, a->hash, b->hash);
}

static bool compare(const Config *c, Device *device, Input *in, Ranks *ranks, Trace traces[2],
                    Error *e) {
  if (!train(&traces[0], c, device, in, ranks, e)) return false;
  bool opened = ranks_nccl_open(ranks, device, e);
  if (opened && !ranks->nccl)
    return error_set(e, EXIT_DEVICE, "not checked: this build has no NCCL");
  if (opened && train(&traces[1], c, device, in, ranks, e))
    return is_equal(&traces[0], &traces[1], e);
  e->code = EXIT_UNEQUAL;
  return false;
}

static bool configure(Config *c, int argc, char **argv, Error *e) {
  config_init(c);
  bool ok = config_set(c, "run.device", "cuda:0", NULL, e);
  for (int i = 1; ok && i < argc; i++) {
    char *word = argv[i], *value = strchr(word, '=');
    if (!strcmp(word, "--device") && i + 1 < argc) {
      ok = config_set(c, "run.device", argv[++i], NULL, e);
    } else if (value) {
      *value = '\0';
      ok = config_set(c, word, value + 1, NULL, e);
    } else {
      ok = error_set(e, EXIT_CONFIG,
                     "usage: gpu_one_rank [--device cuda:N] [section.key=value ...]");
    }
  }
  return ok && config_validate(c, e);
}

int main(int argc, char **argv) {
  Config config;
  Ranks ranks = {0};
  Input input = {0};
  Device *device = NULL;
  DeviceInfo info = {0};
  static Trace traces[2];
  Error e = {0};
  bool ok = configure(&config, argc, argv, &e) && ranks_start(&ranks, &config, &e) &&
            (device = device_open(&config, 0, 1, &e)) && input_make(&input, &config, &e);
  if (ok) device->kernels->info(device, &info);
  if (ok && device->kernels->host_memory)
    ok = error_set(&e, EXIT_DEVICE, "not checked: %s is no GPU", config.run.device);
  ok = ok && compare(&config, device, &input, &ranks, traces, &e);
  ranks_stop(&ranks, EXIT_OK, &e);
  if (ok)
    printf("NCCL with one rank on %s, %s: the bits of %d steps without it (state %.12s)\n",
           info.name, dtype_name(config_dtype(&config)), STEPS, traces[0].hash);
  else
    printf("NCCL with one rank: %s\n", e.message);
  fflush(stdout);
  ranks_close(&ranks, &e); /* leaves at once where NCCL has failed */
  input_free(&input);
  if (device) device->kernels->close(device);
  return e.code;
}
