/* tables.c - means over seeds as tables for a paper (LaTeX) or a page (Markdown). */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness/export/export.h"

enum { METRICS_SHOWN_MAX = 24 };

/* How a form writes what a table is made of. */
typedef struct Form {
  void (*text)(FILE *, const char *);
  /* also: what else the caption says, "; ..." or "" */
  void (*head)(FILE *, const char *experiment, const char *question, const char *also, int words,
               int columns);
  const char *row_begin, *between, *row_end;
  void (*names_end)(FILE *, int columns);
  const char *number, *bold; /* of a mean; %s is the number's text */
  const char *spread;        /* before the standard deviation */
  const char *number_begin, *number_end, *nothing, *tail;
} Form;

typedef struct Shown {
  char *name, *unit;
  int better, digits;
  double best;
} Shown;

/* LaTeX ----------------------------------------------------------------------------------------*/

static void latex_text(FILE *out, const char *text) {
  for (; *text; text++) switch (*text) {
    case '&':
    case '%':
    case '$':
    case '#':
    case '_':
    case '{':
    case '}':
      fprintf(out, "\\%c", *text);
      break;
    case '\\':
      fputs("\\textbackslash{}", out);
      break;
    case '~':
      fputs("\\textasciitilde{}", out);
      break;
    case '^':
      fputs("\\textasciicircum{}", out);
      break;
    case '<':
      fputs("\\textless{}", out);
      break;
    case '>':
      fputs("\\textgreater{}", out);
      break;
    case '|':
      fputs("\\textbar{}", out);
      break;
    case '"':
      fputs("\\textquotedbl{}", out);
      break;
    default: /* a line's end in a text would end a comment, a control character means nothing */
      fputc((unsigned char)*text < ' ' || *text == 0x7f ? ' ' : *text, out);
    }
}

static void latex_head(FILE *out, const char *experiment, const char *question, const char *also,
                       int words, int columns) {
  fputs("% needs \\usepackage{booktabs}\n\\begin{table}\n  \\centering\n  \\caption{", out);
  latex_text(out, question);
  fputs(" (", out);
  latex_text(out, experiment);
  fputs("; mean $\\pm$ standard deviation over seeds, best mean in bold", out);
  latex_text(out, also);
  fputs(")}\n  \\begin{tabular}{", out);
  for (int i = 0; i < columns; i++) fputc(i < words ? 'l' : 'r', out);
  fputs("}\n    \\toprule\n", out);
}

static void latex_names_end(FILE *out, int columns) {
  (void)columns;
  fputs("    \\midrule\n", out);
}

static const Form latex = {.text = latex_text,
                           .head = latex_head,
                           .row_begin = "    ",
                           .between = " & ",
                           .row_end = " \\\\\n",
                           .names_end = latex_names_end,
                           .number_begin = "$",
                           .number_end = "$",
                           .number = "%s",
                           .bold = "\\mathbf{%s}",
                           .spread = " \\pm ",
                           .nothing = "--",
                           .tail = "    \\bottomrule\n  \\end{tabular}\n\\end{table}\n"};

/* Markdown -------------------------------------------------------------------------------------*/

static void markdown_text(FILE *out, const char *text) {
  for (; *text; text++) {
    if (*text == '<')
      fputs("&lt;", out);
    else if (*text == '>')
      fputs("&gt;", out);
    else if (*text == '&')
      fputs("&amp;", out);
    else if ((unsigned char)*text < ' ' || *text == 0x7f)
      fputc(' ', out);
    else
      fprintf(out, "%s%c", strchr("\\`*_{}[]|#~!$", *text) ? "\\" : "", *text);
  }
}

static void markdown_head(FILE *out, const char *experiment, const char *question, const char *also,
                          int words, int columns) {
  (void)words, (void)columns;
  markdown_text(out, question);
  fputs(" (", out);
  markdown_text(out, experiment);
  fputs("; mean ± standard deviation over seeds, best mean in bold", out);
  markdown_text(out, also);
  fputs(")\n\n", out);
}

static void markdown_names_end(FILE *out, int columns) {
  for (int i = 0; i < columns; i++) fputs(i ? " --- |" : "| --- |", out);
  fputs("\n", out);
}

static const Form markdown = {.text = markdown_text,
                              .head = markdown_head,
                              .row_begin = "| ",
                              .between = " | ",
                              .row_end = " |\n",
                              .names_end = markdown_names_end,
                              .number_begin = "",
                              .number_end = "",
                              .number = "%s",
                              .bold = "**%s**",
                              .spread = " ± ",
                              .nothing = "–",
                              .tail = ""};

/* Tables ---------------------------------------------------------------------------------------*/

/* The metrics that have a mean at a point of the plan. */
static bool list_metrics(const Export *export, const char *experiment, Shown *shown, int *count,
                         Error *e) {
  static const char sql[] = "SELECT name, unit, better, digits FROM metrics WHERE (headline AND "
                            "name <> 'loss' OR name IN "
                            "('images_per_second', 'joules_per_image')) AND name IN (SELECT metric "
                            "FROM points WHERE experiment = @experiment "
                            "AND planned) ORDER BY position";
  Rows *rows =
      rows_open(export->store, sql, (const char *const[]){"@experiment", experiment, NULL});
  for (*count = 0; *count < METRICS_SHOWN_MAX && rows_next(rows); ++*count)
    shown[*count] = (Shown){string_copy(rows_text(rows, 0)), string_copy(rows_text(rows, 1)),
                            (int)rows_int(rows, 2), (int)rows_int(rows, 3), NAN};
  return rows_close(rows, e);
}

/* A row per setting: values of the swept keys, the data where there are several, seeds, and mean
 * and deviation of each metric. NULL: it failed. *words: columns before the numbers. */
static char *table_sql(const Export *export, const char *experiment, const Shown *shown, int count,
                       int *words, Error *e) {
  static const char keys[] =
      "SELECT key FROM settings JOIN experiments USING (experiment) WHERE experiment = @experiment "
      "AND swept = 1 AND key <> 'run.seed' GROUP BY key ORDER BY key <> x, key";
  static const char data[] = "SELECT iif(count(DISTINCT dataset) > 1, 'several', '') FROM points "
                             "WHERE experiment = @experiment AND planned";
  const char *const bindings[] = {"@experiment", experiment, NULL};
  char *sql = NULL;
  size_t size;
  FILE *out = need(open_memstream(&sql, &size));
  fputs("SELECT ", out);
  Rows *rows = rows_open(export->store, keys, bindings);
  for (*words = 0; rows_next(rows); ++*words) {
    char *key = sql_quoted(rows_text(rows, 0), '\''), *name = sql_quoted(rows_text(rows, 0), '"');
    fprintf(out, "(SELECT value FROM settings WHERE settings.trial = first AND key = %s) AS %s, ",
            key, name);
    free(key);
    free(name);
  }
  bool ok = rows_close(rows, e);
  char *several = ok ? rows_first(export->store, data, bindings, e) : NULL;
  if (several && *several) {
    fputs("substr(dataset, 1, 8) AS data, ", out);
    ++*words;
  }
  fputs("max(n) AS seeds", out);
  for (int i = 0; i < count; i++)
    fprintf(out,
            ", max(CASE metric WHEN '%s' THEN mean END), max(CASE metric WHEN '%s' THEN sd END)",
            shown[i].name, shown[i].name);
  fputs(" FROM (SELECT points.*, (SELECT min(trial) FROM trials WHERE trials.experiment = "
        "points.experiment AND trials.point = points.point) AS first FROM points "
        "WHERE experiment = @experiment AND planned) GROUP BY point, dataset ORDER BY first",
        out);
  fclose(out);
  ok = ok && several;
  free(several);
  if (ok) return sql;
  free(sql);
  return NULL;
}

static void number(FILE *out, const char *format, int digits, double value) {
  const char *at = strstr(format, "%s");
  fprintf(out, "%.*s%.*f%s", (int)(at - format), format, digits, value, at + 2);
}

/* Two means that read the same are both the best. */
static bool is_best(const Shown *shown, double mean) {
  char text[64], best[64];
  snprintf(text, sizeof text, "%.*f", shown->digits, mean);
  snprintf(best, sizeof best, "%.*f", shown->digits, shown->best);
  return !strcmp(text, best);
}

static void find_best(Rows *rows, Shown *shown, int count, int first, int *lines) {
  for (*lines = 0; rows_next(rows); ++*lines)
    for (int i = 0; i < count; i++) {
      double mean = rows_real(rows, first + 2 * i);
      if (isnan(shown[i].best) || (mean - shown[i].best) * shown[i].better > 0)
        shown[i].best = mean;
    }
}

static void write_row(FILE *out, const Form *form, const Rows *rows, const Shown *shown, int count,
                      int first, bool bold) {
  fputs(form->row_begin, out);
  for (int c = 0; c < first; c++) {
    if (c) fputs(form->between, out);
    form->text(out, rows_text(rows, c));
  }
  for (int i = 0; i < count; i++) {
    double mean = rows_real(rows, first + 2 * i), sd = rows_real(rows, first + 2 * i + 1);
    fputs(first || i ? form->between : "", out);
    if (isnan(mean)) {
      fputs(form->nothing, out);
      continue;
    }
    fputs(form->number_begin, out);
    number(out, bold && is_best(&shown[i], mean) ? form->bold : form->number, shown[i].digits,
           mean);
    if (!isnan(sd)) {
      fputs(form->spread, out);
      fprintf(out, "%.*f", shown[i].digits, sd);
    }
    fputs(form->number_end, out);
  }
  fputs(form->row_end, out);
}

static void write_names(FILE *out, const Form *form, const Rows *rows, const Shown *shown,
                        int count, int first) {
  fputs(form->row_begin, out);
  for (int c = 0; c < first; c++) {
    if (c) fputs(form->between, out);
    form->text(out, rows_name(rows, c));
  }
  for (int i = 0; i < count; i++) {
    char *unit = *shown[i].unit ? string_format(" (%s)", shown[i].unit) : string_copy("");
    fputs(form->between, out);
    form->text(out, shown[i].name);
    form->text(out, unit);
    free(unit);
  }
  fputs(form->row_end, out);
  form->names_end(out, first + count);
}

/* Planned trials that are in no mean, or not in each, by their settings: "; left out as failed: 0.9
 * (2)". */
static char *left_out_text(const Export *export, const char *const *bindings, Error *e) {
  static const char sql[] =
      "WITH missing AS (SELECT trial, point, CASE WHEN status = 'pruned' THEN 'because [prune] "
      "paused them early' WHEN status <> 'done' THEN 'as ' || status ELSE 'where a score is not a "
      "number' END AS reason FROM trials WHERE experiment = @experiment AND planned AND "
      "(status <> 'done' OR nonfinite IS NOT NULL)), "
      "named AS (SELECT reason, min(trial) AS first, coalesce((SELECT group_concat(value, '/') "
      "FROM settings WHERE settings.trial = missing.trial AND swept = 1 AND key <> 'run.seed'), "
      "'all') || ' (' || count(*) || ')' AS name FROM missing GROUP BY reason, point "
      "ORDER BY reason, first) "
      "SELECT coalesce(group_concat(text, ''), '') FROM (SELECT '; left out ' || reason || ': ' || "
      "group_concat(name, ', ') AS text FROM named GROUP BY reason ORDER BY reason)";
  return rows_first(export->store, sql, bindings, e);
}

static bool write_table(FILE *out, const Form *form, const Export *export, const char *experiment,
                        Error *e) {
  const char *const bindings[] = {"@experiment", experiment, NULL};
  Shown shown[METRICS_SHOWN_MAX];
  int count = 0, words = 0, lines = 0;
  bool ok = list_metrics(export, experiment, shown, &count, e);
  char *sql = ok ? table_sql(export, experiment, shown, count, &words, e) : NULL;
  char *question = sql ? rows_first(export->store,
                                    "SELECT question FROM experiments WHERE experiment = "
                                    "@experiment",
                                    bindings, e)
                       : NULL;
  char *also = question ? left_out_text(export, bindings, e) : NULL;
  if (also) {
    Rows *rows = rows_open(export->store, sql, bindings);
    find_best(rows, shown, count, words + 1, &lines);
    ok = rows_close(rows, e);
    rows = rows_open(export->store, sql, bindings);
    if (lines) {
      form->head(out, experiment, question, also, words, words + 1 + count);
      write_names(out, form, rows, shown, count, words + 1);
      while (rows_next(rows)) write_row(out, form, rows, shown, count, words + 1, lines > 1);
      fputs(form->tail, out);
    }
    ok = rows_close(rows, ok ? e : NULL) && ok;
    if (ok && !lines)
      fprintf(stderr, "note: %s: no trial is done, so it has no table\n", experiment);
  }
  for (int i = 0; i < count; i++) {
    free(shown[i].name);
    free(shown[i].unit);
  }
  ok = ok && also;
  free(also);
  free(question);
  free(sql);
  return ok;
}

static bool write_tables(FILE *out, const Form *form, const Export *export, Error *e) {
  for (int i = 0; i < export->experiments->count; i++) {
    if (i) fputc('\n', out);
    if (!write_table(out, form, export, export->experiments->items[i], e)) return false;
  }
  return true;
}

bool export_latex(FILE *out, const Export *export, Error *e) {
  return write_tables(out, &latex, export, e);
}

bool export_markdown(FILE *out, const Export *export, Error *e) {
  return write_tables(out, &markdown, export, e);
}
