/* store_compare.c - is A better than B, as far as the seeds can say? */
#include "harness/store_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness/stats.h"
#include "harness/strings.h"
#include "mae/config/config.h"
#include "mae/record/json_text.h"

/* One side of a comparison: the trials that are done of one point, ordered by seed. */
typedef struct Side {
  const char *text; /* as the user wrote it */
  char *trials;     /* "1 2 3" */
  char *evaluation; /* what fixes the held-out images */
  char *mask;       /* what fixes the masks on them */
  int64_t *seeds;
  double *values;
  size_t count;
  double common; /* the mean over the seeds that both sides have; NAN when there is none */
} Side;

static void side_free(Side *side) {
  free(side->trials);
  free(side->evaluation);
  free(side->mask);
  free(side->seeds);
  free(side->values);
}

char *store_metric_unit(Store *store, const char *metric, Error *e) {
  sqlite3_stmt *statement =
      store_query(store, e, "SELECT unit FROM metrics WHERE name = ? AND wide", "t", metric);
  bool row = false;
  char *known;
  if (!statement || !store_row(store, e, statement, &row)) return NULL;
  if (row) {
    const char *unit = (const char *)sqlite3_column_text(statement, 0);
    char *text = string_format("%s%s", *unit ? " " : "", unit);
    sqlite3_reset(statement);
    return text;
  }
  if (!store_columns(store, &known, "wide", false, e)) return NULL;
  error_set(e, EXIT_CONFIG, "no metric \"%s\"; there are: %.*s", metric, (int)strlen(known) - 2,
            known);
  free(known);
  return NULL;
}

/* The condition on `trials` that a side's text stands for: a trial id, or
 * [EXPERIMENT:]key=value key=value. Free with sqlite3_free. */
static char *side_condition(const char *text, Error *e) {
  if (*text && text[strspn(text, "0123456789")] == '\0')
    return sqlite3_mprintf("trial = %s AND status = 'done'", text);
  const char *equals = strchr(text, '='), *colon = strchr(text, ':');
  char *sql =
      colon && (!equals || colon < equals)
          ? sqlite3_mprintf("status = 'done' AND experiment = '%.*q'", (int)(colon - text), text)
          : sqlite3_mprintf("status = 'done' AND planned");
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

/* Why nothing fits: the experiment, or the first setting with a value that is not there. */
static bool explain_absent(Store *store, const char *text, Error *e) {
  error_set(e, EXIT_CONFIG, "\"%.300s\": no trial that is done fits", text);
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
static bool check_one_point(Store *store, const Side *side, const char *condition, Error *e) {
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
    explain_absent(store, side->text, e);
  else if (points > 1)
    error_set(e, EXIT_CONFIG, "\"%s\" fits %d points; give more settings to choose one: %.600s",
              side->text, points, (const char *)sqlite3_column_text(statement, 1));
  sqlite3_finalize(statement);
  return ok;
}

static bool side_load(Store *store, Side *side, const char *text, const char *metric, Error *e) {
  side->text = text;
  char *condition = side_condition(text, e);
  if (!condition) return false;
  sqlite3_stmt *statement = NULL;
  bool ok = check_one_point(store, side, condition, e);
  if (ok) {
    statement = prepare(
        store,
        sqlite3_mprintf(
            "SELECT seed, %s, trial, coalesce(dataset, '') || ' ' || coalesce(eval_images, '') || "
            "' ' || "
            "coalesce((SELECT value FROM param WHERE param.trial = trials.trial AND "
            "key = 'eval.seed'), ''), coalesce(mask, '') || ' ' || coalesce(mask_ratio, '') "
            "FROM trials WHERE %s AND %s IS NOT NULL ORDER BY seed, trial",
            metric, condition, metric),
        e);
    ok = statement != NULL;
  }
  bool row = false;
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
  if (ok && !side->count)
    ok = error_set(e, EXIT_CONFIG, "\"%s\": no finite %s there", text, metric);
  sqlite3_finalize(statement);
  sqlite3_free(condition);
  return ok;
}

/* The differences of the seeds that both sides have, and each side's mean over these. */
static size_t pair(Side *a, Side *b, double *differences) {
  double sum_a = 0, sum_b = 0;
  size_t n = 0;
  for (size_t i = 0, j = 0; i < a->count && j < b->count;) {
    if (a->seeds[i] == b->seeds[j]) {
      sum_a += a->values[i];
      sum_b += b->values[j];
      differences[n++] = a->values[i++] - b->values[j++];
    } else if (a->seeds[i] < b->seeds[j])
      i++;
    else
      j++;
  }
  a->common = n ? sum_a / (double)n : NAN;
  b->common = n ? sum_b / (double)n : NAN;
  return n;
}

/* Pairs after which an interval of this spread would leave out 0, the mean staying as it is. */
static size_t pairs_needed(const Summary *d) {
  for (size_t n = d->n + 1; n < 1000; n++)
    if (stats_t_quantile(0.975, (double)(n - 1)) * d->sd / sqrt((double)n) < fabs(d->mean))
      return n;
  return 0;
}

typedef struct Comparison {
  Side a, b;
  Summary difference;
  bool paired, same_images, same_masks;
  char verdict[512];
} Comparison;

static void judge(Comparison *c, const char *unit) {
  const Summary *d = &c->difference;
  size_t needed = c->paired && d->n > 1 ? pairs_needed(d) : 0;
  size_t room = sizeof c->verdict;
  if (isnan(d->half))
    snprintf(c->verdict, room,
             "One %s says nothing about the spread between seeds: no difference can be supported. "
             "Run more seeds.",
             c->paired ? "pair" : "trial on a side");
  else if (fabs(d->mean) > d->half)
    snprintf(c->verdict, room,
             "A is %s than B by %.4g%s; the 95%% interval leaves out 0, so the seeds support it.",
             d->mean > 0 ? "higher" : "lower", fabs(d->mean), unit);
  else if (needed)
    snprintf(c->verdict, room,
             "The difference is smaller than %zu seeds can support: the 95%% interval includes 0. "
             "With this spread about %zu seeds would be needed to see a difference of this size.",
             d->n, needed);
  else
    snprintf(c->verdict, room,
             "The difference is smaller than the seeds can support: the 95%% interval includes 0.");
}

static void print_text(FILE *out, const Comparison *c, const char *metric, const char *unit) {
  const Summary *d = &c->difference;
  const Side *sides[] = {&c->a, &c->b};
  for (int i = 0; i < 2; i++) {
    Summary s = stats_summary(sides[i]->values, sides[i]->count);
    fprintf(out, "%c  %s = %.5g%s", 'A' + i, metric, s.mean, unit);
    if (!isnan(s.sd)) fprintf(out, ", standard deviation %.3g", s.sd);
    fprintf(out, ", n = %zu (%s; trials %s)\n", s.n, sides[i]->text, sides[i]->trials);
    if (c->paired && s.n > d->n)
      fprintf(out, "   %s = %.5g%s over the %zu %s that A and B have in common\n", metric,
              sides[i]->common, unit, d->n, d->n == 1 ? "seed" : "seeds");
  }
  fprintf(out, "A - B = %.4g%s", d->mean, unit);
  if (!isnan(d->half))
    fprintf(out, ", 95%% interval %.4g to %.4g", d->mean - d->half, d->mean + d->half);
  if (c->paired)
    fprintf(out, ", paired by seed, n = %zu", d->n);
  else
    fprintf(out, ", not paired (%s), Welch's t",
            c->same_images ? "no seed in common" : "other held-out images");
  fprintf(out, "\n%s%s\n", c->verdict,
          !c->same_images  ? " The two were scored on different images."
          : !c->same_masks ? " Same held-out images; the masks differ, as their ratio or kind does."
                           : " Same held-out images, same masks.");
}

static json_t *real_or_null(double value) {
  return isfinite(value) ? json_real(value) : json_null();
}

static json_t *side_json(const Side *side) {
  Summary s = stats_summary(side->values, side->count);
  json_t *values = json_array();
  for (size_t i = 0; i < side->count; i++)
    json_array_append_new(values, json_pack("{s:I,s:f}", "seed", (json_int_t)side->seeds[i],
                                            "value", side->values[i]));
  return json_pack("{s:s,s:I,s:o,s:o,s:o,s:o}", "selector", side->text, "n", (json_int_t)s.n,
                   "mean", real_or_null(s.mean), "common_mean", real_or_null(side->common), "sd",
                   real_or_null(s.sd), "values", values);
}

static bool print_json(FILE *out, const Comparison *c, const char *metric, Error *e) {
  const Summary *d = &c->difference;
  json_t *json = json_pack(
      "{s:s,s:o,s:o,s:o,s:o,s:o,s:I,s:b,s:b,s:b,s:s}", "metric", metric, "a", side_json(&c->a), "b",
      side_json(&c->b), "difference", real_or_null(d->mean), "low", real_or_null(d->mean - d->half),
      "high", real_or_null(d->mean + d->half), "n", (json_int_t)d->n, "paired", c->paired,
      "same_images", c->same_images, "same_masks", c->same_masks, "verdict", c->verdict);
  bool ok = json && json_print(out, json, JSON_INDENT(2));
  json_decref(json);
  return ok || error_set(e, EXIT_DATA, "out of memory");
}

bool store_compare(Store *store, FILE *out, const char *a, const char *b, const char *metric,
                   bool json, Error *e) {
  if (!metric) metric = "psnr_masked";
  Comparison c = {0};
  char *unit = store_metric_unit(store, metric, e);
  bool ok = unit && side_load(store, &c.a, a, metric, e) && side_load(store, &c.b, b, metric, e);
  if (ok) {
    double *differences = need(malloc((c.a.count + c.b.count) * sizeof *differences));
    size_t n = pair(&c.a, &c.b, differences);
    c.same_images = !strcmp(c.a.evaluation, c.b.evaluation);
    c.same_masks = c.same_images && !strcmp(c.a.mask, c.b.mask);
    c.paired = c.same_images && n > 0;
    c.difference = c.paired ? stats_summary(differences, n)
                            : stats_difference(c.a.values, c.a.count, c.b.values, c.b.count);
    free(differences);
    judge(&c, unit);
    if (json)
      ok = print_json(out, &c, metric, e);
    else
      print_text(out, &c, metric, unit);
  }
  side_free(&c.a);
  side_free(&c.b);
  free(unit);
  return ok;
}
