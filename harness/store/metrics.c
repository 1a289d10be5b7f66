/* metrics.c - the lists of metrics (mae/evaluate/metrics.h) and of scorers (scorers.h) as the
 * database has them: rows of metric_kind and scorer_kind, and columns of the views. A new row of a
 * list is in all of them when a database is opened the next time. */
#include "harness/store/internal.h"

#include <stdlib.h>
#include <string.h>

#include "harness/base/strings.h"
#include "mae/evaluate/scorers.h"

/* What a run costs: numbers of a trial that are no evaluation. `trials` has a column for each. */
static const Metric costs[] = {
    {.name = "images_per_second",
     .unit = "images/s",
     .better = 1,
     .title = "training speed",
     .meaning = "training speed, warm-up and evaluation left out"},
    {.name = "wall_seconds",
     .unit = "s",
     .better = -1,
     .digits = 1,
     .meaning = "over all attempts"},
    {.name = "joules_per_image",
     .unit = "J",
     .better = -1,
     .digits = 3,
     .title = "energy per image",
     .meaning = "of training steps, per image; of the GPUs, or of the processor packages"},
    {.name = "energy_kwh",
     .unit = "kWh",
     .better = -1,
     .digits = 5,
     .meaning = "of the whole trial, over all attempts"},
    {.name = "peak_memory_mb", .unit = "MiB", .better = -1, .meaning = "the most that was in use"},
};

static const char *needs_name(const Metric *metric) {
  switch (metric->needs) {
  case OFFERS_LOSS:
    return "loss";
  case OFFERS_HIDDEN:
    return "hidden";
  case OFFERS_FULL:
    return "full";
  case OFFERS_LEAKY:
    return "leaky";
  case OFFERS_PROBE:
    return "probe";
  case 0:
    return "run";
  default:
    return "several";
  }
}

/* "psnr" of psnr_masked. */
static int quantity_length(const Metric *metric) {
  return (int)strcspn(metric->name, "_");
}

/* The order of columns: numbers that are comparable first, then the leaky ones. */
static const Metric *metric_at(int index) {
  for (int leaky = 0; leaky < 2; leaky++)
    for (int i = 0; i < metric_count; i++)
      if (((metric_list[i].needs & OFFERS_LEAKY) != 0) == leaky && index-- == 0)
        return &metric_list[i];
  return NULL;
}

/* Whether no headline metric before it is of the same quantity. */
static bool is_leading(int index) {
  const Metric *metric = metric_at(index), *before;
  if (!metric->headline) return false;
  for (int i = 0; i < index; i++) {
    before = metric_at(i);
    if (before->headline && quantity_length(before) == quantity_length(metric) &&
        !strncmp(before->name, metric->name, (size_t)quantity_length(metric)))
      return false;
  }
  return true;
}

static void add_metric(FILE *sql, const Metric *metric, int position, bool wide, bool leading) {
  char *row = sqlite3_mprintf("INSERT INTO metric_kind VALUES (%Q, %d, %Q, %d, %d, %Q, %d, %d, "
                              "'%.*q', %d, %Q, %Q);\n",
                              metric->name, position, metric->unit, metric->better, metric->digits,
                              needs_name(metric), wide, metric->headline, quantity_length(metric),
                              metric->name, leading, metric->meaning,
                              metric->title ? metric->title : metric->name);
  fputs(need(row), sql);
  sqlite3_free(row);
}

static void add_lists(FILE *sql) {
  int position = 0;
  fputs("DELETE FROM metric_kind; DELETE FROM scorer_kind;\n", sql);
  for (int i = 0; i < metric_count; i++)
    add_metric(sql, metric_at(i), ++position, !metric_at(i)->second, is_leading(i));
  for (size_t i = 0; i < sizeof costs / sizeof *costs; i++)
    add_metric(sql, &costs[i], ++position, true, false);
  for (int i = 0; i < scorer_count; i++)
    fprintf(sql, "INSERT INTO scorer_kind VALUES ('%s', %d, %d, '%s');\n", scorer_list[i]->name,
            i + 1, scorer_list[i]->baseline, scorer_list[i]->title);
}

/* A line of the schema with every `token` replaced. */
static void add_line(FILE *sql, const char *line, size_t length, const char *token,
                     const char *name) {
  const char *end = line + length;
  for (const char *at; (at = strstr(line, token)) && at < end; line = at + strlen(token)) {
    fwrite(line, 1, (size_t)(at - line), sql);
    fputs(name, sql);
  }
  fwrite(line, 1, (size_t)(end - line), sql);
}

/* Lines with {metric} are there once for each column of `trials`, those with {baseline_metric} once
 * for each of `baselines`. */
char *store_schema(const char *schema) {
  static const char every[] = "{metric}", hidden[] = "{baseline_metric}";
  char *text = NULL;
  size_t size;
  FILE *sql = need(open_memstream(&text, &size));
  for (const char *line = schema, *next; *line; line = next) {
    size_t length = strcspn(line, "\n");
    length += line[length] != 0;
    next = line + length;
    char *copy = need(strndup(line, length));
    const char *token = strstr(copy, every) ? every : strstr(copy, hidden) ? hidden : NULL;
    for (int i = 0; token && i < metric_count; i++) {
      const Metric *metric = metric_at(i);
      bool of_baselines = metric->needs == OFFERS_HIDDEN || metric->needs == OFFERS_PROBE;
      if (!metric->second && (token == every || of_baselines))
        add_line(sql, copy, length, token, metric->name);
    }
    if (!token) fwrite(line, 1, length, sql);
    free(copy);
  }
  add_lists(sql);
  fclose(sql);
  return need(text);
}

bool store_columns(Store *store, char **columns, const char *which, bool rounded, Error *e) {
  sqlite3_stmt *statement = NULL;
  char *sql = string_format("SELECT name, digits FROM metrics WHERE %s ORDER BY position", which);
  bool row = true, ok = sqlite3_prepare_v2(store->db, sql, -1, &statement, NULL) == SQLITE_OK ||
                        store_fail(store, e);
  *columns = string_copy("");
  while (ok && (ok = store_row(store, e, statement, &row)) && row) {
    const char *name = (const char *)sqlite3_column_text(statement, 0);
    char *longer = rounded ? string_format("%sround(%s, %d) AS %s, ", *columns, name,
                                           sqlite3_column_int(statement, 1), name)
                           : string_format("%s%s, ", *columns, name);
    free(*columns);
    *columns = longer;
  }
  sqlite3_finalize(statement);
  free(sql);
  if (ok) return true;
  free(*columns);
  *columns = NULL;
  return false;
}
