/* scores.cu - how far pictures are from the originals: squared error and SSIM (Wang et al. 2004).
 *
 * A block computes a tile of the SSIM map: the window is separable, so first vertical sums of
 * eleven rows into shared memory, then horizontal sums of those. Sums are in double, because E[x^2]
 * - E[x]^2 cancels most digits in flat regions; double arithmetic, not memory, decides the time
 * (about 170 multiply-adds a value), which matters little: only evaluation comes here. */
#include <math.h>

#include "kernels/cuda/cuda.cuh"
#include "kernels/cuda/launch.cuh"
#include "kernels/cuda/numeric.cuh"

enum {
  THREADS = 256,
  WARPS = THREADS / WARP_SIZE,
  RADIUS = 5,
  WINDOW = 2 * RADIUS + 1,
  TILE_ROWS = 8,
  TILE_VALUES = 3 * 32, /* channels stay interleaved: a step of one pixel is three values */
  TILE_IN = TILE_VALUES + 3 * 2 * RADIUS,
};
enum { SUM_X, SUM_Y, SUM_XX, SUM_YY, SUM_XY, SUM_KINDS };

#define WINDOW_SIGMA 1.5
#define SSIM_C1 (0.01 * 0.01)
#define SSIM_C2 (0.03 * 0.03)

typedef struct Window {
  double weight[WINDOW];
} Window;

/* A block's share of an image's scores. */
typedef struct Share {
  double squares, ssim;
} Share;

typedef double TileSums[TILE_ROWS][TILE_IN];

static Window window_make(void) {
  Window window;
  double sum = 0;
  for (int i = 0; i < WINDOW; i++) {
    double d = i - RADIUS;
    sum += window.weight[i] = exp(-0.5 * d * d / (WINDOW_SIGMA * WINDOW_SIGMA));
  }
  for (int i = 0; i < WINDOW; i++) window.weight[i] /= sum;
  return window;
}

/* This thread's share of the squared error over part blockIdx.x of an image's values. */
__device__ static inline double squared_errors(const float *x, const uint8_t *y, const double *unit,
                                               size_t values) {
  size_t per_block = (values + gridDim.x - 1) / gridDim.x, first = blockIdx.x * per_block;
  size_t end = first + per_block < values ? first + per_block : values;
  double sum = 0;
  for (size_t i = first + threadIdx.x; i < end; i += THREADS) {
    double d = x[i] - unit[y[i]];
    sum += d * d;
  }
  return sum;
}

/* Vertical window sums of `rows` x `count` values; x and y point to the first value of the first.
 */
__device__ static inline void vertical_sums(TileSums *sums, const float *x, const uint8_t *y,
                                            const double *unit, size_t stride, int rows, int count,
                                            const Window &window) {
  for (int i = (int)threadIdx.x; i < TILE_ROWS * TILE_IN; i += THREADS) {
    int row = i / TILE_IN, at = i % TILE_IN;
    if (row >= rows || at >= count) continue;
    double sum[SUM_KINDS] = {};
#pragma unroll
    for (int k = 0; k < WINDOW; k++) {
      size_t from = (row + k) * stride + at;
      double a = x[from], b = unit[y[from]], wa = window.weight[k] * a, wb = window.weight[k] * b;
      sum[SUM_X] += wa;
      sum[SUM_Y] += wb;
      sum[SUM_XX] += wa * a;
      sum[SUM_YY] += wb * b;
      sum[SUM_XY] += wa * b;
    }
#pragma unroll
    for (int kind = 0; kind < SUM_KINDS; kind++) sums[kind][row][at] = sum[kind];
  }
}

/* SSIM of the value whose window's vertical sums begin at column `at`. */
__device__ static inline double ssim_at(const TileSums *sums, int row, int at,
                                        const Window &window) {
  double mean[SUM_KINDS] = {};
#pragma unroll
  for (int kind = 0; kind < SUM_KINDS; kind++)
#pragma unroll
    for (int k = 0; k < WINDOW; k++) mean[kind] += window.weight[k] * sums[kind][row][at + 3 * k];
  double x = mean[SUM_X], y = mean[SUM_Y];
  double var_x = mean[SUM_XX] - x * x, var_y = mean[SUM_YY] - y * y, cov = mean[SUM_XY] - x * y;
  return (2.0 * x * y + SSIM_C1) * (2.0 * cov + SSIM_C2) /
         ((x * x + y * y + SSIM_C1) * (var_x + var_y + SSIM_C2));
}

/* Block (tile, image): shares [image, tile]. `inner` is the side of the SSIM map. */
__global__ void __launch_bounds__(THREADS)
    score_tiles(Share *shares, const float *pictures, const uint8_t *images, int size, int inner,
                Window window) {
  __shared__ TileSums sums[SUM_KINDS];
  __shared__ double unit[256], partial[WARPS];
  for (int i = (int)threadIdx.x; i < 256; i += THREADS) unit[i] = i / 255.0;
  __syncthreads();
  size_t stride = (size_t)size * 3, values = stride * size;
  const float *x = pictures + blockIdx.y * values;
  const uint8_t *y = images + blockIdx.y * values;
  double squares = squared_errors(x, y, unit, values), ssim = 0;
  if (inner > 0) {
    int across = (3 * inner + TILE_VALUES - 1) / TILE_VALUES;
    int row = (int)blockIdx.x / across * TILE_ROWS, at = (int)blockIdx.x % across * TILE_VALUES;
    int rows = min(inner - row, (int)TILE_ROWS), count = min(3 * inner - at, (int)TILE_VALUES);
    size_t corner = row * stride + at;
    vertical_sums(sums, x + corner, y + corner, unit, stride, rows, count + TILE_IN - TILE_VALUES,
                  window);
    __syncthreads();
    for (int i = (int)threadIdx.x; i < rows * TILE_VALUES; i += THREADS)
      if (i % TILE_VALUES < count) ssim += ssim_at(sums, i / TILE_VALUES, i % TILE_VALUES, window);
  }
  squares = block_sum(squares, partial, WARPS);
  ssim = block_sum(ssim, partial, WARPS);
  if (threadIdx.x == 0) shares[blockIdx.y * (size_t)gridDim.x + blockIdx.x] = {squares, ssim};
}

/* A warp adds up an image's shares. No SSIM where the picture is smaller than the window. */
__global__ void __launch_bounds__(THREADS)
    finish_scores(double *scores, const Share *shares, int images, int tiles, int inner) {
  int image = (int)blockIdx.x * WARPS + (int)threadIdx.x / WARP_SIZE;
  int lane = (int)threadIdx.x % WARP_SIZE;
  if (image >= images) return;
  double squares = 0, ssim = 0;
  for (int i = lane; i < tiles; i += WARP_SIZE) {
    Share share = shares[(size_t)image * tiles + i];
    squares += share.squares;
    ssim += share.ssim;
  }
  squares = warp_sum(squares);
  ssim = warp_sum(ssim);
  if (lane) return;
  double *score = scores + (size_t)image * PICTURE_SCORES;
  score[SCORE_ERROR] = squares;
  score[SCORE_SSIM] = inner > 0 ? ssim / ((double)inner * inner * 3.0) : (double)NAN;
}

void cuda_image_scores(Device *device, double *scores, const float *pictures, const uint8_t *images,
                       int batch, int image_size) {
  CudaDevice *d = cuda_device(device);
  int inner = image_size - 2 * RADIUS;
  size_t values = (size_t)image_size * image_size * 3;
  size_t tiles = inner > 0 ? (size_t)blocks_for(3 * (size_t)inner, TILE_VALUES) *
                                 blocks_for((size_t)inner, TILE_ROWS)
                           : 1;
  size_t room = SCRATCH_BYTES / (tiles * sizeof(Share));
  if (!room) cuda_check(d, cudaErrorInvalidValue, "image scores: pictures too large");
  size_t most = (size_t)launch_images(d, batch);
  if (room > most) room = most;
  Window window = window_make();
  Share *shares = (Share *)d->scratch;
  for (size_t first = 0; room && first < (size_t)batch; first += room) {
    size_t left = (size_t)batch - first;
    unsigned now = (unsigned)(left < room ? left : room);
    LAUNCH(score_tiles, dim3((unsigned)tiles, now), dim3(THREADS), 0, d->stream, shares,
           pictures + first * values, images + first * values, image_size, inner, window);
    LAUNCH(finish_scores, dim3(blocks_for(now, WARPS)), dim3(THREADS), 0, d->stream,
           scores + PICTURE_SCORES * first, shares, (int)now, (int)tiles, inner);
  }
  cuda_launched(d, "image scores");
}
