/* picture.h - reading JPEG and PNG, writing PNG. Bad files end in an Error, never in exit().
 *
 * The pixels are those of Pillow's Image.open(path).convert("RGB"): CMYK and YCCK JPEGs are taken
 * as Adobe writes them (inverted), gAMA and colour profiles of a PNG are not applied, alpha is
 * dropped, and of 16-bit samples the high byte is kept (Pillow 9 clips grey ones to white, which
 * nobody wants). EXIF orientation is not applied, as there: a picture lies as its file stores it.
 *
 * What loses picture data is an error: a premature end, a code that is in no table, a missing
 * restart, an inconsistent progression. What does not is read past as Pillow does, and told: bytes
 * between the data and the next marker, an unknown JFIF revision or Adobe transform, odd scan
 * parameters, a damaged text chunk. */
#ifndef MAE_DATA_PICTURE_H
#define MAE_DATA_PICTURE_H

#include <stddef.h>
#include <stdint.h>

#include "mae/base/error.h"

enum { PICTURE_SIDE_MAX = 16384 }; /* longest side that is read */

typedef struct Picture {
  int width, height;
  uint8_t *rgb;     /* [height, width, 3]; one-channel files are spread */
  char oddity[512]; /* what was read past, in the library's words, and in what; "": nothing */
} Picture;

/* Memory that pictures being read at once share: told what reading one needs beyond a few rows,
 * before that is allocated; may wait. */
typedef struct PictureRoom {
  void (*take)(void *user, size_t bytes);
  void *user;
} PictureRoom;

/* How to read; NULL stands for all zeros. */
typedef struct PictureOptions {
  /* Averages blocks of f x f pixels, f = shorter side / `side` rounded down, when that is 2 or
   * more: a photograph straight from a camera is not worth its memory at training sizes. What does
   * not fill a block at the right and bottom is dropped. 0: as it is. */
  int side;
  const PictureRoom *room; /* NULL: without limit */
} PictureOptions;

/* By content, not by name. */
bool picture_read(Picture *, const char *path, const PictureOptions *, Error *);
bool picture_decode(Picture *, const char *name, const void *bytes, size_t size,
                    const PictureOptions *, Error *);
void picture_free(Picture *);
bool picture_write_png(const char *path, const uint8_t *rgb, int width, int height, Error *);

#endif
