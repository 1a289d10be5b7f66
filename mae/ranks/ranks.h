/* ranks.h - processes that train one model. Each computes one shard's gradient, the gradients are
 * added up, and all make the same update.
 *
 * On one machine the program forks the other ranks (local.c). On many, `mpirun` or Slurm
 * starts them all and MPI joins them (mpi.c, where the build has it). Gradients go through
 * NCCL on GPUs (nccl.c), otherwise through shared memory or MPI, which add them in rank
 * order. The sum of two numbers is one number whoever adds them, so one process with two shards and
 * two ranks compute the same bits, by either way. With more ranks the order is NCCL's: the same in
 * every run on the same machines, and no other rank count's.
 *
 * A rank that has ended is noticed within a second, by those that wait for it or by the launcher;
 * one that hangs after train.rank_timeout. From then on every call fails with a message that says
 * so. */
#ifndef MAE_RANKS_RANKS_H
#define MAE_RANKS_RANKS_H

#include <pthread.h>
#include <stdatomic.h>
#include <sys/types.h>

#include "mae/base/progress.h"
#include "mae/model/model.h"

/* Processes that a launcher started together with this one, as the environment says. One process
 * started by a launcher is as good as none (count 1): a batch script's, or `srun -n 1`. */
typedef struct RankLaunch {
  int rank, count;
  const char *launcher, *variable; /* "srun", and where the count stands */
} RankLaunch;
RankLaunch ranks_launch(void);
/* Whether "NAME=value" is a variable that ranks_launch reads: it is about this process, and not for
 * programs that this one starts. */
bool ranks_launch_variable(const char *entry);

/* "Open MPI v4.1.4, NCCL 2.25.1": what this build joins ranks by; "" where it has neither. May be
 * asked before anything has started. */
void ranks_libraries(char *text, size_t size);

typedef struct RankNccl RankNccl;
typedef struct RankMpi RankMpi;
typedef struct RankLink RankLink;

typedef struct Ranks {
  int rank, count;   /* count 1: every call below is trivial */
  int node_rank;     /* among the ranks on this machine */
  int gpu, sharers;  /* the rank's GPU, and how many ranks share this one's CPUs: device_open's */
  char started[256]; /* who joined the ranks, for the provenance; "": this program itself */
  const Config *config;
  const RankLink *link; /* NULL: not started */
  size_t gradient_count;
  struct RankShare *share; /* memory of all ranks that were forked */
  pid_t parent, *children; /* [count]: rank 0's children by rank; 0: none, or waited for */
  RankMpi *mpi;
  RankNccl *nccl;       /* NULL: gradients go through the host's memory */
  atomic_uint meetings; /* calls so far in which all ranks take part */
  atomic_bool failed;   /* and `error` says why */
  Error error;
  pthread_mutex_t lock; /* of children, failed and error */
  /* Hears for how many seconds this rank waits for the others; NULL: nobody does. Set where others
   * may work for long, so that this rank is not taken for one that hangs. */
  const ProgressListener *waiting;
} Ranks;

/* Forks the other ranks, or meets those that a launcher started; returns in all, `rank` tells
 * which. Must come before the process uses OpenMP or opens a device, since threads do not survive a
 * fork. */
bool ranks_start(Ranks *, const Config *, Error *);
/* Once the device is open: on GPUs, where the build has NCCL, starts it. */
bool ranks_connect(Ranks *, Device *, Error *);
/* How a step's gradient becomes the sum of all ranks' (TrainStep.exchange), once connected. */
GradientExchange ranks_exchange(Ranks *);
/* False when another rank is lost; asked around anything that waits for the device. */
bool ranks_check(Ranks *, Error *);
/* Waits for the other ranks. */
bool ranks_barrier(Ranks *, Error *);
/* All ranks return the first value, in rank order, that is not 0. */
bool ranks_decide(Ranks *, int64_t *value, Error *);
/* The `count` (at most 16) values become their sums over all ranks. */
bool ranks_sum(Ranks *, double *values, int count, Error *);
/* All ranks must have the same text, of at most 64 characters; else the error, with this exit code,
 * says that `what` of two ranks differ, and the advice. */
bool ranks_compare(Ranks *, const char *what, const char *text, int code, const char *advice,
                   Error *);
/* Ranks end together. Does not return except on rank 0: the other processes end in here, leaving
 * their error for rank 0 to report, or with exit code `code` when there is none. Rank 0 returns
 * with the error, if any, of a rank. */
void ranks_stop(Ranks *, int code, Error *);
/* Rank 0 has reported; the others, which may have waited for that, are gone. Does not return, but
 * ends the process with the error's code, when ranks joined by NCCL have failed. */
void ranks_close(Ranks *, const Error *);

#endif
