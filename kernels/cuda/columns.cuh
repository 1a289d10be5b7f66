/* columns.cuh - how kernels that sum the columns of a matrix divide it, and each block's sums: the
 * first of the two steps of reduce.cuh. */
#ifndef KERNELS_CUDA_COLUMNS_CUH
#define KERNELS_CUDA_COLUMNS_CUH

#include "kernels/cuda/cuda.cuh"
#include "kernels/cuda/numeric.cuh"

enum { COLUMN_THREADS = 256, BLOCK_COLUMNS = 128 };

/* A thread's part of a block's 128 columns over chunk blockIdx.x of the rows. Threads side by side
 * cover the columns, 16 bytes each, and make up a slot; the block's 8 (fp32) or 16 slots take the
 * rows in turn. */
template <class T> struct ColumnPart {
  static constexpr int VECTOR = 16 / sizeof(T), SLOTS = COLUMN_THREADS / (BLOCK_COLUMNS / VECTOR);
  int slot, within;  /* the slot; the first column within the block */
  int column, left;  /* the first column, and how many there are from it on, maybe none */
  size_t first, end; /* its rows: every SLOTS-th from first on, below end; none without a column */

  __device__ ColumnPart(size_t rows, int width) {
    slot = (int)threadIdx.x / (BLOCK_COLUMNS / VECTOR);
    within = (int)threadIdx.x % (BLOCK_COLUMNS / VECTOR) * VECTOR;
    column = (int)blockIdx.y * BLOCK_COLUMNS + within;
    left = width - column;
    size_t per_chunk = (rows + gridDim.x - 1) / gridDim.x, start = blockIdx.x * per_chunk;
    first = start + slot;
    end = left <= 0 ? 0 : start + per_chunk < rows ? start + per_chunk : rows;
  }

  /* Adds the slots' totals, in slot order, into partial[chunk, width]. Every thread calls it. */
  __device__ void store(float *partial, const float total[VECTOR], int width) const {
    __shared__ float sums[SLOTS][BLOCK_COLUMNS];
#pragma unroll
    for (int i = 0; i < VECTOR; i++) sums[slot][within + i] = total[i];
    __syncthreads();
    int mine = (int)threadIdx.x, at = (int)blockIdx.y * BLOCK_COLUMNS + mine;
    if (mine >= BLOCK_COLUMNS || at >= width) return;
    float sum = 0;
    for (int s = 0; s < SLOTS; s++) sum += sums[s][mine];
    partial[blockIdx.x * (size_t)width + at] = sum;
  }
};

static inline dim3 column_grid(int chunks, int width) {
  return dim3((unsigned)chunks, blocks_for((size_t)width, BLOCK_COLUMNS));
}

#endif
