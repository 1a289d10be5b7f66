/* supervise.h - runs the trials of a sweep: side by side in slots, each in its own process, every
 * event and outcome recorded as it happens. */
#ifndef HARNESS_RUN_SUPERVISE_H
#define HARNESS_RUN_SUPERVISE_H

#include "harness/run/job.h"
#include "harness/run/place.h"
#include "harness/run/progress.h"
#include "harness/store/store.h"

typedef struct SuperviseOptions {
  const char *trainer;
  const Places *places;  /* one trial at a time in each */
  double timeout;        /* TrainerStart.timeout */
  const JobBuild *build; /* whose results count when a folder is looked at again */
  /* clock_seconds by which all must have ended, and before which trainers are asked to stop, so
   * that each can write a checkpoint; INFINITY: no limit. */
  double deadline, stop_at;
  double disk_limit;        /* bytes that the experiment's folder may have; INFINITY: any */
  const char *sweep_folder; /* that folder */
  int64_t keep_going; /* failed trials in a row after which no more is started; 0: any number */
} SuperviseOptions;

typedef struct SuperviseResult {
  int signal;          /* that ended the run early; 0: none */
  bool out_of_time;    /* options->stop_at came before the last trial had ended */
  bool out_of_disk;    /* options->disk_limit leaves no room for the next trial */
  bool gave_up;        /* options->keep_going trials failed in a row */
  int unrecorded;      /* lines that the database could not take */
  char problem[1024];  /* the first reason */
  double wall_seconds; /* of the run */
} SuperviseResult;

/* Works through the jobs that are to run; their status, facts and error are updated. One that has a
 * step to stop at (`until`) is recorded as interrupted there.
 * SIGINT, SIGTERM and SIGHUP stop it: trainers checkpoint and are recorded as interrupted; a second
 * signal kills them. So does the time limit. The caller has blocked these signals and SIGCHLD
 * (runner_block_signals). */
void supervise(Job *, int count, Store *, const SuperviseOptions *, Progress *, SuperviseResult *);

/* Enters a trial and brings the database up to date with its files; job->id becomes the one that
 * the database knows it by, whatever trial.json says. Lines that are no events are counted in a
 * warning. */
bool supervise_record(Store *, int64_t sweep, Job *, Error *);

#endif
