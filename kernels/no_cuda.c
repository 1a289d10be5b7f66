/* no_cuda.c - what takes the place of kernels/cuda/ in a build without CUDA: no device, and a
 * message that says how to get one. */
#include <stdio.h>

#include "kernels/cuda/open.h"

Device *cuda_open(int ordinal, char *message, size_t size) {
  snprintf(message, size,
           "this build has no CUDA (configure with -DMAEBENCH_CUDA=ON), so no cuda:%d", ordinal);
  return NULL;
}

void cuda_libraries(char *text, size_t size) {
  if (size) *text = 0;
}

int cuda_count(void) {
  return 0;
}
