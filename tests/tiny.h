/* tiny.h - a model small enough for exhaustive checks, with a batch of noise images and masks on
 * the device, for the tests of the model. */
#ifndef TESTS_TINY_H
#define TESTS_TINY_H

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/scalar.h"
#include "mae/model/batch.h"
#include "mae/model/mask.h"
#include "mae/model/model.h"

typedef struct Tiny {
  Config config;
  Device *device;
  Model model;
  BatchBuffers input;
  float *params; /* host copy of the parameter arena */
  uint8_t *images, *masked;
  int32_t *visible;
} Tiny;

/* Settings are "key=value" words separated by spaces, applied over a tiny default. */
static inline void tiny_set(Config *c, const char *settings) {
  char text[1024], *rest = text;
  snprintf(text, sizeof text, "%s", settings);
  for (char *word; (word = strsep(&rest, " "));) {
    char *value = strchr(word, '=');
    if (!value) continue;
    *value++ = 0;
    Error e = {0};
    ck_assert_msg(config_set(c, word, value, NULL, &e), "%s", e.message);
  }
}

static inline Config tiny_config(const char *settings) {
  Config c;
  config_init(&c);
  tiny_set(&c, "model.image_size=8 model.patch_size=2 model.encoder=16x2x2 model.decoder=24x1x3 "
               "train.mask_ratio=0.75 train.batch=4 train.shards=1 train.accumulate=1 "
               "run.device=cpu run.seed=7");
  tiny_set(&c, settings);
  Error e = {0};
  ck_assert_msg(config_validate(&c, &e), "%s", e.message);
  return c;
}

static inline Device *tiny_device(const Config *c) {
  char message[256] = "";
  Device *device =
      backend_open(c->run.device, 0, config_dtype(c) != DTYPE_F32, message, sizeof message);
  ck_assert_msg(device != NULL, "%s", message);
  return device;
}

/* Noise images and masks of a whole step, on the host. */
static inline void tiny_input(Tiny *t) {
  const Config *c = &t->config;
  int side = c->model.image_size / c->model.patch_size, kept = config_kept(c);
  size_t n = (size_t)c->train.batch, patches = (size_t)config_patches(c);
  size_t bytes = (size_t)c->model.image_size * (size_t)c->model.image_size * 3;
  t->images = malloc(n * bytes);
  t->masked = malloc(n * patches);
  t->visible = malloc(n * (size_t)kept * sizeof *t->visible);
  for (size_t i = 0; i < n; i++) {
    for (size_t k = 0; k < bytes; k++)
      t->images[i * bytes + k] =
          (uint8_t)random_bits(c->run.seed, STREAM_SHAPES, 0, i, (uint32_t)k);
    mask_draw(t->visible + i * (size_t)kept, t->masked + i * patches, side, kept, c->train.mask,
              c->run.seed, STREAM_MASK, 0, i);
  }
}

/* Every trainable parameter is moved off its initial value, so that no bias is zero and no norm's
 * weight one. */
static inline void tiny_weights(Tiny *t) {
  const ParamTable *table = &t->model.table;
  t->params = malloc(table->total * sizeof *t->params);
  params_init(table, t->params, &t->config);
  for (int i = 0; i < table->count; i++) {
    const Param *p = &table->list[i];
    for (size_t k = 0; p->trainable && k < p->count; k++)
      t->params[p->offset + k] +=
          0.2f * (random_uniform(99, STREAM_INIT, 1, (uint64_t)i, (uint32_t)k) - 0.5f);
  }
  t->device->kernels->upload(t->device, t->model.params, t->params,
                             table->total * sizeof *t->params);
  model_sync_weights(&t->model);
}

static inline Tiny *tiny_open(const char *settings, bool trains) {
  Tiny *t = calloc(1, sizeof *t);
  Error e = {0};
  t->config = tiny_config(settings);
  t->device = tiny_device(&t->config);
  ck_assert_msg(model_create(&t->model, &t->config, t->device, trains, &e), "%s", e.message);
  ck_assert_msg(batch_create(&t->input, &t->config, t->device, t->config.train.batch,
                             config_kept(&t->config), &e),
                "%s", e.message);
  tiny_input(t);
  tiny_weights(t);
  batch_set_images(&t->input, t->images, t->config.train.batch);
  batch_set_masks(&t->input, t->visible, t->masked, t->config.train.batch);
  return t;
}

static inline void tiny_close(Tiny *t) {
  char message[256] = "";
  bool ok = t->device->kernels->synchronize(t->device, message, sizeof message);
  ck_assert_msg(ok, "%s", message);
  batch_destroy(&t->input);
  model_destroy(&t->model);
  t->device->kernels->close(t->device);
  free(t->params);
  free(t->images);
  free(t->masked);
  free(t->visible);
  free(t);
}

/* A host copy of count floats of device memory; the caller frees it. */
static inline float *tiny_download(const Tiny *t, const float *from, size_t count) {
  float *host = malloc(count * sizeof *host);
  t->device->kernels->download(t->device, host, from, count * sizeof *host);
  return host;
}

#endif
