/* Stands in for the CUDA runtime's header when kernels are compiled for the CPU: the kernel
 * language comes from simt.h; of the host's interface, only what kernels/cuda/ uses. */
#pragma once
#include <stdlib.h>

#include "../simt.h"

typedef struct SimtStream *cudaStream_t;

typedef int cudaError_t;
enum { cudaSuccess = 0 };
enum { cudaFuncAttributeMaxDynamicSharedMemorySize = 8 };
template <class Kernel> cudaError_t cudaFuncSetAttribute(Kernel *, int, int) {
  return cudaSuccess;
}
