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

void cpu_gelu_backward(Device *device, void *d_x, const void *d_y, const void *x, Dtype type,
                       size_t count) {
  CpuDevice *cpu = cpu_device(device);
  if (cpu->failed) return;
#pragma omp parallel for num_threads(cpu->threads) schedule(static)
  for (size_t p = 0; p < piece_count(count); p++) {
    float space[PIECE], space_d[PIECE];
    size_t first = p * PIECE, size = piece_size(first, count);
    const float *in = row_read(x, type, first, size, space);
    const float *d = row_read(d_y, type, first, size, space_d);
    float *out = row_begin(d_x, type, first, space_d);
#pragma omp simd
    for (size_t i = 0; i < size; i++) out[i] = d[i] * gelu_slope(in[i]);
    row_finish(d_x, type, first, out, size);
  }
}
