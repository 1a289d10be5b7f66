/* linear.c - linear layers and their two backward products, through product.h. Weights are [out,
 * in], as in the checkpoints. 16-bit products that the CPU lacks run on fp32 copies (emulate), or
 * fail. */
#include <omp.h>

#include "kernels/cpu/product.h"
#include "kernels/cpu/rows.h"

/* Columns are summed over chunks of this many rows first. */
enum { BIAS_CHUNK = 256 };

/* Whether products in type can run: natively, or widened (*widen). */
static bool choose(CpuDevice *cpu, Dtype type, bool *widen) {
  bool native = type == DTYPE_F32 || (type == DTYPE_BF16 && cpu->has_bf16);
  *widen = !native;
  if (!native && !cpu->emulate)
    cpu_fail(cpu, "this CPU has no fast %s products; run.emulate = true allows slow ones",
             dtype_name(type));
  return !cpu->failed;
}

/* An fp32 copy of a 16-bit operand in wide buffer i; NULL when there is no memory. */
static const float *widened(CpuDevice *cpu, int i, const void *src, Dtype type, size_t count) {
  float *out = cpu_grow(cpu, &cpu->wide[i], count * sizeof *out);
  size_t pieces = (count + 4095) / 4096;
  if (!out) return NULL;
#pragma omp parallel for num_threads(cpu->threads)
  for (size_t i_piece = 0; i_piece < pieces; i_piece++) {
    size_t first = i_piece * 4096, left = count - first;
    row_widen(out + first, src, type, first, left < 4096 ? left : 4096);
  }
  return out;
}

/* product_run, through fp32 copies when widen is set. */
static void multiply(CpuDevice *cpu, const ProductShape *shape, bool widen, void *c, const void *a,
                     const void *b, const float *bias) {
  if (!widen) {
    product_run(cpu, shape, c, a, b, bias);
    return;
  }
  ProductShape wide = *shape;
  wide.type = wide.c_type = DTYPE_F32;
  const float *a32 = widened(cpu, 0, a, shape->type, shape->m * shape->k);
  const float *b32 = widened(cpu, 1, b, shape->type, shape->k * shape->n);
  float *c32 = c;
  if (shape->c_type != DTYPE_F32)
    c32 = cpu_grow(cpu, &cpu->wide[2], shape->m * shape->n * sizeof(float));
  if (cpu->failed) return;
  product_run(cpu, &wide, c32, a32, b32, bias);
  if (shape->c_type != DTYPE_F32)
    cpu_convert(&cpu->base, c, shape->c_type, c32, shape->m * shape->n);
}

/* Nothing to choose: a product is cut by its shape. */
void cpu_linear_prepare(Device *device, Dtype y_type, Dtype type, size_t rows, int in, int out,
                        bool trains) {
  (void)device, (void)y_type, (void)type, (void)rows, (void)in, (void)out, (void)trains;
}

static bool no_choice(char *message, size_t size) {
  snprintf(message, size, "a CPU has one algorithm for matrix products, and no table of them");
  return false;
}

bool cpu_products_read(Device *device, const char *name, const char *text, size_t text_size,
                       char *message, size_t size) {
  (void)device, (void)name, (void)text, (void)text_size;
  return no_choice(message, size);
}

bool cpu_products_time(Device *device, char *message, size_t size) {
  (void)device;
  return no_choice(message, size);
}

void cpu_products_write(Device *device, FILE *out) {
  (void)device, (void)out;
}

void cpu_linear_forward(Device *device, void *y, Dtype y_type, const void *x, const void *w,
                        const void *bias, Dtype type, size_t rows, int in, int out) {
  CpuDevice *cpu = cpu_device(device);
  bool widen;
  if (cpu->failed || !rows || !choose(cpu, type, &widen)) return;
  ProductShape shape = {.m = rows,
                        .n = (size_t)out,
                        .k = (size_t)in,
                        .type = type,
                        .c_type = y_type,
                        .b_transposed = true,
                        .has_bias = bias != NULL};
  const float *bias32 = bias;
  if (bias && y_type != DTYPE_F32) bias32 = widened(cpu, 3, bias, y_type, (size_t)out);
  if (!cpu->failed) multiply(cpu, &shape, widen, y, x, w, bias32);
}

void cpu_linear_backward_input(Device *device, void *d_x, const void *d_y, const void *w,
                               Dtype type, size_t rows, int in, int out) {
  CpuDevice *cpu = cpu_device(device);
  bool widen;
  if (cpu->failed || !rows || !choose(cpu, type, &widen)) return;
  ProductShape shape = {.m = rows, .n = (size_t)in, .k = (size_t)out, .type = type, .c_type = type};
  multiply(cpu, &shape, widen, d_x, d_y, w, NULL);
}

/* sum[width] (+)= column sums of src[rows, width]. */
static void column_sums(CpuDevice *cpu, float *sum, const void *src, Dtype type, size_t rows,
                        size_t width, bool accumulate) {
  size_t chunks = (rows + BIAS_CHUNK - 1) / BIAS_CHUNK;
  float *base = cpu_scratch(cpu, chunks * width, width);
  if (!base) return;
#pragma omp parallel num_threads(cpu->threads)
  {
    float *space = cpu_part(base, chunks * width, width, omp_get_thread_num());
#pragma omp for schedule(static)
    for (size_t chunk = 0; chunk < chunks; chunk++) {
      float *partial = base + chunk * width;
      size_t first = chunk * BIAS_CHUNK, last = first + BIAS_CHUNK;
      memset(partial, 0, width * sizeof *partial);
      for (size_t r = first; r < (last < rows ? last : rows); r++) {
        const float *row = row_read(src, type, r * width, width, space);
#pragma omp simd
        for (size_t i = 0; i < width; i++) partial[i] += row[i];
      }
    }
  }
  for (size_t chunk = 0; chunk < chunks; chunk++) {
    const float *partial = base + chunk * width;
    if (chunk == 0 && !accumulate) memset(sum, 0, width * sizeof *sum);
#pragma omp simd
    for (size_t i = 0; i < width; i++) sum[i] += partial[i];
  }
}

void cpu_linear_backward_weight(Device *device, float *d_w, float *d_bias, const void *d_y,
                                const void *x, Dtype type, size_t rows, int in, int out,
                                bool accumulate) {
  CpuDevice *cpu = cpu_device(device);
  bool widen;
  if (cpu->failed || !rows || !choose(cpu, type, &widen)) return;
  ProductShape shape = {.m = (size_t)out,
                        .n = (size_t)in,
                        .k = rows,
                        .type = type,
                        .c_type = DTYPE_F32,
                        .a_transposed = true,
                        .accumulate = accumulate};
  multiply(cpu, &shape, widen, d_w, d_y, x, NULL);
  if (d_bias) column_sums(cpu, d_bias, d_y, type, rows, (size_t)out, accumulate);
}
