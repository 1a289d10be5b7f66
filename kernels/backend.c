/* backend.c - opens the backend that a device's name asks for. The two backends know neither each
 * other nor this file. */
#include "kernels/backend.h"

#include <stdio.h>
#include <string.h>

#include "kernels/cpu/open.h"
#include "kernels/cuda/open.h"
#include "kernels/cuda/sizes.h"

Device *backend_open(const char *device, int threads, bool emulate, char *message, size_t size) {
  int ordinal = 0, end = 0;
  if (!strcmp(device, "cpu")) return cpu_open(threads, emulate, message, size);
  bool cuda = !strcmp(device, "cuda") ||
              (sscanf(device, "cuda:%d%n", &ordinal, &end) == 1 && !device[end] && ordinal >= 0);
  if (cuda) return cuda_open(ordinal, message, size);
  snprintf(message, size, "there is no device %s: cpu, cuda or cuda:N", device);
  return NULL;
}

void backend_cpu_products(char *text, size_t size) {
  cpu_products(text, size);
}

void backend_cuda_libraries(char *text, size_t size) {
  cuda_libraries(text, size);
}

int backend_cuda_count(void) {
  return cuda_count();
}

size_t backend_own_memory(const char *device) {
  return strncmp(device, "cuda", 4) ? 0 : CUDA_SCRATCH_BYTES + CUDA_WORKSPACE_BYTES;
}

size_t backend_later_memory(const char *device) {
  return strncmp(device, "cuda", 4) ? 0 : CUDA_LATER_BYTES;
}
