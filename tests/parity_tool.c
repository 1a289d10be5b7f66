/* parity_tool - this trainer's side of the parity tests: computes loss, prediction and gradients
 * (or trains a few steps) on weights, images and masks given as files, and writes what came out.
 *
 *   parity_tool WEIGHTS.safetensors IN.safetensors OUT.safetensors [section.key=value]...
 *
 * IN holds images U8 [steps, batch, size, size, 3] and visible I32 [steps, batch, keep]. With
 * train.steps set, OUT holds losses [steps] and weight.NAME; otherwise loss, prediction
 * [batch, L, 3pp] and grad.NAME. Driven by tests/oracle/parity.py. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mae/checkpoint.h"
#include "mae/safetensors.h"
#include "mae/step.h"
#include "mae/train.h"

typedef struct Parity {
  Config config;
  Device *device;
  Model model;
  TrainStep step;
  TensorFile input;
  const uint8_t *images;  /* [steps, batch, size, size, 3] */
  const int32_t *visible; /* [steps, batch, keep] */
  uint8_t *masked;        /* [batch, L] */
} Parity;

static bool parse_settings(Config *config, int count, char **settings, Error *e) {
  config_init(config);
  for (int i = 0; i < count; i++) {
    char *equals = strchr(settings[i], '=');
    if (!equals) return error_set(e, EXIT_CONFIG, "%s: not section.key=value", settings[i]);
    *equals = 0;
    ConfigOrigin origin = {.file = "argument"};
    if (!config_set(config, settings[i], equals + 1, &origin, e)) return false;
  }
  return config_validate(config, e);
}

static bool open_input(Parity *p, const char *path, Error *e) {
  if (!safetensors_open(&p->input, path, e)) return false;
  const Tensor *images = safetensors_find(&p->input, "images");
  const Tensor *visible = safetensors_find(&p->input, "visible");
  if (!images || !visible) return error_set(e, EXIT_DATA, "%s: no images or visible", path);
  size_t steps = p->config.train.steps ? (size_t)p->config.train.steps : 1;
  size_t batch = steps * (size_t)p->config.train.batch;
  size_t size = (size_t)p->config.model.image_size;
  if (images->bytes != batch * size * size * 3 ||
      visible->bytes != batch * (size_t)config_kept(&p->config) * sizeof(int32_t))
    return error_set(e, EXIT_DATA, "%s: images or visible do not fit the settings", path);
  p->images = images->data;
  p->visible = visible->data;
  return true;
}

static void fill_step(Parity *p, size_t index) {
  size_t batch = (size_t)p->config.train.batch, size = (size_t)p->config.model.image_size;
  size_t patches = (size_t)config_patches(&p->config), keep = (size_t)config_kept(&p->config);
  const int32_t *visible = p->visible + index * batch * keep;
  memset(p->masked, 1, batch * patches);
  for (size_t b = 0; b < batch; b++)
    for (size_t i = 0; i < keep; i++) p->masked[b * patches + (size_t)visible[b * keep + i]] = 0;
  batch_set_images(step_input(&p->step), p->images + index * batch * size * size * 3, (int)batch);
  batch_set_masks(step_input(&p->step), visible, p->masked, (int)batch);
}

/* Collects tensors for the output file; the arrays live until the process ends. */
static Tensor *output;
static int output_count;

static float *add_output(const char *prefix, const char *name, size_t count) {
  output = realloc(output, (size_t)(output_count + 1) * sizeof *output);
  Tensor *t = &output[output_count++];
  *t = (Tensor){.dtype = "F32", .rank = 1, .shape = {count}, .bytes = count * sizeof(float)};
  t->name = malloc(strlen(prefix) + strlen(name) + 1);
  strcat(strcpy(t->name, prefix), name);
  float *data = malloc(t->bytes);
  t->data = data;
  return data;
}

static bool run_training(Parity *p, Error *e) {
  size_t steps = (size_t)p->config.train.steps;
  float *losses = add_output("", "losses", steps);
  for (size_t i = 0; i < steps; i++) {
    fill_step(p, i);
    step_run(&p->step);
    StepState state;
    double loss;
    if (!step_result(&p->step, 0, &state, &loss, e)) return false;
    losses[i] = (float)loss;
  }
  for (int i = 0; i < p->model.table.count; i++) {
    const Param *q = &p->model.table.list[i];
    float *out = add_output("weight.", q->name, q->count);
    p->device->kernels->download(p->device, out, p->model.params + q->offset, q->count * 4);
  }
  return true;
}

/* One micro-batch holds the whole batch here (shards = 1), so that its prediction can be read. */
static bool run_gradients(Parity *p, Error *e) {
  const Kernels *k = p->device->kernels;
  fill_step(p, 0);
  step_run(&p->step);
  StepState state;
  double loss;
  if (!step_result(&p->step, 0, &state, &loss, e)) return false;
  *add_output("", "loss", 1) = (float)loss;

  size_t patches = (size_t)config_patches(&p->config), extra = (size_t)p->model.extra;
  size_t batch = (size_t)p->config.train.batch;
  size_t row = (size_t)(3 * p->config.model.patch_size * p->config.model.patch_size);
  float *all = malloc(batch * (extra + patches) * row * sizeof *all);
  k->download(p->device, all, p->model.pred, batch * (extra + patches) * row * sizeof *all);
  float *prediction = add_output("", "prediction", batch * patches * row);
  for (size_t b = 0; b < batch; b++)
    memcpy(prediction + b * patches * row, all + (b * (extra + patches) + extra) * row,
           patches * row * sizeof *all);
  free(all);

  for (int i = 0; i < p->model.table.count; i++) {
    const Param *q = &p->model.table.list[i];
    if (!q->trainable) continue;
    float *out = add_output("grad.", q->name, q->count);
    k->download(p->device, out, p->model.grads[0] + q->offset, q->count * 4);
  }
  return true;
}

static bool run(Parity *p, char **files, int count, char **settings, Error *e) {
  char message[512];
  if (!parse_settings(&p->config, count, settings, e)) return false;
  bool training = p->config.train.steps > 0;
  if (!training) p->config.train.shards = 1;
  p->device = backend_open("cpu", 0, p->config.run.emulate, message, sizeof message);
  if (!p->device) return error_set(e, EXIT_DEVICE, "%s", message);
  size_t steps = training ? (size_t)p->config.train.steps : 1;
  float *rates = calloc(steps, sizeof *rates);
  for (size_t i = 0; training && i < steps; i++)
    rates[i] = (float)schedule_rate(&p->config, (int64_t)i, (int64_t)steps, (double)steps);
  p->masked = malloc((size_t)p->config.train.batch * (size_t)config_patches(&p->config));
  bool good = open_input(p, files[1], e) &&
              model_create(&p->model, &p->config, p->device, true, e) &&
              checkpoint_load_weights(files[0], &p->model, e) &&
              step_create(&p->step, &p->model, 0, p->config.train.shards, rates, steps, e) &&
              (training ? run_training(p, e) : run_gradients(p, e)) &&
              safetensors_write(files[2], output, output_count, NULL, 0, e);
  free(rates);
  return good;
}

int main(int argc, char **argv) {
  if (argc < 4) {
    fprintf(stderr, "usage: parity_tool WEIGHTS IN OUT [section.key=value]...\n");
    return EXIT_CONFIG;
  }
  static Parity parity;
  Error e = {0};
  if (run(&parity, argv + 1, argc - 4, argv + 4, &e)) return EXIT_OK;
  fprintf(stderr, "%s\n", e.message);
  return e.code;
}
