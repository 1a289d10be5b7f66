/* queue.cu - queues, marks, stamps and recordings as CUDA has them: streams, events, timing events
 * and graphs; and waiting for all of them. */
#include <stdio.h>
#include <stdlib.h>

#include "kernels/cuda/cuda.cuh"

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

bool cuda_synchronize(Device *device, char *message, size_t size) {
  CudaDevice *d = cuda_device(device);
  for (int q = 0; q < QUEUES && !d->error[0]; q++)
    cuda_check(d, cudaStreamSynchronize(d->streams[q]), "an operation failed on the device");
  if (d->error[0]) snprintf(message, size, "%s", d->error);
  return !d->error[0];
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
    cuda_check(d, cudaGraphInstantiateWithFlags(&recording->graph, graph, 0), "recording a step");
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

void cuda_forget(Device *, Recording **recording) {
  if (!*recording) return;
  /* One that is running is freed when it has ended. */
  if ((*recording)->graph) cudaGraphExecDestroy((*recording)->graph);
  free(*recording);
  *recording = NULL;
}
