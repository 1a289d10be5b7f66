/* spent.h - the energy that a run takes: the meters of all its ranks, added up, in `energy` events.
 * On a GPU it is that of every rank's own, on CPUs that of the packages of each machine. Nothing
 * that is computed depends on it. */
#ifndef MAE_TRAIN_SPENT_H
#define MAE_TRAIN_SPENT_H

#include "mae/machine/energy.h"
#include "mae/ranks/ranks.h"
#include "mae/train/report.h"

typedef struct Spent {
  EnergyMeter meter;
  const char *source; /* of rank 0's meter; "": some rank has none, so that no sum is known */
  bool told_problem;
  double told;    /* clock: when the last event was written */
  double rest[8]; /* what the other ranks had taken when they last met */
  bool met;       /* they have, or there are none */
} Spent;

/* Once the device is open: what is taken counts from here. */
void spent_open(Spent *, Device *, const Ranks *);
void spent_close(Spent *);
/* All ranks agree on whether there is anything to tell: sets `source`. */
bool spent_agree(Spent *, Ranks *, Error *);
/* Whether half a minute has passed since the last event. */
bool spent_is_due(const Spent *);
/* All ranks: writes an event of what was taken so far; the first time that a reading has failed, a
 * warning too. Nothing where there is no source. */
bool spent_tell(Spent *, Ranks *, Report *, Error *);
/* The same by rank 0 alone, and a line for people: the run's last. Of the other ranks it has what
 * they took until they last met, which was the last checkpoint: they do not evaluate. An event that
 * cannot be written is noticed by the run's end. */
void spent_tell_last(Spent *, Report *);

#endif
