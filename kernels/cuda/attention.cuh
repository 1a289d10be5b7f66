/* attention.cuh - the ways to compute attention; attention_general.cu chooses. */
#ifndef KERNELS_CUDA_ATTENTION_CUH
#define KERNELS_CUDA_ATTENTION_CUH

#include "kernels/cuda/cuda.cuh"

/* Shared memory that each of `blocks` on a multiprocessor may have. A multiprocessor has the limit
 * of a block and, since compute capability 8.0, 1 KiB that each block costs besides. */
static inline size_t attention_shared_room(const CudaDevice *d, size_t blocks) {
  enum { BLOCK_COSTS = 1024 };
  return (d->shared_limit + BLOCK_COSTS) / blocks - BLOCK_COSTS;
}

/* Tensor cores: 16-bit types, heads of 32 or 64, and no more of tokens times heads than scratch
 * memory has room for (about 2 million). */
bool attention_tiles_fit(Dtype type, int tokens, int heads, int head_size);
bool attention_tiles_open(CudaDevice *); /* part of attention_open */
void attention_tiles_forward(CudaDevice *, void *out, float *lse, const void *qkv, Dtype type,
                             int batch, int tokens, int heads, int head_size);
void attention_tiles_backward(CudaDevice *, void *d_qkv, float *d_bias, const void *d_out,
                              const void *qkv, const void *out, const float *lse, Dtype type,
                              int batch, int tokens, int heads, int head_size, bool accumulate);

/* The backward pass in one go, attention_whole.cu, of what attention_tiles_fit allows. False, and
 * nothing is done, when this device's shared memory does not hold such a head. */
bool attention_whole_open(CudaDevice *);
bool attention_whole_backward(CudaDevice *, void *d_qkv, float *d_bias, const void *d_out,
                              const void *qkv, const void *out, const float *lse, Dtype type,
                              int batch, int tokens, int heads, int head_size, bool accumulate);

#endif
