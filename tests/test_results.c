/* Everyday work on results: listing, ranking, tagging, noting, deleting and restoring trials, and
 * adding seeds to a finished sweep. */
#include <jansson.h>

#include "tests/suite.h"
#include "tests/sweep.h"

#define DB " --db r.db "
#define OUT DB "--out out "

/* A line of the shell in which H is the program; what it prints goes to the file `log`. */
static void expect_line(const char *line, int code, const char *said) {
  char text[2048];
  snprintf(text, sizeof text, "H=%s; %s", HARNESS, line);
  const char *argv[] = {"/bin/sh", "-c", text, NULL};
  int got = scratch_wait(scratch_start(argv, "log"));
  char *log = scratch_read("log");
  ck_assert_msg(got == code, "%s: exit code %d, expected %d:\n%s", line, got, code, log);
  ck_assert_msg(strstr(log, said) != NULL, "%s: expected to read '%s' in:\n%s", line, said, log);
  free(log);
}

static void expect_log(const char *whole) {
  char *log = scratch_read("log");
  ck_assert_str_eq(log, whole);
  free(log);
}

static void run_sweep(void) {
  setup();
  expect_code(RUN_FAKE, 0, "");
}

START_TEST(trials_are_picked_sorted_and_shown) {
  expect_line("$H list" DB "--where \"mask_ratio > 0.5 and status = 'done'\" --columns trial,seed "
              "--sort -seed",
              0, "");
  expect_log("trial  seed\n    4     2\n    2     1\n");
  expect_line("$H list" DB "--json --where 'trial = 3' --columns trial,status,notes", 0,
              "\"trial\": 3,\n    \"status\": \"done\",\n    \"notes\": null");
  expect_line("$H list" DB "--columns all", 0, "psnr_masked");
  expect_line("$H list" DB "--where 'trial = 99'", 0, "experiment");
  expect_line("$H list" DB "--where 'trial = 1 -- the first' --columns trial", 0, "trial\n    1\n");
}
END_TEST

/* Two scores that read the same in a table are told apart; JSON has all digits. */
START_TEST(trials_are_sorted_by_what_was_measured) {
  expect_rows("UPDATE metric SET value = CASE trial WHEN 1 THEN 18.014 ELSE 18.011 END WHERE "
              "name = 'psnr_masked' AND scorer = 'model' AND trial IN (1, 3)",
              "");
  expect_line("$H list" DB
              "--where 'trial in (1, 3)' --sort psnr_masked | awk 'NR > 1 { print $2 }'",
              0, "");
  expect_log("3\n1\n");
  expect_line("$H list" DB "--json --where 'trial = 1'", 0, "\"psnr_masked\": 18.014,");
}
END_TEST

static const struct {
  const char *options, *said;
} refused[] = {
    {"--where 'mask_rato > 0.5'", "no such column: mask_rato; did you mean mask_ratio?"},
    {"--where 'seed >'", "--where \"seed >\": incomplete input"},
    {"--where 'seed = = 1'", "syntax error"},
    {"--where '1) UNION SELECT 1 --'", "syntax error"},
    {"--where '1 LIMIT 1'", "syntax error"},
    {"--where '1; DELETE FROM trial'", "one condition, no statements"},
    {"--where \"1 in (select load_extension('x'))\"", "not authorized"},
    {"--where \"exists (select 1 from pragma_user_version)\"", "not authorized"},
    {"--where 'trial = $TRIAL'", "? : @ and $ stand for no value here"},
    {"--columns trial,sede", "no column \"sede\"; did you mean seed?"},
    {"--sort -zzzzzzzz", "no column \"zzzzzzzz\"; `harness list --columns all` shows them"},
};

START_TEST(a_wrong_condition_is_said_and_nothing_is_written) {
  char line[256];
  snprintf(line, sizeof line, "$H list" DB "%s", refused[_i].options);
  expect_line(line, 2, refused[_i].said);
  char *log = scratch_read("log");
  ck_assert_ptr_eq(strchr(log, '\n'), log + strlen(log) - 1); /* one line */
  free(log);
  expect_all_done();
}
END_TEST

START_TEST(the_best_point_and_its_rivals) {
  expect_line("$H best psnr_masked" DB "--json", 0, "\"standing\": \"best\"");
  expect_line("$H best loss exp" DB, 0, "loss: lower is better");
  expect_line("$H best peak_memory_mb" DB, 0, "peak_memory_mb: lower is better");
  expect_line("$H best psnr_maked" DB, 2, "no metric \"psnr_maked\"");
  expect_line("$H best psnr_masked exq" DB, 2, "did you mean exp?");
  expect_line("$H best knn_mean exp" DB, 4, "no trial of exp that is done has a knn_mean");
  char *order = query_db("r.db", "SELECT settings FROM points WHERE metric = 'psnr_masked' "
                                 "ORDER BY mean DESC LIMIT 1");
  order[strcspn(order, "\n")] = 0;
  expect_line("$H best psnr_masked" DB "| sed -n 2p", 0, order);
  free(order);
}
END_TEST

START_TEST(tags_and_notes_survive_an_import) {
  expect_line("$H tag 1 baseline fig-2" DB "&& $H tag 1 baseline" DB "&& $H note 1 'the disk was "
              "slow'" DB "&& $H note 1 'twice'" DB "&& $H note exp 'ask again'" DB,
              0, "");
  static const char all[] = "SELECT trial, tags, notes FROM trials WHERE tags IS NOT NULL";
  static const char rows[] = "1|baseline fig-2|the disk was slow; twice\n";
  expect_rows(all, rows);
  expect_rows("SELECT notes FROM experiments", "ask again\n");
  expect_line("rm r.db; $H import" OUT, 0, "4 trials");
  expect_rows(all, rows);
  expect_rows("SELECT notes FROM experiments", "ask again\n");
  expect_code(RUN_FAKE, 0, "4 of 4 trials are done already");
  expect_rows(all, rows);
  expect_line("$H tag --remove 1 fig-2" DB "&& $H note 1 --remove" DB, 0, "");
  expect_rows(all, "1|baseline|\n");
  expect_line("$H tag --remove 1 baseline" DB "; ls out/exp/*/notes.json", 2, "No such file");
  expect_line("$H tag 1 'two words'" DB, 2, "tag \"two words\": a word of at most 64");
  expect_line("$H tag 1 --remove other" DB, 2, "it has no tag \"other\"");
  expect_line("$H tag exp word" DB, 2, "only trials have tags");
  expect_line("$H note 9 x" DB, 4, "has no trial 9");
  expect_line("$H note 1" DB, 2, "missing TEXT");
  expect_line("$H note 1 \"$(printf 'a\\033b')\"" DB, 2, "without control characters");
}
END_TEST

/* Who notes something at the same time loses nobody's words, in the folder or in the database. */
START_TEST(notes_at_once_are_all_kept) {
  expect_line("for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do $H note 1 "
              "\"<$i>\"" DB "& $H tag 1 t$i" DB "& done; wait",
              0, "");
  expect_rows("SELECT count(*) FROM note", "20\n");
  expect_rows("SELECT count(*) FROM tag", "20\n");
  expect_line("cat out/exp/*/notes.json | grep -o '\"<[0-9]*>\"' | sort -u | wc -l", 0, "20\n");
  expect_line("ls out/exp/*/notes.json.lock", 2, "No such file");
}
END_TEST

/* A note of two lines is a row of the list; what JSON cannot hold is said and not left out. */
START_TEST(any_text_is_listed) {
  expect_line("$H note 1 \"$(printf 'one\\ntwo')\"" DB, 0, "");
  expect_line("$H list" DB "--where 'trial = 1' --columns trial,notes", 0,
              "trial  notes\n    1  one two\n");
  expect_line("$H list" DB "--where 'trial = 1' --columns trial,notes --json", 0, "one\\ntwo");
  expect_rows("UPDATE trial SET folder = CAST(x'ff' AS TEXT) WHERE trial = 1", "");
  expect_line("$H list" DB "--columns trial,folder --json", 4, "folder: not a text of UTF-8");
}
END_TEST

START_TEST(a_damaged_note_is_left_out) {
  expect_line("$H tag 1 one" DB "&& echo '{' > out/exp/notes.json && echo '{\"format\":1,\"tags\":"
              "[\"a b\"]}' > \"$(dirname out/exp/*/notes.json)/notes.json\" && $H import" OUT,
              0, "left out: out/exp/notes.json: not a file of tags and notes");
  expect_rows("SELECT count(*) FROM tag", "0\n");
  expect_line("$H tag 1 two" DB, 4, "not a file of tags and notes");
}
END_TEST

START_TEST(a_deleted_trial_stays_away) {
  expect_line("$H delete 2" OUT "</dev/null", 2, "nobody can be asked here; --yes agrees");
  expect_rows("SELECT count(*) FROM trials", "4\n");
  expect_line("$H tag 2 kept" DB "&& $H delete 2 --yes" OUT, 0, "deleted trial 2 of exp");
  static const char all[] = "SELECT trial, status FROM trials ORDER BY trial";
  expect_rows(all, "1|done\n3|done\n4|done\n");
  expect_line("$H import" OUT, 0, "3 trials");
  expect_rows(all, "1|done\n3|done\n4|done\n");
  expect_line("$H delete --list" OUT, 0, "out/.bin/1/exp/");
  expect_line("$H delete --restore 3" OUT, 4, "has no 3; --list shows what it has");
  expect_line("$H delete --restore 2" OUT, 0, "restored out/exp/");
  expect_rows(all, "1|done\n2|done\n3|done\n4|done\n");
  expect_rows("SELECT tags FROM trials WHERE trial = 2", "kept\n");
  expect_line("ls out/.bin", 0, "");
  expect_log("");
}
END_TEST

/* A plan that names it trains it anew; the old one cannot come back over it, and goes for good. */
START_TEST(a_deleted_trial_is_trained_anew_when_asked_for) {
  expect_line("$H delete 2 --yes" OUT, 0, "");
  expect_code(RUN_FAKE, 0, "3 of 4 trials are done already");
  expect_rows("SELECT count(*), sum(status = 'done') FROM trials", "4|4\n");
  expect_line("$H delete --restore 2" OUT, 4, "is there again; delete that first");
  expect_line("$H delete --empty" OUT "</dev/null", 2, "--yes agrees");
  expect_line("$H delete --empty --yes" OUT "&& $H delete --empty" OUT, 0, "out/.bin is empty");
  expect_line("ls out/.bin", 2, "No such file");
}
END_TEST

/* The bin is beside the trials, wherever the working folder is; what is said there works there. */
START_TEST(a_deleted_trial_is_taken_back_as_it_says) {
  expect_line("$H delete 2 --yes" DB ">said && cat said", 0, "/out` takes it back");
  expect_line("$H $(sed 's/.*`harness\\(.*\\)`.*/\\1/' said)", 0, "restored ");
  expect_all_done();
}
END_TEST

/* Of what was deleted twice the newer copy comes back, with the other trials of the experiment. */
START_TEST(a_trial_that_was_deleted_twice_comes_back_once) {
  expect_line("$H delete 2 --yes" OUT "&& $H delete 1 --yes" OUT, 0, "deleted trial 1");
  expect_code(RUN_FAKE, 0, "2 of 4 trials are done already");
  expect_line("for f in $(grep -l '\"seed\": 1' out/exp/*/trial.json); do $H delete $(sed -n "
              "'s/.*\"id\": \\([0-9]*\\).*/\\1/p' $f) --yes" OUT "; done",
              0, "deleted trial");
  expect_line("$H delete --restore exp" OUT, 0, "restored out/exp/");
  expect_rows("SELECT count(*), sum(status = 'done') FROM trials", "4|4\n");
}
END_TEST

/* An experiment whose name begins with a digit is no trial's number. */
START_TEST(all_trials_of_an_experiment_come_back) {
  scratch_write("2x.ini", experiment);
  expect_code("run 2x.ini --scale none --db x.db --out xout --mae " FAKE, 0, "");
  expect_line("$H delete 1 3 --yes --db x.db --out xout && $H delete --restore 2x --db x.db --out "
              "xout",
              0, "restored");
  expect_line("$H list --db x.db --columns trial | wc -l", 0, "5\n");
}
END_TEST

/* A folder that cannot be looked at has not gone. With that of the experiment all of it goes. */
START_TEST(an_import_forgets_only_what_has_gone) {
  expect_line("mv out/exp aside && ln -s exp out/exp && $H import" OUT, 4, "no trials below it");
  expect_all_done();
  expect_line("rm out/exp && mv aside out/exp && $H import" OUT, 0, "4 trials");
  expect_line("mv out/exp aside && mkdir out/exp && $H import" OUT, 4, "no trials below it");
  expect_rows("SELECT (SELECT count(*) FROM trial), (SELECT count(*) FROM sweep)", "0|1\n");
  expect_line("rmdir out/exp && mv aside out/exp && $H import" OUT, 0, "4 trials");
  expect_line("rm -r out/exp && $H import" OUT, 4, "no trials below it");
  expect_rows("SELECT (SELECT count(*) FROM trial), (SELECT count(*) FROM sweep)", "0|0\n");
}
END_TEST

START_TEST(a_whole_experiment_is_deleted_and_restored) {
  expect_line("$H note exp 'keep' " DB "&& $H delete exp --yes" OUT, 0,
              "deleted experiment exp with 4 trials");
  expect_rows("SELECT (SELECT count(*) FROM sweep), (SELECT count(*) FROM trial), "
              "(SELECT count(*) FROM step), (SELECT count(*) FROM note)",
              "0|0|0|0\n");
  expect_line("$H delete --restore exp" OUT, 0, "restored out/exp");
  expect_all_done();
  expect_rows("SELECT notes FROM experiments", "keep\n");
}
END_TEST

/* When its trials have gone one by one, what is left of it can still be named. */
START_TEST(an_experiment_without_trials_is_deleted) {
  expect_line("$H delete 1 2 3 4 --yes" OUT, 0, "deleted trial 4");
  expect_line("$H note exp 'still here'" DB, 4, "has no trials");
  expect_line("$H delete exp --yes --out nowhere" DB, 4,
              "and nowhere does not hold it; --out says");
  expect_line("$H delete exp --yes" OUT, 0, "deleted experiment exp with 0 trials");
  expect_rows("SELECT count(*) FROM sweep", "0\n");
  expect_line("ls out/exp", 2, "No such file");
  expect_line("$H delete --restore exp" OUT, 0, "restored out/exp\n");
  expect_line("$H delete --restore 1 2 3 4" OUT, 0, "restored out/exp/");
  expect_all_done();
}
END_TEST

/* Programs read JSON: it has all digits, where a table is rounded. */
START_TEST(json_has_all_digits) {
  expect_rows("UPDATE metric SET value = 18.0123456789 WHERE name = 'psnr_masked' AND scorer = "
              "'model'",
              "");
  expect_rows("UPDATE attempt SET images_per_second = 123.456789, wall_seconds = 12.3456789, "
              "gflops_per_image = 0.123456789",
              "");
  expect_line("$H status" DB "--json", 0, "\"psnr_masked_max\": 18.0123456789,");
  expect_line("$H status" DB, 0, " 18.01 ");
  expect_line("$H status exp" DB "--json", 0, "\"psnr_masked\": 18.0123456789,");
  expect_line("$H status exp" DB "--json", 0, "\"images_per_second\": 123.456789,");
  expect_line("$H show 1" DB "--json", 0, "\"gflops_per_image\": 0.123456789,");
  expect_line("$H show 1" DB "--json", 0, "\"wall_seconds\": 12.3456789,");
}
END_TEST

START_TEST(a_trial_that_is_held_is_not_deleted) {
  expect_line("for f in out/exp/*/trial.json; do d=$(dirname $f); grep -q '\"id\": 2' $f && break; "
              "done; flock $d/lock sh -c \"$H delete exp --yes" OUT "\"",
              4, "works on it; stop that first");
  expect_all_done();
  expect_line("ls -d out/exp", 0, "out/exp");
}
END_TEST

/* Only what is missing runs, and what is there counts. */
START_TEST(more_seeds_run_what_is_missing) {
  expect_code(RUN_FAKE " --set sweep.seeds=1..3", 0, "4 of 6 trials are done already");
  expect_rows("SELECT seed, count(*), sum(attempts) FROM trials WHERE status = 'done' AND planned "
              "GROUP BY seed",
              "1|2|2\n2|2|2\n3|2|2\n");
  expect_rows("SELECT count(*) FROM points WHERE metric = 'psnr_masked' AND iqm IS NOT NULL",
              "2\n");
}
END_TEST

/* The learning rate of every step depends on the run's length. */
START_TEST(longer_training_starts_anew_and_says_why) {
  expect_code(RUN_FAKE " --set train.steps=30", 0,
              "trial 5 is trial 1 with another length of training: it starts anew");
  expect_rows("SELECT count(*), sum(status = 'done') FROM trials", "8|8\n");
  expect_code(RUN_FAKE " --set train.mask_ratio=0.6", 0, "");
  expect_line("grep -c 'another length' log", 1, "0");
}
END_TEST

START_TEST(several_databases_are_read_as_one) {
  expect_line("cp r.db other.db; $H list" DB "--db other.db --where 'trial = 1' --columns "
              "database,trial",
              0, "");
  expect_log("database  trial\nr.db          1\nother.db      1\n");
  expect_line("$H best psnr_masked" DB "--db other.db", 0, "other.db");
  /* An experiment that only the second has, and the scales of both by the name of the INI file. */
  free(query_db("other.db", "UPDATE sweep SET experiment = 'exp-big', scale = 'big'"));
  expect_line("$H best psnr_masked exp-big" DB "--db other.db | grep -c ' r.db$'", 1, "0\n");
  expect_line("$H best psnr_masked exp-big" DB "--db other.db", 0, "other.db");
  expect_line("$H best psnr_masked ablations/exp.ini --json" DB "--db other.db", 0, "exp-big");
  expect_line("$H list" DB "--db none.db", 4, "none.db: No such file");
  expect_line("$H list --db none.db" DB, 4, "none.db: No such file");
}
END_TEST

static const char *text_of(const json_t *row, const char *name) {
  const char *text = json_string_value(json_object_get(row, name));
  return text ? text : "";
}

/* The row of a list whose member has that value. */
static json_t *row_with(const json_t *rows, const char *name, const char *value) {
  size_t i;
  json_t *row;
  json_array_foreach(rows, i, row) {
    if (!strcmp(text_of(row, name), value)) return row;
  }
  ck_abort_msg("no row with %s = %s", name, value);
  return NULL;
}

/* Of two databases that are alike nothing differs; the copy's trial 3 is changed by hand from step
 * 7 on, and its score by 0.5. */
START_TEST(two_databases_are_told_apart) {
  expect_line("cp r.db other.db; $H diff" DB "--db other.db", 0,
              "all steps should be equal, and they are.");
  sqlite3 *db;
  sqlite3_open("other.db", &db);
  ck_assert_int_eq(
      sqlite3_exec(
          db,
          "UPDATE step SET loss = loss * 1.5 WHERE trial = 3 AND step >= 7; "
          "UPDATE step SET grad_norm = grad_norm + 1 WHERE trial = 3 AND step = 4; "
          "UPDATE metric SET value = value - 0.5 WHERE trial = 3 AND name = 'psnr_masked'; "
          "UPDATE param SET value = '9' WHERE trial = 3 AND key = 'train.batch'; "
          "UPDATE environment SET json = json_set(json, '$.cpu', 'another')",
          NULL, NULL, NULL),
      SQLITE_OK);
  sqlite3_close(db);
  expect_line("$H diff exp exp" DB "--db other.db --json", 0, "");
  json_t *json = json_load_file("log", 0, NULL), *row;
  ck_assert_ptr_nonnull(json);
  ck_assert_int_eq(json_integer_value(json_object_get(json, "pairs")), 4);
  ck_assert(json_is_false(json_object_get(json, "should_be_equal")));
  json_t *options = json_object_get(json, "configuration");
  ck_assert_int_eq(json_array_size(options), 1);
  row = json_array_get(options, 0);
  ck_assert_str_eq(text_of(row, "key"), "train.batch");
  ck_assert_str_eq(text_of(row, "b"), "9");
  ck_assert(json_is_true(json_object_get(row, "hashed")));
  row = row_with(json_object_get(json, "provenance"), "key", "cpu");
  ck_assert_str_eq(text_of(row, "b"), "another");
  row = row_with(json_object_get(json, "metrics"), "metric", "psnr_masked");
  ck_assert_double_eq_tol(json_real_value(json_object_get(row, "difference")), 0.125, 1e-9);
  row = row_with(json_object_get(json, "steps"), "quantity", "grad_norm");
  ck_assert_int_eq(json_integer_value(json_object_get(row, "trial_a")), 3);
  ck_assert_int_eq(json_integer_value(json_object_get(row, "first_step")), 4);
  ck_assert_int_eq(json_integer_value(json_object_get(row, "apart_step")), 7);
  json_decref(json);
  expect_line("$H diff 3 3" DB "--db other.db", 0, "train.batch  8  9");
  /* On another processor nothing is promised, so that there is nothing to be surprised at. */
  free(query_db("other.db", "UPDATE param SET value = '8' WHERE key = 'train.batch'"));
  expect_line("$H diff 3 3" DB "--db other.db --json", 0, "\"should_be_equal\": false");
  free(query_db("other.db", "DELETE FROM step WHERE trial = 3"));
  expect_line("$H diff 3 3" DB "--db other.db", 0, "They have no training step in common.");
  expect_line("$H diff 1 2" DB, 0, "train.mask_ratio  0.5  0.75");
  expect_line("$H diff train.mask_ratio=0.5 train.mask_ratio=0.75" DB, 0, "2 pairs of trials");
  expect_line("$H delete 1 --yes" OUT "&& $H diff" DB "--db other.db", 0,
              "only in B: exp: train.mask_ratio=0.5, seed 1");
}
END_TEST

/* Trial 3 of the copy has no number: the others are paired all the same. */
START_TEST(a_pair_without_a_score_is_left_out_of_a_diff) {
  expect_line("cp r.db other.db", 0, "");
  free(query_db("other.db", "UPDATE metric SET value = NULL, kind = 'nan' WHERE trial = 3 AND "
                            "name = 'psnr_masked' AND scorer = 'model'"));
  expect_line("$H diff" DB "--db other.db --json", 0, "");
  json_t *json = json_load_file("log", 0, NULL), *row;
  row = row_with(json_object_get(json, "metrics"), "metric", "psnr_masked");
  ck_assert(json_is_true(json_object_get(row, "paired")));
  ck_assert_int_eq(json_integer_value(json_object_get(row, "n")), 3);
  ck_assert_double_eq(json_real_value(json_object_get(row, "difference")), 0);
  ck_assert_int_eq(json_integer_value(json_object_get(json_object_get(row, "a"), "n")), 3);
  json_decref(json);
  expect_line("$H diff" DB "--db other.db", 0, "metrics, A - B, paired\n");
  free(query_db("other.db", "UPDATE param SET value = '77' WHERE key = 'eval.seed'"));
  expect_line("$H diff" DB "--db other.db", 0, "metrics, A - B, not paired: A and B were scored");
}
END_TEST

/* A colleague's program may not know a metric: its database has no column for it. */
START_TEST(a_diff_is_of_what_both_know) {
  expect_line("cp r.db other.db", 0, "");
  free(query_db("other.db", "DELETE FROM metric_kind WHERE name = 'ssim_composite'"));
  expect_line("$H diff" DB "--db other.db --json | grep -c '\"metric\": \"ssim_composite\"'", 1,
              "0\n");
  expect_line("$H diff --db other.db" DB "--json | grep -c '\"metric\": \"ssim_composite\"'", 1,
              "0\n");
  expect_line("$H diff" DB "--db other.db --json", 0, "\"metric\": \"psnr_composite\"");
}
END_TEST

START_TEST(a_diff_says_what_it_lacks) {
  expect_line("$H diff 1" DB, 2, "it takes A and B, or two databases");
  expect_line("$H diff 1 99" DB, 4, "has no trial 99");
  expect_line("$H diff 1 exq" DB, 2, "did you mean exp?");
  expect_line("$H diff 1 train.mask_ratio=0.6" DB, 2, "no trial that is done fits");
  expect_line("$H diff 1 2" DB DB DB, 2, "one or two databases");
}
END_TEST

START_TEST(watching_needs_a_terminal) {
  expect_line("$H status --watch" DB "| cat", 0, "--watch draws on a terminal");
}
END_TEST

int main(void) {
  Suite *suite = suite_create("results");
  TCase *cases = tcase_create("results");
  tcase_add_checked_fixture(cases, run_sweep, scratch_teardown);
  tcase_set_timeout(cases, 120);
  tcase_add_test(cases, trials_are_picked_sorted_and_shown);
  tcase_add_test(cases, trials_are_sorted_by_what_was_measured);
  tcase_add_loop_test(cases, a_wrong_condition_is_said_and_nothing_is_written, 0,
                      sizeof refused / sizeof *refused);
  tcase_add_test(cases, the_best_point_and_its_rivals);
  tcase_add_test(cases, tags_and_notes_survive_an_import);
  tcase_add_test(cases, notes_at_once_are_all_kept);
  tcase_add_test(cases, any_text_is_listed);
  tcase_add_test(cases, a_damaged_note_is_left_out);
  tcase_add_test(cases, a_deleted_trial_stays_away);
  tcase_add_test(cases, a_deleted_trial_is_trained_anew_when_asked_for);
  tcase_add_test(cases, a_deleted_trial_is_taken_back_as_it_says);
  tcase_add_test(cases, a_trial_that_was_deleted_twice_comes_back_once);
  tcase_add_test(cases, all_trials_of_an_experiment_come_back);
  tcase_add_test(cases, an_import_forgets_only_what_has_gone);
  tcase_add_test(cases, a_whole_experiment_is_deleted_and_restored);
  tcase_add_test(cases, an_experiment_without_trials_is_deleted);
  tcase_add_test(cases, json_has_all_digits);
  tcase_add_test(cases, a_trial_that_is_held_is_not_deleted);
  tcase_add_test(cases, more_seeds_run_what_is_missing);
  tcase_add_test(cases, longer_training_starts_anew_and_says_why);
  tcase_add_test(cases, several_databases_are_read_as_one);
  tcase_add_test(cases, two_databases_are_told_apart);
  tcase_add_test(cases, a_pair_without_a_score_is_left_out_of_a_diff);
  tcase_add_test(cases, a_diff_is_of_what_both_know);
  tcase_add_test(cases, a_diff_says_what_it_lacks);
  tcase_add_test(cases, watching_needs_a_terminal);
  suite_add_tcase(suite, cases);
  return suite_run(suite);
}
