/* forward.c - images to predictions, and predictions to the loss. It reads from top to bottom as
 * the paper's figure from left to right; shapes are those of parts.h. */
#include "mae/model/parts.h"

/* y[rows, out] = x[rows, in] w^T + bias, which is of y's type. */
static void linear(const Model *m, const LinearParams *p, void *y, Dtype y_type, const void *x,
                   size_t rows) {
  Dtype type = config_dtype(m->config);
  const void *bias = y_type == type ? model_weight(m, p->bias) : m->params + p->bias;
  m->device->kernels->linear_forward(m->device, y, y_type, x, model_weight(m, p->weight), bias,
                                     type, rows, p->in, p->out);
}

/* Pre-norm blocks on the tokens in the first layer's residual stream: x += proj(attn(norm1(x))), x
 * += fc2(gelu(fc1(norm2(x)))). Leaves the stream's end in s->sum and, normalised, in s->y. A
 * block's branch is added to the stream by the next layernorm, so that the stream is read and
 * written once per branch. `tokens` of each image. chosen: the rows that go on behind the last
 * block's attention, NULL for all. */
static void stack_forward(const Model *m, const Stack *s, int images, int tokens,
                          const RowChoice *chosen) {
  const Kernels *k = m->device->kernels;
  Device *dev = m->device;
  Dtype type = config_dtype(m->config);
  const float *params = m->params;
  int width = s->tower.width, heads = s->tower.heads;
  size_t rows = (size_t)images * (size_t)tokens; /* N */
  void *branch = m->act->narrow;                 /* [N, w] */

  const float *x = s->layers[0].sum1; /* [N, w] */
  for (int i = 0; i < s->tower.depth; i++) {
    const BlockParams *p = &s->blocks[i];
    const Layer *l = &s->layers[i];
    /* sum1 = x + branch, y1 = norm1(sum1): [N, w] both */
    k->layernorm_forward(dev, l->y1, type, i ? l->sum1 : NULL, l->mean1, l->rstd1, x,
                         i ? branch : NULL, params + p->norm1.weight, params + p->norm1.bias, rows,
                         width);
    /* [N, w] -> [N, 3w], each row {q,k,v} of all heads */
    linear(m, &p->qkv, l->qkv, type, l->y1, rows);
    /* [B, tokens, {q,k,v}, heads, w/heads] -> [B, tokens, heads, w/heads] */
    k->attention_forward(dev, l->attended, l->lse, l->qkv, type, images, tokens, heads,
                         width / heads);
    const void *attended = l->attended;
    x = l->sum1;
    if (chosen && i == s->tower.depth - 1) {
      /* N -> C rows of both, into what is not in use yet */
      k->rows_gather(dev, l->activated, attended, type, chosen, width);
      k->rows_gather(dev, l->sum2, x, DTYPE_F32, chosen, width);
      attended = l->activated;
      x = l->sum2;
      rows = (size_t)images * (size_t)chosen->chosen;
    }
    /* [N, w] -> [N, w] */
    linear(m, &p->proj, branch, type, attended, rows);
    /* sum2 = sum1 + branch, y2 = norm2(sum2) */
    k->layernorm_forward(dev, l->y2, type, l->sum2, l->mean2, l->rstd2, x, branch,
                         params + p->norm2.weight, params + p->norm2.bias, rows, width);
    /* [N, w] -> [N, 4w] -> [N, 4w] -> [N, w] */
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

/* Puts the stack's tokens together from rows of src into the first layer's residual stream: [B,
 * map->sources, w] -> [B, map->tokens, w]. */
static void stack_tokens(const Model *m, const Stack *s, const void *src, const TokenMap *map) {
  m->device->kernels->tokens_forward(
      m->device, s->layers[0].sum1, src, config_dtype(m->config), param_or_null(m, s->class_token),
      param_or_null(m, s->mask_token), param_or_null(m, s->positions), map, s->tower.width);
}

void model_encode(Model *m, const Batch *b, const float **stream, const void **normed) {
  Activations *a = m->act;
  Dtype type = config_dtype(m->config);
  PatchGrid grid = {b->count, m->config->model.image_size, m->config->model.patch_size,
                    m->config->train.norm_pix};
  /* [B, size, size, 3] -> [B, kept, 3pp] -> [B, kept, d] -> [B, tokens, d] */
  m->device->kernels->patch_gather(m->device, a->patches, type, b->images, b->visible, b->kept,
                                   &grid);
  linear(m, &a->patch_embed, a->narrow, type, a->patches, (size_t)b->count * (size_t)b->kept);
  stack_tokens(m, &a->encoder, a->narrow, &b->encoder);
  stack_forward(m, &a->encoder, b->count, b->encoder.tokens, NULL);
  if (stream) *stream = a->encoder.sum;
  if (normed) *normed = a->encoder.y;
}

RowChoice chosen_rows(const Model *m, const Batch *b) {
  return (RowChoice){.ids = b->patch_of,
                     .batch = b->count,
                     .rows = b->decoder.tokens,
                     .chosen = b->rows,
                     .first = m->extra};
}

void model_forward(Model *m, const Batch *b) {
  Activations *a = m->act;
  Dtype type = config_dtype(m->config);
  size_t seen = (size_t)b->count * (size_t)b->encoder.tokens;
  RowChoice chosen = chosen_rows(m, b);

  model_encode(m, b, NULL, NULL);
  /* [B, encoder's tokens, d] -> [.., e] -> [B, extra + L, e] with mask tokens where patches hide */
  linear(m, &a->decoder_embed, a->narrow, type, a->encoder.y, seen);
  stack_tokens(m, &a->decoder, a->narrow, &b->decoder);
  stack_forward(m, &a->decoder, b->count, b->decoder.tokens, b->compact ? &chosen : NULL);
  /* [B, rows, e] -> [B, rows, 3pp] */
  linear(m, &a->decoder_pred, m->pred, DTYPE_F32, a->decoder.y, (size_t)b->count * (size_t)b->rows);
}

void model_loss(Model *m, const Batch *b, int first, float factor, const StepState *state,
                bool backward) {
  const Config *config = m->config;
  PatchGrid grid = {b->count, config->model.image_size, config->model.patch_size,
                    config->train.norm_pix};
  /* pred [B, rows, 3pp] against the images' patches -> image_loss [B], d_pred as pred */
  m->device->kernels->masked_loss(m->device, m->image_loss + first,
                                  backward ? m->act->d_pred : NULL, config_dtype(config), m->pred,
                                  b->patch_of, b->rows, b->images, factor, state, &grid);
}
