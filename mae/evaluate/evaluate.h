/* evaluate.h - scoring a model, and the trivial fills, on the held-out images: the first
 * eval.images of them, centre crop, masks drawn from (eval.seed, image index). */
#ifndef MAE_EVALUATE_EVALUATE_H
#define MAE_EVALUATE_EVALUATE_H

#include "mae/data/pool.h"
#include "mae/evaluate/metrics.h"

/* Buffers for scoring up to `capacity` images at a time. */
typedef struct Evaluator {
  const Config *config;
  Device *device;
  Model *model;
  int capacity;
  BatchBuffers input;
  float *full, *composite;                /* device, [capacity, size, size, 3] */
  double *scores;                         /* device, [capacity, 2] */
  Crop *crops;                            /* host, [capacity] ... */
  int32_t *visible;                       /* [capacity, keep] */
  uint8_t *masked;                        /* [capacity, L] */
  double *full_scores, *composite_scores; /* [capacity, 2] */
  float *losses;                          /* [capacity] */
} Evaluator;

/* Scores the evaluator's model on the held-out split, whose images are in the pool. */
bool evaluate(Metrics *, Evaluator *, const Dataset *, const ImagePool *, Error *);
/* Scores a trivial fill on the same images and masks. name: fill_mean or fill_harmonic. Only the
 * masked and composite metrics have a meaning: a fill has no output for visible patches. */
bool evaluate_baseline(Metrics *, const char *name, Evaluator *, const Dataset *, const ImagePool *,
                       Error *);
/* Held-out images that are scored. */
int evaluate_count(const Config *, const Dataset *);

/* An evaluator for the held-out split: as many images at a time as give the same scores to the last
 * bit whether or not the model also trains. */
bool evaluator_open(Evaluator *, Model *, Error *);
/* For up to `capacity` images at a time. */
bool evaluator_create(Evaluator *, Model *, int capacity, Error *);
/* Bytes on the device of evaluator_open's. */
size_t evaluator_memory(const Config *);
void evaluator_destroy(Evaluator *);
/* Loads `count` images of the pool whose crops are in evaluator->crops; image i gets the mask of
 * evaluation image first + i. */
void evaluator_load(Evaluator *, const ImagePool *, int first, int count);
/* Runs the model on the loaded images and reconstructs them into full and composite. */
void evaluator_reconstruct(Evaluator *, int count);

#endif
