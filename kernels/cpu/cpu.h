/* cpu.h - the CPU backend's own state; included by kernels/cpu/ and backend.c only. */
#ifndef KERNELS_CPU_H
#define KERNELS_CPU_H

#include "kernels/backend.h"

Device *cpu_open(int threads, bool emulate, char *message, size_t size);

#endif
