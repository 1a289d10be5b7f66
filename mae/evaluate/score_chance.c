/* score_chance.c - the answer that needs no image: the commonest classes. */
#include "mae/evaluate/probes.h"
#include "mae/evaluate/scorers.h"

static bool look(ProbeScores *scores, Probe *probe, Evaluator *ev, Error *e) {
  (void)ev, (void)e;
  probe_chance(scores, probe);
  return true;
}

static bool score(Metrics *metrics, Evaluator *ev, Error *e) {
  return probe_score(metrics, ev, look, e);
}

const Scorer scorer_chance = {
    .name = "chance", .title = "chance", .baseline = true, .probes = true, .run = score};
