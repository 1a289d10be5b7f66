/* gpus.h - the GPUs of this machine, as far as a harness must know them. */
#ifndef HARNESS_PLAN_GPUS_H
#define HARNESS_PLAN_GPUS_H

#include <stdbool.h>
#include <stddef.h>

typedef struct Gpus {
  int count;           /* usable, and visible through CUDA_VISIBLE_DEVICES where that is set */
  char name[128];      /* of the first */
  size_t memory_total; /* bytes of the first; 0: unknown */
  bool has_bf16;       /* the first */
  char problem[256];   /* why the first cannot be opened; empty: it can */
} Gpus;

/* Looks in a process of its own: a harness that lives for days holds no memory on a GPU that its
 * trainers need, and has no driver state for them to inherit. Looks once; later calls repeat the
 * answer. */
const Gpus *gpus_find(void);

#endif
