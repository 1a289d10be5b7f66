/* store_experiment.c - an experiment by the name a user gives it. */
#include "harness/store_internal.h"

#include <stdlib.h>
#include <string.h>

#include "harness/strings.h"
#include "mae/base/suggest.h"

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
