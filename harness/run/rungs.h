/* rungs.h - a plan with [prune] (prune.h): which trials run, and up to which step. All that go on
 * are brought to the next step of the rule, compared there, and the losers stay where they are.
 *
 * Nothing is remembered between two runs but what the trials recorded: every run decides again,
 * from the first step on, and comes to the same. What it decides is written down for people and the
 * database (folder_append_pruned). Without a rule there is one round, to the end. */
#ifndef HARNESS_RUN_RUNGS_H
#define HARNESS_RUN_RUNGS_H

#include "harness/run/job.h"
#include "harness/run/supervise.h"
#include "harness/store/store.h"

typedef struct Rungs {
  const Plan *plan;
  Job *jobs;
  const JobBuild *build;
  int *setting; /* [plan->count]: trials that differ in the seed alone have the same */
  int settings;
  bool *stopped;  /* [settings] by the rule */
  double *values; /* [steps of the rule][plan->count]: as recorded there */
  char *known;    /* of the same shape: 0 not looked at, 1 recorded, 2 not recorded */
  int next;       /* the step of the rule that has not been decided */
  bool *tried;    /* [plan->count] by this run: what fails then is not tried again */
} Rungs;

/* Decides as much as has been recorded, and sets each job's action and `until`. False: a step of
 * the rule does not come before a trial's end. */
bool rungs_open(Rungs *, const Plan *, Job *, const JobBuild *, Error *);
void rungs_close(Rungs *);
/* Again, when the folders' content has changed. */
void rungs_look(Rungs *);
/* supervise() in rounds, with the decisions between them: written into the folders and the database
 * where they do not say so yet. The trials have their numbers. False: one could not be written. */
bool rungs_supervise(Rungs *, Store *, const SuperviseOptions *, Progress *, SuperviseResult *,
                     Error *);
/* What is still to be decided and what it saves, for a plan; nothing without a rule. The jobs'
 * `seconds` are of all that is to do without one. */
void rungs_say(FILE *, const Rungs *);
/* Trials that are paused for good. */
int rungs_pruned(const Rungs *);

#endif
