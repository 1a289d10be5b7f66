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
                     const int32_t *patch_of, int rows, const uint8_t *images, float factor,
                     const StepState *state, const PatchGrid *grid) {
  CpuDevice *cpu = cpu_device(device);
  size_t length = 3 * (size_t)grid->patch_size * (size_t)grid->patch_size;
  size_t per_image = (size_t)rows, count = (size_t)grid->batch * per_image;
  size_t image_bytes = (size_t)grid->image_size * (size_t)grid->image_size * 3;
  float *row_loss = cpu->failed ? NULL : cpu_scratch(cpu, count, 2 * length);
  if (!row_loss) return;
  float slope = 2.0f / (float)length * factor * (state ? state->loss_scale : 1.0f);
#pragma omp parallel num_threads(cpu->threads)
  {
    float *error = cpu_part(row_loss, count, 2 * length, omp_get_thread_num());
    float *space = error + length;
#pragma omp for schedule(static)
    for (size_t r = 0; r < count; r++) {
      if (patch_of[r] < 0) {
        row_loss[r] = 0.0f;
        if (d_pred)
          memset((char *)d_pred + r * length * dtype_size(type), 0, length * dtype_size(type));
        continue;
      }
      patch_target(cpu, error, images + r / per_image * image_bytes, (size_t)patch_of[r], grid);
      const float *out = pred + r * length;
#pragma omp simd
      for (size_t i = 0; i < length; i++) error[i] = out[i] - error[i];
      row_loss[r] = vec_dot(error, error, length) / (float)length;
      if (!d_pred) continue;
      float *d = row_begin(d_pred, type, r * length, space);
#pragma omp simd
      for (size_t i = 0; i < length; i++) d[i] = slope * error[i];
      row_finish(d_pred, type, r * length, d, length);
    }
#pragma omp for schedule(static)
    for (size_t b = 0; b < (size_t)grid->batch; b++)
      image_loss[b] = vec_sum(row_loss + b * per_image, per_image);
  }
}
