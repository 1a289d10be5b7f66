/* sweep.h - the [sweep] section: lists of values, what varies together, what is left out, and the
 * combinations that follow. Values are checked and made canonical as they are added. */
#ifndef HARNESS_PLAN_SWEEP_H
#define HARNESS_PLAN_SWEEP_H

#include "harness/base/strings.h"
#include "mae/config/config.h"

enum { SWEEP_TRIALS_MAX = 100000 };

typedef struct SweepKey {
  char *key;         /* section.name */
  StringList values; /* canonical, at least one */
  ConfigOrigin origin;
  int group; /* keys of one group vary together (zip); its own index otherwise */
} SweepKey;

typedef struct SweepClause { /* a combination left out: all pairs must hold */
  StringList keys, values;
} SweepClause;

typedef struct Sweep {
  SweepKey *keys; /* the first varies slowest */
  int count;
  SweepClause *excluded;
  int excluded_count;
} Sweep;

/* Adds a key with its comma-separated list, or replaces the list it has. `seeds` stands for
 * run.seed, may hold ranges (1..3) and varies slowest. base gives the options not swept. */
bool sweep_set(Sweep *, const char *key, const char *list, const Config *base, const ConfigOrigin *,
               Error *);
/* zip = a b, c d: a and b vary together, and so do c and d. A key that a --set has fixed to one
 * value leaves its group. Call it, then sweep_exclude, when all keys are there. */
bool sweep_zip(Sweep *, const char *groups, const ConfigOrigin *, Error *);
/* exclude = a=1 b=2, a=3: two combinations. Every value must be in its key's list. */
bool sweep_exclude(Sweep *, const char *clauses, const Config *base, const ConfigOrigin *, Error *);
/* Number of combinations, or -1 when there are more than SWEEP_TRIALS_MAX. */
int sweep_combinations(const Sweep *);
/* choice[count]: the index into each key's values for combination `index`; false when an exclude
 * clause leaves it out. */
bool sweep_choose(const Sweep *, int index, int *choice);
void sweep_free(Sweep *);

#endif
