/* fills.h - the trivial fills, baselines that a reconstruction is read against. */
#ifndef MAE_EVALUATE_FILLS_H
#define MAE_EVALUATE_FILLS_H

#include <stdbool.h>
#include <stdint.h>

/* Pictures [size,size,3] in [0,1] whose hidden patches are filled from the
 * visible ones. On the host. */
void fill_mean(float *picture, const uint8_t *image, const uint8_t *masked, int size, int patch);
/* Laplace's equation with the visible pixels as boundary (free border), solved to within about 1e-5
 * of a pixel's range; the same result whatever the thread count. False when out of memory. */
bool fill_harmonic(float *picture, const uint8_t *image, const uint8_t *masked, int size,
                   int patch);

#endif
