/* queue.c - queues, marks, stamps and recordings of the CPU device. Every operation is done when
 * its call returns, so there is nothing to order, to wait for or to record: only stamps do
 * something. */
#include <stdio.h>
#include <time.h>

#include "kernels/cpu/cpu.h"

bool cpu_synchronize(Device *device, char *message, size_t size) {
  CpuDevice *cpu = cpu_device(device);
  if (cpu->failed) snprintf(message, size, "%s", cpu->error);
  return !cpu->failed;
}

void cpu_use_queue(Device *device, Queue queue) {
  (void)device, (void)queue;
}

void *cpu_stream(Device *device) {
  (void)device;
  return NULL;
}

void cpu_mark(Device *device, int mark) {
  (void)device, (void)mark;
}

void cpu_wait_mark(Device *device, int mark) {
  (void)device, (void)mark;
}

bool cpu_reach_mark(Device *device, int mark, char *message, size_t size) {
  (void)mark;
  return cpu_synchronize(device, message, size);
}

void cpu_stamp(Device *device, int stamp) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  cpu_device(device)->stamps[stamp] = (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

double cpu_stamp_seconds(Device *device, int from, int to) {
  return cpu_device(device)->stamps[to] - cpu_device(device)->stamps[from];
}

void cpu_repeat(Device *device, Recording **recording, void (*work)(void *user), void *user) {
  (void)device, (void)recording;
  work(user);
}

void cpu_forget(Device *device, Recording **recording) {
  (void)device, (void)recording;
}
