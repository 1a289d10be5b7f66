#include "mae/evaluate/metrics.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

double psnr_from_mse(double mse) {
  if (!(mse > 0.0)) return isnan(mse) ? mse : PSNR_CAP;
  double db = -10.0 * log10(mse);
  return db > PSNR_CAP ? PSNR_CAP : db;
}

void metrics_reset(MetricSums *sums) {
  memset(sums, 0, sizeof *sums);
}

void metrics_add(MetricSums *sums, double loss, double sse_composite, double ssim_composite,
                 double sse_full, double ssim_full, double masked_values, double values) {
  double db_masked = psnr_from_mse(sse_composite / masked_values);
  sums->images++;
  sums->perfect += db_masked >= PSNR_CAP;
  sums->loss += loss;
  sums->db_masked += db_masked;
  sums->db_composite += psnr_from_mse(sse_composite / values);
  sums->db_full += psnr_from_mse(sse_full / values);
  sums->sse_masked += sse_composite;
  sums->sse_full += sse_full;
  sums->masked_values += masked_values;
  sums->all_values += values;
  sums->ssim_composite += ssim_composite;
  sums->ssim_full += ssim_full;
}

Metrics metrics_finish(const MetricSums *sums) {
  double n = sums->images;
  return (Metrics){
      .images = sums->images,
      .perfect = sums->perfect,
      .loss = sums->loss / n,
      .psnr_masked = sums->db_masked / n,
      .psnr_masked_pooled = psnr_from_mse(sums->sse_masked / sums->masked_values),
      .psnr_composite = sums->db_composite / n,
      .psnr_composite_pooled = psnr_from_mse(sums->sse_masked / sums->all_values),
      .psnr_full = sums->db_full / n,
      .psnr_full_pooled = psnr_from_mse(sums->sse_full / sums->all_values),
      .ssim_composite = sums->ssim_composite / n,
      .ssim_full = sums->ssim_full / n,
  };
}

#define FIELD(member) offsetof(Metrics, member)
static const struct MetricsField {
  size_t offset;
  const char *names[3]; /* by MetricsKind; NULL: has no meaning there */
} fields[] = {
    {FIELD(loss), {"loss", "loss", NULL}},
    {FIELD(psnr_masked), {"psnr_masked", NULL, "psnr_masked"}},
    {FIELD(psnr_masked_pooled), {"psnr_masked_pooled", NULL, "psnr_masked_pooled"}},
    {FIELD(psnr_composite), {"psnr_composite", "psnr_leaky", "psnr_composite"}},
    {FIELD(psnr_composite_pooled), {"psnr_composite_pooled", NULL, "psnr_composite_pooled"}},
    {FIELD(psnr_full), {"psnr_full", NULL, NULL}},
    {FIELD(psnr_full_pooled), {"psnr_full_pooled", NULL, NULL}},
    {FIELD(ssim_composite), {"ssim_composite", "ssim_leaky", "ssim_composite"}},
    {FIELD(ssim_full), {"ssim_full", NULL, NULL}},
};

const char *metrics_item(int index, MetricsKind kind, const Metrics *metrics, double *value) {
  for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
    if (!fields[i].names[kind] || index-- > 0) continue;
    memcpy(value, (const char *)metrics + fields[i].offset, sizeof *value);
    return fields[i].names[kind];
  }
  return NULL;
}
