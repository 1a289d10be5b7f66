/* simt.h - runs CUDA kernels on the CPU, one fiber per thread of a block.
 *
 * A .cu file compiled by g++ with tests/simt/include first on the include path finds this in place
 * of the CUDA headers. Blocks run one after another; the threads of a block are fibers that switch
 * at barriers and warp exchanges. Both go in ascending, descending or random order (set_order), so
 * that code relying on an order shows itself. What it catches:
 *   - a barrier or warp exchange that not all threads reach: reported with both source lines;
 *   - reads of shared memory nobody wrote: dynamic shared memory is filled with NaN for each block,
 *     that which kernels name themselves for each launch;
 *   - asynchronous copies that are not waited for, or into what is still read; copies and rows of
 *     matrices at addresses that are no multiples of 16 (packs: under UndefinedBehaviorSanitizer);
 *   - out-of-bounds accesses, under AddressSanitizer;
 *   - a missing barrier, under ThreadSanitizer, which sees each thread as a fiber of its own and
 *     barriers as its only synchronisation.
 * Not modelled: concurrency between blocks, bank conflicts, occupancy. Streams, events, graphs and
 * device memory are runtime.cc's. */
#ifndef SIMT_H
#define SIMT_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <functional>
#include <tuple>

#define __global__ static
#define __device__
#define __host__
#define __forceinline__ inline __attribute__((always_inline))
#define __launch_bounds__(...)
#define __restrict__ __restrict
/* Filled with NaN for each launch; but of templates, for which the compiler does not heed it. */
#define __shared__ static __attribute__((section("simt_shared")))
#define __align__(n) alignas(n)
#define __constant__ static

struct dim3 {
  unsigned x, y, z;
  constexpr dim3(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_) {}
};
struct alignas(8) float2 {
  float x, y;
};
struct alignas(16) float4 {
  float x, y, z, w;
};
struct alignas(8) uint2 {
  unsigned x, y;
};
struct alignas(16) uint4 {
  unsigned x, y, z, w;
};
struct alignas(8) int2 {
  int x, y;
};
struct alignas(16) int4 {
  int x, y, z, w;
};
static inline float2 make_float2(float x, float y) {
  return {x, y};
}
static inline float4 make_float4(float x, float y, float z, float w) {
  return {x, y, z, w};
}
static inline uint4 make_uint4(unsigned x, unsigned y, unsigned z, unsigned w) {
  return {x, y, z, w};
}

struct SimtStream; /* runtime.h */

namespace simt {

enum Order { ASCENDING, DESCENDING, RANDOM };
void set_order(Order order, uint64_t seed = 1);

/* Where the running thread is. */
dim3 thread_index();
dim3 block_index();
dim3 block_size();
dim3 grid_size();
int lane();

/* The most blocks in a grid's second and third dimension: 65,535. */
extern unsigned grid_limit;

/* Runs kernel() once for each thread of each block. */
void launch(dim3 grid, dim3 block, size_t shared_bytes, const std::function<void()> &kernel);

/* Where runtime.cc takes launches on a stream other than NULL, to run them in the stream's order.
 * Without it (NULL) every launch runs at once. */
typedef void Enqueue(SimtStream *stream, const void *kernel, size_t shared_bytes,
                     const std::function<void()> &run);
extern Enqueue *enqueue;

template <class T> struct Same { typedef T type; };
/* kernel<<<grid, block, shared_bytes, stream>>>(arguments...): the arguments are those of now,
 * however much later the kernel runs. */
template <class... T>
void start(SimtStream *stream, dim3 grid, dim3 block, size_t shared_bytes, void (*kernel)(T...),
           typename Same<T>::type... arguments) {
  std::tuple<T...> values(arguments...);
  auto run = [=] { launch(grid, block, shared_bytes, [&] { std::apply(kernel, values); }); };
  if (stream && enqueue)
    enqueue(stream, reinterpret_cast<const void *>(kernel), shared_bytes, run);
  else
    run();
}

/* Ends the program where a GPU would: when p is no multiple of `bytes`. */
void check_aligned(const void *p, size_t bytes, const char *where);
/* What may be done at any time from now on: true, it is done now; false, when it is waited for. The
 * latter in ascending order, the former in descending order, the one or the other at random. */
bool done_early();

void *dynamic_shared();
void sync_threads(const char *where);
void sync_warp(unsigned mask, const char *where);

enum { SLOT = 64 };
/* Every lane in mask shows `bytes` (at most SLOT) to its warp; returns the 32 slots, valid until
 * the calling lane's next exchange but one. */
const unsigned char (*exchange(unsigned mask, const void *value, size_t bytes,
                               const char *where))[SLOT];

template <class T> T shuffle(unsigned mask, T value, int source, const char *where) {
  static_assert(sizeof(T) <= SLOT, "a shuffle moves at most 64 bytes");
  T result;
  memcpy(&result, exchange(mask, &value, sizeof value, where)[source & 31], sizeof result);
  return result;
}

} // namespace simt

#define SIMT_STRING_(x) #x
#define SIMT_STRING(x) SIMT_STRING_(x)
#define SIMT_HERE __FILE__ ":" SIMT_STRING(__LINE__)

#define threadIdx simt::thread_index()
#define blockIdx simt::block_index()
#define blockDim simt::block_size()
#define gridDim simt::grid_size()
#define __syncthreads() simt::sync_threads(SIMT_HERE)
/* __syncwarp() or __syncwarp(mask) */
#define __syncwarp(...) simt::sync_warp(simt::mask_or_all(__VA_ARGS__), SIMT_HERE)
#define __shfl_sync(mask, value, source) simt::shuffle(mask, value, source, SIMT_HERE)
#define __shfl_xor_sync(mask, value, bits)                                                         \
  simt::shuffle(mask, value, simt::lane() ^ (bits), SIMT_HERE)
#define __shfl_down_sync(mask, value, delta)                                                       \
  simt::shuffle(mask, value, simt::lane() + (delta) > 31 ? simt::lane() : simt::lane() + (delta),  \
                SIMT_HERE)
#define __shfl_up_sync(mask, value, delta)                                                         \
  simt::shuffle(mask, value, simt::lane() < (delta) ? simt::lane() : simt::lane() - (delta),       \
                SIMT_HERE)
/* Of integers only: with floats the result would depend on the order. */
static inline unsigned atomicAdd(unsigned *at, unsigned value) {
  return __atomic_fetch_add(at, value, __ATOMIC_RELAXED);
}

namespace simt {
static inline unsigned mask_or_all(unsigned mask = ~0u) {
  return mask;
}
} // namespace simt

/* Device intrinsics that have a plain counterpart. */
#define __expf(x) expf(x)
#define __logf(x) logf(x)
#define __fdividef(x, y) ((x) / (y))
/* A product rounded by itself, never fused with an addition. */
static inline float __fmul_rn(float x, float y) {
  volatile float product = x * y;
  return product;
}
static inline float rsqrtf(float x) {
  return 1.0f / sqrtf(x);
}
template <class T> static inline T __ldg(const T *p) {
  return *p;
}
template <class T> static inline T min(T a, T b) {
  return b < a ? b : a;
}
template <class T> static inline T max(T a, T b) {
  return a < b ? b : a;
}

#endif
