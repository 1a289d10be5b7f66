/* nvml.c - NVML's functions by name. Prototypes and numbers are those of NVIDIA's nvml.h, whose
 * binary interface is stable: what ends in _v2 or _v3 is another function than the one before. */
#include "mae/machine/nvml.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NVML_SUCCESS = 0, NVML_NOT_SUPPORTED = 3, NVML_INSUFFICIENT_SIZE = 7 };

typedef struct NvmlMemory {
  unsigned long long total, free, used;
} NvmlMemory;

struct Nvml {
  void *library;
  int (*init)(void);
  int (*shutdown)(void);
  const char *(*error_text)(int);
  int (*driver)(char *, unsigned);
  int (*count)(unsigned *);
  int (*by_index)(unsigned, NvmlGpu **);
  int (*by_bus)(const char *, NvmlGpu **);
  int (*name)(NvmlGpu *, char *, unsigned);
  int (*memory)(NvmlGpu *, NvmlMemory *);
  int (*energy)(NvmlGpu *, unsigned long long *); /* mJ; may be missing */
  int (*power)(NvmlGpu *, unsigned *);            /* mW */
  int (*processes)(NvmlGpu *, unsigned *, void *);
};

/* ISO C has no cast from an object's address to a function's. */
static bool find(Nvml *nvml, const char *name, void *function) {
  void *address = dlsym(nvml->library, name);
  memcpy(function, &address, sizeof address);
  return address != NULL;
}

static bool find_all(Nvml *n) {
  bool ok = find(n, "nvmlInit_v2", &n->init) && find(n, "nvmlShutdown", &n->shutdown) &&
            find(n, "nvmlErrorString", &n->error_text) &&
            find(n, "nvmlSystemGetDriverVersion", &n->driver) &&
            find(n, "nvmlDeviceGetCount_v2", &n->count) &&
            find(n, "nvmlDeviceGetHandleByIndex_v2", &n->by_index) &&
            find(n, "nvmlDeviceGetHandleByPciBusId_v2", &n->by_bus) &&
            find(n, "nvmlDeviceGetName", &n->name) &&
            find(n, "nvmlDeviceGetMemoryInfo", &n->memory) &&
            find(n, "nvmlDeviceGetPowerUsage", &n->power);
  if (!ok) return false;
  /* Newer than the rest. */
  find(n, "nvmlDeviceGetTotalEnergyConsumption", &n->energy);
  if (!find(n, "nvmlDeviceGetComputeRunningProcesses_v3", &n->processes))
    find(n, "nvmlDeviceGetComputeRunningProcesses", &n->processes);
  return true;
}

Nvml *nvml_open(const char *library, char *problem, size_t size) {
  Nvml *nvml = calloc(1, sizeof *nvml);
  if (!nvml) {
    snprintf(problem, size, "out of memory");
    return NULL;
  }
  nvml->library = dlopen(library, RTLD_NOW | RTLD_LOCAL);
  if (!nvml->library) {
    snprintf(problem, size, "%s", dlerror());
  } else if (!find_all(nvml)) {
    snprintf(problem, size, "%s: too old", library);
  } else {
    int result = nvml->init();
    if (result == NVML_SUCCESS) return nvml;
    snprintf(problem, size, "NVML: %s", nvml->error_text(result));
  }
  if (nvml->library) dlclose(nvml->library);
  free(nvml);
  return NULL;
}

void nvml_close(Nvml *nvml) {
  if (!nvml) return;
  nvml->shutdown();
  dlclose(nvml->library);
  free(nvml);
}

void nvml_driver(Nvml *nvml, char *text, size_t size) {
  if (nvml->driver(text, (unsigned)size) != NVML_SUCCESS) *text = 0;
}

int nvml_count(Nvml *nvml) {
  unsigned count = 0;
  return nvml->count(&count) == NVML_SUCCESS ? (int)count : -1;
}

bool nvml_describe(Nvml *nvml, int index, char *name, size_t size, double *memory) {
  NvmlGpu *gpu = NULL;
  NvmlMemory bytes = {0};
  if (nvml->by_index((unsigned)index, &gpu) != NVML_SUCCESS ||
      nvml->name(gpu, name, (unsigned)size) != NVML_SUCCESS)
    return false;
  *memory = nvml->memory(gpu, &bytes) == NVML_SUCCESS ? (double)bytes.total : 0;
  return true;
}

static bool check(const Nvml *nvml, int result, char *problem, size_t size) {
  if (result != NVML_SUCCESS) snprintf(problem, size, "NVML: %s", nvml->error_text(result));
  return result == NVML_SUCCESS;
}

NvmlGpu *nvml_find(Nvml *nvml, const char *bus, char *problem, size_t size) {
  NvmlGpu *gpu = NULL;
  return check(nvml, nvml->by_bus(bus, &gpu), problem, size) ? gpu : NULL;
}

bool nvml_energy(Nvml *nvml, NvmlGpu *gpu, double *joules, char *problem, size_t size) {
  unsigned long long millijoules = 0;
  int result = nvml->energy ? nvml->energy(gpu, &millijoules) : NVML_NOT_SUPPORTED;
  *joules = (double)millijoules * 1e-3;
  return check(nvml, result, problem, size);
}

bool nvml_power(Nvml *nvml, NvmlGpu *gpu, double *watts, char *problem, size_t size) {
  unsigned milliwatts = 0;
  int result = nvml->power(gpu, &milliwatts);
  *watts = milliwatts * 1e-3;
  return check(nvml, result, problem, size);
}

/* Room for none: the answer is how many there are, whatever the version's records look like. */
int nvml_processes(Nvml *nvml, NvmlGpu *gpu) {
  unsigned count = 0;
  int result = nvml->processes ? nvml->processes(gpu, &count, NULL) : NVML_NOT_SUPPORTED;
  return result == NVML_SUCCESS || result == NVML_INSUFFICIENT_SIZE ? (int)count : -1;
}
