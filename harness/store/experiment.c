/* experiment.c - an experiment by the name a user gives it, a trial by its number. */
#include "harness/store/internal.h"

#include <stdlib.h>
#include <string.h>

#include "harness/base/strings.h"
#include "mae/base/suggest.h"
#include "mae/config/config.h"

/* "experiments/ablations/mask_ratio.ini" -> "mask_ratio": what [experiment] name is by default. */
static char *bare_name(const char *text) {
  const char *slash = strrchr(text, '/'), *name = slash ? slash + 1 : text;
  size_t length = strlen(name);
  if (length > 4 && !strcmp(name + length - 4, ".ini")) length -= 4;
  return need(strndup(name, length));
}

/* Every experiment with the name its INI file gave it. */
static bool list_all(Store *store, StringList *experiments, StringList *names, Error *e) {
  sqlite3_stmt *statement =
      store_query(store, e, "SELECT experiment, name FROM sweep ORDER BY experiment", "");
  bool row = true, ok = statement != NULL;
  while (ok && (ok = store_row(store, e, statement, &row)) && row) {
    strings_add(experiments, string_copy((const char *)sqlite3_column_text(statement, 0)));
    strings_add(names, string_copy((const char *)sqlite3_column_text(statement, 1)));
  }
  return ok;
}

static bool say_absent(const Store *store, const char *name, const StringList *experiments,
                       const StringList *names, Error *e) {
  error_set(e, EXIT_CONFIG, "%s has no experiment \"%.200s\"", store->path, name);
  int near = suggest_index(name, (const char *const *)experiments->items, experiments->count);
  if (near < 0) near = suggest_index(name, (const char *const *)names->items, names->count);
  if (near >= 0) return error_suffix(e, "did you mean %s?", experiments->items[near]);
  if (experiments->count == 0) return error_suffix(e, "it has none yet");
  char *list = string_copy("");
  for (int i = 0; i < experiments->count && strlen(list) < 500; i++) {
    char *longer = string_format("%s%s%s", list, i ? ", " : "", experiments->items[i]);
    free(list);
    list = longer;
  }
  error_suffix(e, "there are: %s", list);
  free(list);
  return false;
}

bool store_name_experiments(Store *store, StringList *found, const char *const *words, int count,
                            Error *e) {
  StringList all = {0}, names = {0}, some = {0};
  bool ok = list_all(store, &all, &names, e);
  for (int i = 0; ok && i < count; i++) ok = store_find_experiments(store, words[i], &some, e);
  for (int i = 0; ok && i < all.count; i++)
    if (!count || strings_find(&some, all.items[i]) >= 0)
      strings_add(found, string_copy(all.items[i]));
  if (ok && !found->count)
    ok = error_set(e, EXIT_DATA, "%s: no experiment is in it yet; `harness run` adds one",
                   store->path);
  strings_free(&all);
  strings_free(&names);
  strings_free(&some);
  return ok;
}

bool store_find_experiments(Store *store, const char *name, StringList *found, Error *e) {
  StringList experiments = {0}, names = {0};
  bool ok = list_all(store, &experiments, &names, e);
  char *bare = bare_name(name);
  if (ok && strings_find(&experiments, name) >= 0) strings_add(found, string_copy(name));
  bool exact = found->count > 0;
  for (int i = 0; ok && !exact && i < names.count; i++)
    if (!strcmp(names.items[i], bare)) strings_add(found, string_copy(experiments.items[i]));
  if (ok && !found->count) ok = say_absent(store, bare, &experiments, &names, e);
  free(bare);
  strings_free(&experiments);
  strings_free(&names);
  return ok;
}

/* A folder of the table `trial`, or the one around it, as an absolute path. */
static void set_folder(const Store *store, Target *target, const char *trial_folder) {
  if (*trial_folder == '/')
    snprintf(target->folder, sizeof target->folder, "%s", trial_folder);
  else
    snprintf(target->folder, sizeof target->folder, "%s/%s", store->folder, trial_folder);
  char *slash = strrchr(target->folder, '/');
  if (!target->trial && slash) *slash = 0;
}

static bool find_target_trial(Store *store, const char *word, Target *target, Error *e) {
  sqlite3_stmt *row = store_query(
      store, e, "SELECT trial, experiment, swept, folder FROM trials WHERE trial = CAST(? AS INT)",
      "t", word);
  bool found = false;
  if (!row || !store_row(store, e, row, &found)) return false;
  if (!found)
    return error_set(e, EXIT_DATA, "%s has no trial %.20s; `harness list` lists them", store->path,
                     word);
  target->trial = sqlite3_column_int64(row, 0);
  snprintf(target->experiment, sizeof target->experiment, "%s", sqlite3_column_text(row, 1));
  snprintf(target->what, sizeof target->what, "trial %lld of %.200s (%.250s)",
           (long long)target->trial, target->experiment, sqlite3_column_text(row, 2));
  set_folder(store, target, (const char *)sqlite3_column_text(row, 3));
  sqlite3_reset(row);
  return true;
}

static bool find_target_experiment(Store *store, const char *experiment, Target *target, Error *e) {
  sqlite3_stmt *row = store_query(
      store, e, "SELECT count(*), min(folder) FROM trials WHERE experiment = ?", "t", experiment);
  bool found = false;
  if (!row || !store_row(store, e, row, &found)) return false;
  const char *folder = (const char *)sqlite3_column_text(row, 1);
  snprintf(target->experiment, sizeof target->experiment, "%s", experiment);
  snprintf(target->what, sizeof target->what, "experiment %.200s with %d trials", experiment,
           sqlite3_column_int(row, 0));
  if (folder) set_folder(store, target, folder);
  sqlite3_reset(row);
  return true;
}

bool store_find_target(Store *store, const char *word, Target *target, Error *e) {
  *target = (Target){0};
  if (*word && strlen(word) < 19 && !word[strspn(word, "0123456789")])
    return find_target_trial(store, word, target, e);
  StringList found = {0};
  bool ok = store_find_experiments(store, word, &found, e);
  if (ok && found.count > 1)
    ok = error_set(e, EXIT_CONFIG, "%.200s is the name of %d experiments; give one: %s, %s%s", word,
                   found.count, found.items[0], found.items[1], found.count > 2 ? ", ..." : "");
  ok = ok && find_target_experiment(store, found.items[0], target, e);
  strings_free(&found);
  return ok;
}

static bool is_length(const char *key) {
  return !strcmp(key, "train.epochs") || !strcmp(key, "train.steps");
}

bool store_find_other_length(Store *store, int64_t trial, int64_t *other, Error *e) {
  /* Each option that differs between it and a finished trial of its experiment and seed. */
  sqlite3_stmt *rows = store_query(
      store, e,
      "SELECT old.trial, was.key FROM trial AS new JOIN trial AS old USING (sweep, seed) "
      "JOIN param AS was ON was.trial = old.trial JOIN param AS now ON now.trial = new.trial AND "
      "now.key = was.key WHERE new.trial = ? AND old.trial <> new.trial AND now.value <> was.value "
      "AND EXISTS (SELECT 1 FROM attempt WHERE attempt.trial = old.trial AND status = 'done') "
      "ORDER BY old.trial",
      "i", trial);
  int64_t candidate = 0;
  bool row = true, fits = false, ok = rows != NULL;
  *other = 0;
  while (ok && !*other && (ok = store_row(store, e, rows, &row)) && row) {
    int64_t old = sqlite3_column_int64(rows, 0);
    const char *key = (const char *)sqlite3_column_text(rows, 1);
    if (old != candidate) {
      if (candidate && fits) *other = candidate;
      candidate = old;
      fits = true;
    }
    if (!is_length(key) && config_is_hashed(key)) fits = false;
  }
  if (ok && !*other && candidate && fits) *other = candidate;
  if (rows) sqlite3_reset(rows);
  return ok;
}
