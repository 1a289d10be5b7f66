/* compare.h - comparisons of two points, for the store's own files: a side's trials, and what
 * the seeds can say of their difference. */
#ifndef HARNESS_STORE_COMPARE_H
#define HARNESS_STORE_COMPARE_H

#include "harness/base/stats.h"
#include "harness/store/internal.h"

/* The trials that are done of one point and have a finite value of the metric, ordered by seed. */
typedef struct Side {
  char *text;       /* as the user wrote it */
  char *trials;     /* "1 2 3" */
  char *evaluation; /* what fixes the held-out images */
  char *mask;       /* what fixes the masks on them */
  int64_t *seeds;
  double *values;
  size_t count;
} Side;

/* The metric must be a column of `trials`. An error of code EXIT_CONFIG when the text is neither a
 * trial's number nor settings of one point, or there is no value. */
bool side_load(Store *, Side *, const char *text, const char *metric, Error *);
/* The condition on `trials` that the text stands for, when it picks one point; free with
 * sqlite3_free. */
char *side_select(Store *, const char *text, Error *);
/* Of the trials for which a condition holds; none is no error. */
bool side_load_where(Store *, Side *, const char *text, const char *condition, const char *metric,
                     Error *);
void side_free(Side *);

typedef struct Comparison {
  const Side *a, *b;   /* not its own */
  char *metric, *unit; /* unit as " dB" or "" */
  Summary difference;  /* a - b */
  Iqm iqm;             /* of the paired differences */
  double *pairs;       /* those differences; difference.n of them when paired */
  double common_a,
      common_b; /* means over the seeds that both sides have; NAN when there are none */
  bool paired, same_images, same_masks;
  double smallest; /* difference that so many seeds find with a power of 80% */
  size_t needed;   /* seeds that find the observed one; 0: not to be told */
  size_t family;   /* comparisons made at once, for which p_holm is corrected */
  double p_holm;
  char verdict[512];
} Comparison;

/* False when memory is short. */
bool comparison_make(Comparison *, const Side *a, const Side *b, const char *metric,
                     const char *unit, Error *);
/* Corrects for all of them together and says what follows for each. */
void comparisons_judge(Comparison *, size_t count);
bool comparison_supported(const Comparison *);
json_t *comparison_json(const Comparison *);
void comparison_free(Comparison *);
/* A finite number, or null. */
json_t *store_real_or_null(double);

/* The metrics of a list "a,b", or, for "all", those of `trials` that any trial that is done has. An
 * error of code EXIT_CONFIG for a name that is none. */
bool store_list_metrics(Store *, const char *text, StringList *, Error *);
/* Adds a row for each comparison below a heading: with_points: what A and B are, else the metric
 * and the means. */
void comparisons_print(FILE *, const Comparison *, size_t count, bool with_points);
/* Says how many trials are pruned and so have no part in what was printed; nothing when none are.
 * experiment: NULL: all. */
bool store_say_pruned(Store *, FILE *, const char *experiment, Error *);
/* "N comparisons at once: ..." */
void comparisons_explain(FILE *, size_t count);

#endif
