/* picture_rows.h - where the decoders put the rows of a picture, from top to bottom: into its
 * pixels, or averaged into them, so that a large photograph is never in memory as a whole. */
#ifndef MAE_DATA_PICTURE_ROWS_H
#define MAE_DATA_PICTURE_ROWS_H

#include "mae/data/picture.h"

typedef struct PictureRows {
  Picture *picture;
  const char *name; /* of the file */
  const PictureOptions *options;
  int factor;     /* blocks of factor x factor pixels make one */
  int row;        /* the next one, of the file's */
  uint8_t *whole; /* one row of the file, and */
  uint32_t *sums; /* [picture's width, 3]: of the block rows so far; both NULL when factor is 1 */
} PictureRows;

/* Makes room for a picture of this size, which it checks first; `more` is what the decoder itself
 * is going to allocate. On failure and afterwards rows_end is called, once or more. */
bool rows_begin(PictureRows *, size_t width, size_t height, size_t more, Error *);
/* Where the decoder shall put the next row, [width, 3]; and that it is there. */
uint8_t *rows_place(PictureRows *);
void rows_placed(PictureRows *);
void rows_end(PictureRows *);
/* Keeps the first thing that is read past. */
void rows_oddity(PictureRows *, const char *what);

/* The decoders. */
bool jpeg_decode(PictureRows *, const void *bytes, size_t size, Error *);
bool png_decode(PictureRows *, const void *bytes, size_t size, Error *);

#endif
