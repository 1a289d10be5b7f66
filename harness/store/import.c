/* import.c - the folders of sweeps and trials into the database, whatever that held: which of them
 * count, in what order, and what has gone. */
#include "harness/store/internal.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "harness/base/strings.h"
#include "mae/base/io.h"

bool store_recover(Store *store, Error *e) {
  return store_run(store, e,
                   "UPDATE launch SET status = coalesce((SELECT attempt.status FROM attempt "
                   "  WHERE attempt.trial = launch.trial AND attempt.pid = launch.pid "
                   "  AND attempt.started >= launch.time - 1 "
                   "  ORDER BY attempt DESC LIMIT 1), 'interrupted'), error = '' "
                   "WHERE status IS NULL",
                   "") &&
         store_run(store, e, "UPDATE attempt SET status = 'interrupted' WHERE status IS NULL", "");
}

static int compare_names(const void *a, const void *b) {
  return strcmp(*(char *const *)a, *(char *const *)b);
}

static void sort_names(StringList *names) {
  if (names->count) qsort(names->items, (size_t)names->count, sizeof *names->items, compare_names);
}

/* Paths of the folders in `folder` that hold a file called `with`; sorted. */
static bool find_folders(StringList *names, const char *folder, const char *with, Error *e) {
  DIR *dir = opendir(folder);
  if (!dir) return error_set(e, EXIT_DATA, "%s: %s", folder, strerror(errno));
  bool ok = true;
  for (const struct dirent *entry; ok && (entry = readdir(dir));) {
    char path[PATH_MAX], file[PATH_MAX];
    struct stat status;
    if (entry->d_name[0] == '.') continue;
    ok = io_join(path, sizeof path, folder, entry->d_name, e) &&
         io_join(file, sizeof file, path, with, e);
    if (ok && !stat(file, &status) && S_ISREG(status.st_mode))
      strings_add(names, string_copy(path));
  }
  closedir(dir);
  sort_names(names);
  return ok;
}

typedef struct Found { /* a sweep or trial folder, in the order in which it was made */
  char *folder;
  double created;
  int64_t id, sweep, trial; /* trial -1: left out */
  char hash[65];            /* of a trial's configuration, as trial.json says */
} Found;

/* The name that the harness gives, and looks for. */
static bool is_named_by_harness(const Found *found) {
  const char *name = store_folder_name(found->folder);
  return strlen(name) == 12 && !strncmp(name, found->hash, 12);
}

static int compare_found(const void *a, const void *b) {
  const Found *x = a, *y = b;
  if (x->created != y->created) return x->created < y->created ? -1 : 1;
  return strcmp(x->folder, y->folder);
}

/* Folders below `folder` that hold `file`, oldest first. One whose description cannot be read is
 * reported and left out. */
static bool list_found(Found **list, int *count, const char *folder, const char *file,
                       int64_t sweep, Error *e) {
  StringList names = {0};
  bool ok = find_folders(&names, folder, file, e);
  Found *more = ok ? realloc(*list, (size_t)(*count + names.count + 1) * sizeof *more) : NULL;
  if (more) *list = more;
  if (ok && !more) ok = error_set(e, EXIT_DEVICE, "out of memory");
  for (int i = 0; ok && i < names.count; i++) {
    Error problem;
    json_t *json = store_read_json(names.items[i], file, &problem);
    Found found = {.sweep = sweep};
    if (json && member_need_finite(json, "created", &found.created, &problem)) {
      const char *hash = member_text(json, "config_hash");
      found.id = member_integer(json, "id", 0);
      snprintf(found.hash, sizeof found.hash, "%s", hash ? hash : "");
      found.folder = names.items[i];
      names.items[i] = NULL;
      (*list)[(*count)++] = found;
    } else {
      fprintf(stderr, "%s: left out: %s\n", names.items[i], problem.message);
    }
    json_decref(json);
  }
  strings_free(&names);
  return ok;
}

static void free_found(Found *list, int count) {
  for (int i = 0; i < count; i++) free(list[i].folder);
  free(list);
}

static bool take_verifications(Store *store, int64_t trial, const char *folder, Error *e) {
  StringList names = {0};
  DIR *dir = opendir(folder);
  if (!dir) return error_set(e, EXIT_DATA, "%s: %s", folder, strerror(errno));
  for (const struct dirent *entry; (entry = readdir(dir));) {
    size_t length = strlen(entry->d_name);
    if (!strncmp(entry->d_name, "verify-", 7) && length > 6 &&
        !strcmp(entry->d_name + length - 6, ".jsonl"))
      strings_add(&names, string_copy(entry->d_name));
  }
  closedir(dir);
  bool ok = true;
  sort_names(&names);
  for (int i = 0; ok && i < names.count; i++) {
    FileReport report;
    ok = store_take_file(store, trial, folder, names.items[i], &report, e);
    if (ok && report.refused)
      fprintf(stderr, "warning: %s/%s: %d lines left out: %s\n", folder, names.items[i],
              report.refused, report.first.message);
  }
  strings_free(&names);
  return ok;
}

/* Rebuilt from the files, whatever the tables held. A trial whose files cannot be read is reported
 * and keeps none of the others from being taken in. */
static bool take_files(Store *store, const Found *found, Error *e) {
  Error problem = {0};
  bool ok = store_forget_trial(store, found->trial, &problem) &&
            store_take_trial(store, found->trial, found->folder, &problem) &&
            take_verifications(store, found->trial, found->folder, &problem);
  if (ok) return true;
  if (store_broken(store)) {
    *e = problem;
    return false;
  }
  fprintf(stderr, "%s: not all of it could be taken in: %s\n", found->folder, problem.message);
  return true;
}

static int compare_copies(const void *a, const void *b) {
  const Found *x = a, *y = b;
  if (x->sweep != y->sweep) return x->sweep < y->sweep ? -1 : 1;
  int order = strcmp(x->hash, y->hash);
  if (order == 0) order = is_named_by_harness(y) - is_named_by_harness(x);
  return order ? order : compare_found(a, b);
}

/* A folder that was copied beside itself is not another trial: the one whose name is the
 * configuration's counts, or else the first. One that was renamed is taken in and named, for
 * `harness run` does not find it. */
static void leave_out_copies(Found *list, int count) {
  if (count) qsort(list, (size_t)count, sizeof *list, compare_copies);
  const Found *first = NULL;
  for (int i = 0; i < count; i++) {
    if (first && first->sweep == list[i].sweep && !strcmp(first->hash, list[i].hash)) {
      fprintf(stderr, "%s: left out: the same trial as %s\n", list[i].folder, first->folder);
      list[i].trial = -1;
      continue;
    }
    first = &list[i];
    if (!is_named_by_harness(first) && strlen(first->hash) >= 12)
      fprintf(stderr, "note: %s: `harness run` looks for this trial in %.12s\n", first->folder,
              first->hash);
  }
}

/* Ids that are free are handed out first, so that a clash moves the later trial only. */
static bool add_trials(Store *store, Found *list, int count, int *trials, Error *e) {
  leave_out_copies(list, count);
  if (count) qsort(list, (size_t)count, sizeof *list, compare_found);
  for (int pass = 0; pass < 2; pass++) {
    for (int i = 0; i < count; i++) {
      Found *found = &list[i];
      int64_t holder = 0;
      bool taken = false;
      if (found->trial) continue;
      if (!store_int(store, e, &holder, &taken, "SELECT trial FROM trial WHERE trial = ?", "i",
                     found->id))
        return false;
      if (taken && pass == 0) continue;
      Error problem;
      if (store_add_trial(store, found->sweep, found->folder, &found->trial, &problem)) {
        ++*trials;
      } else if (store_broken(store)) {
        *e = problem;
        return false;
      } else {
        fprintf(stderr, "left out: %s\n", problem.message);
        found->trial = -1;
      }
    }
  }
  return true;
}

/* What is not committed lies in a second file beside the database, which would grow to the size of
 * all trials. Between two of them the database is whole, and `import` says that some are missing.
 */
static bool commit_piece(Store *store, Error *e) {
  if (sqlite3_total_changes64(store->db) - store->committed < store->piece_rows) return true;
  store->committed = sqlite3_total_changes64(store->db);
  return store_commit(store, e) && store_begin(store, e);
}

bool store_import_cut(Store *store, bool *cut, Error *e) {
  int64_t unused;
  return store_int(store, e, &unused, cut, "SELECT 1 FROM import", "");
}

static bool import_all(Store *store, Found *sweeps, int sweep_count, int *trials, Error *e) {
  Found *list = NULL;
  int count = 0;
  bool ok = true;
  if (sweep_count) qsort(sweeps, (size_t)sweep_count, sizeof *sweeps, compare_found);
  for (int i = 0; ok && i < sweep_count; i++) {
    Error problem;
    if (store_add_sweep(store, sweeps[i].folder, &sweeps[i].sweep, &problem)) {
      ok = list_found(&list, &count, sweeps[i].folder, "trial.json", sweeps[i].sweep, e);
    } else if (store_broken(store)) {
      *e = problem;
      ok = false;
    } else {
      fprintf(stderr, "left out: %s\n", problem.message);
    }
  }
  ok = ok && add_trials(store, list, count, trials, e);
  for (int i = 0; ok && i < count; i++)
    ok = list[i].trial < 0 || (take_files(store, &list[i], e) && commit_piece(store, e));
  free_found(list, count);
  return ok && store_recover(store, e) && store_judge_all_points(store, e) &&
         store_judge_all_papers(store, e);
}

/* A folder that cannot be looked at, for want of a right or by a fault of the disk, is still there.
 */
static bool has_gone(const char *path) {
  return access(path, F_OK) != 0 && (errno == ENOENT || errno == ENOTDIR);
}

/* An experiment whose last trial went with the folder of all of them, as nothing of it is left. */
static bool drop_experiment(Store *store, int64_t sweep, char *trial_folder, Error *e) {
  int64_t unused;
  bool left = false;
  *strrchr(trial_folder, '/') = 0;
  if (!has_gone(trial_folder)) return true;
  if (!store_int(store, e, &unused, &left, "SELECT 1 FROM trial WHERE sweep = ?", "i", sweep))
    return false;
  return left || store_remove_sweep(store, sweep, e);
}

/* Trials that were below `out` and are not any more: the folders are the truth. */
static bool drop_deleted(Store *store, const char *out, Error *e) {
  char real[PATH_MAX], path[PATH_MAX * 2];
  if (!realpath(out, real)) return error_set(e, EXIT_DATA, "%s: %s", out, strerror(errno));
  size_t length = strlen(real);
  for (int64_t after = 0;;) {
    sqlite3_stmt *row = store_query(
        store, e, "SELECT trial, folder, sweep FROM trial WHERE trial > ? ORDER BY trial LIMIT 1",
        "i", after);
    bool found = false;
    if (!row || !store_row(store, e, row, &found)) return false;
    if (!found) return true;
    after = sqlite3_column_int64(row, 0);
    const char *folder = (const char *)sqlite3_column_text(row, 1);
    int64_t sweep = sqlite3_column_int64(row, 2);
    if (*folder == '/')
      snprintf(path, sizeof path, "%s", folder);
    else
      snprintf(path, sizeof path, "%s/%s", store->folder, folder);
    sqlite3_reset(row);
    if (strncmp(path, real, length) || path[length] != '/' || !has_gone(path)) continue;
    if (!store_remove_trial(store, after, e)) return false;
    fprintf(stderr, "%s has gone, and trial %lld with it\n", path, (long long)after);
    if (!drop_experiment(store, sweep, path, e)) return false;
  }
}

bool store_import(Store *store, const char *out, int *trials, Error *e) {
  Found *sweeps = NULL;
  int count = 0;
  *trials = 0;
  bool ok = list_found(&sweeps, &count, out, "sweep.json", 0, e);
  store->committed = sqlite3_total_changes64(store->db);
  ok = ok && store_begin(store, e) &&
       store_run(store, e, "INSERT OR IGNORE INTO import (unfinished) VALUES (1)", "") &&
       drop_deleted(store, out, e);
  ok = ok && import_all(store, sweeps, count, trials, e) &&
       store_run(store, e, "DELETE FROM import", "") && store_commit(store, e);
  if (!ok) sqlite3_exec(store->db, "ROLLBACK", NULL, NULL, NULL);
  free_found(sweeps, count);
  return ok;
}

bool store_import_sweep(Store *store, const char *folder, Error *e) {
  Found sweep = {.folder = string_copy(folder)};
  int trials = 0;
  store->committed = sqlite3_total_changes64(store->db);
  bool ok =
      store_begin(store, e) && import_all(store, &sweep, 1, &trials, e) && store_commit(store, e);
  if (!ok) sqlite3_exec(store->db, "ROLLBACK", NULL, NULL, NULL);
  free(sweep.folder);
  return ok;
}
