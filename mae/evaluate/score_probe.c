/* score_probe.c - what the encoder has learned: classes told from its features. */
#include "mae/evaluate/probes.h"
#include "mae/evaluate/scorers.h"

static bool look(ProbeScores *scores, Probe *probe, Evaluator *ev, Error *e) {
  return probe_model(scores, probe, ev->model, ev->pool, e);
}

static bool score(Metrics *metrics, Evaluator *ev, Error *e) {
  return probe_score(metrics, ev, look, e);
}

const Scorer scorer_probe = {.name = "probe", .title = "probe", .probes = true, .run = score};
