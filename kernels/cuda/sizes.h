/* sizes.h - what a GPU holds for its own work; a build without CUDA plans with it, too. */
#ifndef KERNELS_CUDA_SIZES_H
#define KERNELS_CUDA_SIZES_H

enum {
  CUDA_SCRATCH_BYTES = 32 << 20,   /* partial sums of reductions */
  CUDA_WORKSPACE_BYTES = 32 << 20, /* cuBLASLt's: what NVIDIA advises for compute capability 9.0 */
  /* What the driver takes while the first steps run: the code of each kernel, of this program and
   * of cuBLASLt, when it is first launched, and two recorded steps. Not measured: tens of MiB are
   * what to expect of kernels that are loaded one by one, as CUDA does by itself from 12.2 on. */
  CUDA_LATER_BYTES = 128 << 20
};

#endif
