/* store.h - results.db: the only file that knows SQL. One process writes at a time (an advisory
 * lock beside the database); readers are free. Everything in it comes from files in the trial
 * folders, so store_import rebuilds it row for row:
 *
 *   OUT/EXPERIMENT/sweep.json           the sweep: name, question, scale, merged INI, created
 *   OUT/EXPERIMENT/TRIAL/trial.json     id, sweep, config hash, swept values, seed, created
 *   OUT/EXPERIMENT/TRIAL/config.ini     the full configuration, as given to `mae train`
 *   OUT/EXPERIMENT/TRIAL/events.jsonl   written by the trainer (mae/events.h)
 *   OUT/EXPERIMENT/TRIAL/attempts.jsonl written by the harness: {"event":"launch",...} and
 *                                       {"event":"exit","attempt","code","signal","status","error"}
 *   OUT/EXPERIMENT/TRIAL/stderr.log     the trainer's standard error
 *   OUT/EXPERIMENT/TRIAL/verify-*.jsonl one line per verification
 *
 * (EXPERIMENT is the plan's name with the scale appended, TRIAL is the first 12 hex digits of the
 * config hash.) */
#ifndef HARNESS_STORE_H
#define HARNESS_STORE_H

#include <stddef.h>
#include <stdint.h>

#include "mae/error.h"

typedef struct Store Store;

typedef enum TrialStatus {
  TRIAL_PENDING,
  TRIAL_RUNNING,
  TRIAL_INTERRUPTED,
  TRIAL_FAILED,
  TRIAL_DONE
} TrialStatus;
const char *trial_status_name(TrialStatus);

/* Opens or creates. A file that is not ours, is read-only, is locked by another harness, or has a
 * newer schema is an error that says so (EXIT_DATA); older schemas are migrated. */
bool store_open(Store **, const char *path, Error *);
/* For show, status, compare: no lock, no writing, the file must exist. */
bool store_open_readonly(Store **, const char *path, Error *);
void store_close(Store *);

/* Adds what sweep.json / trial.json of a folder say, or finds it when it is there. */
bool store_add_sweep(Store *, const char *sweep_folder, int64_t *sweep, Error *);
bool store_add_trial(Store *, int64_t sweep, const char *trial_folder, int64_t *trial, Error *);
/* Smallest id that no trial has. */
bool store_next_trial_id(Store *, int64_t *id, Error *);

/* One line of events.jsonl or attempts.jsonl. A line that is not JSON, lacks members, or is
 * truncated is an error of code EXIT_DATA that leaves the database as it was; the caller reports
 * and goes on. Lines already taken (same trial, file offset) are ignored. */
bool store_ingest(Store *, int64_t trial, const char *file, uint64_t offset, const char *line,
                  size_t length, Error *);
/* Groups many ingests in one transaction. */
bool store_begin(Store *, Error *);
bool store_commit(Store *, Error *);

/* Rebuilds from every sweep folder under out; running trials found dead become interrupted. */
bool store_import(Store *, const char *out, int *trials, Error *);

typedef struct TrialInfo {
  int64_t id;
  TrialStatus status;
  char config_hash[65], binary_sha256[65];
  char folder[1024]; /* relative to the database's folder or absolute */
} TrialInfo;
/* The trial of a config hash in an experiment; *found tells. */
bool store_find_trial(Store *, const char *experiment, const char *config_hash, TrialInfo *,
                      bool *found, Error *);
bool store_get_trial(Store *, int64_t id, TrialInfo *, bool *found, Error *);

/* Runs a read-only query and prints an aligned table (or JSON); for status, show and compare. */
bool store_print(Store *, const char *sql, bool json, Error *);

#endif
