/* place.h - the places of a machine where trials run, one trial at a time in each: a GPU or several
 * or a part of one, or a share of the processor. */
#ifndef HARNESS_RUN_PLACE_H
#define HARNESS_RUN_PLACE_H

#include "harness/plan/gpus.h"
#include "mae/config/config.h"

typedef struct Place {
  char *gpus;  /* CUDA_VISIBLE_DEVICES of its trainers; NULL: as it is */
  int threads; /* run.threads of its trainers; 0: as configured */
  int ranks;   /* train.ranks of its trainers; 0: as configured */
} Place;

typedef struct Places {
  Place *list;
  int count;
  bool elsewhere; /* where resources.launcher says */
} Places;

/* The places for trials with this configuration. With a launcher one, or `jobs`, of which nothing
 * is known here. On a CPU one, or `jobs` that share its threads.
 * On GPUs as many as resources.gpus_per_trial and resources.jobs_per_gpu make of those there are,
 * at most `jobs` when that is above 0; a CUDA_VISIBLE_DEVICES that is set already names the GPUs to
 * share out. Fails with EXIT_DATA when a trial wants what the machine does not have; memory:
 * planned bytes of the largest trial on a GPU. */
bool places_make(Places *, const Config *, size_t memory, int jobs, const Gpus *, Error *);
void places_free(Places *);
/* Whether this machine, if it trains, computes in the trial's precision; a GPU that is not there is
 * an error of places_make's alone. */
bool places_accept(const Config *, const Gpus *, Error *);
/* "GPU 0 | GPU 1", "2 places of 4 threads", "the CPU". */
void places_describe(const Places *, char *text, size_t size);

#endif
