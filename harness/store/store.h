/* store.h - results.db: the only file that knows SQL. One process writes at a time (an advisory
 * lock beside the database); readers are free. Everything in it comes from the folders of sweeps
 * and trials (trial/files.h), so store_import rebuilds it row for row. */
#ifndef HARNESS_STORE_STORE_H
#define HARNESS_STORE_STORE_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "harness/base/strings.h"
#include "harness/trial/files.h"
#include "mae/base/error.h"

typedef struct Store Store;

/* Opens or creates. A file that is not ours, is read-only, is locked by another harness, or has a
 * newer schema is an error that says so (EXIT_DATA); older schemas are migrated. */
bool store_open(Store **, const char *path, Error *);
/* For show, status, compare: no lock, no writing, the file must exist. One of an older schema is
 * migrated first. */
bool store_open_readonly(Store **, const char *path, Error *);
/* Several databases read as one: the views `trials`, `points`, `scores` and `experiments` have the
 * rows of all, and a column `database` with the path as it was given. A trial's number is its
 * database's. Experiments are known by the names that they have in any. All else is the first
 * one's. One path is store_open_readonly. */
bool store_open_several(Store **, const char *const *paths, int count, Error *);
void store_close(Store *);
/* The folder the database is in, which its relative paths are taken from; no link. */
const char *store_folder(const Store *);

/* Adds what sweep.json / trial.json of a folder say, or finds it when it is there. */
bool store_add_sweep(Store *, const char *sweep_folder, int64_t *sweep, Error *);
bool store_add_trial(Store *, int64_t sweep, const char *trial_folder, int64_t *trial, Error *);
/* Smallest id that no trial has. */
bool store_next_trial_id(Store *, int64_t *id, Error *);

/* One line of an event file. A line that is not JSON, lacks members, or is
 * truncated is an error of code EXIT_DATA that leaves the database as it was; the caller reports
 * and goes on. Lines already taken (same trial, file offset) are ignored. */
bool store_ingest(Store *, int64_t trial, const char *file, uint64_t offset, const char *line,
                  size_t length, Error *);
/* The lines of one of a trial's files that are not in the database yet. A file that is no longer
 * the one that was read (it was cut, or replaced) is read anew, and what was taken from it
 * forgotten. Where lines do not follow from those before them (mae/record/seal.h) reading ends;
 * lines that are no events are passed over. False only when the file cannot be read, or the
 * database failed. */
typedef struct FileReport {
  int refused; /* lines left out */
  bool broken; /* the seals do not hold */
  Error first; /* why the first was left out */
} FileReport;
bool store_take_file(Store *, int64_t trial, const char *folder, const char *file, FileReport *,
                     Error *);
/* All files of its launches and its training; warns on standard error of what was left out. */
bool store_take_trial(Store *, int64_t trial, const char *folder, Error *);
/* Takes back what the tables have from a file ("events.jsonl"), or from all of a trial's. */
bool store_forget_file(Store *, int64_t trial, const char *file, Error *);
bool store_forget_trial(Store *, int64_t trial, Error *);
/* Groups many ingests in one transaction. A commit that fails takes all of the group back. */
bool store_begin(Store *, Error *);
bool store_commit(Store *, Error *);
/* True once the database itself has failed: a full disk, an I/O error, no memory, another program's
 * lock. From then on nothing is taken, so that no file's later lines get in without its earlier
 * ones. After store_retry lines are taken again: offer those of each file from its beginning. */
bool store_broken(const Store *);
void store_retry(Store *);

/* Launches without an exit line become what their trainer's last line says, or else interrupted.
 * For the start of a run, when this process holds the lock and no trainer of its own runs. */
bool store_recover(Store *, Error *);

/* Rebuilds from every sweep folder under out, then store_recover. Trials keep the ids of their
 * trial.json; where two machines gave out the same id, the later created trial gets a new one, and
 * standard error says so. A folder without sweeps gives 0 trials.
 *
 * It is committed in pieces, each of whole trials. One that is killed leaves a database that can be
 * read, in which trials are missing or as they were before; store_import_cut says so, and the next
 * import completes it. */
bool store_import(Store *, const char *out, int *trials, Error *);
bool store_import_cut(Store *, bool *cut, Error *);
/* Rebuilds what comes from one sweep folder. */
bool store_import_sweep(Store *, const char *sweep_folder, Error *);

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

/* A finished trial that differs from this one in the length of its training alone; 0: none. */
bool store_find_other_length(Store *, int64_t trial, int64_t *other, Error *);

/* The experiments that a name stands for: itself, or, when it is the name that an INI file gave,
 * that of every scale ("mask_ratio", also with folders and .ini). None is an error of code
 * EXIT_CONFIG that names the nearest. */
bool store_find_experiments(Store *, const char *name, StringList *found, Error *);

/* A trial by its number, or an experiment by the name of its folder or, where only one has it, the
 * name its INI file gave. */
typedef struct Target {
  int64_t trial; /* 0: the experiment */
  char experiment[256];
  char what[512]; /* "trial 3 of mask_ratio-cpu (train.mask_ratio=0.5)", "experiment ..." */
  /* Of the trial or the experiment, absolute; it may have gone. "": of an experiment that has no
   * trials any more the database does not know it. */
  char folder[4096];
} Target;
bool store_find_target(Store *, const char *word, Target *, Error *);
/* Takes in what notes.json says of it now. */
bool store_note_target(Store *, const Target *, Error *);
/* Takes it out of the tables; the folder, which an import would find, must be gone from there. */
bool store_remove(Store *, const Target *, Error *);
/* The experiments that all of the words stand for, each once and in order; all of the database for
 * no word. None there is an error of code EXIT_DATA. */
bool store_name_experiments(Store *, StringList *found, const char *const *words, int count,
                            Error *);

/* Runs a read-only query and prints an aligned table (or JSON); for status and show. */
bool store_print(Store *, FILE *, const char *sql, bool json, Error *);

/* The rows of `trials` that a condition picks, an SQL expression of a user, which may only read:
 * what it does wrong is an error of code EXIT_CONFIG in one line. columns: "trial,status", "all",
 * or NULL for the usual ones; sort: "mask_ratio,-psnr_masked" (- downwards) or NULL. */
typedef struct ListOptions {
  const char *where, *sort, *columns; /* each may be NULL */
  bool json;
} ListOptions;
bool store_list(Store *, FILE *, const ListOptions *, Error *);
/* The best point of each data set by a metric, and those whose interval overlaps its. experiment
 * may be NULL: all. */
bool store_best(Store *, FILE *, const char *metric, const char *experiment, bool json, Error *);

/* "name, name, " of the metrics for which a condition on the view `metrics` holds, in its order;
 * the caller frees. rounded: as tables show them, "round(name, digits) AS name, ". */
bool store_columns(Store *, char **columns, const char *condition, bool rounded, Error *);

/* Prints the difference A - B of a metric of `trials` (psnr_masked when NULL) with a 95% interval,
 * paired by seed, whether the seeds support it, which difference they could have shown and how many
 * would show this one (stats.h). A and B are each a trial id or settings that select a point,
 * optionally within an experiment: "train.mask_ratio=0.75",
 * "mask_ratio-cpu:train.mask_ratio=0.75 model.decoder=96x2x3". Several metrics ("a,b", "all") are
 * a table, corrected by Holm. */
bool store_compare(Store *, FILE *, const char *a, const char *b, const char *metric, bool json,
                   Error *);
/* The same of every two points of an experiment (of every scale), corrected by Holm. */
bool store_compare_points(Store *, FILE *, const char *experiment, const char *metric, bool json,
                          Error *);

/* Prints what differs between trials of two stores, which may be the same: A and B are each a
 * trial's number, settings as above, or an experiment; NULL: all that both have. Trials of the same
 * settings and seed are paired. */
bool store_diff(Store *a, Store *b, FILE *, const char *word_a, const char *word_b, bool json,
                Error *);

/* Of an experiment with published numbers (paper.h): prints ours beside them and, for each series,
 * whether the orders of the settings agree: Kendall's tau with its interval over seeds (stats.h).
 * "agrees" when the interval is above 0, "contradicts" when it is below, else "too few seeds to
 * tell". metric: ours, or NULL for what the experiment says. Without such numbers it is
 * store_compare_points. */
bool store_compare_paper(Store *, FILE *, const char *experiment, const char *metric, bool json,
                         Error *);
/* Records these verdicts; *text says them in one line, which the caller frees, or is NULL when
 * there are no published numbers. For the end of a run. */
bool store_judge_paper(Store *, const char *experiment, char **text, Error *);
/* Records the interquartile mean of each point that has more than two seeds, with its bootstrap
 * interval (stats_iqm). For the end of a run; planning takes them back. */
bool store_judge_points(Store *, const char *experiment, Error *);

/* "SQLite 3.40.1": the library that is loaded. */
const char *store_library(void);

#endif
