/* sizes.h - what an open GPU holds for its own work; a build without CUDA plans with it, too. */
#ifndef KERNELS_CUDA_SIZES_H
#define KERNELS_CUDA_SIZES_H

enum {
  CUDA_SCRATCH_BYTES = 32 << 20,  /* partial sums of reductions */
  CUDA_WORKSPACE_BYTES = 32 << 20 /* cuBLASLt's: what NVIDIA advises for compute capability 9.0 */
};

#endif
