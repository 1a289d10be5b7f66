/* cuda.cuh - the CUDA backend's own state, what its files share, and its functions: cuda_NAME for
 * each row of backend.h's lists, which says what each computes. Included by kernels/cuda/ only.
 * Lowest first: errors.cu, memory.cu and queue.cu, columns.cu, the operations, open.cu. */
#ifndef KERNELS_CUDA_CUDA_CUH
#define KERNELS_CUDA_CUDA_CUH

#include <cuda_runtime.h>

#include "kernels/backend.h"
#include "kernels/cuda/sizes.h"

typedef struct CudaLinear CudaLinear; /* cuBLASLt handle, workspace, pinned algorithms */

enum {
  SCRATCH_BYTES = CUDA_SCRATCH_BYTES,
  STAGING_BYTES = 16 << 20,
  STAGING_PARTS = 4,
};

/* Pinned host memory that uploads pass through, so that their source is free at once. Parts are
 * used in turn; a part is filled again only after every copy out of it has been done. */
typedef struct CudaStaging {
  unsigned char *memory;
  int part;
  size_t used; /* of the part */
  bool read_by[STAGING_PARTS][QUEUES];
  cudaEvent_t done[STAGING_PARTS][QUEUES];
} CudaStaging;

/* Memory that alloc handed out: close() frees what was not given back. */
typedef struct CudaAllocation {
  struct CudaAllocation *next;
  void *memory;
  size_t bytes;
} CudaAllocation;

typedef struct CudaDevice {
  Device base;
  int ordinal;
  cudaStream_t stream; /* of the current queue: where operations go */
  Queue queue;
  cudaStream_t streams[QUEUES];
  cudaEvent_t marks[DEVICE_MARKS];
  cudaEvent_t stamps[DEVICE_STAMPS]; /* NULL until used */
  cudaDeviceProp properties;
  size_t shared_limit; /* bytes of dynamic shared memory that every kernel may have */
  /* SCRATCH_BYTES, the compute queue's alone: partial sums of reductions, and what one of
   * attention's passes leaves the next. */
  void *scratch;
  CudaLinear *linear;
  CudaStaging staging;
  CudaAllocation *allocations;
  size_t allocated, peak; /* bytes handed out by alloc */
  bool recording;         /* inside repeat(): what is queued is recorded, not run */
  char error[512];        /* the first failure; empty: none */
} CudaDevice;

static inline CudaDevice *cuda_device(Device *device) {
  return reinterpret_cast<CudaDevice *>(device);
}

extern "C" {
#define CUDA_PROTOTYPE(name, Type) Type cuda_##name;
KERNEL_SERVICES(CUDA_PROTOTYPE)
KERNEL_OPERATIONS(CUDA_PROTOTYPE)
#undef CUDA_PROTOTYPE
}

/* Keeps the first failure. */
void cuda_fail(CudaDevice *, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Keeps a failure; true when result is success and nothing failed before. */
bool cuda_check(CudaDevice *, cudaError_t result, const char *what);
/* After a launch: keeps a refused launch as the failure. */
void cuda_launched(CudaDevice *, const char *what);

/* Lets a kernel have as much dynamic shared memory as a block can, beside what counts as the
 * kernel's own: of kernels for compute capability 9.0 the compiler counts 1 KiB that the system
 * keeps. Once, when the device is opened: a recorded kernel must be within the limit of when its
 * recording is made ready, so a limit that followed each launch's need would refuse the larger of
 * two launches in one recording. */
template <class Kernel> static inline bool allow_shared(CudaDevice *d, Kernel *kernel) {
  size_t most = d->properties.sharedMemPerBlockOptin;
  cudaFuncAttributes own = {};
  if (!cuda_check(d, cudaFuncGetAttributes(&own, (const void *)kernel), "attributes of a kernel"))
    return false;
  most = (most ? most : d->properties.sharedMemPerBlock) - own.sharedSizeBytes;
  if (most < d->shared_limit) d->shared_limit = most;
  return cuda_check(
      d, cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, (int)most),
      "shared memory of a kernel");
}

/* Allow their kernels shared memory; false: the device has failed. */
bool attention_open(CudaDevice *);
bool layernorm_open(CudaDevice *);

/* Runs `statement` with T standing for the element type. */
#define WITH_TYPE(type, T, ...)                                                                    \
  do {                                                                                             \
    if ((type) == DTYPE_F32) {                                                                     \
      typedef float T;                                                                             \
      __VA_ARGS__;                                                                                 \
    } else if ((type) == DTYPE_F16) {                                                              \
      typedef Half T;                                                                              \
      __VA_ARGS__;                                                                                 \
    } else {                                                                                       \
      typedef Bfloat16 T;                                                                          \
      __VA_ARGS__;                                                                                 \
    }                                                                                              \
  } while (0)

static inline unsigned blocks_for(size_t items, size_t per_block) {
  return (unsigned)((items + per_block - 1) / per_block);
}

/* How many images a launch takes that has them in its grid's second or third dimension: 65,535 on
 * every device so far. More take several launches. */
static inline int launch_images(const CudaDevice *d, int left) {
  const int *most = d->properties.maxGridSize;
  int images = most[1] < most[2] ? most[1] : most[2];
  return left < images ? left : images;
}

/* linear.cu: matrix products. */
bool linear_open(CudaDevice *, char *message, size_t size);
void linear_close(CudaDevice *);
void linear_library(char *text, size_t size); /* "cuBLASLt 13.0.2" */
/* The algorithms chosen so far, as much as fits. */
void linear_describe(const CudaDevice *, char *text, size_t size);

/* sums[width] (+)= sums over the columns of x[rows, width]. */
void cuda_column_sums(CudaDevice *, float *sums, const void *x, Dtype type, size_t rows, int width,
                      bool accumulate);

#endif
