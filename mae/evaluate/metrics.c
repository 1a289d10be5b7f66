/* metrics.c - the list of metrics, and the sums behind them. */
#include "mae/evaluate/metrics.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

double psnr_from_mse(double mse) {
  if (!(mse > 0.0)) return isnan(mse) ? mse : PSNR_CAP;
  double db = -10.0 * log10(mse);
  return db > PSNR_CAP ? PSNR_CAP : db;
}

/* Visible pixels of a composite are exact, so all of its error lies under the mask. */
static double image_psnr_masked(const ImageScore *s) {
  return psnr_from_mse(s->composite[SCORE_ERROR] / s->hidden_values);
}
static double image_psnr_composite(const ImageScore *s) {
  return psnr_from_mse(s->composite[SCORE_ERROR] / s->values);
}
static double image_psnr_full(const ImageScore *s) {
  return psnr_from_mse(s->full[SCORE_ERROR] / s->values);
}
static double image_ssim_composite(const ImageScore *s) {
  return s->composite[SCORE_SSIM];
}
static double image_ssim_full(const ImageScore *s) {
  return s->full[SCORE_SSIM];
}
static double image_loss(const ImageScore *s) {
  return s->loss;
}
static double pooled_psnr_masked(const MetricSums *s) {
  return psnr_from_mse(s->composite_error / s->hidden_values);
}
static double pooled_psnr_composite(const MetricSums *s) {
  return psnr_from_mse(s->composite_error / s->values);
}
static double pooled_psnr_full(const MetricSums *s) {
  return psnr_from_mse(s->full_error / s->values);
}

/* A probe's numbers of one readout: the headline of each way of telling, then its other readings.
 */
#define OF_PROBE(member) .of_probe = offsetof(ProbeScores, member)
#define HEADLINE(readout) ((READOUT_##readout) == READOUT_mean)
#define NEIGHBOURS(readout) neighbours[READOUT_##readout]
#define PROBE_HEADLINES(readout, meaning)                                                          \
  {"knn_" #readout,                                                                                \
   "%",                                                                                            \
   1,                                                                                              \
   1,                                                                                              \
   OFFERS_PROBE,                                                                                   \
   HEADLINE(readout),                                                                              \
   "top-1 by a vote of 20 neighbours on " meaning,                                                 \
   .title = "nearest neighbours, " #readout,                                                       \
   OF_PROBE(NEIGHBOURS(readout)[0].top1)},                                                         \
      {"linear_" #readout,                                                                         \
       "%",                                                                                        \
       1,                                                                                          \
       1,                                                                                          \
       OFFERS_PROBE,                                                                               \
       HEADLINE(readout),                                                                          \
       "top-1 of a linear classifier on " meaning,                                                 \
       .title = "linear probe, " #readout,                                                         \
       OF_PROBE(linear[READOUT_##readout].top1)},
#define NEIGHBOUR_READINGS(readout, meaning, count, place)                                         \
  {"knn_" #readout "_k" #count,                                                                    \
   "%",                                                                                            \
   1,                                                                                              \
   1,                                                                                              \
   OFFERS_PROBE,                                                                                   \
   false,                                                                                          \
   "top-1 by a vote of " #count " neighbours on " meaning,                                         \
   .second = true,                                                                                 \
   OF_PROBE(NEIGHBOURS(readout)[place].top1)},                                                     \
      {"knn_" #readout "_k" #count "_top5",                                                        \
       "%",                                                                                        \
       1,                                                                                          \
       1,                                                                                          \
       OFFERS_PROBE,                                                                               \
       false,                                                                                      \
       "top-5 by a vote of " #count " neighbours on " meaning,                                     \
       .second = true,                                                                             \
       OF_PROBE(NEIGHBOURS(readout)[place].top5)},
#define PROBE_READINGS(readout, meaning)                                                           \
  {"knn_" #readout "_top5",                                                                        \
   "%",                                                                                            \
   1,                                                                                              \
   1,                                                                                              \
   OFFERS_PROBE,                                                                                   \
   false,                                                                                          \
   "top-5 by a vote of 20 neighbours on " meaning,                                                 \
   .second = true,                                                                                 \
   OF_PROBE(NEIGHBOURS(readout)[0].top5)},                                                         \
      NEIGHBOUR_READINGS(readout, meaning, 10, 1) NEIGHBOUR_READINGS(readout, meaning, 100, 2)     \
          NEIGHBOUR_READINGS(readout, meaning, 200, 3){"linear_" #readout "_top5",                 \
                                                       "%",                                        \
                                                       1,                                          \
                                                       1,                                          \
                                                       OFFERS_PROBE,                               \
                                                       false,                                      \
                                                       "top-5 of a linear classifier on " meaning, \
                                                       .second = true,                             \
                                                       OF_PROBE(linear[READOUT_##readout].top5)},  \
      {"linear_" #readout "_strength",                                                             \
       "",                                                                                         \
       1,                                                                                          \
       5,                                                                                          \
       OFFERS_PROBE,                                                                               \
       false,                                                                                      \
       "L2 strength chosen for a linear classifier on " meaning,                                   \
       .second = true,                                                                             \
       OF_PROBE(strength[READOUT_##readout])},

const Metric metric_list[] = {
    {"loss", "", -1, 4, OFFERS_LOSS, true, "the training loss on the held-out images",
     .title = "held-out loss", .of_image = image_loss},
    {"psnr_masked", "dB", 1, 2, OFFERS_HIDDEN, true, "masked pixels only",
     .title = "PSNR of the masked pixels", .of_image = image_psnr_masked},
    {"psnr_masked_pooled", "dB", 1, 2, OFFERS_HIDDEN, false, "masked pixels, of the pooled error",
     .second = true, .of_sums = pooled_psnr_masked},
    {"psnr_composite", "dB", 1, 2, OFFERS_HIDDEN, true,
     "whole image, visible patches pasted from the input", .title = "PSNR of the composite",
     .of_image = image_psnr_composite},
    {"psnr_leaky", "dB", 1, 2, OFFERS_LEAKY, true,
     "whole image, un-normalised with the target's own statistics: not comparable with the others",
     .title = "PSNR (leaky)", .of_image = image_psnr_composite},
    {"psnr_composite_pooled", "dB", 1, 2, OFFERS_HIDDEN, false, "whole image, of the pooled error",
     .second = true, .of_sums = pooled_psnr_composite},
    {"psnr_full", "dB", 1, 2, OFFERS_FULL, false, "the decoder's output for all patches",
     .of_image = image_psnr_full},
    {"psnr_full_pooled", "dB", 1, 2, OFFERS_FULL, false,
     "the decoder's output for all patches, of the pooled error", .second = true,
     .of_sums = pooled_psnr_full},
    {"ssim_composite", "", 1, 4, OFFERS_HIDDEN, true,
     "structural similarity of the whole image, visible patches pasted from the input",
     .title = "SSIM of the composite", .of_image = image_ssim_composite},
    {"ssim_leaky", "", 1, 4, OFFERS_LEAKY, true,
     "structural similarity, un-normalised with the target's own statistics",
     .title = "SSIM (leaky)", .of_image = image_ssim_composite},
    {"ssim_full", "", 1, 4, OFFERS_FULL, false,
     "structural similarity of the decoder's output for all patches", .of_image = image_ssim_full},
    READOUTS(PROBE_HEADLINES) READOUTS(PROBE_READINGS)};
const int metric_count = sizeof metric_list / sizeof *metric_list;
_Static_assert(sizeof metric_list / sizeof *metric_list <= METRICS_MAX, "METRICS_MAX is too small");

const Metric *metric_find(const char *name) {
  for (int i = 0; i < metric_count; i++)
    if (!strcmp(metric_list[i].name, name)) return &metric_list[i];
  return NULL;
}

void metrics_reset(MetricSums *sums) {
  memset(sums, 0, sizeof *sums);
}

void metrics_add(MetricSums *sums, const ImageScore *score) {
  sums->images++;
  sums->perfect += image_psnr_masked(score) >= PSNR_CAP;
  sums->composite_error += score->composite[SCORE_ERROR];
  sums->full_error += score->full[SCORE_ERROR];
  sums->hidden_values += score->hidden_values;
  sums->values += score->values;
  for (int i = 0; i < metric_count; i++)
    if (metric_list[i].of_image) sums->mean[i] += metric_list[i].of_image(score);
}

/* Where the other readings of neighbours lie. */
_Static_assert(NEIGHBOUR_COUNTS == 4, "PROBE_READINGS names each number of neighbours");

static bool is_offered(const Metric *metric, unsigned offers) {
  return (metric->needs & ~offers) == 0;
}

Metrics metrics_finish(const MetricSums *sums, unsigned offers) {
  Metrics metrics = {.images = sums->images, .perfect = sums->perfect, .offers = offers};
  for (int i = 0; i < metric_count; i++) {
    const Metric *metric = &metric_list[i];
    if (!is_offered(metric, offers))
      metrics.values[i] = NAN;
    else
      metrics.values[i] = metric->of_image ? sums->mean[i] / sums->images : metric->of_sums(sums);
  }
  return metrics;
}

Metrics metrics_of_probe(const ProbeScores *scores, const Probe *probe) {
  Metrics metrics = {.images = probe->eval.images,
                     .offers = OFFERS_PROBE,
                     .train_images = probe->train.images,
                     .classes = probe->classes};
  for (int i = 0; i < metric_count; i++)
    metrics.values[i] = metric_list[i].needs & OFFERS_PROBE
                            ? *(const double *)((const char *)scores + metric_list[i].of_probe)
                            : NAN;
  return metrics;
}

/* What a probe did not measure, a readout that the model does not have, is a NAN there. */
bool metrics_has(const Metrics *metrics, int index) {
  const Metric *metric = &metric_list[index];
  return is_offered(metric, metrics->offers) &&
         !(metric->needs & OFFERS_PROBE && isnan(metrics->values[index]));
}

const Metric *metrics_item(int index, const Metrics *metrics, double *value) {
  for (int i = 0; i < metric_count; i++) {
    if (!metrics_has(metrics, i) || index-- > 0) continue;
    *value = metrics->values[i];
    return &metric_list[i];
  }
  return NULL;
}

double metrics_get(const Metrics *metrics, const char *name) {
  const Metric *metric = metric_find(name);
  return metric ? metrics->values[metric - metric_list] : NAN;
}
