/* print.c - the rows of a query as an aligned table or as JSON. */
#include <stdlib.h>

#include "harness/base/strings.h"
#include "harness/store/rows.h"
#include "mae/record/json_text.h"

/* A row is a line: what would end it, or move the terminal's cursor, is a blank. */
static void text_cell(Table *table, const char *text) {
  char *line = string_copy(text);
  for (char *c = line; *c; c++)
    if ((unsigned char)*c < ' ' || *c == 0x7f) *c = ' ';
  table_cell(table, "%s", line);
  free(line);
}

/* Six significant digits are enough for reading; --json and the sqlite3 program show them all. */
static void cell_text(Table *table, const Rows *rows, int column) {
  CellType type = rows_type(rows, column);
  if (type == CELL_REAL)
    table_cell(table, "%.6g", rows_real(rows, column));
  else
    text_cell(table, type == CELL_NULL ? "-" : rows_text(rows, column));
}

static bool print_table(Rows *rows, FILE *out, Error *e) {
  Table table = {.columns = rows_columns(rows)};
  for (int i = 0; i < table.columns; i++) table_cell(&table, "%s", rows_name(rows, i));
  while (rows_next(rows))
    for (int i = 0; i < table.columns; i++) cell_text(&table, rows, i);
  bool ok = rows_close(rows, e);
  if (ok) table_print(&table, out);
  table_free(&table);
  return ok;
}

static bool print_json(Rows *rows, FILE *out, Error *e) {
  bool ok = true;
  json_t *list = json_array();
  while (ok && rows_next(rows)) {
    json_t *object = rows_object(rows, e);
    ok = object && !json_array_append_new(list, object);
  }
  ok = rows_close(rows, ok ? e : NULL) && ok;
  if (ok && !json_print(out, list, JSON_INDENT(2) | JSON_PRESERVE_ORDER))
    ok = error_set(e, EXIT_DATA, "out of memory");
  json_decref(list);
  return ok;
}

bool store_print(Store *store, FILE *out, const char *sql, bool json, Error *e) {
  return (json ? print_json : print_table)(rows_open(store, sql, NULL), out, e);
}
