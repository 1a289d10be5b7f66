/* Whole sweeps through the `harness` program: with the fake trainer for trouble of every kind, with
 * the real one for what it is all for. */
#include <signal.h>
#include <time.h>

#include "mae/base/error.h"
#include "tests/suite.h"
#include "tests/sweep.h"

/* Waits until so many trials have reached a step. */
static void wait_for_step(int trials, int step) {
  char pattern[128];
  snprintf(pattern, sizeof pattern,
           "test $(grep -ls '\"step\":%d,' out/exp/*/events.jsonl | wc -l) -ge %d", step, trials);
  wait_for(pattern);
}

/* results/ of a fresh clone holds reference/ and nothing else: not a sweep to take in. */
START_TEST(folder_without_sweeps) {
  ck_assert_int_eq(system("mkdir -p out/reference"), 0);
  expect_code(RUN_FAKE, 0, "done: loss 0.1000, psnr_masked 18.01 dB");
}
END_TEST

START_TEST(sweep_is_recorded_and_skipped) {
  expect_code(RUN_FAKE, 0, "done: loss 0.1000, psnr_masked 18.01 dB");
  expect_rows("SELECT trial, status, seed, mask_ratio, psnr_masked, images_per_second, attempts "
              "FROM trials ORDER BY trial",
              "1|done|1|0.5|18.01|1600.0|1\n2|done|1|0.75|17.01|1600.0|1\n"
              "3|done|2|0.5|18.02|1600.0|1\n4|done|2|0.75|17.02|1600.0|1\n");
  expect_rows("SELECT count(*), min(psnr_masked) FROM baselines", "4|14.5\n");
  expect_code(RUN_FAKE, 0, "4 of 4 trials are done already");
  expect_rows("SELECT sum(attempts) FROM trials", "4\n");
  /* A longer list runs only what is new, and keeps the ids. */
  expect_code(RUN_FAKE " --set sweep.seeds=1..3", 0, "4 of 6 trials are done already");
  expect_rows("SELECT trial, seed FROM trials ORDER BY trial", "1|1\n2|1\n3|2\n4|2\n5|3\n6|3\n");
}
END_TEST

START_TEST(side_by_side_gives_the_same) {
  const char *sql = "SELECT trial, swept, psnr_masked, steps, state_sha256 FROM trials ORDER BY 1";
  expect_code(RUN_FAKE, 0, "done");
  char *one = query_db("r.db", sql);
  expect_code("run exp.ini --scale none --db r4.db --out out4 --jobs 4 --mae " FAKE, 0, "done");
  char *four = query_db("r4.db", sql);
  ck_assert_str_eq(one, four);
  free(one);
  free(four);
}
END_TEST

START_TEST(failed_trials_run_again) {
  setenv("FAKE_TRAINER", "exit:3", 1);
  setenv("FAKE_ONLY", "mask_ratio = 0.75", 1);
  expect_code(RUN_FAKE, 1, "failed: exit code 3 (device or memory): the fake trainer was told");
  expect_rows("SELECT status FROM trials ORDER BY trial", "done\nfailed\ndone\nfailed\n");
  setenv("FAKE_TRAINER", "half", 1);
  expect_code(RUN_FAKE, 1, "2 of 4 trials are done already");
  unsetenv("FAKE_TRAINER");
  expect_code(RUN_FAKE, 0, "2 of 4 trials are done already");
  expect_all_done();
  expect_rows("SELECT attempts FROM trials ORDER BY trial", "1\n3\n1\n3\n");
}
END_TEST

START_TEST(garbage_does_not_stop_a_sweep) {
  setenv("FAKE_TRAINER", "garbage", 1);
  expect_code(RUN_FAKE, 0, "not an event");
  expect_all_done();
  expect_rows("SELECT count(*) FROM curves WHERE quantity = 'train_loss'", "80\n");
}
END_TEST

/* The other trial is not given so little time: on a busy machine it could need more to begin. */
START_TEST(hang_fails_one_trial) {
  expect_code(RUN_FAKE " --set sweep.seeds=1 --set train.mask_ratio=0.5", 0, "done");
  setenv("FAKE_TRAINER", "stubborn", 1);
  expect_code(RUN_FAKE " --timeout 0.5 --set sweep.seeds=1", 1, "failed: hang: no event for");
  ck_assert_int_eq(system("grep -q 'note: --timeout 0.5: at a long job' log"), 0);
  expect_rows("SELECT status FROM trials ORDER BY trial", "done\nfailed\n");
}
END_TEST

START_TEST(ctrl_c_then_continue) {
  setenv("FAKE_TRAINER", "until:15:go", 1);
  pid_t child = start_harness(RUN_FAKE " --jobs 2");
  wait_for_step(2, 15);
  /* Twice at once, as `timeout` and batch systems send it, is still a request to stop cleanly. */
  kill(child, SIGINT);
  kill(child, SIGTERM);
  ck_assert_int_eq(scratch_wait(child), 128 + SIGINT);
  expect_rows("SELECT trial, status FROM trials ORDER BY trial",
              "1|interrupted\n2|interrupted\n3|pending\n4|pending\n");
  unsetenv("FAKE_TRAINER");
  expect_code(RUN_FAKE " --jobs 4", 0, "2 continue from their checkpoint");
  expect_all_done();
  expect_rows("SELECT count(*) FROM attempts WHERE resumed_from = 15", "2\n");
  expect_rows("SELECT count(*) FROM curves WHERE quantity = 'train_loss'", "80\n");
}
END_TEST

/* Repeated while its exit code says so, a run with a time limit ends like one without. The sessions
 * get longer, since a slow machine does nothing in the first. */
START_TEST(a_time_limit_then_continue) {
  setenv("FAKE_TRAINER", "slow", 1);
  expect_code(RUN_FAKE " --jobs 2 --time-limit 2s --dry-run", 0,
              "of this --time-limit, with 2 trials");
  int code = EXIT_TIME, sessions = 0;
  for (; code == EXIT_TIME && sessions < 60; sessions++) {
    char words[256];
    snprintf(words, sizeof words, RUN_FAKE " --jobs 2 --time-limit %ds", 2 + sessions);
    code = harness(words);
    if (sessions > 0) continue;
    char *log = scratch_read("log");
    ck_assert_int_eq(code, EXIT_TIME);
    ck_assert_ptr_nonnull(strstr(log, "the time limit is near"));
    ck_assert_ptr_nonnull(strstr(log, "the same command continues (exit code 75)"));
    free(log);
    expect_rows(
        "SELECT count(*) FROM trials WHERE status NOT IN ('interrupted', 'pending', 'done')",
        "0\n");
  }
  ck_assert_int_eq(code, 0);
  expect_all_done();
  expect_rows("SELECT count(*) > 0 FROM attempts WHERE resumed_from > 0", "1\n");
  expect_rows("SELECT count(*) FROM curves WHERE quantity = 'train_loss'", "400\n");
}
END_TEST

/* No trial begins that would be killed before its first step. */
START_TEST(no_time_to_begin) {
  setenv("FAKE_TRAINER", "slow", 1);
  expect_code(RUN_FAKE " --time-limit 5x", 2,
              "--time-limit 5x: expected a time such as 11h30m, 90m or 45s");
  expect_code(RUN_FAKE " --jobs 1 --time-limit 1s", EXIT_TIME, "the same command continues");
  char *begun = query_db("r.db", "SELECT count(*) FROM attempts");
  ck_assert_int_le(atoi(begun), 1);
  free(begun);
}
END_TEST

/* What fails again and again is not tried with every trial of a long sweep. */
START_TEST(keep_going_gives_up) {
  setenv("FAKE_TRAINER", "crash", 1);
  expect_code(RUN_FAKE " --keep-going 2", 1, "2 trials failed in a row (--keep-going)");
  expect_rows("SELECT trial, status FROM trials ORDER BY trial",
              "1|failed\n2|failed\n3|pending\n4|pending\n");
  setenv("FAKE_ONLY", "mask_ratio = 0.5", 1); /* trials 1 and 3: never two in a row */
  expect_code(RUN_FAKE " --keep-going 2", 1, "2 failed; the same command runs them again");
  expect_rows("SELECT trial, status FROM trials ORDER BY trial",
              "1|failed\n2|done\n3|failed\n4|done\n");
}
END_TEST

/* SIGKILL gives the harness no chance; the trainers it leaves write their checkpoints. */
START_TEST(kill_9_then_rerun_loses_nothing) {
  setenv("FAKE_TRAINER", "until:15:go", 1);
  pid_t child = start_harness(RUN_FAKE " --jobs 2");
  wait_for_step(2, 15);
  kill(child, SIGKILL);
  ck_assert_int_eq(scratch_wait(child), 128 + SIGKILL);
  unsetenv("FAKE_TRAINER");
  expect_code(RUN_FAKE " --jobs 4", 0, "continue from their checkpoint");
  expect_all_done();
  expect_rows("SELECT attempts FROM trials ORDER BY trial", "2\n2\n1\n1\n");
  expect_rows("SELECT count(*) FROM attempts WHERE resumed_from = 15", "2\n");
  expect_rows("SELECT count(*) FROM curves WHERE quantity = 'train_loss'", "80\n");
  expect_rows("SELECT launch, status, error FROM attempts WHERE trial = 1 AND launch = 1",
              "1|interrupted|the harness was killed while it ran\n");
}
END_TEST

START_TEST(second_harness_on_a_database) {
  setenv("FAKE_TRAINER", "until:3:go", 1);
  pid_t child = start_harness(RUN_FAKE);
  wait_for_step(1, 3);
  ck_assert_int_eq(rename("log", "first"), 0);
  expect_code(RUN_FAKE, 4, "r.db");
  kill(child, SIGINT);
  ck_assert_int_eq(scratch_wait(child), 128 + SIGINT);
}
END_TEST

START_TEST(another_build_runs_again) {
  expect_code(RUN_FAKE, 0, "done");
  ck_assert_int_eq(system("cp " FAKE " other && echo >> other"), 0);
  expect_code("run exp.ini --scale none --db r.db --out out --mae ./other --any-build", 0,
              "4 of 4 trials are done already");
  expect_code("run exp.ini --scale none --db r.db --out out --mae ./other", 0,
              "4 are set aside and run again from the start (another build of mae made it)");
  expect_all_done();
  expect_rows("SELECT attempts FROM trials", "1\n1\n1\n1\n");
  expect_rows("SELECT DISTINCT resumed_from FROM attempts WHERE attempt IS NOT NULL", "0\n");
  ck_assert_int_eq(
      system(
          "ls -d out/exp/*/superseded-1/checkpoints out/exp/*/superseded-1/events.jsonl > names"),
      0);
}
END_TEST

/* Three harnesses at once on one folder, as a job array has them; import joins what they did. */
START_TEST(parts_of_a_sweep) {
  const char *sql = "SELECT trial, swept, status, psnr_masked FROM trials ORDER BY 1";
  pid_t parts[3];
  char words[256];
  expect_code("run exp.ini --scale none --db one.db --out one --mae " FAKE, 0, "done");
  setenv("FAKE_TRAINER", "slow:10", 1);
  for (int i = 0; i < 3; i++) {
    snprintf(words, sizeof words,
             "run exp.ini --scale none --part %d/3 --db s%d.db --out out --mae " FAKE, i + 1, i);
    parts[i] = start_harness(words);
  }
  for (int i = 0; i < 3; i++) ck_assert_int_eq(scratch_wait(parts[i]), 0);
  expect_code("import --db r.db --out out", 0, "4 trials of out are in r.db");
  char *joined = query_db("r.db", sql), *alone = query_db("one.db", sql);
  ck_assert_str_eq(joined, alone);
  expect_rows("SELECT attempts FROM trials", "1\n1\n1\n1\n");
  /* A second time there is nothing left to do, in a database that is new again; --shard is the
   * older name of --part. */
  expect_code("run exp.ini --scale none --shard 2/3 --db s9.db --out out --mae " FAKE, 0,
              "4 of 4 trials are done already");
  /* A part that fails says so, the others' failures are not its own. */
  setenv("FAKE_TRAINER", "exit:3", 1);
  expect_code("run exp.ini --scale none --part 1/4 --db f.db --out f --mae " FAKE, 1, "1 failed");
  unsetenv("FAKE_TRAINER");
  expect_code("run exp.ini --scale none --part 2/4 --db f2.db --out f --mae " FAKE, 0,
              "harness import --out f");
  free(joined);
  free(alone);
}
END_TEST

/* The event files are the source of truth. */
START_TEST(import_rebuilds_the_same) {
  const char *sql = "SELECT * FROM trials ORDER BY trial";
  setenv("FAKE_TRAINER", "exit:5", 1);
  setenv("FAKE_ONLY", "mask_ratio = 0.75", 1);
  expect_code(RUN_FAKE, 1, "failed");
  char *before = query_db("r.db", sql);
  ck_assert_int_eq(system("rm r.db*"), 0);
  expect_code("import --db r.db --out out", 0, "4 trials");
  char *after = query_db("r.db", sql);
  ck_assert_str_eq(before, after);
  /* So does a run that finds its database gone. */
  ck_assert_int_eq(system("rm r.db*"), 0);
  unsetenv("FAKE_TRAINER");
  expect_code(RUN_FAKE, 0, "took in 4 trials");
  expect_all_done();
  free(before);
  free(after);
}
END_TEST

/* Folders of versions that called launches.jsonl attempts.jsonl are taken in and continued. */
START_TEST(an_older_name_of_launches_is_read) {
  const char *sql = "SELECT * FROM attempts ORDER BY trial, launch";
  setenv("FAKE_TRAINER", "exit:5", 1);
  setenv("FAKE_ONLY", "mask_ratio = 0.75", 1);
  expect_code(RUN_FAKE, 1, "failed");
  char *before = query_db("r.db", sql);
  ck_assert_int_eq(
      system("for f in out/exp/*/launches.jsonl; do mv $f ${f%launches*}attempts.jsonl; done"), 0);
  ck_assert_int_eq(system("rm r.db*"), 0);
  expect_code("import --db r.db --out out", 0, "4 trials");
  char *after = query_db("r.db", sql);
  ck_assert_str_eq(before, after);
  unsetenv("FAKE_TRAINER");
  expect_code(RUN_FAKE, 0, "2 of 4 trials are done already");
  expect_all_done();
  expect_rows("SELECT launch, status FROM attempts ORDER BY trial, launch",
              "1|done\n1|failed\n2|done\n1|done\n1|failed\n2|done\n");
  ck_assert_int_eq(system("test $(ls out/exp/*/attempts.jsonl | wc -l) = 4 && "
                          "test $(ls out/exp/*/launches.jsonl | wc -l) = 2"),
                   0);
  free(before);
  before = query_db("r.db", sql);
  ck_assert_int_eq(system("rm r.db*"), 0);
  expect_code("import --db r.db --out out", 0, "4 trials");
  free(after);
  after = query_db("r.db", sql);
  ck_assert_str_eq(before, after);
  free(before);
  free(after);
}
END_TEST

START_TEST(dry_run_changes_nothing) {
  expect_code(RUN_FAKE " --dry-run", 0, "4 trials,");
  ck_assert_int_ne(access("r.db", F_OK), 0);
  ck_assert_int_ne(access("out", F_OK), 0);
  expect_code(RUN_FAKE, 0, "done");
  expect_code(RUN_FAKE " --dry-run", 0, "done");
  expect_code(RUN_FAKE " --dry-run --json", 0, "\"state\": \"done\"");
}
END_TEST

static const struct {
  const char *words, *said;
  int code;
} refusals[] = {
    {"", "usage: harness", 2},
    {"rn exp.ini", "did you mean run?", 2},
    {"run", "missing argument", 2},
    {"run exp.ini --scal none", "did you mean --scale?", 2},
    {"run exp.ini --scale", "needs a value", 2},
    {"run exp.ini --json=yes", "takes no value", 2},
    {"run nothing.ini --scale none", "looked for nothing.ini, experiments/nothing.ini", 2},
    {"run exp.ini --scale cpux", "there is no scale cpux", 2},
    {"run exp.ini --scale cpux", "; did you mean cpu?", 2},
    {"run exp.ini --scale t4", "; did you mean t4x2?", 2},
    {"run exp.ini --scale none --part 0/4 --db r.db", "expected K/N, K from 1 to N", 2},
    {"run exp.ini --scale none --part 5/4 --db r.db", "expected K/N, K from 1 to N", 2},
    {"run exp.ini --scale none --part 1/4", "needs --db PATH", 2},
    {"run exp.ini --scale none --jobs few", "expected a whole number", 2},
    {"run exp.ini --scale none --set batch=3", "expected section.key=value", 2},
    {"run exp.ini --scale none --set train.bach=3", "did you mean train.batch?", 2},
    {"run exp.ini --scale none --mae /nowhere/mae", "/nowhere/mae", 4},
    {"run exp.ini --scale none --db exp.ini --mae " FAKE, "exp.ini", 4},
    {"run exp.ini --scale none --db out/r.db --out exp.ini --mae " FAKE, "exp.ini", 4},
    {"status --db nothing.db", "nothing.db", 4},
    {"show 1 --db nothing.db", "nothing.db", 4},
    {"status --db .", ".: a folder; --db names a file, such as ./results.db", 4},
    {"run exp.ini --scale none --db . --mae " FAKE, ".: a folder; --db names a file", 4},
    {"show one --db nothing.db", "no trial's number", 2},
    {"verify 1 --class exact", "expected bitwise, numerical or statistical", 2},
    {"import --out nothing", "no such folder", 4},
    {"import --db new.db --out reference", "no trials below it", 4},
};

START_TEST(refuses) {
  ck_assert_int_eq(system("mkdir -p reference"), 0);
  expect_code(refusals[_i].words, refusals[_i].code, refusals[_i].said);
  ck_assert_int_ne(access("r.db", F_OK), 0);
  char *kept = scratch_read("exp.ini");
  ck_assert_str_eq(kept, experiment);
  free(kept);
}
END_TEST

/* A bad trial stops the sweep before its first trial starts. */
START_TEST(validated_before_the_first_starts) {
  scratch_write("exp.ini", "[sweep]\ntrain.mask_ratio = 0.5, 0.999\n");
  expect_code(RUN_FAKE, 2, "exp.ini:2:20: trial train.mask_ratio=0.999");
  ck_assert_int_ne(access("out", F_OK), 0);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("sweep_e2e");
  TCase *cases = tcase_create("fake trainer");
  tcase_set_timeout(cases, 120);
  tcase_add_checked_fixture(cases, setup, scratch_teardown);
  tcase_add_test(cases, folder_without_sweeps);
  tcase_add_test(cases, sweep_is_recorded_and_skipped);
  tcase_add_test(cases, side_by_side_gives_the_same);
  tcase_add_test(cases, failed_trials_run_again);
  tcase_add_test(cases, garbage_does_not_stop_a_sweep);
  tcase_add_test(cases, hang_fails_one_trial);
  tcase_add_test(cases, ctrl_c_then_continue);
  tcase_add_test(cases, a_time_limit_then_continue);
  tcase_add_test(cases, no_time_to_begin);
  tcase_add_test(cases, keep_going_gives_up);
  tcase_add_test(cases, kill_9_then_rerun_loses_nothing);
  tcase_add_test(cases, second_harness_on_a_database);
  tcase_add_test(cases, another_build_runs_again);
  tcase_add_test(cases, import_rebuilds_the_same);
  tcase_add_test(cases, an_older_name_of_launches_is_read);
  tcase_add_test(cases, dry_run_changes_nothing);
  tcase_add_loop_test(cases, refuses, 0, sizeof refusals / sizeof *refusals);
  tcase_add_test(cases, validated_before_the_first_starts);
  suite_add_tcase(suite, cases);
  TCase *shards = tcase_create("shards");
  tcase_set_timeout(shards, 120);
  tcase_add_checked_fixture(shards, setup, scratch_teardown);
  tcase_add_test(shards, parts_of_a_sweep);
  suite_add_tcase(suite, shards);
  return suite_run(suite);
}
