/* attention.cuh - the two ways to compute attention; attention_general.cu chooses. */
#ifndef KERNELS_CUDA_ATTENTION_CUH
#define KERNELS_CUDA_ATTENTION_CUH

#include "kernels/cuda/cuda.cuh"

/* Tensor cores, whole heads in shared memory: 16-bit types, heads of 32 or 64, tokens as shared
 * memory allows (208 in the 64 KiB of compute capability 7.5 at a head size of 64). */
bool attention_tiles_fit(Dtype type, int tokens, int head_size, size_t shared_limit);
size_t attention_shared_bytes(int tokens, int head_size);
bool attention_tiles_open(CudaDevice *); /* part of attention_open */
void attention_tiles_forward(cudaStream_t, void *out, float *lse, const void *qkv, Dtype type,
                             int batch, int tokens, int heads, int head_size);
void attention_tiles_backward(cudaStream_t, void *d_qkv, const void *d_out, const void *qkv,
                              const void *out, const float *lse, Dtype type, int batch, int tokens,
                              int heads, int head_size);

#endif
