/* device.cu - a GPU as the trainer sees it: opening and refusing one, memory, transfers, queues and
 * marks, recordings (CUDA graphs), and the first error, which is kept and reported. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/cuda/cuda.cuh"
#include "kernels/cuda/launch.cuh"

enum { CAPABILITY_MIN = 75 }; /* 10 x major + minor: tensor cores on the shapes of mma.cuh */
enum { PART_BYTES = STAGING_BYTES / STAGING_PARTS };

struct CudaAllocation {
  CudaAllocation *next;
  void *memory;
  size_t bytes;
};

/* Errors ---------------------------------------------------------------------------------------*/

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

/* Opening --------------------------------------------------------------------------------------*/

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

static bool create_queues(CudaDevice *d) {
  for (int q = 0; q < QUEUES; q++)
    if (!cuda_check(d, cudaStreamCreateWithFlags(&d->streams[q], cudaStreamNonBlocking), "stream"))
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
  size_t shared = d->properties.sharedMemPerBlockOptin;
  d->shared_limit = shared ? shared : d->properties.sharedMemPerBlock;
  return cuda_check(d, cudaMalloc(&d->scratch, SCRATCH_BYTES), "memory for work space") &&
         cuda_check(d,
                    cudaHostAlloc((void **)&d->staging.memory, STAGING_BYTES, cudaHostAllocDefault),
                    "page-locked memory for transfers");
}

Device *cuda_open(int ordinal, char *message, size_t size) {
  CudaDevice *d = static_cast<CudaDevice *>(calloc(1, sizeof *d));
  if (!d) {
    snprintf(message, size, "out of memory");
    return NULL;
  }
  d->base.kernels = &cuda_kernels;
  d->ordinal = ordinal;
  if (!admit(d, message, size)) {
    free(d);
    return NULL;
  }
  bool ok = create_queues(d) && create_buffers(d);
  if (!ok) snprintf(message, size, "%s", d->error);
  if (ok && linear_open(d, message, size)) return &d->base;
  cuda_close(&d->base);
  return NULL;
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
  int driver = 0, runtime = 0;
  char driver_text[16], runtime_text[16];
  memset(info, 0, sizeof *info);
  cudaDriverGetVersion(&driver);
  cudaRuntimeGetVersion(&runtime);
  version_text(driver_text, driver);
  version_text(runtime_text, runtime);
  snprintf(info->name, sizeof info->name, "%.127s", p->name);
  size_t length =
      (size_t)snprintf(info->libraries, sizeof info->libraries, "CUDA %s, ", runtime_text);
  linear_library(info->libraries + length, sizeof info->libraries - length);
  length = (size_t)snprintf(info->features, sizeof info->features,
                            "compute capability %d.%d, %d multiprocessors, driver for CUDA %s; ",
                            p->major, p->minor, p->multiProcessorCount, driver_text);
  linear_describe(d, info->features + length, sizeof info->features - length);
  cudaMemGetInfo(&info->memory_free, &info->memory_total);
  info->memory_peak = d->peak + CUDA_SCRATCH_BYTES + CUDA_WORKSPACE_BYTES;
  info->has_f16 = true; /* every admitted device has fp16 tensor cores */
  info->has_bf16 = p->major >= 8;
}

/* Memory ---------------------------------------------------------------------------------------*/

void *cuda_alloc(Device *device, size_t bytes) {
  CudaDevice *d = cuda_device(device);
  if (d->error[0]) return NULL;
  CudaAllocation *a = static_cast<CudaAllocation *>(malloc(sizeof *a));
  if (!a) return NULL;
  cudaError_t result = cudaMalloc(&a->memory, bytes ? bytes : 1);
  if (result == cudaErrorMemoryAllocation) {
    cudaGetLastError(); /* the caller reports it, with what the memory was for */
    free(a);
    return NULL;
  }
  bool there = cuda_check(d, result, "memory");
  bool ok = there &&
            cuda_check(d, cudaMemsetAsync(a->memory, 0, bytes, d->stream), "clearing memory") &&
            /* So that the other queue, too, finds it cleared. */
            cuda_check(d, cudaStreamSynchronize(d->stream), "clearing memory");
  if (!ok) {
    if (there) cudaFree(a->memory);
    free(a);
    return NULL;
  }
  a->bytes = bytes;
  a->next = d->allocations;
  d->allocations = a;
  d->allocated += bytes;
  if (d->allocated > d->peak) d->peak = d->allocated;
  return a->memory;
}

void cuda_free(Device *device, void *memory) {
  CudaDevice *d = cuda_device(device);
  for (CudaAllocation **link = &d->allocations; *link; link = &(*link)->next) {
    CudaAllocation *a = *link;
    if (a->memory != memory) continue;
    *link = a->next;
    d->allocated -= a->bytes;
    free(a);
    cuda_check(d, cudaFree(memory), "freeing memory"); /* waits for all work */
    return;
  }
}

void *cuda_host_alloc(Device *device, size_t bytes) {
  CudaDevice *d = cuda_device(device);
  void *memory = NULL;
  cudaError_t result = cudaHostAlloc(&memory, bytes ? bytes : 1, cudaHostAllocDefault);
  if (result == cudaSuccess) return memset(memory, 0, bytes);
  if (result != cudaErrorMemoryAllocation) cuda_check(d, result, "page-locked memory");
  cudaGetLastError();
  return NULL;
}

void cuda_host_free(Device *device, void *memory) {
  cuda_check(cuda_device(device), cudaFreeHost(memory), "freeing page-locked memory");
}

/* Transfers ------------------------------------------------------------------------------------*/

/* Transfers are no part of a recording: the host's side of them would not be repeated. */
static bool may_transfer(CudaDevice *d, const char *what) {
  if (d->recording) cuda_fail(d, "cuda:%d: %s while recording", d->ordinal, what);
  return !d->error[0];
}

/* Leaves the present part of the staging memory and waits for the next one to be free. */
static void next_part(CudaDevice *d) {
  CudaStaging *s = &d->staging;
  for (int q = 0; q < QUEUES; q++)
    if (s->read_by[s->part][q])
      cuda_check(d, cudaEventRecord(s->done[s->part][q], d->streams[q]), "upload");
  s->part = (s->part + 1) % STAGING_PARTS;
  s->used = 0;
  for (int q = 0; q < QUEUES; q++) {
    if (s->read_by[s->part][q]) cuda_check(d, cudaEventSynchronize(s->done[s->part][q]), "upload");
    s->read_by[s->part][q] = false;
  }
}

void cuda_upload(Device *device, void *dst, const void *host_src, size_t bytes) {
  CudaDevice *d = cuda_device(device);
  CudaStaging *s = &d->staging;
  const char *from = static_cast<const char *>(host_src);
  char *to = static_cast<char *>(dst);
  if (!may_transfer(d, "upload")) return;
  while (bytes && !d->error[0]) {
    if (s->used == PART_BYTES) next_part(d);
    size_t room = PART_BYTES - s->used, size = bytes < room ? bytes : room;
    unsigned char *stage = s->memory + (size_t)s->part * PART_BYTES + s->used;
    memcpy(stage, from, size);
    cuda_check(d, cudaMemcpyAsync(to, stage, size, cudaMemcpyHostToDevice, d->stream), "upload");
    s->read_by[s->part][d->queue] = true;
    s->used += size;
    from += size;
    to += size;
    bytes -= size;
  }
}

void cuda_download(Device *device, void *host_dst, const void *src, size_t bytes) {
  CudaDevice *d = cuda_device(device);
  if (!bytes || !may_transfer(d, "download")) return;
  if (cuda_check(d, cudaMemcpyAsync(host_dst, src, bytes, cudaMemcpyDeviceToHost, d->stream),
                 "download"))
    cuda_check(d, cudaStreamSynchronize(d->stream), "download");
}

void cuda_download_later(Device *device, void *host_dst, const void *src, size_t bytes) {
  CudaDevice *d = cuda_device(device);
  if (!bytes || !may_transfer(d, "download")) return;
  cuda_check(d, cudaMemcpyAsync(host_dst, src, bytes, cudaMemcpyDeviceToHost, d->stream),
             "download");
}

void cuda_zero(Device *device, void *dst, size_t bytes) {
  CudaDevice *d = cuda_device(device);
  if (bytes) cuda_check(d, cudaMemsetAsync(dst, 0, bytes, d->stream), "clearing memory");
}

bool cuda_synchronize(Device *device, char *message, size_t size) {
  CudaDevice *d = cuda_device(device);
  for (int q = 0; q < QUEUES && !d->error[0]; q++)
    cuda_check(d, cudaStreamSynchronize(d->streams[q]), "an operation failed on the device");
  if (d->error[0]) snprintf(message, size, "%s", d->error);
  return !d->error[0];
}

/* Queues, marks and recordings -----------------------------------------------------------------*/

void cuda_use_queue(Device *device, Queue queue) {
  CudaDevice *d = cuda_device(device);
  d->queue = queue;
  d->stream = d->streams[queue];
}

void *cuda_stream(Device *device) {
  return cuda_device(device)->stream;
}

void cuda_mark(Device *device, int mark) {
  CudaDevice *d = cuda_device(device);
  cuda_check(d, cudaEventRecord(d->marks[mark], d->stream), "mark");
}

void cuda_wait_mark(Device *device, int mark) {
  CudaDevice *d = cuda_device(device);
  cuda_check(d, cudaStreamWaitEvent(d->stream, d->marks[mark], 0), "waiting for a mark");
}

bool cuda_reach_mark(Device *device, int mark, char *message, size_t size) {
  CudaDevice *d = cuda_device(device);
  if (!d->error[0])
    cuda_check(d, cudaEventSynchronize(d->marks[mark]), "an operation failed on the device");
  if (d->error[0]) snprintf(message, size, "%s", d->error);
  return !d->error[0];
}

void cuda_stamp(Device *device, int stamp) {
  CudaDevice *d = cuda_device(device);
  cudaEvent_t *event = &d->stamps[stamp];
  if (!*event && !cuda_check(d, cudaEventCreateWithFlags(event, cudaEventDefault), "stamp")) return;
  cuda_check(d, cudaEventRecord(*event, d->stream), "stamp");
}

double cuda_stamp_seconds(Device *device, int from, int to) {
  CudaDevice *d = cuda_device(device);
  float milliseconds = 0;
  if (!d->error[0] &&
      cuda_check(d, cudaEventSynchronize(d->stamps[to]), "an operation failed on the device"))
    cuda_check(d, cudaEventElapsedTime(&milliseconds, d->stamps[from], d->stamps[to]), "stamp");
  return 1e-3 * milliseconds;
}

struct Recording {
  cudaGraphExec_t graph; /* NULL: work has run once and is not recorded yet */
};

/* Queues work into a graph instead of the device. */
static void record(CudaDevice *d, Recording *recording, void (*work)(void *), void *user) {
  cudaGraph_t graph = NULL;
  /* Thread-local: other threads of the process (NCCL's watchdog) may talk to the device. */
  if (!cuda_check(d, cudaStreamBeginCapture(d->stream, cudaStreamCaptureModeThreadLocal),
                  "recording a step"))
    return;
  d->recording = true;
  work(user);
  d->recording = false;
  /* An error in work ends the capture as well; the first is the one to report. */
  cuda_check(d, cudaStreamEndCapture(d->stream, &graph), "recording a step");
  if (!d->error[0])
    cuda_check(d, cudaGraphInstantiate(&recording->graph, graph, 0), "recording a step");
  if (graph) cudaGraphDestroy(graph);
}

/* The first time runs work as it is, so that kernels are loaded and products chosen before
 * anything is recorded. */
void cuda_repeat(Device *device, Recording **recording, void (*work)(void *user), void *user) {
  CudaDevice *d = cuda_device(device);
  if (d->error[0]) return;
  if (!*recording) {
    *recording = static_cast<Recording *>(calloc(1, sizeof **recording));
    if (!*recording) cuda_fail(d, "out of memory for a recording");
    work(user);
    return;
  }
  if (!(*recording)->graph) record(d, *recording, work, user);
  if (!d->error[0])
    cuda_check(d, cudaGraphLaunch((*recording)->graph, d->stream), "starting a recorded step");
}

void cuda_forget(Device *device, Recording **recording) {
  CudaDevice *d = cuda_device(device);
  if (!*recording) return;
  if ((*recording)->graph) {
    for (int q = 0; q < QUEUES; q++) cudaStreamSynchronize(d->streams[q]);
    cudaGraphExecDestroy((*recording)->graph);
  }
  free(*recording);
  *recording = NULL;
}
