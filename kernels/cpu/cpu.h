/* cpu.h - the CPU backend's own state and its functions, cpu_NAME for each row of backend.h's lists
 * (which says what each computes); included by kernels/cpu/ only. Lowest first: memory.c and
 * queue.c, product_*.c, the operations, open.c.
 *
 * Work is shared among threads by OpenMP, in pieces whose bounds depend on sizes alone; sums over
 * rows go through fixed chunks of rows (CPU_CHUNK). Results are therefore the same for any number
 * of threads. */
#ifndef KERNELS_CPU_H
#define KERNELS_CPU_H

#include "kernels/backend.h"

enum { CPU_WIDE = 4, CPU_CHUNK = 64, CPU_LINE = 64, CPU_ERROR_MAX = 256 };

typedef struct CpuBuffer {
  void *data;
  size_t size;
} CpuBuffer;

typedef struct CpuDevice {
  Device base;
  int threads;
  bool emulate;  /* 16-bit types are allowed although slow */
  bool has_bf16; /* bf16 is multiplied with instructions made for it */
  bool failed;
  char error[CPU_ERROR_MAX];
  CpuBuffer scratch;         /* see cpu_scratch() */
  CpuBuffer wide[CPU_WIDE];  /* fp32 copies: of 16-bit operands when a product is emulated, and of
                              * a 16-bit bias */
  struct Product *products;  /* product_onednn.c's list of ready primitives */
  struct ProductEngine *dnn; /* its library handles */
  double stamps[DEVICE_STAMPS]; /* seconds of a clock */
  float pixel[3][256];          /* normalised value of each uint8 value, per channel */
} CpuDevice;

static inline CpuDevice *cpu_device(Device *device) {
  return (CpuDevice *)device;
}

/* Keeps the first failure, for synchronize(). */
void cpu_fail(CpuDevice *, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* At least `bytes` of work space in buffer, kept for the next call and not cleared; NULL (and the
 * device has failed) when there is no memory. */
void *cpu_grow(CpuDevice *, CpuBuffer *buffer, size_t bytes);
/* `shared` floats, then a 64-byte aligned part of `each` floats per thread: the part of thread t
 * begins at cpu_part(base, shared, each, t). NULL when there is no memory. */
float *cpu_scratch(CpuDevice *, size_t shared, size_t each);
static inline size_t cpu_round_up(size_t n, size_t unit) {
  return (n + unit - 1) / unit * unit;
}
static inline float *cpu_part(float *base, size_t shared, size_t each, int thread) {
  return base + cpu_round_up(shared, 16) + (size_t)thread * cpu_round_up(each, 16);
}

/* Bytes of memory that the machine, or this process's control group, has, and that are free. */
void cpu_machine_memory(size_t *total, size_t *available);

#define CPU_PROTOTYPE(name, Type) Type cpu_##name;
KERNEL_SERVICES(CPU_PROTOTYPE)
KERNEL_OPERATIONS(CPU_PROTOTYPE)
#undef CPU_PROTOTYPE

#endif
