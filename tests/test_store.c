/* The results database: what it refuses, what it keeps, and that it can be rebuilt from files. */
#include <check.h>
#include <fcntl.h>
#include <jansson.h>
#include <math.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness/stats.h"
#include "harness/store.h"
#include "harness/store_internal.h"

/* Folders as the harness and the trainer write them ---------------------------------------------*/

static char folder[64];

static void make_folder(void) {
  strcpy(folder, "/tmp/test_store.XXXXXX");
  ck_assert_ptr_nonnull(mkdtemp(folder));
}

static void remove_folder(void) {
  char command[128];
  snprintf(command, sizeof command, "rm -rf %s", folder);
  ck_assert_int_eq(system(command), 0);
}

__attribute__((format(printf, 1, 2))) static const char *at(const char *format, ...) {
  static char paths[8][512];
  static int next;
  char *path = paths[next++ % 8];
  va_list args;
  va_start(args, format);
  int n = snprintf(path, sizeof *paths, "%s/", folder);
  vsnprintf(path + n, sizeof *paths - (size_t)n, format, args);
  va_end(args);
  return path;
}

__attribute__((format(printf, 2, 3))) static void write_file(const char *path, const char *format,
                                                             ...) {
  FILE *file = fopen(path, "w");
  ck_assert_ptr_nonnull(file);
  va_list args;
  va_start(args, format);
  vfprintf(file, format, args);
  va_end(args);
  fclose(file);
}

typedef struct Fake { /* a trial of a made-up experiment */
  int id;
  double ratio;
  int seed;
  double psnr;
} Fake;

static const char *fake_hash(const char *experiment, const Fake *fake) {
  static char hash[65];
  unsigned sum = 17;
  for (const char *c = experiment; *c; c++) sum = sum * 31 + (unsigned)*c;
  snprintf(hash, sizeof hash, "%08x%06d%06d%044d", sum, (int)(fake->ratio * 1e5), fake->seed, 0);
  return hash;
}

static const char *fake_folder(const char *experiment, const Fake *fake) {
  return at("results/%s/r%g-s%d", experiment, fake->ratio, fake->seed);
}

static void write_sweep(const char *experiment, double created, const Fake *fakes, int count) {
  mkdir(at("results"), 0777);
  mkdir(at("results/%s", experiment), 0777);
  FILE *file = fopen(at("results/%s/sweep.json", experiment), "w");
  fprintf(file,
          "{\"format\":1,\"experiment\":\"%s\",\"name\":\"mask_ratio\",\"scale\":\"cpu\","
          "\"question\":\"Which?\",\"expected\":\"This.\",\"source\":\"There.\","
          "\"x\":\"train.mask_ratio\",\"ini\":\"[sweep]\\n\",\"created\":%.3f,\"trials\":[",
          experiment, created);
  for (int i = 0; i < count; i++)
    fprintf(file, "%s\"%s\"", i ? "," : "", fake_hash(experiment, &fakes[i]));
  fprintf(file, "]}\n");
  fclose(file);
}

static void write_trial(const char *experiment, const Fake *fake) {
  const char *to = fake_folder(experiment, fake);
  mkdir(to, 0777);
  write_file(at("%s/trial.json", to + strlen(folder) + 1),
             "{\"format\":1,\"id\":%d,\"experiment\":\"%s\",\"config_hash\":\"%s\",\"seed\":%d,"
             "\"created\":%d.5,\"swept\":{\"train.mask_ratio\":\"%g\",\"run.seed\":\"%d\"}}\n",
             fake->id, experiment, fake_hash(experiment, fake), fake->seed, 1000 + fake->id,
             fake->ratio, fake->seed);
  write_file(at("%s/config.ini", to + strlen(folder) + 1),
             "[model]\nencoder = 192x6x3\ndecoder = 96x2x3\npos_embed = sincos2d\n"
             "[train]\nmask_ratio = %g\nmask = random\nprecision = fp32\n"
             "[eval]\nseed = 1\n[run]\nseed = %d\ndevice = auto\n",
             fake->ratio, fake->seed);
}

/* One event line into the file and, when a store is given, into the database. */
__attribute__((format(printf, 5, 6))) static void event(Store *store, int64_t trial, const char *to,
                                                        const char *name, const char *format, ...) {
  char path[600], line[4096];
  snprintf(path, sizeof path, "%s/%s", to, name);
  va_list args;
  va_start(args, format);
  vsnprintf(line, sizeof line, format, args);
  va_end(args);
  FILE *file = fopen(path, "a");
  ck_assert_ptr_nonnull(file);
  fseek(file, 0, SEEK_END);
  uint64_t offset = (uint64_t)ftell(file);
  fprintf(file, "%s\n", line);
  fclose(file);
  Error e = {0};
  if (store)
    ck_assert_msg(store_ingest(store, trial, name, offset, line, strlen(line), &e), "%s",
                  e.message);
}

#define EVENTS "events.jsonl"
#define ATTEMPTS "attempts.jsonl"

static void start(Store *store, int64_t trial, const char *to, int attempt, int resumed) {
  event(store, trial, to, ATTEMPTS,
        "{\"event\":\"launch\",\"time\":%d,\"launch\":%d,\"pid\":%d,\"device\":\"cpu\","
        "\"host\":\"here\"}",
        2000 + attempt, attempt, 40 + attempt);
  event(store, trial, to, EVENTS,
        "{\"event\":\"start\",\"time\":%d,\"format\":1,\"provenance\":{\"version\":\"1\","
        "\"cpu\":\"Test\",\"gpu\":null,\"threads\":2},\"config\":\"\",\"config_hash\":\"c\","
        "\"binary_sha256\":\"b%d\",\"steps\":4,\"steps_per_epoch\":2.5,\"resumed_from\":%d,"
        "\"params_encoder\":100,\"params_decoder\":20,\"gflops_per_image\":0.25,\"dataset\":"
        "{\"source\":\"shapes\",\"sha256\":\"d\",\"train_images\":9,\"eval_images\":4,"
        "\"skipped\":0},\"memory_planned_bytes\":4096,\"pid\":%d,\"attempt\":%d}",
        2000 + attempt, attempt, resumed, 40 + attempt, attempt);
}

static void step(Store *store, int64_t trial, const char *to, int step, const char *loss) {
  event(store, trial, to, EVENTS,
        "{\"event\":\"step\",\"time\":%d.25,\"step\":%d,\"epoch\":0.4,\"loss\":%s,\"lr\":0.001,"
        "\"grad_norm\":1.5,\"loss_scale\":1,\"seconds\":0.1,\"images_per_second\":320}",
        2100 + step, step, loss);
}

static void eval(Store *store, int64_t trial, const char *to, int step, double psnr) {
  char number[40];
  snprintf(number, sizeof number, isnan(psnr) ? "\"nan\"" : "%.17g", psnr);
  event(store, trial, to, EVENTS,
        "{\"event\":\"eval\",\"time\":2200,\"step\":%d,\"images\":4,\"loss\":0.5,"
        "\"psnr_masked\":%s,\"psnr_masked_pooled\":17,\"psnr_composite\":19,"
        "\"psnr_composite_pooled\":18,\"psnr_full\":17,\"psnr_full_pooled\":16,"
        "\"ssim_composite\":0.7,\"ssim_full\":0.6,\"perfect\":0}",
        step, number);
}

static void finish(Store *store, int64_t trial, const char *to, int attempt, const char *status) {
  event(store, trial, to, EVENTS,
        "{\"event\":\"end\",\"time\":2300,\"status\":\"%s\",\"step\":4,\"code\":0,"
        "\"wall_seconds\":12.5,\"state_sha256\":\"s\"}",
        status);
  event(store, trial, to, ATTEMPTS,
        "{\"event\":\"exit\",\"time\":2301,\"launch\":%d,\"code\":0,\"signal\":null,"
        "\"status\":\"%s\",\"error\":\"\"}",
        attempt, status);
}

/* A whole trial that went well. */
static void run_trial(Store *store, int64_t trial, const char *to, const Fake *fake) {
  start(store, trial, to, 1, 0);
  event(store, trial, to, EVENTS,
        "{\"event\":\"baseline\",\"time\":2050,\"name\":\"fill_mean\",\"images\":4,"
        "\"psnr_masked\":12.5,\"psnr_composite\":13.75,\"ssim_composite\":0.4}");
  for (int i = 1; i <= 4; i++) step(store, trial, to, i, "0.75");
  eval(store, trial, to, 4, fake->psnr);
  event(store, trial, to, EVENTS,
        "{\"event\":\"artifact\",\"time\":2240,\"kind\":\"sheet\",\"path\":\"sheet.png\","
        "\"sha256\":\"s\",\"bytes\":99}");
  event(store, trial, to, EVENTS,
        "{\"event\":\"throughput\",\"time\":2250,\"images_per_second\":%d,"
        "\"step_seconds_median\":0.1,\"step_seconds_p10\":0.09,\"step_seconds_p90\":0.2,"
        "\"gflops_per_second\":110,\"steps\":3,\"warmup_steps\":1,"
        "\"peak_memory_bytes\":2097152}",
        300 + fake->seed);
  finish(store, trial, to, 1, "done");
}

/* Looking into the database
 * ----------------------------------------------------------------------*/

static Store *open_db(const char *path) {
  Store *store = NULL;
  Error e = {0};
  ck_assert_msg(store_open(&store, path, &e), "%s", e.message);
  return store;
}

/* The rows of a query, values separated by | and rows by newlines. */
static char *rows(sqlite3 *db, const char *sql) {
  char *text = NULL;
  size_t size = 0;
  FILE *out = open_memstream(&text, &size);
  sqlite3_stmt *statement = NULL;
  ck_assert_msg(sqlite3_prepare_v2(db, sql, -1, &statement, NULL) == SQLITE_OK, "%s: %s", sql,
                sqlite3_errmsg(db));
  while (sqlite3_step(statement) == SQLITE_ROW)
    for (int i = 0; i < sqlite3_column_count(statement); i++) {
      const char *cell = (const char *)sqlite3_column_text(statement, i);
      fprintf(out, "%s%s", i ? "|" : ftell(out) ? "\n" : "", cell ? cell : "NULL");
    }
  sqlite3_finalize(statement);
  fclose(out);
  return text;
}

static void expect(Store *store, const char *sql, const char *wanted) {
  char *got = rows(store->db, sql);
  ck_assert_str_eq(got, wanted);
  free(got);
}

/* Every row of every table, in the order of the primary key. */
static char *dump(Store *store) {
  char *names = rows(store->db, "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY 1");
  char *text = NULL, *save = NULL;
  size_t size = 0;
  FILE *out = open_memstream(&text, &size);
  for (char *name = strtok_r(names, "\n", &save); name; name = strtok_r(NULL, "\n", &save)) {
    char sql[128];
    snprintf(sql, sizeof sql, "SELECT * FROM %s", name);
    char *content = rows(store->db, sql);
    fprintf(out, "%s\n%s\n", name, content);
    free(content);
  }
  free(names);
  fclose(out);
  return text;
}

static const Fake fakes[] = {{1, 0.5, 1, 21.0},  {2, 0.5, 2, 21.5},   {3, 0.5, 3, 22.25},
                             {4, 0.75, 1, 18.0}, {5, 0.75, 2, 18.75}, {6, 0.75, 3, 19.0}};
enum { FAKES = sizeof fakes / sizeof *fakes };

/* A database with the sweep added and no event yet; ids in trial[]. */
static Store *open_sweep(int64_t trial[FAKES]) {
  Error e = {0};
  int64_t sweep = 0;
  write_sweep("m-cpu", 900, fakes, FAKES);
  Store *store = open_db(at("results/results.db"));
  ck_assert_msg(store_add_sweep(store, at("results/m-cpu"), &sweep, &e), "%s", e.message);
  for (int i = 0; i < FAKES; i++) {
    write_trial("m-cpu", &fakes[i]);
    ck_assert_msg(store_add_trial(store, sweep, fake_folder("m-cpu", &fakes[i]), &trial[i], &e),
                  "%s", e.message);
    ck_assert_int_eq(trial[i], fakes[i].id);
  }
  return store;
}

static Store *open_finished_sweep(int64_t trial[FAKES]) {
  Store *store = open_sweep(trial);
  for (int i = 0; i < FAKES; i++)
    run_trial(store, trial[i], fake_folder("m-cpu", &fakes[i]), &fakes[i]);
  return store;
}

/* What store_open says
 * -----------------------------------------------------------------------------*/

static void expect_refusal(const char *path, const char *words) {
  Store *store = NULL;
  Error e = {0};
  ck_assert(!store_open(&store, path, &e));
  ck_assert_ptr_null(store);
  ck_assert_int_eq(e.code, EXIT_DATA);
  ck_assert_msg(strstr(e.message, words) && strstr(e.message, path), "%s", e.message);
}

START_TEST(open_creates_and_reopens) {
  const char *path = at("new.db");
  store_close(open_db(path));
  Store *store = open_db(path);
  expect(store, "PRAGMA user_version", "1");
  expect(store, "PRAGMA journal_mode", "wal");
  expect(store, "PRAGMA foreign_keys", "1");
  expect(store, "SELECT count(*) FROM trials", "0");
  store_close(store);
}
END_TEST

START_TEST(open_refuses_what_is_not_ours) {
  sqlite3 *db = NULL;
  write_file(at("garbage.db"), "%s", "this is a text that is long enough to be looked at\n");
  expect_refusal(at("garbage.db"), "not an SQLite database");
  ck_assert_int_eq(sqlite3_open(at("foreign.db"), &db), SQLITE_OK);
  ck_assert_int_eq(sqlite3_exec(db, "CREATE TABLE mine (x)", NULL, NULL, NULL), SQLITE_OK);
  sqlite3_close(db);
  expect_refusal(at("foreign.db"), "another program");
  expect_refusal(at("nowhere/results.db"), "no such folder");

  store_close(open_db(at("newer.db")));
  sqlite3_open(at("newer.db"), &db);
  sqlite3_exec(db, "PRAGMA user_version = 99", NULL, NULL, NULL);
  sqlite3_close(db);
  expect_refusal(at("newer.db"), "newer harness");

  Store *store = NULL;
  Error e = {0};
  ck_assert(!store_open_readonly(&store, at("missing.db"), &e));
  ck_assert_ptr_nonnull(strstr(e.message, "No such file"));
}
END_TEST

START_TEST(open_refuses_a_second_writer) {
  const char *path = at("one.db");
  Store *store = open_db(path), *reader = NULL;
  char words[64];
  Error e = {0};
  snprintf(words, sizeof words, "process %ld", (long)getpid());
  expect_refusal(path, words);
  ck_assert_msg(store_open_readonly(&reader, path, &e), "%s", e.message); /* readers are free */
  store_close(reader);
  store_close(store);
  store_close(open_db(path));
}
END_TEST

/* Root may write anywhere, so a child takes another identity. */
START_TEST(open_says_read_only) {
  store_close(open_db(at("shut.db")));
  ck_assert_int_eq(chmod(at("shut.db"), 0444), 0);
  ck_assert_int_eq(chmod(at("shut.db.lock"), 0444), 0);
  ck_assert_int_eq(chmod(folder, 0555), 0);
  pid_t child = fork();
  if (child == 0) {
    if (geteuid() == 0 && seteuid(65534)) _exit(9);
    Store *store = NULL;
    Error e = {0};
    if (store_open(&store, at("shut.db"), &e)) _exit(1);
    if (e.code != EXIT_DATA || !strstr(e.message, "cannot be opened for writing")) _exit(2);
    if (!store_open_readonly(&store, at("shut.db"), &e)) _exit(3);
    _exit(store_print(store, stderr, "SELECT trial FROM trials", false, &e) ? 0 : 4);
  }
  int status = 0;
  waitpid(child, &status, 0);
  chmod(folder, 0755);
  ck_assert_int_eq(status, 0);
}
END_TEST

START_TEST(open_reports_damage) {
  int64_t trial[FAKES];
  Store *store = open_finished_sweep(trial);
  store_close(store);
  const char *path = at("results/results.db");
  int fd = open(path, O_WRONLY);
  char noise[8192];
  memset(noise, 0xa5, sizeof noise);
  ck_assert_int_eq(pwrite(fd, noise, sizeof noise, 100), sizeof noise);
  close(fd);
  expect_refusal(path, "harness import");
}
END_TEST

START_TEST(migration_keeps_the_rows) {
  static const Migration list[] = {{2, "ALTER TABLE old ADD COLUMN more TEXT DEFAULT 'x'"},
                                   {3, "UPDATE old SET more = more || 'y'"},
                                   {0, NULL}};
  static const Migration broken[] = {{4, "UPDATE old SET more = 'lost'; UPDATE missing SET a = 1"},
                                     {0, NULL}};
  sqlite3 *db = NULL;
  Error e = {0};
  sqlite3_open(at("old.db"), &db);
  sqlite3_exec(db, "CREATE TABLE old (a); INSERT INTO old VALUES (7); PRAGMA user_version = 1",
               NULL, NULL, NULL);
  ck_assert_msg(store_migrate(db, "old.db", list, 3, &e), "%s", e.message);
  Store store = {.db = db};
  expect(&store, "SELECT * FROM old", "7|xy");
  expect(&store, "PRAGMA user_version", "3");
  ck_assert(store_migrate(db, "old.db", list, 3, &e)); /* nothing to do */
  expect(&store, "SELECT * FROM old", "7|xy");
  ck_assert(!store_migrate(db, "old.db", broken, 4, &e));
  expect(&store, "SELECT * FROM old", "7|xy");
  expect(&store, "PRAGMA user_version", "3");
  sqlite3_close(db);
}
END_TEST

/* What is taken in -----------------------------------------------------------------------------*/

START_TEST(a_finished_trial_is_a_row) {
  int64_t trial[FAKES];
  Store *store = open_sweep(trial);
  expect(store, "SELECT status, psnr_masked, planned FROM trials WHERE trial = 4",
         "pending|NULL|1");
  run_trial(store, 4, fake_folder("m-cpu", &fakes[3]), &fakes[3]);
  expect(store,
         "SELECT experiment, status, seed, swept, mask_ratio, encoder, decoder, pos_embed, "
         "precision, device, loss, psnr_masked, psnr_composite, psnr_full, ssim_composite, "
         "ssim_full, images_per_second, peak_memory_mb, params, gflops_per_image, wall_seconds, "
         "psnr_leaky, nonfinite, error, attempts, data_source, processor FROM trials "
         "WHERE trial = 4",
         "m-cpu|done|1|train.mask_ratio=0.75 run.seed=1|0.75|192x6x3|96x2x3|sincos2d|fp32|cpu|0.5|"
         "18.0|19.0|17.0|0.7|0.6|301.0|2.0|120|0.25|12.5|NULL|NULL|NULL|1|shapes|Test");
  expect(store, "SELECT fill, mask_ratio, psnr_masked, ssim_composite, images FROM baselines",
         "fill_mean|0.75|12.5|0.4|4");
  expect(store, "SELECT kind FROM metric WHERE name = 'psnr_leaky'", "absent");
  expect(store, "SELECT count(*), sum(value) FROM curves WHERE quantity = 'train_loss'", "4|3.0");
  expect(store, "SELECT launch, attempt, status, pid, cpu FROM attempts", "1|1|done|41|Test");
  expect(store, "SELECT experiment, name, scale, x, trials, done FROM experiments",
         "m-cpu|mask_ratio|cpu|train.mask_ratio|6|1");
  expect(store, "SELECT key, value FROM settings WHERE trial = 4 AND swept = 1 ORDER BY key",
         "run.seed|1\ntrain.mask_ratio|0.75");
  expect(store, "SELECT trial, kind, folder, path, bytes FROM artifacts",
         "4|sheet|m-cpu/r0.75-s1|sheet.png|99");
  TrialInfo info;
  bool found = false;
  Error e = {0};
  ck_assert(store_find_trial(store, "m-cpu", fake_hash("m-cpu", &fakes[3]), &info, &found, &e));
  ck_assert(found && info.id == 4 && info.status == TRIAL_DONE);
  ck_assert_str_eq(info.binary_sha256, "b1");
  ck_assert_str_eq(info.folder, "m-cpu/r0.75-s1");
  ck_assert(store_get_trial(store, 5, &info, &found, &e) && found);
  ck_assert_int_eq(info.status, TRIAL_PENDING);
  ck_assert(store_get_trial(store, 77, &info, &found, &e) && !found);
  int64_t next = 0;
  ck_assert(store_next_trial_id(store, &next, &e));
  ck_assert_int_eq(next, 7);
  store_close(store);
}
END_TEST

START_TEST(numbers_that_are_none_keep_their_kind) {
  int64_t trial[FAKES];
  Store *store = open_sweep(trial);
  const char *to = fake_folder("m-cpu", &fakes[0]);
  start(store, 1, to, 1, 0);
  step(store, 1, to, 1, "\"nan\"");
  step(store, 1, to, 2, "\"-inf\"");
  eval(store, 1, to, 4, NAN);
  finish(store, 1, to, 1, "done");
  expect(store, "SELECT loss, loss_kind FROM step ORDER BY step", "NULL|nan\nNULL|-inf");
  expect(store, "SELECT psnr_masked, psnr_full, nonfinite FROM trials WHERE trial = 1",
         "NULL|17.0|psnr_masked=nan");
  store_close(store);
}
END_TEST

/* Killed after step 3 with a checkpoint at 2: steps 3 and 4 come from the second attempt. */
START_TEST(a_step_run_again_counts_once) {
  int64_t trial[FAKES];
  Error e = {0};
  Store *store = open_sweep(trial);
  const char *to = fake_folder("m-cpu", &fakes[0]);
  start(store, 1, to, 1, 0);
  step(store, 1, to, 1, "1.0");
  step(store, 1, to, 2, "2.0");
  event(store, 1, to, EVENTS,
        "{\"event\":\"checkpoint\",\"time\":2150,\"step\":2,\"path\":\"p\","
        "\"state_sha256\":\"s\"}");
  step(store, 1, to, 3, "3.0");
  eval(store, 1, to, 3, 5);
  expect(store, "SELECT status FROM trials WHERE trial = 1", "running");
  ck_assert(store_recover(store, &e));
  expect(store, "SELECT status FROM trials WHERE trial = 1", "interrupted");
  start(store, 1, to, 2, 2);
  expect(store, "SELECT status FROM trials WHERE trial = 1", "running");
  expect(store, "SELECT count(*) FROM metric WHERE trial = 1", "0");
  step(store, 1, to, 3, "3.5");
  step(store, 1, to, 4, "4.0");
  eval(store, 1, to, 4, 21);
  finish(store, 1, to, 2, "done");
  expect(store, "SELECT step, attempt, loss FROM step WHERE trial = 1",
         "1|1|1.0\n2|1|2.0\n3|2|3.5\n4|2|4.0");
  expect(store, "SELECT status, psnr_masked, attempts FROM trials WHERE trial = 1", "done|21.0|2");
  expect(store, "SELECT attempt, status FROM attempts WHERE trial = 1 ORDER BY attempt",
         "1|interrupted\n2|done");
  store_close(store);
}
END_TEST

START_TEST(lines_already_taken_are_ignored) {
  int64_t trial[FAKES];
  Store *store = open_finished_sweep(trial);
  Error e = {0};
  char *before = dump(store), *text = NULL;
  size_t size = 0;
  ck_assert(store_read_file(&text, &size, at("results/m-cpu/r0.5-s2/events.jsonl"), &e));
  for (size_t from = 0; from < size;) {
    size_t length = strcspn(text + from, "\n");
    ck_assert(store_ingest(store, 2, EVENTS, from, text + from, length, &e));
    from += length + 1;
  }
  char *after = dump(store);
  ck_assert_str_eq(before, after);
  free(before);
  free(after);
  free(text);
  store_close(store);
}
END_TEST

#define STEP "{\"event\":\"step\",\"time\":1,\"step\":9,\"loss\":"
static const char *const bad_lines[] = {
    "",
    "garbage",
    "{\"event\":\"step\",\"time\":1,\"st",
    "[1,2]",
    "\"step\"",
    "{\"time\":1}",
    "{\"event\":\"step\"}",
    "{\"event\":\"step\",\"time\":\"now\",\"step\":9,\"loss\":1}",
    "{\"event\":\"dance\",\"time\":1}",
    "{\"event\":7,\"time\":1}",
    STEP "\"big\"}",
    STEP "null}",
    STEP "[1]}",
    STEP "1e999}",
    STEP "1,\"grad_norm\":\"wide\"}",
    STEP "1,\"loss\":2}",
    "{\"event\":\"step\",\"time\":1,\"step\":9.5,\"loss\":1}",
    "{\"event\":\"step\",\"time\":1,\"step\":99999999999999999999,\"loss\":1}",
    "{\"event\":\"eval\",\"time\":1,\"step\":9,\"images\":4,\"loss\":0.5,\"psnr_masked\":{}}",
    "{\"event\":\"eval\",\"time\":1,\"step\":9}",
    "{\"event\":\"baseline\",\"time\":1,\"name\":\"model\",\"images\":4,\"psnr_masked\":99}",
    "{\"event\":\"checkpoint\",\"time\":1,\"step\":9,\"path\":3,\"state_sha256\":\"\"}",
    "{\"event\":\"artifact\",\"time\":1,\"kind\":\"sheet\",\"path\":\"p\",\"sha256\":\"s\"}",
    "{\"event\":\"throughput\",\"time\":1,\"images_per_second\":\"nan\"}",
    "{\"event\":\"error\",\"time\":1,\"code\":3}",
    "{\"event\":\"end\",\"time\":1,\"status\":\"splendid\"}",
    "{\"event\":\"start\",\"time\":1}",
    "{\"event\":\"start\",\"time\":1,\"format\":2}",
    "{\"event\":\"launch\",\"time\":1,\"launch\":1,\"pid\":1}", /* in the wrong file */
    "{\"event\":\"step\",\"time\":1,\"step\":9,\"loss\":1,\"\\u0000\":2}",
    "{\"event\":\"st\xff\",\"time\":1}",
};

START_TEST(bad_lines_change_nothing) {
  int64_t trial[FAKES];
  Store *store = open_sweep(trial);
  start(store, 1, fake_folder("m-cpu", &fakes[0]), 1, 0);
  char *before = dump(store);
  for (size_t i = 0; i < sizeof bad_lines / sizeof *bad_lines; i++) {
    Error e = {0};
    const char *line = bad_lines[i];
    ck_assert_msg(!store_ingest(store, 1, EVENTS, 100000 + i, line, strlen(line), &e), "%s", line);
    ck_assert_msg(e.code == EXIT_DATA && strstr(e.message, "events.jsonl at byte"), "%s",
                  e.message);
    /* A step before any start, too, and inside a transaction. */
    ck_assert(store_begin(store, &e));
    ck_assert(!store_ingest(store, 2, EVENTS, i, line, strlen(line), &e));
    ck_assert(store_commit(store, &e));
  }
  Error e = {0};
  const char *lost = "{\"event\":\"exit\",\"time\":1,\"launch\":5,\"status\":\"done\"}";
  ck_assert(!store_ingest(store, 1, ATTEMPTS, 100000, lost, strlen(lost), &e));
  ck_assert_ptr_nonnull(strstr(e.message, "never began"));
  /* A nest deeper than any event. */
  char *deep = malloc(200001);
  memset(deep, '[', 200000);
  ck_assert(!store_ingest(store, 1, EVENTS, 100000, deep, 200000, &e));
  free(deep);
  char *after = dump(store);
  ck_assert_str_eq(before, after);
  free(before);
  free(after);
  store_close(store);
}
END_TEST

START_TEST(a_verification_is_a_row) {
  int64_t trial[FAKES];
  Store *store = open_sweep(trial);
  event(store, 2, fake_folder("m-cpu", &fakes[1]), "verify-1.jsonl",
        "{\"event\":\"verification\",\"time\":5,\"class\":\"\",\"asked\":\"bitwise\","
        "\"outcome\":\"mismatch\",\"steps\":4,\"first_step\":3,\"first_tensor\":\"norm.bias\","
        "\"detail\":\"threads 2, 3\"}");
  expect(store, "SELECT trial, asked, class, outcome, first_step, first_tensor FROM verification",
         "2|bitwise||mismatch|3|norm.bias");
  store_close(store);
}
END_TEST

/* What an import gives
 * -----------------------------------------------------------------------------*/

static Store *import_into(const char *path, int *trials) {
  Error e = {0};
  Store *store = open_db(path);
  ck_assert_msg(store_import(store, at("results"), trials, &e), "%s", e.message);
  return store;
}

START_TEST(import_gives_the_same_rows) {
  int64_t trial[FAKES];
  Error e = {0};
  Store *store = open_sweep(trial);
  ck_assert(store_begin(store, &e));
  for (int i = FAKES - 1; i >= 0; i--) { /* in another order than the import's */
    const char *to = fake_folder("m-cpu", &fakes[i]);
    if (i == 2) {
      start(store, trial[i], to, 1, 0);
      step(store, trial[i], to, 1, "2");
    } else {
      run_trial(store, trial[i], to, &fakes[i]);
    }
  }
  ck_assert(store_commit(store, &e));
  event(store, 1, fake_folder("m-cpu", &fakes[0]), "verify-2.jsonl",
        "{\"event\":\"verification\",\"time\":5,\"class\":\"bitwise\",\"asked\":\"bitwise\","
        "\"outcome\":\"match\",\"steps\":4,\"detail\":\"\"}");
  ck_assert(store_recover(store, &e));
  char *live = dump(store);
  store_close(store);
  int trials = 0;
  store = import_into(at("results/rebuilt.db"), &trials);
  ck_assert_int_eq(trials, FAKES);
  char *rebuilt = dump(store);
  ck_assert_str_eq(live, rebuilt);
  ck_assert_msg(store_import(store, at("results"), &trials, &e), "%s", e.message); /* again */
  char *again = dump(store);
  ck_assert_str_eq(live, again);
  free(live);
  free(rebuilt);
  free(again);
  store_close(store);
}
END_TEST

START_TEST(import_passes_over_damage) {
  int64_t trial[FAKES];
  Error e = {0};
  store_close(open_finished_sweep(trial));
  FILE *file = fopen(at("results/m-cpu/r0.5-s1/events.jsonl"), "a");
  fprintf(file, "garbage\n{\"event\":\"st");
  fclose(file);
  write_file(at("results/m-cpu/r0.5-s2/trial.json"), "{\"format\":1,");
  int trials = 0;
  Store *store = import_into(at("results/rebuilt.db"), &trials);
  ck_assert_int_eq(trials, FAKES - 1);
  expect(store, "SELECT count(*) FROM trials WHERE status = 'done'", "5");
  store_close(store);
  store = open_db(at("empty.db"));
  mkdir(at("empty"), 0777);
  ck_assert_msg(store_import(store, at("empty"), &trials, &e), "%s", e.message);
  ck_assert_int_eq(trials, 0);
  store_close(store);
}
END_TEST

/* Two machines gave out ids 1 and 2; the later created trials move, the same way every time. */
START_TEST(import_renumbers_clashing_ids) {
  const Fake here[] = {{1, 0.5, 1, 20}, {2, 0.5, 2, 20}},
             there[] = {{1, 0.6, 1, 19}, {3, 0.6, 2, 19}};
  write_sweep("a-cpu", 100, here, 2);
  write_sweep("b-cpu", 200, there, 2);
  for (int i = 0; i < 2; i++) {
    write_trial("a-cpu", &here[i]);
    write_trial("b-cpu", &there[i]);
    run_trial(NULL, 0, fake_folder("a-cpu", &here[i]), &here[i]);
    run_trial(NULL, 0, fake_folder("b-cpu", &there[i]), &there[i]);
  }
  int trials = 0;
  Store *store = import_into(at("results/first.db"), &trials);
  expect(store, "SELECT trial, experiment, seed, status FROM trials ORDER BY trial",
         "1|a-cpu|1|done\n2|a-cpu|2|done\n3|b-cpu|2|done\n4|b-cpu|1|done");
  char *first = dump(store);
  store_close(store);
  store = import_into(at("results/second.db"), &trials);
  char *second = dump(store);
  ck_assert_str_eq(first, second);
  free(first);
  free(second);
  store_close(store);
}
END_TEST

START_TEST(an_edited_plan_leaves_old_trials_out) {
  int64_t trial[FAKES], sweep = 0;
  Error e = {0};
  Store *store = open_finished_sweep(trial);
  write_sweep("m-cpu", 900, fakes, 3);
  ck_assert(store_add_sweep(store, at("results/m-cpu"), &sweep, &e));
  expect(store, "SELECT count(*), sum(planned) FROM trials", "6|3");
  write_file(at("results/m-cpu/sweep.json"), "{\"format\":1,\"experiment\":\"m-cpu\"}");
  ck_assert(!store_add_sweep(store, at("results/m-cpu"), &sweep, &e));
  ck_assert_ptr_nonnull(strstr(e.message, "\"name\""));
  expect(store, "SELECT sum(planned) FROM trials", "3");
  store_close(store);
}
END_TEST

START_TEST(a_killed_writer_loses_nothing_committed) {
  int64_t trial[FAKES];
  store_close(open_sweep(trial));
  int ready[2];
  ck_assert_int_eq(pipe(ready), 0);
  pid_t child = fork();
  if (child == 0) {
    Error e = {0};
    Store *store = open_db(at("results/results.db"));
    run_trial(store, 1, fake_folder("m-cpu", &fakes[0]), &fakes[0]);
    store_begin(store, &e);
    run_trial(store, 2, fake_folder("m-cpu", &fakes[1]), &fakes[1]);
    if (write(ready[1], "x", 1) != 1) _exit(1);
    pause();
  }
  char byte;
  ck_assert_int_eq(read(ready[0], &byte, 1), 1);
  kill(child, SIGKILL);
  waitpid(child, NULL, 0);
  close(ready[0]);
  close(ready[1]);
  Store *store = open_db(at("results/results.db")); /* the dead process's lock is gone too */
  expect(store, "SELECT trial, status FROM trials WHERE status <> 'pending'", "1|done");
  expect(store, "PRAGMA integrity_check", "ok");
  store_close(store);
  int trials = 0;
  store = import_into(at("results/results.db"), &trials);
  expect(store, "SELECT trial, status FROM trials WHERE status <> 'pending'", "1|done\n2|done");
  store_close(store);
}
END_TEST

/* Statistics and printing
 * --------------------------------------------------------------------------*/

START_TEST(points_agree_with_stats) {
  int64_t trial[FAKES];
  Store *store = open_finished_sweep(trial);
  sqlite3_stmt *statement = NULL;
  sqlite3_prepare_v2(store->db,
                     "SELECT n, mean, sd, low, high, settings, least, most FROM points "
                     "WHERE metric = 'psnr_masked' ORDER BY mask_ratio",
                     -1, &statement, NULL);
  for (int half = 0; half < 2; half++) {
    double values[3];
    for (int i = 0; i < 3; i++) values[i] = fakes[3 * half + i].psnr;
    Summary s = stats_summary(values, 3);
    ck_assert_int_eq(sqlite3_step(statement), SQLITE_ROW);
    ck_assert_int_eq(sqlite3_column_int(statement, 0), 3);
    ck_assert_double_eq_tol(sqlite3_column_double(statement, 1), s.mean, 1e-12);
    ck_assert_double_eq_tol(sqlite3_column_double(statement, 2), s.sd, 1e-12);
    ck_assert_double_eq_tol(sqlite3_column_double(statement, 3), s.mean - s.half, 1e-7);
    ck_assert_double_eq_tol(sqlite3_column_double(statement, 4), s.mean + s.half, 1e-7);
    ck_assert_str_eq((const char *)sqlite3_column_text(statement, 5),
                     half ? "train.mask_ratio=0.75" : "train.mask_ratio=0.5");
    ck_assert(sqlite3_column_double(statement, 6) == values[0]);
    ck_assert(sqlite3_column_double(statement, 7) == values[2]);
  }
  ck_assert_int_eq(sqlite3_step(statement), SQLITE_DONE);
  sqlite3_finalize(statement);
  sqlite3_prepare_v2(store->db, "SELECT df, t975 FROM t_quantile", -1, &statement, NULL);
  int count = 0;
  for (; sqlite3_step(statement) == SQLITE_ROW; count++) {
    double t = stats_t_quantile(0.975, sqlite3_column_double(statement, 0));
    ck_assert_double_eq_tol(sqlite3_column_double(statement, 1) / t, 1, 1e-8);
  }
  ck_assert_int_eq(count, 100);
  sqlite3_finalize(statement);
  store_close(store);
}
END_TEST

static char *compare(Store *store, const char *a, const char *b, const char *metric, bool json,
                     Error *e) {
  char *text = NULL;
  size_t size = 0;
  FILE *out = open_memstream(&text, &size);
  bool ok = store_compare(store, out, a, b, metric, json, e);
  fclose(out);
  if (ok) return text;
  free(text);
  return NULL;
}

START_TEST(compare_pairs_by_seed) {
  int64_t trial[FAKES];
  Error e = {0};
  Store *store = open_finished_sweep(trial);
  char *text = compare(store, "train.mask_ratio=.5", "m-cpu:train.mask_ratio=0.75", NULL, true, &e);
  ck_assert_msg(text != NULL, "%s", e.message);
  json_t *json = json_loads(text, 0, NULL);
  const double differences[] = {3, 2.75, 3.25};
  Summary s = stats_summary(differences, 3);
  ck_assert_double_eq_tol(json_real_value(json_object_get(json, "difference")), s.mean, 1e-12);
  ck_assert_double_eq_tol(json_real_value(json_object_get(json, "low")), s.mean - s.half, 1e-12);
  ck_assert(json_is_true(json_object_get(json, "paired")));
  ck_assert(json_is_false(json_object_get(json, "same_masks")));
  json_decref(json);
  free(text);
  text = compare(store, "train.mask_ratio=0.5", "train.mask_ratio=0.75", NULL, false, &e);
  ck_assert_msg(strstr(text, "the seeds support it") && strstr(text, "A is higher than B by 3 dB"),
                "%s", text);
  free(text);
  /* images_per_second are 301, 302, 303 at both points: no difference at all. */
  text = compare(store, "train.mask_ratio=0.5", "train.mask_ratio=0.75", "images_per_second", false,
                 &e);
  ck_assert_msg(strstr(text, "smaller than the seeds can support") != NULL, "%s", text);
  free(text);
  text = compare(store, "1", "4", NULL, false, &e);
  ck_assert_msg(strstr(text, "Run more seeds") != NULL, "%s", text);
  free(text);
  store_close(store);
}
END_TEST

START_TEST(compare_refuses_what_is_unclear) {
  static const struct {
    const char *a, *metric, *words;
  } cases[] = {{"train.mask_ratio=0.9", NULL, "no trial"},
               {"run.device=auto", NULL, "fits 2 points"},
               {"seventeen", NULL, "neither a trial id nor settings"},
               {"train.mask_ratio=", NULL, "neither a trial id nor settings"},
               {"99", NULL, "no trial"},
               {"';DROP-TABLE-trial;--=1", NULL, "no trial"},
               {"1", "psnr", "no metric"},
               {"1", "psnr_leaky", "no finite psnr_leaky"}};
  int64_t trial[FAKES];
  Store *store = open_finished_sweep(trial);
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    Error e = {0};
    ck_assert_ptr_null(compare(store, cases[i].a, "1", cases[i].metric, false, &e));
    ck_assert_int_eq(e.code, EXIT_CONFIG);
    ck_assert_msg(strstr(e.message, cases[i].words) != NULL, "%s", e.message);
  }
  store_close(store);
}
END_TEST

START_TEST(print_tables_and_json) {
  int64_t trial[FAKES];
  Error e = {0};
  Store *store = open_finished_sweep(trial);
  char *text = NULL;
  size_t size = 0;
  FILE *out = open_memstream(&text, &size);
  ck_assert(
      store_print(store, out, "SELECT trial, psnr_masked, error FROM trials LIMIT 2", true, &e));
  fclose(out);
  json_t *json = json_loads(text, 0, NULL);
  ck_assert_int_eq(json_array_size(json), 2);
  ck_assert(json_number_value(json_object_get(json_array_get(json, 0), "psnr_masked")) == 21.0);
  json_decref(json);
  free(text);
  out = open_memstream(&text, &size);
  ck_assert(
      store_print(store, out, "SELECT trial, psnr_masked, error FROM trials LIMIT 1", false, &e));
  ck_assert(!store_print(store, out, "DELETE FROM step", false, &e));
  ck_assert(!store_print(store, out, "SELECT no_such_column FROM trials", false, &e));
  fclose(out);
  ck_assert_msg(strstr(text, "psnr_masked") && strstr(text, "21") && strstr(text, "-"), "%s", text);
  free(text);
  expect(store, "SELECT count(*) FROM step", "24");
  store_close(store);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("store");
  TCase *tests = tcase_create("store");
  tcase_add_checked_fixture(tests, make_folder, remove_folder);
  tcase_set_timeout(tests, 60);
  tcase_add_test(tests, open_creates_and_reopens);
  tcase_add_test(tests, open_refuses_what_is_not_ours);
  tcase_add_test(tests, open_refuses_a_second_writer);
  tcase_add_test(tests, open_says_read_only);
  tcase_add_test(tests, open_reports_damage);
  tcase_add_test(tests, migration_keeps_the_rows);
  tcase_add_test(tests, a_finished_trial_is_a_row);
  tcase_add_test(tests, numbers_that_are_none_keep_their_kind);
  tcase_add_test(tests, a_step_run_again_counts_once);
  tcase_add_test(tests, lines_already_taken_are_ignored);
  tcase_add_test(tests, bad_lines_change_nothing);
  tcase_add_test(tests, a_verification_is_a_row);
  tcase_add_test(tests, import_gives_the_same_rows);
  tcase_add_test(tests, import_passes_over_damage);
  tcase_add_test(tests, import_renumbers_clashing_ids);
  tcase_add_test(tests, an_edited_plan_leaves_old_trials_out);
  tcase_add_test(tests, a_killed_writer_loses_nothing_committed);
  tcase_add_test(tests, points_agree_with_stats);
  tcase_add_test(tests, compare_pairs_by_seed);
  tcase_add_test(tests, compare_refuses_what_is_unclear);
  tcase_add_test(tests, print_tables_and_json);
  suite_add_tcase(suite, tests);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_NORMAL);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
