/* train.h - one training run: data -> shards -> gradients -> optimiser -> events, checkpoints,
 * evaluation. */
#ifndef MAE_TRAIN_TRAIN_H
#define MAE_TRAIN_TRAIN_H

#include "mae/config/config.h"

typedef struct TrainOptions {
  const char *out;    /* run folder: events.jsonl, checkpoints/, sheet.png; created */
  bool resume;        /* continue from the newest checkpoint when there is one */
  int64_t stop_after; /* stop as if interrupted after so many steps in total; 0: never */
  double time_limit;  /* seconds from the call on; 0: none */
  bool quiet;
} TrainOptions;

/* Runs to the end, to an error, to SIGINT/SIGTERM (checkpoint, `end` with status interrupted, exit
 * 128+signal), or until the time limit leaves no more than another step, score or checkpoint may
 * take (the same, exit EXIT_TIME); at least one step is done all the same. Returns the process's
 * exit code; the error has been told, and is in *e. */
int train_run(const Config *, const TrainOptions *, Error *e);

#endif
