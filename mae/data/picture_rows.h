/* picture_rows.h - where the decoders put the rows of a picture, from top to bottom: into its
 * pixels, or averaged into them, so that a large photograph is never in memory as a whole; or
 * nowhere, when the file is only looked through for faults. */
#ifndef MAE_DATA_PICTURE_ROWS_H
#define MAE_DATA_PICTURE_ROWS_H

#include "mae/data/picture.h"

typedef struct PictureRows {
  Picture *picture;
  const char *name; /* of the file */
  const PictureOptions *options;
  const PictureBox *box; /* the part that is wanted, and */
  uint8_t *rgb;          /* where it is wanted; NULL: all of it, in the picture */
  bool decoder_reduces;  /* by box->reduction: rows come reduced */
  int factor;            /* blocks of factor x factor pixels make one */
  int row;               /* the next one, of the file's */
  int width, height;     /* after the reduction */
  uint8_t *whole;        /* one row of the file, where that is not the place it stays in, and */
  uint32_t *sums;        /* [width, 3]: of the block rows so far; NULL when factor is 1 */
} PictureRows;

/* Makes room for a picture of this size, which it checks first; `more` is what the decoder itself
 * is going to allocate. On failure and afterwards rows_end is called, once or more. */
bool rows_begin(PictureRows *, size_t width, size_t height, size_t more, Error *);
/* Where the decoder shall put the next row, [width, 3]; and that it is there. */
uint8_t *rows_place(PictureRows *);
void rows_placed(PictureRows *);
/* Whether all rows that are wanted are there. */
bool rows_complete(const PictureRows *);
void rows_end(PictureRows *);
/* Keeps the first thing that is read past. */
void rows_oddity(PictureRows *, const char *what);

/* The decoders. */
bool jpeg_decode(PictureRows *, const void *bytes, size_t size, Error *);
bool png_decode(PictureRows *, const void *bytes, size_t size, Error *);

/* Turns rgb into `encoded`, as PictureKeep has it. */
bool picture_encode(Picture *, const char *name, const PictureKeep *, Error *);

#endif
