/* job.h - the trials of a plan as work to do: what each costs, and what is already there. */
#ifndef HARNESS_RUN_JOB_H
#define HARNESS_RUN_JOB_H

#include "harness/plan/plan.h"
#include "harness/run/disk.h"
#include "harness/trial/facts.h"
#include "harness/trial/folder.h"
#include "mae/probe/probe.h"

typedef enum JobAction {
  JOB_SKIP,      /* done by this build */
  JOB_START,     /* nothing there, or nothing to continue from */
  JOB_CONTINUE,  /* from its checkpoint */
  JOB_RETRY,     /* failed before; from its checkpoint when there is one */
  JOB_REPLACE,   /* of no use (why_anew): set aside, and anew from the beginning */
  JOB_ELSEWHERE, /* another part's, see jobs_keep_part */
  JOB_PAUSED,    /* by [prune]: pruned, or at a step where it waits for others (rungs.h) */
} JobAction;

typedef struct Job {
  const PlanTrial *trial;
  char folder[CONFIG_PATH_MAX];
  char *label;        /* "mask_ratio=0.75 seed=1" */
  int64_t id;         /* 0: not given yet */
  char *from;         /* where an earlier session has more of it (incoming.h); NULL: nowhere */
  bool from_unpacked; /* that is a copy of ours, from which files may be moved */
  JobAction action;
  TrialStatus status;
  Facts facts;
  PrunedRecord pruned;    /* by [prune], now (rungs.h) */
  int64_t until;          /* the step at which [prune] stops it for a decision; 0: its end */
  char error[1024];       /* why it failed, or is pruned */
  char images_sha256[65]; /* of the images now, where they are compared (images.h); "": not known */
  bool images_known;      /* they have been looked for */
  char holder[FOLDER_HOLDER_MAX]; /* who was found to work in its folder; "": nobody */
  const char *why_anew;      /* "another build of mae made it"; NULL: what is there is of use */
  bool starts_at_checkpoint; /* there is one, seen when the folder was looked at */
  bool is_open; /* so was a launch without an end: it runs, or its harness was killed */

  /* From the configuration alone. */
  size_t params_encoder, params_decoder, memory;
  double gflops_per_image;
  ProbeWork probe; /* GFLOP; 0 where no images are known */
  int64_t steps;   /* 0: not known here: the data is on other machines */
  DiskSizes disk;
  double seconds; /* estimated for what is left to do; NAN: unknown */
} Job;

/* Whose results count. */
typedef struct JobBuild {
  char sha256[65]; /* of the trainer */
  bool any;        /* those of other builds too */
} JobBuild;

/* One job per trial. */
bool jobs_create(Job **, const Plan *, const char *out, const JobBuild *, Error *);
/* Reads the trial's folder: facts, status, and what is to be done. Again once its lock is held,
 * since whoever held it before may have finished the trial. */
void job_look(Job *, const JobBuild *);
/* The same without noting anything beside the event file: the folder is not ours. */
void job_look_only(Job *, const JobBuild *);
/* What is in its folder was made by another build of mae, and that matters. */
bool job_is_of_other_build(const Job *, const JobBuild *);
void jobs_free(Job *, int count);
/* Leaves every `parts`-th job, from job number `part` - 1 on, as it is; the rest that is not done
 * is for other harnesses. */
void jobs_keep_part(Job *, int count, int part, int parts);
/* This harness runs it. */
bool job_is_to_run(const Job *);
const char *job_action_text(JobAction);
/* The step of its newest checkpoint; of a finished one the last of all. -1: none. */
int64_t job_reached(const Job *);
/* It has come to the step at which [prune] compares it with the others, and is not done. */
bool job_waits_for_others(const Job *);
/* GFLOP of the steps after `from` up to `to`, and of the probes between them: images of an
 * optimiser step times GFLOP of each, and mae/probe's estimate. ends: the run does, with the probes
 * of its end. */
double job_work(const Job *, int64_t from, int64_t to, bool ends);
/* Of all that is still to do, up to `until`; 0 of a job that this harness does not run. */
double job_work_left(const Job *);
/* Fills `seconds` from recorded throughput, of the same configuration where there is one, else of
 * its neighbours in the sweep, else from a product timed here; basis says which. */
void jobs_estimate(Job *, int count, char *basis, size_t size);

#endif
