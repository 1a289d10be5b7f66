/* incoming.h - results of an earlier session, taken from where they cannot be written to (--from):
 * folders and bundles. Finished trials and newest checkpoints are copied, so that the sweep goes on
 * in --out as it would have there. */
#ifndef HARNESS_RUN_INCOMING_H
#define HARNESS_RUN_INCOMING_H

#include "harness/run/job.h"
#include "mae/base/command_line.h"

/* In a trial's folder while it is copied. What a copy that was killed left there is removed by the
 * next one. */
#define INCOMING_FOLDER "from.tmp"

typedef struct IncomingSource {
  const char *given;      /* as on the command line */
  char *unpacked;         /* where a bundle is unpacked; NULL: it is a folder */
  int lock;               /* of that folder */
  StringList experiments; /* their folders */
} IncomingSource;

typedef struct Incoming {
  IncomingSource *sources;
  int count;
} Incoming;

/* Finds what --from holds of the plans. A folder is an OUT, an experiment in it, or has one of
 * these up to three levels down. One that holds nothing of any plan is an error that says what is
 * there. A bundle is unpacked below `out`; with dry, without its weights, below TMPDIR. */
bool incoming_open(Incoming *, const CmdList *given, const Plan *, int plans, const char *out,
                   bool dry, Error *);
void incoming_close(Incoming *);

/* Where a source has more of a trial than its folder: sets job->from, and state and action as if it
 * had been copied. An error when a source is being written, or when all it has of the plan is of
 * another build. */
bool incoming_look(const Incoming *, const Plan *, Job *, const JobBuild *, Error *);
/* Copies what job->from has. What the folder had before is set aside. Left as it is when another
 * process works in the folder. */
bool incoming_take(Job *, const JobBuild *, Error *);

/* Removes what harnesses that were killed left of bundles below `out`; bytes freed. */
int64_t incoming_clean(const char *out);

#endif
