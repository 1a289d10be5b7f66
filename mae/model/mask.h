/* mask.h - which patches the encoder sees. Every draw is a Philox counter of (seed, stream, epoch,
 * sample), so a mask depends on nothing but those. */
#ifndef MAE_MODEL_MASK_H
#define MAE_MODEL_MASK_H

#include <stdint.h>

#include "mae/config/config.h"

/* Writes the numbers of the `keep` visible patches of a side x side grid, ascending, which is the
 * order the encoder reads them in, and masked[side * side] = 0 visible, 1 hidden. `keep` is exact
 * for every kind; mask.c says how each kind chooses. */
void mask_draw(int32_t *visible, uint8_t *masked, int side, int keep, MaskKind kind, uint64_t seed,
               uint32_t stream, uint32_t epoch, uint64_t sample);

#endif
