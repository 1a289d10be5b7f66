/* open.cu - opening, refusing and closing a GPU, what it says about itself, and its table. The
 * highest file of kernels/cuda/: only backend.c calls it, through open.h. */
#include "kernels/cuda/open.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/cuda/cuda.cuh"
#include "kernels/cuda/launch.cuh"

enum { CAPABILITY_MIN = 75 }; /* 10 x major + minor: tensor cores on the shapes of mma.cuh */

/* A kernel that every build of this file has: whether it loads tells whether any will. */
__global__ void probe(int *) {}

static void version_text(char text[16], int version) {
  snprintf(text, 16, "%d.%d", version / 1000, version % 1000 / 10);
}

/* Why no GPU can be used, told from what the runtime says about it. */
static void explain_absence(char *message, size_t size, cudaError_t result) {
  int driver = 0, runtime = 0;
  char have[16], need[16];
  cudaDriverGetVersion(&driver);
  cudaRuntimeGetVersion(&runtime);
  version_text(have, driver);
  version_text(need, runtime);
  if (result == cudaErrorInsufficientDriver && driver > 0)
    snprintf(message, size,
             "the NVIDIA driver serves CUDA up to %s and this build needs %s: install a newer "
             "driver, or build with an older toolkit",
             have, need);
  else if (driver == 0)
    snprintf(message, size, "no NVIDIA driver is installed here (run.device = cpu works anywhere)");
  else if (result == cudaErrorNoDevice || result == cudaSuccess)
    snprintf(message, size,
             "the NVIDIA driver sees no GPU here; is it hidden by CUDA_VISIBLE_DEVICES?");
  else
    snprintf(message, size, "the GPUs cannot be counted: %s (%s)", cudaGetErrorString(result),
             cudaGetErrorName(result));
}

void cuda_libraries(char *text, size_t size) {
  int runtime = 0;
  char version[16], linear[64];
  cudaRuntimeGetVersion(&runtime);
  version_text(version, runtime);
  linear_library(linear, sizeof linear);
  snprintf(text, size, "CUDA %s, %s", version, linear);
}

int cuda_count(void) {
  int count = 0;
  if (cudaGetDeviceCount(&count) == cudaSuccess) return count;
  cudaGetLastError(); /* a machine without a GPU is no failure of what comes next */
  return 0;
}

/* The GPU exists and can run this build's kernels. */
static bool admit(CudaDevice *d, char *message, size_t size) {
  int count = 0;
  cudaError_t result = cudaGetDeviceCount(&count);
  if (result != cudaSuccess || count == 0) {
    explain_absence(message, size, result);
    return false;
  }
  if (d->ordinal >= count) {
    snprintf(message, size, "there is no cuda:%d here, only cuda:0%s%.0d", d->ordinal,
             count > 1 ? " to cuda:" : "", count > 1 ? count - 1 : 0);
    return false;
  }
  result = cudaSetDevice(d->ordinal);
  if (result == cudaSuccess) result = cudaGetDeviceProperties(&d->properties, d->ordinal);
  if (result != cudaSuccess) {
    snprintf(message, size, "cuda:%d cannot be opened: %s (%s)", d->ordinal,
             cudaGetErrorString(result), cudaGetErrorName(result));
    return false;
  }
  const cudaDeviceProp *p = &d->properties;
  cudaFuncAttributes attributes;
  bool old = 10 * p->major + p->minor < CAPABILITY_MIN;
  if (!old) result = cudaFuncGetAttributes(&attributes, (const void *)probe);
  if (!old && result == cudaSuccess) return true;
  if (old)
    snprintf(message, size, "%s has compute capability %d.%d; %d.%d or later is needed", p->name,
             p->major, p->minor, CAPABILITY_MIN / 10, CAPABILITY_MIN % 10);
  else if (result == cudaErrorNoKernelImageForDevice || result == cudaErrorInvalidDeviceFunction)
    snprintf(message, size,
             "this build has no kernels for %s (compute capability %d.%d): build with "
             "-DMAEBENCH_CUDA_ARCHITECTURES=%d%d",
             p->name, p->major, p->minor, p->major, p->minor);
  else
    snprintf(message, size, "cuda:%d cannot load kernels: %s (%s)", d->ordinal,
             cudaGetErrorString(result), cudaGetErrorName(result));
  return false;
}

/* The exchange's few blocks go first when multiprocessors become free: other devices wait for them.
 */
static bool create_queues(CudaDevice *d) {
  int least = 0, greatest = 0;
  if (!cuda_check(d, cudaDeviceGetStreamPriorityRange(&least, &greatest), "streams' priorities"))
    return false;
  for (int q = 0; q < QUEUES; q++)
    if (!cuda_check(d,
                    cudaStreamCreateWithPriority(&d->streams[q], cudaStreamNonBlocking,
                                                 q == QUEUE_EXCHANGE ? greatest : least),
                    "stream"))
      return false;
  for (int m = 0; m < DEVICE_MARKS; m++)
    if (!cuda_check(d, cudaEventCreateWithFlags(&d->marks[m], cudaEventDisableTiming), "event"))
      return false;
  for (int part = 0; part < STAGING_PARTS; part++)
    for (int q = 0; q < QUEUES; q++)
      if (!cuda_check(d,
                      cudaEventCreateWithFlags(&d->staging.done[part][q], cudaEventDisableTiming),
                      "event"))
        return false;
  d->stream = d->streams[QUEUE_COMPUTE];
  return true;
}

static bool create_buffers(CudaDevice *d) {
  return cuda_check(d, cudaMalloc(&d->scratch, SCRATCH_BYTES), "memory for work space") &&
         cuda_check(d,
                    cudaHostAlloc((void **)&d->staging.memory, STAGING_BYTES, cudaHostAllocDefault),
                    "page-locked memory for transfers");
}

void cuda_close(Device *device) {
  CudaDevice *d = cuda_device(device);
  cudaSetDevice(d->ordinal);
  for (int q = 0; q < QUEUES; q++)
    if (d->streams[q]) cudaStreamSynchronize(d->streams[q]);
  if (d->linear) linear_close(d);
  while (d->allocations) cuda_free(device, d->allocations->memory);
  cudaFree(d->scratch);
  if (d->staging.memory) cudaFreeHost(d->staging.memory);
  for (int part = 0; part < STAGING_PARTS; part++)
    for (int q = 0; q < QUEUES; q++)
      if (d->staging.done[part][q]) cudaEventDestroy(d->staging.done[part][q]);
  for (int m = 0; m < DEVICE_MARKS; m++)
    if (d->marks[m]) cudaEventDestroy(d->marks[m]);
  for (int s = 0; s < DEVICE_STAMPS; s++)
    if (d->stamps[s]) cudaEventDestroy(d->stamps[s]);
  for (int q = 0; q < QUEUES; q++)
    if (d->streams[q]) cudaStreamDestroy(d->streams[q]);
  cudaGetLastError();
  free(d);
}

void cuda_info(Device *device, DeviceInfo *info) {
  CudaDevice *d = cuda_device(device);
  const cudaDeviceProp *p = &d->properties;
  int driver = 0;
  char driver_text[16];
  memset(info, 0, sizeof *info);
  cudaDriverGetVersion(&driver);
  version_text(driver_text, driver);
  snprintf(info->name, sizeof info->name, "%.127s", p->name);
  snprintf(info->bus, sizeof info->bus, "%04x:%02x:%02x.0", p->pciDomainID, p->pciBusID,
           p->pciDeviceID);
  cuda_libraries(info->libraries, sizeof info->libraries);
  size_t length =
      (size_t)snprintf(info->features, sizeof info->features,
                       "compute capability %d.%d, %d multiprocessors, driver for CUDA %s; ",
                       p->major, p->minor, p->multiProcessorCount, driver_text);
  linear_describe(d, info->features + length, sizeof info->features - length);
  cudaMemGetInfo(&info->memory_free, &info->memory_total);
  info->memory_peak = d->peak + CUDA_SCRATCH_BYTES + CUDA_WORKSPACE_BYTES;
  info->has_f16 = true; /* every admitted device has fp16 tensor cores */
  info->has_bf16 = p->major >= 8;
}

/* Members in the order of backend.h, whose lists declare them. */
#define CUDA_ENTRY(name, Type) cuda_##name,
/* clang-format off */
static const Kernels cuda_kernels = {
    "cuda",
    false, /* host_memory */
    KERNEL_SERVICES(CUDA_ENTRY)
    KERNEL_OPERATIONS(CUDA_ENTRY)
};
/* clang-format on */

Device *cuda_open(int ordinal, char *message, size_t size) {
  CudaDevice *d = static_cast<CudaDevice *>(calloc(1, sizeof *d));
  if (!d) {
    snprintf(message, size, "out of memory");
    return NULL;
  }
  d->base.kernels = &cuda_kernels;
  d->ordinal = ordinal;
  d->shared_limit = SIZE_MAX; /* until kernels are allowed theirs */
  if (!admit(d, message, size)) {
    free(d);
    return NULL;
  }
  bool ok = create_queues(d) && create_buffers(d) && attention_open(d) && layernorm_open(d);
  if (!ok) snprintf(message, size, "%s", d->error);
  if (ok && linear_open(d, message, size)) return &d->base;
  cuda_close(&d->base);
  return NULL;
}
