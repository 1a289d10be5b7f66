/* mask.h - which patches the encoder sees. Every draw is a Philox counter of (seed, stream, epoch,
 * sample), so a mask depends on nothing but those. */
#ifndef MAE_MASK_H
#define MAE_MASK_H

#include <stdint.h>

#include "mae/config.h"

/* keep = floor(L (1 - ratio)) as decimal arithmetic gives it: 196 at .75 -> 49, 100 at .8 -> 20,
 * 225 at .8 -> 45 (a plain double product says 19 and 44). */
int mask_keep_count(int patches, double ratio);

/* Writes the numbers of the `keep` visible patches, in the order the encoder reads them, and
 * masked[L] = 0 visible, 1 hidden. random: a uniform permutation's first keep. block: hidden
 * rectangles of random shape (side x side patch grid) until L - keep are hidden. grid: a regular
 * lattice of visible patches with a random phase. `keep` is exact for all three. */
void mask_draw(int32_t *visible, uint8_t *masked, int side, int keep, MaskKind kind, uint64_t seed,
               uint32_t stream, uint32_t epoch, uint64_t sample);

#endif
