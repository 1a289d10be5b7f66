/* probes.c - a probe's images, and its scores as metrics. */
#include "mae/evaluate/probes.h"

#include <string.h>

bool probe_score(Metrics *metrics, Evaluator *ev, ProbeMaker make, Error *e) {
  Probe probe;
  ProbeScores scores;
  *metrics = (Metrics){.offers = OFFERS_PROBE};
  if (!probe_open(&probe, ev->config, ev->device, ev->dataset, e)) return false;
  bool ok = true;
  probe.progress = ev->progress;
  probe_scores_reset(&scores);
  if (probe.eval.images > 0) ok = make(&scores, &probe, ev, e);
  *metrics = metrics_of_probe(&scores, &probe);
  memcpy(metrics->note, probe.note, sizeof metrics->note);
  probe_close(&probe);
  return ok;
}
