/* errors.cu - the first failure, which is kept in the device and reported by synchronize(). The
 * lowest file of kernels/cuda/: every other one calls it, it calls none. */
#include <stdarg.h>
#include <stdio.h>

#include "kernels/cuda/cuda.cuh"

void cuda_fail(CudaDevice *d, const char *format, ...) {
  if (d->error[0]) return;
  va_list args;
  va_start(args, format);
  vsnprintf(d->error, sizeof d->error, format, args);
  va_end(args);
}

bool cuda_check(CudaDevice *d, cudaError_t result, const char *what) {
  if (result != cudaSuccess)
    cuda_fail(d, "cuda:%d: %s: %s (%s)", d->ordinal, what, cudaGetErrorString(result),
              cudaGetErrorName(result));
  return !d->error[0];
}

void cuda_launched(CudaDevice *d, const char *what) {
  cuda_check(d, cudaGetLastError(), what);
}
