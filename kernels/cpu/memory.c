/* memory.c - the CPU device's memory: what an operation borrows as work space, what the trainer
 * allocates, transfers (copies), and the first failure, which is kept and reported. The lowest file
 * of kernels/cpu/: every other one calls it, it calls none. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "kernels/cpu/cpu.h"

/* Arenas from this size on are laid on 2 MiB pages: fewer address translations. */
enum { HUGE_PAGE = 2 << 20 };

void cpu_fail(CpuDevice *cpu, const char *format, ...) {
  if (cpu->failed) return;
  cpu->failed = true;
  va_list args;
  va_start(args, format);
  vsnprintf(cpu->error, sizeof cpu->error, format, args);
  va_end(args);
}

static void *memory_get(size_t bytes) {
  bool huge = bytes >= HUGE_PAGE;
  size_t unit = huge ? HUGE_PAGE : CPU_LINE;
  if (bytes > SIZE_MAX - unit) return NULL;
  size_t size = cpu_round_up(bytes ? bytes : 1, unit);
  void *p = aligned_alloc(unit, size);
  if (p && huge) madvise(p, size, MADV_HUGEPAGE);
  return p;
}

void *cpu_grow(CpuDevice *cpu, CpuBuffer *buffer, size_t bytes) {
  if (bytes <= buffer->size) return buffer->data;
  free(buffer->data);
  buffer->data = memory_get(bytes);
  buffer->size = buffer->data ? bytes : 0;
  if (!buffer->data) cpu_fail(cpu, "no memory for %zu bytes of work space", bytes);
  return buffer->data;
}

float *cpu_scratch(CpuDevice *cpu, size_t shared, size_t each) {
  size_t floats = cpu_round_up(shared, 16) + (size_t)cpu->threads * cpu_round_up(each, 16);
  return cpu_grow(cpu, &cpu->scratch, floats * sizeof(float));
}

/* A number of bytes from a "Name:   123 kB" line of a /proc file; 0 when it is not there. */
static size_t proc_bytes(const char *path, const char *name) {
  FILE *f = fopen(path, "r");
  if (!f) return 0;
  char line[256];
  size_t kilobytes = 0, length = strlen(name);
  while (!kilobytes && fgets(line, sizeof line, f))
    if (!strncmp(line, name, length)) sscanf(line + length, ": %zu", &kilobytes);
  fclose(f);
  return kilobytes * 1024;
}

/* What a file holding one number says, or SIZE_MAX ("max", or no such file). */
static size_t file_number(const char *path) {
  FILE *f = fopen(path, "r");
  size_t n = SIZE_MAX;
  if (!f) return n;
  if (fscanf(f, "%zu", &n) != 1) n = SIZE_MAX;
  fclose(f);
  return n;
}

/* Memory this process may still take: the machine's, or its control group's when that is less. */
static size_t memory_available(void) {
  size_t available = proc_bytes("/proc/meminfo", "MemAvailable");
  size_t limit = file_number("/sys/fs/cgroup/memory.max");
  size_t used = file_number("/sys/fs/cgroup/memory.current");
  size_t cache = 0; /* of `used`, what the kernel gives back on demand */
  FILE *f = limit == SIZE_MAX ? NULL : fopen("/sys/fs/cgroup/memory.stat", "r");
  for (char line[128]; f && fgets(line, sizeof line, f);)
    if (sscanf(line, "inactive_file %zu", &cache) == 1) break;
  if (f) fclose(f);
  if (limit == SIZE_MAX || used == SIZE_MAX) return available;
  used = used > cache ? used - cache : 0;
  size_t left = limit > used ? limit - used : 0;
  return left < available ? left : available;
}

void cpu_machine_memory(size_t *total, size_t *available) {
  size_t limit = file_number("/sys/fs/cgroup/memory.max");
  *total = proc_bytes("/proc/meminfo", "MemTotal");
  if (limit < *total) *total = limit;
  *available = memory_available();
}

/* Linux grants memory that is not there and kills whoever touches it, so the size is compared with
 * what is free first, and everything is touched here. */
void *cpu_alloc(Device *device, size_t bytes) {
  CpuDevice *cpu = cpu_device(device);
  if (bytes >= HUGE_PAGE) {
    size_t available = memory_available();
    if (available && bytes > available) return NULL;
  }
  char *p = memory_get(bytes);
  if (!p) return NULL;
  size_t pieces = (bytes + HUGE_PAGE - 1) / HUGE_PAGE;
#pragma omp parallel for num_threads(cpu->threads) if (pieces > 1)
  for (size_t i = 0; i < pieces; i++) {
    size_t first = i * HUGE_PAGE, left = bytes - first;
    memset(p + first, 0, left < HUGE_PAGE ? left : HUGE_PAGE);
  }
  return p;
}

void cpu_free(Device *device, void *memory) {
  (void)device;
  free(memory);
}

void cpu_upload(Device *device, void *dst, const void *host_src, size_t bytes) {
  (void)device;
  if (bytes) memcpy(dst, host_src, bytes);
}

void cpu_download(Device *device, void *host_dst, const void *src, size_t bytes) {
  (void)device;
  if (bytes) memcpy(host_dst, src, bytes);
}

void cpu_download_later(Device *device, void *host_dst, const void *src, size_t bytes) {
  cpu_download(device, host_dst, src, bytes);
}

void *cpu_host_alloc(Device *device, size_t bytes) {
  (void)device;
  return calloc(1, bytes ? bytes : 1);
}

void cpu_host_free(Device *device, void *memory) {
  cpu_free(device, memory);
}

void cpu_zero(Device *device, void *dst, size_t bytes) {
  (void)device;
  if (bytes) memset(dst, 0, bytes);
}
