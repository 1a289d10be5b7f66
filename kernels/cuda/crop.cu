/* crop.cu - random crops, resized as Pillow does (see kernels/cpu/crop.c, whose bytes these are):
 * bicubic with antialiasing; weights in double, rounded to 22 fractional bits; a pass along the
 * rows rounded to bytes, then one along the columns.
 *
 * A block makes ROWS x COLUMNS pixels. It goes down the source rows those need; each thread resizes
 * its column's channel of a row along the row and adds it, weighted, to its ROWS sums, so that the
 * first pass is never stored. Source rows shared with the next band of rows are resized twice: 19
 * rows for 16 when shrinking, fewer than 16 when stretching. */
#include "kernels/cuda/cuda.cuh"
#include "kernels/cuda/launch.cuh"

enum {
  COLUMNS = 32,
  ROWS = 16,
  THREADS = 3 * COLUMNS,
  SOURCE_ROWS = 32, /* whose weights are in shared memory at a time */
  TAPS_CACHED = 64, /* per column: enough to shrink 15 times; beyond, weights are made anew each
                       time, slowly */
  WEIGHT_BITS = 22,
  BLOCKS = 9, /* in a multiprocessor: as many as fit with 72 registers a thread, without spills */
};

/* How `length` source elements become `size`. */
typedef struct Axis {
  double scale, support, shrink;
  int length;
} Axis;

/* The source elements that make up one element. */
typedef struct Window {
  double center, shrink, sum;
  int first, count;
} Window;

__device__ static inline double bicubic(double x) {
  const double a = -0.5;
  x = fabs(x);
  if (x < 1.0) return ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0;
  if (x < 2.0) return (((x - 5.0) * x + 8.0) * x - 4.0) * a;
  return 0.0;
}

__device__ static inline Axis axis_make(int length, int size) {
  double scale = (double)length / size;
  return {scale, 2.0 * (scale < 1.0 ? 1.0 : scale), scale < 1.0 ? 1.0 : 1.0 / scale, length};
}

__device__ static inline int axis_taps(const Axis &axis) {
  return (int)ceil(axis.support) * 2 + 1;
}

__device__ static inline double raw_weight(const Window &w, int t) {
  return bicubic((t + w.first - w.center + 0.5) * w.shrink);
}

/* The window of element i, for i outside 0..size-1 an empty one. */
__device__ static inline Window window_make(const Axis &axis, int i, int size) {
  Window w = {(i + 0.5) * axis.scale, axis.shrink, 0.0, 0, 0};
  if (i < 0 || i >= size) return w;
  int first = (int)(w.center - axis.support + 0.5), end = (int)(w.center + axis.support + 0.5);
  w.first = first < 0 ? 0 : first;
  w.count = (end > axis.length ? axis.length : end) - w.first;
  for (int t = 0; t < w.count; t++) w.sum += raw_weight(w, t);
  return w;
}

/* In fixed point; 0 for taps the window does not have. */
__device__ static inline int32_t window_weight(const Window &w, int t) {
  if (t < 0 || t >= w.count) return 0;
  double fixed = raw_weight(w, t) / w.sum * (1 << WEIGHT_BITS);
  return (int32_t)(fixed < 0.0 ? fixed - 0.5 : fixed + 0.5);
}

__device__ static inline int32_t round_to_byte(int32_t sum) {
  int32_t value = (sum + (1 << (WEIGHT_BITS - 1))) >> WEIGHT_BITS;
  return value < 0 ? 0 : value > 255 ? 255 : value;
}

/* What a source row counts in each of the block's rows. */
struct alignas(16) RowWeights {
  int32_t of[ROWS];
};

/* Block (image and band of rows, group of columns); thread (column, channel). */
__global__ void __launch_bounds__(THREADS, BLOCKS)
    resize_crops(uint8_t *out, const uint8_t *pool, const Crop *crops, int size, int bands) {
  __shared__ Window across[COLUMNS], down[ROWS];
  __shared__ int32_t weights[TAPS_CACHED][COLUMNS];
  __shared__ RowWeights row_weights[SOURCE_ROWS];
  size_t image = blockIdx.x / (unsigned)bands;
  int top = (int)(blockIdx.x % (unsigned)bands) * ROWS, left = (int)blockIdx.y * COLUMNS;
  int thread = (int)threadIdx.x, column = thread / 3, channel = thread % 3;
  const Crop crop = crops[image];
  const Axis horizontal = axis_make(crop.width, size), vertical = axis_make(crop.height, size);
  bool cached = axis_taps(horizontal) <= TAPS_CACHED;

  if (thread < COLUMNS)
    across[thread] =
        window_make(horizontal, crop.flip ? size - 1 - left - thread : left + thread, size);
  else if (thread < COLUMNS + ROWS)
    down[thread - COLUMNS] = window_make(vertical, top + thread - COLUMNS, size);
  __syncthreads();
  if (cached)
    for (int i = thread; i < axis_taps(horizontal) * COLUMNS; i += THREADS)
      weights[i / COLUMNS][i % COLUMNS] = window_weight(across[i % COLUMNS], i / COLUMNS);

  const Window own = across[column];
  int last = min(top + (int)ROWS, size) - top - 1;
  int begin = down[0].first, end = down[last].first + down[last].count;
  size_t stride = (size_t)crop.src_width * 3;
  const uint8_t *source = pool + crop.offset + (size_t)crop.top * stride +
                          ((size_t)crop.left + own.first) * 3 + channel;
  int32_t sums[ROWS] = {};
  for (int start = begin; start < end; start += SOURCE_ROWS) {
    __syncthreads(); /* the weights of the last rows are no longer read */
    for (int i = thread; i < SOURCE_ROWS * ROWS; i += THREADS) {
      int row = i / ROWS, r = i % ROWS;
      row_weights[row].of[r] = window_weight(down[r], start + row - down[r].first);
    }
    __syncthreads();
    int rows = min(end - start, (int)SOURCE_ROWS);
    for (int row = 0; row < rows; row++) {
      const uint8_t *from = source + (size_t)(start + row) * stride;
      int32_t sum = 0;
      if (cached)
        for (int t = 0; t < own.count; t++) sum += from[3 * t] * weights[t][column];
      else
        for (int t = 0; t < own.count; t++) sum += from[3 * t] * window_weight(own, t);
      int32_t value = round_to_byte(sum);
#pragma unroll
      for (int r = 0; r < ROWS; r++) sums[r] += value * row_weights[row].of[r];
    }
  }
  if (left + column >= size) return;
  uint8_t *to = out + ((image * size + top) * size + left + column) * 3 + channel;
#pragma unroll
  for (int r = 0; r < ROWS; r++)
    if (r <= last) to[(size_t)r * size * 3] = (uint8_t)round_to_byte(sums[r]);
}

void cuda_crop_resize(Device *device, uint8_t *out, const uint8_t *pool, const Crop *crops,
                      int batch, int size) {
  CudaDevice *d = cuda_device(device);
  int bands = (int)blocks_for((size_t)size, ROWS);
  LAUNCH(resize_crops, dim3((unsigned)batch * (unsigned)bands, blocks_for((size_t)size, COLUMNS)),
         dim3(THREADS), 0, d->stream, out, pool, crops, size, bands);
  cuda_launched(d, "crop and resize");
}
