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

/* Roughly what probes of so many images cost, in GFLOP at the rate of a training step: one of the
 * model, and what is scored once, at a run's end (random weights, which cost as much again, and
 * pixels). With n training and m held-out images, features of width w, K classes and R readings a
 * probe is
 *
 *   F (n + m) x model_gflops_whole_image
 *   + R x (2 n m w + H x 2 m w min(n, PROBE_CANDIDATES))    votes
 *   + R x (PROBE_ITERATIONS x 4 n w K + H x 2 w^3 x PROBE_FITS)    fits
 *
 * F: a forward pass alone does fewer GFLOP in a second than a training step. H: so does the host in
 * double, which computes the candidates' similarities and the inverse that a fit starts from. Both
 * were seen on a CPU at width 96, as were the iterations of all fits (40 for features, 110 for
 * pixels). Images that are not known (0) cost nothing. */
#define PROBE_FORWARD 1.5 /* F */
enum {
  PROBE_HOST = 16, /* H */
  PROBE_CANDIDATES = 512,
  PROBE_ITERATIONS = 60,
  PROBE_FITS = 7
};
typedef struct ProbeWork {
  double model, baselines;
} ProbeWork;
ProbeWork probe_work(const Config *, int train_images, int eval_images, int classes);

/* Bytes that a probe of so many images takes: on the device, and for features on the host. None
 * when it is not known how many there are (0 training images). */
typedef struct ProbeMemory {
  size_t device, host;
} ProbeMemory;
ProbeMemory probe_memory(const Config *, int train_images, int eval_images, int classes);

#endif
