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
  uint8_t *encoded; /* instead of rgb where PictureOptions.keep asks for it: a JPEG or PNG */
  size_t encoded_size;
  char oddity[512]; /* what was read past, in the library's words, and in what; "": nothing */
} Picture;

/* Memory that pictures being read at once share: told what reading one needs beyond a few rows,
 * before that is allocated; may wait. */
typedef struct PictureRoom {
  void (*take)(void *user, size_t bytes);
  void *user;
} PictureRoom;

/* Which encoded pictures to make: of the file's own bytes, or, where the longer side has more than
 * `side` pixels (0: no limit), of the picture averaged down to that, as a JPEG of this quality. */
typedef struct PictureKeep {
  int side, quality;
} PictureKeep;

/* How to read; NULL stands for all zeros. */
typedef struct PictureOptions {
  /* Averages blocks of f x f pixels, f = shorter side / `side` rounded down, when that is 2 or
   * more: a photograph straight from a camera is not worth its memory at training sizes. What does
   * not fill a block at the right and bottom is dropped. 0: as it is. */
  int side;
  /* Decodes the whole file for its faults, and keeps it encoded. */
  const PictureKeep *keep;
  const PictureRoom *room; /* NULL: without limit */
} PictureOptions;

/* A part of a picture reduced 1, 2, 4 or 8 times, in pixels of the reduced one, which has width /
 * reduction x height / reduction of them, rounded down. */
typedef struct PictureBox {
  int reduction, left, top, width, height;
} PictureBox;

/* By content, not by name. */
bool picture_read(Picture *, const char *path, const PictureOptions *, Error *);
bool picture_decode(Picture *, const char *name, const void *bytes, size_t size,
                    const PictureOptions *, Error *);
/* rgb[height, width, 3] of the box: bytes that depend on the file, the box and libjpeg alone. A
 * JPEG is reduced while it is decoded (libjpeg's scaled inverse transforms), which takes less time;
 * a PNG by averaging blocks. Rows below the box are not decoded, and what is wrong with them not
 * found. With reduction 1 they are the pixels that picture_decode gives. */
bool picture_decode_box(uint8_t *rgb, const char *name, const void *bytes, size_t size,
                        const PictureBox *, Error *);
void picture_free(Picture *);
bool picture_write_png(const char *path, const uint8_t *rgb, int width, int height, Error *);

#endif
