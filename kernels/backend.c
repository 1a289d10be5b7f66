#include "kernels/backend.h"

#include <stdio.h>
#include <string.h>

#include "kernels/cpu/cpu.h"

Device *backend_open(const char *device, int threads, bool emulate, char *message, size_t size) {
  if (!strcmp(device, "cpu")) return cpu_open(threads, emulate, message, size);
  snprintf(message, size, "device %s: this build has no CUDA", device);
  return NULL;
}

int backend_cuda_count(void) {
  return 0;
}
