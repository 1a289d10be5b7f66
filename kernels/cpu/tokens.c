/* tokens.c - pixels to patch vectors; rows to token sequences, and gradients back from tokens to
 * rows, to the class and mask tokens and to learned positions; rows chosen, and put back. */
#include <omp.h>

#include "kernels/cpu/cpu.h"
#include "kernels/cpu/rows.h"

void cpu_patch_gather(Device *device, void *out, Dtype type, const uint8_t *images,
                      const int32_t *patch_ids, int chosen, const PatchGrid *grid) {
  CpuDevice *cpu = cpu_device(device);
  size_t p = (size_t)grid->patch_size, side = (size_t)grid->image_size / p;
  size_t line = (size_t)grid->image_size * 3, length = 3 * p * p;
  size_t rows = (size_t)grid->batch * (size_t)chosen;
  float *base = cpu->failed ? NULL : cpu_scratch(cpu, 0, length);
  if (!base) return;
#pragma omp parallel for num_threads(cpu->threads) schedule(static)
  for (size_t r = 0; r < rows; r++) {
    float *space = cpu_part(base, 0, length, omp_get_thread_num());
    float *vector = row_begin(out, type, r * length, space);
    size_t image = r / (size_t)chosen, id = (size_t)patch_ids[r];
    const uint8_t *corner =
        images + (image * (size_t)grid->image_size + id / side * p) * line + id % side * p * 3;
    for (size_t c = 0; c < 3; c++)
      for (size_t y = 0; y < p; y++)
        for (size_t x = 0; x < p; x++)
          vector[(c * p + y) * p + x] = cpu->pixel[c][corner[y * line + x * 3 + c]];
    row_finish(out, type, r * length, vector, length);
  }
}

void cpu_tokens_forward(Device *device, float *out, const void *src, Dtype type,
                        const float *class_token, const float *mask_token, const float *positions,
                        const TokenMap *map, int width) {
  CpuDevice *cpu = cpu_device(device);
  size_t w = (size_t)width, tokens = (size_t)map->tokens;
  float *base = cpu->failed ? NULL : cpu_scratch(cpu, 0, w);
  if (!base) return;
#pragma omp parallel for num_threads(cpu->threads) schedule(static)
  for (size_t r = 0; r < (size_t)map->batch * tokens; r++) {
    float *space = cpu_part(base, 0, w, omp_get_thread_num());
    int32_t source = map->source[r];
    const float *row;
    if (source == TOKEN_CLASS) {
      row = class_token;
    } else if (source == TOKEN_MASK) {
      row = mask_token;
    } else {
      size_t at = r / tokens * (size_t)map->sources + (size_t)source;
      row = row_read(src, type, at * w, w, space);
    }
    float *token = out + r * w;
    if (positions) {
      const float *position = positions + (size_t)map->position[r] * w;
#pragma omp simd
      for (size_t i = 0; i < w; i++) token[i] = row[i] + position[i];
    } else {
      memcpy(token, row, w * sizeof *token);
    }
  }
}

static void add_row(float *restrict sum, const float *row, size_t width) {
#pragma omp simd
  for (size_t i = 0; i < width; i++) sum[i] += row[i];
}

/* d_src of image b, and the image's sums over class and mask tokens ([2, width]). */
static void scatter_image(void *d_src, Dtype type, float *sums, const float *d_out,
                          const TokenMap *map, size_t b, size_t width) {
  size_t tokens = (size_t)map->tokens, sources = (size_t)map->sources;
  char *rows = (char *)d_src + b * sources * width * dtype_size(type);
  memset(rows, 0, sources * width * dtype_size(type));
  memset(sums, 0, 2 * width * sizeof *sums);
  for (size_t t = 0; t < tokens; t++) {
    const float *row = d_out + (b * tokens + t) * width;
    int32_t source = map->source[b * tokens + t];
    if (source >= 0)
      row_narrow(rows, type, (size_t)source * width, row, width);
    else
      add_row(source == TOKEN_CLASS ? sums : sums + width, row, width);
  }
}

/* out[width] (+)= the sum over images of sums[image, stride]. */
static void add_images(float *out, const float *sums, size_t images, size_t stride, size_t width,
                       bool accumulate) {
  if (!accumulate) memset(out, 0, width * sizeof *out);
  for (size_t b = 0; b < images; b++) add_row(out, sums + b * stride, width);
}

void cpu_tokens_backward(Device *device, void *d_src, Dtype type, float *d_class_token,
                         float *d_mask_token, float *d_positions, const float *d_out,
                         const TokenMap *map, int width, bool accumulate) {
  CpuDevice *cpu = cpu_device(device);
  size_t w = (size_t)width, batch = (size_t)map->batch, positions = (size_t)map->positions;
  float *sums = cpu->failed ? NULL : cpu_scratch(cpu, batch * 2 * w, 0);
  if (!sums) return;
#pragma omp parallel num_threads(cpu->threads)
  {
#pragma omp for schedule(static)
    for (size_t b = 0; b < batch; b++)
      scatter_image(d_src, type, sums + b * 2 * w, d_out, map, b, w);
    if (d_positions) {
#pragma omp for schedule(static)
      for (size_t at = 0; at < positions; at++) {
        float *sum = d_positions + at * w;
        if (!accumulate) memset(sum, 0, w * sizeof *sum);
        for (size_t b = 0; b < batch; b++) {
          int32_t t = map->token_at[b * positions + at];
          if (t >= 0) add_row(sum, d_out + (b * (size_t)map->tokens + (size_t)t) * w, w);
        }
      }
    }
  }
  if (d_class_token) add_images(d_class_token, sums, batch, 2 * w, w, accumulate);
  if (d_mask_token) add_images(d_mask_token, sums + w, batch, 2 * w, w, accumulate);
}

void cpu_tokens_pool(Device *device, float *first, float *mean, const void *tokens, Dtype type,
                     int batch, int count, int extra, int width) {
  CpuDevice *cpu = cpu_device(device);
  size_t w = (size_t)width;
  float *base = cpu->failed ? NULL : cpu_scratch(cpu, 0, w);
  if (!base) return;
#pragma omp parallel for num_threads(cpu->threads) schedule(static)
  for (size_t b = 0; b < (size_t)batch; b++) {
    float *space = cpu_part(base, 0, w, omp_get_thread_num()), *sum = mean + b * w;
    size_t row = b * (size_t)count * w;
    if (first) row_widen(first + b * w, tokens, type, row, w);
    memset(sum, 0, w * sizeof *sum);
    for (int t = extra; t < count; t++)
      add_row(sum, row_read(tokens, type, row + (size_t)t * w, w, space), w);
    for (size_t i = 0; i < w; i++) sum[i] /= (float)(count - extra);
  }
}

void cpu_rows_gather(Device *device, void *out, const void *src, Dtype type,
                     const RowChoice *choice, int width) {
  CpuDevice *cpu = cpu_device(device);
  size_t bytes = (size_t)width * dtype_size(type), chosen = (size_t)choice->chosen;
  if (cpu->failed) return;
#pragma omp parallel for num_threads(cpu->threads) schedule(static)
  for (size_t r = 0; r < (size_t)choice->batch * chosen; r++) {
    size_t row = r / chosen * (size_t)choice->rows + (size_t)(choice->first + choice->ids[r]);
    memcpy((char *)out + r * bytes, (const char *)src + row * bytes, bytes);
  }
}

void cpu_rows_scatter(Device *device, void *out, const void *src, Dtype type,
                      const RowChoice *choice, int width) {
  CpuDevice *cpu = cpu_device(device);
  size_t bytes = (size_t)width * dtype_size(type), chosen = (size_t)choice->chosen;
  if (cpu->failed) return;
#pragma omp parallel for num_threads(cpu->threads) schedule(static)
  for (size_t b = 0; b < (size_t)choice->batch; b++) {
    char *rows = (char *)out + b * (size_t)choice->rows * bytes;
    memset(rows, 0, (size_t)choice->rows * bytes);
    for (size_t r = b * chosen; r < (b + 1) * chosen; r++)
      memcpy(rows + (size_t)(choice->first + choice->ids[r]) * bytes, (const char *)src + r * bytes,
             bytes);
  }
}
