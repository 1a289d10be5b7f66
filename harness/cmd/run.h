/* run.h - what the files of `harness run` share: run.c, run_next.c with its last words, and
 * run_slurm.c that hands a sweep to Slurm. */
#ifndef HARNESS_CMD_RUN_H
#define HARNESS_CMD_RUN_H

#include "harness/run/incoming.h"
#include "harness/run/job.h"
#include "harness/slurm/options.h"
#include "harness/store/store.h"
#include "mae/base/command_line.h"

enum { TIMEOUT_USUAL = 600 }; /* seconds, of --timeout */

typedef struct RunCommand {
  CommandLine line;
  CmdList settings, from, slurm; /* slurm.items: NULL without --slurm */
  SlurmOptions slurm_options;
  char scale_file[CONFIG_PATH_MAX]; /* "": none */
  const char *scale, *db, *out, *trainer_given;
  const char *part_text;
  int part, parts; /* of --part; 1 of 1 without it */
  int64_t jobs, jobs_per_gpu;
  int64_t keep_going;
  const char *disk_text;
  double timeout, time_limit, disk_limit; /* disk_limit: bytes, 0: none */
  double started;                         /* clock: the time limit counts from there */
  bool dry_run, json, no_prune;
  char trainer[CONFIG_PATH_MAX];
  JobBuild build;
  Plan *plans;
  int plan_count;
  int failed, pruned, left, signal; /* left: stopped on the way, or not begun */
  bool out_of_time, out_of_disk, gave_up;
  Incoming incoming;
} RunCommand;

/* The jobs of a plan, of this --part. */
bool run_make_jobs(Job **, const RunCommand *, const Plan *, Error *);
/* Whether the plan fits on the disk, before anything is written; say: prints it. */
bool run_measure_disk(const RunCommand *, const Plan *, const Job *, int at_once, bool say,
                      Error *);
bool run_open_store(const RunCommand *, Store **, Error *);
/* Ids, trial.json and a row for every trial, and the rows of what an earlier run left unrecorded.
 */
bool run_enter_trials(Store *, const Plan *, Job *, const char *out, Error *);
/* experiment: how many trials, and its question. */
void run_introduce(const Plan *);
/* What can be done next, by how the sweep ended. */
void run_say_next(const RunCommand *);

/* What follows --slurm; refuses what it cannot be given together with. */
bool run_slurm_read(RunCommand *, Error *);
/* Submits the sweep, or says with --dry-run what would be submitted. */
bool run_slurm(RunCommand *, Error *);

#endif
