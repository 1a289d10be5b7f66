/* layernorm.cu - layer normalisation with the residual addition that precedes it. A warp holds a
 * row in registers, so each value is read once; rows too wide for that, or not aligned, are read
 * twice or thrice.
 * Statistics in fp32, mean before variance. */
#include "kernels/cuda/launch.cuh"
#include "kernels/cuda/numeric.cuh"
#include "kernels/cuda/reduce.cuh"
#include "kernels/scalar.h"

enum {
  WARPS = 4,
  THREADS = WARPS * WARP_SIZE,
  VECTOR = 4,               /* elements a lane takes at once */
  GROUPS_MAX = 8,           /* of 32 * VECTOR columns held in registers: rows of up to 1024 */
  ROW_CHUNKS = 512,         /* blocks of the backward pass, and partial sums of d_weight: at most */
  BLOCKS = 8,               /* of the backward pass, in a multiprocessor: 64 registers a thread */
  SHARED_ALWAYS = 48 << 10, /* bytes of shared memory that need not be asked for */
};

__device__ static inline int group_column(int group) {
  return (group * WARP_SIZE + (int)threadIdx.x % WARP_SIZE) * VECTOR;
}

template <class T>
__device__ inline void normalise_columns(T *y, const float x[VECTOR], float mean, float rstd,
                                         const float *weight, const float *bias, int column,
                                         int width, bool aligned) {
  float w[VECTOR], b[VECTOR], r[VECTOR];
  load_floats<VECTOR>(w, weight + column, width - column, aligned);
  load_floats<VECTOR>(b, bias + column, width - column, aligned);
#pragma unroll
  for (int i = 0; i < VECTOR; i++) r[i] = (x[i] - mean) * rstd * w[i] + b[i];
  store_floats<VECTOR>(y + column, r, width - column, aligned);
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
    load_floats<VECTOR>(value[g], x + row * width + column, width - column, true);
    if (branch) {
      float added[VECTOR];
      load_floats<VECTOR>(added, branch + row * width + column, width - column, true);
#pragma unroll
      for (int i = 0; i < VECTOR; i++) value[g][i] += added[i];
    }
    if (sum) store_floats<VECTOR>(sum + row * width + column, value[g], width - column, true);
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
                      width, true);
  if (threadIdx.x % WARP_SIZE == 0) {
    mean[row] = row_mean;
    rstd[row] = row_rstd;
  }
}

template <class T>
__global__ void __launch_bounds__(THREADS)
    layernorm_apply_rows(T *y, const float *x, const float *mean, const float *rstd,
                         const float *weight, const float *bias, size_t rows, int width,
                         bool aligned) {
  size_t row = blockIdx.x * (size_t)WARPS + threadIdx.x / WARP_SIZE;
  if (row >= rows) return;
  for (int column = group_column(0); column < width; column += WARP_SIZE * VECTOR) {
    float value[VECTOR];
    load_floats<VECTOR>(value, x + row * width + column, width - column, aligned);
    normalise_columns(y + row * width, value, mean[row], rstd[row], weight, bias, column, width,
                      aligned);
  }
}

/* Adds the warps' sums[WARPS, width] in warp order, after a barrier. */
__device__ static inline void add_warps(float *out, const float *sums, int width) {
  __syncthreads();
  for (int i = (int)threadIdx.x; i < width; i += THREADS) {
    float total = 0;
    for (int w = 0; w < WARPS; w++) total += sums[w * width + i];
    out[i] = total;
  }
}
/* The same of values in registers; sums may still be read by add_warps before. */
template <int GROUPS>
__device__ inline void add_warps_of(float *out, float *sums, const float value[GROUPS][VECTOR],
                                    int width) {
  __syncthreads();
  float *own = sums + (int)threadIdx.x / WARP_SIZE * width;
#pragma unroll
  for (int g = 0; g < GROUPS; g++)
    store_floats<VECTOR>(own + group_column(g), value[g], width - group_column(g), true);
  add_warps(out, sums, width);
}

/* d_x of each row, and this block's share of the column sums into partial[block, planes, width]: of
 * d_weight, of d_bias and, with three planes, of d_x. A block takes a fixed run of rows, a warp
 * every fourth of them. The sums of d_x grow in shared memory, for which each lane has columns of
 * its own: registers are short, and the time is that of memory. Up to two groups fit 64 registers,
 * if asked for: left to choose, ptxas may spill to get there. */
template <class T, int GROUPS>
__global__ void __launch_bounds__(THREADS, GROUPS <= 2 ? BLOCKS : 1)
    layernorm_backward_rows(float *d_x, T *d_x16, float *partial, const float *d_residual,
                            const T *d_y, const float *x, const float *mean, const float *rstd,
                            const float *weight, size_t rows, int width, int planes) {
  DYNAMIC_SHARED(float, sums); /* [WARPS, width] */
  int warp = (int)threadIdx.x / WARP_SIZE;
  size_t per_block = (rows + gridDim.x - 1) / gridDim.x;
  size_t first = blockIdx.x * per_block, end = first + per_block < rows ? first + per_block : rows;
  float d_weight[GROUPS][VECTOR] = {}, d_bias[GROUPS][VECTOR] = {};
  float *x_sums = sums + warp * width;
#pragma unroll
  for (int g = 0; g < GROUPS; g++)
    store_floats<VECTOR>(x_sums + group_column(g), d_bias[g], width - group_column(g), true);
  for (size_t row = first + warp; row < end; row += WARPS) {
    float m = mean[row], r = rstd[row], sum_g = 0, sum_gx = 0;
    float gradient[GROUPS][VECTOR], normal[GROUPS][VECTOR];
#pragma unroll
    for (int g = 0; g < GROUPS; g++) {
      int column = group_column(g);
      float w[VECTOR], dy[VECTOR];
      load_floats<VECTOR>(normal[g], x + row * width + column, width - column, true);
      load_floats<VECTOR>(dy, d_y + row * width + column, width - column, true);
      load_floats<VECTOR>(w, weight + column, width - column, true);
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
      if (d_residual)
        load_floats<VECTOR>(result, d_residual + row * width + column, width - column, true);
#pragma unroll
      for (int i = 0; i < VECTOR; i++)
        result[i] += r * (gradient[g][i] - sum_g - normal[g][i] * sum_gx);
      store_floats<VECTOR>(d_x + row * width + column, result, width - column, true);
      if (d_x16) store_floats<VECTOR>(d_x16 + row * width + column, result, width - column, true);
      if (planes < 3) continue;
      float sum[VECTOR];
      load_floats<VECTOR>(sum, x_sums + column, width - column, true);
#pragma unroll
      for (int i = 0; i < VECTOR; i++) sum[i] += result[i];
      store_floats<VECTOR>(x_sums + column, sum, width - column, true);
    }
  }
  partial += blockIdx.x * (size_t)(planes * width);
  if (planes == 3) add_warps(partial + 2 * width, sums, width);
  add_warps_of<GROUPS>(partial, sums, d_weight, width);
  add_warps_of<GROUPS>(partial + width, sums, d_bias, width);
}

/* Rows too wide for registers, or not aligned. What pass 2 and 3 read of a row, the same lane wrote
 * or read before: it comes from the cache. */
template <class T>
__global__ void __launch_bounds__(THREADS)
    layernorm_general_rows(T *y, float *sum, float *mean, float *rstd, const float *x,
                           const T *branch, const float *weight, const float *bias, size_t rows,
                           int width, bool aligned) {
  size_t row = blockIdx.x * (size_t)WARPS + threadIdx.x / WARP_SIZE, start = row * width;
  if (row >= rows) return;
  const float *summed = sum ? sum : x;
  float value[VECTOR], total = 0, squares = 0;
  for (int column = group_column(0); column < width; column += WARP_SIZE * VECTOR) {
    int left = width - column;
    load_floats<VECTOR>(value, x + start + column, left, aligned);
    if (branch) {
      float added[VECTOR];
      load_floats<VECTOR>(added, branch + start + column, left, aligned);
#pragma unroll
      for (int i = 0; i < VECTOR; i++) value[i] += added[i];
    }
    if (sum) store_floats<VECTOR>(sum + start + column, value, left, aligned);
#pragma unroll
    for (int i = 0; i < VECTOR; i++) total += value[i];
  }
  float row_mean = warp_sum(total) / (float)width;
  for (int column = group_column(0); column < width; column += WARP_SIZE * VECTOR) {
    load_floats<VECTOR>(value, summed + start + column, width - column, aligned);
#pragma unroll
    for (int i = 0; i < VECTOR; i++) {
      float centred = column + i < width ? value[i] - row_mean : 0;
      squares += centred * centred;
    }
  }
  float row_rstd = 1 / sqrtf(warp_sum(squares) / (float)width + LAYERNORM_EPS);
  for (int column = group_column(0); column < width; column += WARP_SIZE * VECTOR) {
    load_floats<VECTOR>(value, summed + start + column, width - column, aligned);
    normalise_columns(y + start, value, row_mean, row_rstd, weight, bias, column, width, aligned);
  }
  if (threadIdx.x % WARP_SIZE == 0) {
    mean[row] = row_mean;
    rstd[row] = row_rstd;
  }
}

/* The same for the backward pass: the warps' shares of all column sums are in shared memory from
 * the start, in as many warps as there is room for. */
template <class T>
__global__ void __launch_bounds__(THREADS)
    layernorm_backward_general_rows(float *d_x, T *d_x16, float *partial, const float *d_residual,
                                    const T *d_y, const float *x, const float *mean,
                                    const float *rstd, const float *weight, size_t rows, int width,
                                    int planes, bool aligned) {
  DYNAMIC_SHARED(float, sums); /* [warps, planes, width] */
  int warps = (int)blockDim.x / WARP_SIZE, warp = (int)threadIdx.x / WARP_SIZE;
  float *d_weight = sums + warp * planes * width, *d_bias = d_weight + width;
  float *x_sums = planes == 3 ? d_bias + width : NULL;
  for (int plane = 0; plane < planes; plane++)
    for (int column = group_column(0); column < width; column += WARP_SIZE * VECTOR)
      for (int i = 0; i < VECTOR && column + i < width; i++)
        d_weight[plane * width + column + i] = 0;
  size_t per_block = (rows + gridDim.x - 1) / gridDim.x;
  size_t first = blockIdx.x * per_block, end = first + per_block < rows ? first + per_block : rows;
  for (size_t row = first + warp; row < end; row += warps) {
    size_t start = row * width;
    float m = mean[row], r = rstd[row], sum_g = 0, sum_gx = 0;
    float normal[VECTOR], dy[VECTOR], w[VECTOR];
    for (int column = group_column(0); column < width; column += WARP_SIZE * VECTOR) {
      int left = width - column;
      load_floats<VECTOR>(normal, x + start + column, left, aligned);
      load_floats<VECTOR>(dy, d_y + start + column, left, aligned);
      load_floats<VECTOR>(w, weight + column, left, aligned);
      for (int i = 0; i < VECTOR && i < left; i++) {
        float n = (normal[i] - m) * r;
        d_weight[column + i] += dy[i] * n;
        d_bias[column + i] += dy[i];
        float g = __fmul_rn(dy[i], w[i]); /* rounded as below, so that equal terms cancel */
        sum_g += g;
        sum_gx += g * n;
      }
    }
    sum_g = warp_sum(sum_g) / (float)width;
    sum_gx = warp_sum(sum_gx) / (float)width;
    for (int column = group_column(0); column < width; column += WARP_SIZE * VECTOR) {
      int left = width - column;
      float result[VECTOR] = {};
      load_floats<VECTOR>(normal, x + start + column, left, aligned);
      load_floats<VECTOR>(dy, d_y + start + column, left, aligned);
      load_floats<VECTOR>(w, weight + column, left, aligned);
      if (d_residual) load_floats<VECTOR>(result, d_residual + start + column, left, aligned);
#pragma unroll
      for (int i = 0; i < VECTOR; i++)
        result[i] += r * (__fmul_rn(dy[i], w[i]) - sum_g - (normal[i] - m) * r * sum_gx);
      store_floats<VECTOR>(d_x + start + column, result, left, aligned);
      if (d_x16) store_floats<VECTOR>(d_x16 + start + column, result, left, aligned);
      for (int i = 0; x_sums && i < VECTOR && i < left; i++) x_sums[column + i] += result[i];
    }
  }
  __syncthreads();
  for (int i = (int)threadIdx.x; i < planes * width; i += (int)blockDim.x) {
    float total = 0;
    for (int w = 0; w < warps; w++) total += sums[w * planes * width + i];
    partial[blockIdx.x * (size_t)(planes * width) + i] = total;
  }
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

/* Whether rows of all these move VECTOR elements at a time. */
template <class T>
static bool all_aligned(int width, const T *a, const T *b, const float *c, const float *d,
                        const float *e, const float *f) {
  return rows_aligned<T, VECTOR>(a, width) && rows_aligned<T, VECTOR>(b, width) &&
         rows_aligned<float, VECTOR>(c, width) && rows_aligned<float, VECTOR>(d, width) &&
         rows_aligned<float, VECTOR>(e, width) && rows_aligned<float, VECTOR>(f, width);
}

/* Whether a warp holds such rows in registers. */
static bool fits_registers(int width, bool aligned) {
  return aligned && width <= GROUPS_MAX * WARP_SIZE * VECTOR;
}

void cuda_layernorm_forward(Device *device, void *y, Dtype type, float *sum, float *mean,
                            float *rstd, const float *x, const void *branch, const float *weight,
                            const float *bias, size_t rows, int width) {
  CudaDevice *d = cuda_device(device);
  dim3 grid(blocks_for(rows, WARPS)), block(THREADS);
  WITH_TYPE(type, T, {
    bool aligned = all_aligned<T>(width, (T *)y, (const T *)branch, sum, x, weight, bias);
    if (!fits_registers(width, aligned))
      LAUNCH((layernorm_general_rows<T>), grid, block, 0, d->stream, (T *)y, sum, mean, rstd, x,
             (const T *)branch, weight, bias, rows, width, aligned);
    else
      WITH_GROUPS(width, GROUPS,
                  LAUNCH((layernorm_rows<T, GROUPS>), grid, block, 0, d->stream, (T *)y, sum, mean,
                         rstd, x, (const T *)branch, weight, bias, rows, width));
  });
  cuda_launched(d, "layernorm forward");
}

void cuda_layernorm_apply(Device *device, void *y, Dtype type, const float *x, const float *mean,
                          const float *rstd, const float *weight, const float *bias, size_t rows,
                          int width) {
  CudaDevice *d = cuda_device(device);
  WITH_TYPE(type, T, {
    bool aligned = all_aligned<T>(width, (T *)y, NULL, NULL, x, weight, bias);
    LAUNCH((layernorm_apply_rows<T>), dim3(blocks_for(rows, WARPS)), dim3(THREADS), 0, d->stream,
           (T *)y, x, mean, rstd, weight, bias, rows, width, aligned);
  });
  cuda_launched(d, "layernorm apply");
}

bool layernorm_open(CudaDevice *d) {
  return allow_shared(d, layernorm_backward_general_rows<float>) &&
         allow_shared(d, layernorm_backward_general_rows<Half>) &&
         allow_shared(d, layernorm_backward_general_rows<Bfloat16>);
}

template <class T>
static void backward_general(CudaDevice *d, float *d_x, T *d_x16, const float *d_residual,
                             const T *d_y, const float *x, const float *mean, const float *rstd,
                             const float *weight, size_t rows, int width, int chunks, int planes,
                             bool aligned) {
  size_t of_warp = planes * (size_t)width * sizeof(float);
  int warps = WARPS;
  while (warps > 1 && warps * of_warp > SHARED_ALWAYS) warps /= 2;
  size_t shared = warps * of_warp;
  if (shared > d->shared_limit) {
    cuda_fail(d, "cuda:%d: a layernorm of width %d needs %zu bytes of shared memory, there are %zu",
              d->ordinal, width, shared, d->shared_limit);
    return;
  }
  LAUNCH((layernorm_backward_general_rows<T>), dim3((unsigned)chunks),
         dim3((unsigned)warps * WARP_SIZE), shared, d->stream, d_x, d_x16, (float *)d->scratch,
         d_residual, d_y, x, mean, rstd, weight, rows, width, planes, aligned);
}

void cuda_layernorm_backward(Device *device, float *d_x, void *d_x16, Dtype type, float *d_weight,
                             float *d_bias, float *d_x_sums, const float *d_residual,
                             const void *d_y, const float *x, const float *mean, const float *rstd,
                             const float *weight, size_t rows, int width, bool accumulate) {
  CudaDevice *d = cuda_device(device);
  int planes = d_x_sums ? 3 : 2;
  size_t room = SCRATCH_BYTES / sizeof(float) / planes / (size_t)width;
  size_t most = ROW_CHUNKS < room ? (size_t)ROW_CHUNKS : room;
  int chunks = (int)(rows < most ? rows : most);
  size_t shared = WARPS * (size_t)width * sizeof(float);
  WITH_TYPE(type, T, {
    bool aligned = all_aligned<T>(width, (T *)d_x16, (const T *)d_y, d_x, d_residual, x, weight);
    if (!fits_registers(width, aligned))
      backward_general<T>(d, d_x, (T *)d_x16, d_residual, (const T *)d_y, x, mean, rstd, weight,
                          rows, width, chunks, planes, aligned);
    else
      WITH_GROUPS(width, GROUPS,
                  LAUNCH((layernorm_backward_rows<T, GROUPS>), dim3((unsigned)chunks),
                         dim3(THREADS), shared, d->stream, d_x, (T *)d_x16, (float *)d->scratch,
                         d_residual, (const T *)d_y, x, mean, rstd, weight, rows, width, planes));
  });
  cuda_launched(d, "layernorm backward");
  reduce_chunks(d, {d_weight, d_bias, d_x_sums}, chunks, planes, width, accumulate);
}
