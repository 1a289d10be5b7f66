/* elementwise.cu - operations on one element at a time: conversion and GELU. Memory-bound: 16-byte
 * accesses in the middle, single elements at the end. */
#include "kernels/cuda/columns.cuh"
#include "kernels/cuda/gelu.cuh"
#include "kernels/cuda/launch.cuh"
#include "kernels/cuda/reduce.cuh"

enum { THREADS = 256 };

template <class T>
__global__ void __launch_bounds__(THREADS) gelu_elements(T *y, const T *x, size_t count) {
  constexpr int N = 16 / sizeof(T);
  size_t first = (blockIdx.x * (size_t)THREADS + threadIdx.x) * N;
  if (first + N <= count) {
    Pack<T, N> a = load_pack<T, N>(x + first), r;
#pragma unroll
    for (int i = 0; i < N; i++) r.element[i] = from_float<T>(gelu<T>(to_float(a.element[i])));
    store_pack(y + first, r);
  } else {
    for (size_t i = first; i < count; i++) y[i] = from_float<T>(gelu<T>(to_float(x[i])));
  }
}

/* d_x, and a block's share of the sums of its columns; d_x may be d_y. */
template <class T, bool ALIGNED>
__global__ void __launch_bounds__(COLUMN_THREADS)
    gelu_backward_rows(float *partial, T *d_x, const T *d_y, const T *x, size_t rows, int width) {
  typedef ColumnPart<T> Part;
  Part part(rows, width);
  float total[Part::VECTOR] = {};
  size_t at = part.first * width + part.column, step = Part::SLOTS * (size_t)width;
  for (size_t row = part.first; row < part.end; row += Part::SLOTS, at += step) {
    int count = ALIGNED ? (int)Part::VECTOR : part.left;
    float value[Part::VECTOR], gradient[Part::VECTOR];
    load_floats<Part::VECTOR>(value, x + at, count, ALIGNED);
    load_floats<Part::VECTOR>(gradient, d_y + at, count, ALIGNED);
#pragma unroll
    for (int i = 0; i < Part::VECTOR; i++) {
      gradient[i] *= gelu_derivative<T>(value[i]); /* 0 past the end */
      total[i] += gradient[i];
    }
    store_floats<Part::VECTOR>(d_x + at, gradient, count, ALIGNED);
  }
  part.store(partial, total, width);
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

void cuda_convert(Device *device, void *dst, Dtype type, const float *src, size_t count) {
  CudaDevice *d = cuda_device(device);
  if (!count) return;
  WITH_TYPE(type, T,
            LAUNCH((convert_elements<T>), dim3(blocks_for(count, THREADS * 4)), dim3(THREADS), 0,
                   d->stream, (T *)dst, src, count));
  cuda_launched(d, "convert");
}

void cuda_gelu_forward(Device *device, void *y, const void *x, Dtype type, size_t count) {
  CudaDevice *d = cuda_device(device);
  if (!count) return;
  WITH_TYPE(type, T,
            LAUNCH((gelu_elements<T>), dim3(blocks_for(count, THREADS * (16 / sizeof(T)))),
                   dim3(THREADS), 0, d->stream, (T *)y, (const T *)x, count));
  cuda_launched(d, "gelu forward");
}

void cuda_gelu_backward(Device *device, void *d_x, float *d_bias, const void *d_y, const void *x,
                        Dtype type, size_t rows, int width, bool accumulate) {
  CudaDevice *d = cuda_device(device);
  int chunks = reduce_chunk_count(rows, (size_t)width);
  if (chunks)
    WITH_TYPE(type, T, {
      constexpr int N = 16 / sizeof(T);
      bool aligned = rows_aligned<T, N>(d_x, width) && rows_aligned<T, N>(d_y, width) &&
                     rows_aligned<T, N>(x, width);
      auto kernel = aligned ? gelu_backward_rows<T, true> : gelu_backward_rows<T, false>;
      LAUNCH(kernel, column_grid(chunks, width), dim3(COLUMN_THREADS), 0, d->stream,
             (float *)d->scratch, (T *)d_x, (const T *)d_y, (const T *)x, rows, width);
    });
  cuda_launched(d, "gelu backward");
  reduce_chunks(d, {d_bias}, chunks, 1, width, accumulate);
}
