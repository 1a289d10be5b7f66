/* score_pixels.c - classes told from the pixels themselves, averaged down to 16 x 16. */
#include "mae/evaluate/probes.h"
#include "mae/evaluate/scorers.h"

static bool look(ProbeScores *scores, Probe *probe, Evaluator *ev, Error *e) {
  return probe_pixels(scores, probe, ev->pool, e);
}

static bool score(Metrics *metrics, Evaluator *ev, Error *e) {
  return probe_score(metrics, ev, look, e);
}

const Scorer scorer_pixels = {
    .name = "pixels", .title = "pixels", .baseline = true, .probes = true, .run = score};
