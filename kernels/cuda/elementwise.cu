/* elementwise.cu - operations on one element at a time: conversion and GELU. Memory-bound: 16-byte
 * accesses in the middle, single elements at the end. */
#include "kernels/cuda/cuda.cuh"
#include "kernels/cuda/launch.cuh"
#include "kernels/cuda/numeric.cuh"
#include "kernels/scalar.h"

enum { THREADS = 256 };

template <class T> struct Gelu {
  __device__ static T apply(T x, T) {
    return from_float<T>(gelu_value(to_float(x)));
  }
};
template <class T> struct GeluSlope {
  __device__ static T apply(T x, T d_y) {
    return from_float<T>(to_float(d_y) * gelu_slope(to_float(x)));
  }
};

/* out[i] = Op(x[i], y[i]), 16 bytes of each array per thread; y may be x. */
template <class T, class Op>
__global__ void __launch_bounds__(THREADS)
    map_elements(T *out, const T *x, const T *y, size_t count) {
  constexpr int N = 16 / sizeof(T);
  size_t first = (blockIdx.x * (size_t)THREADS + threadIdx.x) * N;
  if (first + N <= count) {
    Pack<T, N> a = load_pack<T, N>(x + first), b = load_pack<T, N>(y + first), r;
#pragma unroll
    for (int i = 0; i < N; i++) r.element[i] = Op::apply(a.element[i], b.element[i]);
    store_pack(out + first, r);
  } else {
    for (size_t i = first; i < count; i++) out[i] = Op::apply(x[i], y[i]);
  }
}

template <class T>
__global__ void __launch_bounds__(THREADS)
    convert_elements(T *dst, const float *src, size_t count) {
  size_t first = (blockIdx.x * (size_t)THREADS + threadIdx.x) * 4;
  if (first + 4 <= count) {
    Pack<float, 4> a = load_pack<float, 4>(src + first);
    Pack<T, 4> r;
#pragma unroll
    for (int i = 0; i < 4; i++) r.element[i] = from_float<T>(a.element[i]);
    store_pack(dst + first, r);
  } else {
    for (size_t i = first; i < count; i++) dst[i] = from_float<T>(src[i]);
  }
}

template <class T, class Op>
static void map(CudaDevice *d, void *out, const void *x, const void *y, size_t count,
                const char *what) {
  if (!count) return;
  unsigned blocks = blocks_for(count, THREADS * (16 / sizeof(T)));
  LAUNCH((map_elements<T, Op>), dim3(blocks), dim3(THREADS), 0, d->stream, (T *)out, (const T *)x,
         (const T *)y, count);
  cuda_launched(d, what);
}

void cuda_convert(Device *device, void *dst, Dtype type, const float *src, size_t count) {
  CudaDevice *d = cuda_device(device);
  if (!count) return;
  WITH_TYPE(type, T,
            LAUNCH((convert_elements<T>), dim3(blocks_for(count, THREADS * 4)), dim3(THREADS), 0,
                   d->stream, (T *)dst, src, count));
  cuda_launched(d, "convert");
}

void cuda_gelu_forward(Device *device, void *y, const void *x, Dtype type, size_t count) {
  WITH_TYPE(type, T, map<T, Gelu<T>>(cuda_device(device), y, x, x, count, "gelu forward"));
}

void cuda_gelu_backward(Device *device, void *d_x, const void *d_y, const void *x, Dtype type,
                        size_t count) {
  WITH_TYPE(type, T,
            map<T, GeluSlope<T>>(cuda_device(device), d_x, x, d_y, count, "gelu backward"));
}
