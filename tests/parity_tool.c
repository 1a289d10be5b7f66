/* parity_tool - this trainer's side of the parity tests: computes loss, prediction and gradients
 * (or trains a few steps) on weights, images and masks given as files, and writes what came out.
 *
 *   parity_tool WEIGHTS.safetensors IN.safetensors OUT.safetensors [section.key=value]...
 *
 * IN holds images U8 [steps, batch, size, size, 3] and visible I32 [steps, batch, keep]. With
 * train.steps set, OUT holds losses [steps] and weight.NAME; otherwise loss, prediction
 * [batch, L, 3pp] and grad.NAME. Computes on the CPU unless run.device is set. Driven by
 * tests/oracle/parity.py. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mae/model/safetensors.h"
#include "mae/record/checkpoint.h"
#include "mae/train/schedule.h"
#include "mae/train/train.h"
#include "tests/model_run.h"

typedef struct Parity {
  ModelRun run;
  TensorFile input;
  const uint8_t *images;  /* [steps, batch, size, size, 3] */
  const int32_t *visible; /* [steps, batch, keep] */
} Parity;

static bool open_input(Parity *p, const char *path, Error *e) {
  const Config *c = &p->run.config;
  if (!safetensors_open(&p->input, path, e)) return false;
  const Tensor *images = safetensors_find(&p->input, "images");
  const Tensor *visible = safetensors_find(&p->input, "visible");
  if (!images || !visible) return error_set(e, EXIT_DATA, "%s: no images or visible", path);
  size_t steps = c->train.steps ? (size_t)c->train.steps : 1;
  size_t batch = steps * (size_t)c->train.batch, size = (size_t)c->model.image_size;
  if (images->bytes != batch * size * size * 3 ||
      visible->bytes != batch * (size_t)config_kept(c) * sizeof(int32_t))
    return error_set(e, EXIT_DATA, "%s: images or visible do not fit the settings", path);
  p->images = images->data;
  p->visible = visible->data;
  return true;
}

static bool run_step(Parity *p, size_t index, float *loss, Error *e) {
  const Config *c = &p->run.config;
  size_t batch = (size_t)c->train.batch, size = (size_t)c->model.image_size;
  StepState state;
  double value;
  if (!model_run_step(&p->run, p->images + index * batch * size * size * 3,
                      p->visible + index * batch * (size_t)config_kept(c), &state, &value, e))
    return false;
  *loss = (float)value;
  return true;
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

static void add_arena(Parity *p, const char *prefix, const float *arena, bool all) {
  Device *d = p->run.device;
  for (int i = 0; i < p->run.model.table.count; i++) {
    const Param *q = &p->run.model.table.list[i];
    if (!all && !q->trainable) continue;
    float *out = add_output(prefix, q->name, q->count);
    d->kernels->download(d, out, arena + q->offset, q->count * sizeof *out);
  }
}

static bool run_training(Parity *p, Error *e) {
  size_t steps = (size_t)p->run.config.train.steps;
  float *losses = add_output("", "losses", steps);
  for (size_t i = 0; i < steps; i++)
    if (!run_step(p, i, &losses[i], e)) return false;
  add_arena(p, "weight.", p->run.model.params, true);
  return true;
}

static bool run_gradients(Parity *p, Error *e) {
  if (!run_step(p, 0, add_output("", "loss", 1), e)) return false;
  model_run_prediction(&p->run, add_output("", "prediction", model_run_prediction_count(&p->run)));
  add_arena(p, "grad.", p->run.model.grads[0], false);
  return true;
}

static bool run(Parity *p, char **files, int count, char **settings, Error *e) {
  Config config;
  if (!model_run_settings(&config, count, settings, e)) return false;
  bool training = config.train.steps > 0;
  if (!training) config.train.shards = 1;
  size_t steps = training ? (size_t)config.train.steps : 1;
  float *rates = calloc(steps, sizeof *rates);
  for (size_t i = 0; training && i < steps; i++)
    rates[i] = (float)schedule_rate(&config, (int64_t)i, (int64_t)steps, (double)steps);
  bool good = model_run_open(&p->run, &config, rates, steps, e) && open_input(p, files[1], e) &&
              checkpoint_load_weights(files[0], &p->run.model, e) &&
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
