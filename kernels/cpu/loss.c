/* loss.c - the masked loss and its gradient, a patch at a time: the target is made from the image's
 * bytes where it is needed and never stored. */
#include <math.h>
#include <omp.h>

#include "kernels/cpu/cpu.h"
#include "kernels/cpu/rows.h"
#include "kernels/cpu/vec.h"

/* The normalised pixels of patch id in the order of a prediction (row, column, channel). */
static void patch_target(const CpuDevice *cpu, float *target, const uint8_t *image, size_t id,
                         const PatchGrid *grid) {
  size_t p = (size_t)grid->patch_size, side = (size_t)grid->image_size / p;
  size_t line = (size_t)grid->image_size * 3, length = 3 * p * p;
  const uint8_t *corner = image + id / side * p * line + id % side * p * 3;
  for (size_t y = 0; y < p; y++)
    for (size_t x = 0; x < p; x++)
      for (size_t c = 0; c < 3; c++)
        target[(y * p + x) * 3 + c] = cpu->pixel[c][corner[y * line + x * 3 + c]];
  if (!grid->norm_pix) return;
  float mean = vec_sum(target, length) / (float)length;
  float variance = vec_square_deviation(target, mean, length) / (float)(length - 1);
  float scale = 1.0f / sqrtf(variance + NORM_PIX_EPS);
#pragma omp simd
  for (size_t i = 0; i < length; i++) target[i] = (target[i] - mean) * scale;
}

void cpu_masked_loss(Device *device, float *image_loss, void *d_pred, Dtype type, const float *pred,
                     int extra, const uint8_t *images, const uint8_t *counted, float factor,
                     const StepState *state, const PatchGrid *grid) {
  CpuDevice *cpu = cpu_device(device);
  size_t p = (size_t)grid->patch_size, side = (size_t)grid->image_size / p;
  size_t patches = side * side, length = 3 * p * p, batch = (size_t)grid->batch;
  size_t image_bytes = (size_t)grid->image_size * (size_t)grid->image_size * 3;
  size_t per_image = (size_t)extra + patches, shared = batch * patches;
  float *base = cpu->failed ? NULL : cpu_scratch(cpu, shared, 2 * length);
  if (!base) return;
  float slope = 2.0f / (float)length * factor * (state ? state->loss_scale : 1.0f);
#pragma omp parallel num_threads(cpu->threads)
  {
    float *error = cpu_part(base, shared, 2 * length, omp_get_thread_num());
    float *space = error + length;
#pragma omp for schedule(static)
    for (size_t r = 0; r < batch * per_image; r++) {
      size_t b = r / per_image, row = r % per_image;
      bool counts = row >= (size_t)extra && counted[b * patches + row - (size_t)extra];
      float *patch_loss = row >= (size_t)extra ? base + b * patches + row - (size_t)extra : NULL;
      if (!counts) {
        if (patch_loss) *patch_loss = 0.0f;
        if (d_pred)
          memset((char *)d_pred + r * length * dtype_size(type), 0, length * dtype_size(type));
        continue;
      }
      patch_target(cpu, error, images + b * image_bytes, row - (size_t)extra, grid);
      const float *out = pred + r * length;
#pragma omp simd
      for (size_t i = 0; i < length; i++) error[i] = out[i] - error[i];
      *patch_loss = vec_dot(error, error, length) / (float)length;
      if (!d_pred) continue;
      float *d = row_begin(d_pred, type, r * length, space);
#pragma omp simd
      for (size_t i = 0; i < length; i++) d[i] = slope * error[i];
      row_finish(d_pred, type, r * length, d, length);
    }
#pragma omp for schedule(static)
    for (size_t b = 0; b < batch; b++) image_loss[b] = vec_sum(base + b * patches, patches);
  }
}
