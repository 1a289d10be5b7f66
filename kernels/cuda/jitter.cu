/* jitter.cu - changes of colour, the bytes of kernels/cpu/jitter.c.
 *
 * A block changes one image, reading it twice: first for the mean luma that the contrast step
 * needs, of pixels as the steps before it leave them; then to take every pixel through all steps.
 * Nothing between the steps is stored. */
#include "kernels/cuda/cuda.cuh"
#include "kernels/cuda/launch.cuh"
#include "kernels/cuda/numeric.cuh"
#include "kernels/scalar.h"

enum { THREADS = 512, WARPS = THREADS / WARP_SIZE };

/* Takes a pixel through the first `steps` steps. */
__device__ static inline void jitter_pixel(int rgb[3], const Jitter &jitter, int steps, int mean) {
  for (int i = 0; i < steps; i++) {
    int step = jitter.order[i], factor = jitter.factor[step];
    int degenerate = step == JITTER_BRIGHTNESS ? 0
                     : step == JITTER_CONTRAST ? mean
                                               : pixel_luma(rgb[0], rgb[1], rgb[2]);
#pragma unroll
    for (int c = 0; c < 3; c++) rgb[c] = jitter_blend(degenerate, rgb[c], factor);
  }
}

__global__ void __launch_bounds__(THREADS)
    jitter_images(uint8_t *images, const Jitter *jitters, size_t pixels) {
  __shared__ Jitter jitter;
  __shared__ unsigned long long sums[WARPS];
  uint8_t *image = images + 3 * pixels * blockIdx.x;
  if (threadIdx.x == 0) jitter = jitters[blockIdx.x];
  __syncthreads();

  int before = 0; /* the contrast step */
  while (jitter.order[before] != JITTER_CONTRAST) before++;
  unsigned long long sum = 0;
  for (size_t i = threadIdx.x; i < pixels; i += THREADS) {
    int rgb[3] = {image[3 * i], image[3 * i + 1], image[3 * i + 2]};
    jitter_pixel(rgb, jitter, before, 0);
    sum += (unsigned)pixel_luma(rgb[0], rgb[1], rgb[2]);
  }
  int mean = jitter_mean(block_sum(sum, sums, WARPS), pixels);

  for (size_t i = threadIdx.x; i < pixels; i += THREADS) {
    int rgb[3] = {image[3 * i], image[3 * i + 1], image[3 * i + 2]};
    jitter_pixel(rgb, jitter, JITTER_STEPS, mean);
#pragma unroll
    for (int c = 0; c < 3; c++) image[3 * i + c] = (uint8_t)rgb[c];
  }
}

void cuda_color_jitter(Device *device, uint8_t *images, const Jitter *jitters, int batch,
                       int size) {
  CudaDevice *d = cuda_device(device);
  LAUNCH(jitter_images, dim3((unsigned)batch), dim3(THREADS), 0, d->stream, images, jitters,
         (size_t)size * (size_t)size);
  cuda_launched(d, "color jitter");
}
