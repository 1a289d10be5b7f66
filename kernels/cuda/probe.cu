/* probe.cu - what probes of an encoder's features need: the largest values of rows, a block a row,
 * and the softmax regression's loss, a warp a row. Counts are integers, so the atomics below have
 * one result whatever the order. */
#include <math.h>

#include "kernels/cuda/cuda.cuh"
#include "kernels/cuda/launch.cuh"
#include "kernels/cuda/numeric.cuh"
#include "kernels/scalar.h"

enum { THREADS = 256, WARPS = THREADS / WARP_SIZE };

/* The k-th largest by digits, as in kernels/cpu/probe.c. */
enum { DIGITS = 3, DIGIT_MAX = 2048, DIGITS_PER_THREAD = DIGIT_MAX / THREADS };

/* The sum of x over the threads before this one, in the block's order; *total: over all of them. */
__device__ static inline int sum_before(int x, int *partial, int *total) {
  int lane = (int)threadIdx.x % WARP_SIZE, warp = (int)threadIdx.x / WARP_SIZE, sum = x;
  for (int step = 1; step < WARP_SIZE; step *= 2) {
    int other = __shfl_up_sync(FULL_WARP, sum, step);
    if (lane >= step) sum += other;
  }
  if (lane == WARP_SIZE - 1) partial[warp] = sum;
  __syncthreads();
  int before = sum - x, all = 0;
  for (int w = 0; w < WARPS; w++) {
    if (w < warp) before += partial[w];
    all += partial[w];
  }
  __syncthreads();
  *total = all;
  return before;
}

/* Which digit the k-th largest has, k counted from 1, and *k among those that have it. Thread t
 * looks at DIGITS_PER_THREAD digits, the highest first. */
__device__ static inline uint32_t find_digit(const uint32_t *often, int *k, int *partial,
                                             uint32_t *shared_digit, int *shared_k) {
  int own = 0, total, top = DIGIT_MAX - 1 - (int)threadIdx.x * DIGITS_PER_THREAD;
  for (int i = 0; i < DIGITS_PER_THREAD; i++) own += (int)often[top - i];
  int left = *k - sum_before(own, partial, &total);
  if (left > 0 && left <= own) {
    int i = 0;
    for (; (int)often[top - i] < left; i++) left -= (int)often[top - i];
    *shared_digit = (uint32_t)(top - i);
    *shared_k = left;
  }
  __syncthreads();
  *k = *shared_k;
  return *shared_digit;
}

__global__ void __launch_bounds__(THREADS)
    largest_in_row(int32_t *chosen, int32_t *counts, const float *values, int columns, int k,
                   float margin, int capacity) {
  __shared__ uint32_t often[DIGIT_MAX], digit;
  __shared__ int partial[WARPS], rest;
  const int shifts[DIGITS] = {21, 10, 0}, bits[DIGITS] = {11, 11, 10};
  const float *row = values + blockIdx.x * (size_t)columns;
  uint32_t known = 0, mask = 0;
  for (int d = 0; d < DIGITS; d++) {
    uint32_t low = (1u << bits[d]) - 1;
    for (int i = (int)threadIdx.x; i < DIGIT_MAX; i += THREADS) often[i] = 0;
    __syncthreads();
    for (int i = (int)threadIdx.x; i < columns; i += THREADS) {
      uint32_t order = scalar_order(row[i]);
      if ((order & mask) == known) atomicAdd(&often[order >> shifts[d] & low], 1u);
    }
    __syncthreads();
    known |= find_digit(often, &k, partial, &digit, &rest) << shifts[d];
    mask |= low << shifts[d];
    __syncthreads();
  }
  float least = scalar_from_order(known) - margin;
  int32_t *out = chosen + blockIdx.x * (size_t)capacity;
  int count = 0;
  for (int first = 0; first < columns; first += THREADS) {
    int i = first + (int)threadIdx.x, total, takes = i < columns && row[i] >= least;
    int at = count + sum_before(takes, partial, &total);
    if (takes && at < capacity) out[at] = i;
    count += total;
  }
  if (threadIdx.x == 0) counts[blockIdx.x] = count;
  for (int i = count + (int)threadIdx.x; i < capacity; i += THREADS) out[i] = -1;
}

void cuda_largest_in_rows(Device *device, int32_t *chosen, int32_t *counts, const float *values,
                          size_t rows, int columns, int k, float margin, int capacity) {
  CudaDevice *d = cuda_device(device);
  if (rows)
    LAUNCH(largest_in_row, dim3((unsigned)rows), dim3(THREADS), 0, d->stream, chosen, counts,
           values, columns, k, margin, capacity);
  cuda_launched(d, "largest in rows");
}

__global__ void __launch_bounds__(THREADS)
    softmax_rows(float *losses, float *logits, const int32_t *labels, size_t rows, int classes,
                 float factor) {
  int lane = (int)threadIdx.x % WARP_SIZE;
  size_t r = blockIdx.x * (size_t)WARPS + threadIdx.x / WARP_SIZE;
  if (r >= rows) return;
  float *row = logits + r * classes, most = -INFINITY;
  int label = labels[r];
  for (int c = lane; c < classes; c += WARP_SIZE) most = fmaxf(most, row[c]);
  most = warp_max(most);
  float at_label = row[label] - most;
  double sum = 0;
  for (int c = lane; c < classes; c += WARP_SIZE) {
    float p = scalar_exp(row[c] - most);
    sum += p;
  }
  sum = warp_sum(sum);
  float share = (float)(factor / sum);
  __syncwarp(); /* every lane has read the label's logit */
  for (int c = lane; c < classes; c += WARP_SIZE)
    row[c] = scalar_exp(row[c] - most) * share - (c == label ? factor : 0.0f);
  if (lane == 0) losses[r] = (float)(log(sum) - at_label);
}

void cuda_softmax_loss(Device *device, float *losses, float *logits, const int32_t *labels,
                       size_t rows, int classes, float factor) {
  CudaDevice *d = cuda_device(device);
  if (rows)
    LAUNCH(softmax_rows, dim3((unsigned)((rows + WARPS - 1) / WARPS)), dim3(THREADS), 0, d->stream,
           losses, logits, labels, rows, classes, factor);
  cuda_launched(d, "softmax loss");
}
