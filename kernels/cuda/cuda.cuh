/* cuda.cuh - the CUDA backend's own state, and its operations: one function per slot of the table
 * in backend.h, named cuda_SLOT. Included by kernels/cuda/ only. */
#ifndef KERNELS_CUDA_CUDA_CUH
#define KERNELS_CUDA_CUDA_CUH

#include <cuda_runtime.h>

#include "kernels/backend.h"

typedef struct CudaLinear CudaLinear; /* cuBLASLt handle, workspace, pinned algorithms */

typedef struct CudaDevice {
  Device base;
  int ordinal;
  cudaStream_t stream;
  size_t shared_limit;    /* bytes of shared memory a block may have */
  void *scratch;          /* partial sums of reductions; SCRATCH_BYTES, allocated at opening */
  CudaLinear *linear;
  void *staging;          /* pinned host memory for uploads */
  size_t staged;          /* bytes of it in use by copies not yet known to be done */
  size_t allocated, peak; /* bytes handed out by alloc */
  char error[512];        /* the first failure; empty: none */
} CudaDevice;

enum { SCRATCH_BYTES = 32 << 20, STAGING_BYTES = 16 << 20 };

static inline CudaDevice *cuda_device(Device *device) {
  return reinterpret_cast<CudaDevice *>(device);
}
/* Keeps the first failure; true when result is success and nothing failed before. */
bool cuda_check(CudaDevice *, cudaError_t result, const char *what);
/* After a launch: keeps a refused launch as the failure. */
void cuda_launched(CudaDevice *, const char *what);

/* Runs `statement` with T standing for the element type. */
#define WITH_TYPE(type, T, ...)                                                                    \
  do {                                                                                             \
    if ((type) == DTYPE_F32) {                                                                     \
      typedef float T;                                                                             \
      __VA_ARGS__;                                                                                 \
    } else if ((type) == DTYPE_F16) {                                                              \
      typedef Half T;                                                                              \
      __VA_ARGS__;                                                                                 \
    } else {                                                                                       \
      typedef Bfloat16 T;                                                                          \
      __VA_ARGS__;                                                                                 \
    }                                                                                              \
  } while (0)

static inline unsigned blocks_for(size_t items, size_t per_block) {
  return (unsigned)((items + per_block - 1) / per_block);
}

extern "C" {
bool linear_open(CudaDevice *, char *message, size_t size);
void linear_close(CudaDevice *);
void linear_describe(const CudaDevice *, char *text, size_t size); /* algorithms chosen so far */

void cuda_convert(Device *, void *dst, Dtype type, const float *src, size_t count);
void cuda_linear_forward(Device *, void *y, Dtype y_type, const void *x, const void *w,
                         const float *bias, Dtype type, size_t rows, int in, int out);
void cuda_linear_backward_input(Device *, void *d_x, const void *d_y, const void *w, Dtype type,
                                size_t rows, int in, int out);
void cuda_linear_backward_weight(Device *, float *d_w, float *d_bias, const void *d_y,
                                 const void *x, Dtype type, size_t rows, int in, int out,
                                 bool accumulate);
void cuda_column_sums(CudaDevice *, float *sums, const void *x, Dtype type, size_t rows, int width,
                      bool accumulate);
void cuda_layernorm_forward(Device *, void *y, Dtype type, float *sum, float *mean, float *rstd,
                            const float *x, const void *branch, const float *weight,
                            const float *bias, size_t rows, int width);
void cuda_layernorm_backward(Device *, float *d_x, void *d_x16, Dtype type, float *d_weight,
                             float *d_bias, const float *d_residual, const void *d_y,
                             const float *x, const float *mean, const float *rstd,
                             const float *weight, size_t rows, int width, bool accumulate);
void cuda_layernorm_apply(Device *, void *y, Dtype type, const float *x, const float *mean,
                          const float *rstd, const float *weight, const float *bias, size_t rows,
                          int width);
void cuda_attention_forward(Device *, void *out, float *lse, const void *qkv, Dtype type, int batch,
                            int tokens, int heads, int head_size);
void cuda_attention_backward(Device *, void *d_qkv, const void *d_out, const void *qkv,
                             const void *out, const float *lse, Dtype type, int batch, int tokens,
                             int heads, int head_size);
void cuda_gelu_forward(Device *, void *y, const void *x, Dtype type, size_t count);
void cuda_gelu_backward(Device *, void *d_x, const void *d_y, const void *x, Dtype type,
                        size_t count);
void cuda_patch_gather(Device *, void *out, Dtype type, const uint8_t *images,
                       const int32_t *patch_ids, int chosen, const PatchGrid *);
void cuda_tokens_forward(Device *, float *out, const void *src, Dtype type,
                         const float *class_token, const float *mask_token, const float *positions,
                         const TokenMap *, int width);
void cuda_tokens_backward(Device *, void *d_src, Dtype type, float *d_class_token,
                          float *d_mask_token, float *d_positions, const float *d_out,
                          const TokenMap *, int width, bool accumulate);
void cuda_masked_loss(Device *, float *image_loss, void *d_pred, Dtype type, const float *pred,
                      int extra, const uint8_t *images, const uint8_t *counted, float factor,
                      const StepState *state, const PatchGrid *);
void cuda_reconstruct(Device *, float *full, float *composite, const float *pred, int extra,
                      const uint8_t *images, const uint8_t *masked, const PatchGrid *);
void cuda_image_scores(Device *, double *scores, const float *pictures, const uint8_t *images,
                       int batch, int image_size);
void cuda_crop_resize(Device *, uint8_t *out, const uint8_t *pool, const Crop *crops, int batch,
                      int size);
void cuda_gradient_norm(Device *, StepState *state, const float *grad_a, const float *grad_b,
                        size_t count);
void cuda_adamw(Device *, const AdamW *);
}

#endif
