/* reduce.cuh - column sums over many rows, in two steps: blocks add up fixed chunks of rows into
 * the device's scratch memory, then reduce_chunks adds the chunks. How many chunks there are
 * depends on sizes alone, so the order of every sum is the same on every device. */
#ifndef KERNELS_CUDA_REDUCE_CUH
#define KERNELS_CUDA_REDUCE_CUH

#include "kernels/cuda/cuda.cuh"

/* How many chunks to make of `rows` rows when a chunk's sums are `values` floats: enough to fill
 * any device, few enough for the scratch memory. 0 for no rows. */
int reduce_chunk_count(size_t rows, size_t values);

/* Where the sums of each plane go, [width]; NULL: not wanted. */
struct ReducedPlanes {
  float *plane[3];
};

/* The sums of the chunks in d->scratch, fp32 [chunks, planes, width], of up to three planes. Added
 * to what is there when accumulate is set. */
void reduce_chunks(CudaDevice *d, ReducedPlanes to, int chunks, int planes, int width,
                   bool accumulate);

#endif
