/* open.h - the way into kernels/cpu/, for backend.c. */
#ifndef KERNELS_CPU_OPEN_H
#define KERNELS_CPU_OPEN_H

#include "kernels/backend.h"

/* As backend_open("cpu", ...). */
Device *cpu_open(int threads, bool emulate, char *message, size_t size);

/* As backend_cpu_products(). */
void cpu_products(char *text, size_t size);

#endif
