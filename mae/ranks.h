/* ranks.h - two processes that train one model: each computes one shard's gradient, and exchange
 * brings it the other's, so both make the same update. Gradients go through memory shared by the
 * two processes. A barrier that waits in vain notices that the other process is gone, and every
 * call after that fails with a message that says so. */
#ifndef MAE_RANKS_H
#define MAE_RANKS_H

#include <stdint.h>
#include <sys/types.h>

#include "mae/model.h"

typedef struct Ranks {
  int rank, count; /* count 1: every call below is trivial */
  pid_t peer;      /* the other process */
  bool gone;       /* it has ended and been waited for */
  int shard_images;
  size_t gradient_count;
  struct RankShare *share; /* shared: barrier, messages ... */
  float *gradients[2];     /* ... [gradient_count] per rank ... */
  float *losses;           /* ... and image_loss of both */
  size_t share_bytes;
  bool failed;
  Error error;
} Ranks;

/* Forks the second process; returns in both, `rank` tells which. Must come before the process uses
 * OpenMP or opens a device, since threads do not survive a fork. */
bool ranks_start(Ranks *, const Config *, Error *);
/* TrainStep.exchange: user is the Ranks. Failure is kept in `failed` and `error`. */
void ranks_exchange(void *user, Model *);
/* Waits for the other rank. */
bool ranks_barrier(Ranks *, Error *);
/* Both ranks return the value that rank 0 gave. */
bool ranks_decide(Ranks *, int64_t *value, Error *);
/* Compares a hash of the training state: the ranks' states must never differ. */
bool ranks_compare(Ranks *, const char hash[65], Error *);
/* Rank 1 ends here, leaving its error for rank 0 to report; rank 0 waits for it, or, when `e` holds
 * an error, ends it. */
void ranks_stop(Ranks *, const Error *e);

#endif
