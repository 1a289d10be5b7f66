/* mask.h - which patches the encoder sees. Every draw is a Philox counter of (seed, stream, epoch,
 * sample), so a mask depends on nothing but those. */
#ifndef MAE_MODEL_MASK_H
#define MAE_MODEL_MASK_H

#include <stdint.h>

#include "mae/config/config.h"

/* Writes the numbers of the `keep` visible patches, ascending, which is the order the encoder reads
 * them in, and masked[L] = 0 visible, 1 hidden. `keep` is exact for every kind.
 *  random: each set of `keep` patches is equally likely.
 *  block:  hidden rectangles of random shape and place (as BEiT draws them; side x side patch grid)
 *          until L - keep patches are hidden; the last rectangle is cut short at that number.
 *          Rectangles lie inside the image, so its middle is hidden more often than its corners.
 *  grid:   the visible patches are the first `keep` of an ordered-dither (Bayer) pattern at a
 *          random phase: one of every 2x2 at ratio .75, a chequerboard at .5, evenly spread
 * between.
 */
void mask_draw(int32_t *visible, uint8_t *masked, int side, int keep, MaskKind kind, uint64_t seed,
               uint32_t stream, uint32_t epoch, uint64_t sample);

#endif
