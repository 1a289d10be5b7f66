/* Stands in for CUDA's half precision header; conversions round to nearest even as the device's:
 * the compiler's own, where it has the type in C++ (GCC since 12). */
#pragma once
#include "../simt.h"

#ifdef __FLT16_MANT_DIG__
struct alignas(2) __half {
  _Float16 value;
};
static inline __half __float2half_rn(float x) {
  return {(_Float16)x};
}
static inline float __half2float(__half x) {
  return (float)x.value;
}
#else
#include "kernels/half.h"
struct alignas(2) __half {
  uint16_t bits;
};
static inline __half __float2half_rn(float x) {
  return {f16_from_float(x)};
}
static inline float __half2float(__half x) {
  return f16_to_float(x.bits);
}
#endif
