/* unfinished.h - what packings that were cut short left in a folder of packs. One that is begun
 * again with the same images and options goes on with it (part.h); of others nothing else takes it
 * away. */
#ifndef MAE_DATA_UNFINISHED_H
#define MAE_DATA_UNFINISHED_H

#include <stdint.h>

#include "mae/base/error.h"

/* Removes it, but for what another process packs just now; *freed grows by its bytes. With dry it
 * is only counted. A folder that is not there has nothing. */
bool unfinished_remove(const char *cache, bool dry, int64_t *freed, Error *);

#endif
