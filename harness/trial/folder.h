/* folder.h - the sweep and trial folders: the files that files.h lists, written so that a crash
 * leaves the old content or the new. */
#ifndef HARNESS_TRIAL_FOLDER_H
#define HARNESS_TRIAL_FOLDER_H

#include <jansson.h>

#include "harness/plan/plan.h"
#include "harness/trial/files.h"

/* OUT/NAME-SCALE, and a trial's folder in it. */
bool folder_of_sweep(char path[CONFIG_PATH_MAX], const char *out, const Plan *, Error *);
bool folder_of_trial(char path[CONFIG_PATH_MAX], const char *sweep_folder, const PlanTrial *,
                     Error *);
/* The last component of a sweep folder: what store_find_trial calls the experiment. */
const char *folder_experiment(const char *sweep_folder);

/* Makes the folder and writes sweep.json; the creation time of an earlier one is kept. */
bool folder_write_sweep(const char *sweep_folder, const Plan *, Error *);
/* The id in trial.json; 0 when there is none. */
int64_t folder_trial_id(const char *trial_folder);
/* Makes the folder and writes trial.json. */
bool folder_write_trial(const char *trial_folder, const char *experiment, const PlanTrial *,
                        int64_t id, Error *);
bool folder_write_config(const char *trial_folder, const Config *, Error *);

/* A small file of the folder, all or nothing; takes the ownership of the object. Reading gives NULL
 * when there is none or it is not JSON. */
bool folder_write_json(const char *folder, const char *name, json_t *, Error *);
json_t *folder_read_json(const char *folder, const char *name);

/* An advisory lock on the folder, inherited by its trainer: held as long as either lives. When it
 * is another process's that is no error: `holder` receives who that is, "" otherwise, and *fd is
 * -1. */
enum { FOLDER_HOLDER_MAX = 256 };
bool folder_lock(int *fd, const char *trial_folder, char holder[FOLDER_HOLDER_MAX], Error *);
/* For reading a folder, which may be on a disk that cannot be written to: nobody begins to write as
 * long as *fd is open. -1: there is no lock, so that nobody does. */
bool folder_lock_shared(int *fd, const char *trial_folder, char holder[FOLDER_HOLDER_MAX], Error *);
/* True when there is a checkpoint to continue from. */
bool folder_has_checkpoint(const char *trial_folder);
/* Moves what an attempt left (events, checkpoints, pictures, verifications) to superseded-N/, so
 * that the trial starts anew: all of it, or nothing. launches: also the record of its launches,
 * which otherwise stays, since they have been. */
bool folder_set_aside(const char *trial_folder, bool launches, Error *);

typedef struct Outcome {
  TrialStatus status; /* done, interrupted or failed */
  int code;           /* exit code; -1: none, it died of a signal */
  int signal;         /* 0: none */
  char error[1024];   /* why it is not done */
} Outcome;

/* What was left of the last checkpoint of a trial that is done (retain.h). */
typedef struct KeptRecord {
  int64_t step;    /* -1: all that the trainer wrote */
  char keep[16];   /* run.keep */
  char file[64];   /* what is there, within the checkpoint's folder; "": nothing */
  char sha256[65]; /* of that file */
} KeptRecord;

/* Why [prune] paused a trial (prune.h). */
typedef struct PrunedRecord {
  int64_t step; /* at which its setting was compared; 0: it did not, or it has gone on since */
  char rule[16], metric[64];
  char reason[512];
} PrunedRecord;

/* What launches.jsonl says, and before it attempts.jsonl, as it was once called. */
typedef struct Launches {
  int count;
  bool open;    /* the last one has no exit line: it runs, or its harness was killed */
  Outcome last; /* of the newest exit line */
  KeptRecord kept;
  PrunedRecord pruned;
} Launches;
void folder_launches(Launches *, const char *trial_folder);
bool folder_append_launch(const char *trial_folder, int launch, int pid, const char *device,
                          Error *);
bool folder_append_exit(const char *trial_folder, int launch, const Outcome *, Error *);
/* freed: bytes that the rest had. */
bool folder_append_kept(const char *trial_folder, const KeptRecord *, int64_t freed, Error *);
/* That it is paused after its newest launch, or, with step 0, no longer is. */
bool folder_append_pruned(const char *trial_folder, int launch, const PrunedRecord *, Error *);

#endif
