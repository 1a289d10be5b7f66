/* probe.h - what can be told of images from features: the vote of neighbours and the linear
 * classifier on each readout, as a [probe] section of the configuration asks for them. */
#ifndef MAE_PROBE_PROBE_H
#define MAE_PROBE_PROBE_H

#include "mae/probe/features.h"
#include "mae/probe/neighbours.h"
#include "mae/probe/regression.h"

/* Everything in percent; NAN: not measured. */
typedef struct ProbeScores {
  Accuracy neighbours[READOUT_COUNT][NEIGHBOUR_COUNTS]; /* in the order of neighbour_counts */
  Accuracy linear[READOUT_COUNT];
  double strength[READOUT_COUNT]; /* chosen for the linear classifier */
} ProbeScores;

/* The images of a probe, and afterwards their features. */
typedef struct Probe {
  const Config *config;
  Device *device;
  Features train, eval;
  int classes;
  int threads;                      /* of the host */
  const ProgressListener *progress; /* NULL, or the caller's; see progress.h */
  /* What of the data set is left out, and why, in one line; empty: nothing. */
  char note[320];
} Probe;

/* Chooses the images. With no two classes in the training split, or no held-out image of one of
 * them, eval.images is 0, the note says so, and there is nothing to run. */
bool probe_open(Probe *, const Config *, Device *, const Dataset *, Error *);
void probe_close(Probe *);
void probe_scores_reset(ProbeScores *);
/* Scores readout r from the features values[r] of both splits. */
bool probe_readout(ProbeScores *, const Probe *, int r, Error *);
/* Scores what the model, as it is now, makes of the images. */
bool probe_model(ProbeScores *, Probe *, Model *, const ImagePool *, Error *);
/* Scores the pixels; they have one reading, which stands for every readout that is asked for. */
bool probe_pixels(ProbeScores *, Probe *, const ImagePool *, Error *);
/* The answer that needs no image: the commonest classes of the training images. */
void probe_chance(ProbeScores *, const Probe *);

/* Bytes that a probe of so many images takes: on the device, and for features on the host. None
 * when it is not known how many there are (0 training images). */
typedef struct ProbeMemory {
  size_t device, host;
} ProbeMemory;
ProbeMemory probe_memory(const Config *, int train_images, int eval_images, int classes);

#endif
