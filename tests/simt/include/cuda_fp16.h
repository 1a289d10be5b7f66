/* Stands in for CUDA's half precision header; conversions round to nearest even as the device's. */
#pragma once
#include "../simt.h"

struct alignas(2) __half {
  _Float16 value;
};
static inline __half __float2half_rn(float x) {
  return {(_Float16)x};
}
static inline float __half2float(__half x) {
  return (float)x.value;
}
