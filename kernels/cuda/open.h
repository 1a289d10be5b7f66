/* open.h - the way into kernels/cuda/, for backend.c; where there is no CUDA, no_cuda.c keeps it.
 */
#ifndef KERNELS_CUDA_OPEN_H
#define KERNELS_CUDA_OPEN_H

#include "kernels/backend.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Opening the ordinal-th GPU; NULL and a message when that cannot be. */
Device *cuda_open(int ordinal, char *message, size_t size);
/* As backend_cuda_libraries(). */
void cuda_libraries(char *text, size_t size);
/* GPUs that the driver offers; 0 without one, or without a driver. */
int cuda_count(void);

#ifdef __cplusplus
}
#endif

#endif
