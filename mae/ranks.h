/* ranks.h - processes that train one model. Each computes one shard's gradient, the gradients are
 * added up, and all make the same update.
 *
 * On one machine the program forks the other ranks. Gradients go through NCCL on GPUs
 * (ranks_nccl.c), through memory shared by the processes otherwise (ranks_local.c), which adds them
 * in rank order. The sum of two numbers is one number whoever adds them, so one process with two
 * shards and two ranks compute the same bits, by either way. With more ranks the order is NCCL's:
 * the same in every run on the same machines, and no other rank count's.
 *
 * A rank that has ended is noticed within a second by those that wait for it, one that hangs after
 * train.rank_timeout. From then on every call fails with a message that says so. */
#ifndef MAE_RANKS_H
#define MAE_RANKS_H

#include <pthread.h>
#include <stdatomic.h>
#include <sys/types.h>

#include "mae/step.h"

typedef struct RankNccl RankNccl;

typedef struct Ranks {
  int rank, count; /* count 1: every call below is trivial */
  const Config *config;
  size_t gradient_count;
  struct RankShare *share; /* memory of all ranks, where they are on one machine */
  pid_t parent, *children; /* [count]: rank 0's children by rank; 0: none, or waited for */
  RankNccl *nccl;          /* NULL: gradients go through `share` */
  atomic_uint meetings;    /* calls so far in which all ranks take part */
  atomic_bool failed;      /* and `error` says why */
  Error error;
  pthread_mutex_t lock; /* of children, failed and error */
} Ranks;

/* Forks the other ranks; returns in all, `rank` tells which. Must come before the process uses
 * OpenMP or opens a device, since threads do not survive a fork. */
bool ranks_start(Ranks *, const Config *, Error *);
/* Once the device is open: on GPUs, where the build has NCCL, starts it. */
bool ranks_connect(Ranks *, Device *, Error *);
/* Makes a step exchange its gradients with the other ranks'. */
void ranks_join(Ranks *, TrainStep *);
/* False when another rank is lost; asked around anything that waits for the device. */
bool ranks_check(Ranks *, Error *);
/* Waits for the other ranks. */
bool ranks_barrier(Ranks *, Error *);
/* All ranks return the value that rank 0 gave. */
bool ranks_decide(Ranks *, int64_t *value, Error *);
/* Compares a hash of the training state: the ranks' states must never differ. */
bool ranks_compare(Ranks *, const char hash[65], Error *);
/* A rank but rank 0 ends here, leaving its error for rank 0 to report; rank 0 waits for the others,
 * or, when `e` holds an error, ends them. */
void ranks_stop(Ranks *, const Error *e);

#endif
