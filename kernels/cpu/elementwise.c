/* elementwise.c - conversion to 16 bits and GELU with its gradient, in pieces that threads share.
 * The mathematics of one element is scalar.h's, the GPU's too. */
#include <omp.h>

#include "kernels/cpu/cpu.h"
#include "kernels/cpu/rows.h"

/* Elements handled at once: 8 KiB per operand stay in the first-level cache. */
enum { PIECE = 2048 };

static size_t piece_count(size_t count) {
  return (count + PIECE - 1) / PIECE;
}
static size_t piece_size(size_t first, size_t count) {
  return count - first < PIECE ? count - first : PIECE;
}

void cpu_convert(Device *device, void *dst, Dtype type, const float *src, size_t count) {
  CpuDevice *cpu = cpu_device(device);
  if (cpu->failed) return;
#pragma omp parallel for num_threads(cpu->threads) schedule(static)
  for (size_t p = 0; p < piece_count(count); p++) {
    size_t first = p * PIECE;
    row_narrow(dst, type, first, src + first, piece_size(first, count));
  }
}

void cpu_gelu_forward(Device *device, void *y, const void *x, Dtype type, size_t count) {
  CpuDevice *cpu = cpu_device(device);
  if (cpu->failed) return;
#pragma omp parallel for num_threads(cpu->threads) schedule(static)
  for (size_t p = 0; p < piece_count(count); p++) {
    float space[PIECE];
    size_t first = p * PIECE, size = piece_size(first, count);
    const float *in = row_read(x, type, first, size, space);
    float *out = row_begin(y, type, first, space);
#pragma omp simd
    for (size_t i = 0; i < size; i++) out[i] = gelu_value(in[i]);
    row_finish(y, type, first, out, size);
  }
}

/* Columns are summed over chunks of rows first, then over the chunks. */
void cpu_gelu_backward(Device *device, void *d_x, float *d_bias, const void *d_y, const void *x,
                       Dtype type, size_t rows, int width, bool accumulate) {
  CpuDevice *cpu = cpu_device(device);
  size_t w = (size_t)width, chunks = (rows + CPU_CHUNK - 1) / CPU_CHUNK;
  float *base = cpu->failed ? NULL : cpu_scratch(cpu, chunks * w, 2 * w);
  if (!base) return;
#pragma omp parallel num_threads(cpu->threads)
  {
    float *space = cpu_part(base, chunks * w, 2 * w, omp_get_thread_num());
#pragma omp for schedule(static)
    for (size_t chunk = 0; chunk < chunks; chunk++) {
      float *partial = base + chunk * w;
      size_t first = chunk * CPU_CHUNK;
      size_t last = first + CPU_CHUNK < rows ? first + CPU_CHUNK : rows;
      memset(partial, 0, w * sizeof *partial);
      for (size_t at = first * w; at < last * w; at += w) {
        const float *in = row_read(x, type, at, w, space);
        const float *d = row_read(d_y, type, at, w, space + w);
        float *out = row_begin(d_x, type, at, space + w);
#pragma omp simd
        for (size_t i = 0; i < w; i++) {
          out[i] = d[i] * gelu_slope(in[i]);
          partial[i] += out[i];
        }
        row_finish(d_x, type, at, out, w);
      }
    }
#pragma omp for schedule(static)
    for (size_t i = 0; i < w; i++) {
      float total = accumulate ? d_bias[i] : 0.0f;
      for (size_t chunk = 0; chunk < chunks; chunk++) total += base[chunk * w + i];
      d_bias[i] = total;
    }
  }
}
