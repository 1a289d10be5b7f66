/* layernorm.c - layer normalisation with the residual addition that precedes it, a row at a time.
 * The backward pass sums d_weight and d_bias over fixed chunks of rows, then over the chunks. */
#include <math.h>
#include <omp.h>

#include "kernels/cpu/cpu.h"
#include "kernels/cpu/rows.h"
#include "kernels/cpu/vec.h"

static void normalise_row(float *restrict y, const float *x, float mean, float rstd,
                          const float *weight, const float *bias, size_t width) {
#pragma omp simd
  for (size_t i = 0; i < width; i++) y[i] = (x[i] - mean) * rstd * weight[i] + bias[i];
}

void cpu_layernorm_forward(Device *device, void *y, Dtype type, float *sum, float *mean,
                           float *rstd, const float *x, const void *branch, const float *weight,
                           const float *bias, size_t rows, int width) {
  CpuDevice *cpu = cpu_device(device);
  size_t w = (size_t)width;
  float *base = cpu->failed ? NULL : cpu_scratch(cpu, 0, w);
  if (!base) return;
#pragma omp parallel for num_threads(cpu->threads) schedule(static)
  for (size_t r = 0; r < rows; r++) {
    float *space = cpu_part(base, 0, w, omp_get_thread_num());
    const float *row = x + r * w;
    if (sum) {
      float *total = sum + r * w;
      if (branch) {
        const float *add = row_read(branch, type, r * w, w, space);
#pragma omp simd
        for (size_t i = 0; i < w; i++) total[i] = row[i] + add[i];
      } else if (total != row) {
        memcpy(total, row, w * sizeof *total);
      }
      row = total;
    }
    float m = vec_sum(row, w) / (float)width;
    float variance = vec_square_deviation(row, m, w) / (float)width;
    float s = 1.0f / sqrtf(variance + LAYERNORM_EPS);
    mean[r] = m;
    rstd[r] = s;
    float *out = row_begin(y, type, r * w, space);
    normalise_row(out, row, m, s, weight, bias, w);
    row_finish(y, type, r * w, out, w);
  }
}

void cpu_layernorm_apply(Device *device, void *y, Dtype type, const float *x, const float *mean,
                         const float *rstd, const float *weight, const float *bias, size_t rows,
                         int width) {
  CpuDevice *cpu = cpu_device(device);
  size_t w = (size_t)width;
  float *base = cpu->failed ? NULL : cpu_scratch(cpu, 0, w);
  if (!base) return;
#pragma omp parallel for num_threads(cpu->threads) schedule(static)
  for (size_t r = 0; r < rows; r++) {
    float *out = row_begin(y, type, r * w, cpu_part(base, 0, w, omp_get_thread_num()));
    normalise_row(out, x + r * w, mean[r], rstd[r], weight, bias, w);
    row_finish(y, type, r * w, out, w);
  }
}

/* One row: with g = d_y weight and h the normalised x,
 * d_x = rstd (g - mean(g) - h mean(g h)) + residual; d_weight += d_y h; d_bias += d_y; and where it
 * is wanted d_x_sums += d_x. `h` and `g` are work space. */
static void backward_row(float *d_x, const float *residual, const float *d_y, const float *x,
                         float mean, float rstd, const float *weight, float *restrict d_weight,
                         float *restrict d_bias, float *restrict d_x_sums, float *restrict h,
                         float *restrict g, size_t width) {
#pragma omp simd
  for (size_t i = 0; i < width; i++) {
    h[i] = (x[i] - mean) * rstd;
    g[i] = d_y[i] * weight[i];
    d_weight[i] += d_y[i] * h[i];
    d_bias[i] += d_y[i];
  }
  float mean_g = vec_sum(g, width) / (float)width, mean_gh = vec_dot(g, h, width) / (float)width;
  if (residual) {
#pragma omp simd
    for (size_t i = 0; i < width; i++)
      d_x[i] = residual[i] + rstd * (g[i] - mean_g - h[i] * mean_gh);
  } else {
#pragma omp simd
    for (size_t i = 0; i < width; i++) d_x[i] = rstd * (g[i] - mean_g - h[i] * mean_gh);
  }
  if (d_x_sums) {
#pragma omp simd
    for (size_t i = 0; i < width; i++) d_x_sums[i] += d_x[i];
  }
}

void cpu_layernorm_backward(Device *device, float *d_x, void *d_x16, Dtype type, float *d_weight,
                            float *d_bias, float *d_x_sums, const float *d_residual,
                            const void *d_y, const float *x, const float *mean, const float *rstd,
                            const float *weight, size_t rows, int width, bool accumulate) {
  CpuDevice *cpu = cpu_device(device);
  size_t w = (size_t)width, chunks = (rows + CPU_CHUNK - 1) / CPU_CHUNK;
  float *const sums[] = {d_weight, d_bias, d_x_sums};
  size_t values = (d_x_sums ? 3 : 2) * w;
  size_t shared = chunks * values; /* per chunk: its part of each of these */
  float *base = cpu->failed ? NULL : cpu_scratch(cpu, shared, 3 * w);
  if (!base) return;
#pragma omp parallel num_threads(cpu->threads)
  {
    float *space = cpu_part(base, shared, 3 * w, omp_get_thread_num());
#pragma omp for schedule(static)
    for (size_t chunk = 0; chunk < chunks; chunk++) {
      float *partial = base + chunk * values;
      size_t first = chunk * CPU_CHUNK;
      size_t last = first + CPU_CHUNK < rows ? first + CPU_CHUNK : rows;
      memset(partial, 0, values * sizeof *partial);
      for (size_t r = first; r < last; r++) {
        size_t at = r * w;
        backward_row(d_x + at, d_residual ? d_residual + at : NULL,
                     row_read(d_y, type, at, w, space), x + at, mean[r], rstd[r], weight, partial,
                     partial + w, d_x_sums ? partial + 2 * w : NULL, space + w, space + 2 * w, w);
        if (d_x16) row_narrow(d_x16, type, at, d_x + at, w);
      }
    }
#pragma omp for schedule(static)
    for (size_t i = 0; i < values; i++) {
      float *out = sums[i / w] + i % w;
      float total = accumulate ? *out : 0.0f;
      for (size_t chunk = 0; chunk < chunks; chunk++) total += base[chunk * values + i];
      *out = total;
    }
  }
}
