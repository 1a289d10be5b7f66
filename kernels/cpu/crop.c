/* crop.c - random crops, resized as Pillow does: bicubic with antialiasing, in 8-bit fixed point.
 *
 * The specification is the behaviour of Pillow's Image.crop(box).resize(size, BICUBIC): a pass
 * along the rows, then one along the columns; a kernel with a = -0.5 that widens with the scale
 * when shrinking; weights rounded to 22 fractional bits; each pass rounded to 8 bits. A pass that
 * does not change the length has the single weight 1, so it copies exactly, as it should. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef __AVX2__
#include <immintrin.h>
#endif

#include "kernels/cpu/cpu.h"

enum { WEIGHT_BITS = 22, LANES = 8, BLOCK = 4 * LANES };

/* A vector type of the compiler, split where the processor's are narrower. */
typedef int32_t Lanes __attribute__((vector_size(4 * LANES)));

/* Which source elements make up each output element, and with what weights. */
typedef struct Axis {
  int taps;        /* room per output element; even */
  int *first;      /* [size] */
  int *count;      /* [size], at most taps */
  int32_t *weight; /* [size, taps], zero past count */
} Axis;

/* A thread's working memory, kept from call to call so that a training step does not allocate. */
typedef struct Scratch {
  void *memory;
  size_t bytes;
} Scratch;

static _Thread_local Scratch scratch;

static double bicubic(double x) {
  const double a = -0.5;
  x = fabs(x);
  if (x < 1.0) return ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0;
  if (x < 2.0) return (((x - 5.0) * x + 8.0) * x - 4.0) * a;
  return 0.0;
}

static double axis_support(int length, int size) {
  double scale = (double)length / size;
  return 2.0 * (scale < 1.0 ? 1.0 : scale);
}

static int axis_taps(int length, int size) {
  int taps = (int)ceil(axis_support(length, size)) * 2 + 1;
  return taps + taps % 2;
}

/* Weights for shrinking or stretching `length` elements to `size`; mirrored when flip is set.
 * `raw` is room for
 * taps doubles. */
static void axis_fill(Axis *axis, int length, int size, bool flip, double *raw) {
  double scale = (double)length / size, support = axis_support(length, size);
  double shrink = scale < 1.0 ? 1.0 : 1.0 / scale;
  for (int i = 0; i < size; i++) {
    double center = (i + 0.5) * scale, sum = 0.0;
    int first = (int)(center - support + 0.5), end = (int)(center + support + 0.5);
    if (first < 0) first = 0;
    if (end > length) end = length;
    for (int t = 0; t < end - first; t++)
      sum += raw[t] = bicubic((t + first - center + 0.5) * shrink);
    int at = flip ? size - 1 - i : i;
    int32_t *weight = axis->weight + (size_t)at * axis->taps;
    axis->first[at] = first;
    axis->count[at] = end - first;
    for (int t = 0; t < axis->taps; t++) {
      double fixed = t < end - first ? raw[t] / sum * (1 << WEIGHT_BITS) : 0.0;
      weight[t] = (int32_t)(fixed < 0.0 ? fixed - 0.5 : fixed + 0.5);
    }
  }
}

/* Compilers turn neither conversion below into the two or three instructions it needs. */
#ifdef __AVX2__
static inline Lanes load_bytes(const uint8_t *from) {
  return (Lanes)_mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)from));
}

/* Fixed-point sums rounded to bytes; packing saturates to 0..255. */
static inline void store_rounded(uint8_t *to, Lanes sum) {
  __m256i value = (__m256i)((sum + (1 << (WEIGHT_BITS - 1))) >> WEIGHT_BITS);
  __m128i half = _mm_packs_epi32(_mm256_castsi256_si128(value), _mm256_extracti128_si256(value, 1));
  _mm_storel_epi64((__m128i *)to, _mm_packus_epi16(half, half));
}
#else
static inline Lanes load_bytes(const uint8_t *from) {
  Lanes wide;
  for (int i = 0; i < LANES; i++) wide[i] = from[i];
  return wide;
}

static inline void store_rounded(uint8_t *to, Lanes sum) {
  for (int i = 0; i < LANES; i++) {
    int32_t value = (sum[i] + (1 << (WEIGHT_BITS - 1))) >> WEIGHT_BITS;
    to[i] = (uint8_t)(value < 0 ? 0 : value > 255 ? 255 : value);
  }
}
#endif

/* out[size, 3] from one source row, already spread to four bytes per pixel with a zero pixel after
 * the last. spread[size, taps, 4]: every weight four times, so that eight lanes carry two taps.
 * Writes up to five bytes past the last pixel. */
static void resize_row(uint8_t *out, const uint8_t *row, const Axis *axis, const int32_t *spread,
                       int size) {
  for (int i = 0; i < size; i++) {
    const int32_t *weight = spread + (size_t)i * axis->taps * 4;
    const uint8_t *from = row + (size_t)axis->first[i] * 4;
    Lanes sum = {0};
    for (int t = 0; t < axis->count[i]; t += 2) {
      Lanes weights;
      memcpy(&weights, weight + (size_t)t * 4, sizeof weights);
      sum += load_bytes(from + (size_t)t * 4) * weights;
    }
    const Lanes swapped = {sum[4], sum[5], sum[6], sum[7], sum[0], sum[1], sum[2], sum[3]};
    store_rounded(out + 3 * i, sum + swapped);
  }
}

/* out[n] = weighted sum of `count` rows of `stride` bytes; n is a multiple of BLOCK. */
static void blend_rows(uint8_t *out, const uint8_t *rows, size_t stride, const int32_t *weight,
                       int count, size_t n) {
  for (size_t at = 0; at < n; at += BLOCK) {
    Lanes sum[BLOCK / LANES] = {{0}};
    for (int t = 0; t < count; t++)
      for (int part = 0; part < BLOCK / LANES; part++)
        sum[part] += load_bytes(rows + (size_t)t * stride + at + part * LANES) * weight[t];
    for (int part = 0; part < BLOCK / LANES; part++)
      store_rounded(out + at + part * LANES, sum[part]);
  }
}

static void copy_box(uint8_t *out, const uint8_t *src, size_t src_stride, int size, bool flip) {
  for (int y = 0; y < size; y++, src += src_stride, out += 3 * size) {
    if (!flip) {
      memcpy(out, src, (size_t)size * 3);
      continue;
    }
    for (int x = 0; x < size; x++) memcpy(out + 3 * x, src + 3 * (size - 1 - x), 3);
  }
}

/* The next `bytes` of the scratch memory, rounded so that every piece is aligned. */
static void *carve(uint8_t **cursor, size_t bytes) {
  void *piece = *cursor;
  *cursor += (bytes + 63) & ~(size_t)63;
  return piece;
}

static bool scratch_reserve(size_t bytes) {
  if (bytes <= scratch.bytes) return true;
  free(scratch.memory);
  scratch.memory = aligned_alloc(64, (bytes + bytes / 2 + 63) & ~(size_t)63);
  scratch.bytes = scratch.memory ? bytes + bytes / 2 : 0;
  return scratch.memory != NULL;
}

static bool crop_one(uint8_t *out, const uint8_t *pool, const Crop *crop, int size) {
  const size_t src_stride = (size_t)crop->src_width * 3;
  const uint8_t *src =
      pool + crop->offset + (size_t)crop->top * src_stride + (size_t)crop->left * 3;
  if (crop->width == size && crop->height == size) {
    copy_box(out, src, src_stride, size, crop->flip);
    return true;
  }

  Axis across = {.taps = axis_taps(crop->width, size)};
  Axis down = {.taps = axis_taps(crop->height, size)};
  const int most = across.taps > down.taps ? across.taps : down.taps;
  const size_t n = (size_t)size, stride = (n * 3 + BLOCK - 1) & ~(size_t)(BLOCK - 1);
  const size_t sizes[] = {
      n * sizeof(int) * 2,                   /* first and count across */
      n * sizeof(int) * 2,                   /* and down */
      n * across.taps * sizeof(int32_t),     /* weights across */
      n * down.taps * sizeof(int32_t),       /* weights down */
      n * across.taps * sizeof(int32_t) * 4, /* spread */
      (size_t)most * sizeof(double),         /* raw weights */
      ((size_t)crop->width + 1) * 4,         /* a source row */
      stride * ((size_t)crop->height + 1),   /* rows after the first pass, one output */
  };
  size_t bytes = 0;
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) bytes += (sizes[i] + 63) & ~(size_t)63;
  if (!scratch_reserve(bytes)) return false;

  uint8_t *cursor = scratch.memory;
  across.first = carve(&cursor, sizes[0]);
  across.count = across.first + n;
  down.first = carve(&cursor, sizes[1]);
  down.count = down.first + n;
  across.weight = carve(&cursor, sizes[2]);
  down.weight = carve(&cursor, sizes[3]);
  int32_t *spread = carve(&cursor, sizes[4]);
  double *raw = carve(&cursor, sizes[5]);
  uint8_t *row = carve(&cursor, sizes[6]);
  uint8_t *rows = carve(&cursor, sizes[7]);

  axis_fill(&across, crop->width, size, crop->flip, raw);
  axis_fill(&down, crop->height, size, false, raw);
  for (size_t i = 0; i < n * across.taps * 4; i++) spread[i] = across.weight[i / 4];

  memset(row + (size_t)crop->width * 4, 0, 4);
  for (int y = 0; y < crop->height; y++) {
    const uint8_t *from = src + (size_t)y * src_stride;
    for (int x = 0; x < crop->width; x++) {
      memcpy(row + 4 * x, from + 3 * x, 3);
      row[4 * x + 3] = 0;
    }
    uint8_t *to = rows + (size_t)y * stride;
    resize_row(to, row, &across, spread, size);
    memset(to + n * 3, 0, stride - n * 3); /* blended along with the rest */
  }
  uint8_t *last = rows + (size_t)crop->height * stride;
  for (int y = 0; y < size; y++) {
    blend_rows(last, rows + (size_t)down.first[y] * stride, stride,
               down.weight + (size_t)y * down.taps, down.count[y], stride);
    memcpy(out + (size_t)y * n * 3, last, n * 3);
  }
  return true;
}

void cpu_crop_resize(Device *device, uint8_t *out, const uint8_t *pool, const Crop *crops,
                     int batch, int size) {
  int threads = cpu_device(device)->threads;
  bool failed = false;
#pragma omp parallel for num_threads(threads) schedule(dynamic) reduction(|| : failed)
  for (int b = 0; b < batch; b++)
    failed = failed || !crop_one(out + (size_t)b * size * size * 3, pool, crops + b, size);
  if (failed) {
    fprintf(stderr, "out of memory for resizing a crop\n");
    abort();
  }
}
