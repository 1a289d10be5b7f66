/* train.h - one training run: data -> shards -> gradients -> optimiser -> events, checkpoints,
 * evaluation. */
#ifndef MAE_TRAIN_H
#define MAE_TRAIN_H

#include "mae/evaluate.h"

typedef struct TrainOptions {
  const char *out;    /* run folder: events.jsonl, checkpoints/, sheet.png; created */
  bool resume;        /* continue from the newest checkpoint when there is one */
  int64_t stop_after; /* stop as if interrupted after so many steps in total; 0: never */
  bool quiet;
} TrainOptions;

/* Runs to the end, to an error, or to SIGINT/SIGTERM (checkpoint, `end` with status interrupted,
 * exit 128+signal). Returns the process's exit code; the error has been told, and is in *e. */
int train_run(const Config *, const TrainOptions *, Error *e);

/* Learning rate of `step` (from 0): warm-up, then cosine (schedule in NUMERICS). */
double schedule_rate(const Config *, int64_t step, int64_t steps, double steps_per_epoch);
double schedule_warmup_epochs(const Config *, double steps_per_epoch);
/* Steps of the whole run, and per epoch (whole: the last, incomplete batch is dropped). */
bool schedule_steps(const Config *, int train_images, int64_t *steps, double *steps_per_epoch,
                    Error *);

#endif
