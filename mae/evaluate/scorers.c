/* scorers.c - the list of scorers as an array. */
#include "mae/evaluate/scorers.h"

#define SCORER_ENTRY(name) &scorer_##name,
const Scorer *const scorer_list[] = {SCORERS(SCORER_ENTRY)};
const int scorer_count = sizeof scorer_list / sizeof *scorer_list;

bool scorer_wanted(const Scorer *scorer, const Config *config) {
  return !scorer->probes || config->probe.method != PROBE_OFF;
}

bool scorer_run(const Scorer *scorer, Metrics *metrics, Evaluator *ev, Error *e) {
  ProgressPart part = {ev->progress, scorer->name};
  const ProgressListener listener = progress_of_part(&part);
  ev->progress = &listener;
  bool ok = scorer->run(metrics, ev, e);
  ev->progress = part.whole;
  return ok;
}

_Static_assert(sizeof scorer_list / sizeof *scorer_list <= SCORERS_MAX, "SCORERS_MAX is too small");
