/* columns.cu - sums over the rows of a matrix: the bias gradients that no other operation finds on
 * its way, and the last step of every reduction over rows (reduce.cuh). The matrix is read once;
 * its chunks' sums, written and read, add 3% to 16-bit rows and 1.6% to fp32 ones, less from 65,536
 * rows on. */
#include "kernels/cuda/columns.cuh"
#include "kernels/cuda/launch.cuh"
#include "kernels/cuda/reduce.cuh"

enum {
  ROWS_AT_ONCE = 4, /* loads a thread has under way */
  CHUNKS_MAX = 512,
  CHUNK_ROWS_MIN = 128,
  REDUCE_WARPS = 16, /* of reduce_columns, which gives each 1/16 of the chunks */
};

template <class T>
__global__ void __launch_bounds__(COLUMN_THREADS)
    column_chunk_sums(float *partial, const T *x, size_t rows, int width, bool aligned) {
  typedef ColumnPart<T> Part;
  Part part(rows, width);
  float total[Part::VECTOR] = {};
  for (size_t row = part.first; row < part.end; row += Part::SLOTS * ROWS_AT_ONCE) {
    float value[ROWS_AT_ONCE][Part::VECTOR];
#pragma unroll
    for (int u = 0; u < ROWS_AT_ONCE; u++) {
      size_t r = row + u * Part::SLOTS;
      load_floats<Part::VECTOR>(value[u], x + (r < part.end ? r : row) * width + part.column,
                                r < part.end ? part.left : 0, aligned);
    }
#pragma unroll
    for (int u = 0; u < ROWS_AT_ONCE; u++)
#pragma unroll
      for (int i = 0; i < Part::VECTOR; i++) total[i] += value[u][i];
  }
  part.store(partial, total, width);
}

/* A warp covers 32 columns; the block's warps take every 16th chunk each. */
__global__ void __launch_bounds__(REDUCE_WARPS *WARP_SIZE)
    reduce_columns(ReducedPlanes to, const float *partial, int chunks, int planes, int width,
                   bool accumulate) {
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
  int plane = (int)(column / width);
  /* An index that is not known when compiling would put the pointers into local memory. */
  float *out = plane == 0 ? to.plane[0] : plane == 1 ? to.plane[1] : to.plane[2];
  if (!out) return;
  out += column - plane * (size_t)width;
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

void reduce_chunks(CudaDevice *d, ReducedPlanes to, int chunks, int planes, int width,
                   bool accumulate) {
  unsigned blocks = blocks_for((size_t)planes * width, WARP_SIZE);
  LAUNCH(reduce_columns, dim3(blocks), dim3(REDUCE_WARPS * WARP_SIZE), 0, d->stream, to,
         (const float *)d->scratch, chunks, planes, width, accumulate);
  cuda_launched(d, "sum of chunks");
}

void cuda_column_sums(CudaDevice *d, float *sums, const void *x, Dtype type, size_t rows, int width,
                      bool accumulate) {
  int chunks = reduce_chunk_count(rows, (size_t)width);
  if (chunks)
    WITH_TYPE(type, T, {
      bool aligned = rows_aligned<T, 16 / sizeof(T)>(x, width);
      LAUNCH((column_chunk_sums<T>), column_grid(chunks, width), dim3(COLUMN_THREADS), 0, d->stream,
             (float *)d->scratch, (const T *)x, rows, width, aligned);
    });
  cuda_launched(d, "column sums");
  reduce_chunks(d, {sums}, chunks, 1, width, accumulate);
}
