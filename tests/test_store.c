/* The results database: what it refuses, and what it keeps. */
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>

#include "tests/fake_trials.h"
#include "tests/suite.h"

/* What store_open says --------------------------------------------------------------------------*/

static void expect_refusal(const char *path, const char *words) {
  Store *store = NULL;
  Error e = {0};
  ck_assert(!store_open(&store, path, &e));
  ck_assert_ptr_null(store);
  ck_assert_int_eq(e.code, EXIT_DATA);
  ck_assert_msg(strstr(e.message, words) && strstr(e.message, path), "%s", e.message);
}

/* A start by a trainer that can read the packages' counters, and what it then tells. */
static void begin_measured(Store *store, int64_t trial, const char *to, int attempt, int resumed) {
  fake_start_more = ",\"energy_source\":\"rapl\"";
  start(store, trial, to, attempt, resumed);
  fake_start_more = "";
}

static void energy(Store *store, int64_t trial, const char *to, const char *members) {
  event(store, trial, to, EVENTS, "{\"event\":\"energy\",\"time\":2260,%s}", members);
}

START_TEST(open_creates_and_reopens) {
  const char *path = at("new.db");
  store_close(open_db(path));
  Store *store = open_db(path);
  expect(store, "PRAGMA user_version", "7");
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
  expect_refusal(at("nowhere/results.db"), "--db names a database elsewhere");

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
  ck_assert_int_eq(chmod(scratch, 0555), 0);
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
  chmod(scratch, 0755);
  ck_assert_int_eq(status, 0);
}
END_TEST

static void copy_file(const char *from, const char *to) {
  char command[1024];
  snprintf(command, sizeof command, "cp '%s/results/results.db%s' '%s/shut/%s'", scratch, from,
           scratch, to);
  ck_assert_int_eq(system(command), 0);
}

/* What a killed harness left, copied to where nothing can be written. */
START_TEST(open_reads_where_no_lock_can_be) {
  int64_t trial[FAKES];
  Store *store = open_finished_sweep(trial);
  ck_assert_int_eq(mkdir(at("shut"), 0777), 0);
  sqlite3_exec(store->db, "PRAGMA wal_checkpoint(TRUNCATE)", NULL, NULL, NULL);
  copy_file("", "whole #1?50%41.db");
  sqlite3_exec(store->db, "UPDATE trial SET seed = 7", NULL, NULL, NULL);
  copy_file("", "behind.db");
  copy_file("-wal", "behind.db-wal");
  store_close(store);
  ck_assert_int_eq(chmod(scratch, 0755), 0);
  ck_assert_int_eq(chmod(at("shut"), 0555), 0);
  pid_t child = fork();
  if (child == 0) {
    if (geteuid() == 0 && seteuid(65534)) _exit(9);
    Error e = {0};
    const char *whole = at("shut/whole #1?50%%41.db"), *two[] = {whole, whole};
    if (!store_open_several(&store, two, 2, &e)) {
      fprintf(stderr, "%s\n", e.message);
      _exit(1);
    }
    if (!store_print(store, stderr, "SELECT trial, database FROM trials", false, &e)) _exit(2);
    if (store_open_readonly(&store, at("shut/behind.db"), &e)) _exit(3);
    _exit(strstr(e.message, "behind.db-wal, which can be read only where") ? 0 : 4);
  }
  int status = 0;
  waitpid(child, &status, 0);
  chmod(at("shut"), 0755);
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
  ck_assert(store_find_trial(store, "m-cpu", fake_hash(&fakes[3]), &info, &found, &e));
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

/* What an attempt told last counts, and the attempts add up; one that could not be measured whole
 * leaves no sum, and neither does a device that was shared. */
START_TEST(energy_adds_up_over_attempts) {
  static const char query[] = "SELECT joules_per_image, energy_kwh, energy_source, energy_note "
                              "FROM trials WHERE trial = %d";
  static const char columns[] = "SELECT metric, value FROM scores WHERE metric IN "
                                "('energy_kwh', 'joules_per_image') ORDER BY trial, metric";
  char sql[256];
  int64_t trial[FAKES];
  Store *store = open_sweep(trial);
  for (int i = 0; i < 5; i++) {
    const char *to = fake_folder("m-cpu", &fakes[i]);
    begin_measured(store, i + 1, to, 1, 0);
    energy(store, i + 1, to, "\"joules\":100,\"step_joules\":30,\"images\":20,\"own_share\":1");
    energy(store, i + 1, to, "\"joules\":3600,\"step_joules\":60,\"images\":40,\"own_share\":1");
    snprintf(sql, sizeof sql, query, i + 1);
    expect(store, sql, "1.5|0.001|rapl|NULL");
    if (i == 2)
      start(store, i + 1, to, 2, 0);
    else
      begin_measured(store, i + 1, to, 2, 0);
    if (i == 1) energy(store, i + 1, to, "\"problem\":\"energy_uj: gone\"");
    if (i != 1 && i != 2)
      energy(store, i + 1, to,
             i == 3 ? "\"joules\":7200,\"step_joules\":40,\"images\":60,\"own_share\":0.475"
                    : "\"joules\":7200,\"step_joules\":40,\"images\":60,\"own_share\":0.95");
    eval(store, i + 1, to, 4, 20);
    finish(store, i + 1, to, 2, "done");
  }
  const char *to = fake_folder("m-cpu", &fakes[5]);
  begin_measured(store, 6, to, 1, 0);
  energy(store, 6, to, "\"joules\":3600,\"step_joules\":60,\"images\":40,\"others\":2");
  finish(store, 6, to, 1, "done");
  static const char *const wanted[] = {
      "1.0|0.003|rapl|NULL",
      "1.5|NULL|rapl|in part: an attempt was not measured",
      "1.5|NULL|rapl|in part: an attempt was not measured",
      "NULL|NULL|rapl|shared: 48% of the busy processor time was its own; the device took 0.003 "
      "kWh "
      "in all",
      "1.0|0.003|rapl|NULL",
      "NULL|NULL|rapl|shared: other processes on the GPU; the device took 0.001 kWh in all"};
  for (int i = 0; i < FAKES; i++) {
    snprintf(sql, sizeof sql, query, i + 1);
    expect(store, sql, wanted[i]);
  }
  expect(store, columns,
         "energy_kwh|0.003\njoules_per_image|1.0\njoules_per_image|1.5\njoules_per_image|1.5\n"
         "energy_kwh|0.003\njoules_per_image|1.0");
  expect(store,
         "SELECT energy_source, energy_joules FROM attempts WHERE trial = 2 ORDER BY attempt",
         "rapl|3600.0\nNULL|NULL");
  store_close(store);
}
END_TEST

/* A trial that nothing measured has no energy: not 0. */
START_TEST(energy_is_absent_where_nothing_measured) {
  int64_t trial[FAKES];
  Store *store = open_finished_sweep(trial);
  expect(store,
         "SELECT count(joules_per_image), count(energy_kwh), count(energy_source), "
         "count(energy_note) FROM trials",
         "0|0|0|0");
  expect(store, "SELECT count(*) FROM points WHERE metric IN ('energy_kwh', 'joules_per_image')",
         "0");
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
#define WORK "{\"event\":\"work\",\"time\":%d.5,\"what\":\"%s\",\"done\":%d,\"total\":9}"

/* How far a trainer is with something leaves nothing in the database but when it was heard of, and
 * may come before it has started. */
START_TEST(work_is_no_row) {
  int64_t trial[FAKES];
  Store *store = open_sweep(trial);
  const char *to = fake_folder("m-cpu", &fakes[0]);
  event(store, 1, to, EVENTS, WORK, 1999, "packing", 3);
  expect(store, "SELECT count(*) FROM attempts WHERE trial = 1", "0");
  start(store, 1, to, 1, 0);
  event(store, 1, to, EVENTS, "{\"event\":\"step\",\"time\":2002,\"step\":1,\"loss\":0.5}");
  const char *rows = "SELECT (SELECT count(*) FROM step) + (SELECT count(*) FROM metric) + "
                     "(SELECT count(*) FROM message) + (SELECT count(*) FROM attempt)";
  expect(store, rows, "2");
  event(store, 1, to, EVENTS, WORK, 2050, "probe, vote", 4);
  event(store, 1, to, EVENTS,
        "{\"event\":\"work\",\"time\":2051,\"what\":\"fit 1 of 7, iterations\",\"done\":3}");
  expect(store, rows, "2");
  expect(store, "SELECT last_event FROM attempt WHERE trial = 1", "2051.0");
  store_close(store);
}
END_TEST

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
    "{\"event\":\"work\",\"time\":1,\"what\":\"packing\",\"done\":\"much\"}",
    "{\"event\":\"work\",\"time\":1,\"done\":3}",
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
  ck_assert(!store_ingest(store, 1, LAUNCHES, 100000, lost, strlen(lost), &e));
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

int main(void) {
  Suite *suite = suite_create("store");
  TCase *tests = tcase_create("store");
  tcase_add_checked_fixture(tests, scratch_setup, scratch_teardown);
  tcase_set_timeout(tests, 60);
  tcase_add_test(tests, open_creates_and_reopens);
  tcase_add_test(tests, open_refuses_what_is_not_ours);
  tcase_add_test(tests, open_refuses_a_second_writer);
  tcase_add_test(tests, open_says_read_only);
  tcase_add_test(tests, open_reads_where_no_lock_can_be);
  tcase_add_test(tests, open_reports_damage);
  tcase_add_test(tests, migration_keeps_the_rows);
  tcase_add_test(tests, a_finished_trial_is_a_row);
  tcase_add_test(tests, numbers_that_are_none_keep_their_kind);
  tcase_add_test(tests, a_step_run_again_counts_once);
  tcase_add_test(tests, energy_adds_up_over_attempts);
  tcase_add_test(tests, energy_is_absent_where_nothing_measured);
  tcase_add_test(tests, lines_already_taken_are_ignored);
  tcase_add_test(tests, work_is_no_row);
  tcase_add_test(tests, bad_lines_change_nothing);
  tcase_add_test(tests, a_verification_is_a_row);
  tcase_add_test(tests, a_killed_writer_loses_nothing_committed);
  suite_add_tcase(suite, tests);
  return suite_run(suite);
}
