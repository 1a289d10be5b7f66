/* jpeg.h - a picture as JPEG, for the page of results, whose pictures must be small. */
#ifndef HARNESS_PAGE_JPEG_H
#define HARNESS_PAGE_JPEG_H

#include <stddef.h>
#include <stdint.h>

#include "mae/base/error.h"

/* rgb: [height, width, 3]. quality: 1 to 100. The caller frees *bytes. */
bool jpeg_encode(unsigned char **bytes, size_t *size, const uint8_t *rgb, int width, int height,
                 int quality, Error *);

#endif
