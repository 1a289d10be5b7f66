/* import.c - sweep and trial folders into the database: the folder's description
 * (sweep.json, trial.json, config.ini) and, for a rebuild, all its event files. */
#include "harness/store/internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "harness/base/strings.h"
#include "mae/base/io.h"
#include "mae/base/sha256.h"
#include "mae/config/config.h"
#include "mae/config/ini.h"

enum { FILE_SIZE_MAX = 1 << 30, TRIAL_ID_MAX = 1000000000 };

bool store_read_file(char **text, size_t *size, const char *path, Error *e) {
  struct stat status;
  *text = NULL;
  int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC); /* a FIFO must not hang us */
  FILE *file = fd < 0 ? NULL : fdopen(fd, "rb");
  if (!file) return error_set(e, EXIT_DATA, "%s: %s", path, strerror(errno));
  bool ok = !fstat(fileno(file), &status) && S_ISREG(status.st_mode);
  if (!ok) error_set(e, EXIT_DATA, "%s: not a file", path);
  if (ok && status.st_size > FILE_SIZE_MAX)
    ok = error_set(e, EXIT_DATA, "%s: larger than 1 GiB", path);
  if (ok && !(*text = malloc((size_t)status.st_size + 1)))
    ok = error_set(e, EXIT_DEVICE, "%s: out of memory", path);
  if (ok) {
    *size = fread(*text, 1, (size_t)status.st_size, file); /* shorter when it shrank meanwhile */
    (*text)[*size] = '\0';
    ok = !ferror(file) || error_set(e, EXIT_DATA, "%s: %s", path, strerror(errno));
  }
  if (!ok) {
    free(*text);
    *text = NULL;
  }
  fclose(file);
  return ok;
}

static json_t *read_json(const char *folder, const char *name, Error *e) {
  char path[PATH_MAX], *text = NULL;
  size_t size = 0;
  json_error_t where;
  if (!io_join(path, sizeof path, folder, name, e) || !store_read_file(&text, &size, path, e))
    return NULL;
  json_t *json = json_loadb(text, size, JSON_REJECT_DUPLICATES, &where);
  free(text);
  int64_t format = 0;
  if (!json)
    error_set(e, EXIT_DATA, "%s:%d: not JSON: %s", path, where.line, where.text);
  else if (!member_need_integer(json, "format", &format, e))
    error_prefix(e, "%s", path);
  else if (format != 1)
    error_set(e, EXIT_DATA, "%s: format %lld; this harness reads format 1", path,
              (long long)format);
  if (json && format != 1) {
    json_decref(json);
    json = NULL;
  }
  return json;
}

/* Runs `part` so that the database has all of it or nothing, inside an open transaction or not. */
typedef bool (*Part)(Store *, void *context, Error *);

static bool whole(Store *store, Part part, void *context, Error *e) {
  if (!store_run(store, e, "SAVEPOINT part", "")) return false;
  bool ok = part(store, context, e);
  if (!ok) sqlite3_exec(store->db, "ROLLBACK TO part", NULL, NULL, NULL);
  bool released = store_run(store, ok ? e : NULL, "RELEASE part", "");
  return ok && released;
}

/* Sweeps --------------------------------------------------------------------------------------*/

typedef struct SweepPart {
  const json_t *json;
  int64_t sweep;
} SweepPart;

static bool put_sweep(Store *store, void *context, Error *e) {
  SweepPart *part = context;
  const json_t *j = part->json, *trials = json_object_get(j, "trials");
  const char *experiment, *name, *scale, *question, *expected, *source, *x, *ini;
  double created;
  bool found = false;
  if (!member_need_text(j, "experiment", &experiment, e) ||
      !member_need_text(j, "name", &name, e) || !member_need_text(j, "scale", &scale, e) ||
      !member_need_text(j, "question", &question, e) ||
      !member_need_text(j, "expected", &expected, e) ||
      !member_need_text(j, "source", &source, e) || !member_need_text(j, "x", &x, e) ||
      !member_need_text(j, "ini", &ini, e) || !member_need_finite(j, "created", &created, e))
    return false;
  if (!json_is_array(trials)) return error_set(e, EXIT_DATA, "member \"trials\" is not a list");
  if (!store_run(store, e,
                 "INSERT INTO sweep (experiment, name, scale, question, expected, source, x, ini, "
                 "created) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (experiment) DO UPDATE "
                 "SET name = excluded.name, scale = excluded.scale, question = excluded.question, "
                 "expected = excluded.expected, source = excluded.source, x = excluded.x, "
                 "ini = excluded.ini, created = excluded.created",
                 "ttttttttr", experiment, name, scale, question, expected, source, x, ini,
                 created) ||
      !store_int(store, e, &part->sweep, &found, "SELECT sweep FROM sweep WHERE experiment = ?",
                 "t", experiment) ||
      !store_run(store, e, "DELETE FROM planned WHERE sweep = ?", "i", part->sweep) ||
      !store_run(store, e, "DELETE FROM point_iqm WHERE sweep = ?", "i", part->sweep))
    return false;
  for (size_t i = 0; i < json_array_size(trials); i++) {
    const char *hash = json_string_value(json_array_get(trials, i));
    if (!hash) return error_set(e, EXIT_DATA, "\"trials\" lists something that is not text");
    if (!store_run(store, e, "INSERT INTO planned (sweep, position, config_hash) VALUES (?, ?, ?)",
                   "iit", part->sweep, (int64_t)i, hash))
      return false;
  }
  return store_put_paper(store, part->sweep, json_object_get(j, "paper"), e);
}

/* The name is the folder's, and is one that can be a folder's, a file's and a figure's: what comes
 * in a copied folder must not be able to point elsewhere. */
static bool check_experiment(const json_t *sweep, const char *folder, Error *e) {
  static const char allowed[] =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._- ";
  const char *experiment, *slash = strrchr(folder, '/');
  if (!member_need_text(sweep, "experiment", &experiment, e)) return false;
  if (!*experiment || *experiment == '.' || experiment[strspn(experiment, allowed)])
    return error_set(e, EXIT_DATA,
                     "experiment \"%.100s\": a name has letters, digits, '.', '_', '-' and blanks "
                     "only, and does not begin with '.'",
                     experiment);
  return !strcmp(experiment, slash ? slash + 1 : folder) ||
         error_set(e, EXIT_DATA, "it is of experiment %.100s, which is not the folder's name",
                   experiment);
}

bool store_add_sweep(Store *store, const char *folder, int64_t *sweep, Error *e) {
  json_t *json = read_json(folder, "sweep.json", e);
  if (!json) return false;
  SweepPart part = {.json = json};
  bool ok = (check_experiment(json, folder, e) && whole(store, put_sweep, &part, e)) ||
            error_prefix(e, "%s/sweep.json", folder);
  *sweep = part.sweep;
  ok = ok && store_take_notes(store, part.sweep, 0, folder, e);
  json_decref(json);
  return ok;
}

/* Trials --------------------------------------------------------------------------------------*/

typedef struct TrialPart {
  int64_t sweep, trial;
  const char *folder;
  const json_t *json;
  IniFile config;
} TrialPart;

/* Below the database's folder a trial is named relative to it, so that both can move together. */
static bool folder_name(const Store *store, const char *folder, char *out, Error *e) {
  char real[PATH_MAX];
  if (!realpath(folder, real)) return error_set(e, EXIT_DATA, "%s: %s", folder, strerror(errno));
  size_t base = strlen(store->folder);
  bool below = !strncmp(real, store->folder, base) && real[base] == '/';
  snprintf(out, PATH_MAX, "%s", below ? real + base + 1 : real);
  return true;
}

static int compare_entries(const void *a, const void *b) {
  const IniEntry *x = a, *y = b;
  int order = strcmp(x->section, y->section);
  return order ? order : strcmp(x->key, y->key);
}

/* Stores every value and hashes those that make a result, but for the seed: what trials that
 * repeat each other have in common. */
static bool put_params(Store *store, TrialPart *part, char point[65], Error *e) {
  IniFile *ini = &part->config;
  const json_t *swept = json_object_get(part->json, "swept");
  Sha256 *sha = sha256_new();
  bool ok = true;
  qsort(ini->entries, (size_t)ini->count, sizeof *ini->entries, compare_entries);
  for (int i = 0; ok && i < ini->count; i++) {
    const IniEntry *entry = &ini->entries[i];
    char key[256];
    snprintf(key, sizeof key, "%s.%s", entry->section, entry->key);
    if (config_is_hashed(key) && strcmp(key, "run.seed")) {
      sha256_add(sha, key, strlen(key));
      sha256_add(sha, "=", 1);
      sha256_add(sha, entry->value, strlen(entry->value));
      sha256_add(sha, "\n", 1);
    }
    if (part->trial)
      ok = store_run(
          store, e,
          "INSERT INTO param (trial, key, value, swept) VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE "
          "SET value = excluded.value, swept = excluded.swept "
          "WHERE value <> excluded.value OR swept <> excluded.swept",
          "itti", part->trial, key, entry->value, (int64_t)(json_object_get(swept, key) != NULL));
  }
  sha256_finish(sha, point);
  return ok;
}

/* "key=value key=value" in the order of the sweep. */
static char *swept_text(const json_t *swept, Error *e) {
  char *text = NULL;
  size_t size = 0;
  const char *key;
  json_t *value;
  FILE *out = open_memstream(&text, &size);
  if (!out) {
    error_set(e, EXIT_DEVICE, "out of memory");
    return NULL;
  }
  bool ok = true;
  json_object_foreach((json_t *)swept, key, value) {
    if (!json_is_string(value))
      ok = error_set(e, EXIT_DATA, "swept value of \"%s\" is not text", key);
    if (ok) fprintf(out, "%s%s=%s", ftell(out) > 0 ? " " : "", key, json_string_value(value));
  }
  if (fclose(out)) ok = error_set(e, EXIT_DEVICE, "out of memory");
  if (ok) return text;
  free(text);
  return NULL;
}

/* The trial's own id when nobody has it; otherwise the next free one, said on standard error. */
static bool choose_id(Store *store, const TrialPart *part, int64_t *id, Error *e) {
  int64_t wanted = 0, taken = 0;
  bool found = false;
  if (!member_need_integer(part->json, "id", &wanted, e)) return false;
  if (wanted < 1 || wanted > TRIAL_ID_MAX)
    return error_set(e, EXIT_DATA, "trial id %lld is not one from 1 to %d", (long long)wanted,
                     TRIAL_ID_MAX);
  if (!store_int(store, e, &taken, &found, "SELECT trial FROM trial WHERE trial = ?", "i", wanted))
    return false;
  *id = wanted;
  if (!found) return true;
  if (!store_next_trial_id(store, id, e)) return false;
  fprintf(stderr, "%s: its trial id %lld is taken; it becomes trial %lld\n", part->folder,
          (long long)wanted, (long long)*id);
  return true;
}

static bool put_trial(Store *store, void *context, Error *e) {
  TrialPart *part = context;
  const json_t *j = part->json, *swept = json_object_get(j, "swept");
  const char *hash;
  int64_t seed;
  double created;
  bool found = false;
  char folder[PATH_MAX], point[65];
  if (!json_is_object(swept)) return error_set(e, EXIT_DATA, "member \"swept\" is not an object");
  if (!member_need_text(j, "config_hash", &hash, e) || !member_need_integer(j, "seed", &seed, e) ||
      !member_need_finite(j, "created", &created, e) ||
      !store_int(store, e, &part->trial, &found,
                 "SELECT trial FROM trial WHERE sweep = ? AND config_hash = ?", "it", part->sweep,
                 hash) ||
      !folder_name(store, part->folder, folder, e))
    return false;
  char *text = swept_text(swept, e);
  if (!text) return false;
  bool ok = true;
  if (found) { /* an edited plan may sweep other keys over the same configuration */
    ok = store_run(store, e, "UPDATE trial SET swept = ?, folder = ? WHERE trial = ?", "tti", text,
                   folder, part->trial) &&
         put_params(store, part, point, e);
  } else {
    ok =
        put_params(store, part, point, e) && choose_id(store, part, &part->trial, e) &&
        store_run(store, e,
                  "INSERT INTO trial (trial, sweep, config_hash, point, seed, swept, folder, "
                  "created) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                  "iittittr", part->trial, part->sweep, hash, point, seed, text, folder, created) &&
        put_params(store, part, point, e);
  }
  free(text);
  return ok;
}

static const char *name_of(const char *folder) {
  const char *slash = strrchr(folder, '/');
  return slash ? slash + 1 : folder;
}

/* Twelve hex digits are a folder's name that the harness gave; others a person gave. */
static bool name_agrees(const char *folder, const char *hash) {
  const char *name = name_of(folder);
  return strlen(name) != 12 || strspn(name, "0123456789abcdef") != 12 || !strncmp(name, hash, 12);
}

/* What the folder, trial.json and config.ini say of the configuration is one thing. */
static bool check_identity(const TrialPart *part, Error *e) {
  const char *hash;
  char own[65];
  if (!member_need_text(part->json, "config_hash", &hash, e)) return false;
  config_hash_file(&part->config, own);
  if (strcmp(own, hash))
    return error_set(
        e, EXIT_DATA,
        "%s: config.ini is of configuration %.12s and trial.json of %.12s: one of them "
        "was changed",
        part->folder, own, hash);
  return name_agrees(part->folder, hash) ||
         error_set(e, EXIT_DATA, "%s: holds configuration %.12s: it is another trial's folder",
                   part->folder, hash);
}

bool store_add_trial(Store *store, int64_t sweep, const char *folder, int64_t *trial, Error *e) {
  char path[PATH_MAX];
  TrialPart part = {.sweep = sweep, .folder = folder};
  json_t *json = read_json(folder, "trial.json", e);
  if (!json) return false;
  part.json = json;
  bool ok = io_join(path, sizeof path, folder, "config.ini", e) && ini_read(&part.config, path, e);
  if (ok) {
    ok = check_identity(&part, e) &&
         (whole(store, put_trial, &part, e) || error_prefix(e, "%s/trial.json", folder)) &&
         store_take_notes(store, sweep, part.trial, folder, e);
    ini_free(&part.config);
  }
  *trial = part.trial;
  json_decref(json);
  return ok;
}

/* Rebuilding ----------------------------------------------------------------------------------*/

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
  const char *name = name_of(found->folder);
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
    json_t *json = read_json(names.items[i], file, &problem);
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
