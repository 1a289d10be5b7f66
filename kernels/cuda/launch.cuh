/* launch.cuh - how a kernel is started and how it names its dynamic shared memory: the two places
 * where CUDA's syntax is not C++'s, so that every .cu file also compiles for the CPU (tests/simt).
 */
#ifndef KERNELS_CUDA_LAUNCH_CUH
#define KERNELS_CUDA_LAUNCH_CUH

#include <cuda_runtime.h>

#ifdef __CUDACC__
#define DYNAMIC_SHARED(type, name)                                                                 \
  extern __shared__ __align__(16) unsigned char name##_bytes[];                                    \
  type *name = reinterpret_cast<type *>(name##_bytes)
#define LAUNCH(kernel, grid, block, shared, stream, ...)                                           \
  kernel<<<(grid), (block), (shared), (stream)>>>(__VA_ARGS__)
#else
#define DYNAMIC_SHARED(type, name) type *name = static_cast<type *>(simt::dynamic_shared())
#define LAUNCH(kernel, grid, block, shared, stream, ...)                                           \
  simt::start(stream, grid, block, shared, kernel, __VA_ARGS__)
#endif

#endif
