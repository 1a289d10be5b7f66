/* Ranks of one machine: forked by rank 0, with memory that all of them see. */
#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "mae/base/clock.h"
#include "mae/ranks/parts.h"

enum { CHECK_MILLISECONDS = 100 };

typedef struct RankSlot {
  _Atomic uint32_t arrived; /* the barrier's generation that it waits for */
  char message[RANK_MESSAGE_MAX];
} RankSlot;

typedef struct RankShare {
  _Atomic uint32_t arrived;    /* at the barrier */
  _Atomic uint32_t generation; /* of the barrier; the futex */
  _Atomic int32_t failing;     /* the first rank to give up ... */
  _Atomic int32_t failed;      /* ... which has written why into `error`; 0: none */
  Error error;
  size_t bytes;        /* of all that follows too */
  float *gradients;    /* [count, gradient_count] */
  float *sum, *losses; /* [gradient_count], [train.batch] */
  RankSlot slots[];    /* [count] */
} RankShare;

static long futex(_Atomic uint32_t *word, int operation, uint32_t value,
                  const struct timespec *timeout) {
  return syscall(SYS_futex, word, operation, value, timeout, NULL, 0);
}

static size_t round_to_page(size_t bytes) {
  size_t page = (size_t)sysconf(_SC_PAGESIZE);
  return (bytes + page - 1) / page * page;
}

/* Pages nobody touches cost nothing: with NCCL only the messages are used. */
static RankShare *share_create(const Ranks *ranks, Error *e) {
  size_t count = (size_t)ranks->count;
  size_t header = round_to_page(sizeof(RankShare) + count * sizeof(RankSlot));
  size_t losses = round_to_page((size_t)ranks->config->train.batch * sizeof(float));
  size_t gradients = round_to_page(ranks->gradient_count * sizeof(float));
  size_t bytes = header + losses + (count + 1) * gradients;
  char *memory =
      mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) {
    error_set(e, EXIT_DEVICE, "train.ranks = %d: no shared memory of %zu bytes: %s", ranks->count,
              bytes, strerror(errno));
    return NULL;
  }
  RankShare *share = (RankShare *)memory;
  share->bytes = bytes;
  share->losses = (float *)(memory + header);
  share->sum = (float *)(memory + header + losses);
  share->gradients = (float *)(memory + header + losses + gradients);
  return share;
}

/* The child's side of the fork. Rank 0 decides when to stop: a terminal's Ctrl-C reaches all. */
static void become_rank(Ranks *ranks, int rank, pid_t parent) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(EXIT_DEVICE);
  signal(SIGINT, SIG_IGN);
  signal(SIGTERM, SIG_IGN);
  signal(SIGHUP, SIG_IGN);
  ranks->rank = ranks->node_rank = ranks->gpu = rank;
  ranks->parent = parent;
  free(ranks->children);
  ranks->children = NULL;
}

static void end_children(Ranks *ranks, bool kill_them) {
  for (int r = 1; r < ranks->count; r++)
    if (ranks->children[r] && kill_them) kill(ranks->children[r], SIGKILL);
  for (int r = 1; r < ranks->count; r++)
    while (ranks->children[r] && waitpid(ranks->children[r], NULL, 0) < 0 && errno == EINTR) {
    }
  free(ranks->children);
  ranks->children = NULL;
}

/* Rank 0's look at its children. */
static bool children_alive(Ranks *ranks, bool waiting) {
  for (int r = 1; r < ranks->count; r++) {
    int status;
    pthread_mutex_lock(&ranks->lock);
    pid_t child = ranks->children[r];
    bool ended = child && waitpid(child, &status, WNOHANG) == child;
    if (ended) ranks->children[r] = 0;
    pthread_mutex_unlock(&ranks->lock);
    if (waiting && !child) return ranks_fail(ranks, "rank %d has ended", r);
    if (ended && !waiting && WIFEXITED(status) && WEXITSTATUS(status) == 0) continue;
    if (ended && WIFSIGNALED(status))
      return ranks_fail(ranks, "rank %d (process %d) was killed by signal %d", r, (int)child,
                        WTERMSIG(status));
    if (ended)
      return ranks_fail(ranks, "rank %d (process %d) ended with exit code %d", r, (int)child,
                        WEXITSTATUS(status));
  }
  return true;
}

static bool local_alive(Ranks *ranks, bool waiting) {
  RankShare *share = ranks->share;
  int by = share->failed;
  if (by && by != ranks->rank) {
    pthread_mutex_lock(&ranks->lock);
    if (!ranks->failed) {
      ranks->error = share->error;
      error_prefix(&ranks->error, "rank %d", by);
      ranks->failed = true;
    }
    pthread_mutex_unlock(&ranks->lock);
    return false;
  }
  if (ranks->rank == 0) return children_alive(ranks, waiting);
  return getppid() == ranks->parent ||
         ranks_fail(ranks, "rank 0 (process %d) has ended", (int)ranks->parent);
}

/* The barrier has waited for the longest that is allowed. */
static bool fail_for_time(Ranks *ranks, uint32_t generation) {
  int late = 0;
  while (late < ranks->count - 1 && ranks->share->slots[late].arrived == generation) late++;
  return ranks_fail(ranks, "rank %d has not answered for %d s (train.rank_timeout)", late,
                    ranks->config->train.rank_timeout);
}

static bool barrier(Ranks *ranks) {
  RankShare *share = ranks->share;
  uint32_t generation = share->generation;
  if (ranks->failed) return false;
  share->slots[ranks->rank].arrived = generation + 1;
  if (atomic_fetch_add(&share->arrived, 1) == (uint32_t)ranks->count - 1) {
    share->arrived = 0;
    share->generation = generation + 1;
    futex(&share->generation, FUTEX_WAKE, INT_MAX, NULL);
    return true;
  }
  const struct timespec wait = {.tv_nsec = CHECK_MILLISECONDS * 1000000L};
  double began = clock_seconds(), give_up = began + ranks->config->train.rank_timeout;
  while (share->generation == generation) {
    futex(&share->generation, FUTEX_WAIT, generation, &wait);
    if (share->generation != generation) break;
    if (ranks->failed || !local_alive(ranks, true)) return false;
    if (clock_seconds() > give_up) return fail_for_time(ranks, generation + 1);
    ranks_tell_waiting(ranks, clock_seconds() - began);
  }
  return true;
}

static bool local_gather(Ranks *ranks, void *all, const void *own, size_t bytes, Error *e) {
  RankSlot *slots = ranks->share->slots;
  if (bytes) memcpy(slots[ranks->rank].message, own, bytes);
  if (!barrier(ranks)) return ranks_check(ranks, e);
  if (!bytes) return true;
  for (int r = 0; r < ranks->count; r++)
    memcpy((char *)all + (size_t)r * bytes, slots[r].message, bytes);
  /* Nobody overwrites what another has not read. */
  return barrier(ranks) || ranks_check(ranks, e);
}

/* sum[from, to) of all ranks' gradients, in rank order. */
static void add_gradients(const RankShare *share, size_t stride, int count, size_t from,
                          size_t to) {
  memcpy(share->sum + from, share->gradients + from, (to - from) * sizeof(float));
  for (int r = 1; r < count; r++) {
    const float *part = share->gradients + (size_t)r * stride;
    for (size_t i = from; i < to; i++) share->sum[i] += part[i];
  }
}

/* Each rank adds up its part of the gradients. Two barriers per exchange: the sum is reused only
 * after every rank has read it, since a rank writes its part of the next sum behind the next
 * exchange's first barrier, which nobody passes before all have read this one. */
static void local_exchange(Ranks *ranks, Model *model) {
  RankShare *share = ranks->share;
  const Kernels *k = model->device->kernels;
  Device *device = model->device;
  size_t n = ranks->gradient_count, rank = (size_t)ranks->rank, count = (size_t)ranks->count;
  size_t images = (size_t)ranks->config->train.batch / count;
  k->download(device, share->gradients + rank * n, model->grads[0], n * sizeof(float));
  k->download(device, share->losses + rank * images, model->image_loss + rank * images,
              images * sizeof(float));
  if (!barrier(ranks)) return;
  add_gradients(share, n, ranks->count, n * rank / count, n * (rank + 1) / count);
  k->upload(device, model->image_loss, share->losses, count * images * sizeof(float));
  if (!barrier(ranks)) return;
  k->upload(device, model->grads[0], share->sum, n * sizeof(float));
}

static void local_stop(Ranks *ranks, int code, Error *e) {
  (void)code; /* who waits for a child asks no more than whether it has failed */
  RankShare *share = ranks->share;
  if (ranks->rank != 0) {
    int32_t nobody = 0;
    if (e->code && atomic_compare_exchange_strong(&share->failing, &nobody, ranks->rank)) {
      share->error = *e;
      share->failed = ranks->rank;
    }
    _exit(e->code);
  }
  end_children(ranks, e->code != 0);
  munmap(share, share->bytes);
}

static const RankLink link_local = {
    .gather = local_gather, .alive = local_alive, .exchange = local_exchange, .stop = local_stop};

bool ranks_local_start(Ranks *ranks, Error *e) {
  ranks->children = calloc((size_t)ranks->count, sizeof *ranks->children);
  if (!ranks->children) return error_set(e, EXIT_DEVICE, "out of memory");
  ranks->share = share_create(ranks, e);
  if (!ranks->share) {
    free(ranks->children);
    return false;
  }
  ranks->link = &link_local;
  ranks->sharers = ranks->count;
  pid_t parent = getpid();
  for (int r = 1; r < ranks->count; r++) {
    pid_t child = fork();
    if (child == 0) {
      become_rank(ranks, r, parent);
      return true;
    }
    if (child < 0) {
      error_set(e, EXIT_DEVICE, "train.ranks = %d: no process for rank %d: %s", ranks->count, r,
                strerror(errno));
      end_children(ranks, true);
      munmap(ranks->share, ranks->share->bytes);
      ranks->link = NULL;
      return false;
    }
    ranks->children[r] = child;
  }
  return true;
}
