/* ranks.c - what the rest of the program calls: it chooses how ranks are joined, and asks through
 * that RankLink. */
#include "mae/ranks/ranks.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mae/ranks/parts.h"

/* One rank, by itself. */
static bool alone_gather(Ranks *ranks, void *all, const void *own, size_t bytes, Error *e) {
  if (bytes) memcpy(all, own, bytes);
  return ranks_check(ranks, e);
}

static const RankLink link_alone = {.gather = alone_gather};

bool ranks_start(Ranks *ranks, const Config *config, Error *e) {
  RankLaunch launch = ranks_launch();
  *ranks = (Ranks){.count = config->train.ranks, .config = config, .sharers = 1};
  pthread_mutex_init(&ranks->lock, NULL);
  ParamTable table;
  if (!params_build(&table, config, e)) return false;
  ranks->gradient_count = table.trainable;
  params_free(&table);
  if (launch.count > 1) return ranks_mpi_start(ranks, &launch, e);
  if (ranks->count > 1) return ranks_local_start(ranks, e);
  ranks->link = &link_alone;
  return true;
}

bool ranks_connect(Ranks *ranks, Device *device, Error *e) {
  if (ranks->count == 1 || device->kernels->host_memory) return true;
  return ranks_nccl_open(ranks, device, e);
}

static void ready(void *user, Model *model, size_t decayed_from, size_t rest_from) {
  ranks_nccl_ready(user, model, decayed_from, rest_from);
}

static void exchange(void *user, Model *model) {
  Ranks *ranks = user;
  if (ranks->failed) return;
  if (ranks->nccl)
    ranks_nccl_exchange(ranks, model);
  else
    ranks->link->exchange(ranks, model);
}

GradientExchange ranks_exchange(Ranks *ranks) {
  if (ranks->count == 1 && !ranks->nccl) return (GradientExchange){.run = NULL};
  return (GradientExchange){.ready = ranks->nccl ? ready : NULL,
                            .run = exchange,
                            .only_queues = ranks->nccl != NULL,
                            .user = ranks};
}

void ranks_libraries(char *text, size_t size) {
  char mpi[128], nccl[64];
  ranks_mpi_library(mpi, sizeof mpi);
  ranks_nccl_library(nccl, sizeof nccl);
  snprintf(text, size, "%s%s%s", mpi, *mpi && *nccl ? ", " : "", nccl);
}

void ranks_tell_waiting(const Ranks *ranks, double seconds) {
  progress_tell(ranks->waiting, "waiting for other ranks, seconds", (size_t)seconds,
                PROGRESS_UNKNOWN);
}

bool ranks_barrier(Ranks *ranks, Error *e) {
  return ranks_gather(ranks, NULL, NULL, 0, e);
}

/* [count][bytes] for the messages of all; NULL when there is no memory. */
static void *message_space(const Ranks *ranks, size_t bytes, Error *e) {
  void *all = calloc((size_t)ranks->count, bytes);
  if (!all) error_set(e, EXIT_DEVICE, "out of memory for the messages of %d ranks", ranks->count);
  return all;
}

bool ranks_decide(Ranks *ranks, int64_t *value, Error *e) {
  int64_t *all = message_space(ranks, sizeof *all, e);
  bool ok = all && ranks_gather(ranks, all, value, sizeof *all, e);
  for (int r = 0; ok && r < ranks->count; r++)
    if ((*value = all[r])) break;
  free(all);
  return ok;
}

bool ranks_sum(Ranks *ranks, double *values, int count, Error *e) {
  size_t n = (size_t)count;
  double *all = message_space(ranks, n * sizeof *all, e);
  bool ok = all && ranks_gather(ranks, all, values, n * sizeof *all, e);
  for (size_t i = 0; ok && i < n; i++) {
    values[i] = 0;
    for (size_t r = 0; r < (size_t)ranks->count; r++) values[i] += all[r * n + i];
  }
  free(all);
  return ok;
}

bool ranks_compare(Ranks *ranks, const char *what, const char *text, int code, const char *advice,
                   Error *e) {
  char own[65], (*all)[65] = message_space(ranks, sizeof own, e);
  snprintf(own, sizeof own, "%s", text);
  bool ok = all && ranks_gather(ranks, all, own, sizeof own, e);
  for (int r = 1; ok && r < ranks->count; r++)
    if (strcmp(all[0], all[r]))
      ok = error_set(e, code, "the %s of ranks 0 and %d differ (%.12s and %.12s): %s", what, r,
                     all[0], all[r], advice);
  free(all);
  return ok;
}

void ranks_stop(Ranks *ranks, int code, Error *e) {
  if (!ranks->link) return;
  if (ranks->nccl) ranks_nccl_close(ranks, e->code != 0);
  if (ranks->link->stop) ranks->link->stop(ranks, code, e);
}

void ranks_close(Ranks *ranks, const Error *e) {
  if (!ranks->link) return;
  if (ranks->link->close) ranks->link->close(ranks, e);
  /* A collective that is still queued may never end, and freeing device memory waits for it. */
  if (ranks->nccl) _exit(e->code);
  pthread_mutex_destroy(&ranks->lock);
}
