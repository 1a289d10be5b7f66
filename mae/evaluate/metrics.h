/* metrics.h - the metric protocol. Each number has one name and one meaning; see psnr_* below.
 * Pixels in [0,1], data range 1. PSNR of an image from its own mean squared error, mean of the dB
 * over images; *_pooled from the pooled mean squared error. A perfect image is capped at
 * PSNR_CAP dB and counted in `perfect`. */
#ifndef MAE_EVALUATE_METRICS_H
#define MAE_EVALUATE_METRICS_H

#define PSNR_CAP 100.0

typedef struct Metrics {
  int images;
  double loss;                                  /* of the evaluation masks, as in training */
  double psnr_masked, psnr_masked_pooled;       /* masked pixels only */
  double psnr_composite, psnr_composite_pooled; /* visible patches pasted from the input */
  double psnr_full, psnr_full_pooled;           /* every patch from the decoder */
  double ssim_composite, ssim_full;
  int perfect; /* images whose PSNR was capped */
} Metrics;

/* Running sums over images, in image order, in double. */
typedef struct MetricSums {
  int images, perfect;
  double loss;
  double db_masked, db_composite, db_full;
  double sse_masked, sse_full;
  double masked_values, all_values;
  double ssim_composite, ssim_full;
} MetricSums;

void metrics_reset(MetricSums *);
/* One image: squared error sums of the composite (= of the masked pixels, visible ones being exact)
 * and of the full reconstruction, their SSIM, and how many of `values` lie under the mask. */
void metrics_add(MetricSums *, double loss, double sse_composite, double ssim_composite,
                 double sse_full, double ssim_full, double masked_values, double values);
Metrics metrics_finish(const MetricSums *);
double psnr_from_mse(double mse); /* capped at PSNR_CAP */

/* What was scored decides which numbers have a meaning and under which name they are published.
 * METRICS_LEAKY: a norm_pix model, whose pictures use the target's own patch statistics; its
 * composite is published as psnr_leaky and ssim_leaky. METRICS_FILL: a trivial fill, which has no
 * loss and no output for visible patches. */
typedef enum MetricsKind { METRICS_MODEL, METRICS_LEAKY, METRICS_FILL } MetricsKind;
/* The index-th published number of a kind: its name, or NULL past the end. */
const char *metrics_item(int index, MetricsKind, const Metrics *, double *value);

#endif
