/* rows.c - views as CSV and as JSON lines, to the digit. */
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness/export/export.h"
#include "mae/record/json_text.h"

static char *view_sql(const Export *export) {
  static const char *const views[] = {
      [EXPORT_TRIALS] = "SELECT * FROM trials WHERE experiment IN (%s) ORDER BY trial",
      [EXPORT_CURVES] = "SELECT * FROM curves WHERE experiment IN (%s) "
                        "ORDER BY experiment, trial, quantity, step",
      [EXPORT_POINTS] = "SELECT * FROM points WHERE experiment IN (%s) "
                        "ORDER BY experiment, settings, dataset, metric"};
  char *list = sql_list(export->experiments);
  const char *at = strstr(views[export->what], "%s");
  char *sql =
      string_format("%.*s%s%s", (int)(at - views[export->what]), views[export->what], list, at + 2);
  free(list);
  return sql;
}

/* CSV ------------------------------------------------------------------------------------------*/

static void csv_text(FILE *out, const char *text) {
  bool quoted = !*text || strpbrk(text, ",\"\r\n") || *text == ' ' || text[strlen(text) - 1] == ' ';
  if (quoted) fputc('"', out);
  for (; *text; text++) fprintf(out, "%s%c", *text == '"' ? "\"" : "", *text);
  if (quoted) fputc('"', out);
}

static void csv_cell(FILE *out, const Rows *rows, int column) {
  CellType type = rows_type(rows, column);
  if (type == CELL_TEXT) {
    csv_text(out, rows_text(rows, column));
  } else if (type == CELL_REAL && isfinite(rows_real(rows, column))) {
    json_t *number = json_real(rows_real(rows, column));
    char *text = need(json_text(need(number), JSON_ENCODE_ANY));
    fputs(text, out);
    free(text);
    json_decref(number);
  } else if (type != CELL_NULL) {
    fputs(type == CELL_INTEGER          ? rows_text(rows, column)
          : rows_real(rows, column) > 0 ? "inf"
                                        : "-inf",
          out);
  }
}

bool export_csv(FILE *out, const Export *export, Error *e) {
  char *sql = view_sql(export);
  Rows *rows = rows_open(export->store, sql, NULL);
  for (int c = 0; c < rows_columns(rows); c++) {
    if (c) fputc(',', out);
    csv_text(out, rows_name(rows, c));
  }
  fputs("\r\n", out);
  while (rows_next(rows)) {
    for (int c = 0; c < rows_columns(rows); c++) {
      if (c) fputc(',', out);
      csv_cell(out, rows, c);
    }
    fputs("\r\n", out);
  }
  free(sql);
  return rows_close(rows, e);
}

/* JSON -----------------------------------------------------------------------------------------*/

bool export_jsonl(FILE *out, const Export *export, Error *e) {
  char *sql = view_sql(export);
  Rows *rows = rows_open(export->store, sql, NULL);
  bool ok = true;
  while (ok && rows_next(rows)) {
    json_t *object = rows_object(rows, e);
    ok = object != NULL;
    need(!ok || json_print(out, object, JSON_COMPACT) ? out : NULL);
    json_decref(object);
  }
  free(sql);
  return rows_close(rows, ok ? e : NULL) && ok;
}
