/* diff.c - what differs between two trials, points, experiments or databases: which trials
 * answer each other, and their configurations, provenances, metrics and curves. */
#include "harness/store/diff.h"

#include <stdlib.h>
#include <string.h>

#include "harness/base/strings.h"
#include "harness/store/compare.h"
#include "mae/config/config.h"

/* Which trials -------------------------------------------------------------------------------*/

static bool is_trial(const char *word) {
  return word && *word && !word[strspn(word, "0123456789")];
}

/* The condition on `trials`, and what makes trials of both sides a pair beside the seed. */
static char *entries_sql(DiffSide *side, Error *e) {
  static const char settings[] =
      "coalesce((SELECT group_concat(key || '=' || value, ' ') FROM param WHERE param.trial = "
      "trials.trial AND swept AND key <> 'run.seed'), '')";
  static const char query[] = "SELECT %s, %s, trial FROM trials WHERE %s ORDER BY 1, 2, 3";
  const char *word = side->word;
  char *sql = NULL;
  if (!word) {
    char *key = string_format("experiment || ': ' || %s", settings);
    sql = sqlite3_mprintf(query, key, "seed", "status = 'done' AND planned");
    free(key);
  } else if (is_trial(word)) {
    Target target;
    if (!store_find_target(side->store, word, &target, e)) return NULL;
    char *condition = string_format("trial = %lld", (long long)target.trial);
    sql = sqlite3_mprintf(query, "''", "0", condition); /* paired whatever its seed */
    free(condition);
  } else if (strchr(word, '=')) {
    char *condition = side_select(side->store, word, e);
    if (condition) sql = sqlite3_mprintf(query, "''", "seed", condition);
    if (!condition) return NULL;
    sqlite3_free(condition);
  } else {
    Target target;
    if (!store_find_target(side->store, word, &target, e)) return NULL;
    char *condition =
        sqlite3_mprintf("status = 'done' AND planned AND experiment = %Q", target.experiment);
    sql = sqlite3_mprintf(query, settings, "seed", need(condition));
    sqlite3_free(condition);
  }
  return need(sql);
}

static bool load_side(DiffSide *side, Error *e) {
  char *sql = entries_sql(side, e);
  sqlite3_stmt *rows = NULL;
  if (!sql) return false;
  bool row = false, ok = sqlite3_prepare_v2(side->store->db, sql, -1, &rows, NULL) == SQLITE_OK ||
                         store_fail(side->store, e);
  while (ok && (ok = store_row(side->store, e, rows, &row)) && row) {
    const char *key = (const char *)sqlite3_column_text(rows, 0);
    side->entries = need(realloc(side->entries, (side->count + 1) * sizeof *side->entries));
    side->entries[side->count++] = (DiffEntry){.key = string_copy(key ? key : ""),
                                               .seed = sqlite3_column_int64(rows, 1),
                                               .trial = sqlite3_column_int64(rows, 2)};
  }
  sqlite3_finalize(rows);
  sqlite3_free(sql);
  if (ok && !side->count)
    ok = error_set(e, EXIT_DATA, "%s: no trial of %s is done", side->database,
                   side->word ? side->word : "it");
  return ok;
}

static int compare_entries(const DiffEntry *a, const DiffEntry *b) {
  int order = strcmp(a->key, b->key);
  return order ? order : (a->seed > b->seed) - (a->seed < b->seed);
}

static void note_only(json_t *list, const DiffEntry *entry) {
  char *text =
      string_format("%s%sseed %lld", entry->key, *entry->key ? ", " : "", (long long)entry->seed);
  json_array_append_new(list, json_string(text));
  free(text);
}

/* Both lists are in the same order. */
static void pair_entries(Diff *diff) {
  size_t i = 0, j = 0;
  diff->pairs = need(calloc(diff->a.count + 1, sizeof *diff->pairs));
  while (i < diff->a.count || j < diff->b.count) {
    const DiffEntry *a = i < diff->a.count ? &diff->a.entries[i] : NULL;
    const DiffEntry *b = j < diff->b.count ? &diff->b.entries[j] : NULL;
    int order = !a ? 1 : !b ? -1 : compare_entries(a, b);
    if (order == 0) diff->pairs[diff->count++] = (DiffPair){a->trial, b->trial, a->key, a->seed};
    if (order < 0) note_only(diff->only_a, a);
    if (order > 0) note_only(diff->only_b, b);
    i += order <= 0;
    j += order >= 0;
  }
}

/* Configuration and provenance -----------------------------------------------------------------*/

/* {key: value} of two columns. */
static json_t *map_of(Store *store, const char *sql, int64_t trial, Error *e) {
  json_t *map = json_object();
  sqlite3_stmt *rows = store_query(store, e, sql, "i", trial);
  bool row = false, ok = rows != NULL;
  while (ok && (ok = store_row(store, e, rows, &row)) && row) {
    const char *key = (const char *)sqlite3_column_text(rows, 0);
    const char *value = (const char *)sqlite3_column_text(rows, 1);
    if (key) json_object_set_new(map, key, json_string(value ? value : ""));
  }
  if (ok) return map;
  json_decref(map);
  return NULL;
}

static const char params_sql[] = "SELECT key, value FROM param WHERE trial = ?";
/* What the newest process of a trial said of itself. */
static const char provenance_sql[] =
    "WITH newest AS (SELECT * FROM attempt WHERE trial = ? ORDER BY attempt DESC LIMIT 1) "
    "SELECT member.key, member.value FROM newest JOIN environment USING (environment), "
    "json_each(environment.json) AS member "
    "UNION ALL SELECT 'binary_sha256', binary_sha256 FROM newest "
    "UNION ALL SELECT 'dataset.sha256', dataset FROM newest "
    "UNION ALL SELECT 'dataset.source', source FROM newest JOIN dataset USING (dataset) "
    "UNION ALL SELECT 'dataset.train_images', train_images FROM newest JOIN dataset USING "
    "(dataset) "
    "UNION ALL SELECT 'dataset.eval_images', eval_images FROM newest JOIN dataset USING (dataset)";

static void add_value(json_t *entry, const char *side, const json_t *value) {
  json_t *list = json_object_get(entry, side);
  const char *text = value ? json_string_value(value) : "-";
  size_t i;
  json_t *known;
  json_array_foreach(list, i, known) if (!strcmp(json_string_value(known), text)) return;
  json_array_append_new(list, json_string(text));
}

/* Adds the keys whose values differ to all: {key: {"a":[...],"b":[...]}}. */
static void add_differences(json_t *all, json_t *a, json_t *b) {
  const char *key;
  json_t *unused, *keys = json_object();
  json_object_update(keys, a);
  json_object_update(keys, b);
  json_object_foreach(keys, key, unused) {
    json_t *x = json_object_get(a, key), *y = json_object_get(b, key);
    if (x && y && json_equal(x, y)) continue;
    json_t *entry = json_object_get(all, key);
    if (!entry) {
      json_object_set_new(all, key, json_pack("{s:[],s:[]}", "a", "b"));
      entry = json_object_get(all, key);
    }
    add_value(entry, "a", x);
    add_value(entry, "b", y);
  }
  json_decref(keys);
}

/* ["x"] to "x", more to "x, y". */
static json_t *joined(const json_t *list) {
  char *text = string_copy("");
  size_t i;
  json_t *item;
  json_array_foreach(list, i, item) {
    char *longer = string_format("%s%s%s", text, i ? ", " : "", json_string_value(item));
    free(text);
    text = longer;
  }
  json_t *json = json_string(text);
  free(text);
  return json;
}

static bool compare_maps(Diff *diff, const char *sql, json_t *list, Error *e) {
  json_t *all = json_object(), *entry;
  bool ok = true;
  const char *key;
  for (size_t i = 0; ok && i < diff->count; i++) {
    json_t *a = map_of(diff->a.store, sql, diff->pairs[i].a, e);
    json_t *b = a ? map_of(diff->b.store, sql, diff->pairs[i].b, e) : NULL;
    ok = b != NULL;
    if (ok) add_differences(all, a, b);
    json_decref(a);
    json_decref(b);
  }
  json_object_foreach(all, key, entry) {
    json_t *row = json_pack("{s:s,s:o,s:o}", "key", key, "a", joined(json_object_get(entry, "a")),
                            "b", joined(json_object_get(entry, "b")));
    if (sql == params_sql) json_object_set_new(row, "hashed", json_boolean(config_is_hashed(key)));
    json_array_append_new(list, row);
  }
  json_decref(all);
  return ok;
}

/* Nothing differs that makes a result: options that count, the program, the images, and the kind
 * of machine, whose products may round otherwise. */
static bool should_be_equal(const Diff *diff) {
  static const char *const makers[] = {"binary_sha256", "dataset.sha256",  "libraries",
                                       "device",        "device_features", "gpu",
                                       "cpu",           "cpu_features"};
  size_t i;
  json_t *row;
  bool same = diff->count > 0;
  json_array_foreach(diff->configuration, i, row) {
    if (json_is_true(json_object_get(row, "hashed"))) same = false;
  }
  json_array_foreach(diff->provenance, i, row) {
    const char *key = json_string_value(json_object_get(row, "key"));
    for (size_t m = 0; m < sizeof makers / sizeof *makers; m++)
      if (!strcmp(key, makers[m])) same = false;
  }
  return same;
}

/* Metrics --------------------------------------------------------------------------------------*/

static void begin_values(Side *side, const DiffSide *of, size_t pairs) {
  *side = (Side){.text = string_copy(of->word ? of->word : of->database),
                 .evaluation = string_copy(""),
                 .mask = string_copy("")};
  side->seeds = need(calloc(pairs + 1, sizeof *side->seeds));
  side->values = need(calloc(pairs + 1, sizeof *side->values));
}

static bool load_value(const DiffSide *of, Side *one, int64_t trial, const char *metric, Error *e) {
  char *condition = string_format("trial = %lld AND status = 'done'", (long long)trial);
  bool ok = side_load_where(of->store, one, "", condition, metric, e);
  free(condition);
  return ok;
}

static void add_value_of(Side *side, size_t pair, const Side *one) {
  char *evaluation = string_format("%s %s", side->evaluation, one->evaluation);
  char *mask = string_format("%s %s", side->mask, one->mask);
  free(side->evaluation);
  free(side->mask);
  side->evaluation = evaluation;
  side->mask = mask;
  side->seeds[side->count] = (int64_t)pair;
  side->values[side->count++] = one->values[0];
}

/* The values of the pairs that both have one of, numbered by pair. */
static bool load_values(Diff *diff, Side *a, Side *b, const char *metric, Error *e) {
  bool ok = true;
  begin_values(a, &diff->a, diff->count);
  begin_values(b, &diff->b, diff->count);
  for (size_t i = 0; ok && i < diff->count; i++) {
    Side one = {0}, other = {0};
    ok = load_value(&diff->a, &one, diff->pairs[i].a, metric, e) &&
         load_value(&diff->b, &other, diff->pairs[i].b, metric, e);
    if (ok && one.count && other.count) {
      add_value_of(a, i, &one);
      add_value_of(b, i, &other);
    }
    side_free(&one);
    side_free(&other);
  }
  return ok;
}

/* The interquartile mean draws the seeds of each point by themselves; pairs are in the order of
 * their points. */
static bool stratify(const Diff *diff, Comparison *c, Error *e) {
  const double **values = need(calloc(diff->count + 1, sizeof *values));
  size_t *counts = need(calloc(diff->count + 1, sizeof *counts)), strata = 0;
  const char *key = NULL;
  for (size_t i = 0; c->paired && i < c->a->count; i++) {
    const char *of = diff->pairs[c->a->seeds[i]].key;
    if (!key || strcmp(key, of)) values[strata++] = c->pairs + i;
    counts[strata - 1]++;
    key = of;
  }
  bool ok = strata < 2 || stats_iqm(&c->iqm, values, counts, strata) ||
            error_set(e, EXIT_DEVICE, "out of memory");
  free(values);
  free(counts);
  return ok;
}

/* Another program's database may have metrics that ours has no column for, and the other way round.
 */
static bool shared_metrics(const Diff *diff, StringList *shared, Error *e) {
  StringList a = {0}, b = {0};
  bool ok = store_list_metrics(diff->a.store, "all", &a, e) &&
            store_list_metrics(diff->b.store, "all", &b, e);
  for (int i = 0; ok && i < a.count; i++)
    if (strings_find(&b, a.items[i]) >= 0) strings_add(shared, string_copy(a.items[i]));
  strings_free(&a);
  strings_free(&b);
  return ok;
}

static bool compare_all_metrics(Diff *diff, Error *e) {
  StringList metrics = {0};
  bool ok = shared_metrics(diff, &metrics, e);
  size_t most = (size_t)metrics.count, count = 0;
  Side *sides = need(calloc(2 * most + 1, sizeof *sides));
  Comparison *list = need(calloc(most + 1, sizeof *list));
  for (size_t i = 0; ok && i < most; i++) {
    Side *a = &sides[2 * i], *b = a + 1;
    char *unit = store_metric_unit(diff->a.store, metrics.items[i], e);
    ok = unit && load_values(diff, a, b, metrics.items[i], e);
    if (ok && a->count)
      ok = comparison_make(&list[count], a, b, metrics.items[i], unit, e) &&
           stratify(diff, &list[count++], e);
    free(unit);
  }
  if (ok) comparisons_judge(list, count);
  for (size_t i = 0; i < count; i++) {
    if (ok) json_array_append_new(diff->metrics, comparison_json(&list[i]));
    comparison_free(&list[i]);
  }
  for (size_t i = 0; i < 2 * most; i++) side_free(&sides[i]);
  free(sides);
  free(list);
  strings_free(&metrics);
  return ok;
}

static void side_end(DiffSide *side) {
  for (size_t i = 0; i < side->count; i++) free(side->entries[i].key);
  free(side->entries);
}

bool store_diff(Store *a, Store *b, FILE *out, const char *word_a, const char *word_b, bool json,
                Error *e) {
  Diff diff = {.a = {.store = a, .database = a->path, .word = word_a},
               .b = {.store = b, .database = b->path, .word = word_b},
               .only_a = json_array(),
               .only_b = json_array(),
               .configuration = json_array(),
               .provenance = json_array(),
               .metrics = json_array(),
               .steps = json_array(),
               .steps_equal = true};
  bool ok = load_side(&diff.a, e) && load_side(&diff.b, e);
  if (ok) {
    pair_entries(&diff);
    ok = compare_maps(&diff, params_sql, diff.configuration, e) &&
         compare_maps(&diff, provenance_sql, diff.provenance, e) && compare_all_metrics(&diff, e);
  }
  diff.should_be_equal = should_be_equal(&diff);
  for (size_t i = 0; ok && i < diff.count; i++) ok = diff_steps(&diff, &diff.pairs[i], e);
  if (ok && json)
    ok = diff_print_json(out, &diff, e);
  else if (ok)
    diff_print(out, &diff);
  side_end(&diff.a);
  side_end(&diff.b);
  free(diff.pairs);
  json_t *const lists[] = {diff.only_a,     diff.only_b,  diff.configuration,
                           diff.provenance, diff.metrics, diff.steps};
  for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) json_decref(lists[i]);
  return ok;
}
