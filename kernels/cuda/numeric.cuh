/* numeric.cuh - the element types of the kernels and sums over a warp or a block in a fixed order.
 */
#ifndef KERNELS_CUDA_NUMERIC_CUH
#define KERNELS_CUDA_NUMERIC_CUH

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>
#include <stddef.h>
#include <stdint.h>

#include "kernels/backend.h"

enum { WARP_SIZE = 32 };
#define FULL_WARP 0xffffffffu

typedef __half Half;
typedef __nv_bfloat16 Bfloat16;

__device__ static inline float to_float(float x) {
  return x;
}
__device__ static inline float to_float(Half x) {
  return __half2float(x);
}
__device__ static inline float to_float(Bfloat16 x) {
  return __bfloat162float(x);
}

template <class T> __device__ inline T from_float(float x);
template <> __device__ inline float from_float<float>(float x) {
  return x;
}
template <> __device__ inline Half from_float<Half>(float x) {
  return __float2half_rn(x);
}
template <> __device__ inline Bfloat16 from_float<Bfloat16>(float x) {
  return __float2bfloat16_rn(x);
}

#ifdef __CUDACC__
/* 2^x, to 2 roundings of the result; 0 where it would be below 2^-126, which exp2f() takes three
 * instructions more to tell. */
__device__ static inline float exp2_approximate(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;\n" : "=f"(y) : "f"(x));
  return y;
}
/* 1 / x, to one unit in the last place, for x and 1 / x not denormal. */
__device__ static inline float reciprocal_approximate(float x) {
  float y;
  asm("rcp.approx.ftz.f32 %0, %1;\n" : "=f"(y) : "f"(x));
  return y;
}
#else
static inline float exp2_approximate(float x) {
  return x < -126 ? 0 : exp2f(x);
}
static inline float reciprocal_approximate(float x) {
  return 1 / x;
}
#endif

/* The smaller, x where it is NaN: fminf() would give the other. One instruction from compute
 * capability 8.0 on. */
__device__ static inline float minimum_or_nan(float x, float limit) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
  float y;
  asm("min.NaN.f32 %0, %1, %2;\n" : "=f"(y) : "f"(x), "f"(limit));
  return y;
#else
  return x > limit ? limit : x;
#endif
}

/* N elements moved by one access of N * sizeof(T) bytes, which must be aligned to that. */
template <class T, int N> struct alignas(sizeof(T) * N) Pack { T element[N]; };
template <class T, int N> __device__ inline Pack<T, N> load_pack(const T *p) {
  return *reinterpret_cast<const Pack<T, N> *>(p);
}
template <class T, int N> __device__ inline void store_pack(T *p, const Pack<T, N> &pack) {
  *reinterpret_cast<Pack<T, N> *>(p) = pack;
}

/* Whether a dense matrix's rows of `width` elements can be moved N elements at a time. */
template <class T, int N> static inline bool rows_aligned(const void *first, int width) {
  return width % N == 0 && (uintptr_t)first % (sizeof(T) * N) == 0;
}

/* N consecutive elements as fp32, of which the first `count` are there: the others read as 0 and
 * are not stored. aligned: to their size, and either all or none are there; then one access. */
template <int N, class T>
__device__ inline void load_floats(float x[N], const T *p, int count, bool aligned) {
  if (aligned) {
    if (count > 0) {
      Pack<T, N> pack = load_pack<T, N>(p);
#pragma unroll
      for (int i = 0; i < N; i++) x[i] = to_float(pack.element[i]);
    } else {
#pragma unroll
      for (int i = 0; i < N; i++) x[i] = 0;
    }
  } else {
#pragma unroll
    for (int i = 0; i < N; i++) x[i] = i < count ? to_float(p[i]) : 0;
  }
}
template <int N, class T>
__device__ inline void store_floats(T *p, const float x[N], int count, bool aligned) {
  if (aligned) {
    if (count <= 0) return;
    Pack<T, N> pack;
#pragma unroll
    for (int i = 0; i < N; i++) pack.element[i] = from_float<T>(x[i]);
    store_pack(p, pack);
  } else {
#pragma unroll
    for (int i = 0; i < N; i++)
      if (i < count) p[i] = from_float<T>(x[i]);
  }
}

/* Sum over the 32 lanes; every lane gets it. */
template <class F> __device__ inline F warp_sum(F x) {
  for (int bits = WARP_SIZE / 2; bits; bits >>= 1) x += __shfl_xor_sync(FULL_WARP, x, bits);
  return x;
}
/* Maximum over the 32 lanes; every lane gets it. */
__device__ static inline float warp_max(float x) {
  for (int bits = WARP_SIZE / 2; bits; bits >>= 1)
    x = fmaxf(x, __shfl_xor_sync(FULL_WARP, x, bits));
  return x;
}
/* Sum over a block of `warps` full warps; every thread gets it. partial: [warps] in shared memory;
 * a barrier before and after makes it reusable at once. */
template <class F> __device__ inline F block_sum(F x, F *partial, int warps) {
  int thread = (int)threadIdx.x;
  x = warp_sum(x);
  if (thread % WARP_SIZE == 0) partial[thread / WARP_SIZE] = x;
  __syncthreads();
  F total = 0;
  for (int w = 0; w < warps; w++) total += partial[w];
  __syncthreads();
  return total;
}

#endif
