/* window.h - the images of a split loaded by all threads and handed over in their order, within
 * bounded memory whatever the files are. Internal to the data module.
 *
 * Held at once are at most WINDOW_IMAGES images and WINDOW_BYTES of what loading them takes, beside
 * the one that is handed over next: it never waits, so that the work goes on. */
#ifndef MAE_DATA_WINDOW_H
#define MAE_DATA_WINDOW_H

#include "mae/data/source.h"

enum { WINDOW_IMAGES = 128, WINDOW_BYTES = 256 << 20 };

typedef struct WindowImage {
  Picture picture;
  int32_t label;
  bool ok;
  Error error; /* why not */
} WindowImage;

/* Bytes that a loaded picture holds. */
size_t window_bytes(const Picture *);

/* Called for each image from `first` on, in order, from any thread but one at a time; false ends it
 * all. */
typedef bool (*WindowTake)(void *user, const WindowImage *, Error *);
bool window_run(const Source *, int split, int first, WindowTake, void *user, Error *);

#endif
