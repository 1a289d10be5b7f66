/* step.h - one training step: forward, loss and backward of every micro-batch, then gradient norm
 * and AdamW. The trainer and `mae bench` run this same code.
 *
 * The images of a step are numbered 0 .. train.batch-1. Shard s is images [s, s+1) * batch/shards;
 * its gradient is summed apart, micro-batch after micro-batch, and then the shards are added: by
 * the optimiser when this process holds both of two, by exchange() when each rank holds one. So the
 * bits of two ranks are those of one. (Of more than two shards in one process, all but the first go
 * into the second sum.) A process holds `shards` shards from first_shard on. Host arrays given to
 * step_* cover the images held here, in order. Nothing is allocated after step_create. */
#ifndef MAE_STEP_H
#define MAE_STEP_H

#include "mae/batch.h"

typedef struct TrainStep {
  const Config *config;
  Model *model;
  Device *device;
  int first_shard, shards;
  int first_image, images; /* held here */
  BatchBuffers input;      /* fill with batch_set_crops or _images, and batch_set_masks */
  StepState *state;        /* device */
  float *rate_table;       /* device, one learning rate per step */
  float *losses;           /* host, [train.batch] scratch of step_result */
  /* With several ranks. ready: see model.h; only in the backward pass that completes the gradient.
   * exchange: before the optimiser; must turn grads[0] into the sum of all ranks' gradients and
   * bring the other ranks' part of model->image_loss. NULL: nothing to bring. */
  GradientReady ready;
  void (*exchange)(void *user, Model *);
  void *user;
} TrainStep;

/* rates: learning rate of every step of the run (schedule_rate). The state starts at step 0. */
bool step_create(TrainStep *, Model *, int first_shard, int shards, const float *rates,
                 size_t rate_count, Error *);
void step_destroy(TrainStep *);
void step_set_state(TrainStep *, const StepState *); /* after a checkpoint was loaded */

/* Queues one step on the filled input. The gradient norm is always computed: one more pass over the
 * gradients (about 1% of a step) buys a logged norm and an update that never takes in a NaN. */
void step_run(TrainStep *);
/* Waits, then reads back the state and the loss: mean over images and counted patches, added up in
 * image order in double. False when the device failed; a loss that is not finite is the caller's to
 * judge. */
bool step_result(TrainStep *, StepState *state, double *loss, Error *);

#endif
