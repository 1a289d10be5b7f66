/* sheet.h - a contact sheet: rows of pictures under labelled columns, for the eye. */
#ifndef MAE_EVALUATE_SHEET_H
#define MAE_EVALUATE_SHEET_H

#include "mae/data/dataset.h"
#include "mae/data/pool.h"
#include "mae/model/model.h"

typedef struct Sheet {
  int columns, rows;
  int picture_size, scale; /* small pictures are enlarged by a whole factor */
  int width, height;
  uint8_t *rgb; /* [height, width, 3] */
} Sheet;

bool sheet_create(Sheet *, int rows, int columns, int picture_size, Error *);
void sheet_destroy(Sheet *);
/* Text is in capitals and digits; characters without a glyph stay blank. */
void sheet_label(Sheet *, int column, const char *text);
/* picture: [size, size, 3] in [0,1]; caption may be NULL. */
void sheet_place(Sheet *, int row, int column, const float *picture, const char *caption);

/* Writes original | masked | reconstruction | harmonic fill of `count` images, cut by `crops` out
 * of the pool's, to a PNG, and in a row below what the last two differ by from the original: four
 * times the distance of each colour, black where they are equal. The reconstruction is the
 * composite; the captions are its and the fill's psnr_composite (of norm_pix models, whose pictures
 * leak the target's statistics, the word LEAKY instead). Masks are those of the first evaluation
 * images. The listener hears of images. */
bool sheet_write(const char *path, Model *, const ImagePool *, const Crop *crops, int count,
                 const ProgressListener *, Error *);
/* The same for the first `count` held-out images, or all when there are fewer. */
bool sheet_write_held_out(const char *path, Model *, const Dataset *, const ImagePool *, int count,
                          const ProgressListener *, Error *);

#endif
