/* ssim.h - structural similarity with the other windows that are in use, on the host and in double.
 * (The protocol's own, the Gaussian one, is the operation image_scores of kernels/backend.h.)
 *
 * All are the formula of Wang et al. 2004 with K 0.01 and 0.03 and data range 1. picture:
 * [size, size, 3] near [0,1]; image: uint8 of that shape, compared as value/255. */
#ifndef MAE_EVALUATE_SSIM_H
#define MAE_EVALUATE_SSIM_H

#include <stdint.h>

/* A uniform window of 7x7 and the sample covariance: what scikit-image's structural_similarity does
 * unless told otherwise. Per channel, averaged over the pixels whose window lies within the
 * picture; NAN when there is none. */
double ssim_uniform(const float *picture, const uint8_t *image, int size);
/* One window: means, variances and covariance (of the population) over all values of the picture at
 * once, the channels together. */
double ssim_global(const float *picture, const uint8_t *image, int size);

#endif
