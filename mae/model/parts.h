/* parts.h - what a Model is made of; shared by model.c, memory.c, forward.c and backward.c only.
 *
 * Shapes: B images of a micro-batch, N = B * tokens rows of a stack, w its width (d the encoder's,
 * e the decoder's), L patches, `kept` of them visible, 3pp values of a patch. `void *` buffers are
 * in the compute type, `float *` always fp32.
 *
 * Of a compact batch the decoder's last block works on C = B * hidden patches rows from its
 * projection on; the buffers, which have room for all N, hold C rows then: the last layer's sum2 to
 * activated, but for `attended`; the final norm's; d_pred and model->pred. */
#ifndef MAE_MODEL_PARTS_H
#define MAE_MODEL_PARTS_H

#include "mae/model/model.h"

/* Offsets into the parameter arena. */
typedef struct NormParams {
  size_t weight, bias;
} NormParams;

typedef struct LinearParams {
  size_t weight, bias;
  int in, out;
} LinearParams;

typedef struct BlockParams {
  NormParams norm1, norm2;
  LinearParams qkv, proj, fc1, fc2;
} BlockParams;

/* What the backward pass of a block reads. */
typedef struct Layer {
  float *sum1;              /* [N, w] residual stream at the block's entry */
  float *mean1, *rstd1;     /* [N] */
  void *y1;                 /* [N, w] norm1's output; shared by all layers when recomputed */
  void *qkv;                /* [N, 3w] */
  float *lse;               /* [B, heads, tokens] */
  void *attended;           /* [N, w] */
  float *sum2;              /* [N, w] residual stream between attention and MLP */
  float *mean2, *rstd2;     /* [N] */
  void *y2;                 /* [N, w] as y1 */
  void *hidden, *activated; /* [N, 4w] before and after GELU; the latter as y1 */
} Layer;

/* Encoder or decoder. */
typedef struct Stack {
  Tower tower;
  BlockParams *blocks;
  Layer *layers;
  NormParams norm;
  float *sum, *mean, *rstd; /* final norm: its input [N, w] and statistics [N] */
  void *y;                  /* [N, w] its output */
  const Param *positions, *class_token, *mask_token; /* NULL: none */
} Stack;

typedef struct Activations {
  void *arena;
  Stack encoder, decoder;
  LinearParams patch_embed, decoder_embed, decoder_pred;
  void *patches; /* [B, kept, 3pp] */
  void *narrow;  /* scratch [N, w]: a branch's output, later its gradient */
  void *wide;    /* scratch [N, 4w]: gradients of qkv and hidden */
  float *d_x;    /* [N, w] gradient of the residual stream */
  void *d_x16;   /* [N, w] the same in the compute type: d_x itself when that is fp32 */
  void *d_pred;  /* [B, the batch's rows, 3pp] */
} Activations;

/* Resolves the parameters and carves the arena; the model's params are in place already. */
bool activations_create(Model *, bool trains, Error *);
void activations_destroy(Model *);
size_t activations_memory(const Config *, int batch, bool trains);

/* The rows of the decoder's tokens that a compact batch goes on with. */
RowChoice chosen_rows(const Model *, const Batch *);

/* A weight or bias as the matrix products read it: the 16-bit copy where there is one. */
const void *model_weight(const Model *, size_t offset);

#endif
