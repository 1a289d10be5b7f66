/* vec.h - vectors as wide as the instruction set has them, and sums in an order that depends on
 * the length alone: lane i adds elements i, i + VEC_LANES, ...; the lanes are then added in pairs;
 * the elements of an incomplete last vector come last. */
#ifndef KERNELS_CPU_VEC_H
#define KERNELS_CPU_VEC_H

#include <stddef.h>
#include <string.h>

#if defined(__AVX512F__)
enum { VEC_LANES = 16 };
#elif defined(__AVX__)
enum { VEC_LANES = 8 };
#else
enum { VEC_LANES = 4 };
#endif

typedef float Vec __attribute__((vector_size(VEC_LANES * sizeof(float))));

static inline Vec vec_load(const float *p) {
  Vec v;
  memcpy(&v, p, sizeof v);
  return v;
}
static inline void vec_store(float *p, Vec v) {
  memcpy(p, &v, sizeof v);
}
static inline float vec_total(Vec v) {
  float lane[VEC_LANES];
  memcpy(lane, &v, sizeof lane);
  for (int width = VEC_LANES / 2; width; width /= 2)
    for (int i = 0; i < width; i++) lane[i] += lane[i + width];
  return lane[0];
}

/* sum of x[i] */
static inline float vec_sum(const float *x, size_t count) {
  Vec sum = {0};
  size_t i = 0;
  for (; i + VEC_LANES <= count; i += VEC_LANES) sum += vec_load(x + i);
  float total = vec_total(sum);
  for (; i < count; i++) total += x[i];
  return total;
}

/* sum of x[i] y[i] */
static inline float vec_dot(const float *x, const float *y, size_t count) {
  Vec sum = {0};
  size_t i = 0;
  for (; i + VEC_LANES <= count; i += VEC_LANES) sum += vec_load(x + i) * vec_load(y + i);
  float total = vec_total(sum);
  for (; i < count; i++) total += x[i] * y[i];
  return total;
}

/* sum of (x[i] - center)^2 */
static inline float vec_square_deviation(const float *x, float center, size_t count) {
  Vec sum = {0};
  size_t i = 0;
  for (; i + VEC_LANES <= count; i += VEC_LANES) {
    Vec d = vec_load(x + i) - center;
    sum += d * d;
  }
  float total = vec_total(sum);
  for (; i < count; i++) total += (x[i] - center) * (x[i] - center);
  return total;
}

#endif
