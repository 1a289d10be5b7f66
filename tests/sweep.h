/* sweep.h - a small sweep run by the `harness` program in a folder of its own, with the fake
 * trainer or the real one, and a look into its database. Included by test programs only. */
#ifndef TESTS_SWEEP_H
#define TESTS_SWEEP_H

#include <sqlite3.h>

#include "tests/scratch.h"

#define HARNESS PROGRAM_DIR "/harness"
#define REAL PROGRAM_DIR "/mae"
#define FAKE PROGRAM_DIR "/../tests/fake_trainer"

static const char experiment[] = "[experiment]\n"
                                 "question = Does the harness work?\n"
                                 "[train]\n"
                                 "batch = 8\n"
                                 "[sweep]\n"
                                 "train.mask_ratio = 0.5, 0.75\n"
                                 "seeds = 1, 2\n";

static inline void setup(void) {
  scratch_setup();
  scratch_write("exp.ini", experiment);
  unsetenv("FAKE_TRAINER");
  unsetenv("FAKE_ONLY");
  unsetenv("MAE");
}

/* Starts `harness` with words separated by spaces; output goes to the file `log`. */
static inline pid_t start_harness(const char *words) {
  const char *argv[32] = {HARNESS};
  char *text = strdup(words);
  int count = 1;
  for (char *word = strtok(text, " "); word && count < 31; word = strtok(NULL, " "))
    argv[count++] = word;
  pid_t child = scratch_start(argv, "log");
  free(text);
  return child;
}

static inline int harness(const char *words) {
  return scratch_wait(start_harness(words));
}

/* Waits for a shell command to succeed; on a busy machine that may take long. */
static inline void wait_for(const char *command) {
  for (int i = 0; i < 6000; i++, usleep(10000))
    if (system(command) == 0) return;
  ck_abort_msg("waited in vain for: %s", command);
}

/* Holds a trial's lock as another process until there is the file `free`. lock: its path, or words
 * of a shell that give it. */
static inline void hold(const char *lock) {
  char command[512];
  snprintf(command, sizeof command,
           "L=%s; echo process 7 of there > $L; sh -c 'exec 9<> $1; flock 9 || exit; touch locked; "
           "while test ! -e free; do sleep 0.02; done' sh $L & ",
           lock);
  ck_assert_int_eq(system(command), 0);
  wait_for("test -e locked");
}

#define RUN_FAKE "run exp.ini --scale none --db r.db --out out --mae " FAKE

static inline void expect_code(const char *words, int code, const char *said) {
  int got = harness(words);
  char *log = scratch_read("log");
  ck_assert_msg(got == code, "exit code %d, expected %d:\n%s", got, code, log);
  ck_assert_msg(strstr(log, said) != NULL, "expected to read '%s' in:\n%s", said, log);
  free(log);
}

/* All rows of a query, columns by | and rows by newline; the caller frees. */
static inline char *query_db(const char *path, const char *sql) {
  sqlite3 *db;
  sqlite3_stmt *statement;
  char *text = NULL;
  size_t size;
  FILE *out = open_memstream(&text, &size);
  ck_assert_int_eq(sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
  sqlite3_busy_timeout(db, 5000);
  ck_assert_msg(sqlite3_prepare_v2(db, sql, -1, &statement, NULL) == SQLITE_OK, "%s",
                sqlite3_errmsg(db));
  while (sqlite3_step(statement) == SQLITE_ROW) {
    for (int c = 0; c < sqlite3_column_count(statement); c++) {
      const unsigned char *value = sqlite3_column_text(statement, c);
      fprintf(out, "%s%s", c ? "|" : "", value ? (const char *)value : "");
    }
    fputc('\n', out);
  }
  sqlite3_finalize(statement);
  sqlite3_close(db);
  fclose(out);
  return text;
}

static inline void expect_rows(const char *sql, const char *rows) {
  char *got = query_db("r.db", sql);
  ck_assert_str_eq(got, rows);
  free(got);
}

static inline void expect_all_done(void) {
  expect_rows("SELECT trial, status FROM trials ORDER BY trial",
              "1|done\n2|done\n3|done\n4|done\n");
}

#endif
