/* mma.cuh - tensor-core products of 16x8x16 tiles and the loads that feed them (PTX ISA, "Matrix
 * multiply-accumulate instructions").
 *
 * With g = lane / 4 and t = lane % 4, the fragments of D[16,8] += A[16,16] B[16,8] are
 *   a[0], a[1]: A[g, 2t..2t+1], A[g+8, 2t..2t+1]     a[2], a[3]: the same 8 columns further right
 *   b[0], b[1]: B[2t..2t+1, g], B[2t+8..2t+9, g]
 *   d[0], d[1]: D[g, 2t..2t+1]                       d[2], d[3]: D[g+8, 2t..2t+1]
 * two 16-bit values to a word, the lower index in the lower half. An accumulator's fragment,
 * packed, is an A fragment. */
#ifndef KERNELS_CUDA_MMA_CUH
#define KERNELS_CUDA_MMA_CUH

#include <string.h>

#include "kernels/cuda/numeric.cuh"

template <class T> __device__ inline uint32_t pack_pair(float low, float high) {
  Pack<T, 2> pair = {{from_float<T>(low), from_float<T>(high)}};
  uint32_t word;
  memcpy(&word, &pair, sizeof word);
  return word;
}
template <class T> __device__ inline float2 unpack_pair(uint32_t word) {
  Pack<T, 2> pair;
  memcpy(&pair, &word, sizeof pair);
  return make_float2(to_float(pair.element[0]), to_float(pair.element[1]));
}
template <class T> __device__ inline uint32_t load_pair(const T *p) {
  return *reinterpret_cast<const uint32_t *>(p);
}

#ifdef __CUDACC__

template <class T>
__device__ inline void mma_16x8x16(float d[4], const uint32_t a[4], const uint32_t b[2]);

template <>
__device__ inline void mma_16x8x16<Half>(float d[4], const uint32_t a[4], const uint32_t b[2]) {
#if __CUDA_ARCH__ >= 800
  asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 "
               "{%0,%1,%2,%3},{%4,%5,%6,%7},{%8,%9},{%0,%1,%2,%3};\n"
               : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#else
  for (int half = 0; half < 2; half++)
    asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 "
                 "{%0,%1,%2,%3},{%4,%5},{%6},{%0,%1,%2,%3};\n"
                 : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
                 : "r"(a[2 * half]), "r"(a[2 * half + 1]), "r"(b[half]));
#endif
}

template <>
__device__ inline void mma_16x8x16<Bfloat16>(float d[4], const uint32_t a[4], const uint32_t b[2]) {
#if __CUDA_ARCH__ >= 800
  asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
               "{%0,%1,%2,%3},{%4,%5,%6,%7},{%8,%9},{%0,%1,%2,%3};\n"
               : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#else
  __trap(); /* bf16 is refused below compute capability 8.0 when the device is opened */
#endif
}

/* Four 8x8 matrices from shared memory: lane i names row i % 8 of matrix i / 8 (8 elements, 16-byte
 * aligned); word m is this lane's fragment of matrix m. For B = rows^T, rows 0..7 at columns d,
 * d+8, d+16 and d+24 give b[0], b[1] of two steps along the sum. */
template <class T> __device__ inline void load_matrices(uint32_t words[4], const T *row) {
  unsigned address = static_cast<unsigned>(__cvta_generic_to_shared(row));
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];\n"
               : "=r"(words[0]), "=r"(words[1]), "=r"(words[2]), "=r"(words[3])
               : "r"(address)
               : "memory");
}
/* The same with each matrix transposed. For B = rows, rows 0..15 at columns d and d+8 give b[0],
 * b[1] of two neighbouring column tiles. */
template <class T> __device__ inline void load_transposed(uint32_t words[4], const T *row) {
  unsigned address = static_cast<unsigned>(__cvta_generic_to_shared(row));
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];\n"
               : "=r"(words[0]), "=r"(words[1]), "=r"(words[2]), "=r"(words[3])
               : "r"(address)
               : "memory");
}

/* Starts a copy of 16 bytes from global to shared memory, aligned to 16 in both; from compute
 * capability 8.0 on the thread goes on meanwhile. inside: false writes zeros and reads nothing. */
__device__ static inline void copy_async_16(void *shared, const void *global, bool inside) {
#if __CUDA_ARCH__ >= 800
  unsigned address = static_cast<unsigned>(__cvta_generic_to_shared(shared));
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;\n" ::"r"(address), "l"(global),
               "r"(inside ? 16 : 0)
               : "memory");
#else
  uint4 value = make_uint4(0, 0, 0, 0);
  if (inside) value = *static_cast<const uint4 *>(global);
  *static_cast<uint4 *>(shared) = value;
#endif
}
/* Waits for the copies of this thread; those of others are there after a barrier. */
__device__ static inline void copies_done() {
#if __CUDA_ARCH__ >= 800
  asm volatile("cp.async.wait_all;\n" ::: "memory");
#endif
}

/* x, of which nvcc is not to know that it is always the same: what is computed from it is computed
 * where it stands, not once and then kept in registers. */
__device__ static inline unsigned worked_out_here(unsigned x) {
  asm volatile("" : "+r"(x));
  return x;
}

#else
#include "tests/simt/mma_simt.h"
#endif

#endif
