/* attention.cuh - the two ways to compute attention; attention_general.cu chooses. */
#ifndef KERNELS_CUDA_ATTENTION_CUH
#define KERNELS_CUDA_ATTENTION_CUH

#include "kernels/cuda/cuda.cuh"

/* Tensor cores: 16-bit types, heads of 32 or 64, and no more of tokens times heads than scratch
 * memory has room for (4,194,304). */
bool attention_tiles_fit(Dtype type, int tokens, int heads, int head_size);
bool attention_tiles_open(CudaDevice *); /* part of attention_open */
void attention_tiles_forward(CudaDevice *, void *out, float *lse, const void *qkv, Dtype type,
                             int batch, int tokens, int heads, int head_size);
void attention_tiles_backward(CudaDevice *, void *d_qkv, const void *d_out, const void *qkv,
                              const void *out, const float *lse, Dtype type, int batch, int tokens,
                              int heads, int head_size);

#endif
