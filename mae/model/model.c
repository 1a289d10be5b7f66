/* model.c - a model's memory, its initial weights and its work per image. */
#include "mae/model/model.h"

#include <stdlib.h>

#include "mae/model/batch.h"
#include "mae/model/device.h"
#include "mae/model/parts.h"

int model_micro_batch(const Config *config) {
  return config->train.batch / (config->train.shards * config->train.accumulate);
}

int model_capacity(const Model *m, int kept) {
  /* Patches limit, not tokens: with the class token there are fewer tokens per patch of a whole
   * image than of a masked one. */
  int usual = config_kept(m->config);
  int fit = kept > usual ? (int)((int64_t)m->batch * usual / kept) : m->batch;
  return fit > 1 ? fit : 1;
}

/* Evaluation uses the same number of images at a time whether or not the model also trains, so
 * that a score does not depend on when it was taken. */
static int images_at_once(const Config *config, bool trains) {
  int micro = model_micro_batch(config);
  return trains || micro < config->eval.batch ? micro : config->eval.batch;
}

/* Bytes of the arenas a model allocates; the one place that knows their sizes. */
typedef struct ArenaSizes {
  size_t params, params16, gradients, moments, activations, losses, pred;
} ArenaSizes;

static ArenaSizes arena_sizes(const ParamTable *t, const Config *config, bool trains) {
  Dtype type = config_dtype(config);
  size_t batch = (size_t)images_at_once(config, trains), patch = (size_t)config->model.patch_size;
  size_t weights = t->trainable * sizeof(float);
  return (ArenaSizes){
      .params = t->total * sizeof(float),
      .params16 = type == DTYPE_F32 ? 0 : t->trainable * dtype_size(type),
      .gradients =
          trains ? (size_t)(config->train.shards > config->train.ranks ? 2 : 1) * weights : 0,
      .moments = trains ? 2 * weights : 0,
      .activations = activations_memory(config, (int)batch, trains),
      .losses = (trains ? (size_t)config->train.batch : batch) * sizeof(float),
      .pred = batch * (size_t)decoder_tokens(config) * 3 * patch * patch * sizeof(float),
  };
}

ModelMemory model_memory(const Config *config, bool trains) {
  ParamTable table;
  if (!params_build(&table, config, NULL)) return (ModelMemory){0};
  ArenaSizes sizes = arena_sizes(&table, config, trains);
  params_free(&table);
  int held = trains ? config->train.batch / config->train.ranks : images_at_once(config, false);
  ModelMemory m = {
      .params = sizes.params + sizes.params16,
      .gradients = sizes.gradients,
      .moments = sizes.moments,
      .activations = sizes.activations,
      .io = batch_memory(config, held, config_kept(config)) + sizes.losses + sizes.pred,
  };
  m.total = m.params + m.gradients + m.moments + m.activations + m.io;
  return m;
}

static bool allocate(void *pointer, const Model *m, size_t bytes, const char *what, Error *e) {
  void *memory = bytes ? device_alloc(m->device, bytes, what, e) : NULL;
  *(void **)pointer = memory;
  return memory || !bytes;
}

static void prepare_linear(const Model *m, const LinearParams *p, Dtype y_type, size_t rows,
                           bool trains) {
  m->device->kernels->linear_prepare(m->device, y_type, config_dtype(m->config), rows, p->in,
                                     p->out, trains);
}

/* The products of a block: on `rows` in the attention, and on `going_on` behind it. */
static void prepare_block(const Model *m, const BlockParams *p, size_t rows, size_t going_on,
                          bool trains) {
  Dtype type = config_dtype(m->config);
  const LinearParams *const behind[] = {&p->proj, &p->fc1, &p->fc2};
  prepare_linear(m, &p->qkv, type, rows, trains);
  for (int i = 0; i < 3; i++) prepare_linear(m, behind[i], type, going_on, trains);
}

/* Has the device choose how full batches will be multiplied, so that the record of a run's start
 * can say. */
static void prepare_products(const Model *m, bool trains) {
  const Activations *a = m->act;
  Dtype type = config_dtype(m->config);
  size_t batch = (size_t)m->batch, kept = (size_t)config_kept(m->config);
  size_t seen = batch * (size_t)encoder_tokens(m->config, (int)kept);
  size_t all = batch * (size_t)decoder_tokens(m->config);
  /* What is trained of the last decoder block and the prediction: see Batch.compact. */
  size_t last = config_counts_visible(m->config) ? all : batch * (size_t)config_counted(m->config);
  bool compact = trains && last < all;
  int depth = a->decoder.tower.depth;
  prepare_linear(m, &a->patch_embed, type, batch * kept, trains);
  prepare_block(m, &a->encoder.blocks[0], seen, seen, trains);
  prepare_linear(m, &a->decoder_embed, type, seen, trains);
  if (compact) {
    prepare_block(m, &a->decoder.blocks[depth - 1], all, last, true);
    prepare_linear(m, &a->decoder_pred, DTYPE_F32, last, true);
  }
  /* Evaluation predicts every patch. */
  prepare_block(m, &a->decoder.blocks[0], all, all, trains && (depth > 1 || !compact));
  prepare_linear(m, &a->decoder_pred, DTYPE_F32, all, trains && !compact);
}

bool model_create(Model *m, const Config *config, Device *device, bool trains, Error *e) {
  *m = (Model){.config = config,
               .device = device,
               .batch = images_at_once(config, trains),
               .extra = config->model.class_token};
  if (!params_build(&m->table, config, e)) return false;
  ArenaSizes sizes = arena_sizes(&m->table, config, trains);
  bool ok = allocate(&m->params, m, sizes.params, "parameters", e) &&
            allocate(&m->params16, m, sizes.params16, "16-bit parameters", e) &&
            allocate(&m->grads[0], m, sizes.gradients, "gradients", e) &&
            allocate(&m->m, m, sizes.moments, "the optimiser's moments", e) &&
            allocate(&m->image_loss, m, sizes.losses, "losses", e) &&
            allocate(&m->pred, m, sizes.pred, "predictions", e) && activations_create(m, trains, e);
  if (!ok) {
    model_destroy(m);
    return false;
  }
  if (trains) {
    m->v = m->m + m->table.trainable;
    if (config->train.shards > config->train.ranks) m->grads[1] = m->grads[0] + m->table.trainable;
  }
  prepare_products(m, trains);
  return true;
}

void model_destroy(Model *m) {
  void *arenas[] = {m->params, m->params16, m->grads[0], m->m, m->image_loss, m->pred};
  activations_destroy(m);
  for (size_t i = 0; i < sizeof arenas / sizeof *arenas; i++)
    if (arenas[i]) m->device->kernels->free(m->device, arenas[i]);
  params_free(&m->table);
  *m = (Model){0};
}

bool model_init_weights(Model *m, Error *e) {
  size_t bytes = m->table.total * sizeof(float);
  float *host = malloc(bytes);
  if (!host) return error_set(e, EXIT_DEVICE, "out of memory for %zu bytes of weights", bytes);
  params_init(&m->table, host, m->config);
  m->device->kernels->upload(m->device, m->params, host, bytes);
  free(host);
  model_sync_weights(m);
  return true;
}

void model_sync_weights(Model *m) {
  if (m->params16)
    m->device->kernels->convert(m->device, m->params16, config_dtype(m->config), m->params,
                                m->table.trainable);
}

const void *model_weight(const Model *m, size_t offset) {
  if (!m->params16) return m->params + offset;
  return (const char *)m->params16 + offset * dtype_size(config_dtype(m->config));
}

/* Multiply-adds of a stack of blocks on n tokens. */
static double stack_work(Tower t, double n) {
  double w = t.width;
  return t.depth * (12 * n * w * w + 2 * n * n * w);
}

/* Multiply-adds of the decoder's forward pass that predicts every patch: its embedding, blocks and
 * prediction. */
static double decoder_work(const Config *config) {
  double pixels = 3.0 * config->model.patch_size * config->model.patch_size;
  double seen = encoder_tokens(config, config_kept(config)), all = decoder_tokens(config);
  double d = config->model.encoder.width, w = config->model.decoder.width;
  return seen * d * w + stack_work(config->model.decoder, all) + all * w * pixels;
}

/* Multiply-adds of that pass that a training step leaves out: projection, MLP and prediction of the
 * tokens that are not in the loss (see Batch.compact). */
static double work_left_out(const Config *config) {
  double pixels = 3.0 * config->model.patch_size * config->model.patch_size;
  double w = config->model.decoder.width, rows = decoder_tokens(config) - config_counted(config);
  return config_counts_visible(config) ? 0 : rows * (9 * w * w + w * pixels);
}

double model_gflops_per_image(const Config *config, bool training) {
  double pixels = 3.0 * config->model.patch_size * config->model.patch_size;
  double embed = config_kept(config) * pixels * config->model.encoder.width;
  double rest = stack_work(config->model.encoder, encoder_tokens(config, config_kept(config))) +
                decoder_work(config);
  /* The backward pass costs twice the forward pass, but images need no gradient. */
  double work = training ? 2 * embed + 3 * (rest - work_left_out(config)) : embed + rest;
  return 2e-9 * work;
}

double model_gflops_whole_image(const Config *config) {
  double pixels = 3.0 * config->model.patch_size * config->model.patch_size;
  int patches = config_patches(config);
  return 2e-9 * (patches * pixels * config->model.encoder.width +
                 stack_work(config->model.encoder, encoder_tokens(config, patches)));
}

double model_gflops_decoder_per_image(const Config *config) {
  return 2e-9 * 3 * (decoder_work(config) - work_left_out(config));
}
