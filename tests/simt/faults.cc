/* faults.cc - kernels with planted mistakes, to prove that the runner of simt.h catches each.
 *
 *   simt_faults none | barrier | divergent | bounds | poison | reverse | again
 *
 * A row sum as the layernorm kernels do it: shuffles inside a warp, shared memory between warps;
 * and a row reversed, whose threads would run to their end one after another without the barrier.
 */
#include <stdio.h>
#include <stdlib.h>

#include "kernels/cuda/launch.cuh"

enum Fault {
  NONE,
  MISSING_BARRIER,
  DIVERGENT_BARRIER,
  OUT_OF_BOUNDS,
  UNWRITTEN_SHARED,
  MISSING_ONLY_BARRIER,
  MISSING_SECOND_BARRIER
};

__global__ void row_sum(float *sums, const float *x, int width, int fault) {
  DYNAMIC_SHARED(float, partial);
  int thread = (int)threadIdx.x, warps = (int)blockDim.x / 32;
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
    float total = 0;
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

int main(int argc, char **argv) {
  const char *names[] = {"none", "barrier", "divergent", "bounds", "poison", "reverse", "again"};
  int fault = -1;
  for (int i = 0; i < 7; i++)
    if (argc == 2 && !strcmp(argv[1], names[i])) fault = i;
  if (fault < 0) {
    fprintf(stderr, "usage: simt_faults none|barrier|divergent|bounds|poison|reverse|again\n");
    return 2;
  }
  enum { ROWS = 3, WIDTH = 197, THREADS = 128 };
  float *x = (float *)malloc(ROWS * WIDTH * sizeof *x), sums[ROWS];
  for (int i = 0; i < ROWS * WIDTH; i++) x[i] = (float)(i % 7);
  LAUNCH(row_sum, dim3(ROWS), dim3(THREADS), (THREADS / 32) * sizeof(float), NULL, sums, x, WIDTH,
         fault);
  int bad = 0;
  for (int r = 0; r < ROWS; r++) {
    float expected = 0;
    for (int i = 0; i < WIDTH; i++) expected += x[r * WIDTH + i];
    if (!(sums[r] == expected)) bad = 1;
  }
  float row[THREADS];
  for (int i = 0; i < THREADS; i++) row[i] = (float)i;
  LAUNCH(reverse_row, dim3(1), dim3(THREADS), sizeof row, NULL, row,
         fault == MISSING_ONLY_BARRIER ? 1 : 3, fault);
  for (int i = 0; i < THREADS; i++)
    if (!(row[i] == (float)(THREADS - 1 - i))) bad = 1;
  free(x);
  if (bad) printf("wrong sum\n");
  return bad;
}
