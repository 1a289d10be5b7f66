/* jitter.c - changes of colour, one step after another over the whole image: threads take images.
 */
#include "kernels/cpu/cpu.h"
#include "kernels/scalar.h"

static int mean_luma(const uint8_t *image, size_t pixels) {
  uint64_t sum = 0;
  for (size_t i = 0; i < pixels; i++)
    sum += (uint64_t)pixel_luma(image[3 * i], image[3 * i + 1], image[3 * i + 2]);
  return jitter_mean(sum, pixels);
}

static void blend_with_grey(uint8_t *image, size_t pixels, int grey, int factor) {
  for (size_t i = 0; i < 3 * pixels; i++) image[i] = (uint8_t)jitter_blend(grey, image[i], factor);
}

static void blend_with_luma(uint8_t *image, size_t pixels, int factor) {
  for (size_t i = 0; i < pixels; i++) {
    uint8_t *rgb = image + 3 * i;
    int luma = pixel_luma(rgb[0], rgb[1], rgb[2]);
    for (int c = 0; c < 3; c++) rgb[c] = (uint8_t)jitter_blend(luma, rgb[c], factor);
  }
}

static void jitter_one(uint8_t *image, const Jitter *jitter, size_t pixels) {
  for (int i = 0; i < JITTER_STEPS; i++) {
    int step = jitter->order[i], factor = jitter->factor[step];
    if (step == JITTER_BRIGHTNESS)
      blend_with_grey(image, pixels, 0, factor);
    else if (step == JITTER_CONTRAST)
      blend_with_grey(image, pixels, mean_luma(image, pixels), factor);
    else
      blend_with_luma(image, pixels, factor);
  }
}

void cpu_color_jitter(Device *device, uint8_t *images, const Jitter *jitters, int batch, int size) {
  size_t pixels = (size_t)size * (size_t)size;
#pragma omp parallel for num_threads(cpu_device(device)->threads) schedule(static)
  for (int b = 0; b < batch; b++) jitter_one(images + 3 * pixels * (size_t)b, jitters + b, pixels);
}
