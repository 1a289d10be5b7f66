/* memory.h - what a training run takes on its device, computed before it starts. */
#ifndef MAE_TRAIN_MEMORY_H
#define MAE_TRAIN_MEMORY_H

#include "mae/data/dataset.h"
#include "mae/model/model.h"

typedef struct MemoryPlan { /* bytes */
  ModelMemory model;        /* with one step's input */
  size_t input;             /* on a GPU: a second one, filled while the first is used */
  size_t evaluation;        /* pictures and scores of a batch of held-out images */
  size_t probe;             /* features, similarities and a classifier; on a CPU those kept, too */
  size_t images;            /* on a GPU: source images on their way; all of them where they fit */
  size_t own;               /* on a GPU: work space of reductions and matrix products */
  size_t later;             /* on a GPU: what the driver takes when kernels first run */
  size_t total;
} MemoryPlan;

/* A probe's share depends on how many images and classes there are. Before the data set is open
 * (NULL) it is counted for the images that the configuration itself limits it to. */
MemoryPlan memory_plan(const Config *, const Dataset *);

/* Compares the plan with what is free on an open device. The error names what to change so that the
 * run fits: train.accumulate, which changes no image of a step, or else train.batch, or
 * probe.train_images when the probe is what does not fit. */
bool memory_check(const Config *, const Dataset *, Device *, Error *);

#endif
