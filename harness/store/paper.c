/* paper.c - published numbers beside ours, and whether the two order the settings alike. */
#include "harness/store/compare.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness/base/stats.h"
#include "harness/plan/paper.h"
#include "mae/record/json_text.h"

/* Taking in -----------------------------------------------------------------------------------*/

/* The texts of a list with blanks between; NULL when it is no list of texts. The caller frees. */
static char *join(const json_t *list) {
  char *text = json_is_array(list) ? string_copy("") : NULL;
  for (size_t i = 0; text && i < json_array_size(list); i++) {
    const char *item = json_string_value(json_array_get(list, i));
    char *longer = item ? string_format("%s%s%s", text, i ? " " : "", item) : NULL;
    free(text);
    text = longer;
  }
  return text;
}

static bool put_values(Store *store, int64_t sweep, int64_t position, const json_t *keys,
                       const json_t *values, Error *e) {
  size_t count = json_array_size(values);
  if (!json_is_array(values) || (count && count != json_array_size(keys)))
    return member_bad("ours", "a value for each of the keys, or none", e);
  for (size_t i = 0; i < count; i++) {
    const char *key = json_string_value(json_array_get(keys, i));
    const char *value = json_string_value(json_array_get(values, i));
    if (!key || !value) return member_bad("ours", "text", e);
    if (!store_run(store, e, "INSERT INTO paper_value VALUES (?, ?, ?, ?)", "iitt", sweep, position,
                   key, value))
      return false;
  }
  return true;
}

static bool put_setting(Store *store, int64_t sweep, int64_t position, const json_t *keys,
                        const json_t *setting, Error *e) {
  const char *name;
  if (!member_need_text(setting, "setting", &name, e)) return false;
  for (int s = 0; s < PAPER_SERIES; s++) {
    double accuracy;
    if (!json_object_get(setting, paper_series[s])) continue;
    if (!member_need_finite(setting, paper_series[s], &accuracy, e) ||
        !store_run(store, e, "INSERT INTO paper_number VALUES (?, ?, ?, ?, ?)", "iittr", sweep,
                   position, name, paper_series[s], accuracy))
      return false;
  }
  return put_values(store, sweep, position, keys, json_object_get(setting, "ours"), e);
}

bool store_put_paper(Store *store, int64_t sweep, const json_t *paper, Error *e) {
  const char *source;
  const json_t *keys = json_object_get(paper, "keys"), *settings;
  if (!store_run(store, e, "DELETE FROM paper_verdict WHERE sweep = ?", "i", sweep) ||
      !store_run(store, e, "DELETE FROM paper_value WHERE sweep = ?", "i", sweep) ||
      !store_run(store, e, "DELETE FROM paper_number WHERE sweep = ?", "i", sweep) ||
      !store_run(store, e, "DELETE FROM paper_source WHERE sweep = ?", "i", sweep))
    return false;
  if (!paper) return true;
  char *compare = join(json_object_get(paper, "compare"));
  bool ok = (compare || member_bad("compare", "a list of texts", e)) &&
            member_need_text(paper, "source", &source, e) &&
            store_run(store, e, "INSERT INTO paper_source VALUES (?, ?, ?)", "itt", sweep, source,
                      compare);
  free(compare);
  settings = json_object_get(paper, "settings");
  for (size_t i = 0; ok && i < json_array_size(settings); i++)
    ok = put_setting(store, sweep, (int64_t)i, keys, json_array_get(settings, i), e);
  return ok || error_prefix(e, "member \"paper\"");
}

/* Reading back --------------------------------------------------------------------------------*/

typedef struct Row { /* a setting of the paper */
  int64_t position;
  char *setting, *ours;        /* ours: NULL when nothing here stands for it */
  double number[PAPER_SERIES]; /* NaN: the series has none */
  double *values;              /* our metric, a value per seed */
  size_t count;
  char *point;  /* of the first value */
  bool several; /* trials of more than one point fit: their mean would mean nothing */
} Row;

typedef struct Verdict {
  const char *word;
  TauInterval tau;
  int settings; /* that both have */
  char text[512];
} Verdict;

typedef struct Beside { /* an experiment and the paper */
  const char *experiment;
  char *source, *compare;
  char *metric; /* of ours; NULL: none was recorded */
  char *unit;
  int better, digits; /* of the metric, as metrics.h has them */
  Row *rows;
  int count;
  Verdict verdicts[PAPER_SERIES];
} Beside;

static char *column_copy(sqlite3_stmt *statement, int column) {
  const char *text = (const char *)sqlite3_column_text(statement, column);
  return text ? string_copy(text) : NULL;
}

static void forget_values(Beside *beside) {
  for (int i = 0; i < beside->count; i++) {
    Row *row = &beside->rows[i];
    free(row->values);
    free(row->point);
    row->values = NULL;
    row->point = NULL;
    row->count = 0;
    row->several = false;
  }
}

static void beside_free(Beside *beside) {
  forget_values(beside);
  for (int i = 0; i < beside->count; i++) {
    free(beside->rows[i].setting);
    free(beside->rows[i].ours);
  }
  free(beside->rows);
  free(beside->source);
  free(beside->compare);
  free(beside->metric);
  free(beside->unit);
}

static bool load_settings(Store *store, Beside *beside, Error *e) {
  sqlite3_stmt *statement =
      store_query(store, e,
                  "SELECT setting, ours, max(CASE series WHEN ? THEN accuracy END), "
                  "max(CASE series WHEN ? THEN accuracy END), source, compare, position "
                  "FROM paper WHERE experiment = ? GROUP BY position ORDER BY position",
                  "ttt", paper_series[0], paper_series[1], beside->experiment);
  bool row = true, ok = statement != NULL;
  while (ok && (ok = store_row(store, e, statement, &row)) && row) {
    size_t size = (size_t)(beside->count + 1) * sizeof *beside->rows;
    beside->rows = need(realloc(beside->rows, size));
    Row *next = &beside->rows[beside->count++];
    *next = (Row){.position = sqlite3_column_int64(statement, 6),
                  .setting = column_copy(statement, 0),
                  .ours = column_copy(statement, 1)};
    for (int s = 0; s < PAPER_SERIES; s++)
      next->number[s] = sqlite3_column_type(statement, 2 + s) == SQLITE_NULL
                            ? NAN
                            : sqlite3_column_double(statement, 2 + s);
    if (!beside->source) beside->source = column_copy(statement, 4);
    if (!beside->compare) beside->compare = column_copy(statement, 5);
  }
  return ok;
}

static Row *find_row(const Beside *beside, int64_t position) {
  for (int i = 0; i < beside->count; i++)
    if (beside->rows[i].position == position) return &beside->rows[i];
  return NULL;
}

/* Our values of a metric; *any: there is one. */
static bool load_values(Store *store, Beside *beside, const char *metric, bool *any, Error *e) {
  sqlite3_stmt *statement =
      store_query(store, e,
                  "SELECT position, value, point || coalesce(dataset, '') "
                  "FROM paper_trials JOIN scores USING (experiment, trial) "
                  "WHERE experiment = ? AND metric = ? AND planned AND value IS NOT NULL "
                  "ORDER BY position, seed, trial",
                  "tt", beside->experiment, metric);
  bool found = true, ok = statement != NULL;
  forget_values(beside);
  *any = false;
  while (ok && (ok = store_row(store, e, statement, &found)) && found) {
    Row *row = find_row(beside, sqlite3_column_int64(statement, 0));
    const char *point = (const char *)sqlite3_column_text(statement, 2);
    if (!row) continue;
    if (!row->point) row->point = string_copy(point);
    row->several |= strcmp(row->point, point) != 0;
    row->values = need(realloc(row->values, (row->count + 1) * sizeof *row->values));
    row->values[row->count++] = sqlite3_column_double(statement, 1);
    *any = true;
  }
  return ok;
}

/* How a metric is written and which way is better; one that this program does not know is taken
 * as better when higher. */
static bool describe_metric(Store *store, Beside *beside, const char *metric, Error *e) {
  sqlite3_stmt *statement =
      store_query(store, e, "SELECT unit, better, digits FROM metrics WHERE name = ?", "t", metric);
  bool row = false;
  if (!statement || !store_row(store, e, statement, &row)) return false;
  beside->metric = string_copy(metric);
  beside->unit = row ? column_copy(statement, 0) : string_copy("");
  beside->better = row ? sqlite3_column_int(statement, 1) : 1;
  beside->digits = row ? sqlite3_column_int(statement, 2) : 2;
  if (row) sqlite3_reset(statement);
  return true;
}

static bool load_ours(Store *store, Beside *beside, const char *metric, Error *e) {
  StringList metrics = {0};
  bool any = false, ok = true;
  if (metric) {
    free(beside->compare);
    beside->compare = string_copy(metric);
  }
  strings_split(&metrics, beside->compare, " ");
  for (int i = 0; ok && !any && i < metrics.count; i++) {
    ok = load_values(store, beside, metrics.items[i], &any, e);
    if (ok && any) ok = describe_metric(store, beside, metrics.items[i], e);
  }
  strings_free(&metrics);
  return ok;
}

/* Judging -------------------------------------------------------------------------------------*/

typedef struct Shared { /* the settings that have a number of the series and ours */
  double *order;
  const double **values;
  size_t *counts;
  size_t n, least, most; /* settings; seeds of a setting */
} Shared;

static void shared_find(Shared *shared, const Beside *beside, int series) {
  size_t room = (size_t)beside->count + 1;
  *shared = (Shared){.order = need(calloc(room, sizeof *shared->order)),
                     .values = need(calloc(room, sizeof *shared->values)),
                     .counts = need(calloc(room, sizeof *shared->counts))};
  for (int i = 0; i < beside->count; i++) {
    const Row *row = &beside->rows[i];
    if (isnan(row->number[series]) || !row->count || row->several) continue;
    shared->order[shared->n] = row->number[series] * beside->better;
    shared->values[shared->n] = row->values;
    shared->counts[shared->n] = row->count;
    if (!shared->n || row->count < shared->least) shared->least = row->count;
    if (row->count > shared->most) shared->most = row->count;
    shared->n++;
  }
}

static void shared_free(Shared *shared) {
  free(shared->order);
  free(shared->values);
  free(shared->counts);
}

/* Two seeds that happen to agree have an interval of no width: with fewer than three of each
 * setting an untrained model's order would be a verdict. */
enum { VERDICT_SEEDS = 3 };

/* Three of four pairs of settings in the paper's order: of three settings, no pair the other way
 * round. */
static const double agreement = 0.5;

static const char *word_of(const TauInterval *tau, size_t seeds) {
  if (isnan(tau->tau)) return "nothing to compare";
  if (seeds < VERDICT_SEEDS) return "too few seeds to tell";
  if (tau->low >= agreement) return "agrees";
  if (tau->low > 0) return "agrees in part";
  if (tau->high < 0) return "contradicts";
  return "too few seeds to tell";
}

/* "3 seeds", "2 to 3 seeds". */
static char *seeds_text(const Shared *shared) {
  if (shared->least < shared->most)
    return string_format("%zu to %zu seeds", shared->least, shared->most);
  return string_format("%zu seed%s", shared->most, shared->most == 1 ? "" : "s");
}

/* "no linear_mean and no knn_mean was recorded". */
static char *none_recorded(const char *compare) {
  StringList metrics = {0};
  char *text = string_copy("");
  strings_split(&metrics, compare, " ");
  for (int i = 0; i < metrics.count; i++) {
    char *longer = string_format("%s%sno %s", text, i ? " and " : "", metrics.items[i]);
    free(text);
    text = longer;
  }
  char *sentence = string_format("%s was recorded", text);
  free(text);
  strings_free(&metrics);
  return sentence;
}

static void say_verdict(Verdict *verdict, const char *series, const Beside *beside,
                        const Shared *shared) {
  const TauInterval *tau = &verdict->tau;
  char *seeds = seeds_text(shared), *reason;
  if (!beside->metric)
    reason = none_recorded(beside->compare);
  else if (shared->n < 2)
    reason = string_format("%s of %d setting%s that both have", beside->metric, (int)shared->n,
                           shared->n == 1 ? "" : "s");
  else if (isnan(tau->tau))
    reason =
        string_format("%s of %zu settings: one side's are all alike", beside->metric, shared->n);
  else if (isnan(tau->low))
    reason = string_format("%s of %zu settings, %s: tau %+.2f without an interval", beside->metric,
                           shared->n, seeds, tau->tau);
  else
    reason = string_format("%s of %zu settings, %s: tau %+.2f, 95%% interval %+.2f to %+.2f",
                           beside->metric, shared->n, seeds, tau->tau, tau->low, tau->high);
  size_t named = strcspn(beside->compare, " ");
  bool fell_back = beside->metric && (strncmp(beside->metric, beside->compare, named) ||
                                      beside->metric[named] != '\0');
  snprintf(verdict->text, sizeof verdict->text, "%s: %s (%s%s%.*s%s)", series, verdict->word,
           reason, fell_back ? "; no " : "", fell_back ? (int)named : 0, beside->compare,
           fell_back ? " was recorded" : "");
  free(reason);
  free(seeds);
}

static bool judge(Beside *beside, Error *e) {
  for (int s = 0; s < PAPER_SERIES; s++) {
    Verdict *verdict = &beside->verdicts[s];
    Shared shared;
    shared_find(&shared, beside, s);
    bool ok =
        stats_tau_interval(&verdict->tau, shared.order, shared.values, shared.counts, shared.n) ||
        error_set(e, EXIT_DEVICE, "out of memory");
    verdict->settings = (int)shared.n;
    verdict->word = word_of(&verdict->tau, shared.least);
    if (ok) say_verdict(verdict, paper_series[s], beside, &shared);
    shared_free(&shared);
    if (!ok) return false;
  }
  return true;
}

static bool beside_load(Store *store, Beside *beside, const char *experiment, const char *metric,
                        Error *e) {
  *beside = (Beside){.experiment = experiment};
  return load_settings(store, beside, e) &&
         (!beside->count || (load_ours(store, beside, metric, e) && judge(beside, e)));
}

static bool has_series(const Beside *beside, int series) {
  for (int i = 0; i < beside->count; i++)
    if (!isnan(beside->rows[i].number[series])) return true;
  return false;
}

/* Recording -----------------------------------------------------------------------------------*/

static Number number_of(double value) {
  return (Number){.value = value, .kind = isnan(value) ? NUMBER_ABSENT : NUMBER_FINITE};
}

static bool record(Store *store, const Beside *beside, Error *e) {
  for (int s = 0; s < PAPER_SERIES; s++) {
    const Verdict *v = &beside->verdicts[s];
    if (has_series(beside, s) &&
        !store_run(store, e,
                   "INSERT OR REPLACE INTO paper_verdict SELECT sweep, ?, ?, ?, ?, ?, ?, ?, ? "
                   "FROM sweep WHERE experiment = ?",
                   "tttvvvitt", paper_series[s], beside->metric, v->word, number_of(v->tau.tau),
                   number_of(v->tau.low), number_of(v->tau.high), (int64_t)v->settings, v->text,
                   beside->experiment))
      return false;
  }
  return true;
}

bool store_judge_paper(Store *store, const char *experiment, char **text, Error *e) {
  Beside beside;
  *text = NULL;
  bool ok = beside_load(store, &beside, experiment, NULL, e) && record(store, &beside, e);
  for (int s = 0; ok && s < PAPER_SERIES; s++) {
    if (!has_series(&beside, s)) continue;
    char *longer =
        string_format("%s%s%s", *text ? *text : "", *text ? "; " : "", beside.verdicts[s].text);
    free(*text);
    *text = longer;
  }
  beside_free(&beside);
  return ok;
}

bool store_judge_all_papers(Store *store, Error *e) {
  StringList experiments = {0};
  sqlite3_stmt *statement =
      store_query(store, e, "SELECT DISTINCT experiment FROM paper ORDER BY experiment", "");
  bool row = true, ok = statement != NULL;
  while (ok && (ok = store_row(store, e, statement, &row)) && row)
    strings_add(&experiments, column_copy(statement, 0));
  for (int i = 0; ok && i < experiments.count; i++) {
    char *text;
    ok = store_judge_paper(store, experiments.items[i], &text, e);
    free(text);
  }
  strings_free(&experiments);
  return ok;
}

/* Printing ------------------------------------------------------------------------------------*/

static void percent_cell(Table *table, double number) {
  if (isnan(number))
    table_cell(table, "-");
  else
    table_cell(table, "%.1f", number);
}

static void print_row(Table *table, const Beside *beside, const Row *row) {
  Summary s = stats_summary(row->values, row->count);
  table_cell(table, "%s", row->setting);
  table_cell(table, "%s", row->ours ? row->ours : "-");
  table_cell(table, "%zu", s.n);
  if (row->several)
    table_cell(table, "several points");
  else if (!s.n)
    table_cell(table, "-");
  else
    table_cell(table, "%.*f", beside->digits, s.mean);
  if (row->several || isnan(s.sd))
    table_cell(table, "-");
  else
    table_cell(table, "%.*f", beside->digits, s.sd);
  for (int i = 0; i < PAPER_SERIES; i++)
    if (has_series(beside, i)) percent_cell(table, row->number[i]);
}

static void print_text(FILE *out, const Beside *beside) {
  Table table = {.columns = 5};
  table_cell(&table, "paper's setting");
  table_cell(&table, "ours");
  table_cell(&table, "seeds");
  if (beside->metric && *beside->unit)
    table_cell(&table, "%s (%s)", beside->metric, beside->unit);
  else
    table_cell(&table, "%s", beside->metric ? beside->metric : "no score");
  table_cell(&table, "sd");
  for (int s = 0; s < PAPER_SERIES; s++) {
    if (!has_series(beside, s)) continue;
    table_cell(&table, "%s (%%)", paper_series[s]);
    table.columns++;
  }
  for (int i = 0; i < beside->count; i++) print_row(&table, beside, &beside->rows[i]);
  fprintf(out, "%s beside %s\n\n", beside->experiment, beside->source);
  table_print(&table, out);
  table_free(&table);
  fputs("\nIs our order of the settings the paper's? (Kendall's tau; interval over seeds)\n", out);
  for (int s = 0; s < PAPER_SERIES; s++)
    if (has_series(beside, s)) fprintf(out, "%s\n", beside->verdicts[s].text);
}

static json_t *row_json(const Row *row) {
  Summary s = stats_summary(row->values, row->count);
  json_t *json =
      json_pack("{s:s,s:o,s:I,s:b,s:o,s:o}", "setting", row->setting, "ours",
                row->ours ? json_string(row->ours) : json_null(), "n", (json_int_t)s.n, "several",
                row->several, "mean", store_real_or_null(s.mean), "sd", store_real_or_null(s.sd));
  for (int i = 0; i < PAPER_SERIES; i++)
    json_object_set_new(json, paper_series[i], store_real_or_null(row->number[i]));
  return json;
}

static bool print_json(FILE *out, const Beside *beside, Error *e) {
  json_t *rows = json_array(), *verdicts = json_array();
  for (int i = 0; i < beside->count; i++) json_array_append_new(rows, row_json(&beside->rows[i]));
  for (int s = 0; s < PAPER_SERIES; s++) {
    const Verdict *v = &beside->verdicts[s];
    if (!has_series(beside, s)) continue;
    json_array_append_new(
        verdicts, json_pack("{s:s,s:s,s:o,s:o,s:o,s:i,s:s}", "series", paper_series[s], "verdict",
                            v->word, "tau", store_real_or_null(v->tau.tau), "low",
                            store_real_or_null(v->tau.low), "high", store_real_or_null(v->tau.high),
                            "settings", v->settings, "text", v->text));
  }
  json_t *json = json_pack("{s:s,s:s,s:s,s:o,s:o,s:o}", "experiment", beside->experiment, "source",
                           beside->source, "compare", beside->compare, "metric",
                           beside->metric ? json_string(beside->metric) : json_null(), "settings",
                           rows, "verdicts", verdicts);
  bool ok = json && json_print(out, json, JSON_INDENT(2));
  json_decref(json);
  return ok || error_set(e, EXIT_DATA, "out of memory");
}

static bool metric_exists(Store *store, const char *metric, Error *e) {
  char *unit = metric ? store_metric_unit(store, metric, e) : NULL;
  free(unit);
  return !metric || unit != NULL;
}

/* Leaves out the experiments that have no published numbers. */
static bool keep_published(Store *store, StringList *experiments, Error *e) {
  StringList kept = {0};
  bool ok = true;
  for (int i = 0; ok && i < experiments->count; i++) {
    int64_t unused;
    bool has = false;
    ok = store_int(store, e, &unused, &has, "SELECT 1 FROM paper WHERE experiment = ? LIMIT 1", "t",
                   experiments->items[i]);
    if (has) strings_add(&kept, string_copy(experiments->items[i]));
  }
  strings_free(experiments);
  *experiments = kept;
  return ok;
}

bool store_compare_paper(Store *store, FILE *out, const char *name, const char *metric, bool json,
                         Error *e) {
  StringList experiments = {0};
  bool ok = metric_exists(store, metric, e) &&
            store_find_experiments(store, name, &experiments, e) &&
            keep_published(store, &experiments, e);
  bool list = json && experiments.count > 1;
  if (ok && !experiments.count) ok = store_compare_points(store, out, name, metric, json, e);
  if (list) fputs("[\n", out);
  for (int i = 0; ok && i < experiments.count; i++) {
    Beside beside;
    ok = beside_load(store, &beside, experiments.items[i], metric, e);
    if (ok && i) fputs(list ? ",\n" : "\n", out);
    if (ok && json)
      ok = print_json(out, &beside, e);
    else if (ok)
      print_text(out, &beside);
    beside_free(&beside);
  }
  if (list) fputs("]\n", out);
  strings_free(&experiments);
  return ok;
}
