/* artifact.h - a recorded file of a trial, read only as what was recorded. */
#ifndef HARNESS_STORE_ARTIFACT_H
#define HARNESS_STORE_ARTIFACT_H

#include <stddef.h>

#include "harness/store/store.h"

/* folder, path, sha256: as the view `artifacts` has them. *size bytes, which the caller frees. The
 * error of a file that is gone, cannot be read or is another one now is half a sentence ("its file
 * is gone"). */
bool artifact_read(unsigned char **bytes, size_t *size, const Store *, const char *folder,
                   const char *path, const char *sha256, Error *);
/* The sides of a picture in a PNG file; false when it is none. */
bool png_sides(const unsigned char *bytes, size_t size, int *width, int *height);

#endif
