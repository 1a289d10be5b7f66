#include "mae/ranks.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { PEER_CHECK_MILLISECONDS = 100 };

struct RankShare {
  _Atomic uint32_t arrived;    /* at the barrier */
  _Atomic uint32_t generation; /* of the barrier; the futex */
  int64_t value;               /* of ranks_decide */
  char hash[2][65];
  _Atomic uint32_t failed; /* rank 1 has given up and `error` says why */
  Error error;
};

static long futex(_Atomic uint32_t *word, int operation, uint32_t value,
                  const struct timespec *timeout) {
  return syscall(SYS_futex, word, operation, value, timeout, NULL, 0);
}

static size_t round_to_page(size_t bytes) {
  size_t page = (size_t)sysconf(_SC_PAGESIZE);
  return (bytes + page - 1) / page * page;
}

bool ranks_start(Ranks *ranks, const Config *config, Error *e) {
  *ranks = (Ranks){.count = config->train.ranks,
                   .shard_images = config->train.batch / config->train.shards};
  if (ranks->count == 1) return true;
  ParamTable table;
  if (!params_build(&table, config, e)) return false;
  ranks->gradient_count = table.trainable;
  params_free(&table);
  size_t header = round_to_page(sizeof *ranks->share);
  size_t losses = round_to_page((size_t)config->train.batch * sizeof(float));
  size_t gradients = round_to_page(ranks->gradient_count * sizeof(float));
  ranks->share_bytes = header + losses + 2 * gradients;
  char *memory =
      mmap(NULL, ranks->share_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED)
    return error_set(e, EXIT_DEVICE, "train.ranks = 2: no shared memory of %zu bytes: %s",
                     ranks->share_bytes, strerror(errno));
  ranks->share = (struct RankShare *)memory;
  ranks->losses = (float *)(memory + header);
  ranks->gradients[0] = (float *)(memory + header + losses);
  ranks->gradients[1] = (float *)(memory + header + losses + gradients);
  pid_t parent = getpid(), child = fork();
  if (child < 0) {
    munmap(memory, ranks->share_bytes);
    return error_set(e, EXIT_DEVICE, "train.ranks = 2: no second process: %s", strerror(errno));
  }
  ranks->rank = child == 0;
  ranks->peer = child == 0 ? parent : child;
  if (child == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(EXIT_DEVICE);
    /* Rank 0 decides when to stop: a terminal's Ctrl-C reaches both. */
    signal(SIGINT, SIG_IGN);
    signal(SIGTERM, SIG_IGN);
  }
  return true;
}

static bool fail(Ranks *ranks, const char *how) {
  ranks->failed = true;
  return error_set(&ranks->error, EXIT_DEVICE,
                   "rank %d (process %d) %s; the last checkpoint is good, continue with --resume",
                   1 - ranks->rank, (int)ranks->peer, how);
}

static bool peer_alive(Ranks *ranks) {
  if (atomic_load(&ranks->share->failed)) {
    ranks->failed = true;
    ranks->error = ranks->share->error;
    return error_prefix(&ranks->error, "rank 1");
  }
  if (ranks->rank == 1) return getppid() == ranks->peer || fail(ranks, "has ended");
  int status;
  if (waitpid(ranks->peer, &status, WNOHANG) != ranks->peer) return true;
  ranks->gone = true;
  char how[64];
  if (WIFSIGNALED(status))
    snprintf(how, sizeof how, "was killed by signal %d", WTERMSIG(status));
  else
    snprintf(how, sizeof how, "ended with exit code %d", WEXITSTATUS(status));
  return fail(ranks, how);
}

bool ranks_barrier(Ranks *ranks, Error *e) {
  if (ranks->count == 1) return true;
  struct RankShare *share = ranks->share;
  uint32_t generation = atomic_load(&share->generation);
  if (ranks->failed) {
    *e = ranks->error;
    return false;
  }
  if (atomic_fetch_add(&share->arrived, 1) == 1) {
    atomic_store(&share->arrived, 0);
    atomic_store(&share->generation, generation + 1);
    futex(&share->generation, FUTEX_WAKE, INT_MAX, NULL);
    return true;
  }
  const struct timespec wait = {.tv_nsec = PEER_CHECK_MILLISECONDS * 1000000L};
  while (atomic_load(&share->generation) == generation) {
    futex(&share->generation, FUTEX_WAIT, generation, &wait);
    if (atomic_load(&share->generation) != generation) break;
    if (!peer_alive(ranks)) {
      *e = ranks->error;
      return false;
    }
  }
  return true;
}

void ranks_exchange(void *user, Model *model) {
  Ranks *ranks = user;
  int own = ranks->rank, other = 1 - own;
  Error ignored; /* kept in ranks->error too */
  if (ranks->count == 1 || ranks->failed) return;
  const Kernels *k = model->device->kernels;
  size_t bytes = ranks->gradient_count * sizeof(float);
  size_t images = (size_t)ranks->shard_images, loss_bytes = images * sizeof(float);
  k->download(model->device, ranks->gradients[own], model->grads[own], bytes);
  k->download(model->device, ranks->losses + own * images, model->image_loss + own * images,
              loss_bytes);
  if (!ranks_barrier(ranks, &ignored)) return;
  k->upload(model->device, model->grads[other], ranks->gradients[other], bytes);
  k->upload(model->device, model->image_loss + other * images, ranks->losses + other * images,
            loss_bytes);
  ranks_barrier(ranks, &ignored); /* nobody overwrites what the other has not read */
}

bool ranks_decide(Ranks *ranks, int64_t *value, Error *e) {
  if (ranks->count == 1) return true;
  if (ranks->rank == 0) ranks->share->value = *value;
  if (!ranks_barrier(ranks, e)) return false;
  *value = ranks->share->value;
  return ranks_barrier(ranks, e);
}

bool ranks_compare(Ranks *ranks, const char hash[65], Error *e) {
  if (ranks->count == 1) return true;
  memcpy(ranks->share->hash[ranks->rank], hash, 65);
  if (!ranks_barrier(ranks, e)) return false;
  bool same = !strcmp(ranks->share->hash[0], ranks->share->hash[1]);
  if (!ranks_barrier(ranks, e)) return false;
  return same || error_set(e, EXIT_DEVICE,
                           "the two ranks' training states differ (%.12s and %.12s): a memory or "
                           "processor fault; the last checkpoint is from before it",
                           ranks->share->hash[0], ranks->share->hash[1]);
}

void ranks_stop(Ranks *ranks, const Error *e) {
  if (ranks->count == 1 || !ranks->share) return;
  if (ranks->rank == 1) {
    if (e->code && !ranks->failed) {
      ranks->share->error = *e;
      atomic_store(&ranks->share->failed, 1);
    }
    _exit(e->code);
  }
  if (e->code && !ranks->gone) kill(ranks->peer, SIGKILL);
  while (!ranks->gone && waitpid(ranks->peer, NULL, 0) < 0 && errno == EINTR) {
  }
  munmap(ranks->share, ranks->share_bytes);
  ranks->share = NULL;
}
