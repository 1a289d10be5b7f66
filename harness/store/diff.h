/* diff.h - two sets of trials side by side, for the store's own files. */
#ifndef HARNESS_STORE_DIFF_H
#define HARNESS_STORE_DIFF_H

#include "harness/store/internal.h"

typedef struct DiffEntry {
  char *key; /* what it is paired by beside the seed: settings, in databases with the experiment */
  int64_t seed, trial;
} DiffEntry;

typedef struct DiffSide {
  Store *store;
  const char *database, *word; /* word NULL: the whole database */
  DiffEntry *entries;          /* by key, seed */
  size_t count;
} DiffSide;

/* Trials that answer each other. */
typedef struct DiffPair {
  int64_t a, b;
  const char *key; /* of an entry */
  int64_t seed;
} DiffPair;

typedef struct Diff {
  DiffSide a, b;
  DiffPair *pairs;
  size_t count;
  json_t *only_a, *only_b;           /* keys and seeds that the other side has not */
  json_t *configuration;             /* [{"key","a","b","hashed"}] */
  json_t *provenance;                /* [{"key","a","b"}] */
  json_t *metrics;                   /* of comparison_json */
  json_t *steps;                     /* of diff_steps */
  int64_t steps_compared;            /* of all pairs */
  bool should_be_equal, steps_equal; /* nothing differs that makes a result; no step does */
} Diff;

/* Adds to `steps` what a pair's curves say: {"trial_a","trial_b","steps" (compared),"first_step",
 * "quantity","a","b" (of the first step with a number that differs; null),"apart_step" (from where
 * the losses differ by more than 1%),"largest" (relative difference of the losses),
 * "largest_step"}. */
bool diff_steps(Diff *, const DiffPair *, Error *);
void diff_print(FILE *, const Diff *);
bool diff_print_json(FILE *, const Diff *, Error *);

#endif
