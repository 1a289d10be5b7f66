/* metrics.h - the metric protocol: the one list of what is measured on held-out images. Events, the
 * database, tables, comparisons and figures go by this list; a new number is a new row here (and,
 * when it needs another sum over pixels, a PictureScore in kernels/backend.h).
 *
 * Each number has one name and one meaning. Pixels in [0,1], data range 1. PSNR of an image from
 * its own mean squared error, mean of the dB over images; *_pooled from the pooled mean squared
 * error. A perfect image is capped at PSNR_CAP dB and counted in `perfect`. */
#ifndef MAE_EVALUATE_METRICS_H
#define MAE_EVALUATE_METRICS_H

#include <stdbool.h>

#include "kernels/backend.h"
#include "mae/probe/probe.h"

#define PSNR_CAP 100.0

/* What a scorer has to offer so that a number has a meaning. */
enum {
  OFFERS_LOSS = 1,   /* predictions in the space of the training targets */
  OFFERS_HIDDEN = 2, /* pictures whose hidden patches were made from the visible ones */
  OFFERS_FULL = 4,   /* pictures in which the visible patches, too, were made */
  OFFERS_LEAKY = 8,  /* pictures un-normalised with the target's own statistics (norm_pix) */
  OFFERS_PROBE = 16, /* the classes of images told from features */
};

/* One image's sums. `composite`: visible patches pasted from the input. */
typedef struct ImageScore {
  double loss;                                            /* as in training */
  double composite[PICTURE_SCORES], full[PICTURE_SCORES]; /* by PictureScore */
  double hidden_values, values;                           /* under the mask; of the picture */
} ImageScore;

enum { METRICS_MAX = 64 };

/* Running sums over images, in image order. */
typedef struct MetricSums {
  int images, perfect;
  double mean[METRICS_MAX]; /* sums of Metric.of_image */
  double composite_error, full_error, hidden_values, values;
} MetricSums;

typedef struct Metric {
  const char *name, *unit; /* as events, tables and figures call it; "dB", "%" or "" */
  int better;              /* 1: higher is better, -1: lower */
  int digits;              /* decimals that a table shows */
  unsigned needs;          /* OFFERS_* */
  bool headline;           /* told to people while a run goes on */
  const char *meaning;     /* half a sentence, for tables and captions */
  bool second;             /* another reading of a number above: views leave it out */
  const char *title;       /* words for a figure's axis, without the unit; NULL: the name serves */
  /* One of the three: the mean of a number of each image, one number of the pooled sums, or one of
   * ProbeScores, by its offset there. */
  double (*of_image)(const ImageScore *);
  double (*of_sums)(const MetricSums *);
  size_t of_probe;
} Metric;
extern const Metric metric_list[];
extern const int metric_count;
/* NULL: there is none of this name. */
const Metric *metric_find(const char *name);

typedef struct Metrics {
  int images;
  int perfect;                /* images whose PSNR was capped */
  unsigned offers;            /* of the scorer: which values have a meaning */
  double values[METRICS_MAX]; /* in the list's order; NAN without a meaning */
  int train_images, classes;  /* of a probe */
  char note[320];             /* what a scorer left out, and why; images 0: everything */
} Metrics;

void metrics_reset(MetricSums *);
void metrics_add(MetricSums *, const ImageScore *);
Metrics metrics_finish(const MetricSums *, unsigned offers);
/* The numbers of a probe of so many held-out images. */
Metrics metrics_of_probe(const ProbeScores *, const Probe *);
/* Whether metric_list[index] has a meaning here. */
bool metrics_has(const Metrics *, int index);
/* The index-th of the published numbers; NULL past the end. */
const Metric *metrics_item(int index, const Metrics *, double *value);
/* By name; NAN when it has no meaning here. */
double metrics_get(const Metrics *, const char *name);

double psnr_from_mse(double mse); /* capped at PSNR_CAP */

#endif
