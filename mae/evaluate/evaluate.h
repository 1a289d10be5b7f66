/* evaluate.h - scoring on the held-out images: the first eval.images of them, centre crop, masks
 * drawn from (eval.seed, image index).
 *
 * What is scored is a Scorer (scorers.h): the model, the trivial fills, whatever comes. All of them
 * see the same images and, at the same ratio, the same masks, and are measured by the same code. */
#ifndef MAE_EVALUATE_EVALUATE_H
#define MAE_EVALUATE_EVALUATE_H

#include "mae/data/pool.h"
#include "mae/evaluate/metrics.h"

/* Buffers for scoring up to `capacity` images at a time. */
typedef struct Evaluator {
  const Config *config;
  Device *device;
  Model *model;
  const Dataset *dataset; /* NULL: pictures of the caller's own (sheet.h) */
  const ImagePool *pool;
  const ProgressListener *progress; /* NULL, or the caller's; hears of images, and of a probe */
  int capacity;
  BatchBuffers input;
  float *full, *composite;                /* device, [capacity, size, size, 3] */
  double *scores;                         /* device, [capacity, PICTURE_SCORES] */
  Crop *crops;                            /* host, [capacity] ... */
  int32_t *visible;                       /* [capacity, kept] */
  uint8_t *masked;                        /* [capacity, L] */
  double *full_scores, *composite_scores; /* [capacity, PICTURE_SCORES] */
  float *losses;                          /* [capacity] per-image loss sums */
} Evaluator;

/* Held-out images that are scored. */
int evaluate_count(const Config *, const Dataset *);

/* Makes the pictures of the `count` loaded images: composite always; full and losses where the
 * scorer offers them. */
typedef bool (*PictureMaker)(Evaluator *, int count, void *user, Error *);
/* Loads all held-out images batch after batch, has their pictures made and measures them. */
bool evaluate_pictures(Metrics *, Evaluator *, unsigned offers, PictureMaker, void *user, Error *);

/* An evaluator for the held-out split, whose images are in the pool: as many images at a time as
 * give the same scores to the last bit whether or not the model also trains. */
bool evaluator_open(Evaluator *, Model *, const Dataset *, const ImagePool *, Error *);
/* For up to `capacity` images at a time, of the pool. */
bool evaluator_create(Evaluator *, Model *, const ImagePool *, int capacity, Error *);
/* Bytes on the device of evaluator_open's. */
size_t evaluator_memory(const Config *);
void evaluator_destroy(Evaluator *);
/* Loads `count` images of the pool whose crops are in evaluator->crops; image i gets the mask of
 * evaluation image first + i. Fails only where an encoded image cannot be decoded. */
bool evaluator_load(Evaluator *, int first, int count, Error *);
/* Runs the model on the loaded images and reconstructs them into full and composite. */
void evaluator_reconstruct(Evaluator *, int count);
/* Measures the pictures of the loaded images, composite and (with OFFERS_FULL) full, and adds each
 * image's score to the sums. */
bool evaluator_measure(MetricSums *, Evaluator *, unsigned offers, int count, Error *);

#endif
