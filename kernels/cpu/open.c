/* open.c - opening and closing the CPU device, what it says about itself, and its table. The
 * highest file of kernels/cpu/: only backend.c calls it, through open.h. */
#include "kernels/cpu/open.h"

#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

#include "kernels/cpu/product.h"
#include "kernels/scalar.h"

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

void cpu_info(Device *device, DeviceInfo *info) {
  CpuDevice *cpu = cpu_device(device);
  memset(info, 0, sizeof *info);
  cpu_name(info->name, sizeof info->name);
  char products[sizeof info->libraries / 2];
  product_library(products, sizeof products);
  snprintf(info->libraries, sizeof info->libraries, "%s, OpenMP %d", products, _OPENMP);
  const char *generated = product_instructions();
  snprintf(info->features, sizeof info->features, "compiled for %s%s%s%s", compiled_for(),
           generated ? "; oneDNN uses " : "", generated ? generated : "",
           cpu->emulate ? "; 16-bit types emulated where missing" : "");
  cpu_machine_memory(&info->memory_total, &info->memory_free);
  struct rusage usage;
  if (!getrusage(RUSAGE_SELF, &usage)) info->memory_peak = (size_t)usage.ru_maxrss * 1024;
  info->threads = cpu->threads;
  info->has_bf16 = cpu->has_bf16;
}

void cpu_products(char *text, size_t size) {
  product_library(text, size);
}

void cpu_close(Device *device) {
  CpuDevice *cpu = cpu_device(device);
  product_close(cpu);
  free(cpu->scratch.data);
  for (int i = 0; i < CPU_WIDE; i++) free(cpu->wide[i].data);
  free(cpu);
}

#define CPU_ENTRY(name, Type) .name = cpu_##name,
/* clang-format off */
static const Kernels cpu_kernels = {
    .name = "cpu",
    .host_memory = true,
    KERNEL_SERVICES(CPU_ENTRY)
    KERNEL_OPERATIONS(CPU_ENTRY)
};
/* clang-format on */

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
