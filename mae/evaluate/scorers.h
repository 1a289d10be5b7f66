/* scorers.h - what is scored on the held-out images. A scorer is a file score_NAME.c that defines
 * scorer_NAME, and a word in the list below; training, `mae eval` and the event file go by the
 * list. */
#ifndef MAE_EVALUATE_SCORERS_H
#define MAE_EVALUATE_SCORERS_H

#include "mae/evaluate/fills.h"

typedef struct Scorer {
  const char *name;  /* as in events, the database and tables */
  const char *title; /* words for a figure */
  /* A baseline depends on no weights: it is scored once, at the end of a run, as an event of its
   * own. The others are scored whenever the model is. */
  bool baseline;
  /* Looks at features instead of reconstructions: runs where probe.method asks for it, at
   * probe.every, and a failure is no failure of the run. With images 0 it found nothing to score,
   * and the metrics' note says why. */
  bool probes;
  bool (*run)(Metrics *, Evaluator *, Error *); /* call scorer_run */
  Fill fill; /* what fills the hidden patches, of a trivial fill; else NULL */
} Scorer;

#define SCORERS(X) X(model) X(fill_mean) X(fill_harmonic) X(probe) X(pixels) X(random) X(chance)

#define SCORER_DECLARE(name) extern const Scorer scorer_##name;
SCORERS(SCORER_DECLARE)
#undef SCORER_DECLARE

enum { SCORERS_MAX = 32 };
/* The list as an array; the model comes first. */
extern const Scorer *const scorer_list[];
extern const int scorer_count;
/* Whether the configuration asks for it. */
bool scorer_wanted(const Scorer *, const Config *);
/* Runs it; the evaluator's listener hears of its jobs by the scorer's name: "probe, vote". */
bool scorer_run(const Scorer *, Metrics *, Evaluator *, Error *);

#endif
