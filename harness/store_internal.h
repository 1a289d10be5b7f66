/* store_internal.h - what the store's files share: the handle, statements, and careful readers of
 * JSON members. Not for anyone else. */
#ifndef HARNESS_STORE_INTERNAL_H
#define HARNESS_STORE_INTERNAL_H

#include <jansson.h>
#include <sqlite3.h>

#include "harness/store.h"

enum {
  STORE_APPLICATION_ID = 0x4d414562, /* "MAEb" */
  STORE_VERSION = 1,                 /* of the tables; see migrations in store.c */
  STORE_STATEMENTS = 64,
  STORE_LINE_MAX = 16 << 20 /* bytes; a start event with its diff and configuration is far below */
};

struct Store {
  sqlite3 *db;
  char *path;
  char *folder;  /* real path of the folder the database is in */
  int lock;      /* descriptor of PATH.lock, or -1 for readers */
  bool readonly; /* opened by store_open_readonly */
  Error trouble; /* why the database itself failed (store_broken); code 0: it did not */
  struct {
    const char *sql; /* the literal itself: statements are found again by address */
    sqlite3_stmt *statement;
  } cache[STORE_STATEMENTS];
  int cached;
};

/* A change of the tables that takes a database from version - 1 to version. */
typedef struct Migration {
  int version;
  const char *sql;
} Migration;
/* Brings db up to `version` in one transaction and then runs schema.sql; the list ends with a
 * version of 0. */
bool store_migrate(sqlite3 *db, const char *path, const Migration *, int version, Error *);

/* Fills e from the connection's last error, with advice where there is some; one that is
 * not about the statement or its values is kept as the store's trouble. False. */
bool store_fail(Store *, Error *);

/* Prepared once per literal. types: one letter per argument: i int64_t, r double, t const char *
 * (NULL: NULL), n Number (binds value and kind, two parameters), v Number (the value alone). */
sqlite3_stmt *store_query(Store *, Error *, const char *sql, const char *types, ...);
bool store_run(Store *, Error *, const char *sql, const char *types, ...);
/* Steps: SQLITE_ROW gives true with *row set, SQLITE_DONE true without; the statement is reset
 * when there is no row. */
bool store_row(Store *, Error *, sqlite3_stmt *, bool *row);
/* The first column of the first row. */
bool store_int(Store *, Error *, int64_t *value, bool *found, const char *sql, const char *types,
               ...);

/* A double as events carry it: a JSON number or one of "nan", "inf", "-inf". */
typedef struct Number {
  double value;
  const char *kind; /* finite, nan, inf, -inf, absent; NULL: not a number at all */
} Number;
Number json_number(const json_t *object, const char *key);

/* Readers of members that must be there: false with a message naming the key. */
bool json_need_int(const json_t *, const char *key, int64_t *, Error *);
bool json_need_real(const json_t *, const char *key, double *, Error *);
bool json_need_text(const json_t *, const char *key, const char **, Error *);
/* The member as text, or NULL when it is absent or of another type. */
const char *json_text(const json_t *, const char *key);
/* The member as a bound value: NULL Number when absent. Integers that may be null. */
Number json_optional_int(const json_t *, const char *key);

/* The whole of a file, NUL-terminated; the caller frees. */
bool store_read_file(char **text, size_t *size, const char *path, Error *);

#endif
