/* product_plain.c - matrix products by loops of our own, for a build without oneDNN: fp32 alone, in
 * tiles that threads share. A tile's operands are copied side by side, DEPTH of the sum at a time,
 * and multiplied by tile.h. Each element's sum depends on the product's shape alone: DEPTH terms in
 * their order, then the next DEPTH, each part added to the element. Parts also keep a long sum's
 * rounding error small. */
#include "kernels/cpu/product.h"

#include <omp.h>
#include <stdio.h>
#include <string.h>

#include "kernels/cpu/tile.h"

/* Copies of both operands (96 and 128 KiB) and the tile (48 KiB) fit a second-level cache. */
enum { ROWS = 96, COLUMNS = 128, DEPTH = 256 };
enum { SPACE = ROWS * DEPTH + DEPTH * COLUMNS + ROWS * COLUMNS };

/* out[rows, width] = the operand's block at (row, column), `columns` of it; the rest zero. */
static void copy_block(float *out, size_t width, const TileLeft *o, size_t row, size_t column,
                       size_t rows, size_t columns) {
  const float *from = o->data + row * o->row_step + column * o->step;
  if (o->step == 1) {
    for (size_t r = 0; r < rows; r++)
      memcpy(out + r * width, from + r * o->row_step, columns * sizeof *out);
  } else { /* along the operand's own rows */
    for (size_t c = 0; c < columns; c++)
      for (size_t r = 0; r < rows; r++) out[r * width + c] = from[c * o->step + r];
  }
  for (size_t r = 0; columns < width && r < rows; r++)
    memset(out + r * width + columns, 0, (width - columns) * sizeof *out);
}

/* Adds the tile to what c has: before the first part nothing, the bias, or an older sum. */
static void add_tile(const ProductShape *s, float *c, const float *tile, size_t width,
                     const float *bias, size_t rows, size_t columns, bool first) {
  for (size_t r = 0; r < rows; r++) {
    float *restrict to = c + r * s->n;
    const float *restrict from = tile + r * width;
    if (!first || s->accumulate)
      for (size_t i = 0; i < columns; i++) to[i] += from[i];
    else if (bias)
      for (size_t i = 0; i < columns; i++) to[i] = bias[i] + from[i];
    else
      memcpy(to, from, columns * sizeof *to);
  }
}

static size_t least(size_t a, size_t b) {
  return a < b ? a : b;
}

static void tile_run(const ProductShape *s, float *c, const TileLeft *a, const TileLeft *b,
                     const float *bias, size_t row, size_t column, float *space) {
  float *left = space, *right = left + ROWS * DEPTH, *tile = right + DEPTH * COLUMNS;
  size_t rows = least(ROWS, s->m - row), columns = least(COLUMNS, s->n - column);
  size_t width = cpu_round_up(columns, VEC_LANES);
  for (size_t k = 0; k < s->k; k += DEPTH) {
    size_t depth = least(DEPTH, s->k - k);
    copy_block(left, depth, a, row, k, rows, depth);
    copy_block(right, width, b, k, column, depth, columns);
    tile_product(tile, width, (TileLeft){left, depth, 1}, right, width, rows, width, depth, false);
    add_tile(s, c + row * s->n + column, tile, width, bias ? bias + column : NULL, rows, columns,
             k == 0);
  }
}

bool product_open(CpuDevice *cpu, char *message, size_t size) {
  (void)message, (void)size;
  cpu->has_bf16 = false; /* linear.c widens 16-bit operands */
  return true;
}

void product_close(CpuDevice *cpu) {
  (void)cpu;
}

void product_run(CpuDevice *cpu, const ProductShape *s, void *c, const void *a, const void *b,
                 const float *bias) {
  TileLeft left = {a, s->a_transposed ? 1 : s->k, s->a_transposed ? s->m : 1};
  TileLeft right = {b, s->b_transposed ? 1 : s->n, s->b_transposed ? s->k : 1};
  size_t across = (s->n + COLUMNS - 1) / COLUMNS, tiles = (s->m + ROWS - 1) / ROWS * across;
  float *base = cpu_scratch(cpu, 0, SPACE);
  if (!base) return;
#pragma omp parallel for num_threads(cpu->threads) schedule(dynamic)
  for (size_t i = 0; i < tiles; i++)
    tile_run(s, c, &left, &right, bias, i / across * ROWS, i % across * COLUMNS,
             cpu_part(base, 0, SPACE, omp_get_thread_num()));
}

void product_library(char *text, size_t size) {
  snprintf(text, size, "plain loops (no oneDNN, slow)");
}

const char *product_instructions(void) {
  return NULL;
}
