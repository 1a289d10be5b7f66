/* step.h - one training step: forward, loss and backward of every micro-batch, then gradient norm
 * and AdamW. The trainer and `mae bench` run this same code.
 *
 * The images of a step are numbered 0 .. train.batch-1. Shard s is images [s, s+1) * batch/shards;
 * its gradient is summed apart, micro-batch after micro-batch, and then the shards are added: by
 * the optimiser when this process holds both of two, by `exchange` when each rank holds one. So the
 * bits of two ranks are those of one. (Of more than two shards in one process, all but the first go
 * into the second sum.) A process holds `shards` shards from first_shard on. Host arrays given to
 * step_* cover the images held here, in order. Nothing is allocated after step_create.
 *
 * On a GPU nothing in here waits for the device but step_result: the next step's input is brought
 * while one step computes, into the buffers of the step before (there are two), and a step's work
 * is recorded and replayed. So a caller keeps the device busy by queueing the next step before it
 * asks for the result of the last. */
#ifndef MAE_TRAIN_STEP_H
#define MAE_TRAIN_STEP_H

#include "mae/model/batch.h"

enum { STEP_SLOTS = 2 };

typedef struct TrainStep {
  const Config *config;
  Model *model;
  Device *device;
  int first_shard, shards;
  int first_image, images;         /* held here */
  BatchBuffers inputs[STEP_SLOTS]; /* the first `slots` exist; steps take turns */
  Recording *recordings[STEP_SLOTS];
  int slots, slot;                        /* slot: of the input last filled or being filled */
  bool filling;                           /* between step_input and step_run */
  StepState *state;                       /* device */
  float *rate_table;                      /* device, one learning rate per step */
  struct StepResult *results[STEP_SLOTS]; /* page-locked, of the last steps */
  uint64_t queued;                        /* steps so far */
  GradientExchange exchange; /* with other ranks (ranks_exchange); all zero: there are none */
} TrainStep;

/* rates: learning rate of every step of the run (schedule_rate). The state starts at step 0. */
bool step_create(TrainStep *, Model *, int first_shard, int shards, const float *rates,
                 size_t rate_count, Error *);
void step_destroy(TrainStep *);
void step_set_state(TrainStep *, const StepState *); /* after a checkpoint was loaded */

/* The input of the next step, to be filled with pool_fill_batch or _images, and batch_set_masks.
 * Between this call and step_run, operations go to the queue that brings inputs. */
BatchBuffers *step_input(TrainStep *);
/* Queues one step on the input last filled. The gradient norm is always computed: one more pass
 * over the gradients (about 1% of a step) buys a logged norm and an update that never takes in a
 * NaN. */
void step_run(TrainStep *);
/* Waits for the last step queued (back = 0), or for the one before it (back = 1), and gives the
 * state after it and its loss: mean over images and counted patches, added up in image order in
 * double. False when the device failed; a loss that is not finite is the caller's to judge. */
bool step_result(TrainStep *, int back, StepState *state, double *loss, Error *);
/* Device memory beyond what model_memory() counts. */
size_t step_memory(const Config *, bool gpu);

#endif
