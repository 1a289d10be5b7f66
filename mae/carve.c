#include "mae/carve.h"

void *carve_bytes(Carve *c, size_t bytes) {
  void *piece = c->base ? (char *)c->base + c->used : NULL;
  c->used += (bytes + 63) / 64 * 64;
  return piece;
}

void *carve_alloc(Device *device, size_t bytes, const char *what, Error *e) {
  void *memory = device->kernels->alloc(device, bytes);
  if (memory) return memory;
  char message[512];
  if (!device->kernels->synchronize(device, message, sizeof message)) {
    error_set(e, EXIT_DEVICE, "%s", message);
    return NULL;
  }
  DeviceInfo info = {.memory_free = 0};
  device->kernels->info(device, &info);
  error_set(e, EXIT_DEVICE, "out of memory on %s: %s need %.1f MiB, %.1f MiB of %.1f MiB are free",
            info.name, what, (double)bytes / 0x1p20, (double)info.memory_free / 0x1p20,
            (double)info.memory_total / 0x1p20);
  return NULL;
}
