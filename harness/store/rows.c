/* rows.c - queries for those outside the store. */
#include "harness/store/rows.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness/store/internal.h"

struct Rows {
  Store *store;
  sqlite3_stmt *statement; /* NULL: it could not be prepared */
  bool failed;
  Error why;
};

static void bind_all(sqlite3_stmt *statement, const char *const *bindings) {
  for (; bindings && *bindings; bindings += 2) {
    int at = sqlite3_bind_parameter_index(statement, bindings[0]);
    if (at) sqlite3_bind_text(statement, at, bindings[1], -1, SQLITE_TRANSIENT);
  }
}

Rows *rows_open(Store *store, const char *sql, const char *const *bindings) {
  Rows *rows = need(calloc(1, sizeof *rows));
  rows->store = store;
  if (sqlite3_prepare_v2(store->db, sql, -1, &rows->statement, NULL) != SQLITE_OK) {
    store_fail(store, &rows->why);
    rows->failed = true;
  } else if (!sqlite3_stmt_readonly(rows->statement)) {
    error_set(&rows->why, EXIT_CONFIG, "only queries that read are run here");
    rows->failed = true;
  }
  bind_all(rows->statement, bindings);
  return rows;
}

bool rows_next(Rows *rows) {
  bool row = false;
  if (!rows->failed && !store_row(rows->store, &rows->why, rows->statement, &row))
    rows->failed = true;
  return row;
}

bool rows_close(Rows *rows, Error *e) {
  bool ok = !rows->failed;
  if (!ok && e) *e = rows->why;
  sqlite3_finalize(rows->statement);
  free(rows);
  return ok;
}

int rows_columns(const Rows *rows) {
  return rows->statement ? sqlite3_column_count(rows->statement) : 0;
}

const char *rows_name(const Rows *rows, int column) {
  return sqlite3_column_name(rows->statement, column);
}

int rows_column(const Rows *rows, const char *name) {
  for (int i = 0; i < rows_columns(rows); i++)
    if (!strcmp(rows_name(rows, i), name)) return i;
  return -1;
}

CellType rows_type(const Rows *rows, int column) {
  switch (sqlite3_column_type(rows->statement, column)) {
  case SQLITE_NULL:
    return CELL_NULL;
  case SQLITE_INTEGER:
    return CELL_INTEGER;
  case SQLITE_FLOAT:
    return CELL_REAL;
  default:
    return CELL_TEXT;
  }
}

const char *rows_text(const Rows *rows, int column) {
  const unsigned char *text = sqlite3_column_text(rows->statement, column);
  return text ? (const char *)text : "";
}

int64_t rows_int(const Rows *rows, int column) {
  return sqlite3_column_int64(rows->statement, column);
}

double rows_real(const Rows *rows, int column) {
  return rows_type(rows, column) == CELL_NULL ? NAN
                                              : sqlite3_column_double(rows->statement, column);
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

json_t *rows_object(const Rows *rows, Error *e) {
  json_t *object = need(json_object());
  for (int c = 0; c < rows_columns(rows); c++)
    if (json_object_set_new(object, rows_name(rows, c), cell_json(rows, c))) {
      error_set(e, EXIT_DATA, "%s: not a text of UTF-8, which JSON cannot hold",
                rows_name(rows, c));
      json_decref(object);
      return NULL;
    }
  return object;
}

bool rows_script(Store *store, const char *sql, const char *const *bindings, Error *e) {
  for (const char *rest = sql; *rest;) {
    sqlite3_stmt *statement = NULL;
    bool row = true, ok = sqlite3_prepare_v2(store->db, rest, -1, &statement, &rest) == SQLITE_OK;
    if (!ok) return store_fail(store, e);
    if (!statement) continue; /* blanks or a comment */
    bind_all(statement, bindings);
    while (ok && row) ok = store_row(store, e, statement, &row);
    sqlite3_finalize(statement);
    if (!ok) return false;
  }
  return true;
}

char *rows_first(Store *store, const char *sql, const char *const *bindings, Error *e) {
  Rows *rows = rows_open(store, sql, bindings);
  char *text = string_copy(rows_next(rows) ? rows_text(rows, 0) : "");
  if (rows_close(rows, e)) return text;
  free(text);
  return NULL;
}

char *sql_quoted(const char *text, char quote) {
  char *quoted = NULL;
  size_t size;
  FILE *out = need(open_memstream(&quoted, &size));
  fputc(quote, out);
  for (; *text; text++) fprintf(out, "%s%c", *text == quote ? (char[]){quote, 0} : "", *text);
  fputc(quote, out);
  fclose(out);
  return need(quoted);
}

char *sql_list(const StringList *texts) {
  char *list = NULL;
  size_t size;
  FILE *out = need(open_memstream(&list, &size));
  for (int i = 0; i < texts->count; i++) {
    char *quoted = sql_quoted(texts->items[i], '\'');
    fprintf(out, "%s%s", i ? ", " : "", quoted);
    free(quoted);
  }
  fclose(out);
  return need(list);
}
