/* runtime.h - a CUDA runtime for a machine without a GPU, so that all of kernels/cuda/, and with it
 * the whole trainer, runs on the CPU. It keeps what host code can get wrong:
 *   - Work is done when somebody waits for it and not before (SIMT_STREAMS=lazy, the default), at
 *     once (eager), or at random moments (random:SEED); only events order streams against each
 *     other. A transfer that is read too early, or whose source is reused too early, shows.
 *   - Kernel arguments are those of the launch. A recorded graph replays them.
 *   - Device memory begins as NaN and cannot be touched by the host (but under AddressSanitizer,
 *     which guards its ends instead); pageable and page-locked host memory differ as they do.
 *   - A launch with more shared memory than was asked for with cudaFuncSetAttribute fails, and so
 *     does instantiating a graph with such a kernel, by what holds then; and asking for more than
 *     is left beside what counts as the kernel's own. So does what a capturing stream must not do,
 *     and waiting for an event that was last recorded into a graph.
 *   - A process that was forked after the first call that asks for a device cannot use one.
 *   - An error of a kernel comes late and stays.
 *   - The code of a kernel takes memory when it is first launched, a graph when it is instantiated.
 *
 * The environment says what device this is:
 *   SIMT_DEVICES=1        how many there are
 *   SIMT_CAPABILITY=8.0   compute capability
 *   SIMT_SHARED=163       KiB of shared memory a block may ask for; as the capability has it
 *   SIMT_GRID=65535       blocks in a grid's second and third dimension
 *   SIMT_MEMORY=16384     MiB of memory
 *   SIMT_DRIVER=13000     CUDA version of the driver; 0: none installed
 *   SIMT_GUARD=1          0: the host may touch device memory; many small transfers cost less
 *   SIMT_STREAMS=lazy     when queued work is done: lazy, eager or random:SEED, see above
 *   SIMT_REPORT=FILE      at the end, appends what happened: see Counters
 *   SIMT_FAIL=NAME:N:CODE[,...]  the N-th call of a function fails with that error
 * NAME `launch` is a refused launch, `kernel` one that fails while it runs. */
#ifndef SIMT_RUNTIME_H
#define SIMT_RUNTIME_H

#include "include/cuda_runtime.h"

namespace simt {

struct Counters {
  size_t allocations, allocations_between_replays;
  size_t waits, waits_between_replays; /* of the host for a whole stream or device */
  size_t captured, replays;            /* graphs instantiated and launched */
  size_t kernels;                      /* run, replayed ones included */
  size_t peak_bytes;
};
const Counters &counters();

/* Adds work to a stream, or to the graph it is captured into. */
void enqueue_work(SimtStream *, const std::function<void()> &run);
/* Counts a call of `name`; an error when it is the one to fail, or an earlier one persists. */
cudaError_t enter(const char *name);
/* Takes memory as a library or the driver does for itself; an error when there is too little. */
cudaError_t charge(size_t bytes);
/* Work that is done now took so many seconds, by the clock of events; the host's does not know. */
void pretend(double seconds);
enum { MULTIPROCESSORS = 40 };
/* Compute capability, 10 x major + minor. */
int capability();

} // namespace simt

#endif
