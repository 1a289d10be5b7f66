/* Gradients of GPUs, added up by NCCL while the backward pass goes on.
 *
 * The gradient arena is cut into buckets of fixed size. As soon as the backward pass has queued the
 * last operation on a bucket, its sum over all ranks is queued behind it in the exchange queue; the
 * optimiser waits for the last of them. Nothing here waits, so a step can be recorded.
 *
 * A collective waits on the device for ranks that never come. A thread therefore watches the other
 * ranks and NCCL's own reports, and has the communicator aborted when one is lost: what waits for
 * the device goes on then, and finds that the ranks have failed. ncclCommAbort first tells the
 * device, then waits until every CUDA graph that a collective was captured in is destroyed, which
 * is never; so it has a thread of its own that nobody waits for, and a run that has failed leaves
 * without giving its device memory back. The communicator is never destroyed otherwise: that would
 * be one more call in which ranks wait for each other, and the process ends anyway. */
#include <nccl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "mae/model/device.h"
#include "mae/ranks/parts.h"

enum {
  BUCKETS_MIN = 8,      /* so that there is something to exchange while the rest is computed */
  BUCKET_MAX = 8 << 20, /* elements; 32 MiB: large enough for the full speed of a link */
  CHECK_MILLISECONDS = 100,
  GRACE_SECONDS = 30, /* from the abort to the end of the process, when it does not end itself */
};

struct RankNccl {
  Ranks *ranks;
  Device *device;
  ncclComm_t comm;      /* NULL: not yet made, or given to ncclCommAbort */
  pthread_mutex_t lock; /* of comm: held while NCCL queues work */
  pthread_t watch;
  atomic_bool done;
  size_t bucket;       /* elements */
  size_t decayed_sent; /* of this step: what lies behind it is on its way; 0 between steps */
};

/* Keeps what NCCL says about a call as the ranks' failure. */
static bool check(RankNccl *n, ncclResult_t result, const char *what) {
  if (result == ncclSuccess || result == ncclInProgress) return true;
  return ranks_fail(n->ranks, "NCCL: %s: %s", what, ncclGetErrorString(result));
}

/* Watching -------------------------------------------------------------------------------------*/

static void look(RankNccl *n) {
  ncclResult_t state = ncclSuccess;
  if (n->ranks->link->alive) n->ranks->link->alive(n->ranks, false);
  if (pthread_mutex_trylock(&n->lock) != 0) return;
  if (n->comm && ncclCommGetAsyncError(n->comm, &state) == ncclSuccess)
    check(n, state, "a collective operation failed");
  pthread_mutex_unlock(&n->lock);
}

static void pause_briefly(void) {
  const struct timespec pause = {.tv_nsec = CHECK_MILLISECONDS * 1000000L};
  nanosleep(&pause, NULL);
}

/* A thread's whole life: it may never come back. */
static void *abort_communicator(void *user) {
  RankNccl *n = user;
  pthread_mutex_lock(&n->lock);
  ncclComm_t comm = n->comm;
  n->comm = NULL; /* for the main thread, which is not to wait here for the lock */
  pthread_mutex_unlock(&n->lock);
  if (comm) ncclCommAbort(comm);
  return NULL;
}

/* From now on the main thread must come back from wherever it waits. Where it does not, in the
 * driver or in NCCL's own start, there is nobody else to end the process. */
static void abort_and_leave(RankNccl *n) {
  pthread_t thread;
  if (pthread_create(&thread, NULL, abort_communicator, n) == 0) pthread_detach(thread);
  for (int i = 0; i < GRACE_SECONDS * 1000 / CHECK_MILLISECONDS && !n->done; i++) pause_briefly();
  if (n->done) return;
  fprintf(stderr, "mae train: %s\n", n->ranks->error.message);
  _exit(EXIT_DEVICE);
}

static void *watch(void *user) {
  RankNccl *n = user;
  int limit = n->ranks->config->train.rank_timeout, quiet = 0; /* quiet: milliseconds */
  unsigned meetings = 0;
  while (!n->done && !n->ranks->failed) {
    pause_briefly();
    look(n);
    quiet = meetings == n->ranks->meetings ? quiet + CHECK_MILLISECONDS : 0;
    meetings = n->ranks->meetings;
    if (quiet / 1000 > limit)
      ranks_fail(n->ranks, "the ranks have not met for %d s (train.rank_timeout)", limit);
  }
  if (!n->done) abort_and_leave(n);
  return NULL;
}

/* Collectives ----------------------------------------------------------------------------------*/

/* values[count] become their sums over all ranks, in the current queue. */
static void add_up(RankNccl *n, float *values, size_t count) {
  pthread_mutex_lock(&n->lock);
  if (n->comm)
    check(n,
          ncclAllReduce(values, values, count, ncclFloat, ncclSum, n->comm,
                        n->device->kernels->stream(n->device)),
          "adding gradients");
  pthread_mutex_unlock(&n->lock);
}

/* values[ranks][count]: every rank brings its row, in the current queue. */
static void gather(RankNccl *n, float *values, size_t count) {
  pthread_mutex_lock(&n->lock);
  if (n->comm)
    check(n,
          ncclAllGather(values + (size_t)n->ranks->rank * count, values, count, ncclFloat, n->comm,
                        n->device->kernels->stream(n->device)),
          "gathering losses");
  pthread_mutex_unlock(&n->lock);
}

/* Starting -------------------------------------------------------------------------------------*/

static bool join_communicator(RankNccl *n, Error *e) {
  Ranks *ranks = n->ranks;
  ncclUniqueId own = {0}, *all = calloc((size_t)ranks->count, sizeof *all);
  ncclComm_t comm = NULL;
  _Static_assert(sizeof own <= RANK_MESSAGE_MAX, "NCCL's identifier fits a message");
  if (!all) return error_set(e, EXIT_DEVICE, "out of memory for NCCL");
  bool ok = ranks->rank != 0 || check(n, ncclGetUniqueId(&own), "no identifier");
  ok = ok && ranks_gather(ranks, all, &own, sizeof own, e);
  ok = ok && check(n, ncclCommInitRank(&comm, ranks->count, all[0], ranks->rank), "cannot start");
  pthread_mutex_lock(&n->lock);
  n->comm = comm;
  pthread_mutex_unlock(&n->lock);
  free(all);
  return ranks_check(ranks, e) && ok;
}

/* NCCL connects ranks, and takes memory for it, in the first collective: here, before what is free
 * is compared with what the run needs. */
static bool first_collectives(RankNccl *n, Error *e) {
  const Kernels *k = n->device->kernels;
  size_t count = (size_t)n->ranks->count;
  float *values = device_alloc(n->device, count * sizeof *values, "NCCL's first values", e);
  if (!values) return false;
  k->use_queue(n->device, QUEUE_EXCHANGE);
  add_up(n, values, count);
  gather(n, values, 1);
  k->use_queue(n->device, QUEUE_COMPUTE);
  bool ok = device_synchronize(n->device, e);
  if (!ranks_check(n->ranks, e) || !ok) return false;
  k->free(n->device, values);
  return true;
}

void ranks_nccl_library(char *text, size_t size) {
  int version = 0; /* 22501: 2.25.1 */
  ncclGetVersion(&version);
  snprintf(text, size, "NCCL %d.%d.%d", version / 10000, version / 100 % 100, version % 100);
}

bool ranks_nccl_open(Ranks *ranks, Device *device, Error *e) {
  RankNccl *n = ranks->nccl = calloc(1, sizeof *n);
  if (!n) return error_set(e, EXIT_DEVICE, "out of memory for NCCL");
  size_t part = ranks->gradient_count / BUCKETS_MIN + 1;
  *n =
      (RankNccl){.ranks = ranks, .device = device, .bucket = part < BUCKET_MAX ? part : BUCKET_MAX};
  /* One algorithm for every size, so that the order of a sum depends on the machines alone. */
  setenv("NCCL_ALGO", "Ring", 0);
  /* A run's first two steps, and those after a resume, are not recorded, and the rest are: a sum
   * must be cut in the same way in both. With three ranks or more the cut decides the order in
   * which a number's parts are added. As src/enqueue.cc of NCCL has it (2.16.5, 2.21.5 and 2.28.9
   * were read), a captured collective differs from another in where its descriptor lies and in how
   * it is ordered against other streams, and it has its buffers registered, on which the choice of
   * a cut may depend. The latter is what this turns off. */
  setenv("NCCL_GRAPH_REGISTER", "0", 0);
  pthread_mutex_init(&n->lock, NULL);
  if (pthread_create(&n->watch, NULL, watch, n) != 0) {
    free(n);
    ranks->nccl = NULL;
    return error_set(e, EXIT_DEVICE, "no thread to watch the other ranks");
  }
  return join_communicator(n, e) && first_collectives(n, e);
}

void ranks_nccl_close(Ranks *ranks, bool failed) {
  RankNccl *n = ranks->nccl;
  n->done = true;
  pthread_join(n->watch, NULL);
  if (failed) return; /* an abort under way still uses *n */
  pthread_mutex_destroy(&n->lock);
  free(n);
  ranks->nccl = NULL;
}

/* Exchanging -----------------------------------------------------------------------------------*/

/* What is queued for exchange from now on comes after what is queued for computation by now. */
static void follow_compute(RankNccl *n) {
  const Kernels *k = n->device->kernels;
  k->mark(n->device, MARK_GRADIENT);
  k->use_queue(n->device, QUEUE_EXCHANGE);
  k->wait_mark(n->device, MARK_GRADIENT);
}

/* Queues the sum of grads[0][from, to) behind what the compute queue holds by now. */
static void send(RankNccl *n, Model *model, size_t from, size_t to) {
  if (from == to) return;
  follow_compute(n);
  add_up(n, model->grads[0] + from, to - from);
  n->device->kernels->use_queue(n->device, QUEUE_COMPUTE);
}

void ranks_nccl_ready(Ranks *ranks, Model *model, size_t decayed_from, size_t rest_from) {
  RankNccl *n = ranks->nccl;
  const ParamTable *t = &model->table;
  if (ranks->failed) return;
  if (n->decayed_sent == 0) n->decayed_sent = t->decayed;
  while (n->decayed_sent > decayed_from) {
    size_t from = n->decayed_sent > n->bucket ? n->decayed_sent - n->bucket : 0;
    if (from < decayed_from) break;
    send(n, model, from, n->decayed_sent);
    n->decayed_sent = from;
  }
  /* Biases and norms: a thousandth of the whole, in one piece. */
  if (rest_from == t->decayed) send(n, model, t->decayed, t->trainable);
}

void ranks_nccl_exchange(Ranks *ranks, Model *model) {
  RankNccl *n = ranks->nccl;
  const Kernels *k = n->device->kernels;
  if (ranks->failed) return;
  follow_compute(n);
  gather(n, model->image_loss, (size_t)(ranks->config->train.batch / ranks->count));
  k->mark(n->device, MARK_EXCHANGED);
  k->use_queue(n->device, QUEUE_COMPUTE);
  k->wait_mark(n->device, MARK_EXCHANGED);
}
