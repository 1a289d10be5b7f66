/* internal.h - what the store's files share: the handle and its statements. Not for
 * anyone else. */
#ifndef HARNESS_STORE_INTERNAL_H
#define HARNESS_STORE_INTERNAL_H

#include <sqlite3.h>

#include "harness/store/store.h"
#include "mae/record/event_line.h"

enum {
  STORE_APPLICATION_ID = 0x4d414562, /* "MAEb" */
  STORE_VERSION = 7,                 /* of the tables; see migrations in store.c */
  STORE_STATEMENTS = 64,
  STORE_PIECE_ROWS = 50000,
  STORE_LINE_MAX = 16 << 20 /* bytes; a start event with its diff and configuration is far below */
};

struct Store {
  sqlite3 *db;
  char *path;
  char *folder;      /* real path of the folder the database is in */
  int64_t committed; /* rows changed before the newest piece of an import */
  int piece_rows;    /* of which a piece has at least so many */
  int lock;          /* descriptor of PATH.lock, or -1 for readers */
  bool known_whole;  /* by check_integrity, now or before the file was closed as it is */
  bool readonly;     /* opened by store_open_readonly, */
  bool immutable;    /* and where nobody can write, not even its locks */
  Error trouble;     /* why the database itself failed (store_broken); code 0: it did not */
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

/* A database to be read, as SQLite's URI; the caller frees. */
char *store_uri(const char *path, bool immutable);

/* schema.sql with a column for each metric, and the rows of metric_kind and scorer_kind; the caller
 * frees (metrics.c). */
char *store_schema(const char *schema);

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

/* " dB", or "" without a unit; the metric must be a column of `trials`. The caller frees. */
char *store_metric_unit(Store *, const char *metric, Error *);

/* The member "paper" of sweep.json into the tables, in place of what they had of this sweep; NULL:
 * it has none. */
bool store_put_paper(Store *, int64_t sweep, const json_t *paper, Error *);
/* store_judge_paper of every experiment that has published numbers. */
bool store_judge_all_papers(Store *, Error *);
/* store_judge_points of every experiment. */
bool store_judge_all_points(Store *, Error *);

/* notes.json of a trial or, trial 0, of an experiment into the tables; a damaged one is said and
 * left out. */
bool store_take_notes(Store *, int64_t sweep, int64_t trial, const char *folder, Error *);
/* All rows of a trial; of an experiment with its trials. */
bool store_remove_trial(Store *, int64_t trial, Error *);
bool store_remove_sweep(Store *, int64_t sweep, Error *);

/* What file_read remembers of a line: the first digits of its SHA-256. */
enum { STORE_MARK_DIGITS = 16 };
void store_line_mark(char mark[STORE_MARK_DIGITS + 1], const char *line, size_t length);

/* Lines of one file of a trial, one after the other (ingest.c). What the tables know of the
 * file is read once, at the beginning, and written once, at the end; they have all of it or
 * nothing. A line is as in store_ingest. When begin fails there is nothing to end. */
typedef struct Intake {
  Store *store;
  int64_t trial;
  const char *file;
  int64_t taken, line_at; /* as in file_read */
  char mark[STORE_MARK_DIGITS + 1];
  bool changed;
  int64_t attempt;   /* the trial's newest; 0: none yet */
  double last_event; /* newest time of its lines since begin, or -INFINITY */
} Intake;

bool intake_begin(Intake *, Store *, int64_t trial, const char *file, Error *);
bool intake_line(Intake *, uint64_t offset, const char *line, size_t length, Error *);
bool intake_end(Intake *, Error *);

/* The whole of a file, NUL-terminated; the caller frees. */
bool store_read_file(char **text, size_t *size, const char *path, Error *);
/* sweep.json or trial.json of a folder, of a format that this program reads (describe.c); NULL with
 * an error. */
json_t *store_read_json(const char *folder, const char *name, Error *);
/* The last component of a path. */
const char *store_folder_name(const char *folder);

#endif
