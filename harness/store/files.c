/* files.c - the files of a trial into the tables, from where they were read last: whether it
 * is still the same file, and whether its lines follow from each other. */
#include "harness/store/internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "harness/base/strings.h"
#include "harness/base/tail.h"
#include "mae/base/io.h"
#include "mae/base/sha256.h"
#include "mae/record/seal.h"

void store_line_mark(char mark[STORE_MARK_DIGITS + 1], const char *line, size_t length) {
  char hex[65];
  sha256_bytes(hex, line, length);
  snprintf(mark, STORE_MARK_DIGITS + 1, "%.*s", STORE_MARK_DIGITS, hex);
}

/* Forgetting -----------------------------------------------------------------------------------*/

static bool forget(Store *store, int64_t trial, const char *const *statements, Error *e) {
  for (; *statements; statements++)
    if (!store_run(store, e, *statements, "i", trial)) return false;
  return true;
}

bool store_forget_file(Store *store, int64_t trial, const char *file, Error *e) {
  static const char *const events[] = {"DELETE FROM step WHERE trial = ?",
                                       "DELETE FROM metric WHERE trial = ?",
                                       "DELETE FROM checkpoint WHERE trial = ?",
                                       "DELETE FROM artifact WHERE trial = ?",
                                       "DELETE FROM message WHERE trial = ?",
                                       "DELETE FROM attempt WHERE trial = ?",
                                       "DELETE FROM file_read WHERE trial = ? AND "
                                       "file = 'events.jsonl'",
                                       NULL};
  static const char *const launches[] = {"DELETE FROM launch WHERE trial = ?",
                                         "DELETE FROM pruning WHERE trial = ?",
                                         "DELETE FROM file_read WHERE trial = ? AND file IN "
                                         "('attempts.jsonl', 'launches.jsonl')",
                                         NULL};
  if (!strcmp(file, "events.jsonl")) return forget(store, trial, events, e);
  if (!strncmp(file, "verify-", 7))
    return store_run(store, e, "DELETE FROM verification WHERE trial = ? AND file = ?", "it", trial,
                     file) &&
           store_run(store, e, "DELETE FROM file_read WHERE trial = ? AND file = ?", "it", trial,
                     file);
  return forget(store, trial, launches, e);
}

bool store_forget_trial(Store *store, int64_t trial, Error *e) {
  return store_forget_file(store, trial, "events.jsonl", e) &&
         store_forget_file(store, trial, "launches.jsonl", e) &&
         store_run(store, e, "DELETE FROM verification WHERE trial = ?", "i", trial) &&
         store_run(store, e, "DELETE FROM file_read WHERE trial = ?", "i", trial);
}

/* Where reading goes on ------------------------------------------------------------------------*/

/* What file_read says of a file: the newest line that is in the tables. */
typedef struct Place {
  bool read_before;
  int64_t taken, line_at; /* bytes: behind that line, where it begins */
  char mark[STORE_MARK_DIGITS + 1];
} Place;

static bool find_place(Store *store, int64_t trial, const char *file, Place *place, Error *e) {
  sqlite3_stmt *row = store_query(
      store, e, "SELECT taken, line_at, mark FROM file_read WHERE trial = ? AND file = ?", "it",
      trial, file);
  *place = (Place){.taken = 0};
  if (!row || !store_row(store, e, row, &place->read_before)) return false;
  if (!place->read_before) return true;
  const unsigned char *mark = sqlite3_column_text(row, 2);
  place->taken = sqlite3_column_int64(row, 0);
  place->line_at = sqlite3_column_int64(row, 1);
  snprintf(place->mark, sizeof place->mark, "%s", mark ? (const char *)mark : "");
  sqlite3_reset(row);
  return true;
}

/* The line that was read last, when it still stands where it stood; NULL: this is another file, or
 * one that was cut and has grown again. The caller frees. */
static char *last_line(const char *path, const Place *place) {
  int64_t length = place->taken - place->line_at;
  if (length <= 0 || length > STORE_LINE_MAX) return NULL;
  int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  char *line = fd < 0 ? NULL : malloc((size_t)length);
  char mark[STORE_MARK_DIGITS + 1];
  bool same = line && pread(fd, line, (size_t)length, place->line_at) == length;
  if (same) store_line_mark(mark, line, (size_t)length);
  same = same && !strcmp(mark, place->mark);
  if (fd >= 0) close(fd);
  if (same) return line;
  free(line);
  return NULL;
}

/* Reading --------------------------------------------------------------------------------------*/

typedef struct Reading {
  Intake intake;
  Seal seal;
  bool sealed;      /* this kind of file has seals */
  bool broken;      /* the lines from here on are not believed */
  bool from_middle; /* the first line has no number */
  int64_t line;
  FileReport *report;
} Reading;

static void note(Reading *reading, const Error *problem) {
  if (reading->report->refused++ == 0) reading->report->first = *problem;
}

static void take_line(void *user, const char *line, size_t length, uint64_t offset) {
  Reading *reading = user;
  Error problem = {0};
  reading->line++;
  if (reading->broken || store_broken(reading->intake.store)) return;
  if (reading->sealed && seal_check(&reading->seal, line, length) == SEAL_BROKEN) {
    reading->broken = reading->report->broken = true;
    char where[32] = "";
    if (!reading->from_middle) snprintf(where, sizeof where, ":%lld", (long long)reading->line);
    error_set(&problem, EXIT_DATA,
              "%s%s (byte %llu): the line does not follow from those before it: one was changed or "
              "lost; nothing from there on is taken",
              reading->intake.file, where, (unsigned long long)offset);
    note(reading, &problem);
    return;
  }
  if (!intake_line(&reading->intake, offset, line, length, &problem)) note(reading, &problem);
}

bool store_take_file(Store *store, int64_t trial, const char *folder, const char *file,
                     FileReport *report, Error *e) {
  char path[PATH_MAX];
  struct stat status;
  Place place;
  *report = (FileReport){.refused = 0};
  if (!io_join(path, sizeof path, folder, file, e) || !find_place(store, trial, file, &place, e))
    return false;
  if (stat(path, &status)) {
    if (errno == ENOENT) return true;
    return error_set(e, EXIT_DATA, "%s: %s", path, strerror(errno));
  }
  if (!S_ISREG(status.st_mode)) return error_set(e, EXIT_DATA, "%s: not a file", path);
  char *last = place.read_before ? last_line(path, &place) : NULL;
  if (place.read_before && !last) {
    if (!store_forget_file(store, trial, file, e)) return false;
    place = (Place){.taken = 0};
  }
  Reading reading = {.sealed = strncmp(file, "verify-", 7) != 0, .report = report};
  if (!intake_begin(&reading.intake, store, trial, file, e)) {
    free(last);
    return false;
  }
  seal_begin(&reading.seal);
  /* Behind a sealed line the chain goes on; behind another one all of the file has to be seen. */
  if (last && seal_continue(&reading.seal, last, (size_t)(place.taken - place.line_at)))
    reading.from_middle = true;
  else
    place.taken = 0;
  free(last);
  Tail tail;
  tail_open(&tail, path);
  tail.offset = place.taken ? (uint64_t)place.taken + 1 : 0; /* the newline */
  tail_read(&tail, take_line, &reading);
  tail_close(&tail);
  seal_free(&reading.seal);
  if (intake_end(&reading.intake, e)) return true;
  if (e && store_broken(store)) *e = store->trouble;
  return false;
}

bool store_take_trial(Store *store, int64_t trial, const char *folder, Error *e) {
  for (int f = 0; f < TRIAL_FILES; f++) {
    FileReport report;
    if (!store_take_file(store, trial, folder, trial_files[f], &report, e)) return false;
    if (report.refused)
      fprintf(stderr, "warning: %s: %d line%s left out: %s\n", folder, report.refused,
              report.refused == 1 ? "" : "s", report.first.message);
  }
  return true;
}
