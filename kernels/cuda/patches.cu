/* patches.cu - everything that pairs patches with pixels: the network's input, the masked loss with
 * its gradient, and pictures made from predictions. A warp handles a patch.
 *
 * Memory traffic decides the time: patch_gather reads a byte and writes an element per value;
 * masked_loss reads 5 bytes per counted value and writes d_pred whole. A normalised pixel costs two
 * divisions, so it comes from a table of the 256 values of each channel, which each block makes for
 * itself. */
#include "kernels/cuda/cuda.cuh"
#include "kernels/cuda/launch.cuh"
#include "kernels/cuda/numeric.cuh"
#include "kernels/scalar.h"

enum {
  WARPS = 8,
  THREADS = WARPS * WARP_SIZE,
  VECTOR = 4,           /* values of a patch a lane takes at once */
  BLOCKS_ENOUGH = 2048, /* from here on a block takes several groups of patches */
};

/* Where a patch's pixels lie: `size` bytes of each of `rows` image rows, `line` bytes apart. */
typedef struct PatchPixels {
  const uint8_t *corner;
  int line, size, length; /* length: values of the patch */
} PatchPixels;

/* What all kernels need of a PatchGrid. */
typedef struct Geometry {
  int patch, side, patches; /* patches to a side, to an image */
  int line;                 /* bytes of an image row */
  int length;               /* values of a patch */
  size_t image_bytes;
} Geometry;

static Geometry geometry(const PatchGrid *grid) {
  int side = grid->image_size / grid->patch_size, line = 3 * grid->image_size;
  return (Geometry){grid->patch_size,
                    side,
                    side * side,
                    line,
                    3 * grid->patch_size * grid->patch_size,
                    (size_t)line * grid->image_size};
}

__device__ static inline int warp_index() {
  return (int)threadIdx.x / WARP_SIZE;
}
__device__ static inline int lane_index() {
  return (int)threadIdx.x % WARP_SIZE;
}

__device__ static inline PatchPixels patch_pixels(const uint8_t *images, size_t image, int patch,
                                                  const Geometry &g) {
  size_t row = (size_t)(patch / g.side) * g.patch, column = (size_t)(patch % g.side) * g.patch;
  return {images + image * g.image_bytes + row * g.line + column * 3, g.line, 3 * g.patch,
          g.length};
}

__device__ static inline float channel_mean(int channel) {
  return channel == 0 ? IMAGENET_MEAN_R : channel == 1 ? IMAGENET_MEAN_G : IMAGENET_MEAN_B;
}
__device__ static inline float channel_std(int channel) {
  return channel == 0 ? IMAGENET_STD_R : channel == 1 ? IMAGENET_STD_G : IMAGENET_STD_B;
}

/* table[channel][pixel], filled by the whole block. */
__device__ static inline void fill_table(float (*table)[256]) {
  for (int i = (int)threadIdx.x; i < 3 * 256; i += THREADS) {
    int channel = i / 256;
    float unit = pixel_unit((uint8_t)(i % 256));
    table[channel][i % 256] = (unit - channel_mean(channel)) / channel_std(channel);
  }
  __syncthreads();
}

/* Block (image, group of its chosen patches); N pixels of a patch row a lane, so that each
 * channel's N values leave in one access. */
template <class T, int N>
__global__ void __launch_bounds__(THREADS)
    gather_patches(T *out, const uint8_t *images, const int32_t *patch_ids, int chosen,
                   Geometry g) {
  __shared__ float table[3][256];
  fill_table(table);
  int c = (int)blockIdx.y * WARPS + warp_index();
  if (c >= chosen) return;
  size_t row = (size_t)blockIdx.x * chosen + c;
  PatchPixels pixels = patch_pixels(images, blockIdx.x, patch_ids[row], g);
  T *vector = out + row * g.length;
  int across = g.patch / N, plane = g.patch * g.patch;
  for (int i = lane_index(); i < g.patch * across; i += WARP_SIZE) {
    int y = i / across, x = i % across * N;
    const uint8_t *from = pixels.corner + (size_t)y * g.line + 3 * x;
    uint8_t bytes[3 * N];
#pragma unroll
    for (int part = 0; part < 3; part++) {
      Pack<uint8_t, N> pack = load_pack<uint8_t, N>(from + part * N);
#pragma unroll
      for (int j = 0; j < N; j++) bytes[part * N + j] = pack.element[j];
    }
#pragma unroll
    for (int channel = 0; channel < 3; channel++) {
      Pack<T, N> pack;
#pragma unroll
      for (int j = 0; j < N; j++)
        pack.element[j] = from_float<T>(table[channel][bytes[3 * j + channel]]);
      store_pack(vector + channel * plane + y * g.patch + x, pack);
    }
  }
}

/* Normalised values first..first+3 of a patch in the order of a prediction; past the end 0.
 * `words`: they lie in one aligned word of the image. */
__device__ static inline void load_targets(float t[VECTOR], PatchPixels pixels, int first,
                                           const float (*table)[256], bool words) {
  if (words) {
    const uint8_t *from = pixels.corner + first / pixels.size * (size_t)pixels.line;
    Pack<uint8_t, VECTOR> pack = load_pack<uint8_t, VECTOR>(from + first % pixels.size);
#pragma unroll
    for (int i = 0; i < VECTOR; i++) t[i] = table[(first + i) % 3][pack.element[i]];
  } else {
#pragma unroll
    for (int i = 0; i < VECTOR; i++) {
      int at = first + i;
      t[i] = 0;
      if (at < pixels.length)
        t[i] =
            table[at % 3][pixels.corner[at / pixels.size * (size_t)pixels.line + at % pixels.size]];
    }
  }
}

/* Mean and 1/deviation of a patch's normalised values; the same in every lane. */
__device__ static inline float2 target_statistics(PatchPixels pixels, const float (*table)[256],
                                                  bool words) {
  float sum = 0, squares = 0, t[VECTOR];
  for (int i = lane_index() * VECTOR; i < pixels.length; i += WARP_SIZE * VECTOR) {
    load_targets(t, pixels, i, table, words);
    for (int j = 0; j < VECTOR; j++) sum += t[j];
  }
  float mean = warp_sum(sum) / (float)pixels.length;
  for (int i = lane_index() * VECTOR; i < pixels.length; i += WARP_SIZE * VECTOR) {
    load_targets(t, pixels, i, table, words);
    for (int j = 0; j < VECTOR; j++) {
      float centred = i + j < pixels.length ? t[j] - mean : 0;
      squares += centred * centred;
    }
  }
  float variance = warp_sum(squares) / (float)(pixels.length - 1);
  return make_float2(mean, 1.0f / sqrtf(variance + NORM_PIX_EPS));
}

/* Block (image, group of prediction rows): row_loss [batch, rows] and the rows of d_pred.
 * `aligned`: rows of pred and d_pred move four values at a time. */
template <class T>
__global__ void __launch_bounds__(THREADS)
    row_losses(float *row_loss, T *d_pred, const float *pred, const int32_t *patch_of, int rows,
               const uint8_t *images, float factor, const StepState *state, Geometry g,
               bool norm_pix, bool words, bool aligned) {
  __shared__ float table[3][256];
  fill_table(table);
  size_t image = blockIdx.x;
  float slope = 2.0f / (float)g.length * factor * (state ? state->loss_scale : 1.0f);
  for (int row = (int)blockIdx.y * WARPS + warp_index(); row < rows; row += gridDim.y * WARPS) {
    size_t at = (image * rows + row) * g.length;
    int patch = patch_of[image * rows + row];
    bool counts = patch >= 0;
    float squares = 0;
    PatchPixels pixels = patch_pixels(images, image, counts ? patch : 0, g);
    float2 statistics = make_float2(0, 1);
    if (counts && norm_pix) statistics = target_statistics(pixels, table, words);
    if (counts || d_pred)
      for (int i = lane_index() * VECTOR; i < g.length; i += WARP_SIZE * VECTOR) {
        float d[VECTOR] = {};
        if (counts) {
          float t[VECTOR], p[VECTOR];
          load_floats<VECTOR>(p, pred + at + i, g.length - i, aligned);
          load_targets(t, pixels, i, table, words);
#pragma unroll
          for (int j = 0; j < VECTOR; j++) {
            float target = norm_pix ? (t[j] - statistics.x) * statistics.y : t[j];
            float error = i + j < g.length ? p[j] - target : 0;
            squares += error * error;
            d[j] = slope * error;
          }
        }
        if (d_pred) store_floats<VECTOR>(d_pred + at + i, d, g.length - i, aligned);
      }
    squares = warp_sum(squares);
    if (lane_index() == 0) row_loss[image * rows + row] = squares / (float)g.length;
  }
}

/* A warp adds up an image's rows. */
__global__ void __launch_bounds__(THREADS)
    image_losses(float *image_loss, const float *row_loss, int batch, int rows) {
  int image = (int)blockIdx.x * WARPS + warp_index();
  if (image >= batch) return;
  float sum = 0;
  for (int i = lane_index(); i < rows; i += WARP_SIZE) sum += row_loss[(size_t)image * rows + i];
  sum = warp_sum(sum);
  if (lane_index() == 0) image_loss[image] = sum;
}

typedef struct Statistics {
  double mean, deviation;
} Statistics;

/* Of a patch's normalised values; the same in every lane. In double, as pictures are judged by it.
 */
__device__ static inline Statistics exact_statistics(PatchPixels pixels) {
  double sum = 0, squares = 0, mean = 0;
  for (int pass = 0; pass < 2; pass++) {
    for (int i = lane_index(); i < pixels.length; i += WARP_SIZE) {
      double unit = pixels.corner[i / pixels.size * (size_t)pixels.line + i % pixels.size] / 255.0;
      double centred = (unit - channel_mean(i % 3)) / channel_std(i % 3) - mean;
      if (pass)
        squares += centred * centred;
      else
        sum += centred;
    }
    if (!pass) mean = warp_sum(sum) / pixels.length;
  }
  squares = warp_sum(squares);
  return {mean, sqrt(squares / (pixels.length - 1) + (double)NORM_PIX_EPS)};
}

/* Block (image, group of patches). */
__global__ void __launch_bounds__(THREADS)
    paint_patches(float *full, float *composite, const float *pred, int extra,
                  const uint8_t *images, const uint8_t *masked, Geometry g, bool norm_pix) {
  int patch = (int)blockIdx.y * WARPS + warp_index();
  if (patch >= g.patches) return;
  size_t image = blockIdx.x;
  PatchPixels pixels = patch_pixels(images, image, patch, g);
  size_t corner = (size_t)(pixels.corner - images);
  const float *row = pred + (image * (extra + g.patches) + extra + patch) * g.length;
  bool hidden = masked[image * g.patches + patch];
  Statistics statistics = {0, 1};
  if (norm_pix) statistics = exact_statistics(pixels);
  for (int i = lane_index(); i < g.length; i += WARP_SIZE) {
    size_t at = i / pixels.size * (size_t)g.line + i % pixels.size;
    float x = row[i];
    if (norm_pix) x = (float)(x * statistics.deviation + statistics.mean);
    x = x * channel_std(i % 3) + channel_mean(i % 3);
    x = x < 0.0f ? 0.0f : x > 1.0f ? 1.0f : x;
    full[corner + at] = x;
    composite[corner + at] = hidden ? x : pixel_unit(pixels.corner[at]);
  }
}

/* Whether the pixels of patch rows can be read `bytes` bytes at a time. */
static bool pixels_aligned(const uint8_t *images, const Geometry *g, int bytes) {
  return g->patch % bytes == 0 && g->line % bytes == 0 && (uintptr_t)images % bytes == 0;
}

void cuda_patch_gather(Device *device, void *out, Dtype type, const uint8_t *images,
                       const int32_t *patch_ids, int chosen, const PatchGrid *grid) {
  CudaDevice *d = cuda_device(device);
  Geometry g = geometry(grid);
  dim3 blocks((unsigned)grid->batch, blocks_for((size_t)chosen, WARPS));
  WITH_TYPE(type, T, {
    constexpr int N = 16 / sizeof(T);
    if (pixels_aligned(images, &g, N) && (rows_aligned<T, N>(out, g.length)))
      LAUNCH((gather_patches<T, N>), blocks, dim3(THREADS), 0, d->stream, (T *)out, images,
             patch_ids, chosen, g);
    else
      LAUNCH((gather_patches<T, 1>), blocks, dim3(THREADS), 0, d->stream, (T *)out, images,
             patch_ids, chosen, g);
  });
  cuda_launched(d, "patch gather");
}

void cuda_masked_loss(Device *device, float *image_loss, void *d_pred, Dtype type,
                      const float *pred, const int32_t *patch_of, int rows, const uint8_t *images,
                      float factor, const StepState *state, const PatchGrid *grid) {
  CudaDevice *d = cuda_device(device);
  Geometry g = geometry(grid);
  bool words = pixels_aligned(images, &g, VECTOR);
  /* As many images at a time as have room for their rows' losses. */
  size_t room = SCRATCH_BYTES / sizeof(float) / (size_t)rows;
  if (!room) cuda_check(d, cudaErrorInvalidValue, "masked loss: too many patches in an image");
  for (size_t first = 0; room && first < (size_t)grid->batch; first += room) {
    size_t left = (size_t)grid->batch - first;
    unsigned images_now = (unsigned)(left < room ? left : room);
    unsigned groups = blocks_for((size_t)rows, WARPS),
             enough = blocks_for(BLOCKS_ENOUGH, images_now);
    dim3 blocks(images_now, groups < enough ? groups : enough);
    size_t values = first * rows * g.length;
    WITH_TYPE(type, T, {
      T *gradient = d_pred ? (T *)d_pred + values : NULL;
      bool aligned =
          rows_aligned<float, VECTOR>(pred, g.length) && rows_aligned<T, VECTOR>(d_pred, g.length);
      LAUNCH((row_losses<T>), blocks, dim3(THREADS), 0, d->stream, (float *)d->scratch, gradient,
             pred + values, patch_of + first * rows, rows, images + first * g.image_bytes, factor,
             state, g, grid->norm_pix, words, aligned);
    });
    LAUNCH(image_losses, dim3(blocks_for(images_now, WARPS)), dim3(THREADS), 0, d->stream,
           image_loss + first, (const float *)d->scratch, (int)images_now, rows);
  }
  cuda_launched(d, "masked loss");
}

void cuda_reconstruct(Device *device, float *full, float *composite, const float *pred, int extra,
                      const uint8_t *images, const uint8_t *masked, const PatchGrid *grid) {
  CudaDevice *d = cuda_device(device);
  Geometry g = geometry(grid);
  LAUNCH(paint_patches, dim3((unsigned)grid->batch, blocks_for((size_t)g.patches, WARPS)),
         dim3(THREADS), 0, d->stream, full, composite, pred, extra, images, masked, g,
         grid->norm_pix);
  cuda_launched(d, "reconstruct");
}
