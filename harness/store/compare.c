/* compare.c - is A better than B, as far as the seeds can say? */
#include "harness/store/compare.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness/base/strings.h"
#include "mae/record/json_text.h"

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

bool store_list_metrics(Store *store, const char *text, StringList *metrics, Error *e) {
  bool ok = true;
  if (!strcmp(text, "all")) {
    char *names = NULL;
    ok = store_columns(store, &names,
                       "wide AND name IN (SELECT metric FROM scores WHERE value IS NOT NULL)",
                       false, e);
    if (ok && *names) {
      names[strlen(names) - 2] = 0;
      strings_split(metrics, names, ",");
    }
    free(names);
    return ok;
  }
  strings_split(metrics, text, ",");
  for (int i = 0; ok && i < metrics->count; i++) {
    char *unit = store_metric_unit(store, metrics->items[i], e);
    ok = unit != NULL;
    free(unit);
  }
  return ok;
}

/* The differences of the seeds that both sides have, and each side's mean over these. */
static size_t pair(Comparison *c) {
  const Side *a = c->a, *b = c->b;
  double sum_a = 0, sum_b = 0;
  size_t n = 0;
  for (size_t i = 0, j = 0; i < a->count && j < b->count;) {
    if (a->seeds[i] == b->seeds[j]) {
      sum_a += a->values[i];
      sum_b += b->values[j];
      c->pairs[n++] = a->values[i++] - b->values[j++];
    } else if (a->seeds[i] < b->seeds[j])
      i++;
    else
      j++;
  }
  c->common_a = n ? sum_a / (double)n : NAN;
  c->common_b = n ? sum_b / (double)n : NAN;
  return n;
}

bool comparison_make(Comparison *c, const Side *a, const Side *b, const char *metric,
                     const char *unit, Error *e) {
  *c = (Comparison){.a = a,
                    .b = b,
                    .metric = string_copy(metric),
                    .unit = string_copy(unit),
                    .iqm = {NAN, NAN, NAN},
                    .smallest = NAN,
                    .family = 1};
  c->pairs = need(calloc(a->count + b->count + 1, sizeof *c->pairs));
  size_t n = pair(c);
  c->same_images = a->count && b->count && !strcmp(a->evaluation, b->evaluation);
  c->same_masks = c->same_images && !strcmp(a->mask, b->mask);
  c->paired = c->same_images && n > 0;
  c->difference = c->paired ? stats_summary(c->pairs, n)
                            : stats_difference(a->values, a->count, b->values, b->count);
  const Summary *d = &c->difference;
  c->p_holm = d->p;
  if (d->error > 0) {
    c->smallest = stats_shift_to_find(d->df) * d->error;
    /* Unpaired: as many seeds on each side, counted as pairs would be, which is a few too many. */
    c->needed = stats_seeds_to_find(d->mean / (d->error * sqrt((double)d->n)));
  }
  const double *pairs = c->pairs;
  if (!c->paired || n < 3 || stats_iqm(&c->iqm, &pairs, &n, 1)) return true;
  return error_set(e, EXIT_DEVICE, "out of memory");
}

void comparison_free(Comparison *c) {
  free(c->metric);
  free(c->unit);
  free(c->pairs);
}

bool comparison_supported(const Comparison *c) {
  return c->p_holm < 0.05;
}

static void judge(Comparison *c) {
  const Summary *d = &c->difference;
  size_t room = sizeof c->verdict;
  char corrected[80] = "";
  if (c->family > 1)
    snprintf(corrected, sizeof corrected, " (p = %.2g, corrected for %zu comparisons)", c->p_holm,
             c->family);
  if (isnan(d->half))
    snprintf(c->verdict, room,
             "One %s says nothing about the spread between seeds: no difference can be supported. "
             "Run more seeds.",
             c->paired ? "pair" : "trial on a side");
  else if (!(d->error > 0) && d->mean == 0)
    snprintf(c->verdict, room, "A and B are equal for every seed.");
  else if (!(d->error > 0))
    snprintf(c->verdict, room,
             "All seeds differ by exactly %.4g%s: without any spread there is neither an interval "
             "nor a p-value.",
             d->mean, c->unit);
  else if (comparison_supported(c))
    snprintf(c->verdict, room,
             "A is %s than B by %.4g%s; the 95%% interval leaves out 0, so the seeds support it%s.",
             d->mean > 0 ? "higher" : "lower", fabs(d->mean), c->unit, corrected);
  else if (fabs(d->mean) > d->half)
    snprintf(c->verdict, room,
             "The 95%% interval leaves out 0, but among so many comparisons that happens by "
             "chance: the seeds do not support a difference%s.",
             corrected);
  else
    snprintf(c->verdict, room,
             "The difference is smaller than the seeds can support: the 95%% interval includes 0.");
}

void comparisons_judge(Comparison *list, size_t count) {
  double *p = need(malloc((count + 1) * sizeof *p));
  size_t family = 0;
  for (size_t i = 0; i < count; i++) {
    p[i] = list[i].difference.p;
    family += !isnan(p[i]);
  }
  stats_holm(p, count);
  for (size_t i = 0; i < count; i++) {
    list[i].p_holm = p[i];
    list[i].family = family;
    judge(&list[i]);
  }
  free(p);
}

/* Printing ------------------------------------------------------------------------------------*/

static void print_iqm(FILE *out, const char *what, const Iqm *iqm) {
  if (!isnan(iqm->low))
    fprintf(out, "%s%.5g (bootstrap 95%% interval %.5g to %.5g)", what, iqm->iqm, iqm->low,
            iqm->high);
}

static void print_side(FILE *out, const Comparison *c, char name) {
  const Side *side = name == 'A' ? c->a : c->b;
  const double *values = side->values;
  Summary s = stats_summary(values, side->count);
  Iqm iqm;
  fprintf(out, "%c  %s = %.5g%s", name, c->metric, s.mean, c->unit);
  if (!isnan(s.sd)) fprintf(out, ", standard deviation %.3g", s.sd);
  fprintf(out, ", n = %zu (%s; trials %s)\n", s.n, side->text, side->trials);
  if (stats_iqm(&iqm, &values, &side->count, 1) && !isnan(iqm.low)) {
    print_iqm(out, "   interquartile mean ", &iqm);
    fputc('\n', out);
  }
  if (c->paired && s.n > c->difference.n)
    fprintf(out, "   %s = %.5g%s over the %zu %s that A and B have in common\n", c->metric,
            name == 'A' ? c->common_a : c->common_b, c->unit, c->difference.n,
            c->difference.n == 1 ? "seed" : "seeds");
}

/* What so many seeds could have shown, and how many would show this. */
static void print_power(FILE *out, const Comparison *c) {
  if (isnan(c->smallest)) return;
  fprintf(out,
          "So many seeds find a difference of %.3g%s or more (80%% power, 5%% two-sided, %s t)",
          c->smallest, c->unit, c->paired ? "paired" : "Welch's");
  if (c->needed)
    fprintf(out, "; one of %.3g%s needs %zu seeds", fabs(c->difference.mean), c->unit, c->needed);
  fputs(".\n", out);
}

static void print_text(FILE *out, const Comparison *c) {
  const Summary *d = &c->difference;
  print_side(out, c, 'A');
  print_side(out, c, 'B');
  fprintf(out, "A - B = %.4g%s", d->mean, c->unit);
  if (d->error > 0)
    fprintf(out, ", 95%% interval %.4g to %.4g, p = %.2g", d->mean - d->half, d->mean + d->half,
            d->p);
  if (c->paired)
    fprintf(out, ", paired by seed, n = %zu", d->n);
  else
    fprintf(out, ", not paired (%s), Welch's t",
            c->same_images ? "no seed in common" : "other held-out images");
  print_iqm(out, "; interquartile mean ", &c->iqm);
  fprintf(out, "\n%s%s\n", c->verdict,
          !c->same_images  ? " The two were scored on different images."
          : !c->same_masks ? " Same held-out images; the masks differ, as their ratio or kind does."
                           : " Same held-out images, same masks.");
  print_power(out, c);
}

static void number_cell(Table *table, double value, const char *format) {
  char text[40];
  snprintf(text, sizeof text, format, value); /* a literal of this file */
  table_cell(table, "%s", isnan(value) ? "-" : text);
}

static void print_row(Table *table, const Comparison *c, bool with_points) {
  const Summary *d = &c->difference;
  bool spread = d->error > 0;
  if (with_points) {
    table_cell(table, "%s", c->a->text);
    table_cell(table, "%s", c->b->text);
  } else {
    table_cell(table, "%s", c->metric);
    number_cell(table, stats_summary(c->a->values, c->a->count).mean, "%.5g");
    number_cell(table, stats_summary(c->b->values, c->b->count).mean, "%.5g");
  }
  table_cell(table, "%zu", d->n);
  number_cell(table, d->mean, "%.4g");
  number_cell(table, spread ? d->mean - d->half : NAN, "%.4g");
  number_cell(table, spread ? d->mean + d->half : NAN, "%.4g");
  number_cell(table, d->p, "%.2g");
  number_cell(table, c->p_holm, "%.2g");
  number_cell(table, c->smallest, "%.3g");
  table_cell(table, c->needed ? "%zu" : "-", c->needed);
  table_cell(table, "%s", comparison_supported(c) ? "yes" : "no");
}

void comparisons_print(FILE *out, const Comparison *list, size_t count, bool with_points) {
  static const char *const rest[] = {"n",           "A - B",    "low",          "high",     "p",
                                     "p corrected", "findable", "seeds needed", "supported"};
  enum { REST = sizeof rest / sizeof *rest };
  Table table = {.columns = REST + (with_points ? 2 : 3)};
  if (!with_points) table_cell(&table, "metric");
  table_cell(&table, "A");
  table_cell(&table, "B");
  for (int i = 0; i < REST; i++) table_cell(&table, "%s", rest[i]);
  for (size_t i = 0; i < count; i++) print_row(&table, &list[i], with_points);
  table_print(&table, out);
  table_free(&table);
}

void comparisons_explain(FILE *out, size_t count) {
  fprintf(
      out,
      "%zu comparison%s: 95%% intervals of each alone; p corrected by Holm for all at once, and "
      "a difference\nis supported when that is below 0.05. findable: the smallest difference "
      "that so many seeds find,\nseeds needed: those that find the observed one (80%% power, "
      "5%% two-sided, t test).\n",
      count, count == 1 ? "" : "s at once");
}

json_t *store_real_or_null(double value) {
  return isfinite(value) ? json_real(value) : json_null();
}

static json_t *side_json(const Side *side, double common) {
  const double *numbers = side->values;
  Summary s = stats_summary(numbers, side->count);
  Iqm iqm = {NAN, NAN, NAN};
  json_t *values = json_array();
  for (size_t i = 0; i < side->count; i++)
    json_array_append_new(values, json_pack("{s:I,s:f}", "seed", (json_int_t)side->seeds[i],
                                            "value", side->values[i]));
  if (!stats_iqm(&iqm, &numbers, &side->count, 1)) iqm.low = NAN;
  if (isnan(iqm.low)) iqm.iqm = NAN; /* as in `points`: for more than two seeds */
  return json_pack("{s:s,s:I,s:o,s:o,s:o,s:o,s:o,s:o,s:o}", "selector", side->text, "n",
                   (json_int_t)s.n, "mean", store_real_or_null(s.mean), "common_mean",
                   store_real_or_null(common), "sd", store_real_or_null(s.sd), "iqm",
                   store_real_or_null(iqm.iqm), "iqm_low", store_real_or_null(iqm.low), "iqm_high",
                   store_real_or_null(iqm.high), "values", values);
}

json_t *comparison_json(const Comparison *c) {
  const Summary *d = &c->difference;
  json_t *json =
      json_pack("{s:s,s:o,s:o,s:o,s:o,s:o,s:I,s:b,s:b,s:b,s:s}", "metric", c->metric, "a",
                side_json(c->a, c->common_a), "b", side_json(c->b, c->common_b), "difference",
                store_real_or_null(d->mean), "low", store_real_or_null(d->mean - d->half), "high",
                store_real_or_null(d->mean + d->half), "n", (json_int_t)d->n, "paired", c->paired,
                "same_images", c->same_images, "same_masks", c->same_masks, "verdict", c->verdict);
  json_t *more =
      json_pack("{s:o,s:o,s:I,s:b,s:o,s:o,s:o,s:o,s:o}", "p", store_real_or_null(d->p), "p_holm",
                store_real_or_null(c->p_holm), "comparisons", (json_int_t)c->family, "supported",
                comparison_supported(c), "iqm", store_real_or_null(c->iqm.iqm), "iqm_low",
                store_real_or_null(c->iqm.low), "iqm_high", store_real_or_null(c->iqm.high),
                "smallest_difference", store_real_or_null(c->smallest), "seeds_needed",
                c->needed ? json_integer((json_int_t)c->needed) : json_null());
  json_object_update(json, more);
  json_decref(more);
  return json;
}

/* Commands ------------------------------------------------------------------------------------*/

/* One object for one comparison, else a list of them. */
static bool print_json(FILE *out, const Comparison *list, size_t count, bool one, Error *e) {
  json_t *json = one ? comparison_json(list) : json_array();
  for (size_t i = 0; !one && i < count; i++) json_array_append_new(json, comparison_json(&list[i]));
  bool ok = json && json_print(out, json, JSON_INDENT(2));
  json_decref(json);
  return ok || error_set(e, EXIT_DEVICE, "out of memory");
}

static bool is_point(Store *store, const char *text, Error *e) {
  char *condition = side_select(store, text, e);
  sqlite3_free(condition);
  return condition != NULL;
}

/* A metric that one of the sides lacks is an error when it was asked for by name. */
static bool compare_metrics(Store *store, FILE *out, const char *a, const char *b,
                            const StringList *metrics, bool json, bool named, Error *e) {
  size_t most = (size_t)metrics->count, count = 0;
  Side *sides = need(calloc(2 * most + 1, sizeof *sides));
  Comparison *list = need(calloc(most + 1, sizeof *list));
  bool ok = is_point(store, a, e) && is_point(store, b, e);
  for (size_t i = 0; ok && i < most; i++) {
    Error lacking = {0};
    char *unit = store_metric_unit(store, metrics->items[i], e);
    ok = unit != NULL;
    if (ok && side_load(store, &sides[2 * i], a, metrics->items[i], &lacking) &&
        side_load(store, &sides[2 * i + 1], b, metrics->items[i], &lacking))
      ok = comparison_make(&list[count++], &sides[2 * i], &sides[2 * i + 1], metrics->items[i],
                           unit, e);
    else if (ok && named) {
      *e = lacking;
      ok = false;
    }
    free(unit);
  }
  if (ok) comparisons_judge(list, count);
  if (ok && json) {
    ok = print_json(out, list, count, named && most == 1, e);
  } else if (ok && most == 1) {
    print_text(out, list);
  } else if (ok) {
    fprintf(out, "A  %s\nB  %s\n\n", a, b);
    comparisons_print(out, list, count, false);
    fputc('\n', out);
    comparisons_explain(out, count);
  }
  for (size_t i = 0; i < count; i++) comparison_free(&list[i]);
  for (size_t i = 0; i < 2 * most; i++) side_free(&sides[i]);
  free(list);
  free(sides);
  return ok;
}

bool store_compare(Store *store, FILE *out, const char *a, const char *b, const char *metric,
                   bool json, Error *e) {
  StringList metrics = {0};
  bool ok =
      store_list_metrics(store, metric ? metric : "psnr_masked", &metrics, e) &&
      compare_metrics(store, out, a, b, &metrics, json, !metric || strcmp(metric, "all") != 0, e);
  strings_free(&metrics);
  return ok;
}
