/* rows.h - one code path for every dtype: a row is widened to fp32 in a small buffer that stays in
 * the first-level cache, worked on there, and rounded on the way out. fp32 rows are used where they
 * lie. Offsets and counts are in elements. */
#ifndef KERNELS_CPU_ROWS_H
#define KERNELS_CPU_ROWS_H

#include "kernels/half.h"

static inline void row_widen(float *restrict out, const void *src, Dtype type, size_t offset,
                             size_t count) {
  if (type == DTYPE_BF16) {
    const uint16_t *in = (const uint16_t *)src + offset;
#pragma omp simd
    for (size_t i = 0; i < count; i++) out[i] = bf16_to_float(in[i]);
  } else if (type == DTYPE_F16) {
    const uint16_t *in = (const uint16_t *)src + offset;
    for (size_t i = 0; i < count; i++) out[i] = f16_to_float(in[i]);
  } else {
    memcpy(out, (const float *)src + offset, count * sizeof *out);
  }
}

static inline void row_narrow(void *dst, Dtype type, size_t offset, const float *restrict row,
                              size_t count) {
  if (type == DTYPE_BF16) {
    uint16_t *out = (uint16_t *)dst + offset;
#pragma omp simd
    for (size_t i = 0; i < count; i++) out[i] = bf16_from_float(row[i]);
  } else if (type == DTYPE_F16) {
    uint16_t *out = (uint16_t *)dst + offset;
    for (size_t i = 0; i < count; i++) out[i] = f16_from_float(row[i]);
  } else {
    memcpy((float *)dst + offset, row, count * sizeof *row);
  }
}

/* The row as fp32: in place, or widened into space. */
static inline const float *row_read(const void *src, Dtype type, size_t offset, size_t count,
                                    float *space) {
  if (type == DTYPE_F32) return (const float *)src + offset;
  row_widen(space, src, type, offset, count);
  return space;
}

/* Where to write a row: in place, or into space, which row_finish() then rounds to its place. */
static inline float *row_begin(void *dst, Dtype type, size_t offset, float *space) {
  return type == DTYPE_F32 ? (float *)dst + offset : space;
}
static inline void row_finish(void *dst, Dtype type, size_t offset, const float *row,
                              size_t count) {
  if (type != DTYPE_F32) row_narrow(dst, type, offset, row, count);
}

#endif
