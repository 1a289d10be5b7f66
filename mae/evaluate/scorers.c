/* scorers.c - the list of scorers as an array. */
#include "mae/evaluate/scorers.h"

#define SCORER_ENTRY(name) &scorer_##name,
const Scorer *const scorer_list[] = {SCORERS(SCORER_ENTRY)};
const int scorer_count = sizeof scorer_list / sizeof *scorer_list;

bool scorer_wanted(const Scorer *scorer, const Config *config) {
  return !scorer->probes || config->probe.method != PROBE_OFF;
}
_Static_assert(sizeof scorer_list / sizeof *scorer_list <= SCORERS_MAX, "SCORERS_MAX is too small");
