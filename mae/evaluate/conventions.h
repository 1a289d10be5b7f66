/* conventions.h - one checkpoint under every convention: the numbers that public implementations of
 * this model call PSNR and SSIM, each by a name of its own, so that a published number can be read
 * against all that it may mean (mae/README.md, The conventions of others). An examination, not the
 * protocol: that is metrics.h, and the conventions that are the protocol's give its numbers, in
 * every bit.
 *
 * A convention is a measure (what is averaged over which pixels) and three choices about the
 * pictures it is taken of. Its name is the measure's, followed by _unclamped, _leaky and _train for
 * the choices that are not the protocol's. */
#ifndef MAE_EVALUATE_CONVENTIONS_H
#define MAE_EVALUATE_CONVENTIONS_H

#include "mae/evaluate/scorers.h"

typedef struct Convention {
  char name[64];
  const char *measure; /* "psnr_masked" ...: the part of the name that the choices leave */
  const char *what;    /* half a sentence about the measure */
  const char *unit;    /* "dB" or "" */
  bool full;           /* of the decoder's output for all patches, which a fill does not have */
  bool unclamped;      /* un-normalised predictions are left outside [0,1] where they fall there */
  /* Marked: each patch has the mean and deviation of the target's, which no model could know. A
   * norm_pix model's prediction is un-normalised with them; any other picture's patch is first
   * normalised with its own, as train.norm_pix has it. Unmarked, predictions are read as normalised
   * pixels, a norm_pix model's too. */
  bool leaky;
  /* Marked: of as many training images, evenly spread over the split, centre square and no
   * augmentation, under the masks of the held-out ones. */
  bool training;
} Convention;

/* Measures times the three choices. */
enum { CONVENTION_MEASURES = 12, CONVENTIONS = 8 * CONVENTION_MEASURES };

/* The index-th. Those of the same images and statistics are neighbours; the protocol's own images
 * and statistics come first. */
Convention convention_at(int index);

typedef struct ConventionScores {
  int images[2]; /* held out; of the training split */
  /* Of the scorers in their list's order; NAN where one has no such picture. */
  double values[CONVENTIONS][SCORERS_MAX];
} ConventionScores;

/* Whether a scorer can be scored so: the model, and every fill on the composite. */
bool convention_has(const Convention *, const Scorer *);
/* Scores the evaluator's model and the fills. The evaluator is one of evaluator_open's. */
bool conventions_score(ConventionScores *, Evaluator *, Error *);

/* What a convention's picture of a patch is made of. */
typedef struct PatchPaint {
  int size, patch; /* of the pictures, of the patch */
  bool norm_pix;   /* predictions are in units of the target's deviation from its mean */
  bool leaky, unclamped;
} PatchPaint;
/* Writes the patch at `corner` of a picture [size, size, 3]. pred: [patch, patch, 3]; target: the
 * same corner of the original. */
void convention_paint(float *corner, const float *pred, const uint8_t *target, const PatchPaint *);

#endif
