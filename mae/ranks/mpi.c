/* Ranks that an MPI launcher started, on one machine or many. Only the main thread calls MPI.
 *
 * Ranks meet in one collective of a fixed size, whatever they meet for, so that one that fails can
 * take its place there and say so: all then learn its error, end in order and with one exit code,
 * and rank 0 alone reports it. Once they have started, every wait has a time limit. When one is
 * over, or a rank fails while the others are kept elsewhere, a collective stays unfinished and only
 * MPI_Abort ends them all. */
#include <limits.h>
#include <mpi.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "mae/model/device.h"
#include "mae/ranks/parts.h"

enum {
  GRACE_SECONDS = 10, /* for others to take note of a failure, or of the end */
  NAME_BYTES = 64,
};
static const double spin_seconds = 0.005; /* a wait begins awake, then sleeps between looks */

/* What a rank brings to a meeting. */
typedef struct Record {
  int32_t code; /* not 0: it has failed */
  char message[RANK_MESSAGE_MAX];
} Record;

struct RankMpi {
  MPI_Comm comm;
  bool lost;                    /* a collective is unfinished */
  bool agreed;                  /* all know the error with which they end */
  Record own;                   /* for the last meeting; an unfinished one still reads it */
  Error error;                  /* the same for what a failed rank tells */
  Record *records;              /* [count], of the last meeting */
  char (*nodes)[NAME_BYTES];    /* [count] */
  int *counts, *starts;         /* [count]: the gradients that a rank adds up */
  int *own_counts, *own_starts; /* [count]: the addends of this rank, in `parts` */
  float *gradients, *parts;     /* [gradient_count], [count, counts[rank]] */
  float *losses;                /* [train.batch] */
};

/* Waiting --------------------------------------------------------------------------------------*/

static bool check(Ranks *ranks, int result) {
  char text[MPI_MAX_ERROR_STRING] = "";
  int length;
  if (result == MPI_SUCCESS) return true;
  MPI_Error_string(result, text, &length);
  ranks->mpi->lost = true;
  return ranks_fail(ranks, "MPI: %.300s", text);
}

/* Waits for a collective that was started with `result`. */
static bool finish(Ranks *ranks, int result, MPI_Request *request, int limit) {
  const struct timespec pause = {.tv_nsec = 50000};
  double began = MPI_Wtime();
  for (int done = 0; check(ranks, result);) {
    result = MPI_Test(request, &done, MPI_STATUS_IGNORE);
    if (result == MPI_SUCCESS && done) return true;
    double waited = MPI_Wtime() - began;
    if (waited > limit) {
      ranks->mpi->lost = true;
      return ranks_fail(ranks, "a rank has not answered for %d s (train.rank_timeout)", limit);
    }
    if (waited > spin_seconds) ranks_tell_waiting(ranks, waited);
    if (waited > spin_seconds)
      nanosleep(&pause, NULL);
    else
      sched_yield();
  }
  return false;
}

/* Meeting --------------------------------------------------------------------------------------*/

/* All ranks, having learned in a meeting that one has failed, take over its error. */
static bool take_error(Ranks *ranks, int by, const Error *own, int limit) {
  RankMpi *m = ranks->mpi;
  MPI_Request request;
  if (by == ranks->rank) m->error = *own;
  int result = MPI_Ibcast(&m->error, sizeof m->error, MPI_BYTE, by, m->comm, &request);
  if (!finish(ranks, result, &request, limit)) return false;
  if (by != 0) error_prefix(&m->error, "rank %d on %s", by, m->nodes[by]);
  pthread_mutex_lock(&ranks->lock);
  ranks->error = m->error;
  ranks->failed = m->agreed = true;
  pthread_mutex_unlock(&ranks->lock);
  return false;
}

/* Brings every rank's bytes into m->records. own: the error of a rank that comes to say so, or
 * NULL. False: a rank has failed, or cannot be reached. */
static bool meet(Ranks *ranks, const void *bytes, size_t size, const Error *own, int limit) {
  RankMpi *m = ranks->mpi;
  MPI_Request request;
  m->own = (Record){.code = own ? own->code : 0};
  if (size) memcpy(m->own.message, bytes, size);
  int result = MPI_Iallgather(&m->own, sizeof m->own, MPI_BYTE, m->records, sizeof m->own, MPI_BYTE,
                              m->comm, &request);
  if (!finish(ranks, result, &request, limit)) return false;
  for (int r = 0; r < ranks->count; r++)
    if (m->records[r].code) return take_error(ranks, r, own, limit);
  return true;
}

static bool mpi_gather(Ranks *ranks, void *all, const void *own, size_t bytes, Error *e) {
  if (ranks->failed || !meet(ranks, own, bytes, NULL, ranks->config->train.rank_timeout))
    return ranks_check(ranks, e);
  for (int r = 0; bytes && r < ranks->count; r++)
    memcpy((char *)all + (size_t)r * bytes, ranks->mpi->records[r].message, bytes);
  return true;
}

/* Exchanging -----------------------------------------------------------------------------------*/

static bool make_room(Ranks *ranks, Error *e) {
  RankMpi *m = ranks->mpi;
  size_t count = (size_t)ranks->count, n = ranks->gradient_count, rank = (size_t)ranks->rank;
  size_t own = n * (rank + 1) / count - n * rank / count;
  m->records = calloc(count, sizeof *m->records);
  m->nodes = calloc(count, sizeof *m->nodes);
  m->counts = calloc(4 * count, sizeof *m->counts);
  m->gradients = malloc(n * sizeof *m->gradients);
  m->parts = malloc((count * own + 1) * sizeof *m->parts);
  m->losses = malloc((size_t)ranks->config->train.batch * sizeof *m->losses);
  if (!m->records || !m->nodes || !m->counts || !m->gradients || !m->parts || !m->losses)
    return error_set(e, EXIT_DEVICE, "out of memory for %d ranks' gradients", ranks->count);
  m->starts = m->counts + count;
  m->own_counts = m->starts + count;
  m->own_starts = m->own_counts + count;
  for (size_t r = 0; r < count; r++) {
    m->starts[r] = (int)(n * r / count);
    m->counts[r] = (int)(n * (r + 1) / count) - m->starts[r];
    m->own_counts[r] = (int)own;
    m->own_starts[r] = (int)(r * own);
  }
  return true;
}

static void free_room(RankMpi *m) {
  free(m->records);
  free(m->nodes);
  free(m->counts);
  free(m->gradients);
  free(m->parts);
  free(m->losses);
  free(m);
}

/* Each rank adds up its part of all ranks' gradients, in rank order. */
static void mpi_exchange(Ranks *ranks, Model *model) {
  RankMpi *m = ranks->mpi;
  const Kernels *k = model->device->kernels;
  Device *device = model->device;
  MPI_Request request;
  int limit = ranks->config->train.rank_timeout, own = m->counts[ranks->rank];
  int batch = ranks->config->train.batch, images = batch / ranks->count;
  size_t n = ranks->gradient_count, first = (size_t)ranks->rank * (size_t)images;
  float *sum = m->gradients + m->starts[ranks->rank];
  k->download(device, m->gradients, model->grads[0], n * sizeof(float));
  k->download(device, m->losses + first, model->image_loss + first, (size_t)images * sizeof(float));
  int result = MPI_Ialltoallv(m->gradients, m->counts, m->starts, MPI_FLOAT, m->parts,
                              m->own_counts, m->own_starts, MPI_FLOAT, m->comm, &request);
  if (!finish(ranks, result, &request, limit)) return;
  memcpy(sum, m->parts, (size_t)own * sizeof(float));
  for (int r = 1; r < ranks->count; r++)
    for (int i = 0; i < own; i++) sum[i] += m->parts[m->own_starts[r] + i];
  result = MPI_Iallgatherv(MPI_IN_PLACE, 0, MPI_DATATYPE_NULL, m->gradients, m->counts, m->starts,
                           MPI_FLOAT, m->comm, &request);
  if (!finish(ranks, result, &request, limit)) return;
  result = MPI_Iallgather(MPI_IN_PLACE, 0, MPI_DATATYPE_NULL, m->losses, images, MPI_FLOAT, m->comm,
                          &request);
  if (!finish(ranks, result, &request, limit)) return;
  k->upload(device, model->image_loss, m->losses, (size_t)batch * sizeof(float));
  k->upload(device, model->grads[0], m->gradients, n * sizeof(float));
}

/* Ending ---------------------------------------------------------------------------------------*/

/* Ends every rank, this one too. */
_Noreturn static void abort_all(const Ranks *ranks, int code) {
  MPI_Abort(ranks->mpi->comm, code);
  _exit(code);
}

/* What rank 0 would have said, had it been there. */
_Noreturn static void abort_for(const Ranks *ranks, const Error *e) {
  fprintf(stderr, "mae train: rank %d: %s\n", ranks->rank, e->message);
  abort_all(ranks, e->code);
}

static void mpi_stop(Ranks *ranks, int code, Error *e) {
  RankMpi *m = ranks->mpi;
  int limit = ranks->config->train.rank_timeout;
  if (!m->lost && !m->agreed)
    meet(ranks, NULL, 0, e->code ? e : NULL, e->code ? GRACE_SECONDS : limit);
  if (m->agreed || !e->code) ranks_check(ranks, e);
  if (ranks->rank == 0) return;
  if (m->lost) {
    sleep(GRACE_SECONDS); /* rank 0 reports what happened, and ends all */
    abort_for(ranks, e);
  }
  /* A launcher ends all when one has ended with an exit code: rank 0 has to have reported. */
  if (!meet(ranks, NULL, 0, NULL, limit)) abort_for(ranks, e->code ? e : &ranks->error);
  MPI_Finalize();
  _exit(e->code ? e->code : code);
}

static void mpi_close(Ranks *ranks, const Error *e) {
  RankMpi *m = ranks->mpi;
  if (m->lost || !meet(ranks, NULL, 0, NULL, GRACE_SECONDS))
    abort_all(ranks, e->code ? e->code : EXIT_DEVICE);
  MPI_Finalize();
  free_room(m);
}

static const RankLink link_mpi = {
    .gather = mpi_gather, .exchange = mpi_exchange, .stop = mpi_stop, .close = mpi_close};

/* Starting -------------------------------------------------------------------------------------*/

/* This rank among those of its node: launchers differ in whether they give each CPUs and a GPU of
 * its own, or all to all. */
static bool find_place(Ranks *ranks, Error *e) {
  MPI_Comm node;
  cpu_set_t own, both;
  int count;
  MPI_Comm_split_type(ranks->mpi->comm, MPI_COMM_TYPE_SHARED, ranks->rank, MPI_INFO_NULL, &node);
  MPI_Comm_rank(node, &ranks->node_rank);
  MPI_Comm_size(node, &count);
  cpu_set_t *all = calloc((size_t)count, sizeof *all);
  if (!all) return error_set(e, EXIT_DEVICE, "out of memory");
  CPU_ZERO(&own);
  sched_getaffinity(0, sizeof own, &own);
  MPI_Allgather(&own, sizeof own, MPI_BYTE, all, sizeof own, MPI_BYTE, node);
  ranks->sharers = 0;
  for (int r = 0; r < count; r++) {
    CPU_AND(&both, &own, &all[r]);
    ranks->sharers += r == ranks->node_rank || CPU_COUNT(&both) > 0;
  }
  free(all);
  MPI_Comm_free(&node);
  /* What a launcher sets is for each of its processes. */
  if (ranks->config->run.threads == 0 && getenv("OMP_NUM_THREADS")) ranks->sharers = 1;
  bool gpu = device_is_gpu(ranks->config);
  ranks->gpu = gpu && backend_cuda_count() > 1 ? ranks->node_rank : 0;
  return true;
}

void ranks_mpi_library(char *text, size_t size) {
  char library[MPI_MAX_LIBRARY_VERSION_STRING] = "";
  int length;
  MPI_Get_library_version(library, &length); /* may be called before MPI_Init */
  snprintf(text, size, "%.*s", (int)strcspn(library, ",\n"), library);
}

/* Names of the nodes, and the line for the provenance. */
static void describe(Ranks *ranks, const RankLaunch *launch) {
  RankMpi *m = ranks->mpi;
  char library[128];
  int nodes = 0, first = ranks->node_rank == 0;
  gethostname(m->nodes[ranks->rank], NAME_BYTES - 1);
  MPI_Allgather(MPI_IN_PLACE, 0, MPI_DATATYPE_NULL, m->nodes, NAME_BYTES, MPI_BYTE, m->comm);
  MPI_Allreduce(&first, &nodes, 1, MPI_INT, MPI_SUM, m->comm);
  ranks_mpi_library(library, sizeof library);
  snprintf(ranks->started, sizeof ranks->started, "%s: %d ranks on %d node%s, by %s", library,
           ranks->count, nodes, nodes == 1 ? "" : "s", launch->launcher);
}

static bool check_counts(const Ranks *ranks, const RankLaunch *launch, Error *e) {
  if (launch->count != ranks->count)
    return error_set(e, EXIT_CONFIG,
                     "%s started %d processes (%s) and train.ranks = %d: set train.ranks = %d and "
                     "train.shards = %d, or start %d; or, for separate runs, unset %s",
                     launch->launcher, launch->count, launch->variable, ranks->count, launch->count,
                     launch->count, ranks->count, launch->variable);
  return ranks->gradient_count <= INT_MAX ||
         error_set(e, EXIT_CONFIG, "%zu parameters: MPI counts no further than %d",
                   ranks->gradient_count, INT_MAX);
}

static bool init_mpi(const Ranks *ranks, const RankLaunch *launch, Error *e) {
  int provided, seen;
  if (MPI_Init_thread(NULL, NULL, MPI_THREAD_FUNNELED, &provided) != MPI_SUCCESS)
    return error_set(e, EXIT_DEVICE, "MPI does not start");
  MPI_Comm_size(MPI_COMM_WORLD, &seen);
  if (seen == ranks->count && provided >= MPI_THREAD_FUNNELED) return true;
  MPI_Finalize();
  if (seen == ranks->count)
    return error_set(e, EXIT_DEVICE, "this MPI library allows no other thread in the process");
  return error_set(e, EXIT_CONFIG,
                   "%s started %d processes, but in each MPI finds %d: use the launcher of the "
                   "MPI library that this program was built with, or with Slurm "
                   "`srun --mpi=pmix` (`srun --mpi=list` shows what there is)",
                   launch->launcher, launch->count, seen);
}

bool ranks_mpi_start(Ranks *ranks, const RankLaunch *launch, Error *e) {
  if (!check_counts(ranks, launch, e) || !init_mpi(ranks, launch, e)) return false;
  RankMpi *m = ranks->mpi = calloc(1, sizeof *m);
  if (!m) return error_set(e, EXIT_DEVICE, "out of memory");
  MPI_Comm_dup(MPI_COMM_WORLD, &m->comm);
  MPI_Comm_set_errhandler(m->comm, MPI_ERRORS_RETURN);
  MPI_Comm_rank(m->comm, &ranks->rank);
  char hash[65];
  if (!make_room(ranks, e)) return false;
  ranks->link = &link_mpi;
  if (!find_place(ranks, e)) return false;
  describe(ranks, launch);
  config_hash(ranks->config, hash);
  return ranks_compare(ranks, "configurations", hash, EXIT_CONFIG,
                       "start every rank with the same files and settings", e);
}
