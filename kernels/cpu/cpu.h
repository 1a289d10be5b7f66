/* cpu.h - the CPU backend's own state and its operations; included by kernels/cpu/ and backend.c
 * only. What each operation computes is written in kernels/backend.h.
 *
 * Work is shared among threads by OpenMP, in pieces whose bounds depend on sizes alone; sums over
 * rows go through fixed chunks of rows (CPU_CHUNK). Results are therefore the same for any number
 * of threads. */
#ifndef KERNELS_CPU_H
#define KERNELS_CPU_H

#include "kernels/backend.h"

enum { CPU_CHUNK = 64, CPU_LINE = 64, CPU_ERROR_MAX = 256 };

typedef struct CpuBuffer {
  void *data;
  size_t size;
} CpuBuffer;

typedef struct CpuDevice {
  Device base;
  int threads;
  bool emulate;  /* 16-bit types are allowed although slow */
  bool has_bf16; /* oneDNN multiplies bf16 with instructions made for it */
  bool failed;
  char error[CPU_ERROR_MAX];
  CpuBuffer scratch;         /* see cpu_scratch() */
  CpuBuffer wide[3];         /* fp32 copies of 16-bit operands when a product is emulated */
  struct Product *products;  /* product.c's list of ready primitives */
  struct ProductEngine *dnn; /* product.c's library handles */
  double stamps[DEVICE_STAMPS]; /* seconds of a clock */
  float pixel[3][256];       /* normalised value of each uint8 value, per channel */
} CpuDevice;

static inline CpuDevice *cpu_device(Device *device) {
  return (CpuDevice *)device;
}

Device *cpu_open(int threads, bool emulate, char *message, size_t size);
/* Keeps the first failure, for synchronize(). */
void cpu_fail(CpuDevice *, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* At least `bytes` of work space in buffer, kept for the next call and not cleared; NULL (and the
 * device has failed) when there is no memory. */
void *cpu_grow(CpuDevice *, CpuBuffer *buffer, size_t bytes);
/* `shared` floats, then a 64-byte aligned part of `each` floats per thread: the part of thread t
 * begins at cpu_part(base, shared, each, t). NULL when there is no memory. */
float *cpu_scratch(CpuDevice *, size_t shared, size_t each);
static inline size_t cpu_round_up(size_t n, size_t unit) {
  return (n + unit - 1) / unit * unit;
}
static inline float *cpu_part(float *base, size_t shared, size_t each, int thread) {
  return base + cpu_round_up(shared, 16) + (size_t)thread * cpu_round_up(each, 16);
}

void cpu_convert(Device *, void *, Dtype, const float *, size_t);
void cpu_linear_forward(Device *, void *, Dtype, const void *, const void *, const float *, Dtype,
                        size_t, int, int);
void cpu_linear_backward_input(Device *, void *, const void *, const void *, Dtype, size_t, int,
                               int);
void cpu_linear_backward_weight(Device *, float *, float *, const void *, const void *, Dtype,
                                size_t, int, int, bool);
void cpu_layernorm_forward(Device *, void *, Dtype, float *, float *, float *, const float *,
                           const void *, const float *, const float *, size_t, int);
void cpu_layernorm_backward(Device *, float *, void *, Dtype, float *, float *, const float *,
                            const void *, const float *, const float *, const float *,
                            const float *, size_t, int, bool);
void cpu_layernorm_apply(Device *, void *, Dtype, const float *, const float *, const float *,
                         const float *, const float *, size_t, int);
void cpu_attention_forward(Device *, void *, float *, const void *, Dtype, int, int, int, int);
void cpu_attention_backward(Device *, void *, const void *, const void *, const void *,
                            const float *, Dtype, int, int, int, int);
void cpu_gelu_forward(Device *, void *, const void *, Dtype, size_t);
void cpu_gelu_backward(Device *, void *, const void *, const void *, Dtype, size_t);
void cpu_patch_gather(Device *, void *, Dtype, const uint8_t *, const int32_t *, int,
                      const PatchGrid *);
void cpu_tokens_forward(Device *, float *, const void *, Dtype, const float *, const float *,
                        const float *, const TokenMap *, int);
void cpu_tokens_backward(Device *, void *, Dtype, float *, float *, float *, const float *,
                         const TokenMap *, int, bool);
void cpu_masked_loss(Device *, float *, void *, Dtype, const float *, int, const uint8_t *,
                     const uint8_t *, float, const StepState *, const PatchGrid *);
void cpu_reconstruct(Device *, float *, float *, const float *, int, const uint8_t *,
                     const uint8_t *, const PatchGrid *);
void cpu_image_scores(Device *, double *, const float *, const uint8_t *, int, int);
void cpu_crop_resize(Device *, uint8_t *, const uint8_t *, const Crop *, int, int);
void cpu_gradient_norm(Device *, StepState *, const float *, const float *, size_t);
void cpu_adamw(Device *, const AdamW *);

#endif
