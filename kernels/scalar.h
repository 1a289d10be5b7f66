/* scalar.h - per-element mathematics shared by every backend, compiled by C and CUDA alike, so that
 * the two cannot drift. Nothing here allocates, loops over data or keeps state. */
#ifndef KERNELS_SCALAR_H
#define KERNELS_SCALAR_H

#include <math.h>
#include <stdint.h>

#ifdef __CUDACC__
#define SCALAR static inline __host__ __device__
#else
#define SCALAR static inline
#endif

/* ImageNet mean and standard deviation per channel, in [0,1]. */
#define IMAGENET_MEAN_R 0.485f
#define IMAGENET_MEAN_G 0.456f
#define IMAGENET_MEAN_B 0.406f
#define IMAGENET_STD_R 0.229f
#define IMAGENET_STD_G 0.224f
#define IMAGENET_STD_B 0.225f
#define LAYERNORM_EPS 1e-6f
#define NORM_PIX_EPS 1e-6f

/* A stored pixel in [0,1]. Everything that compares or pastes pixels uses this one expression, so
 * that pasted pixels are exactly equal. */
SCALAR float pixel_unit(uint8_t pixel) {
  return (float)pixel / 255.0f;
}

/* Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011). */
typedef struct Philox4 {
  uint32_t v[4];
} Philox4;

SCALAR Philox4 philox4x32(Philox4 counter, uint32_t key0, uint32_t key1) {
  for (int round = 0; round < 10; round++) {
    uint64_t p0 = (uint64_t)0xD2511F53u * counter.v[0];
    uint64_t p1 = (uint64_t)0xCD9E8D57u * counter.v[2];
    Philox4 next = {{(uint32_t)(p1 >> 32) ^ counter.v[1] ^ key0, (uint32_t)p1,
                     (uint32_t)(p0 >> 32) ^ counter.v[3] ^ key1, (uint32_t)p0}};
    counter = next;
    key0 += 0x9E3779B9u;
    key1 += 0xBB67AE85u;
  }
  return counter;
}

/* What a random number is for. The numbers are part of every recorded result: append only. */
enum RandomStream {
  STREAM_INIT = 1,
  STREAM_SHUFFLE = 2,
  STREAM_CROP = 3,
  STREAM_MASK = 4,
  STREAM_EVAL_MASK = 5,
  STREAM_SHAPES = 6,
};

/* The 32 random bits at (seed, stream, epoch, sample, element); sample below 2^56. */
SCALAR uint32_t random_bits(uint64_t seed, uint32_t stream, uint32_t epoch, uint64_t sample,
                            uint32_t element) {
  Philox4 counter = {
      {element >> 2, (uint32_t)sample, (uint32_t)(sample >> 32) | stream << 24, epoch}};
  Philox4 r = philox4x32(counter, (uint32_t)seed, (uint32_t)(seed >> 32));
  return r.v[element & 3];
}

/* Uniform in [0,1) with 24 bits, exact in fp32. */
SCALAR float random_uniform(uint64_t seed, uint32_t stream, uint32_t epoch, uint64_t sample,
                            uint32_t element) {
  return (float)(random_bits(seed, stream, epoch, sample, element) >> 8) * 0x1p-24f;
}

/* Standard normal by Box-Muller from elements 2e and 2e+1 of the stream. */
SCALAR double random_normal(uint64_t seed, uint32_t stream, uint32_t epoch, uint64_t sample,
                            uint32_t element) {
  double u = (random_bits(seed, stream, epoch, sample, 2 * element) + 1.0) * 0x1p-32; /* (0,1] */
  double v = random_bits(seed, stream, epoch, sample, 2 * element + 1) * 0x1p-32;
  return sqrt(-2.0 * log(u)) * cos(6.283185307179586476925286766559 * v);
}

#endif
