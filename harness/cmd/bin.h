/* bin.h - deleted folders: OUT/.bin/N/EXPERIMENT for an experiment, OUT/.bin/N/EXPERIMENT/TRIAL for
 * a trial, N counting deletions. Names that begin with a dot are no experiments, so neither a run
 * nor an import looks there. */
#ifndef HARNESS_CMD_BIN_H
#define HARNESS_CMD_BIN_H

#include "harness/store/store.h"

#define BIN_FOLDER ".bin"

/* Moves the folder of a trial or an experiment there: one rename. A trial of it that is being
 * trained is an error of code EXIT_DATA that names who works on it. A folder that has gone already
 * is fine. */
bool bin_put(const Target *, Error *);

/* What lies there, the newest first. */
typedef struct BinEntry {
  char *folder;     /* where it lies */
  char *experiment; /* its name */
  char *trial;      /* the name of a trial's folder; NULL: the whole experiment */
  int64_t id;       /* of a trial, as its trial.json says */
  int number;       /* of the deletion */
} BinEntry;

typedef struct Bin {
  BinEntry *entries;
  int count;
} Bin;

/* No folder is an empty bin. */
bool bin_list(Bin *, const char *out, Error *);
void bin_free(Bin *);
/* Moves it back. An error of code EXIT_DATA when something is in its place. */
bool bin_restore(const BinEntry *, const char *out, Error *);
/* Removes all of it for good. */
bool bin_empty(const char *out, Error *);

#endif
