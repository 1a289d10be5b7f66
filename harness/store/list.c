/* list.c - `harness list` and `harness best`: rows of the views `trials` and `points` that a
 * user's condition picks. */
#include <stdlib.h>
#include <string.h>

#include "harness/base/strings.h"
#include "harness/store/compare.h"
#include "harness/store/internal.h"
#include "harness/store/rows.h"
#include "mae/base/suggest.h"

/* A user's condition only reads: no writing, no attaching, no pragmas, no extensions. */
static int only_reading(void *unused, int action, const char *a, const char *name, const char *c,
                        const char *d) {
  (void)unused, (void)a, (void)c, (void)d;
  switch (action) {
  case SQLITE_SELECT:
  case SQLITE_READ:
  case SQLITE_RECURSIVE:
    return SQLITE_OK;
  case SQLITE_FUNCTION:
    return name && !sqlite3_stricmp(name, "load_extension") ? SQLITE_DENY : SQLITE_OK;
  default:
    return SQLITE_DENY;
  }
}

/* "no such column: mask_rato" is said with the nearest name. */
static bool say_wrong(Store *store, const char *where, const StringList *columns, Error *e) {
  static const char unknown[] = "no such column: ";
  const char *problem = sqlite3_errmsg(store->db);
  error_set(e, EXIT_CONFIG, "--where \"%.300s\": %.200s", where, problem);
  const char *name = strstr(problem, unknown);
  if (!name) return false;
  int near =
      suggest_index(name + sizeof unknown - 1, (const char *const *)columns->items, columns->count);
  return near < 0 ? error_suffix(e, "`harness list --columns all` shows them")
                  : error_suffix(e, "did you mean %s?", columns->items[near]);
}

/* One expression and nothing behind it: it is tried as the last part of a query, where it cannot
 * close a parenthesis, and in parentheses, where nothing may follow it. */
static bool check_where(Store *store, const char *where, const StringList *columns, Error *e) {
  bool ok = true;
  sqlite3_set_authorizer(store->db, only_reading, NULL);
  for (int i = 0; ok && i < 2; i++) {
    sqlite3_stmt *statement = NULL;
    const char *rest = "";
    char *sql = i ? string_format("SELECT 1 FROM trials WHERE (%s\n)", where)
                  : string_format("SELECT 1 FROM trials WHERE %s\n", where);
    if (sqlite3_prepare_v2(store->db, sql, -1, &statement, &rest) != SQLITE_OK)
      ok = say_wrong(store, where, columns, e);
    else if (!statement || rest[strspn(rest, " \t\n;")])
      ok = error_set(e, EXIT_CONFIG, "--where \"%.300s\": one condition, no statements", where);
    else if (sqlite3_bind_parameter_count(statement)) /* it would hold for no trial */
      ok = error_set(e, EXIT_CONFIG, "--where \"%.300s\": ? : @ and $ stand for no value here",
                     where);
    sqlite3_finalize(statement);
    free(sql);
  }
  sqlite3_set_authorizer(store->db, NULL, NULL);
  return ok;
}

static bool view_columns(Store *store, const char *view, StringList *names, Error *e) {
  sqlite3_stmt *statement = NULL;
  char *sql = string_format("SELECT * FROM %s LIMIT 0", view);
  bool ok =
      sqlite3_prepare_v2(store->db, sql, -1, &statement, NULL) == SQLITE_OK || store_fail(store, e);
  for (int i = 0; ok && i < sqlite3_column_count(statement); i++)
    strings_add(names, string_copy(sqlite3_column_name(statement, i)));
  sqlite3_finalize(statement);
  free(sql);
  return ok;
}

static bool check_column(const char *name, const char *option, const StringList *columns,
                         Error *e) {
  if (strings_find(columns, name) >= 0) return true;
  int near = suggest_index(name, (const char *const *)columns->items, columns->count);
  error_set(e, EXIT_CONFIG, "%s: `trials` has no column \"%.100s\"", option, name);
  return near < 0 ? error_suffix(e, "`harness list --columns all` shows them")
                  : error_suffix(e, "did you mean %s?", columns->items[near]);
}

/* "mask_ratio,-loss" to "trials.mask_ratio ASC NULLS LAST, trials.loss DESC NULLS LAST, ": a name
 * alone would be the column that is shown, which is rounded. */
static bool sort_sql(FILE *sql, const char *sort, const StringList *columns, Error *e) {
  StringList keys = {0};
  bool ok = true;
  strings_split(&keys, sort, ",");
  for (int i = 0; ok && i < keys.count; i++) {
    bool down = *keys.items[i] == '-';
    ok = check_column(keys.items[i] + down, "--sort", columns, e);
    fprintf(sql, "trials.%s %s NULLS LAST, ", keys.items[i] + down, down ? "DESC" : "ASC");
  }
  strings_free(&keys);
  return ok;
}

/* Rounded for tables; JSON is read by programs. */
static bool columns_sql(Store *store, FILE *sql, const ListOptions *options,
                        const StringList *columns, Error *e) {
  const char *wanted = options->columns;
  StringList names = {0};
  char *metrics = NULL;
  bool ok = true;
  if (wanted && !strcmp(wanted, "all")) {
    fputs("*", sql);
  } else if (wanted) {
    strings_split(&names, wanted, ",");
    for (int i = 0; ok && i < names.count; i++) {
      ok = check_column(names.items[i], "--columns", columns, e);
      fprintf(sql, "%s%s", i ? ", " : "", names.items[i]);
    }
  } else {
    ok = store_columns(store, &metrics,
                       "headline AND name IN (SELECT metric FROM scores WHERE value IS NOT NULL)",
                       !options->json, e);
    if (ok)
      fprintf(sql, "%sexperiment, trial, status, swept, %s%s AS images_per_second, tags",
              strings_find(columns, "database") >= 0 ? "database, " : "", metrics,
              options->json ? "images_per_second" : "round(images_per_second)");
  }
  free(metrics);
  strings_free(&names);
  return ok;
}

bool store_list(Store *store, FILE *out, const ListOptions *options, Error *e) {
  StringList columns = {0};
  char *text = NULL;
  size_t size;
  bool ok = view_columns(store, "trials", &columns, e) &&
            (!options->where || check_where(store, options->where, &columns, e));
  FILE *sql = need(open_memstream(&text, &size));
  fputs("SELECT ", sql);
  ok = ok && columns_sql(store, sql, options, &columns, e);
  fprintf(sql, " FROM trials WHERE (%s\n) ORDER BY ", options->where ? options->where : "1");
  ok = ok && (!options->sort || sort_sql(sql, options->sort, &columns, e));
  fputs("experiment, trial", sql);
  fclose(sql);
  if (ok) {
    sqlite3_set_authorizer(store->db, only_reading, NULL);
    ok = store_print(store, out, text, options->json, e);
    sqlite3_set_authorizer(store->db, NULL, NULL);
  }
  free(need(text));
  strings_free(&columns);
  return ok;
}

/* Points are comparable where the images are the same: each data set has a best one, of more than
 * one seed where there is any. A point of one seed has no interval; it is listed where its score
 * lies above the lower end of the best's. */
static const char best_sql[] =
    "WITH ranked AS (SELECT *, mean * %d AS score, row_number() OVER (PARTITION BY dataset "
    "ORDER BY low IS NULL, mean * %d DESC) AS place FROM points WHERE %s), "
    "best AS (SELECT dataset, low, high, score - (high - low) / 2 AS floor FROM ranked "
    "WHERE place = 1) "
    "SELECT CASE WHEN place = 1 THEN 'best' WHEN ranked.low IS NULL THEN 'no interval' ELSE "
    "'overlaps' END AS standing, ranked.experiment, ranked.settings, ranked.n, ranked.mean, "
    "ranked.low, ranked.high, ranked.iqm, ranked.iqm_low, ranked.iqm_high, "
    "substr(ranked.dataset, 1, 12) AS dataset %s FROM ranked JOIN best USING (dataset) "
    "WHERE place = 1 OR best.low IS NULL OR (ranked.low IS NULL AND score >= floor) OR "
    "(ranked.low <= best.high AND ranked.high >= best.low) ORDER BY ranked.dataset, place";

static bool metric_direction(Store *store, const char *metric, int64_t *better, Error *e) {
  bool found = false;
  char *unit = store_metric_unit(store, metric, e); /* says which there are */
  bool ok = unit && store_int(store, e, better, &found, "SELECT better FROM metrics WHERE name = ?",
                              "t", metric);
  free(unit);
  return ok;
}

/* The condition on `points`: a metric of what is planned, of the named experiments or of all. */
static char *points_of(const char *metric, const StringList *named) {
  char *name = sql_quoted(metric, '\''), *list = sql_list(named);
  char *condition =
      named->count ? string_format("metric = %s AND planned AND experiment IN (%s)", name, list)
                   : string_format("metric = %s AND planned", name);
  free(name);
  free(list);
  return condition;
}

static bool has_points(Store *store, const char *condition, const char *metric,
                       const char *experiment, Error *e) {
  char *sql = string_format("SELECT 1 FROM points WHERE %s LIMIT 1", condition);
  char *found = rows_first(store, sql, NULL, e);
  bool ok = found &&
            (*found || error_set(e, EXIT_DATA, "no trial%s%.200s that is done has a %s",
                                 experiment ? " of " : "", experiment ? experiment : "", metric));
  free(found);
  free(sql);
  return ok;
}

bool store_best(Store *store, FILE *out, const char *metric, const char *experiment, bool json,
                Error *e) {
  int64_t better = 0;
  StringList columns = {0}, named = {0};
  char *condition = NULL;
  bool ok = metric_direction(store, metric, &better, e) &&
            (!experiment || store_find_experiments(store, experiment, &named, e)) &&
            view_columns(store, "points", &columns, e);
  if (ok) condition = points_of(metric, &named);
  ok = ok && has_points(store, condition, metric, experiment, e);
  if (ok) {
    char *sql = string_format(best_sql, (int)better, (int)better, condition,
                              strings_find(&columns, "database") >= 0 ? ", ranked.database" : "");
    ok = store_print(store, out, sql, json, e);
    free(sql);
    if (ok && !json)
      fprintf(out,
              "\n%s: %s is better; 95%% intervals over seeds. What overlaps the best may be as "
              "good: `harness compare A B` tests two.\n",
              metric, better > 0 ? "higher" : "lower");
    if (ok && !json && !experiment) ok = store_say_pruned(store, out, NULL, e);
    for (int i = 0; ok && !json && i < named.count; i++)
      ok = store_say_pruned(store, out, named.items[i], e);
  }
  free(condition);
  strings_free(&columns);
  strings_free(&named);
  return ok;
}
