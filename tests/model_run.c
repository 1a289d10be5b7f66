#include "tests/model_run.h"

#include <stdlib.h>
#include <string.h>

#include "mae/model/device.h"

bool model_run_settings(Config *config, int count, char **settings, Error *e) {
  config_init(config);
  if (!config_set(config, "run.device", "cpu", NULL, e)) return false;
  for (int i = 0; i < count; i++) {
    const char *equals = strchr(settings[i], '=');
    char key[128];
    if (!equals || equals - settings[i] >= (long)sizeof key)
      return error_set(e, EXIT_CONFIG, "%.100s: not section.key=value", settings[i]);
    snprintf(key, sizeof key, "%.*s", (int)(equals - settings[i]), settings[i]);
    ConfigOrigin origin = {.file = "argument"};
    if (!config_set(config, key, equals + 1, &origin, e)) return false;
  }
  return config_validate(config, e);
}

static size_t image_patches(const ModelRun *r) {
  return (size_t)config_patches(&r->config);
}

/* Values of a patch. */
static size_t row_length(const ModelRun *r) {
  return 3 * (size_t)r->config.model.patch_size * (size_t)r->config.model.patch_size;
}

bool model_run_open(ModelRun *r, const Config *config, const float *rates, size_t steps, Error *e) {
  *r = (ModelRun){.config = *config};
  if (!(r->device = device_open(&r->config, 0, 1, e))) return false;
  r->masked = malloc((size_t)config->train.batch * image_patches(r));
  if (!r->masked) error_set(e, EXIT_DEVICE, "out of memory for the masks");
  bool ok = r->masked && model_create(&r->model, &r->config, r->device, true, e) &&
            step_create(&r->step, &r->model, 0, config->train.shards, rates, steps, e);
  if (!ok) model_run_close(r);
  return ok;
}

void model_run_close(ModelRun *r) {
  step_destroy(&r->step);
  if (r->model.device) model_destroy(&r->model);
  if (r->device) r->device->kernels->close(r->device);
  free(r->masked);
  *r = (ModelRun){.device = NULL};
}

bool model_run_step(ModelRun *r, const uint8_t *images, const int32_t *visible, StepState *after,
                    double *loss, Error *e) {
  size_t batch = (size_t)r->config.train.batch, patches = image_patches(r);
  size_t keep = (size_t)config_kept(&r->config);
  memset(r->masked, 1, batch * patches);
  for (size_t b = 0; b < batch; b++)
    for (size_t i = 0; i < keep; i++) r->masked[b * patches + (size_t)visible[b * keep + i]] = 0;
  BatchBuffers *input = step_input(&r->step);
  batch_set_images(input, images, (int)batch);
  batch_set_masks(input, visible, r->masked, (int)batch);
  step_run(&r->step);
  return step_result(&r->step, 0, after, loss, e);
}

size_t model_run_prediction_count(const ModelRun *r) {
  return (size_t)r->config.train.batch * image_patches(r) * row_length(r);
}

/* Without the class token's rows. */
void model_run_prediction(ModelRun *r, float *prediction) {
  Batch batch = batch_view(&r->step.inputs[r->step.slot], 0, r->config.train.batch);
  model_forward(&r->model, &batch);
  size_t row = row_length(r), extra = (size_t)r->model.extra * row, own = image_patches(r) * row;
  for (size_t b = 0; b < (size_t)r->config.train.batch; b++)
    r->device->kernels->download(r->device, prediction + b * own,
                                 r->model.pred + b * (extra + own) + extra, own * sizeof(float));
}
