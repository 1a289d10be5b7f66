/* plain_device.h - a device for tests that only move memory: host memory behind the part of the
 * kernel table that checkpoints need, and a tiny model in it. */
#ifndef TESTS_PLAIN_DEVICE_H
#define TESTS_PLAIN_DEVICE_H

#include <stdlib.h>
#include <string.h>

#include "mae/model/model.h"

static void *plain_alloc(Device *device, size_t bytes) {
  (void)device;
  return calloc(1, bytes);
}
static void plain_free(Device *device, void *memory) {
  (void)device;
  free(memory);
}
static void plain_copy(Device *device, void *to, const void *from, size_t bytes) {
  (void)device;
  memcpy(to, from, bytes);
}
static bool plain_synchronize(Device *device, char *message, size_t size) {
  (void)device, (void)message, (void)size;
  return true;
}

static const Kernels plain_kernels = {.name = "cpu",
                                      .alloc = plain_alloc,
                                      .free = plain_free,
                                      .upload = plain_copy,
                                      .download = plain_copy,
                                      .synchronize = plain_synchronize};
static Device plain_device = {&plain_kernels};

/* The tables, weights and moments of a model, without its activations; every value set, from
 * `seed`. */
static inline bool plain_model_create(Model *model, const Config *config, unsigned seed, Error *e) {
  *model = (Model){.config = config, .device = &plain_device};
  if (!params_build(&model->table, config, e)) return false;
  const ParamTable *table = &model->table;
  model->params = calloc(table->total, sizeof(float));
  model->m = calloc(table->trainable, sizeof(float));
  model->v = calloc(table->trainable, sizeof(float));
  for (int i = 0; i < table->count; i++) {
    const Param *param = &table->list[i];
    for (size_t j = param->offset; j < param->offset + param->count; j++) {
      model->params[j] = (float)(seed + j) * 0.37f;
      if (!param->trainable) continue;
      model->m[j] = -(float)(seed + j);
      model->v[j] = 1 / (float)(seed + j + 1);
    }
  }
  return true;
}

static inline void plain_model_destroy(Model *model) {
  free(model->params);
  free(model->m);
  free(model->v);
  params_free(&model->table);
}

static inline bool plain_model_same(const Model *a, const Model *b) {
  return a->table.total == b->table.total &&
         !memcmp(a->params, b->params, a->table.total * sizeof(float)) &&
         !memcmp(a->m, b->m, a->table.trainable * sizeof(float)) &&
         !memcmp(a->v, b->v, a->table.trainable * sizeof(float));
}

static inline void plain_config(Config *config) {
  config_init(config);
  config->model.image_size = 16;
  config->model.patch_size = 8;
  config->model.encoder = (Tower){16, 2, 2};
  config->model.decoder = (Tower){8, 1, 2};
  config->run.keep_checkpoints = 2;
}

#endif
