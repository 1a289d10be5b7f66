/* nvml.h - the few things that NVIDIA's management library (libnvidia-ml.so.1, part of the driver)
 * is asked for. It is loaded when it is needed, so that no build needs it, and asking it takes no
 * memory on a GPU. */
#ifndef MAE_MACHINE_NVML_H
#define MAE_MACHINE_NVML_H

#include <stdbool.h>
#include <stddef.h>

/* The library, or the file that this variable names. */
#define NVML_LIBRARY "libnvidia-ml.so.1"
#define NVML_VARIABLE "MAEBENCH_NVML"

typedef struct Nvml Nvml;
typedef struct nvmlDevice_st NvmlGpu; /* NVML's own handle */

/* NULL and why: no library, no driver, or one that is too old. */
Nvml *nvml_open(const char *library, char *problem, size_t size);
void nvml_close(Nvml *); /* NULL is fine */

/* "535.104.05"; empty when it does not say. */
void nvml_driver(Nvml *, char *text, size_t size);
/* GPUs, whether or not CUDA_VISIBLE_DEVICES shows them; -1: unknown. */
int nvml_count(Nvml *);
/* The index-th: its name, and its memory in bytes (0: unknown). */
bool nvml_describe(Nvml *, int index, char *name, size_t size, double *memory);

/* The GPU at "0000:3b:00.0" (DeviceInfo.bus); NULL and why. */
NvmlGpu *nvml_find(Nvml *, const char *bus, char *problem, size_t size);
/* Joules since the driver was loaded, watts now. False and why, as for GPUs that have no such
 * counter (before Volta). */
bool nvml_energy(Nvml *, NvmlGpu *, double *joules, char *problem, size_t size);
bool nvml_power(Nvml *, NvmlGpu *, double *watts, char *problem, size_t size);
/* Processes that compute on it, this one too; -1: unknown. */
int nvml_processes(Nvml *, NvmlGpu *);

#endif
