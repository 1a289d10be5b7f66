/* half.h - bf16 and fp16 as bit patterns, for code that runs on any CPU: conversion from fp32
 * rounds to nearest even, overflow gives infinity, NaN stays NaN. */
#ifndef KERNELS_HALF_H
#define KERNELS_HALF_H

#include "kernels/scalar.h"

SCALAR float bf16_to_float(uint16_t h) {
  return scalar_from_bits((uint32_t)h << 16);
}

SCALAR uint16_t bf16_from_float(float x) {
  uint32_t u = scalar_bits(x);
  uint32_t rounded = (u + 0x7fffu + (u >> 16 & 1u)) >> 16;
  return (uint16_t)((u & 0x7fffffffu) > 0x7f800000u ? u >> 16 | 0x40u : rounded);
}

SCALAR float f16_to_float(uint16_t h) {
  uint32_t sign = (uint32_t)(h & 0x8000u) << 16, magnitude = h & 0x7fffu;
  if (magnitude >= 0x7c00u) /* infinity and NaN */
    return scalar_from_bits(sign | 0x7f800000u | (magnitude & 0x3ffu) << 13);
  if (magnitude >= 0x400u) return scalar_from_bits(sign | (magnitude + 0x1c000u) << 13);
  return (sign ? -0x1p-24f : 0x1p-24f) * (float)magnitude; /* denormal in fp16, normal in fp32 */
}

SCALAR uint16_t f16_from_float(float x) {
  uint32_t u = scalar_bits(x), sign = u >> 16 & 0x8000u, magnitude = u & 0x7fffffffu;
  if (magnitude > 0x7f800000u) return (uint16_t)(sign | 0x7e00u);
  if (magnitude >= 0x477ff000u) return (uint16_t)(sign | 0x7c00u); /* from 65520 on: infinity */
  if (magnitude < 0x38800000u) /* below 2^-14: adding 2^-1 leaves the rounded fraction in place */
    return (uint16_t)(sign | (scalar_bits(scalar_from_bits(magnitude) + 0.5f) - 0x3f000000u));
  return (uint16_t)(sign | (magnitude + 0xc8000fffu + (magnitude >> 13 & 1u)) >> 13);
}

#endif
