/* pairs.c - every two points of an experiment beside each other. */
#include <stdlib.h>
#include <string.h>

#include "harness/base/strings.h"
#include "harness/store/compare.h"
#include "mae/record/json_text.h"

enum { POINTS_MAX = 30 }; /* 435 pairs: more is no table to read */

static bool load_points(Store *store, const char *experiment, const char *metric, Side *sides,
                        size_t *count, Error *e) {
  sqlite3_stmt *rows = store_query(
      store, e,
      "SELECT settings, point, dataset FROM points WHERE experiment = ? AND metric = ? AND planned "
      "ORDER BY CAST(settings AS REAL), settings, point",
      "tt", experiment, metric);
  bool row = false, ok = rows != NULL;
  while (ok && (ok = store_row(store, e, rows, &row)) && row) {
    const char *settings = (const char *)sqlite3_column_text(rows, 0);
    char *condition = sqlite3_mprintf(
        "status = 'done' AND planned AND experiment = %Q AND point = %Q AND dataset = %Q",
        experiment, sqlite3_column_text(rows, 1), sqlite3_column_text(rows, 2));
    if (*count == POINTS_MAX)
      ok = error_set(e, EXIT_CONFIG,
                     "%s has more than %d points: too many to compare all; give two of them",
                     experiment, POINTS_MAX);
    ok = ok && side_load_where(store, &sides[*count], settings ? settings : experiment, condition,
                               metric, e);
    ++*count;
    sqlite3_free(condition);
  }
  if (rows) sqlite3_reset(rows);
  if (*count > POINTS_MAX) *count = POINTS_MAX;
  return ok;
}

static bool print_json(FILE *out, const Comparison *list, size_t count, const char *experiment,
                       Error *e) {
  json_t *all = json_array();
  for (size_t i = 0; i < count; i++) json_array_append_new(all, comparison_json(&list[i]));
  json_t *json = json_pack("{s:s,s:s,s:o}", "experiment", experiment, "correction", "holm",
                           "comparisons", all);
  bool ok = json && json_print(out, json, JSON_INDENT(2));
  json_decref(json);
  return ok || error_set(e, EXIT_DEVICE, "out of memory");
}

static bool compare_points(Store *store, FILE *out, const char *experiment, const char *metric,
                           bool json, Error *e) {
  Side sides[POINTS_MAX + 1] = {0};
  size_t points = 0, count = 0;
  Comparison *list = need(calloc(POINTS_MAX * POINTS_MAX, sizeof *list));
  char *unit = store_metric_unit(store, metric, e);
  bool ok = unit && load_points(store, experiment, metric, sides, &points, e);
  if (ok && points < 2)
    ok = error_set(e, EXIT_CONFIG, "%s has %zu point%s with a %s: nothing to compare", experiment,
                   points, points == 1 ? "" : "s", metric);
  for (size_t i = 0; ok && i < points; i++)
    for (size_t j = i + 1; ok && j < points; j++)
      ok = comparison_make(&list[count++], &sides[i], &sides[j], metric, unit, e);
  if (ok) comparisons_judge(list, count);
  if (ok && json) {
    ok = print_json(out, list, count, experiment, e);
  } else if (ok) {
    fprintf(out, "%s: %s of every two points, paired by seed where the seeds allow\n\n", experiment,
            metric);
    comparisons_print(out, list, count, true);
    fputc('\n', out);
    comparisons_explain(out, count);
    ok = store_say_pruned(store, out, experiment, e);
  }
  for (size_t i = 0; i < count; i++) comparison_free(&list[i]);
  for (size_t i = 0; i < points; i++) side_free(&sides[i]);
  free(list);
  free(unit);
  return ok;
}

bool store_compare_points(Store *store, FILE *out, const char *name, const char *metric, bool json,
                          Error *e) {
  StringList experiments = {0};
  bool ok = store_find_experiments(store, name, &experiments, e);
  bool list = json && experiments.count > 1;
  if (list) fputs("[\n", out);
  for (int i = 0; ok && i < experiments.count; i++) {
    if (i) fputs(list ? ",\n" : "\n", out);
    ok = compare_points(store, out, experiments.items[i], metric ? metric : "psnr_masked", json, e);
  }
  if (list) fputs("]\n", out);
  strings_free(&experiments);
  return ok;
}
