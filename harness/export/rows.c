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

static json_t *cell_json(const Rows *rows, int column) {
  double value;
  switch (rows_type(rows, column)) {
  case CELL_NULL:
    return json_null();
  case CELL_INTEGER:
    return json_integer(rows_int(rows, column));
  case CELL_REAL:
    value = rows_real(rows, column);
    return isfinite(value) ? json_real(value) : json_string(value > 0 ? "inf" : "-inf");
  default:
    return json_string(rows_text(rows, column));
  }
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
    json_t *object = need(json_object());
    for (int c = 0; ok && c < rows_columns(rows); c++)
      ok = !json_object_set_new(object, rows_name(rows, c), cell_json(rows, c)) ||
           error_set(e, EXIT_DATA, "%s: not a text of UTF-8, which JSON cannot hold",
                     rows_name(rows, c));
    need(!ok || json_print(out, object, JSON_COMPACT) ? out : NULL);
    json_decref(object);
  }
  free(sql);
  return rows_close(rows, ok ? e : NULL) && ok;
}
