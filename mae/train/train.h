/* train.h - one training run: data -> shards -> gradients -> optimiser -> events, checkpoints,
 * evaluation. */
#ifndef MAE_TRAIN_TRAIN_H
#define MAE_TRAIN_TRAIN_H

#include "mae/config/config.h"

typedef struct TrainOptions {
  const char *out;    /* run folder: events.jsonl, checkpoints/, sheet.png; created */
  bool resume;        /* continue from the newest checkpoint when there is one */
  int64_t stop_after; /* stop as if interrupted after so many steps in total; 0: never */
  bool quiet;
} TrainOptions;

/* Runs to the end, to an error, or to SIGINT/SIGTERM (checkpoint, `end` with status interrupted,
 * exit 128+signal). Returns the process's exit code; the error has been told, and is in *e. */
int train_run(const Config *, const TrainOptions *, Error *e);

#endif
