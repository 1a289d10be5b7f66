/* several.c - several databases read as one: the views are the rows of all, with a column
 * that says whose a row is. */
#include <stdlib.h>
#include <string.h>

#include "harness/base/strings.h"
#include "harness/store/internal.h"

static const char *const joined[] = {"trials", "points", "scores", "experiments"};

static bool execute(Store *store, char *sql, Error *e) {
  bool ok = sql && sqlite3_exec(store->db, sql, NULL, NULL, NULL) == SQLITE_OK;
  if (!ok) store_fail(store, e);
  sqlite3_free(sql);
  return ok;
}

static bool has_column(Store *store, const char *schema, const char *view, const char *column) {
  sqlite3_stmt *statement = NULL;
  char *sql = sqlite3_mprintf("SELECT %w FROM %w.%w LIMIT 0", column, schema, view);
  bool has = sql && sqlite3_prepare_v2(store->db, sql, -1, &statement, NULL) == SQLITE_OK;
  sqlite3_finalize(statement);
  sqlite3_free(sql);
  return has;
}

/* The columns of the first database's view; another program's metrics are left out, and those that
 * a database does not know are NULL. */
static char *columns_of(Store *store, const char *schema, const char *view, Error *e) {
  sqlite3_stmt *statement = NULL;
  char *sql = sqlite3_mprintf("SELECT * FROM main.%w LIMIT 0", view), *text = NULL;
  size_t size;
  bool ok = sql && sqlite3_prepare_v2(store->db, sql, -1, &statement, NULL) == SQLITE_OK;
  if (!ok) store_fail(store, e);
  FILE *out = need(open_memstream(&text, &size));
  for (int i = 0; ok && i < sqlite3_column_count(statement); i++) {
    const char *name = sqlite3_column_name(statement, i);
    fprintf(out, "%s%s%s", i ? ", " : "", has_column(store, schema, view, name) ? "" : "NULL AS ",
            name);
  }
  fclose(out);
  sqlite3_finalize(statement);
  sqlite3_free(sql);
  if (ok) return need(text);
  free(text);
  return NULL;
}

/* A view of the connection itself, which comes before those of the databases. */
static bool join_view(Store *store, const char *view, const char *const *paths, int count,
                      Error *e) {
  char *text = NULL;
  size_t size;
  bool ok = true;
  FILE *sql = need(open_memstream(&text, &size));
  fprintf(sql, "CREATE TEMP VIEW %s AS ", view);
  for (int i = 0; ok && i < count; i++) {
    char schema[24];
    if (i)
      snprintf(schema, sizeof schema, "d%d", i);
    else
      strcpy(schema, "main");
    char *columns = columns_of(store, schema, view, e);
    char *part = columns ? sqlite3_mprintf("%s SELECT %s, %Q AS database FROM %s.%s",
                                           i ? " UNION ALL" : "", columns, paths[i], schema, view)
                         : NULL;
    ok = part != NULL;
    if (ok) fputs(part, sql);
    sqlite3_free(part);
    free(columns);
  }
  fclose(sql);
  ok = ok && execute(store, sqlite3_mprintf("%s", need(text)), e);
  free(text);
  return ok;
}

/* What experiments are called, in any of them: what a user names may be in one alone. */
static bool join_names(Store *store, int count, Error *e) {
  char *text = NULL;
  size_t size;
  FILE *sql = need(open_memstream(&text, &size));
  fputs("CREATE TEMP VIEW sweep AS SELECT experiment, name FROM main.sweep", sql);
  for (int i = 1; i < count; i++) fprintf(sql, " UNION SELECT experiment, name FROM d%d.sweep", i);
  fclose(sql);
  bool ok = execute(store, sqlite3_mprintf("%s", need(text)), e);
  free(text);
  return ok;
}

/* Says what is wrong with it, and migrates an older one, before it is joined as d1, d2, ... */
static bool attach(Store *store, const char *path, int number, Error *e) {
  Store *other;
  if (!store_open_readonly(&other, path, e)) return false;
  char *uri = store_uri(path, other->immutable);
  store_close(other);
  bool ok = execute(store, sqlite3_mprintf("ATTACH %Q AS d%d", uri, number), e);
  free(uri);
  return ok;
}

bool store_open_several(Store **out, const char *const *paths, int count, Error *e) {
  *out = NULL;
  Store *store;
  if (!store_open_readonly(&store, paths[0], e)) return false;
  bool ok = true;
  for (int i = 1; ok && i < count; i++) ok = attach(store, paths[i], i, e);
  for (size_t v = 0; ok && count > 1 && v < sizeof joined / sizeof *joined; v++)
    ok = join_view(store, joined[v], paths, count, e);
  if (ok && count > 1) ok = join_names(store, count, e);
  if (ok)
    *out = store;
  else
    store_close(store);
  return ok;
}
