/* verify.c - rebuilds the rows of one trial from its folder and compares them with those that
 * the database has. */
#include "harness/store/verify.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness/base/tail.h"
#include "harness/store/internal.h"
#include "mae/base/io.h"
#include "mae/config/config.h"

/* The first `keys` columns say which row it is, and rows come in their order. The trial's number is
 * left out: it may be another one in another database. */
static const struct RowsOf {
  const char *name, *sql;
  int keys;
} rows_of[] = {
    {"trial", "SELECT config_hash, point, seed, swept, created FROM trial WHERE trial = ?", 0},
    {"param", "SELECT key, * FROM param WHERE trial = ? ORDER BY key", 1},
    {"attempt", "SELECT attempt, * FROM attempt WHERE trial = ? ORDER BY attempt", 1},
    {"launch", "SELECT launch, * FROM launch WHERE trial = ? ORDER BY launch", 1},
    {"pruning", "SELECT launch, * FROM pruning WHERE trial = ? ORDER BY launch", 1},
    {"dataset",
     "SELECT dataset, * FROM dataset WHERE dataset IN (SELECT dataset FROM attempt WHERE trial = "
     "?) ORDER BY dataset",
     1},
    {"environment",
     "SELECT environment, * FROM environment WHERE environment IN (SELECT environment FROM "
     "attempt WHERE trial = ?) ORDER BY environment",
     1},
    {"step", "SELECT step, * FROM step WHERE trial = ? ORDER BY step", 1},
    {"metric",
     "SELECT scorer, step, name, * FROM metric WHERE trial = ? ORDER BY scorer, step, name", 3},
    {"checkpoint", "SELECT step, * FROM checkpoint WHERE trial = ? ORDER BY step", 1},
    {"artifact", "SELECT kind, path, * FROM artifact WHERE trial = ? ORDER BY kind, path", 2},
    {"message", "SELECT offset, * FROM message WHERE trial = ? ORDER BY offset", 1},
    {"trials", "SELECT status FROM trials WHERE trial = ?", 0},
};

/* NULL before numbers before text, as SQLite orders them. */
static int compare_cells(sqlite3_stmt *a, sqlite3_stmt *b, int column) {
  int x = sqlite3_column_type(a, column), y = sqlite3_column_type(b, column);
  if (x == SQLITE_NULL || y == SQLITE_NULL) return (x != SQLITE_NULL) - (y != SQLITE_NULL);
  if (x == SQLITE_TEXT || y == SQLITE_TEXT) {
    if (x != y) return x == SQLITE_TEXT ? 1 : -1;
    return strcmp((const char *)sqlite3_column_text(a, column),
                  (const char *)sqlite3_column_text(b, column));
  }
  if (x == SQLITE_INTEGER && y == SQLITE_INTEGER) {
    sqlite3_int64 p = sqlite3_column_int64(a, column), q = sqlite3_column_int64(b, column);
    return (p > q) - (p < q);
  }
  double p = sqlite3_column_double(a, column), q = sqlite3_column_double(b, column);
  return (p > q) - (p < q);
}

static int compare_keys(sqlite3_stmt *a, sqlite3_stmt *b, int keys) {
  int order = 0;
  for (int i = 0; i < keys && !order; i++) order = compare_cells(a, b, i);
  return order;
}

/* "step 7", "metric model 20 psnr_masked". The caller frees. */
static char *row_name(const struct RowsOf *of, sqlite3_stmt *row) {
  char *name = string_copy(of->name);
  for (int i = 0; i < of->keys; i++) {
    char *longer = string_format("%s %s", name, (const char *)sqlite3_column_text(row, i));
    free(name);
    name = longer;
  }
  return name;
}

typedef struct Rows {
  const struct RowsOf *of;
  const char *path; /* of the database under test */
  StringList *faults;
  int told, found;
} Rows;

enum { TOLD_MAX = 3 };

static void add_fault(Rows *rows, char *text) {
  rows->found++;
  if (rows->told++ < TOLD_MAX)
    strings_add(rows->faults, text);
  else
    free(text);
}

static const char *cell_text(sqlite3_stmt *row, int column) {
  const char *text = (const char *)sqlite3_column_text(row, column);
  return text ? text : "(nothing)";
}

static void compare_row(Rows *rows, sqlite3_stmt *have, sqlite3_stmt *want) {
  int columns = sqlite3_column_count(want);
  for (int i = rows->of->keys; i < columns; i++) {
    const char *column = sqlite3_column_name(want, i);
    if (!strcmp(column, "trial") || !compare_cells(have, want, i)) continue;
    char *name = row_name(rows->of, want);
    add_fault(rows, string_format("%s: %s: %s is %.80s, its files say %.80s", rows->path, name,
                                  column, cell_text(have, i), cell_text(want, i)));
    free(name);
  }
}

static void odd_row(Rows *rows, sqlite3_stmt *row, bool missing) {
  char *name = row_name(rows->of, row);
  add_fault(rows, string_format("%s: %s: %s", rows->path, name,
                                missing ? "the row is missing, its files have it"
                                        : "a row that its files do not have"));
  free(name);
}

static sqlite3_stmt *prepare(Store *store, const char *sql, int64_t trial, Error *e) {
  sqlite3_stmt *statement = NULL;
  if (sqlite3_prepare_v2(store->db, sql, -1, &statement, NULL) != SQLITE_OK)
    store_fail(store, e);
  else
    sqlite3_bind_int64(statement, 1, trial);
  return statement;
}

/* Both in the order of their keys, side by side. */
static bool compare_rows(Store *store, int64_t trial, Store *made, int64_t own,
                         const struct RowsOf *of, StringList *faults, Error *e) {
  Rows rows = {.of = of, .path = store->path, .faults = faults};
  sqlite3_stmt *have = prepare(store, of->sql, trial, e);
  sqlite3_stmt *want = have ? prepare(made, of->sql, own, e) : NULL;
  bool a = false, b = false;
  bool ok = want && store_row(store, e, have, &a) && store_row(made, e, want, &b);
  while (ok && (a || b)) {
    int order = !a ? 1 : !b ? -1 : compare_keys(have, want, of->keys);
    if (order == 0)
      compare_row(&rows, have, want);
    else
      odd_row(&rows, order < 0 ? have : want, order > 0);
    if (order <= 0) ok = store_row(store, e, have, &a);
    if (ok && order >= 0) ok = store_row(made, e, want, &b);
  }
  if (rows.found > TOLD_MAX)
    strings_add(faults, string_format("%s: %s: %d values or rows differ in all", store->path,
                                      of->name, rows.found));
  sqlite3_finalize(have);
  sqlite3_finalize(want);
  return ok;
}

/* Rebuilding
 * --------------------------------------------------------------------------------------*/

typedef struct Lines {
  Intake intake;
  int64_t taken; /* the store under test has the lines that begin before */
  bool more;
} Lines;

static void take_line(void *user, const char *line, size_t length, uint64_t offset) {
  Lines *lines = user;
  Error ignored;
  if (offset >= (uint64_t)lines->taken)
    lines->more = true;
  else /* a line that is no event was passed over then, too */
    intake_line(&lines->intake, offset, line, length, &ignored);
}

static bool take_file(Store *store, int64_t trial, Store *made, int64_t own, const char *folder,
                      const char *file, bool *more, Error *e) {
  char path[CONFIG_PATH_MAX];
  Lines lines = {.taken = 0};
  bool found;
  if (!io_join(path, sizeof path, folder, file, e) ||
      !store_int(store, e, &lines.taken, &found,
                 "SELECT taken FROM file_read WHERE trial = ? AND file = ?", "it", trial, file) ||
      !intake_begin(&lines.intake, made, own, file, e))
    return false;
  tail_read_file(path, take_line, &lines);
  *more = lines.more;
  return intake_end(&lines.intake, e);
}

/* Where no harness is at work on it, and store_recover was run. */
static bool settled(Store *store, int64_t trial, bool *is, Error *e) {
  int64_t open = 0;
  bool found;
  bool ok = store_int(store, e, &open, &found,
                      "SELECT (SELECT count(*) FROM attempt WHERE trial = ?1 AND status IS NULL) + "
                      "(SELECT count(*) FROM launch WHERE trial = ?1 AND status IS NULL)",
                      "i", trial);
  *is = open == 0;
  return ok;
}

/* The trial's folder into an empty database. A folder that cannot be taken in is a fault, and
 * leaves *own 0. */
static bool rebuild(Store *store, int64_t trial, Store *made, int64_t *own, const char *folder,
                    StringList *faults, Error *e) {
  char sweep_folder[CONFIG_PATH_MAX];
  int64_t sweep;
  Error problem = {0};
  bool is_settled;
  *own = 0;
  snprintf(sweep_folder, sizeof sweep_folder, "%s", folder);
  *strrchr(sweep_folder, '/') = 0;
  if (!store_begin(made, e) || !settled(store, trial, &is_settled, e)) return false;
  if (!store_add_sweep(made, sweep_folder, &sweep, &problem) ||
      !store_add_trial(made, sweep, folder, own, &problem)) {
    *own = 0;
    if (store_broken(made)) *e = made->trouble;
    strings_add(faults, string_copy(problem.message));
    return !store_broken(made);
  }
  for (int f = 0; f < TRIAL_FILES; f++) {
    bool more = false;
    if (!take_file(store, trial, made, *own, folder, trial_files[f], &more, e)) return false;
    if (more && is_settled)
      strings_add(faults, string_format("%s: the newest lines of %s/%s are not in it; `harness "
                                        "import` takes them in",
                                        store->path, folder, trial_files[f]));
  }
  return (!is_settled || store_recover(made, e)) && store_commit(made, e);
}

bool store_verify_trial(Store *store, int64_t trial, const char *trial_folder, StringList *faults,
                        Error *e) {
  const char *temporary = getenv("TMPDIR");
  char folder[CONFIG_PATH_MAX], path[CONFIG_PATH_MAX];
  if (!io_join(folder, sizeof folder, temporary && *temporary ? temporary : "/tmp",
               "harness-verify-XXXXXX", e))
    return false;
  if (!mkdtemp(folder)) return error_set(e, EXIT_DATA, "%s: %s", folder, strerror(errno));
  Store *made = NULL;
  int64_t own = 0;
  char *real = realpath(trial_folder, NULL);
  bool ok = real || error_set(e, EXIT_DATA, "%s: %s", trial_folder, strerror(errno));
  ok = ok && io_join(path, sizeof path, folder, "rebuilt.db", e) && store_open(&made, path, e) &&
       rebuild(store, trial, made, &own, real, faults, e);
  for (size_t i = 0; ok && own && i < sizeof rows_of / sizeof *rows_of; i++)
    ok = compare_rows(store, trial, made, own, &rows_of[i], faults, e);
  store_close(made);
  free(real);
  return io_remove(folder, ok ? e : NULL) && ok;
}
