/* attention.c - multi-head self-attention, one pair of an image and a head at a time per thread.
 * The pair's rows are first widened into a thread's work space, with keys and values also
 * transposed where a product wants them so; scores exist for a block of query rows at a time. */
#include <math.h>
#include <omp.h>

#include "kernels/cpu/cpu.h"
#include "kernels/cpu/rows.h"
#include "kernels/cpu/tile.h"

/* Scores kept at once: 64 KiB, within a second-level cache also when there are two such blocks. */
enum { BLOCK_SCORES = 16384 };

typedef struct Shape {
  size_t pairs, tokens, heads, size; /* pairs: of an image and a head; size: of a head */
  size_t padded_tokens, padded_size; /* rounded up to whole vectors */
  size_t block;                      /* query rows at a time */
  float scale;
} Shape;

static Shape shape_of(int batch, int tokens, int heads, int head_size) {
  Shape s = {.tokens = (size_t)tokens, .heads = (size_t)heads, .size = (size_t)head_size};
  s.pairs = (size_t)batch * s.heads;
  s.padded_tokens = cpu_round_up(s.tokens, VEC_LANES);
  s.padded_size = cpu_round_up(s.size, VEC_LANES);
  s.block = BLOCK_SCORES / s.padded_tokens / TILE_ROWS * TILE_ROWS;
  if (s.block < TILE_ROWS) s.block = TILE_ROWS;
  if (s.block > s.tokens) s.block = s.tokens;
  s.scale = 1.0f / sqrtf((float)head_size);
  return s;
}

/* Where a pair's rows lie in a [batch, tokens, parts, heads, size] tensor: element offsets of its
 * first row and of that of the next pair, and distance between rows. */
typedef struct HeadRows {
  const void *data;
  Dtype type;
  size_t first, next, step;
} HeadRows;

static HeadRows head_rows(const void *data, Dtype type, const Shape *s, size_t parts, size_t part,
                          size_t pair) {
  HeadRows rows = {data, type, 0, 0, parts * s->heads * s->size};
  size_t next = pair + 1 < s->pairs ? pair + 1 : pair;
  size_t image = s->tokens * rows.step, within = part * s->heads * s->size;
  rows.first = pair / s->heads * image + within + pair % s->heads * s->size;
  rows.next = next / s->heads * image + within + next % s->heads * s->size;
  return rows;
}

/* The processor does not foresee rows so far apart: row t of the next pair is asked for while this
 * pair's is worked on, so that it is in the second-level cache when its turn comes. */
static void ask_for_next(const HeadRows *rows, size_t t, size_t count) {
  enum { CACHE_LINE = 64 };
  size_t item = dtype_size(rows->type);
  const char *next = (const char *)rows->data + (rows->next + t * rows->step) * item;
  for (size_t i = 0; i < count * item; i += CACHE_LINE) __builtin_prefetch(next + i, 0, 2);
}

/* out[tokens, padded_size] = scale * rows, padding zero. */
static void pack(float *out, const HeadRows *rows, const Shape *s, float scale) {
  for (size_t t = 0; t < s->tokens; t++) {
    float *restrict row = out + t * s->padded_size;
    ask_for_next(rows, t, s->size);
    const float *in = row_read(rows->data, rows->type, rows->first + t * rows->step, s->size, row);
#pragma omp simd
    for (size_t i = 0; i < s->size; i++) row[i] = scale * in[i];
    for (size_t i = s->size; i < s->padded_size; i++) row[i] = 0.0f;
  }
}

/* Writes row t where `rows` says it lies, in a tensor of that layout. */
static void put_row(void *tensor, const HeadRows *rows, size_t t, const float *row,
                    const Shape *s) {
  row_narrow(tensor, rows->type, rows->first + t * rows->step, row, s->size);
}

/* out[size, padded_tokens] = the transpose of packed rows, padding zero. */
static void transpose(float *out, const float *packed, const Shape *s) {
  for (size_t i = 0; i < s->size; i++) {
    for (size_t t = 0; t < s->tokens; t++)
      out[i * s->padded_tokens + t] = packed[t * s->padded_size + i];
    for (size_t t = s->tokens; t < s->padded_tokens; t++) out[i * s->padded_tokens + t] = 0.0f;
  }
}

static TileLeft plain(const float *data, size_t step) {
  return (TileLeft){data, step, 1};
}
static TileLeft transposed(const float *data, size_t step) {
  return (TileLeft){data, 1, step};
}

static float row_max(const float *x, size_t count) {
  float max = x[0];
#pragma omp simd reduction(max : max)
  for (size_t i = 0; i < count; i++) max = x[i] > max ? x[i] : max;
  return max;
}

/* x[i] = e^(x[i] - shift) */
static void row_exp(float *x, float shift, size_t count) {
#pragma omp simd
  for (size_t i = 0; i < count; i++) x[i] = scalar_exp(x[i] - shift);
}

static void forward_head(void *out, float *lse, const void *qkv, Dtype type, const Shape *s,
                         size_t pair, float *space) {
  size_t n = s->tokens, d = s->padded_size, wide = s->padded_tokens;
  float *q = space, *v = q + n * d, *kt = v + n * d;
  float *scores = kt + s->size * wide, *result = scores + s->block * wide;
  HeadRows rows[3], rows_out = head_rows(out, type, s, 1, 0, pair);
  for (size_t part = 0; part < 3; part++) rows[part] = head_rows(qkv, type, s, 3, part, pair);
  pack(v, &rows[1], s, 1.0f);
  transpose(kt, v, s);
  pack(q, &rows[0], s, s->scale);
  pack(v, &rows[2], s, 1.0f);
  for (size_t first = 0; first < n; first += s->block) {
    size_t count = n - first < s->block ? n - first : s->block;
    float inverse[BLOCK_SCORES / VEC_LANES];
    tile_product(scores, wide, plain(q + first * d, d), kt, wide, count, wide, s->size, false);
    for (size_t r = 0; r < count; r++) {
      float *row = scores + r * wide, max = row_max(row, n);
      row_exp(row, max, n);
      float sum = vec_sum(row, n);
      inverse[r] = 1.0f / sum;
      lse[first + r] = max + logf(sum);
    }
    tile_product(result, d, plain(scores, wide), v, d, count, d, n, false);
    for (size_t r = 0; r < count; r++) {
      float *row = result + r * d;
      for (size_t i = 0; i < s->size; i++) row[i] *= inverse[r];
      put_row(out, &rows_out, first + r, row, s);
    }
  }
}

void cpu_attention_forward(Device *device, void *out, float *lse, const void *qkv, Dtype type,
                           int batch, int tokens, int heads, int head_size) {
  CpuDevice *cpu = cpu_device(device);
  Shape s = shape_of(batch, tokens, heads, head_size);
  size_t each = 2 * s.tokens * s.padded_size + s.size * s.padded_tokens +
                s.block * (s.padded_tokens + s.padded_size);
  float *base = cpu->failed ? NULL : cpu_scratch(cpu, 0, each);
  if (!base) return;
#pragma omp parallel for num_threads(cpu->threads) schedule(static)
  for (size_t i = 0; i < s.pairs; i++)
    forward_head(out, lse + i * s.tokens, qkv, type, &s, i,
                 cpu_part(base, 0, each, omp_get_thread_num()));
}

/* total[i] += the sum of column i over rows[count, padded_size], in their order */
static void add_columns(float *total, const float *rows, size_t count, const Shape *s) {
  for (size_t i = 0; i < s->size; i += VEC_LANES) {
    size_t columns = s->size - i < VEC_LANES ? s->size - i : VEC_LANES;
    Vec sum = {0};
    memcpy(&sum, total + i, columns * sizeof *total);
    for (size_t r = 0; r < count; r++) sum += vec_load(rows + r * s->padded_size + i);
    memcpy(total + i, &sum, columns * sizeof *total);
  }
}

/* With p the probabilities: d_v = p^T d_out; d_p = d_out v^T; d_s = p (d_p - sum(d_out out)), the
 * gradient of the scaled scores; d_q = scale d_s k; d_k = d_s^T (scale q). sums[3, heads, size]:
 * the head's part receives the column sums of the three. */
static void backward_head(void *d_qkv, float *sums, const void *d_out, const void *qkv,
                          const void *out, const float *lse, Dtype type, const Shape *s,
                          size_t pair, float *space) {
  size_t n = s->tokens, d = s->padded_size, wide = s->padded_tokens, whole = n * d;
  float *q = space, *k = q + whole, *grad = k + whole, *o = grad + whole, *d_k = o + whole;
  float *d_v = d_k + whole, *kt = d_v + whole, *vt = kt + s->size * wide;
  float *p = vt + s->size * wide, *d_s = p + s->block * wide, *d_q = d_s + s->block * wide;
  HeadRows rows[3];
  for (size_t part = 0; part < 3; part++) rows[part] = head_rows(qkv, type, s, 3, part, pair);
  HeadRows rows_out = head_rows(out, type, s, 1, 0, pair);
  HeadRows rows_grad = head_rows(d_out, type, s, 1, 0, pair);
  pack(q, &rows[0], s, s->scale);
  pack(k, &rows[2], s, 1.0f);
  transpose(vt, k, s);
  pack(k, &rows[1], s, 1.0f);
  transpose(kt, k, s);
  pack(grad, &rows_grad, s, 1.0f);
  pack(o, &rows_out, s, 1.0f);
  float *sum[3];
  for (size_t part = 0; part < 3; part++) {
    sum[part] = sums + (part * s->heads + pair % s->heads) * s->size;
    memset(sum[part], 0, s->size * sizeof *sum[part]);
  }
  for (size_t first = 0; first < n; first += s->block) {
    size_t count = n - first < s->block ? n - first : s->block;
    const float *grad_block = grad + first * d;
    tile_product(p, wide, plain(q + first * d, d), kt, wide, count, wide, s->size, false);
    tile_product(d_s, wide, plain(grad_block, d), vt, wide, count, wide, s->size, false);
    for (size_t r = 0; r < count; r++) {
      float *restrict p_row = p + r * wide, *restrict s_row = d_s + r * wide;
      float mean = vec_dot(grad_block + r * d, o + (first + r) * d, d);
      row_exp(p_row, lse[first + r], n);
#pragma omp simd
      for (size_t i = 0; i < n; i++) s_row[i] = p_row[i] * (s_row[i] - mean);
    }
    tile_product(d_v, d, transposed(p, wide), grad_block, d, n, d, count, first > 0);
    tile_product(d_k, d, transposed(d_s, wide), q + first * d, d, n, d, count, first > 0);
    tile_product(d_q, d, plain(d_s, wide), k, d, count, d, n, false);
    for (size_t r = 0; r < count; r++) {
      float *row = d_q + r * d;
      for (size_t i = 0; i < s->size; i++) row[i] *= s->scale;
      put_row(d_qkv, &rows[0], first + r, row, s);
    }
    add_columns(sum[0], d_q, count, s);
  }
  add_columns(sum[1], d_k, n, s);
  add_columns(sum[2], d_v, n, s);
  for (size_t t = 0; t < n; t++) {
    put_row(d_qkv, &rows[1], t, d_k + t * d, s);
    put_row(d_qkv, &rows[2], t, d_v + t * d, s);
  }
}

/* Columns are summed over each image first, then over the images. */
void cpu_attention_backward(Device *device, void *d_qkv, float *d_bias, const void *d_out,
                            const void *qkv, const void *out, const float *lse, Dtype type,
                            int batch, int tokens, int heads, int head_size, bool accumulate) {
  CpuDevice *cpu = cpu_device(device);
  Shape s = shape_of(batch, tokens, heads, head_size);
  size_t width = 3 * s.heads * s.size, images = (size_t)batch, shared = images * width;
  size_t each = 6 * s.tokens * s.padded_size + 2 * s.size * s.padded_tokens +
                s.block * (2 * s.padded_tokens + s.padded_size);
  float *base = cpu->failed ? NULL : cpu_scratch(cpu, shared, each);
  if (!base) return;
#pragma omp parallel num_threads(cpu->threads)
  {
    float *space = cpu_part(base, shared, each, omp_get_thread_num());
#pragma omp for schedule(static)
    for (size_t i = 0; i < s.pairs; i++)
      backward_head(d_qkv, base + i / s.heads * width, d_out, qkv, out, lse + i * s.tokens, type,
                    &s, i, space);
#pragma omp for schedule(static)
    for (size_t i = 0; i < width; i++) {
      float total = accumulate ? d_bias[i] : 0.0f;
      for (size_t image = 0; image < images; image++) total += base[image * width + i];
      d_bias[i] = total;
    }
  }
}
