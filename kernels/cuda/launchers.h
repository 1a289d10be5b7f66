/* launchers.h - the CUDA backend's operations as C sees them: one function per slot of the table in
 * backend.h, named cuda_SLOT. table.c fills the table with them. */
#ifndef KERNELS_CUDA_LAUNCHERS_H
#define KERNELS_CUDA_LAUNCHERS_H

#include "kernels/backend.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Opening the ordinal-th GPU; NULL and a message when that cannot be. */
Device *cuda_open(int ordinal, char *message, size_t size);
/* GPUs that the driver offers; 0 without one, or without a driver. */
int cuda_count(void);
/* What an open device holds for its own work: partial sums of reductions, and cuBLASLt's work space
 * (the size NVIDIA advises for compute capability 9.0). */
enum { CUDA_SCRATCH_BYTES = 32 << 20, CUDA_WORKSPACE_BYTES = 32 << 20 };

extern const Kernels cuda_kernels; /* table.c */

void cuda_close(Device *);
void cuda_info(Device *, DeviceInfo *);
void *cuda_alloc(Device *, size_t bytes);
void cuda_free(Device *, void *);
void *cuda_host_alloc(Device *, size_t bytes);
void cuda_host_free(Device *, void *);
void cuda_upload(Device *, void *dst, const void *host_src, size_t bytes);
void cuda_download(Device *, void *host_dst, const void *src, size_t bytes);
void cuda_download_later(Device *, void *host_dst, const void *src, size_t bytes);
void cuda_zero(Device *, void *dst, size_t bytes);
bool cuda_synchronize(Device *, char *message, size_t size);
void cuda_use_queue(Device *, Queue);
void *cuda_stream(Device *);
void cuda_mark(Device *, int mark);
void cuda_wait_mark(Device *, int mark);
bool cuda_reach_mark(Device *, int mark, char *message, size_t size);
void cuda_stamp(Device *, int stamp);
double cuda_stamp_seconds(Device *, int from, int to);
void cuda_repeat(Device *, Recording **, void (*work)(void *user), void *user);
void cuda_forget(Device *, Recording **);
void cuda_linear_prepare(Device *, Dtype y_type, Dtype type, size_t rows, int in, int out,
                         bool trains);
void cuda_convert(Device *, void *dst, Dtype type, const float *src, size_t count);
void cuda_linear_forward(Device *, void *y, Dtype y_type, const void *x, const void *w,
                         const float *bias, Dtype type, size_t rows, int in, int out);
void cuda_linear_backward_input(Device *, void *d_x, const void *d_y, const void *w, Dtype type,
                                size_t rows, int in, int out);
void cuda_linear_backward_weight(Device *, float *d_w, float *d_bias, const void *d_y,
                                 const void *x, Dtype type, size_t rows, int in, int out,
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

#ifdef __cplusplus
}
#endif

#endif
