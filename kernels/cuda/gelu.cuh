/* gelu.cuh - GELU and its slope for the elementwise kernels. fp32 takes scalar.h's functions as
 * they are. 16-bit types have the same formulas with the device's own power of two and reciprocal,
 * five instructions where scalar_exp and a division have twenty-one. The largest errors over all
 * 16-bit x from -13 to 13, in units in the last place, of which rounding alone makes 0.5: 0.500
 * in bf16 and 0.501 in fp16 for both, as by scalar.h's (0.500 and 0.506). */
#ifndef KERNELS_CUDA_GELU_CUH
#define KERNELS_CUDA_GELU_CUH

#include "kernels/cuda/numeric.cuh"
#include "kernels/scalar.h"

/* a = |x|, 13 at most, where Phi(-a) is less than a 16-bit type holds; NaN stays. density:
 * e^(-a^2/2). tail: Phi(-a) / density. */
struct GeluParts {
  float a, density, tail;
};

__device__ static inline GeluParts gelu_parts(float x) {
  GeluParts p;
  p.a = minimum_or_nan(fabsf(x), 13.0f);
  p.density = exp2_approximate(p.a * p.a * -0.72134752f); /* log2(e)/2; a * a is exact */
  float below = 1.0f + 0.265f * p.a, t = reciprocal_approximate(below);
  t += t * (1.0f - below * t); /* the last bit counts where the slope's two terms cancel */
  p.tail = scalar_normal_tail_at(t);
  return p;
}

/* x Phi(x) = max(x, 0) - |x| Phi(-|x|). */
template <class T> __device__ inline float gelu(float x) {
  GeluParts p = gelu_parts(x);
  return fmaxf(x, 0.0f) - p.a * (p.density * p.tail);
}
template <> __device__ inline float gelu<float>(float x) {
  return gelu_value(x);
}

/* Phi(x) + x phi(x): with w = |x| phi(x) - Phi(-|x|) that is 1 + w above 0 and -w below. */
template <class T> __device__ inline float gelu_derivative(float x) {
  GeluParts p = gelu_parts(x);
  float w = p.density * (0.39894228f * p.a - p.tail);
  return x > 0.0f ? 1.0f + w : -w;
}
template <> __device__ inline float gelu_derivative<float>(float x) {
  return gelu_slope(x);
}

#endif
