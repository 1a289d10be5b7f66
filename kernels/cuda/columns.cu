/* columns.cu - sums over the rows of a matrix: bias gradients, and the last step of every other
 * reduction over rows (reduce.cuh). The matrix is read once; the chunks' sums add less than 2 %. */
#include "kernels/cuda/launch.cuh"
#include "kernels/cuda/numeric.cuh"
#include "kernels/cuda/reduce.cuh"

enum {
  THREADS = 256,
  COLUMNS = 128,    /* of a block */
  ROWS_AT_ONCE = 4, /* loads a thread has under way */
  CHUNKS_MAX = 512,
  CHUNK_ROWS_MIN = 32,
  REDUCE_WARPS = 16, /* of reduce_columns, which gives each 1/16 of the chunks */
};

/* Sums of this block's 128 columns over chunk blockIdx.x of the rows. Threads side by side cover
 * the columns, 16 bytes each, and make up a slot; the block's 8 (fp32) or 16 slots take the rows in
 * turn, and their sums are added in shared memory in slot order. */
template <class T>
__global__ void __launch_bounds__(THREADS)
    column_chunk_sums(float *partial, const T *x, size_t rows, int width, bool aligned) {
  constexpr int VECTOR = 16 / sizeof(T), SLOTS = THREADS / (COLUMNS / VECTOR);
  __shared__ float sums[SLOTS][COLUMNS];
  int slot = (int)threadIdx.x / (COLUMNS / VECTOR);
  int own = (int)threadIdx.x % (COLUMNS / VECTOR) * VECTOR;
  int column = (int)blockIdx.y * COLUMNS + own, left = width - column;
  size_t per_chunk = (rows + gridDim.x - 1) / gridDim.x, first = blockIdx.x * per_chunk;
  size_t end = first + per_chunk < rows ? first + per_chunk : rows;
  float total[VECTOR] = {};
  for (size_t row = first + slot; row < end; row += SLOTS * ROWS_AT_ONCE) {
    float value[ROWS_AT_ONCE][VECTOR];
#pragma unroll
    for (int u = 0; u < ROWS_AT_ONCE; u++) {
      size_t r = row + u * SLOTS;
      load_floats<VECTOR>(value[u], x + (r < end ? r : first) * width + column, r < end ? left : 0,
                          aligned);
    }
#pragma unroll
    for (int u = 0; u < ROWS_AT_ONCE; u++)
#pragma unroll
      for (int i = 0; i < VECTOR; i++) total[i] += value[u][i];
  }
#pragma unroll
  for (int i = 0; i < VECTOR; i++) sums[slot][own + i] = total[i];
  __syncthreads();
  int mine = (int)threadIdx.x;
  column = (int)blockIdx.y * COLUMNS + mine;
  if (mine >= COLUMNS || column >= width) return;
  float sum = 0;
  for (int s = 0; s < SLOTS; s++) sum += sums[s][mine];
  partial[blockIdx.x * (size_t)width + column] = sum;
}

/* A warp covers 32 columns; the block's warps take every 16th chunk each. */
__global__ void __launch_bounds__(REDUCE_WARPS *WARP_SIZE)
    reduce_columns(float *first, float *second, const float *partial, int chunks, int planes,
                   int width, bool accumulate) {
  __shared__ float sums[REDUCE_WARPS][WARP_SIZE];
  int warp = (int)threadIdx.x / WARP_SIZE, lane = (int)threadIdx.x % WARP_SIZE;
  size_t values = (size_t)planes * width, column = blockIdx.x * (size_t)WARP_SIZE + lane;
  float sum = 0;
  if (column < values) {
#pragma unroll 8
    for (int c = warp; c < chunks; c += REDUCE_WARPS) sum += partial[c * values + column];
  }
  sums[warp][lane] = sum;
  __syncthreads();
  if (warp || column >= values) return;
  float *out = column < (size_t)width ? first : second;
  if (!out) return;
  out += column < (size_t)width ? column : column - width;
  float total = 0;
  for (int w = 0; w < REDUCE_WARPS; w++) total += sums[w][lane];
  *out = accumulate ? *out + total : total;
}

int reduce_chunk_count(size_t rows, size_t values) {
  size_t chunks = (rows + CHUNK_ROWS_MIN - 1) / CHUNK_ROWS_MIN;
  size_t room = (size_t)SCRATCH_BYTES / sizeof(float) / values;
  if (chunks > CHUNKS_MAX) chunks = CHUNKS_MAX;
  return (int)(chunks < room ? chunks : room);
}

void reduce_chunks(CudaDevice *d, float *first, float *second, int chunks, int planes, int width,
                   bool accumulate) {
  unsigned blocks = blocks_for((size_t)planes * width, WARP_SIZE);
  LAUNCH(reduce_columns, dim3(blocks), dim3(REDUCE_WARPS * WARP_SIZE), 0, d->stream, first, second,
         (const float *)d->scratch, chunks, planes, width, accumulate);
  cuda_launched(d, "sum of chunks");
}

void cuda_column_sums(CudaDevice *d, float *sums, const void *x, Dtype type, size_t rows, int width,
                      bool accumulate) {
  int chunks = reduce_chunk_count(rows, (size_t)width);
  dim3 grid((unsigned)chunks, blocks_for((size_t)width, COLUMNS));
  if (chunks)
    WITH_TYPE(type, T, {
      bool aligned = rows_aligned<T, 16 / sizeof(T)>(x, width);
      LAUNCH((column_chunk_sums<T>), grid, dim3(THREADS), 0, d->stream, (float *)d->scratch,
             (const T *)x, rows, width, aligned);
    });
  cuda_launched(d, "column sums");
  reduce_chunks(d, sums, NULL, chunks, 1, width, accumulate);
}
