/* side.c - one side of a comparison: which trials the words of a user stand for, and their
 * values. */
#include <stdlib.h>
#include <string.h>

#include "harness/base/strings.h"
#include "harness/store/compare.h"
#include "mae/config/config.h"

void side_free(Side *side) {
  free(side->text);
  free(side->trials);
  free(side->evaluation);
  free(side->mask);
  free(side->seeds);
  free(side->values);
}

/* The condition on `trials` of a status that a side's text stands for: a trial id, or
 * [EXPERIMENT:]key=value key=value. Free with sqlite3_free. */
static char *side_condition(const char *text, const char *status, Error *e) {
  if (*text && text[strspn(text, "0123456789")] == '\0')
    return sqlite3_mprintf("trial = %s AND status = %Q", text, status);
  const char *equals = strchr(text, '='), *colon = strchr(text, ':');
  char *sql = colon && (!equals || colon < equals)
                  ? sqlite3_mprintf("status = %Q AND experiment = '%.*q'", status,
                                    (int)(colon - text), text)
                  : sqlite3_mprintf("status = %Q AND planned", status);
  char *rest = string_copy(colon && (!equals || colon < equals) ? colon + 1 : text), *save = NULL;
  for (char *word = strtok_r(rest, " \t", &save); word; word = strtok_r(NULL, " \t", &save)) {
    char *value = strchr(word, '=');
    if (!value || value == word || !value[1]) {
      error_set(e, EXIT_CONFIG,
                "\"%s\": neither a trial id nor settings such as train.mask_ratio=0.75", text);
      sqlite3_free(sql);
      free(rest);
      return NULL;
    }
    *value++ = '\0';
    /* Numbers are compared as numbers: .75 finds 0.75. */
    char *more = sqlite3_mprintf(
        "%z AND EXISTS (SELECT 1 FROM param WHERE param.trial = trials.trial AND key = %Q AND "
        "(value = %Q OR (value GLOB '[0-9.-]*' AND value NOT GLOB '*[^0-9.e+-]*' AND "
        "%Q NOT GLOB '*[^0-9.e+-]*' AND CAST(value AS REAL) = CAST(%Q AS REAL))))",
        sql, word, value, value, value);
    sql = more;
  }
  free(rest);
  if (!sql) error_set(e, EXIT_DEVICE, "out of memory");
  return sql;
}

static sqlite3_stmt *prepare(Store *store, char *sql, Error *e) {
  sqlite3_stmt *statement = NULL;
  if (!sql)
    error_set(e, EXIT_DEVICE, "out of memory");
  else if (sqlite3_prepare_v2(store->db, sql, -1, &statement, NULL) != SQLITE_OK)
    store_fail(store, e);
  sqlite3_free(sql);
  return statement;
}

/* Says which values of a key the trials that are done have, when `value` is none of them. False:
 * it is one. */
static bool explain_setting(Store *store, const char *experiment, const char *key,
                            const char *value, Error *e) {
  bool row = false, explained = false;
  sqlite3_stmt *statement = store_query(
      store, NULL,
      "SELECT group_concat(value, ', '), sum(value = ?1 OR (CAST(value AS REAL) = CAST(?1 AS REAL) "
      "AND CAST(value AS REAL) <> 0)) FROM (SELECT DISTINCT param.value AS value FROM param "
      "JOIN trials USING (trial) WHERE key = ?2 AND status = 'done' AND (?3 IS NULL OR "
      "experiment = ?3) ORDER BY CAST(param.value AS REAL), param.value)",
      "ttt", value, key, experiment);
  if (!statement || !store_row(store, NULL, statement, &row) || !row) return true;
  const char *values = (const char *)sqlite3_column_text(statement, 0);
  if (!values) {
    const char *near = config_suggest(key);
    explained = true;
    if (near && strcmp(near, key) != 0)
      error_suffix(e, "there is no option %s; did you mean %s?", key, near);
  } else if (sqlite3_column_int(statement, 1) == 0) {
    explained = true;
    error_suffix(e, "%s is %.400s there", key, values);
  }
  sqlite3_reset(statement);
  return explained;
}

/* What fits may be pruned. */
static bool explain_pruned(Store *store, const char *text, Error *e) {
  char *condition = side_condition(text, "pruned", NULL);
  sqlite3_stmt *statement =
      condition ? prepare(store,
                          sqlite3_mprintf("SELECT trial, error FROM trials WHERE %s ORDER BY trial",
                                          condition),
                          NULL)
                : NULL;
  bool row = false;
  if (statement && store_row(store, NULL, statement, &row) && row)
    error_suffix(e, "trial %d is pruned %.300s", sqlite3_column_int(statement, 0),
                 (const char *)sqlite3_column_text(statement, 1));
  sqlite3_finalize(statement);
  sqlite3_free(condition);
  return row;
}

/* Why nothing fits: the experiment, or the first setting with a value that is not there. */
static bool explain_absent(Store *store, const char *text, Error *e) {
  error_set(e, EXIT_CONFIG, "\"%.300s\": no trial that is done fits", text);
  if (explain_pruned(store, text, e)) return false;
  const char *equals = strchr(text, '='), *colon = strchr(text, ':');
  bool named = colon && (!equals || colon < equals), explained = false;
  char *experiment = named ? need(strndup(text, (size_t)(colon - text))) : NULL;
  char *rest = string_copy(named ? colon + 1 : text), *save = NULL;
  StringList known = {0};
  Error unknown = {0};
  if (named && !store_find_experiments(store, experiment, &known, &unknown)) {
    error_suffix(e, "%s", unknown.message);
    explained = true;
  } else if (named && strings_find(&known, experiment) < 0) {
    error_suffix(e, "with its scale that experiment is %s", known.items[0]);
    explained = true;
  }
  for (char *word = strtok_r(rest, " \t", &save); word && !explained;
       word = strtok_r(NULL, " \t", &save)) {
    char *value = strchr(word, '=');
    if (!value) break;
    *value++ = '\0';
    explained = explain_setting(store, experiment, word, value, e);
  }
  strings_free(&known);
  free(experiment);
  free(rest);
  return false;
}

/* More than one point would be averaged silently: name them instead. */
static bool check_one_point(Store *store, const char *text, const char *condition, Error *e) {
  sqlite3_stmt *statement = prepare(
      store,
      sqlite3_mprintf("SELECT count(*), group_concat(name, '; ') FROM (SELECT DISTINCT "
                      "experiment || ':' || coalesce((SELECT group_concat(key || '=' || value, ' ')"
                      " FROM param WHERE param.trial = trials.trial AND swept AND "
                      "key <> 'run.seed'), '') AS name, point, dataset FROM trials WHERE %s)",
                      condition),
      e);
  bool row = false;
  if (!statement || !store_row(store, e, statement, &row)) {
    sqlite3_finalize(statement);
    return false;
  }
  int points = sqlite3_column_int(statement, 0);
  bool ok = points == 1;
  if (points == 0)
    explain_absent(store, text, e);
  else if (points > 1)
    error_set(e, EXIT_CONFIG, "\"%s\" fits %d points; give more settings to choose one: %.600s",
              text, points, (const char *)sqlite3_column_text(statement, 1));
  sqlite3_finalize(statement);
  return ok;
}

bool side_load_where(Store *store, Side *side, const char *text, const char *condition,
                     const char *metric, Error *e) {
  *side = (Side){.text = string_copy(text)};
  sqlite3_stmt *statement = prepare(
      store,
      sqlite3_mprintf(
          "SELECT seed, %s, trial, coalesce(dataset, '') || ' ' || coalesce(eval_images, '') || "
          "' ' || "
          "coalesce((SELECT value FROM param WHERE param.trial = trials.trial AND "
          "key = 'eval.seed'), ''), coalesce(mask, '') || ' ' || coalesce(mask_ratio, '') "
          "FROM trials WHERE %s AND %s IS NOT NULL ORDER BY seed, trial",
          metric, condition, metric),
      e);
  bool row = false, ok = statement != NULL;
  while (ok && (ok = store_row(store, e, statement, &row)) && row) {
    side->seeds = need(realloc(side->seeds, (side->count + 1) * sizeof *side->seeds));
    side->values = need(realloc(side->values, (side->count + 1) * sizeof *side->values));
    side->seeds[side->count] = sqlite3_column_int64(statement, 0);
    side->values[side->count++] = sqlite3_column_double(statement, 1);
    char *trials = string_format("%s%s%lld", side->trials ? side->trials : "",
                                 side->trials ? " " : "", sqlite3_column_int64(statement, 2));
    free(side->trials);
    side->trials = trials;
    if (side->count > 1) continue;
    side->evaluation = string_copy((const char *)sqlite3_column_text(statement, 3));
    side->mask = string_copy((const char *)sqlite3_column_text(statement, 4));
  }
  sqlite3_finalize(statement);
  return ok;
}

char *side_select(Store *store, const char *text, Error *e) {
  char *condition = side_condition(text, "done", e);
  if (condition && check_one_point(store, text, condition, e)) return condition;
  sqlite3_free(condition);
  return NULL;
}

bool side_load(Store *store, Side *side, const char *text, const char *metric, Error *e) {
  char *condition = side_select(store, text, e);
  bool ok = condition && side_load_where(store, side, text, condition, metric, e);
  if (ok && !side->count)
    ok = error_set(e, EXIT_CONFIG, "\"%s\": no finite %s there", text, metric);
  sqlite3_free(condition);
  return ok;
}

bool store_say_pruned(Store *store, FILE *out, const char *experiment, Error *e) {
  int64_t count = 0;
  bool found;
  if (!store_int(store, e, &count, &found,
                 "SELECT count(*) FROM trials WHERE planned AND status = 'pruned' AND (?1 IS NULL "
                 "OR experiment = ?1)",
                 "t", experiment))
    return false;
  if (count)
    fprintf(out, "\n%lld trial%s%s%s %s pruned: paused early by [prune], and not in this.\n",
            (long long)count, count == 1 ? "" : "s", experiment ? " of " : "",
            experiment ? experiment : "", count == 1 ? "is" : "are");
  return true;
}
