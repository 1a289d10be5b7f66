/* scalar.h - per-element mathematics shared by every backend, compiled by C and CUDA alike, so that
 * the two cannot drift. Nothing here allocates, loops over data or keeps state. */
#ifndef KERNELS_SCALAR_H
#define KERNELS_SCALAR_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "kernels/backend.h"

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

/* Pillow's arithmetic for colour jitter: the luma of its mode L, and the blend of ImageEnhance,
 * degenerate + factor (value - degenerate), cut off to 0..255 and truncated. Pillow blends in fp32.
 * With a factor in units of 1/JITTER_ONE all of that fits in fp32's 24 bits, so that integers give
 * the same byte, and on every device. */
SCALAR int pixel_luma(int r, int g, int b) {
  return (r * 19595 + g * 38470 + b * 7471 + 0x8000) >> 16;
}
SCALAR int jitter_blend(int degenerate, int value, int factor) {
  int blended = (degenerate * JITTER_ONE + factor * (value - degenerate)) / JITTER_ONE;
  return blended < 0 ? 0 : blended > 255 ? 255 : blended;
}
/* The contrast's degenerate image: the mean luma of `pixels` pixels, rounded. */
SCALAR int jitter_mean(uint64_t luma_sum, size_t pixels) {
  return (int)((2 * luma_sum + pixels) / (2 * pixels));
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
  STREAM_JITTER = 7,
  STREAM_PROBE = 8,
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

SCALAR uint32_t scalar_bits(float x) {
  uint32_t bits;
  memcpy(&bits, &x, sizeof bits);
  return bits;
}
SCALAR float scalar_from_bits(uint32_t bits) {
  float x;
  memcpy(&x, &bits, sizeof x);
  return x;
}

/* A number whose order as an integer is that of the floats, and back; not for NaN. */
SCALAR uint32_t scalar_order(float x) {
  uint32_t bits = scalar_bits(x);
  return bits & 0x80000000u ? ~bits : bits | 0x80000000u;
}
SCALAR float scalar_from_order(uint32_t order) {
  return scalar_from_bits(order & 0x80000000u ? order & 0x7fffffffu : ~order);
}

/* e^x for x <= 0 to 2 units in the last place, without a branch or a call, so that a loop over it
 * vectorises. Below -87 the result stays at e^-87 (1.6e-38), the smallest that is not denormal.
 * NaN gives NaN. */
SCALAR float scalar_exp(float x) {
  x = x < -87.0f ? -87.0f : x;
  float shifted = x * 1.44269504f + 0x1.8p23f; /* the low bits hold n = round(x / ln 2) */
  float n = shifted - 0x1.8p23f;
  float r = x - n * 0x1.62e4p-1f; /* ln 2 in two parts: the first has 15 bits, so n times it... */
  r = r - n * 0x1.7f7d1cp-20f;    /* ...is exact */
  /* Minimax for e^r on [-ln2/2, ln2/2], relative error 4e-9 before rounding. */
  float p = 1.38636717e-3f;
  p = p * r + 8.36760983e-3f;
  p = p * r + 4.16672423e-2f;
  p = p * r + 1.6666533e-1f;
  p = p * r + 0.5f;
  p = p * r + 1.0f;
  p = p * r + 1.0f;
  return p * scalar_from_bits((scalar_bits(shifted) << 23) + 0x3f800000u);
}

/* Phi(-a) / e^(-a^2/2) for a in [0, 14], Phi the standard normal distribution, from
 * t = 1/(1 + 0.265 a): t P(t), relative error 1.2e-8 before rounding (weighted minimax fit to
 * erfcx(a/sqrt 2)/2). The tail keeps its relative precision, which 1 + erf would lose. */
SCALAR float scalar_normal_tail_at(float t) {
  float p = 0.03082133945f;
  p = p * t - 0.1442307731f;
  p = p * t + 0.2178190048f;
  p = p * t - 0.1163668161f;
  p = p * t + 0.1379557387f;
  p = p * t + 0.06031209066f;
  p = p * t + 0.1027012182f;
  p = p * t + 0.1052466342f;
  p = p * t + 0.1057415654f;
  return p * t;
}
SCALAR float scalar_normal_tail(float a) {
  return scalar_normal_tail_at(1.0f / (1.0f + 0.265f * a));
}

/* Exact GELU x Phi(x), and its derivative Phi(x) + x phi(x). */
SCALAR float gelu_value(float x) {
  float a = fabsf(x) < 13.0f ? fabsf(x) : 13.0f;
  float q = scalar_exp(-0.5f * a * a) * scalar_normal_tail(a);
  return x * (x > 0.0f ? 1.0f - q : q);
}
SCALAR float gelu_slope(float x) {
  float a = fabsf(x) < 13.0f ? fabsf(x) : 13.0f;
  float e = scalar_exp(-0.5f * a * a);
  float q = e * scalar_normal_tail(a);
  return (x > 0.0f ? 1.0f - q : q) + x * (0.39894228f * e);
}

/* What one AdamW step has in common for all elements. */
typedef struct AdamwStep {
  float grad_scale; /* undoes the loss scale and clips */
  float beta1, beta2, epsilon;
  float step_size;     /* lr / (1 - beta1^t) */
  float inverse_root2; /* 1 / sqrt(1 - beta2^t) */
  float decay;         /* lr * weight_decay */
} AdamwStep;

/* The step about to be made from `state`, whose gradient is finite. */
SCALAR AdamwStep adamw_step(const AdamW *a, const StepState *state) {
  double t = (double)(state->updates + 1), rate = a->rate_table[state->step];
  float clip = a->clip > 0 && state->grad_norm > a->clip ? a->clip / state->grad_norm : 1.0f;
  AdamwStep s;
  s.grad_scale = clip / state->loss_scale;
  s.beta1 = a->beta1;
  s.beta2 = a->beta2;
  s.epsilon = a->epsilon;
  s.step_size = (float)(rate / (1.0 - pow(a->beta1, t)));
  s.inverse_root2 = (float)(1.0 / sqrt(1.0 - pow(a->beta2, t)));
  s.decay = (float)(rate * a->weight_decay);
  return s;
}

/* Updates one element; decay is s->decay, or 0 for elements without weight decay. */
SCALAR void adamw_element(float *param, float *m, float *v, float grad, float decay,
                          const AdamwStep *s) {
  float g = grad * s->grad_scale;
  float m1 = *m + (1.0f - s->beta1) * (g - *m);
  float v1 = s->beta2 * *v + (1.0f - s->beta2) * (g * g);
  float p = *param - decay * *param;
  *m = m1;
  *v = v1;
  *param = p - s->step_size * m1 / (sqrtf(v1) * s->inverse_root2 + s->epsilon);
}

/* After an update, or a skipped one: counters and, when dynamic, the loss scale (doubled after 2000
 * clean steps, halved on overflow, never below 1). `overflow` keeps what it was, so that a caller
 * can tell an overflow at scale 1, which nothing repairs. */
SCALAR void step_state_advance(StepState *state, const float *rate_table, bool dynamic_scale) {
  state->learning_rate = rate_table[state->step];
  state->step++;
  if (state->overflow) {
    state->skipped++;
    state->clean_steps = 0;
    if (dynamic_scale && state->loss_scale > 1.0f) state->loss_scale *= 0.5f;
    return;
  }
  state->updates++;
  state->clean_steps++;
  if (dynamic_scale && state->clean_steps == 2000) {
    state->loss_scale *= 2.0f;
    state->clean_steps = 0;
  }
}

#endif
