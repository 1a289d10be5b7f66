/* room.h - whether a pack will fit where it is to be written, asked before hours go into making it.
 * Internal to the data module. */
#ifndef MAE_DATA_ROOM_H
#define MAE_DATA_ROOM_H

#include "mae/data/source.h"

/* Images that are looked at, evenly spaced through both splits. */
enum { ROOM_SPECIMENS = 32 };

/* Loads some images of a source, or all of a small one, and takes the others to be like them. An
 * error (EXIT_DATA), with what is needed and what is free, where even three standard errors less
 * than that do not fit beside `path`; what lies at `path` already is gone on with, or overwritten.
 * An image that cannot be loaded is left for packing to tell of. */
bool room_for_pack(const char *path, const Source *, Error *);

#endif
