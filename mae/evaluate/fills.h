/* fills.h - the trivial fills, baselines that a reconstruction is read against: pictures
 * [size,size,3] in [0,1] whose hidden patches are filled from the visible ones. On the host. */
#ifndef MAE_EVALUATE_FILLS_H
#define MAE_EVALUATE_FILLS_H

#include <stdbool.h>
#include <stdint.h>

#include "mae/evaluate/evaluate.h"

/* False when out of memory. */
typedef bool (*Fill)(float *picture, const uint8_t *image, const uint8_t *masked, int size,
                     int patch);

/* Whether a pixel of a picture of size x size lies in a hidden patch. */
static inline bool fill_hides(const uint8_t *masked, int row, int column, int size, int patch) {
  return masked[(row / patch) * (size / patch) + column / patch];
}

/* The mean colour of the visible patches. */
bool fill_mean(float *picture, const uint8_t *image, const uint8_t *masked, int size, int patch);
/* Laplace's equation with the visible pixels as boundary (free border), solved to within about 1e-5
 * of a pixel's range; the same result whatever the thread count. */
bool fill_harmonic(float *picture, const uint8_t *image, const uint8_t *masked, int size,
                   int patch);

/* pictures[count, size, size, 3] of the evaluator's loaded images, which are here too. */
bool fill_pictures(float *pictures, const Evaluator *, Fill, const uint8_t *images, int count,
                   Error *);
/* Scores a fill on the held-out images. It has no loss and makes no visible patch. */
bool fill_score(Metrics *, Evaluator *, Fill, Error *);

#endif
