/* Opening the CPU device, its memory, what it says about itself, and the table. */
#include <omp.h>
#include <oneapi/dnnl/dnnl_version.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>
#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

#include "kernels/cpu/cpu.h"
#include "kernels/cpu/product.h"
#include "kernels/scalar.h"

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
static size_t memory_free(void) {
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

/* Linux grants memory that is not there and kills whoever touches it, so the size is compared with
 * what is free first, and everything is touched here. */
static void *cpu_alloc(Device *device, size_t bytes) {
  CpuDevice *cpu = cpu_device(device);
  if (bytes >= HUGE_PAGE) {
    size_t available = memory_free();
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

static void cpu_free(Device *device, void *p) {
  (void)device;
  free(p);
}

static void cpu_upload(Device *device, void *dst, const void *host_src, size_t bytes) {
  (void)device;
  if (bytes) memcpy(dst, host_src, bytes);
}

static void cpu_download(Device *device, void *host_dst, const void *src, size_t bytes) {
  (void)device;
  if (bytes) memcpy(host_dst, src, bytes);
}

static void *cpu_host_alloc(Device *device, size_t bytes) {
  (void)device;
  return calloc(1, bytes ? bytes : 1);
}

static void cpu_zero(Device *device, void *dst, size_t bytes) {
  (void)device;
  if (bytes) memset(dst, 0, bytes);
}

static bool cpu_synchronize(Device *device, char *message, size_t size) {
  CpuDevice *cpu = cpu_device(device);
  if (cpu->failed) snprintf(message, size, "%s", cpu->error);
  return !cpu->failed;
}

/* Every operation is done when its call returns, so there is nothing to order or to record. */
static void cpu_use_queue(Device *device, Queue queue) {
  (void)device, (void)queue;
}

static void *cpu_stream(Device *device) {
  (void)device;
  return NULL;
}

static void cpu_mark(Device *device, int mark) {
  (void)device, (void)mark;
}

static bool cpu_reach_mark(Device *device, int mark, char *message, size_t size) {
  (void)mark;
  return cpu_synchronize(device, message, size);
}

static void cpu_stamp(Device *device, int stamp) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  cpu_device(device)->stamps[stamp] = (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static double cpu_stamp_seconds(Device *device, int from, int to) {
  return cpu_device(device)->stamps[to] - cpu_device(device)->stamps[from];
}

static void cpu_repeat(Device *device, Recording **recording, void (*work)(void *user),
                       void *user) {
  (void)device, (void)recording;
  work(user);
}

static void cpu_forget(Device *device, Recording **recording) {
  (void)device, (void)recording;
}

static void cpu_linear_prepare(Device *device, Dtype y_type, Dtype type, size_t rows, int in,
                               int out, bool trains) {
  (void)device, (void)y_type, (void)type, (void)rows, (void)in, (void)out, (void)trains;
}

static void cpu_name(char *name, size_t size) {
  snprintf(name, size, "CPU");
  FILE *f = fopen("/proc/cpuinfo", "r");
  if (!f) return;
  for (char line[256]; fgets(line, sizeof line, f);) {
    char *value = strchr(line, ':');
    if (strncmp(line, "model name", 10) || !value) continue;
    value[strcspn(value, "\n")] = 0;
    snprintf(name, size, "%s", value + 2);
    break;
  }
  fclose(f);
}

/* The instruction set this file was compiled for. */
static const char *compiled_for(void) {
#if defined(__AVX512F__)
  return "AVX-512";
#elif defined(__AVX2__)
  return "AVX2";
#elif defined(__SSE2__)
  return "SSE2";
#else
  return "the baseline instruction set";
#endif
}

static void cpu_info(Device *device, DeviceInfo *info) {
  CpuDevice *cpu = cpu_device(device);
  memset(info, 0, sizeof *info);
  cpu_name(info->name, sizeof info->name);
  product_library(info->libraries, sizeof info->libraries);
  snprintf(info->features, sizeof info->features, "compiled for %s; oneDNN uses %s%s",
           compiled_for(), product_instructions(),
           cpu->emulate ? "; 16-bit types emulated where missing" : "");
  info->memory_total = proc_bytes("/proc/meminfo", "MemTotal");
  size_t limit = file_number("/sys/fs/cgroup/memory.max");
  if (limit < info->memory_total) info->memory_total = limit;
  info->memory_free = memory_free();
  struct rusage usage;
  if (!getrusage(RUSAGE_SELF, &usage)) info->memory_peak = (size_t)usage.ru_maxrss * 1024;
  info->threads = cpu->threads;
  info->has_bf16 = cpu->has_bf16;
}

static void cpu_close(Device *device) {
  CpuDevice *cpu = cpu_device(device);
  product_close(cpu);
  free(cpu->scratch.data);
  for (int i = 0; i < 3; i++) free(cpu->wide[i].data);
  free(cpu);
}

static const Kernels cpu_kernels = {
    .name = "cpu",
    .host_memory = true,
    .close = cpu_close,
    .info = cpu_info,
    .alloc = cpu_alloc,
    .free = cpu_free,
    .upload = cpu_upload,
    .download = cpu_download,
    .host_alloc = cpu_host_alloc,
    .host_free = cpu_free,
    .download_later = cpu_download,
    .zero = cpu_zero,
    .use_queue = cpu_use_queue,
    .stream = cpu_stream,
    .mark = cpu_mark,
    .wait_mark = cpu_mark,
    .reach_mark = cpu_reach_mark,
    .stamp = cpu_stamp,
    .stamp_seconds = cpu_stamp_seconds,
    .repeat = cpu_repeat,
    .forget = cpu_forget,
    .synchronize = cpu_synchronize,
    .convert = cpu_convert,
    .linear_prepare = cpu_linear_prepare,
    .linear_forward = cpu_linear_forward,
    .linear_backward_input = cpu_linear_backward_input,
    .linear_backward_weight = cpu_linear_backward_weight,
    .layernorm_forward = cpu_layernorm_forward,
    .layernorm_backward = cpu_layernorm_backward,
    .layernorm_apply = cpu_layernorm_apply,
    .attention_forward = cpu_attention_forward,
    .attention_backward = cpu_attention_backward,
    .gelu_forward = cpu_gelu_forward,
    .gelu_backward = cpu_gelu_backward,
    .patch_gather = cpu_patch_gather,
    .tokens_forward = cpu_tokens_forward,
    .tokens_backward = cpu_tokens_backward,
    .masked_loss = cpu_masked_loss,
    .reconstruct = cpu_reconstruct,
    .image_scores = cpu_image_scores,
    .crop_resize = cpu_crop_resize,
    .gradient_norm = cpu_gradient_norm,
    .adamw = cpu_adamw,
};

/* Denormal numbers count as zero in every thread, the caller's included: they cost a hundred cycles
 * each on some processors, and a setting that differed between threads would make results depend on
 * how work was shared. */
static void flush_denormals(int threads) {
#if defined(__x86_64__)
#pragma omp parallel num_threads(threads)
  _mm_setcsr(_mm_getcsr() | 0x8040u); /* flush to zero, denormals are zero */
#else
  (void)threads;
#endif
}

Device *cpu_open(int threads, bool emulate, char *message, size_t size) {
  CpuDevice *cpu = calloc(1, sizeof *cpu);
  if (!cpu) {
    snprintf(message, size, "cpu: no memory");
    return NULL;
  }
  cpu->base.kernels = &cpu_kernels;
  cpu->threads = threads > 0 ? threads : omp_get_num_procs();
  cpu->emulate = emulate;
  flush_denormals(cpu->threads);
  static const float mean[3] = {IMAGENET_MEAN_R, IMAGENET_MEAN_G, IMAGENET_MEAN_B};
  static const float std[3] = {IMAGENET_STD_R, IMAGENET_STD_G, IMAGENET_STD_B};
  for (int c = 0; c < 3; c++)
    for (int v = 0; v < 256; v++) cpu->pixel[c][v] = ((float)v / 255.0f - mean[c]) / std[c];
  if (product_open(cpu, message, size)) return &cpu->base;
  free(cpu);
  return NULL;
}
