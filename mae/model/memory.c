/* memory.c - the one list of a model's activation buffers, and the parameters its layers read. */
#include <stdlib.h>
#include <string.h>

#include "mae/base/carve.h"
#include "mae/model/batch.h"
#include "mae/model/device.h"
#include "mae/model/parts.h"

/* Sizes of one stack's buffers, for `rows` = B * tokens. */
static void carve_layer(Layer *l, Carve *carve, Tower t, size_t rows, size_t type) {
  size_t width = (size_t)t.width, n = rows * width;
  l->sum1 = carve_bytes(carve, n * sizeof(float));
  l->mean1 = carve_bytes(carve, rows * sizeof(float));
  l->rstd1 = carve_bytes(carve, rows * sizeof(float));
  l->qkv = carve_bytes(carve, 3 * n * type);
  l->lse = carve_bytes(carve, rows * (size_t)t.heads * sizeof(float));
  l->attended = carve_bytes(carve, n * type);
  l->sum2 = carve_bytes(carve, n * sizeof(float));
  l->mean2 = carve_bytes(carve, rows * sizeof(float));
  l->rstd2 = carve_bytes(carve, rows * sizeof(float));
  l->hidden = carve_bytes(carve, 4 * n * type);
}

/* The part of a layer that can be computed again from the rest. */
static void carve_outputs(Layer *l, Carve *carve, Tower t, size_t rows, size_t type) {
  size_t n = rows * (size_t)t.width;
  l->y1 = carve_bytes(carve, n * type);
  l->y2 = carve_bytes(carve, n * type);
  l->activated = carve_bytes(carve, 4 * n * type);
}

/* In training every layer keeps its own buffers, or all but the recomputable ones; in evaluation
 * all layers work in the same ones, the residual stream in place. */
static void carve_stack(Stack *s, Carve *carve, const Config *config, size_t rows, size_t type,
                        bool trains) {
  Layer shared, unplaced;
  size_t n = rows * (size_t)s->tower.width;
  bool shares_outputs = !trains || config->train.recompute;
  if (shares_outputs) carve_outputs(&shared, carve, s->tower, rows, type);
  if (!trains) {
    carve_layer(&shared, carve, s->tower, rows, type);
    shared.sum2 = shared.sum1;
  }
  for (int i = 0; i < s->tower.depth; i++) {
    Layer *l = s->layers ? &s->layers[i] : &unplaced;
    if (shares_outputs) *l = shared;
    if (trains) carve_layer(l, carve, s->tower, rows, type);
    if (!shares_outputs) carve_outputs(l, carve, s->tower, rows, type);
  }
  s->sum = trains ? carve_bytes(carve, n * sizeof(float)) : shared.sum1;
  s->mean = carve_bytes(carve, rows * sizeof(float));
  s->rstd = carve_bytes(carve, rows * sizeof(float));
  s->y = carve_bytes(carve, n * type);
}

static size_t larger(size_t a, size_t b) {
  return a > b ? a : b;
}

/* The one list of activation buffers: measures when base is NULL, places otherwise. */
static size_t carve_activations(Activations *a, const Config *config, int batch, bool trains,
                                void *base) {
  Carve carve = {.base = base};
  Dtype dtype = config_dtype(config);
  size_t type = dtype_size(dtype), images = (size_t)batch;
  size_t patch = 3 * (size_t)config->model.patch_size * (size_t)config->model.patch_size;
  /* Room for one whole image at least: see model_capacity. */
  size_t kept = larger(images * (size_t)config_kept(config), (size_t)config_patches(config));
  size_t seen = larger(images * (size_t)encoder_tokens(config, config_kept(config)),
                       (size_t)encoder_tokens(config, config_patches(config)));
  size_t all = images * (size_t)decoder_tokens(config);
  size_t n = larger(seen * (size_t)larger(config->model.encoder.width, config->model.decoder.width),
                    all * (size_t)config->model.decoder.width);
  a->patches = carve_bytes(&carve, kept * patch * type);
  carve_stack(&a->encoder, &carve, config, seen, type, trains);
  carve_stack(&a->decoder, &carve, config, all, type, trains);
  a->narrow = carve_bytes(&carve, n * type);
  if (trains) {
    a->wide = carve_bytes(&carve, 4 * n * type);
    a->d_x = carve_bytes(&carve, n * sizeof(float));
    a->d_x16 = dtype == DTYPE_F32 ? a->d_x : carve_bytes(&carve, n * type);
    a->d_pred = carve_bytes(&carve, all * patch * type);
  }
  return carve.used;
}

size_t activations_memory(const Config *config, int batch, bool trains) {
  Activations measured = {.encoder.tower = config->model.encoder,
                          .decoder.tower = config->model.decoder};
  return carve_activations(&measured, config, batch, trains, NULL);
}

static NormParams find_norm(const ParamTable *t, const char *prefix, const char *name) {
  char weight[64], bias[64];
  snprintf(weight, sizeof weight, "%s%s.weight", prefix, name);
  snprintf(bias, sizeof bias, "%s%s.bias", prefix, name);
  return (NormParams){params_find(t, weight)->offset, params_find(t, bias)->offset};
}

static LinearParams find_linear(const ParamTable *t, const char *prefix, const char *name) {
  NormParams at = find_norm(t, prefix, name);
  char weight[64];
  snprintf(weight, sizeof weight, "%s%s.weight", prefix, name);
  const Param *p = params_find(t, weight);
  return (LinearParams){.weight = at.weight,
                        .bias = at.bias,
                        .in = (int)(p->count / (size_t)p->shape[0]),
                        .out = p->shape[0]};
}

static bool stack_create(Stack *s, const ParamTable *t, Tower tower, bool decoder) {
  s->tower = tower;
  s->blocks = calloc((size_t)tower.depth, sizeof *s->blocks);
  s->layers = calloc((size_t)tower.depth, sizeof *s->layers);
  if (!s->blocks || !s->layers) return false;
  for (int i = 0; i < tower.depth; i++) {
    char prefix[32];
    snprintf(prefix, sizeof prefix, "%s.%d.", decoder ? "decoder_blocks" : "blocks", i);
    s->blocks[i] = (BlockParams){
        .norm1 = find_norm(t, prefix, "norm1"),
        .qkv = find_linear(t, prefix, "attn.qkv"),
        .proj = find_linear(t, prefix, "attn.proj"),
        .norm2 = find_norm(t, prefix, "norm2"),
        .fc1 = find_linear(t, prefix, "mlp.fc1"),
        .fc2 = find_linear(t, prefix, "mlp.fc2"),
    };
  }
  s->norm = find_norm(t, "", decoder ? "decoder_norm" : "norm");
  s->positions = params_find(t, decoder ? "decoder_pos_embed" : "pos_embed");
  s->class_token = decoder ? NULL : params_find(t, "cls_token");
  s->mask_token = params_find(t, decoder ? "mask_token" : "encoder_mask_token");
  return true;
}

bool activations_create(Model *m, bool trains, Error *e) {
  const Config *config = m->config;
  Activations *a = m->act = calloc(1, sizeof *a);
  if (!a || !stack_create(&a->encoder, &m->table, config->model.encoder, false) ||
      !stack_create(&a->decoder, &m->table, config->model.decoder, true))
    return error_set(e, EXIT_DEVICE, "out of memory for the model's layers");
  a->patch_embed = find_linear(&m->table, "", "patch_embed.proj");
  a->decoder_embed = find_linear(&m->table, "", "decoder_embed");
  a->decoder_pred = find_linear(&m->table, "", "decoder_pred");

  char what[160];
  snprintf(what, sizeof what,
           "activations of %d images at a time (less with a smaller batch, or a larger "
           "train.accumulate, or train.recompute)",
           m->batch);
  a->arena = device_alloc(m->device, activations_memory(config, m->batch, trains), what, e);
  if (!a->arena) return false;
  carve_activations(a, config, m->batch, trains, a->arena);
  return true;
}

void activations_destroy(Model *m) {
  Activations *a = m->act;
  if (!a) return;
  free(a->encoder.blocks);
  free(a->encoder.layers);
  free(a->decoder.blocks);
  free(a->decoder.layers);
  if (a->arena) m->device->kernels->free(m->device, a->arena);
  free(a);
  m->act = NULL;
}
