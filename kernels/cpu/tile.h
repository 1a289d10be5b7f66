/* tile.h - small matrix products on operands that are already in a thread's cache, for attention.
 * A tile of TILE_ROWS x TILE_VECTORS vectors of the result stays in registers. */
#ifndef KERNELS_CPU_TILE_H
#define KERNELS_CPU_TILE_H

#include <stdbool.h>

#include "kernels/cpu/vec.h"

enum { TILE_ROWS = VEC_LANES == 16 ? 8 : 6, TILE_VECTORS = 2 };

/* An m x k operand whose element (row, i) lies at data[row * row_step + i * step]: either a matrix
 * or its transpose. */
typedef struct TileLeft {
  const float *data;
  size_t row_step, step;
} TileLeft;

static inline __attribute__((always_inline)) void tile_block(float *c, size_t c_step, TileLeft a,
                                                             const float *b, size_t b_step,
                                                             size_t k, bool accumulate, int rows,
                                                             int vectors) {
  Vec sum[TILE_ROWS][TILE_VECTORS];
  for (int r = 0; r < rows; r++)
    for (int v = 0; v < vectors; v++)
      sum[r][v] = accumulate ? vec_load(c + (size_t)r * c_step + v * VEC_LANES) : (Vec){0};
  for (size_t i = 0; i < k; i++) {
    Vec right[TILE_VECTORS];
    for (int v = 0; v < vectors; v++) right[v] = vec_load(b + i * b_step + v * VEC_LANES);
    for (int r = 0; r < rows; r++) {
      float left = a.data[(size_t)r * a.row_step + i * a.step];
      for (int v = 0; v < vectors; v++) sum[r][v] += left * right[v];
    }
  }
  for (int r = 0; r < rows; r++)
    for (int v = 0; v < vectors; v++) vec_store(c + (size_t)r * c_step + v * VEC_LANES, sum[r][v]);
}

static inline __attribute__((always_inline)) void tile_column(float *c, size_t c_step, TileLeft a,
                                                              const float *b, size_t b_step,
                                                              size_t m, size_t k, bool accumulate,
                                                              int vectors) {
  size_t row = 0;
  for (; row + TILE_ROWS <= m; row += TILE_ROWS) {
    tile_block(c + row * c_step, c_step, a, b, b_step, k, accumulate, TILE_ROWS, vectors);
    a.data += TILE_ROWS * a.row_step;
  }
  for (; row + 2 <= m; row += 2) {
    tile_block(c + row * c_step, c_step, a, b, b_step, k, accumulate, 2, vectors);
    a.data += 2 * a.row_step;
  }
  if (row < m) tile_block(c + row * c_step, c_step, a, b, b_step, k, accumulate, 1, vectors);
}

/* c[m, n] = a[m, k] b[k, n] (+ c). n is a multiple of VEC_LANES; *_step are distances between rows.
 * Each element's sum runs over k in order. */
static void tile_product(float *c, size_t c_step, TileLeft a, const float *b, size_t b_step,
                         size_t m, size_t n, size_t k, bool accumulate) {
  size_t column = 0;
  for (; column + TILE_VECTORS * VEC_LANES <= n; column += TILE_VECTORS * VEC_LANES)
    tile_column(c + column, c_step, a, b + column, b_step, m, k, accumulate, TILE_VECTORS);
  if (column < n) tile_column(c + column, c_step, a, b + column, b_step, m, k, accumulate, 1);
}

#endif
