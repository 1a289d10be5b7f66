/* store.c - the database file: statements, opening, locking, migrating, looking trials up. */
#include "harness/store/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "harness/base/strings.h"
#include "mae/base/io.h"
#include "schema_sql.h"

/* Changes of the tables since version 1, in order. Changes of views need none: schema.sql replaces
 * them. A column cannot be renamed under views that name it, so those go first. */
static const Migration migrations[] = {
    {2, "DROP VIEW IF EXISTS points; DROP VIEW IF EXISTS experiments; DROP VIEW IF EXISTS trials; "
        "DROP VIEW IF EXISTS baselines; DROP VIEW IF EXISTS curves;"
        "ALTER TABLE metric RENAME COLUMN source TO scorer;"
        "ALTER TABLE source RENAME TO file_read;"},
    /* What was read before has no mark, so every file is read once more. */
    {3, "ALTER TABLE file_read ADD COLUMN line_at INTEGER NOT NULL DEFAULT 0;"
        "ALTER TABLE file_read ADD COLUMN mark TEXT NOT NULL DEFAULT '';"},
    {4, "ALTER TABLE attempt ADD COLUMN probe_seconds REAL;"
        "CREATE TABLE import (unfinished INTEGER PRIMARY KEY CHECK (unfinished = 1)) STRICT;"},
    /* Lists of this program and new tables, which schema.sql makes and fills. */
    {5, "DROP TABLE IF EXISTS metric_kind; DROP TABLE IF EXISTS scorer_kind;"},
    {6, "ALTER TABLE attempt ADD COLUMN energy_source TEXT;"
        "ALTER TABLE attempt ADD COLUMN energy_joules REAL;"
        "ALTER TABLE attempt ADD COLUMN energy_step_joules REAL;"
        "ALTER TABLE attempt ADD COLUMN energy_images INTEGER;"
        "ALTER TABLE attempt ADD COLUMN energy_own_share REAL;"
        "ALTER TABLE attempt ADD COLUMN energy_others INTEGER;"},
    /* The table `pruning`, which schema.sql makes. */
    {7, ""},
    {0, NULL}};

static TrialStatus status_from_name(const char *name) {
  for (TrialStatus status = TRIAL_PENDING; status < TRIAL_DONE; status++)
    if (!strcmp(name, trial_status_name(status))) return status;
  return TRIAL_DONE;
}

const char *store_library(void) {
  static char text[32];
  snprintf(text, sizeof text, "SQLite %s", sqlite3_libversion());
  return text;
}

/* Statements ----------------------------------------------------------------------------------*/

#define IN_EVENT_FILES "the event files keep what is missing here, `harness import` adds it"

static bool fail_db(sqlite3 *db, const char *path, Error *e) {
  switch (sqlite3_errcode(db)) {
  case SQLITE_NOTADB:
    return error_set(e, EXIT_DATA, "%s: not an SQLite database", path);
  case SQLITE_CORRUPT:
    return error_set(e, EXIT_DATA,
                     "%s: damaged (%s); move it away and rebuild it with `harness import`", path,
                     sqlite3_errmsg(db));
  case SQLITE_BUSY:
  case SQLITE_LOCKED:
    return error_set(e, EXIT_DATA, "%s: locked by another program; close it and run again", path);
  case SQLITE_READONLY:
    return error_set(e, EXIT_DATA, "%s: read-only; results cannot be recorded", path);
  case SQLITE_NOMEM:
    return error_set(e, EXIT_DEVICE, "%s: out of memory; " IN_EVENT_FILES, path);
  case SQLITE_FULL:
    return error_set(e, EXIT_DATA, "%s: the disk is full; " IN_EVENT_FILES, path);
  case SQLITE_IOERR:
  case SQLITE_CANTOPEN:
    return error_set(e, EXIT_DATA, "%s: %s; see to the disk; " IN_EVENT_FILES, path,
                     sqlite3_errmsg(db));
  default:
    return error_set(e, EXIT_DATA, "%s: %s", path, sqlite3_errmsg(db));
  }
}

bool store_fail(Store *store, Error *e) {
  Error reason;
  fail_db(store->db, store->path, &reason);
  if (e) *e = reason;
  switch (sqlite3_errcode(store->db)) {
  case SQLITE_FULL:
  case SQLITE_IOERR:
  case SQLITE_NOMEM:
  case SQLITE_BUSY:
  case SQLITE_LOCKED:
  case SQLITE_READONLY:
  case SQLITE_CANTOPEN:
  case SQLITE_CORRUPT:
  case SQLITE_NOTADB:
  case SQLITE_PROTOCOL:
    if (!store->trouble.code) store->trouble = reason;
  }
  return false;
}

bool store_broken(const Store *store) {
  return store->trouble.code != 0;
}

static void roll_back(Store *store) {
  if (!sqlite3_get_autocommit(store->db)) sqlite3_exec(store->db, "ROLLBACK", NULL, NULL, NULL);
}

void store_retry(Store *store) {
  roll_back(store);
  store->trouble = (Error){0};
}

static void bind_number(sqlite3_stmt *statement, int at, Number n) {
  if (n.kind == NUMBER_FINITE)
    sqlite3_bind_double(statement, at, n.value);
  else
    sqlite3_bind_null(statement, at);
}

static sqlite3_stmt *query(Store *store, Error *e, const char *sql, const char *types,
                           va_list args) {
  sqlite3_stmt *statement = NULL;
  for (int i = 0; i < store->cached; i++)
    if (store->cache[i].sql == sql) statement = store->cache[i].statement;
  if (!statement) {
    if (store->cached == STORE_STATEMENTS) { /* the oldest gives up its place */
      sqlite3_finalize(store->cache[0].statement);
      memmove(store->cache, store->cache + 1, sizeof store->cache - sizeof store->cache[0]);
      store->cached--;
    }
    if (sqlite3_prepare_v3(store->db, sql, -1, SQLITE_PREPARE_PERSISTENT, &statement, NULL) !=
        SQLITE_OK) {
      store_fail(store, e);
      return NULL;
    }
    store->cache[store->cached].sql = sql;
    store->cache[store->cached++].statement = statement;
  }
  sqlite3_reset(statement);
  int at = 1;
  for (const char *type = types; *type; type++) {
    Number n;
    switch (*type) {
    case 'i':
      sqlite3_bind_int64(statement, at++, va_arg(args, int64_t));
      break;
    case 'r':
      sqlite3_bind_double(statement, at++, va_arg(args, double));
      break;
    case 't':
      sqlite3_bind_text(statement, at++, va_arg(args, const char *), -1, SQLITE_TRANSIENT);
      break;
    case 'v':
      bind_number(statement, at++, va_arg(args, Number));
      break;
    case 'n':
      n = va_arg(args, Number);
      bind_number(statement, at++, n);
      sqlite3_bind_text(statement, at++, number_kind_name(n.kind), -1, SQLITE_STATIC);
      break;
    }
  }
  return statement;
}

sqlite3_stmt *store_query(Store *store, Error *e, const char *sql, const char *types, ...) {
  va_list args;
  va_start(args, types);
  sqlite3_stmt *statement = query(store, e, sql, types, args);
  va_end(args);
  return statement;
}

bool store_row(Store *store, Error *e, sqlite3_stmt *statement, bool *row) {
  int rc = sqlite3_step(statement);
  *row = rc == SQLITE_ROW;
  if (rc == SQLITE_ROW) return true;
  if (rc != SQLITE_DONE) store_fail(store, e);
  sqlite3_reset(statement);
  return rc == SQLITE_DONE;
}

bool store_run(Store *store, Error *e, const char *sql, const char *types, ...) {
  va_list args;
  va_start(args, types);
  sqlite3_stmt *statement = query(store, e, sql, types, args);
  va_end(args);
  bool row = false, ok = statement && store_row(store, e, statement, &row);
  if (statement) sqlite3_reset(statement);
  return ok;
}

bool store_int(Store *store, Error *e, int64_t *value, bool *found, const char *sql,
               const char *types, ...) {
  va_list args;
  va_start(args, types);
  sqlite3_stmt *statement = query(store, e, sql, types, args);
  va_end(args);
  *found = false;
  if (!statement || !store_row(store, e, statement, found)) return false;
  if (*found) *value = sqlite3_column_int64(statement, 0);
  sqlite3_reset(statement);
  return true;
}

/* Opening -------------------------------------------------------------------------------------*/

static bool pragma_int(sqlite3 *db, const char *path, const char *sql, int *value, Error *e) {
  sqlite3_stmt *statement = NULL;
  int rc = sqlite3_prepare_v2(db, sql, -1, &statement, NULL);
  if (rc == SQLITE_OK) rc = sqlite3_step(statement);
  bool ok = rc == SQLITE_ROW;
  if (ok)
    *value = sqlite3_column_int(statement, 0);
  else
    fail_db(db, path, e);
  sqlite3_finalize(statement);
  return ok;
}

static bool execute(sqlite3 *db, const char *path, const char *sql, Error *e) {
  return sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK || fail_db(db, path, e);
}

bool store_migrate(sqlite3 *db, const char *path, const Migration *list, int version, Error *e) {
  if (!execute(db, path, "BEGIN IMMEDIATE", e)) return false;
  int have = 0;
  bool ok = pragma_int(db, path, "PRAGMA user_version", &have, e);
  for (; ok && have > 0 && list->version; list++) /* a new file (0) needs the schema alone */
    if (list->version > have && list->version <= version) ok = execute(db, path, list->sql, e);
  char stamp[128], *schema = store_schema(schema_sql);
  snprintf(stamp, sizeof stamp, "PRAGMA user_version = %d; PRAGMA application_id = %d", version,
           STORE_APPLICATION_ID);
  ok = ok && execute(db, path, schema, e) && execute(db, path, stamp, e) &&
       execute(db, path, "COMMIT", e);
  if (!ok) sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
  free(schema);
  return ok;
}

/* Whose file this is: *empty, or ours with *version, or an error. */
static bool identify(sqlite3 *db, const char *path, bool *empty, int *version, Error *e) {
  int application = 0, objects = 0;
  if (!pragma_int(db, path, "SELECT count(*) FROM sqlite_master", &objects, e) ||
      !pragma_int(db, path, "PRAGMA application_id", &application, e) ||
      !pragma_int(db, path, "PRAGMA user_version", version, e))
    return false;
  *empty = !objects && !application;
  if (!*empty && application != STORE_APPLICATION_ID)
    return error_set(e, EXIT_DATA, "%s: a database of another program; it is left as it is", path);
  if (*version > STORE_VERSION)
    return error_set(e, EXIT_DATA,
                     "%s: written by a newer harness (schema %d, this one knows %d); use that one",
                     path, *version, STORE_VERSION);
  return true;
}

static void read_lock(int lock, char *text, size_t size) {
  ssize_t n = pread(lock, text, size - 1, 0);
  text[n > 0 ? n : 0] = '\0';
}

/* Whether the database is the file that its last writer closed. */
static bool is_as_noted(const char *path, const char *noted) {
  char identity[IO_IDENTITY_MAX];
  struct stat info;
  if (stat(path, &info)) return false;
  io_identity(identity, &info);
  size_t length = strlen(identity);
  return !strncmp(noted, identity, length) && !strcmp(noted + length, "\n");
}

/* The second line of PATH.lock: the database as it is left, for the next that opens it. One that
 * was not closed, or was written to since by a program that does not know this line, is checked
 * again. */
static void note_whole(const Store *store) {
  char identity[IO_IDENTITY_MAX], line[IO_IDENTITY_MAX + 64];
  struct stat info;
  if (stat(store->path, &info)) return;
  io_identity(identity, &info);
  int n = snprintf(line, sizeof line, "%ld\n%s\n", (long)getpid(), identity);
  if (pwrite(store->lock, line, (size_t)n, 0) != n && ftruncate(store->lock, 0)) return;
}

/* One writer: an advisory lock on PATH.lock, held until close or death. */
static bool take_lock(Store *store, Error *e) {
  char name[PATH_MAX];
  snprintf(name, sizeof name, "%s.lock", store->path);
  store->lock = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (store->lock < 0)
    return error_set(e, EXIT_DATA, "%s: cannot be opened for writing: %s", name, strerror(errno));
  char holder[IO_IDENTITY_MAX + 64] = "", *rest = holder;
  if (flock(store->lock, LOCK_EX | LOCK_NB)) {
    if (errno != EWOULDBLOCK)
      return error_set(e, EXIT_DATA, "%s: cannot be locked: %s", name, strerror(errno));
    read_lock(store->lock, holder, sizeof holder);
    holder[strcspn(holder, "\n")] = '\0';
    return error_set(e, EXIT_DATA,
                     "%s: another harness (process %s) is writing to it; wait for it "
                     "or give --db another name",
                     store->path, *holder ? holder : "unknown");
  }
  read_lock(store->lock, holder, sizeof holder);
  strsep(&rest, "\n");
  store->known_whole = rest && is_as_noted(store->path, rest);
  int n = snprintf(holder, sizeof holder, "%ld\n", (long)getpid());
  if (ftruncate(store->lock, 0) || pwrite(store->lock, holder, (size_t)n, 0) != n)
    return error_set(e, EXIT_DATA, "%s: %s", name, strerror(errno));
  return true;
}

static bool find_folder(Store *store, Error *e) {
  char *slash = strrchr(store->path, '/');
  char *parent =
      slash ? strndup(store->path, slash == store->path ? 1 : (size_t)(slash - store->path))
            : strdup(".");
  store->folder = parent ? realpath(parent, NULL) : NULL;
  bool ok = store->folder != NULL;
  if (!ok)
    error_set(e, EXIT_DATA,
              "%s: no such folder, seen from where this was started; --db names a database "
              "elsewhere",
              store->path);
  free(parent);
  struct stat info;
  if (ok && stat(store->path, &info) == 0 && S_ISDIR(info.st_mode))
    ok = error_set(e, EXIT_DATA, "%s: a folder; --db names a file, such as %s/results.db",
                   store->path, store->path);
  return ok;
}

static Store *store_new(const char *path, Error *e) {
  Store *store = calloc(1, sizeof *store);
  if (!store || !(store->path = strdup(path))) {
    error_set(e, EXIT_DEVICE, "out of memory");
    free(store);
    return NULL;
  }
  store->lock = -1;
  store->piece_rows = STORE_PIECE_ROWS;
  if (!find_folder(store, e)) {
    store_close(store);
    return NULL;
  }
  return store;
}

/* A database that lost pages answers some queries and leaves rows out of others. Reads every row:
 * seconds for a million. */
static bool check_integrity(Store *store, Error *e) {
  sqlite3_stmt *statement = NULL;
  bool ok =
      sqlite3_prepare_v2(store->db, "PRAGMA quick_check(1)", -1, &statement, NULL) == SQLITE_OK &&
      sqlite3_step(statement) == SQLITE_ROW;
  const char *found =
      ok ? (const char *)sqlite3_column_text(statement, 0) : sqlite3_errmsg(store->db);
  ok = ok && found && !strcmp(found, "ok");
  if (!ok)
    error_set(e, EXIT_DATA,
              "%s: damaged (%.200s); move it away and rebuild it with `harness import`",
              store->path, found ? found : "unreadable");
  sqlite3_finalize(statement);
  return ok;
}

static bool open_writer(Store *store, Error *e) {
  bool empty = false;
  int version = 0;
  if (!take_lock(store, e)) return false;
  if (sqlite3_open_v2(store->path, &store->db,
                      SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX,
                      NULL) != SQLITE_OK)
    return store_fail(store, e);
  sqlite3_extended_result_codes(store->db, 0);
  sqlite3_busy_timeout(store->db, 5000);
  if (sqlite3_db_readonly(store->db, "main") == 1)
    return error_set(e, EXIT_DATA, "%s: read-only; results cannot be recorded", store->path);
  if (!identify(store->db, store->path, &empty, &version, e)) return false;
  /* NORMAL: a power cut may lose the newest transactions, never the database; the event files
   * still hold them. */
  if (!execute(store->db, store->path,
               "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; "
               "PRAGMA foreign_keys = ON; PRAGMA trusted_schema = OFF",
               e))
    return false;
  store->known_whole = store->known_whole || empty || check_integrity(store, e);
  return store->known_whole && store_migrate(store->db, store->path, migrations, STORE_VERSION, e);
}

bool store_open(Store **out, const char *path, Error *e) {
  *out = NULL;
  Store *store = store_new(path, e);
  if (!store) return false;
  if (!open_writer(store, e)) {
    store_close(store);
    return false;
  }
  *out = store;
  return true;
}

char *store_uri(const char *path, bool immutable) {
  char *uri = NULL;
  size_t size;
  FILE *out = need(open_memstream(&uri, &size));
  fputs("file:", out);
  for (const char *c = path; *c; c++) /* two slashes would begin with a machine's name */
    fprintf(out, strchr("%?#", *c) || (c == path + 1 && *c == '/') ? "%%%02X" : "%c", *c);
  fputs(immutable ? "?immutable=1" : "?mode=ro", out);
  fclose(out);
  return need(uri);
}

static bool open_uri(Store *store, Error *e) {
  char *uri = store_uri(store->path, store->immutable);
  int rc = sqlite3_open_v2(uri, &store->db,
                           SQLITE_OPEN_READONLY | SQLITE_OPEN_URI | SQLITE_OPEN_NOMUTEX, NULL);
  free(uri);
  if (rc != SQLITE_OK) return store_fail(store, e);
  sqlite3_busy_timeout(store->db, 5000);
  return true;
}

/* A WAL database in a folder that cannot be written to: nobody else writes there either. Rows that
 * a killed writer left in the second file would be missing. */
static bool open_immutable(Store *store, Error *e) {
  char *wal = string_format("%s-wal", store->path);
  struct stat info;
  bool behind = stat(wal, &info) == 0 && info.st_size > 0;
  if (behind)
    error_set(e, EXIT_DATA,
              "%s: its newest rows are in %s, which can be read only where files can be written; "
              "copy both elsewhere",
              store->path, wal);
  free(wal);
  if (behind) return false;
  sqlite3_close(store->db);
  store->db = NULL;
  store->immutable = true;
  return open_uri(store, e);
}

/* *old: of an older schema. */
static bool open_reader(Store *store, bool *old, Error *e) {
  bool empty = false;
  int version = 0;
  if (access(store->path, R_OK))
    return error_set(e, EXIT_DATA, "%s: %s; `harness run` makes it", store->path, strerror(errno));
  if (!open_uri(store, e)) return false;
  int objects = 0;
  bool readable =
      pragma_int(store->db, store->path, "SELECT count(*) FROM sqlite_master", &objects, e);
  int code = sqlite3_errcode(store->db);
  if (!readable && (code == SQLITE_CANTOPEN || code == SQLITE_READONLY) &&
      !open_immutable(store, e))
    return false;
  if (!identify(store->db, store->path, &empty, &version, e)) return false;
  if (empty) return error_set(e, EXIT_DATA, "%s: empty; `harness run` fills it", store->path);
  *old = version < STORE_VERSION;
  return true;
}

/* Readers know the newest schema only. */
static bool bring_up_to_date(const char *path, Error *e) {
  Store *writer;
  if (!store_open(&writer, path, e))
    return error_prefix(e, "%s was written by an older harness and cannot be brought up to date",
                        path);
  store_close(writer);
  return true;
}

bool store_open_readonly(Store **out, const char *path, Error *e) {
  *out = NULL;
  bool old = false;
  Store *store = store_new(path, e);
  if (!store) return false;
  store->readonly = true;
  if (!open_reader(store, &old, e)) {
    store_close(store);
    return false;
  }
  if (old) {
    store_close(store);
    return bring_up_to_date(path, e) && store_open_readonly(out, path, e);
  }
  *out = store;
  return true;
}

void store_close(Store *store) {
  if (!store) return;
  for (int i = 0; i < store->cached; i++) sqlite3_finalize(store->cache[i].statement);
  /* Leaves one plain file, which can be read where nothing can be written. Where somebody reads
   * just now it stays as it is. */
  if (!store->readonly && store->db)
    sqlite3_exec(store->db, "PRAGMA journal_mode = DELETE", NULL, NULL, NULL);
  sqlite3_close(store->db);
  if (store->lock >= 0 && store->known_whole && !store_broken(store)) note_whole(store);
  if (store->lock >= 0) close(store->lock);
  free(store->path);
  free(store->folder);
  free(store);
}

const char *store_folder(const Store *store) {
  return store->folder;
}

static bool refuse_while_broken(const Store *store, Error *e) {
  if (store_broken(store)) *e = store->trouble;
  return !store_broken(store);
}

bool store_begin(Store *store, Error *e) {
  return refuse_while_broken(store, e) && store_run(store, e, "BEGIN IMMEDIATE", "");
}

bool store_commit(Store *store, Error *e) {
  bool ok = refuse_while_broken(store, e) && store_run(store, e, "COMMIT", "");
  if (!ok) roll_back(store);
  return ok;
}

/* Looking up ----------------------------------------------------------------------------------*/

#define TRIAL_INFO                                                                                 \
  "SELECT trials.trial, status, config_hash, folder, (SELECT binary_sha256 FROM attempt "          \
  "WHERE attempt.trial = trials.trial ORDER BY attempt DESC LIMIT 1) FROM trials "

static void copy_text(char *to, size_t size, sqlite3_stmt *statement, int column) {
  const unsigned char *text = sqlite3_column_text(statement, column);
  snprintf(to, size, "%s", text ? (const char *)text : "");
}

static bool take_info(Store *store, sqlite3_stmt *statement, TrialInfo *info, bool *found,
                      Error *e) {
  *found = false;
  memset(info, 0, sizeof *info);
  if (!statement || !store_row(store, e, statement, found)) return false;
  if (!*found) return true;
  char status[16];
  copy_text(status, sizeof status, statement, 1);
  info->id = sqlite3_column_int64(statement, 0);
  info->status = status_from_name(status);
  copy_text(info->config_hash, sizeof info->config_hash, statement, 2);
  copy_text(info->folder, sizeof info->folder, statement, 3);
  copy_text(info->binary_sha256, sizeof info->binary_sha256, statement, 4);
  sqlite3_reset(statement);
  return true;
}

bool store_find_trial(Store *store, const char *experiment, const char *config_hash,
                      TrialInfo *info, bool *found, Error *e) {
  sqlite3_stmt *statement =
      store_query(store, e, TRIAL_INFO "WHERE trials.experiment = ? AND trials.config_hash = ?",
                  "tt", experiment, config_hash);
  return take_info(store, statement, info, found, e);
}

bool store_get_trial(Store *store, int64_t id, TrialInfo *info, bool *found, Error *e) {
  sqlite3_stmt *statement = store_query(store, e, TRIAL_INFO "WHERE trials.trial = ?", "i", id);
  return take_info(store, statement, info, found, e);
}

bool store_next_trial_id(Store *store, int64_t *id, Error *e) {
  bool found = false;
  return store_int(store, e, id, &found, "SELECT coalesce(max(trial), 0) + 1 FROM trial", "");
}
