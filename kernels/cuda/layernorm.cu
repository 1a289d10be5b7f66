/* layernorm.cu - layer normalisation with the residual addition that precedes it. A warp holds a row
 * in registers, so each value is read once; statistics in fp32, mean before variance. */
#include "kernels/cuda/cuda.cuh"
#include "kernels/cuda/launch.cuh"
#include "kernels/cuda/numeric.cuh"
#include "kernels/scalar.h"

enum {
  WARPS = 4,
  THREADS = WARPS * WARP_SIZE,
  VECTOR = 4,       /* elements a lane takes at once */
  ROW_CHUNKS = 512, /* blocks of the backward pass, and partial sums of d_weight: fixed */
};

/* Four columns of a row; past the end they read as 0 and are not stored. */
template <class T>
__device__ inline void load_columns(float x[VECTOR], const T *row, int column, int width) {
  if (width % VECTOR == 0) {
    if (column < width) {
      Pack<T, VECTOR> pack = load_pack<T, VECTOR>(row + column);
#pragma unroll
      for (int i = 0; i < VECTOR; i++) x[i] = to_float(pack.element[i]);
    } else {
#pragma unroll
      for (int i = 0; i < VECTOR; i++) x[i] = 0;
    }
  } else {
#pragma unroll
    for (int i = 0; i < VECTOR; i++) x[i] = column + i < width ? to_float(row[column + i]) : 0;
  }
}

template <class T>
__device__ inline void store_columns(T *row, const float x[VECTOR], int column, int width) {
  if (width % VECTOR == 0) {
    if (column >= width) return;
    Pack<T, VECTOR> pack;
#pragma unroll
    for (int i = 0; i < VECTOR; i++) pack.element[i] = from_float<T>(x[i]);
    store_pack(row + column, pack);
  } else {
#pragma unroll
    for (int i = 0; i < VECTOR; i++)
      if (column + i < width) row[column + i] = from_float<T>(x[i]);
  }
}

__device__ static inline int group_column(int group) {
  return (group * WARP_SIZE + (int)threadIdx.x % WARP_SIZE) * VECTOR;
}

template <class T>
__device__ inline void normalise_columns(T *y, const float x[VECTOR], float mean, float rstd,
                                         const float *weight, const float *bias, int column,
                                         int width) {
  float w[VECTOR], b[VECTOR], r[VECTOR];
  load_columns(w, weight, column, width);
  load_columns(b, bias, column, width);
#pragma unroll
  for (int i = 0; i < VECTOR; i++) r[i] = (x[i] - mean) * rstd * w[i] + b[i];
  store_columns(y, r, column, width);
}

template <class T, int GROUPS>
__global__ void __launch_bounds__(THREADS)
    layernorm_rows(T *y, float *sum, float *mean, float *rstd, const float *x, const T *branch,
                   const float *weight, const float *bias, size_t rows, int width) {
  size_t row = blockIdx.x * (size_t)WARPS + threadIdx.x / WARP_SIZE;
  if (row >= rows) return;
  float value[GROUPS][VECTOR], total = 0;
#pragma unroll
  for (int g = 0; g < GROUPS; g++) {
    int column = group_column(g);
    load_columns(value[g], x + row * width, column, width);
    if (branch) {
      float added[VECTOR];
      load_columns(added, branch + row * width, column, width);
#pragma unroll
      for (int i = 0; i < VECTOR; i++) value[g][i] += added[i];
    }
    if (sum) store_columns(sum + row * width, value[g], column, width);
#pragma unroll
    for (int i = 0; i < VECTOR; i++) total += value[g][i];
  }
  float row_mean = warp_sum(total) / (float)width, squares = 0;
#pragma unroll
  for (int g = 0; g < GROUPS; g++)
#pragma unroll
    for (int i = 0; i < VECTOR; i++) {
      float centred = group_column(g) + i < width ? value[g][i] - row_mean : 0;
      squares += centred * centred;
    }
  float row_rstd = 1 / sqrtf(warp_sum(squares) / (float)width + LAYERNORM_EPS);
#pragma unroll
  for (int g = 0; g < GROUPS; g++)
    normalise_columns(y + row * width, value[g], row_mean, row_rstd, weight, bias, group_column(g),
                      width);
  if (threadIdx.x % WARP_SIZE == 0) {
    mean[row] = row_mean;
    rstd[row] = row_rstd;
  }
}

template <class T>
__global__ void __launch_bounds__(THREADS)
    layernorm_apply_rows(T *y, const float *x, const float *mean, const float *rstd,
                         const float *weight, const float *bias, size_t rows, int width) {
  size_t row = blockIdx.x * (size_t)WARPS + threadIdx.x / WARP_SIZE;
  if (row >= rows) return;
  for (int column = group_column(0); column < width; column += WARP_SIZE * VECTOR) {
    float value[VECTOR];
    load_columns(value, x + row * width, column, width);
    normalise_columns(y + row * width, value, mean[row], rstd[row], weight, bias, column, width);
  }
}

/* d_x of each row, and this block's share of d_weight and d_bias into partial[block, 2, width]. A
 * block takes a fixed run of rows, a warp every fourth of them; the warps' sums meet in shared
 * memory in warp order. */
template <class T, int GROUPS>
__global__ void __launch_bounds__(THREADS)
    layernorm_backward_rows(float *d_x, T *d_x16, float *partial, const float *d_residual,
                            const T *d_y, const float *x, const float *mean, const float *rstd,
                            const float *weight, size_t rows, int width) {
  DYNAMIC_SHARED(float, sums); /* [WARPS, 2, width] */
  int warp = (int)threadIdx.x / WARP_SIZE;
  size_t per_block = (rows + gridDim.x - 1) / gridDim.x;
  size_t first = blockIdx.x * per_block, end = first + per_block < rows ? first + per_block : rows;
  float d_weight[GROUPS][VECTOR] = {}, d_bias[GROUPS][VECTOR] = {};
  for (size_t row = first + warp; row < end; row += WARPS) {
    float m = mean[row], r = rstd[row], sum_g = 0, sum_gx = 0;
    float gradient[GROUPS][VECTOR], normal[GROUPS][VECTOR];
#pragma unroll
    for (int g = 0; g < GROUPS; g++) {
      int column = group_column(g);
      float w[VECTOR], dy[VECTOR];
      load_columns(normal[g], x + row * width, column, width);
      load_columns(dy, d_y + row * width, column, width);
      load_columns(w, weight, column, width);
#pragma unroll
      for (int i = 0; i < VECTOR; i++) {
        normal[g][i] = (normal[g][i] - m) * r;
        gradient[g][i] = dy[i] * w[i]; /* 0 past the end */
        d_weight[g][i] += dy[i] * normal[g][i];
        d_bias[g][i] += dy[i];
        sum_g += gradient[g][i];
        sum_gx += gradient[g][i] * normal[g][i];
      }
    }
    sum_g = warp_sum(sum_g) / (float)width;
    sum_gx = warp_sum(sum_gx) / (float)width;
#pragma unroll
    for (int g = 0; g < GROUPS; g++) {
      int column = group_column(g);
      float result[VECTOR] = {};
      if (d_residual) load_columns(result, d_residual + row * width, column, width);
#pragma unroll
      for (int i = 0; i < VECTOR; i++)
        result[i] += r * (gradient[g][i] - sum_g - normal[g][i] * sum_gx);
      store_columns(d_x + row * width, result, column, width);
      if (d_x16) store_columns(d_x16 + row * width, result, column, width);
    }
  }
#pragma unroll
  for (int g = 0; g < GROUPS; g++) {
    store_columns(sums + (2 * warp) * width, d_weight[g], group_column(g), width);
    store_columns(sums + (2 * warp + 1) * width, d_bias[g], group_column(g), width);
  }
  __syncthreads();
  for (int i = (int)threadIdx.x; i < 2 * width; i += THREADS) {
    float total = 0;
    for (int w = 0; w < WARPS; w++) total += sums[2 * w * width + i];
    partial[blockIdx.x * (size_t)(2 * width) + i] = total;
  }
}

/* Adds up the blocks' partial sums in block order. */
__global__ void __launch_bounds__(THREADS)
    layernorm_reduce(float *d_weight, float *d_bias, const float *partial, int chunks, int width,
                     bool accumulate) {
  int column = (int)(blockIdx.x * THREADS + threadIdx.x);
  if (column >= 2 * width) return;
  float total = 0;
  for (int c = 0; c < chunks; c++) total += partial[(size_t)c * 2 * width + column];
  float *out = column < width ? d_weight + column : d_bias + column - width;
  *out = accumulate ? *out + total : total;
}

/* Runs statement with GROUPS large enough for the width. */
#define WITH_GROUPS(width, GROUPS, ...)                                                            \
  do {                                                                                             \
    int groups_ = ((width) + WARP_SIZE * VECTOR - 1) / (WARP_SIZE * VECTOR);                       \
    if (groups_ <= 1) {                                                                            \
      constexpr int GROUPS = 1;                                                                    \
      __VA_ARGS__;                                                                                 \
    } else if (groups_ <= 2) {                                                                     \
      constexpr int GROUPS = 2;                                                                    \
      __VA_ARGS__;                                                                                 \
    } else if (groups_ <= 3) {                                                                     \
      constexpr int GROUPS = 3;                                                                    \
      __VA_ARGS__;                                                                                 \
    } else if (groups_ <= 4) {                                                                     \
      constexpr int GROUPS = 4;                                                                    \
      __VA_ARGS__;                                                                                 \
    } else if (groups_ <= 6) {                                                                     \
      constexpr int GROUPS = 6;                                                                    \
      __VA_ARGS__;                                                                                 \
    } else {                                                                                       \
      constexpr int GROUPS = 8;                                                                    \
      __VA_ARGS__;                                                                                 \
    }                                                                                              \
  } while (0)

void cuda_layernorm_forward(Device *device, void *y, Dtype type, float *sum, float *mean,
                            float *rstd, const float *x, const void *branch, const float *weight,
                            const float *bias, size_t rows, int width) {
  CudaDevice *d = cuda_device(device);
  dim3 grid(blocks_for(rows, WARPS)), block(THREADS);
  WITH_TYPE(type, T,
            WITH_GROUPS(width, GROUPS,
                        LAUNCH((layernorm_rows<T, GROUPS>), grid, block, 0, d->stream, (T *)y, sum,
                               mean, rstd, x, (const T *)branch, weight, bias, rows, width)));
  cuda_launched(d, "layernorm forward");
}

void cuda_layernorm_apply(Device *device, void *y, Dtype type, const float *x, const float *mean,
                          const float *rstd, const float *weight, const float *bias, size_t rows,
                          int width) {
  CudaDevice *d = cuda_device(device);
  WITH_TYPE(type, T,
            LAUNCH((layernorm_apply_rows<T>), dim3(blocks_for(rows, WARPS)), dim3(THREADS), 0,
                   d->stream, (T *)y, x, mean, rstd, weight, bias, rows, width));
  cuda_launched(d, "layernorm apply");
}

void cuda_layernorm_backward(Device *device, float *d_x, void *d_x16, Dtype type, float *d_weight,
                             float *d_bias, const float *d_residual, const void *d_y,
                             const float *x, const float *mean, const float *rstd,
                             const float *weight, size_t rows, int width, bool accumulate) {
  CudaDevice *d = cuda_device(device);
  int chunks = rows < ROW_CHUNKS ? (int)rows : ROW_CHUNKS;
  float *partial = (float *)d->scratch;
  size_t shared = (size_t)WARPS * 2 * width * sizeof(float);
  WITH_TYPE(type, T,
            WITH_GROUPS(width, GROUPS,
                        LAUNCH((layernorm_backward_rows<T, GROUPS>), dim3((unsigned)chunks),
                               dim3(THREADS), shared, d->stream, d_x, (T *)d_x16, partial,
                               d_residual, (const T *)d_y, x, mean, rstd, weight, rows, width)));
  LAUNCH(layernorm_reduce, dim3(blocks_for(2 * (size_t)width, THREADS)), dim3(THREADS), 0,
         d->stream, d_weight, d_bias, partial, chunks, width, accumulate);
  cuda_launched(d, "layernorm backward");
}
