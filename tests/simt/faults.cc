/* faults.cc - kernels with planted mistakes, to prove that the runner of simt.h catches each.
 *
 *   simt_faults none | barrier | divergent | ...: see `names`
 *
 * A row sum as the layernorm kernels do it: shuffles inside a warp, shared memory between warps; a
 * row reversed, whose threads would run to their end one after another without the barrier; rows
 * that pass through shared memory by asynchronous copies; and blocks that add up numbers before
 * theirs.
 */
#include <stdio.h>
#include <stdlib.h>

#include "kernels/cuda/launch.cuh"
#include "kernels/cuda/mma.cuh"

enum Fault {
  NONE,
  MISSING_BARRIER,
  DIVERGENT_BARRIER,
  OUT_OF_BOUNDS,
  UNWRITTEN_SHARED,
  UNWRITTEN_NAMED,
  MISSING_ONLY_BARRIER,
  MISSING_SECOND_BARRIER,
  MISSING_WAIT,
  COPY_INTO_USE,
  MISALIGNED_COPY,
  MISALIGNED_MATRIX,
  MISALIGNED_PACK,
  ORDER_OF_BLOCKS,
  FAULTS
};
static const char *const names[FAULTS] = {"none",   "barrier", "divergent", "bounds", "poison",
                                          "named",  "reverse", "again",     "wait",   "early",
                                          "copied", "matrix",  "pack",      "blocks"};
enum { ROWS = 3, WIDTH = 197, THREADS = 128 };

__global__ void row_sum(float *sums, const float *x, int width, int fault) {
  DYNAMIC_SHARED(float, partial);
  __shared__ float total;
  int thread = (int)threadIdx.x, warps = (int)blockDim.x / 32;
  if (thread == 0 && fault != UNWRITTEN_NAMED) total = 0;
  float sum = 0;
  int end = fault == OUT_OF_BOUNDS ? width + 1 : width;
  for (int i = thread; i < end; i += (int)blockDim.x) sum += x[(size_t)blockIdx.x * width + i];
  for (int bits = 16; bits; bits >>= 1) sum += __shfl_xor_sync(~0u, sum, bits);
  if (thread % 32 == 0 && !(fault == UNWRITTEN_SHARED && thread == 32)) partial[thread / 32] = sum;
  if (fault == DIVERGENT_BARRIER) {
    if (thread < 32) __syncthreads();
  } else if (fault != MISSING_BARRIER) {
    __syncthreads();
  }
  if (thread == 0) {
    for (int w = 0; w < warps; w++) total += partial[w];
    sums[blockIdx.x] = total;
  }
}

__global__ void reverse_row(float *row, int times, int fault) {
  DYNAMIC_SHARED(float, copy);
  int thread = (int)threadIdx.x;
  for (int time = 0; time < times; time++) {
    if (time && fault != MISSING_SECOND_BARRIER) __syncthreads(); /* the copy is no longer read */
    copy[thread] = row[thread];
    if (fault != MISSING_ONLY_BARRIER) __syncthreads();
    row[thread] = copy[(int)blockDim.x - 1 - thread];
  }
}

/* Each thread brings 4 elements of a row, and the next one takes them: while a row is taken, the
 * next is on its way into the other half of shared memory. */
__global__ void pass_rows(float *out, const float *in, int fault) {
  DYNAMIC_SHARED(float, halves); /* [2, THREADS, 4] */
  int thread = (int)threadIdx.x, from = (thread + 1) % THREADS;
  int off = fault == MISALIGNED_COPY ? 1 : 0;
  for (int row = 0; row <= ROWS; row++) {
    float *half = halves + (fault == COPY_INTO_USE ? 0 : row % 2 * 4 * THREADS);
    if (row > 0 && !(fault == MISSING_WAIT && row == ROWS)) copies_done();
    __syncthreads();
    float *last = halves + (fault == COPY_INTO_USE ? 0 : (row + 1) % 2 * 4 * THREADS);
    if (row < ROWS) copy_async_16(half + 4 * thread + off, in + (row * THREADS + thread) * 4, true);
    if (row > 0)
      store_pack(out + ((row - 1) * THREADS + thread) * 4, load_pack<float, 4>(last + 4 * from));
    __syncthreads();
  }
}

/* What is not aligned. */
__global__ void read_shared(float *out, int fault) {
  DYNAMIC_SHARED(float, values); /* [THREADS + 1, 4] */
  int thread = (int)threadIdx.x;
  uint32_t words[4];
  for (int i = thread; i < 4 * (THREADS + 1); i += THREADS) values[i] = 0;
  __syncthreads();
  load_matrices(words, reinterpret_cast<const Half *>(values + 4 * thread +
                                                      (fault == MISALIGNED_MATRIX ? 2 : 0)));
  Pack<float, 4> pack =
      load_pack<float, 4>(values + 4 * thread + (fault == MISALIGNED_PACK ? 1 : 0));
  out[thread] = pack.element[0] + (float)words[0];
}

/* A block's sum begins with that of the block before it, which may not be there yet. */
__global__ void running_sum(float *sums, const float *x, int fault) {
  int block = (int)blockIdx.x;
  if (threadIdx.x) return;
  float sum = 0;
  for (int i = fault == ORDER_OF_BLOCKS ? block : 0; i <= block; i++) sum += x[i];
  if (fault == ORDER_OF_BLOCKS && block > 0) sum += sums[block - 1];
  sums[block] = sum;
}

static bool running_sums_are_right(int fault) {
  float x[WIDTH], sums[WIDTH] = {}, expected = 0;
  bool right = true;
  for (int i = 0; i < WIDTH; i++) x[i] = (float)(i % 7);
  simt::set_order(simt::RANDOM);
  LAUNCH(running_sum, dim3(WIDTH), dim3(32), 0, NULL, sums, x, fault);
  simt::set_order(simt::ASCENDING);
  for (int i = 0; i < WIDTH; i++) right = right && sums[i] == (expected += x[i]);
  return right;
}

static bool row_sums_are_right(int fault) {
  float *x = (float *)malloc(ROWS * WIDTH * sizeof *x), sums[ROWS];
  bool right = true;
  for (int i = 0; i < ROWS * WIDTH; i++) x[i] = (float)(i % 7);
  LAUNCH(row_sum, dim3(ROWS), dim3(THREADS), (THREADS / 32) * sizeof(float), NULL, sums, x, WIDTH,
         fault);
  for (int r = 0; r < ROWS; r++) {
    float expected = 0;
    for (int i = 0; i < WIDTH; i++) expected += x[r * WIDTH + i];
    right = right && sums[r] == expected;
  }
  free(x);
  return right;
}

static bool row_is_reversed(int fault) {
  float row[THREADS];
  bool right = true;
  for (int i = 0; i < THREADS; i++) row[i] = (float)i;
  LAUNCH(reverse_row, dim3(1), dim3(THREADS), sizeof row, NULL, row,
         fault == MISSING_ONLY_BARRIER ? 1 : 3, fault);
  for (int i = 0; i < THREADS; i++) right = right && row[i] == (float)(THREADS - 1 - i);
  return right;
}

/* With the threads in either order, and so with copies late and early: a missing wait shows in the
 * first alone. */
static bool rows_are_passed(int fault) {
  alignas(16) static float in[ROWS * THREADS * 4], out[ROWS * THREADS * 4];
  bool right = true;
  for (int i = 0; i < ROWS * THREADS * 4; i++) in[i] = (float)i;
  for (simt::Order order : {simt::ASCENDING, simt::DESCENDING}) {
    simt::set_order(order);
    LAUNCH(pass_rows, dim3(1), dim3(THREADS), (2 * THREADS + 1) * 4 * sizeof(float), NULL, out, in,
           fault);
    for (int i = 0; i < ROWS * THREADS * 4; i++) {
      int row = i / (THREADS * 4), from = (i / 4 + 1) % THREADS;
      right = right && out[i] == in[(row * THREADS + from) * 4 + i % 4];
    }
    if (fault == MISSING_WAIT) break;
  }
  simt::set_order(simt::ASCENDING);
  LAUNCH(read_shared, dim3(1), dim3(THREADS), (THREADS + 1) * 4 * sizeof(float), NULL, out, fault);
  return right;
}

int main(int argc, char **argv) {
  int fault = -1;
  for (int i = 0; i < FAULTS; i++)
    if (argc == 2 && !strcmp(argv[1], names[i])) fault = i;
  if (fault < 0) {
    fprintf(stderr, "usage: simt_faults");
    for (int i = 0; i < FAULTS; i++) fprintf(stderr, "%s%s", i ? "|" : " ", names[i]);
    fputc('\n', stderr);
    return 2;
  }
  bool right = row_sums_are_right(fault);
  right = row_is_reversed(fault) && right;
  right = rows_are_passed(fault) && right;
  right = running_sums_are_right(fault) && right;
  if (!right) printf("wrong sum\n");
  return !right;
}
