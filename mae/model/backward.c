/* backward.c - from d_pred to every parameter's gradient: forward.c read from bottom to top. A d_
 * prefix marks the gradient of the loss by what follows; shapes are those of parts.h. */
#include "mae/model/parts.h"

/* Where gradients go: one shard's arena, replaced or added to. */
typedef struct Pass {
  Model *model;
  float *grads;
  Dtype type;
  bool accumulate;
} Pass;

/* d_w[out, in] and d_bias[out] from d_y[rows, out], the gradient of a linear map's output, and its
 * input x[rows, in]. */
static void linear_weight(const Pass *pass, const LinearParams *p, const void *d_y, const void *x,
                          size_t rows) {
  Device *dev = pass->model->device;
  dev->kernels->linear_backward_weight(dev, pass->grads + p->weight, pass->grads + p->bias, d_y, x,
                                       pass->type, rows, p->in, p->out, pass->accumulate);
}

/* d_w alone: what made d_y has summed d_bias on its way. */
static void linear_weight_only(const Pass *pass, const LinearParams *p, const void *d_y,
                               const void *x, size_t rows) {
  Device *dev = pass->model->device;
  dev->kernels->linear_backward_weight(dev, pass->grads + p->weight, NULL, d_y, x, pass->type, rows,
                                       p->in, p->out, pass->accumulate);
}

/* d_x[rows, in] from d_y[rows, out]. */
static void linear_input(const Pass *pass, const LinearParams *p, void *d_x, const void *d_y,
                         size_t rows) {
  Device *dev = pass->model->device;
  dev->kernels->linear_backward_input(dev, d_x, d_y, model_weight(pass->model, p->weight),
                                      pass->type, rows, p->in, p->out);
}

/* d_x = d_residual (NULL: nothing yet), the residual stream's gradient, and that of a layernorm
 * with input x. d_x is then also the gradient of the branch whose output x ends with: of `branch`,
 * its last linear map, the bias's gradient is left (NULL: none). */
static void norm_backward(const Pass *pass, const NormParams *p, const LinearParams *branch,
                          float *d_x, const float *d_residual, const void *d_y, const float *x,
                          const float *mean, const float *rstd, size_t rows, int width) {
  const Activations *a = pass->model->act;
  Device *dev = pass->model->device;
  dev->kernels->layernorm_backward(
      dev, d_x, pass->type == DTYPE_F32 ? NULL : a->d_x16, pass->type, pass->grads + p->weight,
      pass->grads + p->bias, branch ? pass->grads + branch->bias : NULL, d_residual, d_y, x, mean,
      rstd, pass->model->params + p->weight, rows, width, pass->accumulate);
}

static void recompute_norm(const Pass *pass, const NormParams *p, void *y, const float *x,
                           const float *mean, const float *rstd, size_t rows, int width) {
  const Model *m = pass->model;
  if (m->config->train.recompute)
    m->device->kernels->layernorm_apply(m->device, y, pass->type, x, mean, rstd,
                                        m->params + p->weight, m->params + p->bias, rows, width);
}

/* The arena is in the order of the forward pass but for tokens and position tables, which lie in
 * front: from these two parameters on, every gradient is complete. */
static void report_ready(const Pass *pass, size_t decayed_from, size_t rest_from) {
  Model *m = pass->model;
  if (m->ready) m->ready(m->ready_user, m, decayed_from, rest_from);
}

/* The MLP's branch of a block, and its norm: d_x [rows, w] -> wide [rows, 4w] -> narrow [rows, w],
 * which added to d_x makes d_sum2, the residual stream's gradient between attention and MLP. That
 * may be d_x, or `hidden`, which has been read for the last time by then. */
static void mlp_backward(const Pass *pass, const BlockParams *p, const Layer *l, float *d_sum2,
                         size_t rows, int width) {
  const Activations *a = pass->model->act;
  Device *dev = pass->model->device;
  const Kernels *k = dev->kernels;
  if (pass->model->config->train.recompute)
    k->gelu_forward(dev, l->activated, l->hidden, pass->type, rows * 4 * (size_t)width);
  linear_weight_only(pass, &p->fc2, a->d_x16, l->activated, rows);
  linear_input(pass, &p->fc2, a->wide, a->d_x16, rows);
  k->gelu_backward(dev, a->wide, pass->grads + p->fc1.bias, a->wide, l->hidden, pass->type, rows,
                   4 * width, pass->accumulate);
  recompute_norm(pass, &p->norm2, l->y2, l->sum2, l->mean2, l->rstd2, rows, width);
  linear_weight_only(pass, &p->fc1, a->wide, l->y2, rows);
  linear_input(pass, &p->fc1, a->narrow, a->wide, rows);
  norm_backward(pass, &p->norm2, &p->proj, d_sum2, a->d_x, a->narrow, l->sum2, l->mean2, l->rstd2,
                rows, width);
}

/* The attention's projection where the MLP saw the chosen rows only: from their d_sum2 [C, w] to
 * the projection's weight gradient, narrow [N, w], that of its input, and d_x [N, w]: rows that
 * were not chosen have none. */
static void chosen_backward(const Pass *pass, const LinearParams *proj, const Layer *l,
                            const float *d_sum2, const RowChoice *chosen) {
  const Activations *a = pass->model->act;
  Device *dev = pass->model->device;
  const Kernels *k = dev->kernels;
  const void *d_y = pass->type == DTYPE_F32 ? (const void *)d_sum2 : a->d_x16;
  size_t rows = (size_t)chosen->batch * (size_t)chosen->chosen;
  k->rows_gather(dev, a->narrow, l->attended, pass->type, chosen, proj->in);
  linear_weight_only(pass, proj, d_y, a->narrow, rows);
  linear_input(pass, proj, a->wide, d_y, rows);
  k->rows_scatter(dev, a->narrow, a->wide, pass->type, chosen, proj->in);
  k->rows_scatter(dev, a->d_x, d_sum2, DTYPE_F32, chosen, proj->out);
}

/* From d_y, the gradient of the stack's normalised output (narrow or wide), to d_x, the gradient
 * of its first tokens. Uses narrow and wide as scratch. chosen: as stack_forward's. */
static void stack_backward(const Pass *pass, const Stack *s, const void *d_y, int images,
                           int tokens, const RowChoice *chosen) {
  const Activations *a = pass->model->act;
  Device *dev = pass->model->device;
  const Kernels *k = dev->kernels;
  int width = s->tower.width, heads = s->tower.heads;
  size_t rows = (size_t)images * (size_t)tokens; /* N */
  size_t last = chosen ? (size_t)images * (size_t)chosen->chosen : rows;

  norm_backward(pass, &s->norm, &s->blocks[s->tower.depth - 1].fc2, a->d_x, NULL, d_y, s->sum,
                s->mean, s->rstd, last, width);
  for (int i = s->tower.depth - 1; i >= 0; i--) {
    const BlockParams *p = &s->blocks[i];
    const Layer *l = &s->layers[i];

    /* The MLP's branch, then the attention's: d_x [N, w] -> narrow [N, w] -> wide [N, 3w] (of q, k
     * and v) -> narrow [N, w], added to d_x. */
    if (chosen && i == s->tower.depth - 1) {
      mlp_backward(pass, p, l, l->hidden, last, width);
      chosen_backward(pass, &p->proj, l, l->hidden, chosen);
    } else {
      mlp_backward(pass, p, l, a->d_x, rows, width);
      linear_weight_only(pass, &p->proj, a->d_x16, l->attended, rows);
      linear_input(pass, &p->proj, a->narrow, a->d_x16, rows);
    }
    k->attention_backward(dev, a->wide, pass->grads + p->qkv.bias, a->narrow, l->qkv, l->attended,
                          l->lse, pass->type, images, tokens, heads, width / heads,
                          pass->accumulate);
    recompute_norm(pass, &p->norm1, l->y1, l->sum1, l->mean1, l->rstd1, rows, width);
    linear_weight_only(pass, &p->qkv, a->wide, l->y1, rows);
    linear_input(pass, &p->qkv, a->narrow, a->wide, rows);
    norm_backward(pass, &p->norm1, i ? &s->blocks[i - 1].fc2 : NULL, a->d_x, a->d_x, a->narrow,
                  l->sum1, l->mean1, l->rstd1, rows, width);
    report_ready(pass, p->qkv.weight, p->norm1.weight);
  }
}

/* Fixed tables have no gradient. */
static float *grad_or_null(const Pass *pass, const Param *p) {
  return p && p->trainable ? pass->grads + p->offset : NULL;
}

/* From d_x to the gradient of the rows the tokens were made from, in narrow. */
static void stack_tokens_backward(const Pass *pass, const Stack *s, const TokenMap *map) {
  const Activations *a = pass->model->act;
  Device *dev = pass->model->device;
  dev->kernels->tokens_backward(dev, a->narrow, pass->type, grad_or_null(pass, s->class_token),
                                grad_or_null(pass, s->mask_token), grad_or_null(pass, s->positions),
                                a->d_x, map, s->tower.width, pass->accumulate);
}

void model_backward(Model *m, const Batch *b, int slot, bool accumulate) {
  const Activations *a = m->act;
  Pass pass = {m, m->grads[slot], config_dtype(m->config), accumulate};
  size_t seen = (size_t)b->count * (size_t)b->encoder.tokens;
  size_t predicted = (size_t)b->count * (size_t)b->rows;
  RowChoice chosen = chosen_rows(m, b);

  /* d_pred [B, rows, 3pp] -> narrow [.., e] -> d_x [B, extra + L, e] */
  linear_weight(&pass, &a->decoder_pred, a->d_pred, a->decoder.y, predicted);
  linear_input(&pass, &a->decoder_pred, a->narrow, a->d_pred, predicted);
  stack_backward(&pass, &a->decoder, a->narrow, b->count, b->decoder.tokens,
                 b->compact ? &chosen : NULL);
  /* d_x -> narrow [B, encoder's tokens, e] -> wide [.., d] -> d_x [B, encoder's tokens, d] */
  stack_tokens_backward(&pass, &a->decoder, &b->decoder);
  linear_weight(&pass, &a->decoder_embed, a->narrow, a->encoder.y, seen);
  linear_input(&pass, &a->decoder_embed, a->wide, a->narrow, seen);
  stack_backward(&pass, &a->encoder, a->wide, b->count, b->encoder.tokens, NULL);
  /* d_x -> narrow [B, kept, d]; pixels have no gradient. */
  stack_tokens_backward(&pass, &a->encoder, &b->encoder);
  linear_weight(&pass, &a->patch_embed, a->narrow, a->patches, (size_t)b->count * (size_t)b->kept);
  report_ready(&pass, 0, m->table.decayed);
}
