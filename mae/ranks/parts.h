/* parts.h - what the files of this room share, and nobody else needs. */
#ifndef MAE_RANKS_PARTS_H
#define MAE_RANKS_PARTS_H

#include "mae/ranks/ranks.h"

enum { RANK_MESSAGE_MAX = 128 };

/* Keeps the first failure: "the message; the last checkpoint is good, continue with --resume".
 * Returns false. */
bool ranks_fail(Ranks *, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Marks of a device that are the ranks': a gradient is complete; all is exchanged. */
enum { MARK_GRADIENT = DEVICE_MARKS - 2, MARK_EXCHANGED };

/* How ranks reach each other. A member that has nothing to do is NULL; gather never is. */
struct RankLink {
  /* all[count][bytes] = every rank's `bytes` bytes (at most RANK_MESSAGE_MAX), in rank order. */
  bool (*gather)(Ranks *, void *all, const void *own, size_t bytes, Error *);
  /* False, and the ranks have failed, when one of them has ended; one that has finished its work
   * counts only while this rank is `waiting` for it. From any thread. */
  bool (*alive)(Ranks *, bool waiting);
  void (*exchange)(Ranks *, Model *); /* gradients and losses, through the host's memory */
  void (*stop)(Ranks *, int code, Error *);
  void (*close)(Ranks *, const Error *);
};

/* Tells ranks->waiting that it waits for the others, so many seconds so far. */
void ranks_tell_waiting(const Ranks *, double seconds);

bool ranks_gather(Ranks *, void *all, const void *own, size_t bytes, Error *);

/* Ranks of one machine. */
bool ranks_local_start(Ranks *, Error *);
/* Ranks of many; no_mpi.c where MPI is not there. */
bool ranks_mpi_start(Ranks *, const RankLaunch *, Error *);
/* The library's name and version, or "". */
void ranks_mpi_library(char *text, size_t size);

/* Ranks with a GPU each; no_nccl.c where NCCL is not there, and then ranks->nccl stays NULL.
 * Between open and close a thread watches the other ranks. Closed because the run has failed, it
 * leaves ranks->nccl as it is: what the device still has to do may wait for ranks that are gone. */
bool ranks_nccl_open(Ranks *, Device *, Error *);
void ranks_nccl_library(char *text, size_t size); /* as ranks_mpi_library */
void ranks_nccl_close(Ranks *, bool failed);
void ranks_nccl_ready(Ranks *, Model *, size_t decayed_from, size_t rest_from);
void ranks_nccl_exchange(Ranks *, Model *);

#endif
