/* diff_print.c - what differs, as text or JSON. */
#include <stdlib.h>
#include <string.h>

#include "harness/base/strings.h"
#include "harness/store/diff.h"
#include "mae/record/json_text.h"

enum { SHOWN_MAX = 10, VALUE_MAX = 40 };

static const char *text_of(const json_t *row, const char *name) {
  const char *text = json_string_value(json_object_get(row, name));
  return text ? text : "-";
}

static void number_cell(Table *table, const json_t *row, const char *name) {
  const json_t *value = json_object_get(row, name);
  if (json_is_integer(value))
    table_cell(table, "%lld", (long long)json_integer_value(value));
  else if (json_is_real(value))
    table_cell(table, "%.4g", json_real_value(value));
  else
    table_cell(table, "%s", json_is_string(value) ? json_string_value(value) : "-");
}

/* A table of those members of each row; the first of them is text. */
static void print_rows(FILE *out, const json_t *rows, const char *const *members, int count) {
  Table table = {.columns = count};
  size_t i;
  json_t *row;
  for (int c = 0; c < count; c++) table_cell(&table, "%s", members[c]);
  json_array_foreach(rows, i, row) {
    for (int c = 0; c < count; c++) number_cell(&table, row, members[c]);
  }
  table_print(&table, out);
  table_free(&table);
}

static void print_differences(FILE *out, const char *title, const json_t *rows) {
  Table table = {.columns = 4};
  size_t i;
  json_t *row;
  fprintf(out, "\n%s%s\n", title, json_array_size(rows) ? "" : ": the same");
  if (!json_array_size(rows)) return;
  table_cell(&table, " ");
  table_cell(&table, "A");
  table_cell(&table, "B");
  table_cell(&table, " ");
  json_array_foreach(rows, i, row) {
    table_cell(&table, "%s", text_of(row, "key"));
    table_cell(&table, "%.*s", VALUE_MAX, text_of(row, "a"));
    table_cell(&table, "%.*s", VALUE_MAX, text_of(row, "b"));
    table_cell(&table, "%s",
               json_is_false(json_object_get(row, "hashed")) ? "changes no result" : " ");
  }
  table_print(&table, out);
  table_free(&table);
}

static void print_only(FILE *out, char side, const json_t *list) {
  size_t i, count = json_array_size(list);
  json_t *item;
  if (!count) return;
  fprintf(out, "only in %c: ", side);
  json_array_foreach(list, i, item) {
    if (i == SHOWN_MAX) break;
    fprintf(out, "%s%s", i ? "; " : "", json_string_value(item));
  }
  if (count > SHOWN_MAX) fprintf(out, "; and %zu more", count - SHOWN_MAX);
  fputc('\n', out);
}

/* Whether all were scored on the same images; else Welch's t stands for that of pairs. */
static bool all_paired(const json_t *metrics) {
  size_t i;
  json_t *row;
  json_array_foreach(metrics, i, row) {
    if (!json_is_true(json_object_get(row, "paired"))) return false;
  }
  return true;
}

/* Of one pair there is nothing but the two numbers. */
static void print_one_pair(FILE *out, const json_t *metrics) {
  Table table = {.columns = 4};
  static const char *const heading[] = {"metric", "A", "B", "A - B"};
  size_t i;
  json_t *row;
  for (int c = 0; c < 4; c++) table_cell(&table, "%s", heading[c]);
  json_array_foreach(metrics, i, row) {
    table_cell(&table, "%s", text_of(row, "metric"));
    number_cell(&table, json_object_get(row, "a"), "mean");
    number_cell(&table, json_object_get(row, "b"), "mean");
    number_cell(&table, row, "difference");
  }
  table_print(&table, out);
  table_free(&table);
}

static void print_metrics(FILE *out, const Diff *diff) {
  static const char *const members[] = {
      "metric",  "n",        "difference",         "low", "high", "p", "p_holm", "iqm",
      "iqm_low", "iqm_high", "smallest_difference"};
  if (diff->count == 1) {
    fputs("\nmetrics\n", out);
    print_one_pair(out, diff->metrics);
    return;
  }
  bool paired = all_paired(diff->metrics);
  fprintf(out, "\nmetrics, A - B, %s\n",
          paired ? "paired" : "not paired: A and B were scored on different images");
  print_rows(out, diff->metrics, members, sizeof members / sizeof *members);
  fprintf(
      out,
      "(95%% intervals by %s, of each metric alone; p_holm: corrected by Holm for all of\nthem; "
      "iqm: interquartile mean with its bootstrap interval; smallest_difference: what so many "
      "%s find\nwith 80%% power)\n",
      paired ? "Student's t over the pairs" : "Welch's t", paired ? "pairs" : "trials");
}

static void print_steps(FILE *out, const Diff *diff) {
  static const char *const members[] = {"trial_a",  "trial_b",     "steps", "first_step",
                                        "quantity", "a",           "b",     "apart_step",
                                        "largest",  "largest_step"};
  fputs("\ntraining, step by step\n", out);
  print_rows(out, diff->steps, members, sizeof members / sizeof *members);
  fputs("(first_step: the first with a number that differs; apart_step: the first whose losses "
        "differ by more than\n1%; largest: their largest relative difference)\n",
        out);
}

void diff_print(FILE *out, const Diff *diff) {
  const DiffSide *sides[] = {&diff->a, &diff->b};
  for (int i = 0; i < 2; i++)
    fprintf(out, "%c  %s%s%s, %zu trial%s\n", 'A' + i, sides[i]->word ? sides[i]->word : "",
            sides[i]->word ? " of " : "", sides[i]->database, sides[i]->count,
            sides[i]->count == 1 ? "" : "s");
  fprintf(out, "%zu pair%s of trials\n", diff->count, diff->count == 1 ? "" : "s");
  print_only(out, 'A', diff->only_a);
  print_only(out, 'B', diff->only_b);
  if (!diff->count) return;
  print_differences(out, "configuration", diff->configuration);
  print_differences(out, "build, machine, data", diff->provenance);
  print_metrics(out, diff);
  print_steps(out, diff);
  if (!diff->steps_compared)
    fputs("\nThey have no training step in common.\n", out);
  else if (diff->should_be_equal)
    fprintf(
        out,
        "\nThe options, the program, the images and the kind of machine are the same: all steps "
        "should be equal, and they are%s.\n",
        diff->steps_equal ? "" : " not");
  else if (diff->steps_equal)
    fputs("\nAll steps are equal, whatever else differs.\n", out);
}

static json_t *side_json(const DiffSide *side) {
  return json_pack("{s:s,s:o,s:I}", "database", side->database, "selector",
                   side->word ? json_string(side->word) : json_null(), "trials",
                   (json_int_t)side->count);
}

bool diff_print_json(FILE *out, const Diff *diff, Error *e) {
  json_t *json =
      json_pack("{s:o,s:o,s:I,s:O,s:O,s:O,s:O,s:O,s:O,s:b,s:b}", "a", side_json(&diff->a), "b",
                side_json(&diff->b), "pairs", (json_int_t)diff->count, "only_a", diff->only_a,
                "only_b", diff->only_b, "configuration", diff->configuration, "provenance",
                diff->provenance, "metrics", diff->metrics, "steps", diff->steps, "should_be_equal",
                diff->should_be_equal, "steps_equal", diff->steps_equal);
  bool ok = json && json_print(out, json, JSON_INDENT(2) | JSON_PRESERVE_ORDER);
  json_decref(json);
  return ok || error_set(e, EXIT_DEVICE, "out of memory");
}
