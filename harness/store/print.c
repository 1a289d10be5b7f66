/* print.c - the rows of a query as an aligned table or as JSON. */
#include "harness/store/internal.h"

#include <math.h>
#include <string.h>

#include "harness/base/strings.h"
#include "mae/record/json_text.h"

static json_t *cell_json(sqlite3_stmt *statement, int column) {
  switch (sqlite3_column_type(statement, column)) {
  case SQLITE_INTEGER:
    return json_integer(sqlite3_column_int64(statement, column));
  case SQLITE_FLOAT: {
    double value = sqlite3_column_double(statement, column);
    return isfinite(value) ? json_real(value) : json_string(value > 0 ? "inf" : "-inf");
  }
  case SQLITE_NULL:
    return json_null();
  default:
    return json_string((const char *)sqlite3_column_text(statement, column));
  }
}

/* Six significant digits are enough for reading; --json and the sqlite3 program show them all. */
static void cell_text(Table *table, sqlite3_stmt *statement, int column) {
  int type = sqlite3_column_type(statement, column);
  if (type == SQLITE_FLOAT)
    table_cell(table, "%.6g", sqlite3_column_double(statement, column));
  else if (type == SQLITE_NULL)
    table_cell(table, "-");
  else
    table_cell(table, "%s", (const char *)sqlite3_column_text(statement, column));
}

static bool print_table(Store *store, sqlite3_stmt *statement, FILE *out, Error *e) {
  Table table = {.columns = sqlite3_column_count(statement)};
  bool row = true, ok = true;
  for (int i = 0; i < table.columns; i++)
    table_cell(&table, "%s", sqlite3_column_name(statement, i));
  while ((ok = store_row(store, e, statement, &row)) && row)
    for (int i = 0; i < table.columns; i++) cell_text(&table, statement, i);
  if (ok) table_print(&table, out);
  table_free(&table);
  return ok;
}

static bool print_json(Store *store, sqlite3_stmt *statement, FILE *out, Error *e) {
  int columns = sqlite3_column_count(statement);
  bool row = true, ok = true;
  json_t *rows = json_array();
  while ((ok = store_row(store, e, statement, &row)) && row) {
    json_t *object = json_object();
    for (int i = 0; i < columns; i++)
      json_object_set_new(object, sqlite3_column_name(statement, i), cell_json(statement, i));
    json_array_append_new(rows, object);
  }
  if (ok && !json_print(out, rows, JSON_INDENT(2) | JSON_PRESERVE_ORDER))
    ok = error_set(e, EXIT_DATA, "out of memory");
  json_decref(rows);
  return ok;
}

bool store_print(Store *store, FILE *out, const char *sql, bool json, Error *e) {
  sqlite3_stmt *statement = NULL;
  if (sqlite3_prepare_v2(store->db, sql, -1, &statement, NULL) != SQLITE_OK)
    return store_fail(store, e);
  bool ok = sqlite3_stmt_readonly(statement) ||
            error_set(e, EXIT_CONFIG, "only queries that read are run here");
  ok = ok && (json ? print_json : print_table)(store, statement, out, e);
  sqlite3_finalize(statement);
  return ok;
}
