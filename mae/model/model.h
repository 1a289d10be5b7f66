/* model.h - forward and backward pass of a masked autoencoder over a Device.
 *
 * All memory is carved at creation: one arena each for parameters, gradients (one per shard held
 * here), moments and activations; nothing is allocated inside a step. A micro-batch of images
 * goes through model_forward and model_backward; model->batch is the most it may hold, a smaller
 * last evaluation batch passes its own count. batch.h makes a Batch, step.h runs whole steps. */
#ifndef MAE_MODEL_MODEL_H
#define MAE_MODEL_MODEL_H

#include <stdint.h>

#include "mae/config/config.h"
#include "mae/model/params.h"

/* A micro-batch as the model reads it; all pointers on the device. */
typedef struct Batch {
  int count;              /* images, at most model_capacity(model, kept) */
  int kept;               /* patches of each image that the encoder sees */
  const uint8_t *images;  /* [count, size, size, 3] */
  const int32_t *visible; /* [count, kept] patch numbers, encoder's order */
  const uint8_t *masked;  /* [count, L] 1: hidden */
  TokenMap encoder, decoder;
  bool compact;            /* the decoder predicts only the patches in the loss; needs a model that
                            * trains */
  int rows;                /* of each image in model->pred: those, or every decoder token */
  const int32_t *patch_of; /* [count, rows] the patch in the loss that a row predicts, or -1; of a
                            * compact batch ascending, and none is -1 */
} Batch;

typedef struct ModelMemory { /* bytes on the device, computed from a Config alone */
  size_t params, gradients, moments, activations;
  size_t io; /* inputs of a step or of an evaluation batch, losses, predictions */
  size_t total;
} ModelMemory;

typedef struct Model Model;

/* Called while a backward pass goes on: gradients from these offsets on are final. All operations
 * on the arena's [decayed_from, table.decayed) and [rest_from, table.trainable) are queued. Both
 * offsets only fall; in the end they are 0 and table.decayed. */
typedef void (*GradientReady)(void *user, Model *, size_t decayed_from, size_t rest_from);

/* How a training step's gradient meets those that other processes computed. */
typedef struct GradientExchange {
  GradientReady ready; /* only in the backward pass that completes the gradient; or NULL */
  /* Before the optimiser: turns grads[0] into the sum of all processes' gradients, and brings their
   * part of model->image_loss. NULL: this process has the whole batch. */
  void (*run)(void *user, Model *);
  bool only_queues; /* neither waits for the device nor moves data through the host */
  void *user;
} GradientExchange;

struct Model {
  const Config *config;
  Device *device;
  ParamTable table;
  float *params;     /* device, [table.total] */
  void *params16;    /* device, [table.trainable] in the compute type; NULL when fp32 */
  float *grads[2];   /* device, [table.trainable] sums of shards (step.h); the second may be NULL */
  float *m, *v;      /* device, [table.trainable] */
  float *image_loss; /* device, [batch of a step] per-image loss sums of the current step */
  float *pred;       /* device, [micro-batch, the batch's rows, 3pp] of the last forward pass */
  int batch;         /* images that fit: model_micro_batch, for evaluation at most eval.batch */
  int extra;         /* rows of an image before its first patch: the class token's */
  struct Activations *act;
  GradientReady ready; /* called in model_backward; NULL: nobody asks */
  void *ready_user;
};

/* trains: false allocates for evaluation only (no gradients, no moments). */
bool model_create(Model *, const Config *, Device *, bool trains, Error *);
void model_destroy(Model *);
int model_micro_batch(const Config *); /* images through the model at once in training */
ModelMemory model_memory(const Config *, bool trains);

/* Draws initial weights from run.seed and uploads them. */
bool model_init_weights(Model *, Error *);
/* After the fp32 weights changed from outside: refreshes the 16-bit copies. */
void model_sync_weights(Model *);

/* Images that fit at once when the encoder sees `kept` patches of each: `batch` of those that the
 * configuration masks, fewer when it sees more; at least 1. */
int model_capacity(const Model *, int kept);
/* The encoder alone. Leaves its tokens, class token first, in the order of the batch's maps: before
 * the final norm in *stream, after it in *normed (compute type), both [count, tokens, width]. */
void model_encode(Model *, const Batch *, const float **stream, const void **normed);
/* Encoder and decoder: predictions into model->pred, of every patch or, when the batch is compact,
 * of those in the loss. The others' rows end in the last decoder block, behind its attention: from
 * there on no row sees another, so the loss and its gradient are the same function for less work.
 */
void model_forward(Model *, const Batch *);
/* Loss of the last forward pass into image_loss[first .. first+count), and d_pred. factor: the
 * weight of one image_loss in the objective, 1/(step batch x counted patches). */
void model_loss(Model *, const Batch *, int first, float factor, const StepState *, bool backward);
/* Gradient of the objective into grads[slot], added to it when accumulate is set. Follows
 * model_loss(.., true). */
void model_backward(Model *, const Batch *, int slot, bool accumulate);

/* Multiply-add counts (mae/README.md, Work per image): 12 n w^2 + 2 n^2 w per block and the
 * projections, less what a compact batch leaves out. GFLOP of one image in a training step (forward
 * and backward) as it is done, or in a forward pass that predicts every patch. */
double model_gflops_per_image(const Config *, bool training);
/* Of a forward pass of the encoder over all patches (model_encode). */
double model_gflops_whole_image(const Config *);
/* The decoder's part of a training step's. */
double model_gflops_decoder_per_image(const Config *);

#endif
