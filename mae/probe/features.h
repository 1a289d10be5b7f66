/* features.h - what an encoder makes of whole images: nothing hidden, nothing augmented, the
 * evaluation's crop. */
#ifndef MAE_PROBE_FEATURES_H
#define MAE_PROBE_FEATURES_H

#include "mae/data/pool.h"
#include "mae/model/model.h"

/* The four readings of an encoder's tokens, as metrics and tensors call them. */
#define READOUTS(X)                                                                                \
  X(cls, "the class token")                                                                        \
  X(mean, "the mean of the patch tokens")                                                          \
  X(cls_prenorm, "the class token before the final norm")                                          \
  X(mean_prenorm, "the mean of the patch tokens before the final norm")

#define READOUT_ID(name, meaning) READOUT_##name,
enum { READOUTS(READOUT_ID) READOUT_COUNT };
#undef READOUT_ID
extern const char *const readout_names[READOUT_COUNT];

/* Readouts that probe.features asks for and the model has, as bits 1 << READOUT_name. */
unsigned readouts_wanted(const Config *);

/* Images of one split and what is known of each. In host memory. */
typedef struct Features {
  const Dataset *dataset;
  bool training; /* which split */
  int images, width;
  int32_t *index, *labels;      /* [images]: place in the split; class, -1: none */
  float *values[READOUT_COUNT]; /* [images, width]; NULL: not asked for */
} Features;

/* Chooses `wanted` images (0: all), evenly spaced, among those of a split whose label lies in
 * 0..classes-1 (classes 0: among all). */
bool features_choose(Features *, const Dataset *, bool training, int wanted, int classes, Error *);
/* Fills values[r] for every bit of `readouts` with what the model makes of the chosen images. The
 * listener, here and below, hears of images. */
bool features_extract(Features *, Model *, const ImagePool *, unsigned readouts,
                      const ProgressListener *, Error *);
/* Fills values[0] with the pixels: the image averaged down to PIXELS_SIDE squared, in [0,1]. */
enum { PIXELS_SIDE = 16 };
bool features_pixels(Features *, const Config *, Device *, const ImagePool *,
                     const ProgressListener *, Error *);
void features_free(Features *);

/* Bytes on the device while features are extracted. */
size_t features_memory(const Config *);

#endif
