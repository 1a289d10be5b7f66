#include "mae/model/parts.h"

static void linear(const Model *m, const LinearParams *p, void *y, Dtype y_type, const void *x,
                   size_t rows) {
  m->device->kernels->linear_forward(m->device, y, y_type, x, model_weight(m, p->weight),
                                     m->params + p->bias, config_dtype(m->config), rows, p->in,
                                     p->out);
}

/* Leaves the residual stream's end, normalised, in s->y. A block's branch is added to the stream
 * by the next layernorm, so that the stream is read and written once per branch. */
static void stack_forward(const Model *m, const Stack *s, int images) {
  const Kernels *k = m->device->kernels;
  Device *dev = m->device;
  Dtype type = config_dtype(m->config);
  const float *params = m->params;
  int width = s->tower.width, heads = s->tower.heads;
  size_t rows = (size_t)images * (size_t)s->tokens;
  void *branch = m->act->narrow;

  const float *x = s->layers[0].sum1;
  for (int i = 0; i < s->tower.depth; i++) {
    const BlockParams *p = &s->blocks[i];
    const Layer *l = &s->layers[i];
    k->layernorm_forward(dev, l->y1, type, i ? l->sum1 : NULL, l->mean1, l->rstd1, x,
                         i ? branch : NULL, params + p->norm1.weight, params + p->norm1.bias, rows,
                         width);
    linear(m, &p->qkv, l->qkv, type, l->y1, rows);
    k->attention_forward(dev, l->attended, l->lse, l->qkv, type, images, s->tokens, heads,
                         width / heads);
    linear(m, &p->proj, branch, type, l->attended, rows);
    k->layernorm_forward(dev, l->y2, type, l->sum2, l->mean2, l->rstd2, l->sum1, branch,
                         params + p->norm2.weight, params + p->norm2.bias, rows, width);
    linear(m, &p->fc1, l->hidden, type, l->y2, rows);
    k->gelu_forward(dev, l->activated, l->hidden, type, rows * 4 * (size_t)width);
    linear(m, &p->fc2, branch, type, l->activated, rows);
    x = l->sum2;
  }
  k->layernorm_forward(dev, s->y, type, s->sum, s->mean, s->rstd, x, branch,
                       params + s->norm.weight, params + s->norm.bias, rows, width);
}

static const float *param_or_null(const Model *m, const Param *p) {
  return p ? m->params + p->offset : NULL;
}

/* Puts the stack's tokens together from rows of src into the first layer's residual stream. */
static void stack_tokens(const Model *m, const Stack *s, const void *src, const TokenMap *map) {
  m->device->kernels->tokens_forward(
      m->device, s->layers[0].sum1, src, config_dtype(m->config), param_or_null(m, s->class_token),
      param_or_null(m, s->mask_token), param_or_null(m, s->positions), map, s->tower.width);
}

void model_forward(Model *m, const Batch *b) {
  Activations *a = m->act;
  const Config *config = m->config;
  Dtype type = config_dtype(config);
  int kept = config_kept(config);
  size_t seen = (size_t)b->count * (size_t)a->encoder.tokens;
  size_t all = (size_t)b->count * (size_t)a->decoder.tokens;
  PatchGrid grid = {b->count, config->model.image_size, config->model.patch_size,
                    config->train.norm_pix};

  m->device->kernels->patch_gather(m->device, a->patches, type, b->images, b->visible, kept, &grid);
  linear(m, &a->patch_embed, a->narrow, type, a->patches, (size_t)b->count * (size_t)kept);
  stack_tokens(m, &a->encoder, a->narrow, &b->encoder);
  stack_forward(m, &a->encoder, b->count);

  linear(m, &a->decoder_embed, a->narrow, type, a->encoder.y, seen);
  stack_tokens(m, &a->decoder, a->narrow, &b->decoder);
  stack_forward(m, &a->decoder, b->count);
  linear(m, &a->decoder_pred, m->pred, DTYPE_F32, a->decoder.y, all);
}

void model_loss(Model *m, const Batch *b, int first, float factor, const StepState *state,
                bool backward) {
  const Config *config = m->config;
  PatchGrid grid = {b->count, config->model.image_size, config->model.patch_size,
                    config->train.norm_pix};
  const uint8_t *counted = config->train.loss == LOSS_ALL ? m->act->all_ones : b->masked;
  m->device->kernels->masked_loss(m->device, m->image_loss + first,
                                  backward ? m->act->d_pred : NULL, config_dtype(config), m->pred,
                                  m->extra, b->images, counted, factor, state, &grid);
}
