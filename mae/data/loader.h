/* loader.h - which images, crops, colours and masks a training step uses. Everything is drawn from
 * (run.seed, epoch, sample), so any step can be prepared without those before it. Drawing costs
 * microseconds an image (cutting the pixels is the device's work), so it is done between steps and
 * not by a thread of its own. Nothing is allocated after loader_create. */
#ifndef MAE_DATA_LOADER_H
#define MAE_DATA_LOADER_H

#include "mae/data/dataset.h"

typedef struct Loader {
  const Config *config;
  const Dataset *dataset;
  int first_image, images; /* of a step's batch: the part prepared here */
  int64_t steps_per_epoch;
  int64_t epoch;    /* of `order`; -1: none yet */
  int32_t *order;   /* [train_count] */
  Crop *crops;      /* [images] of the step last loaded ... */
  Jitter *jitters;  /* [images]; NULL unless train.augment changes colours */
  int32_t *visible; /* [images, keep] */
  uint8_t *masked;  /* [images, L] */
} Loader;

bool loader_create(Loader *, const Config *, const Dataset *, int first_image, int images, Error *);
void loader_destroy(Loader *);
void loader_load(Loader *, int64_t step); /* step from 0 */

#endif
