/* Exports: every number of the views comes back to the digit, tables mark what is best, nothing out
 * of a database is markup, and TensorBoard's framing holds. */
#include <dirent.h>
#include <jansson.h>
#include <math.h>

#include "harness/export/export.h"
#include "harness/export/tfevents.h"
#include "mae/base/error.h"
#include "tests/suite.h"
#include "tests/sweep.h"

static void change(const char *sql) {
  free(query_db("r.db", sql));
}

static void filled(void) {
  setup();
  expect_code(RUN_FAKE, 0, "");
}

static void expect_in(const char *name, const char *text) {
  char *content = scratch_read(name);
  ck_assert_msg(strstr(content, text) != NULL, "expected '%s' in:\n%s", text, content);
  free(content);
}

/* Round trips ----------------------------------------------------------------------------------*/

/* Numbers that few digits do not hold, texts that are hard to quote. */
static void make_hard(void) {
  change("UPDATE metric SET value = value + step / 3.0 + 1e-13 WHERE kind = 'finite'");
  change("UPDATE metric SET value = 12 WHERE name = 'ssim_full'");
  change("UPDATE metric SET value = 1.7976931348623157e308 WHERE name = 'loss' AND trial = 2");
  change("UPDATE metric SET value = 4.9406564584124654e-324 WHERE name = 'loss' AND trial = 3");
  change("UPDATE step SET loss = 0.1 * step / 3");
  change("UPDATE trial SET swept = 'a,\"b\" ' || char(13, 10) || 'c' WHERE trial = 1");
  change("UPDATE trial SET swept = '' WHERE trial = 2");
  change("UPDATE trial SET swept = ' blanks ' WHERE trial = 3");
}

static const struct {
  const char *option, *sql;
} views[] = {
    {"", "SELECT * FROM trials ORDER BY trial"},
    {"--points ", "SELECT * FROM points ORDER BY experiment, settings, dataset, metric"},
    {"--curves ", "SELECT * FROM curves ORDER BY experiment, trial, quantity, step"},
};

static sqlite3_stmt *open_view(sqlite3 **db, const char *sql) {
  sqlite3_stmt *statement = NULL;
  ck_assert_int_eq(sqlite3_open_v2("r.db", db, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
  ck_assert_msg(sqlite3_prepare_v2(*db, sql, -1, &statement, NULL) == SQLITE_OK, "%s",
                sqlite3_errmsg(*db));
  return statement;
}

/* The next field of RFC 4180; *quoted tells an empty text from nothing. NULL at the end of a line,
 * which has to be CR LF. */
static char *next_field(const char **at, bool *quoted) {
  static char field[4096];
  size_t n = 0;
  *quoted = **at == '"';
  if (*quoted) {
    for (++*at; **at != '"' || (*at)[1] == '"'; ++*at) {
      ck_assert(**at);
      if (**at == '"') ++*at;
      field[n++] = **at;
    }
    ++*at;
  } else {
    while (**at && **at != ',' && **at != '\r') {
      ck_assert_int_ne(**at, '"');
      field[n++] = *(*at)++;
    }
  }
  field[n] = 0;
  return field;
}

static void next_place(const char **at, bool last) {
  ck_assert_int_eq(**at, last ? '\r' : ',');
  *at += last ? 2 : 1;
}

START_TEST(csv_holds_what_the_views_hold) {
  char words[100];
  sqlite3 *db;
  make_hard();
  snprintf(words, sizeof words, "export csv %s--db r.db --out all.csv", views[_i].option);
  expect_code(words, 0, "");
  char *text = scratch_read("all.csv");
  const char *at = text;
  sqlite3_stmt *rows = open_view(&db, views[_i].sql);
  int columns = sqlite3_column_count(rows), numbers = 0;
  bool quoted;
  for (int c = 0; c < columns; c++) {
    ck_assert_str_eq(next_field(&at, &quoted), sqlite3_column_name(rows, c));
    next_place(&at, c + 1 == columns);
  }
  while (sqlite3_step(rows) == SQLITE_ROW)
    for (int c = 0; c < columns; c++) {
      char *field = next_field(&at, &quoted);
      if (sqlite3_column_type(rows, c) == SQLITE_FLOAT) {
        double value = sqlite3_column_double(rows, c), back = strtod(field, NULL);
        ck_assert_msg(!memcmp(&value, &back, sizeof value), "%s: %s is not %.17g",
                      sqlite3_column_name(rows, c), field, value);
        ck_assert(strpbrk(field, ".en") != NULL); /* it stays a REAL, or is "inf" */
        numbers++;
      } else if (sqlite3_column_type(rows, c) == SQLITE_NULL) {
        ck_assert(!*field && !quoted);
      } else {
        ck_assert_str_eq(field, (const char *)sqlite3_column_text(rows, c));
        ck_assert(*field || quoted);
      }
      next_place(&at, c + 1 == columns);
    }
  ck_assert_int_eq(*at, 0);
  ck_assert_int_gt(numbers, 20);
  sqlite3_finalize(rows);
  sqlite3_close(db);
  free(text);
}
END_TEST

START_TEST(jsonl_holds_what_the_views_hold) {
  char words[100], *save = NULL;
  sqlite3 *db;
  make_hard();
  snprintf(words, sizeof words, "export jsonl %s--db r.db --out all.jsonl", views[_i].option);
  expect_code(words, 0, "");
  char *text = scratch_read("all.jsonl");
  sqlite3_stmt *rows = open_view(&db, views[_i].sql);
  char *line = strtok_r(text, "\n", &save);
  for (; sqlite3_step(rows) == SQLITE_ROW; line = strtok_r(NULL, "\n", &save)) {
    ck_assert_ptr_nonnull(line);
    json_t *object = json_loads(line, 0, NULL);
    ck_assert_msg(object != NULL, "%s", line);
    ck_assert_int_eq((int)json_object_size(object), sqlite3_column_count(rows));
    for (int c = 0; c < sqlite3_column_count(rows); c++) {
      json_t *value = json_object_get(object, sqlite3_column_name(rows, c));
      double number = sqlite3_column_double(rows, c), back = json_number_value(value);
      switch (sqlite3_column_type(rows, c)) {
      case SQLITE_FLOAT:
        if (isinf(number)) /* the spread of numbers that large */
          ck_assert_str_eq(json_string_value(value), number > 0 ? "inf" : "-inf");
        else
          ck_assert(json_is_real(value) && !memcmp(&number, &back, sizeof number));
        break;
      case SQLITE_INTEGER:
        ck_assert(json_is_integer(value) &&
                  json_integer_value(value) == sqlite3_column_int64(rows, c));
        break;
      case SQLITE_NULL:
        ck_assert(json_is_null(value));
        break;
      default:
        ck_assert_str_eq(json_string_value(value), (const char *)sqlite3_column_text(rows, c));
      }
    }
    json_decref(object);
  }
  ck_assert_ptr_null(line);
  sqlite3_finalize(rows);
  sqlite3_close(db);
  free(text);
}
END_TEST

/* Tables ---------------------------------------------------------------------------------------*/

START_TEST(the_best_mean_is_bold) {
  expect_code("export latex exp --db r.db", 0, "\\usepackage{booktabs}");
  expect_in("log", "train.mask\\_ratio & seeds & psnr\\_masked (dB)");
  expect_in("log", "    0.5 & 2 & $\\mathbf{18.02} \\pm 0.01$");
  expect_in("log", "    0.75 & 2 & $17.02 \\pm 0.01$");
  expect_code("export markdown exp --db r.db", 0, "| 0.5 | 2 | **18.02** ± 0.01 |");
  expect_in("log", "| train.mask\\_ratio | seeds | psnr\\_masked (dB) |");
  expect_in("log", "| 0.75 | 2 | 17.02 ± 0.01 |");
  /* Of a number that shall be low the lowest is. */
  change("UPDATE metric_kind SET better = -1 WHERE name = 'psnr_masked'");
  expect_code("export latex --db r.db", 0, "0.75 & 2 & $\\mathbf{17.02} \\pm 0.01$");
  expect_in("log", "    0.5 & 2 & $18.02 \\pm 0.01$");
}
END_TEST

START_TEST(tables_escape_what_they_hold) {
  change("UPDATE sweep SET question = '50% of $a_b & c#{d}~^\\ <e>' || char(10) || '| *f*'");
  expect_code("export latex --db r.db", 0,
              "\\caption{50\\% of \\$a\\_b \\& c\\#\\{d\\}\\textasciitilde{}\\textasciicircum{}"
              "\\textbackslash{} \\textless{}e\\textgreater{} \\textbar{} *f* (exp; mean");
  expect_code("export markdown --db r.db", 0,
              "50% of \\$a\\_b &amp; c\\#\\{d\\}\\~^\\\\ &lt;e&gt; \\| \\*f\\* (");
}
END_TEST

/* Of the two seeds at 0.75 one failed; of those at 0.5 one has a score that is no number. */
START_TEST(tables_name_what_they_leave_out) {
  change("UPDATE launch SET status = 'failed' WHERE trial = (SELECT max(trial) FROM trials WHERE "
         "mask_ratio = 0.75)");
  change("UPDATE attempt SET status = 'failed' WHERE trial = (SELECT max(trial) FROM trials WHERE "
         "mask_ratio = 0.75)");
  change("UPDATE metric SET value = NULL, kind = 'nan' WHERE name = 'psnr_masked' AND scorer = "
         "'model' AND trial = (SELECT min(trial) FROM trials WHERE mask_ratio = 0.5)");
  expect_code("export latex exp --db r.db", 0,
              "best mean in bold; left out as failed: 0.75 (1); left out where a score is not a "
              "number: 0.5 (1))}");
  expect_in("log", "    0.75 & 1 & $17.01$");
}
END_TEST

START_TEST(an_experiment_without_results_is_noted) {
  change("DELETE FROM metric");
  change("UPDATE attempt SET status = 'failed'");
  expect_code("export latex --db r.db", 0, "note: exp: no trial is done, so it has no table");
  expect_code("export csv --db r.db", 0, "\r\nexp,1,failed,");
}
END_TEST

START_TEST(what_cannot_be_done_is_said) {
  expect_code("export cvs --db r.db", 2, "no format \"cvs\"; did you mean csv?");
  expect_code("export csv nobody --db r.db", 2, "has no experiment \"nobody\"");
  expect_code("export latex --points --db r.db", 2, "--curves and --points are for csv and jsonl");
  expect_code("export csv --points --curves --db r.db", 2, "one of them");
  expect_code("export tensorboard --db r.db", 2, "--out names the folder");
  expect_code("export csv --db none.db", 4, "No such file");
  expect_code("export csv --db r.db --out no/where.csv", 4, "no/where.csv.tmp");
  expect_code("export csv --db r.db --out /dev/full/x", 4, "/dev/full/x");
}
END_TEST

/* What stands for a device stays one. */
START_TEST(a_device_is_written_to) {
  struct stat info;
  ck_assert_int_eq(symlink("/dev/null", "null"), 0);
  ck_assert_int_eq(symlink("/dev/full", "full"), 0);
  expect_code("export csv --db r.db --out null", 0, "");
  expect_code("report --db r.db --out null", 0, "");
  expect_code("export csv --db r.db --out full", 4, "full: cannot be written: No space left");
  expect_code("export --bundle null --results out", 4, "null: neither a file nor a folder");
  ck_assert(lstat("null", &info) == 0 && S_ISLNK(info.st_mode));
  ck_assert(lstat("full", &info) == 0 && S_ISLNK(info.st_mode));
}
END_TEST

/* TensorBoard ----------------------------------------------------------------------------------*/

START_TEST(checks_are_crc_32c) { /* the examples of RFC 3720, B.4 */
  char zeros[32] = {0}, ones[32], rising[32];
  memset(ones, 0xff, sizeof ones);
  for (int i = 0; i < 32; i++) rising[i] = (char)i;
  ck_assert_uint_eq(crc32c(zeros, 32), 0x8a9136aau);
  ck_assert_uint_eq(crc32c(ones, 32), 0x62a8ab43u);
  ck_assert_uint_eq(crc32c(rising, 32), 0x46dd794eu);
  ck_assert_uint_eq(crc32c("123456789", 9), 0xe3069283u);
}
END_TEST

/* What the tensorboard package writes for this scalar. */
START_TEST(a_scalar_is_the_known_record) {
  static const unsigned char known[] = {
      0x1a, 0,    0,   0,   0,   0,    0,    0,    0x12, 0x9b, 0xd8, 0x2d, 0x09, 0,
      0,    0,    0,   0,   0,   0xf8, 0x3f, 0x10, 0xac, 0x02, 0x2a, 0x0c, 0x0a, 0x0a,
      0x0a, 0x03, 'a', '/', 'b', 0x15, 0,    0,    0x80, 0x3e, 0xf9, 0xcd, 0xe7, 0xed};
  char *bytes = NULL;
  size_t size = 0;
  FILE *out = open_memstream(&bytes, &size);
  tfevents_scalar(out, 1.5, 300, "a/b", 0.25);
  fclose(out);
  ck_assert_uint_eq(size, sizeof known);
  ck_assert_mem_eq(bytes, known, size);
  free(bytes);
}
END_TEST

static uint32_t little(const unsigned char *at) {
  return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

/* Records of a file whose framing and checks hold. */
static int walk(const char *path) {
  FILE *file = fopen(path, "r");
  unsigned char head[12], tail[4];
  int records = 0;
  ck_assert_ptr_nonnull(file);
  for (; fread(head, 1, 12, file) == 12; records++) {
    uint32_t length = little(head);
    unsigned char *data = malloc(length);
    ck_assert_uint_eq(little(head + 4), 0);
    ck_assert_uint_eq(little(head + 8), crc32c_masked(head, 8));
    ck_assert_uint_eq(fread(data, 1, length, file), length);
    ck_assert_uint_eq(fread(tail, 1, 4, file), 4);
    ck_assert_uint_eq(little(tail), crc32c_masked(data, length));
    free(data);
  }
  ck_assert(feof(file));
  fclose(file);
  return records;
}

START_TEST(a_trial_is_a_run_of_tensorboard) {
  expect_code("export tensorboard --db r.db --out tb", 0, "4 runs in tb");
  int runs = 0;
  struct dirent **list;
  int count = scandir("tb/exp", &list, NULL, alphasort);
  for (int i = 0; i < count; i++) {
    char folder[300], path[700];
    struct dirent **files;
    if (list[i]->d_name[0] != '.') {
      snprintf(folder, sizeof folder, "tb/exp/%.250s", list[i]->d_name);
      int n = scandir(folder, &files, NULL, alphasort);
      ck_assert_int_eq(n, 3); /* . and .. */
      snprintf(path, sizeof path, "%s/%s", folder, files[2]->d_name);
      /* Its version, two of hparams, 20 steps of four numbers, and what was scored. */
      ck_assert_int_gt(walk(path), 3 + 80);
      for (int f = 0; f < n; f++) free(files[f]);
      free(files);
      runs++;
    }
    free(list[i]);
  }
  free(list);
  ck_assert_int_eq(runs, 4);
  /* The real reader, where it is installed. */
  const char *const has[] = {"/bin/sh", "-c", "python3 -c 'import tensorboard'", NULL};
  const char *const reads[] = {"/bin/sh", "-c",
                               "python3 " SOURCE_DIR "/tests/read_tensorboard.py tb 4", NULL};
  if (scratch_wait(scratch_start(has, "has")) != 0) {
    puts("tensorboard is not installed: its reader is not tested");
    return;
  }
  int code = scratch_wait(scratch_start(reads, "log"));
  char *log = scratch_read("log");
  ck_assert_msg(code == 0 && strstr(log, "4 runs read"), "%s", log);
  free(log);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("export");
  TCase *tests = tcase_create("export");
  tcase_set_timeout(tests, 200);
  tcase_add_checked_fixture(tests, filled, scratch_teardown);
  tcase_add_loop_test(tests, csv_holds_what_the_views_hold, 0, 3);
  tcase_add_loop_test(tests, jsonl_holds_what_the_views_hold, 0, 3);
  tcase_add_test(tests, the_best_mean_is_bold);
  tcase_add_test(tests, tables_escape_what_they_hold);
  tcase_add_test(tests, tables_name_what_they_leave_out);
  tcase_add_test(tests, an_experiment_without_results_is_noted);
  tcase_add_test(tests, what_cannot_be_done_is_said);
  tcase_add_test(tests, a_device_is_written_to);
  tcase_add_test(tests, a_trial_is_a_run_of_tensorboard);
  suite_add_tcase(suite, tests);
  TCase *framing = tcase_create("framing");
  tcase_add_test(framing, checks_are_crc_32c);
  tcase_add_test(framing, a_scalar_is_the_known_record);
  suite_add_tcase(suite, framing);
  return suite_run(suite);
}
