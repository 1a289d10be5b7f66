/* regions.h - crops of encoded images: of each the part that its box covers is decoded, by all
 * threads, into a buffer from which the device cuts it as from a pack of pixels. Internal to the
 * data module.
 *
 * Boxes are drawn in pixels of the image as it is packed. What is decoded is the image reduced 8, 4
 * or 2 times, the most after which the box is still at least as large as the crop that is made of
 * it, or else 1; there its edges are rounded to whole pixels, so that they move by at most half a
 * pixel of the crop. A pixel is that of the whole image decoded: nothing in it depends on the box,
 * on threads or on what else is decoded. */
#ifndef MAE_DATA_REGIONS_H
#define MAE_DATA_REGIONS_H

#include "mae/data/dataset.h"
#include "mae/data/picture.h"

/* What is decoded for a crop of size x size pixels. */
void region_box(PictureBox *, const Crop *, int size);
/* The most bytes that any crop with sides in a ratio of up to 4/3 takes, of any image. */
size_t regions_largest(const Dataset *, int size);
/* How many of the crops, from the first on, `room` bytes hold the regions of. */
int regions_fit(const Crop *, int count, int size, size_t room);
/* Decodes the regions of the crops of a data set, one behind the other, into rgb. placed[count]:
 * the crops as they are to be cut from there. Returns the bytes used; 0 and an error when an image
 * cannot be decoded. */
size_t regions_decode(uint8_t *rgb, Crop *placed, const Dataset *, const Crop *, int count,
                      int size, int threads, Error *);
/* The data set's SHA-256 with what libjpeg makes of it; see dataset.h. */
bool regions_identify(Dataset *, Error *);

#endif
