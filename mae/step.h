/* step.h - one training step: forward, loss and backward of every micro-batch, then gradient norm
 * and AdamW. The trainer and `mae bench` run this same code.
 *
 * The images of a step are numbered 0 .. train.batch-1. Shard s is images [s, s+1) * batch/shards;
 * its gradient is summed apart into model->grads[s], micro-batch after micro-batch, and the
 * optimiser adds the two shards, so the bits do not depend on who computed which. A process holds
 * `shards` shards from first_shard on: all of them, or one each when train.ranks is 2. Host arrays
 * given to step_* cover the images held here, in order. Nothing is allocated after step_create. */
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
  /* Called when the gradients of the shards held here are complete, before the optimiser: must
   * bring the other ranks' grads[] and their images' model->image_loss. NULL: nothing to bring. */
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
