/* nccl.cc - NCCL's collectives between processes of the simulated CUDA runtime, through a file of
 * shared memory. As in NCCL, a call queues work on a stream, which can be captured; the work waits
 * for the other ranks, for ever if need be, until another thread aborts the communicator, which
 * itself waits until no graph is left that a call was captured in; and errors come through
 * ncclCommGetAsyncError. The first call takes device memory. Sums are made in rank order, but where
 * a call is captured and NCCL_GRAPH_REGISTER is not 0: NCCL may then cut it in another way, which
 * adds in another order.
 *
 *   SIMT_NCCL_FAIL=RANK:N:CODE  the N-th collective of a rank fails with that error, and like one
 * of NCCL's does not end before the abort */
#include "nccl/nccl.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <vector>

#include "runtime.h"

namespace {

enum { RANKS_MAX = 8, PIECE = 1 << 16 /* elements */, CONNECTION_BYTES = 32 << 20 };

struct Share {
  std::atomic<unsigned> joined, arrived, generation;
  float pieces[RANKS_MAX][PIECE];
};

} // namespace

struct SimtComm {
  Share *share;
  int rank, count;
  long fail_at; /* collectives from now; 0: never */
  ncclResult_t fail_with;
  bool connected; /* the first call has been made */
  std::atomic<int> error;
  std::atomic<bool> aborted;
  std::shared_ptr<int> graphs = std::make_shared<int>(0); /* shared by each captured call */
};

/* What a call keeps while it may run: a captured one, as long as its graph lives. */
static std::shared_ptr<int> reference(const SimtComm *comm, cudaStream_t stream) {
  cudaStreamCaptureStatus status = cudaStreamCaptureStatusNone;
  cudaStreamIsCapturing(stream, &status);
  return status == cudaStreamCaptureStatusActive ? comm->graphs : nullptr;
}

/* False when the communicator was aborted meanwhile. */
template <class Condition> static bool wait_until(const SimtComm *comm, Condition condition) {
  const struct timespec pause = {0, 50000};
  while (!condition()) {
    if (comm->aborted) return false;
    nanosleep(&pause, nullptr);
  }
  return true;
}

static bool meet(SimtComm *comm) {
  Share *share = comm->share;
  unsigned generation = share->generation;
  if (share->arrived.fetch_add(1) == (unsigned)comm->count - 1) {
    share->arrived = 0;
    share->generation = generation + 1;
    return true;
  }
  return wait_until(comm, [=] { return share->generation != generation; });
}

/* What every call begins with. */
static ncclResult_t begin(SimtComm *comm) {
  if (!comm || comm->aborted) return ncclInvalidUsage;
  if (!comm->connected && simt::charge(CONNECTION_BYTES)) return ncclUnhandledCudaError;
  comm->connected = true;
  return ncclSuccess;
}

/* The rank whose numbers come first in a sum. */
static int first_rank(const SimtComm *comm, bool captured) {
  const char *registers = getenv("NCCL_GRAPH_REGISTER");
  return captured && (!registers || strcmp(registers, "0")) ? comm->count - 1 : 0;
}

/* Each rank puts down a piece, all look at all, and nobody goes on before everybody has seen. */
template <class Take>
static void in_pieces(SimtComm *comm, const float *from, size_t count, Take take) {
  if (comm->fail_at && --comm->fail_at == 0) {
    comm->error = comm->fail_with;
    wait_until(comm, [] { return false; });
  }
  for (size_t at = 0; at < count && !comm->aborted; at += PIECE) {
    size_t size = std::min(count - at, (size_t)PIECE);
    memcpy(comm->share->pieces[comm->rank], from + at, size * sizeof *from);
    if (!meet(comm)) return;
    take(at, size);
    if (!meet(comm)) return;
  }
}

ncclResult_t ncclGetVersion(int *version) {
  *version = 20000;
  return ncclSuccess;
}
ncclResult_t ncclGetUniqueId(ncclUniqueId *id) {
  /* A killed process of the same number may have left a name. */
  int fd = -1;
  for (int i = 0; fd < 0 && i < 100; i++) {
    snprintf(id->internal, sizeof id->internal, "/maebench-simt-nccl-%d-%d", (int)getpid(), i);
    fd = shm_open(id->internal, O_RDWR | O_CREAT | O_EXCL, 0600);
  }
  if (fd < 0 || ftruncate(fd, sizeof(Share)) != 0) return ncclSystemError;
  close(fd);
  return ncclSuccess;
}

ncclResult_t ncclCommInitRank(ncclComm_t *out, int count, ncclUniqueId id, int rank) {
  int fd = shm_open(id.internal, O_RDWR, 0600);
  if (count > RANKS_MAX || fd < 0) return ncclInvalidArgument;
  void *memory = mmap(nullptr, sizeof(Share), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  close(fd);
  if (memory == MAP_FAILED) return ncclSystemError;
  SimtComm *comm = new SimtComm{};
  comm->share = static_cast<Share *>(memory);
  comm->rank = rank;
  comm->count = count;
  int who, code;
  long number;
  const char *plan = getenv("SIMT_NCCL_FAIL");
  if (plan && sscanf(plan, "%d:%ld:%d", &who, &number, &code) == 3 && who == rank) {
    comm->fail_at = number;
    comm->fail_with = (ncclResult_t)code;
  }
  comm->share->joined++;
  wait_until(comm, [=] { return comm->share->joined == (unsigned)count; });
  if (rank == 0) shm_unlink(id.internal);
  *out = comm;
  return ncclSuccess;
}

/* The communicator's memory stays: work that is queued still refers to it. */
ncclResult_t ncclCommAbort(ncclComm_t comm) {
  const struct timespec pause = {0, 1000000};
  comm->aborted = true;
  while (comm->graphs.use_count() > 1) nanosleep(&pause, nullptr);
  return ncclSuccess;
}

ncclResult_t ncclCommGetAsyncError(ncclComm_t comm, ncclResult_t *error) {
  *error = (ncclResult_t)comm->error.load();
  return ncclSuccess;
}

const char *ncclGetErrorString(ncclResult_t result) {
  return result == ncclSuccess              ? "no error"
         : result == ncclUnhandledCudaError ? "unhandled cuda error"
         : result == ncclSystemError        ? "unhandled system error"
         : result == ncclRemoteError        ? "remote process exited or there was a network error"
                                            : "some other error";
}

ncclResult_t ncclAllReduce(const void *from, void *to, size_t count, ncclDataType_t, ncclRedOp_t,
                           ncclComm_t comm, cudaStream_t stream) {
  const float *in = static_cast<const float *>(from);
  float *out = static_cast<float *>(to);
  ncclResult_t begun = begin(comm);
  if (begun) return begun;
  std::shared_ptr<int> held = reference(comm, stream);
  int first = first_rank(comm, held != nullptr);
  simt::enqueue_work(stream, [=] {
    (void)held;
    in_pieces(comm, in, count, [=](size_t at, size_t size) {
      for (size_t i = 0; i < size; i++) {
        float sum = comm->share->pieces[first][i];
        for (int r = 1; r < comm->count; r++)
          sum += comm->share->pieces[(first + r) % comm->count][i];
        out[at + i] = sum;
      }
    });
  });
  return ncclSuccess;
}

ncclResult_t ncclAllGather(const void *from, void *to, size_t count, ncclDataType_t,
                           ncclComm_t comm, cudaStream_t stream) {
  const float *in = static_cast<const float *>(from);
  float *out = static_cast<float *>(to);
  ncclResult_t begun = begin(comm);
  if (begun) return begun;
  std::shared_ptr<int> held = reference(comm, stream);
  simt::enqueue_work(stream, [=] {
    (void)held;
    in_pieces(comm, in, count, [=](size_t at, size_t size) {
      for (size_t r = 0; r < (size_t)comm->count; r++)
        memcpy(out + r * count + at, comm->share->pieces[r], size * sizeof *out);
    });
  });
  return ncclSuccess;
}
