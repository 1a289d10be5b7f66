/* picture.h - reading JPEG and PNG, writing PNG. Bad files end in an Error, never in exit(). */
#ifndef MAE_DATA_PICTURE_H
#define MAE_DATA_PICTURE_H

#include <stddef.h>
#include <stdint.h>

#include "mae/base/error.h"

enum { PICTURE_SIDE_MAX = 16384 }; /* longest side that is read */

typedef struct Picture {
  int width, height;
  uint8_t *rgb; /* [height, width, 3]; one-channel files are spread, alpha is dropped */
} Picture;

/* By content, not by name. A truncated or non-image file is an error naming it. */
bool picture_read(Picture *, const char *path, Error *);
bool picture_decode(Picture *, const char *name, const void *bytes, size_t size, Error *);
void picture_free(Picture *);
bool picture_write_png(const char *path, const uint8_t *rgb, int width, int height, Error *);

#endif
