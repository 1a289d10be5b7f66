/* device.c - from run.device to an open device, and errors for what a device refuses. */
#include "mae/model/device.h"

#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "mae/model/products.h"

/* Where OMP_PROC_BIND, OMP_PLACES or GOMP_CPU_AFFINITY bind threads to CPUs, OpenMP binds the main
 * thread before main() runs: sched_getaffinity then tells of that one CPU. OpenMP has counted the
 * process's CPUs before. */
int device_threads(const Config *config, int sharers) {
  int threads = config->run.threads, limit = omp_get_thread_limit();
  if (threads == 0)
    threads = getenv("OMP_NUM_THREADS") ? omp_get_max_threads() : omp_get_num_procs();
  if (threads > limit) threads = limit; /* OMP_THREAD_LIMIT: OpenMP starts no more */
  return threads / sharers > 0 ? threads / sharers : 1;
}

/* The name backend_open understands: "cpu" or "cuda:N". */
static void choose_device(char *name, size_t size, const Config *config, int gpu) {
  const char *wanted = config->run.device;
  int first = 0;
  if (!strcmp(wanted, "auto") && backend_cuda_count() == 0) wanted = "cpu";
  if (sscanf(wanted, "cuda:%d", &first) != 1) first = 0;
  if (!strcmp(wanted, "cpu"))
    snprintf(name, size, "cpu");
  else
    snprintf(name, size, "cuda:%d", first + gpu);
}

bool device_is_gpu(const Config *config) {
  if (!strcmp(config->run.device, "auto")) return backend_cuda_count() > 0;
  return strcmp(config->run.device, "cpu") != 0;
}

bool device_accepts(const Config *config, const char *name, const DeviceInfo *info, Error *e) {
  Dtype type = config_dtype(config);
  bool cpu = !strcmp(name, "cpu");
  if ((type != DTYPE_BF16 || info->has_bf16) && (type != DTYPE_F16 || info->has_f16)) return true;
  if (cpu && config->run.emulate) return true;
  if (!cpu)
    return error_set(e, EXIT_CONFIG,
                     "train.precision = %s: %s (%s) has no %s: that takes compute capability 8.0; "
                     "use train.precision = fp16",
                     dtype_name(type), name, info->name, dtype_name(type));
  return error_set(e, EXIT_CONFIG,
                   "train.precision = %s: %s (%s) has no fast %s; use train.precision = fp32, or "
                   "run.emulate = true to compute the same numbers slowly",
                   dtype_name(type), name, info->name, dtype_name(type));
}

Device *device_open(const Config *config, int gpu, int sharers, Error *e) {
  char name[32], message[512];
  choose_device(name, sizeof name, config, gpu);
  Device *device = backend_open(name, device_threads(config, sharers), config->run.emulate, message,
                                sizeof message);
  if (!device) {
    error_set(e, EXIT_DEVICE, "run.device = %s: %s", config->run.device, message);
    return NULL;
  }
  DeviceInfo info;
  device->kernels->info(device, &info);
  bool follows = *config->run.products && !device->kernels->host_memory;
  if (device_accepts(config, name, &info, e) &&
      (!follows || products_follow(device, config->run.products, config->run.products, NULL, e)))
    return device;
  device->kernels->close(device);
  return NULL;
}

bool device_synchronize(Device *device, Error *e) {
  char message[512];
  return device->kernels->synchronize(device, message, sizeof message) ||
         error_set(e, EXIT_DEVICE, "%s", message);
}

void *device_alloc(Device *device, size_t bytes, const char *what, Error *e) {
  void *memory = device->kernels->alloc(device, bytes);
  if (memory) return memory;
  if (!device_synchronize(device, e)) return NULL;
  DeviceInfo info = {.memory_free = 0};
  device->kernels->info(device, &info);
  error_set(e, EXIT_DEVICE, "out of memory on %s: %s need %.1f MiB, %.1f MiB of %.1f MiB are free",
            info.name, what, (double)bytes / 0x1p20, (double)info.memory_free / 0x1p20,
            (double)info.memory_total / 0x1p20);
  return NULL;
}
