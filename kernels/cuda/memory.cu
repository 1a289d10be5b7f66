/* memory.cu - a GPU's memory, page-locked host memory, and transfers. Uploads pass through a ring
 * of page-locked staging memory, so that the host may change their source at once. */
#include <stdlib.h>
#include <string.h>

#include "kernels/cuda/cuda.cuh"

enum { PART_BYTES = STAGING_BYTES / STAGING_PARTS };

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
            /* So that the other queues, too, find it cleared. */
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
