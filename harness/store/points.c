/* points.c - the interquartile mean of every point and metric with its bootstrap interval,
 * which the view `points` shows beside mean and t interval. */
#include "harness/store/internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness/base/stats.h"
#include "harness/base/strings.h"

/* The values of the seeds of one point and metric, while their rows are read. */
typedef struct Group {
  char *point, *dataset, *metric;
  double *values;
  size_t count;
} Group;

static void group_free(Group *group) {
  free(group->point);
  free(group->dataset);
  free(group->metric);
  free(group->values);
  *group = (Group){0};
}

static Number number_of(double value) {
  return (Number){.value = value, .kind = isfinite(value) ? NUMBER_FINITE : NUMBER_ABSENT};
}

static bool record(Store *store, const char *experiment, Group *group, Error *e) {
  Iqm iqm;
  const double *values = group->values;
  if (group->count < 3) return true;
  if (!stats_iqm(&iqm, &values, &group->count, 1))
    return error_set(e, EXIT_DEVICE, "out of memory");
  return store_run(store, e,
                   "INSERT INTO point_iqm SELECT sweep, ?, ?, ?, ?, ?, ? FROM sweep "
                   "WHERE experiment = ?",
                   "tttvvvt", group->point, group->dataset, group->metric, number_of(iqm.iqm),
                   number_of(iqm.low), number_of(iqm.high), experiment);
}

static bool same(const char *a, sqlite3_stmt *row, int column) {
  const char *b = (const char *)sqlite3_column_text(row, column);
  return a && b && !strcmp(a, b);
}

static char *copied(sqlite3_stmt *row, int column) {
  const char *text = (const char *)sqlite3_column_text(row, column);
  return string_copy(text ? text : "");
}

bool store_judge_points(Store *store, const char *experiment, Error *e) {
  if (!store_run(store, e,
                 "DELETE FROM point_iqm WHERE sweep = (SELECT sweep FROM sweep "
                 "WHERE experiment = ?)",
                 "t", experiment))
    return false;
  sqlite3_stmt *rows = store_query(
      store, e,
      "SELECT point, dataset, metric, value FROM scores WHERE experiment = ? AND value IS NOT NULL "
      "AND dataset IS NOT NULL ORDER BY point, dataset, metric, seed, trial",
      "t", experiment);
  Group group = {0};
  bool row = false, ok = rows != NULL;
  while (ok && (ok = store_row(store, e, rows, &row)) && row) {
    if (!same(group.point, rows, 0) || !same(group.dataset, rows, 1) ||
        !same(group.metric, rows, 2)) {
      ok = record(store, experiment, &group, e);
      group_free(&group);
      group.point = copied(rows, 0);
      group.dataset = copied(rows, 1);
      group.metric = copied(rows, 2);
    }
    group.values = need(realloc(group.values, (group.count + 1) * sizeof *group.values));
    group.values[group.count++] = sqlite3_column_double(rows, 3);
  }
  ok = ok && record(store, experiment, &group, e);
  group_free(&group);
  return ok;
}

bool store_judge_all_points(Store *store, Error *e) {
  StringList experiments = {0};
  sqlite3_stmt *rows = store_query(store, e, "SELECT experiment FROM sweep ORDER BY 1", "");
  bool row = true, ok = rows != NULL;
  while (ok && (ok = store_row(store, e, rows, &row)) && row)
    strings_add(&experiments, copied(rows, 0));
  for (int i = 0; ok && i < experiments.count; i++)
    ok = store_judge_points(store, experiments.items[i], e);
  strings_free(&experiments);
  return ok;
}
