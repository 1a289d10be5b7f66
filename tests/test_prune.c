/* [prune]: what is refused, what the rules decide, and real sweeps that are pruned, stopped, moved
 * and set free again. */
#include <math.h>
#include <signal.h>

#include "harness/plan/plan.h"
#include "mae/base/error.h"
#include "tests/suite.h"
#include "tests/sweep.h"

#define SETTINGS                                                                                   \
  "[experiment]\nquestion = Which rate?\nx = train.blr\n"                                          \
  "[model]\nimage_size = 16\npatch_size = 4\nencoder = 32x2x2\ndecoder = 16x1x2\n"                 \
  "[train]\nbatch = 8\nsteps = 12\nwarmup_steps = 2\n"                                             \
  "[data]\ntrain_images = 16\n"                                                                    \
  "[eval]\nimages = 8\nbatch = 8\nevery = 4\n"                                                     \
  "[run]\ndevice = cpu\nthreads = 1\n"                                                             \
  "[sweep]\ntrain.blr = 0.0001, 0.3, 0.01, 0.1\nseeds = 1, 2\n"
#define HALVING "[prune]\nrule = halving\nmetric = psnr_masked\nsteps = 4, 8\n"

#define RUN(name) "run exp.ini --scale none --db " name ".db --out " name

static void shell(const char *command) {
  ck_assert_msg(system(command) == 0, "%s", command);
}

static void setup_prune(void) {
  setup();
  scratch_write("exp.ini", SETTINGS HALVING);
}

static void expect_from(const char *db, const char *sql, const char *rows) {
  char *got = query_db(db, sql);
  ck_assert_str_eq(got, rows);
  free(got);
}

static void expect_same(const char *a, const char *b, const char *sql) {
  char *one = query_db(a, sql), *two = query_db(b, sql);
  ck_assert_str_eq(one, two);
  ck_assert_str_ne(one, "");
  free(one);
  free(two);
}

/* The rule
 * ---------------------------------------------------------------------------------------*/

static const struct {
  const char *section, *where, *why;
} refusals[] = {
    {"rule = halving\nmetric = psnr_masked\nsteps = 4\nsetps = 8\n", ":29:9: [prune] setps",
     "unknown key"},
    {"metric = psnr_masked\nsteps = 4\n", ":26:10: [prune] metric", "there is no rule"},
    {"rule = halfing\nmetric = psnr_masked\nsteps = 4\n", ":26:8: [prune] rule", "\"halfing\""},
    {"rule = halving\nsteps = 4\n", ":26:8: [prune] rule", "needs metric = "},
    {"rule = median\nmetric = psnr_masked\n", ":26:8: [prune] rule", "needs steps = "},
    {"rule = halving\nmetric = psnr_maskd\nsteps = 4\n", ":27:10: [prune] metric",
     "unknown metric psnr_maskd; there are psnr_masked, "},
    {"rule = halving\nmetric = speed\nsteps = 4\n", ":27:10: [prune] metric", "train_loss"},
    {"rule = halving\nmetric = psnr_leaky\nsteps = 4\n", ":27:10: [prune] metric",
     "only train.norm_pix models have it"},
    {"rule = halving\nmetric = knn_mean\nsteps = 4\n", ":27:10: [prune] metric",
     "probe.method does not ask for it"},
    {"rule = halving\nmetric = psnr_masked\nsteps = 8, 4\n", ":28:9: [prune] steps",
     "steps must increase"},
    {"rule = halving\nmetric = psnr_masked\nsteps = 4, 4\n", ":28:9: [prune] steps",
     "steps must increase"},
    {"rule = halving\nmetric = psnr_masked\nsteps = 0\n", ":28:9: [prune] steps",
     "\"0\" is no step"},
    {"rule = halving\nmetric = psnr_masked\nsteps = 4,\n", ":28:9: [prune] steps",
     "\"\" is no step"},
    {"rule = halving\nmetric = psnr_masked\nsteps = 5\n", ":28:9: [prune] steps",
     "it must be a multiple of eval.every = 4"},
    {"rule = halving\nmetric = psnr_masked\nsteps = 4, 12\n", ":28:9: [prune] steps",
     "step 12 does not come before the end of trial run.seed=1 train.blr=0.0001, which has 12"},
    {"rule = halving\nmetric = psnr_masked\nsteps = 4\neta = 1\n", ":29:7: [prune] eta",
     "a whole number from 2 on"},
    {"rule = median\nmetric = psnr_masked\nsteps = 4\neta = 2\n", ":29:7: [prune] eta",
     "only rule = halving has one"},
    {"rule = median\nmetric = psnr_masked\nsteps = 4\nkeep = train.blr\n", ":29:8: [prune] keep",
     "is written key=value"},
    {"rule = median\nmetric = psnr_masked\nsteps = 4\nkeep = train.blr=x\n", ":29:8: [prune] keep",
     "train.blr"},
};

START_TEST(refuses) {
  char text[2048], said[512];
  snprintf(text, sizeof text, SETTINGS "[prune]\n%s", refusals[_i].section);
  scratch_write("exp.ini", text);
  expect_code(RUN("r"), EXIT_CONFIG, refusals[_i].why);
  snprintf(said, sizeof said, "exp.ini%s", refusals[_i].where);
  char *log = scratch_read("log");
  ck_assert_msg(strstr(log, said) != NULL, "expected to read '%s' in:\n%s", said, log);
  free(log);
  ck_assert_int_ne(access("r.db", F_OK), 0);
  /* Without the rule nothing of it matters, but a key that is none. */
  if (_i > 0) expect_code(RUN("r") " --no-prune --dry-run", 0, "8 trials");
}
END_TEST

/* The number of steps follows from the images only. */
START_TEST(steps_of_epochs_and_parts) {
  expect_code(RUN("r") " --set train.steps=0 --set train.epochs=4 --dry-run", EXIT_CONFIG,
              "step 8 does not come before the end of trial run.seed=1 train.blr=0.0001, which has "
              "8 steps");
  expect_code(RUN("r") " --part 1/2", EXIT_CONFIG, "run it without --part, or with --no-prune");
  expect_code(RUN("r") " --set prune.rule=none --part 1/2 --dry-run", 0, "of another part");
  expect_code(RUN("r") " --set prune.eta=4 --dry-run", 0,
              "1 of 4 settings go on at step 4, 1 of 1 at step 8; saves up to 50% of the work");
  ck_assert_int_eq(system(REAL " train exp.ini --out t 2> said"), EXIT_CONFIG << 8);
  shell("grep -q 'section \\[experiment\\] is for `harness run`' said");
}
END_TEST

#define NOTHING NAN
static const struct {
  PruneRule rule;
  int64_t eta;
  const char *metric;
  int count;
  double values[5];
  const char *stops;
} decisions[] = {
    {PRUNE_HALVING, 2, "psnr_masked", 4, {1, 4, 2, 3}, "1010"},
    {PRUNE_HALVING, 2, "loss", 4, {1, 4, 2, 3}, "0101"},
    {PRUNE_HALVING, 2, "psnr_masked", 5, {5, 1, 4, 2, 3}, "01010"}, /* rounded up */
    {PRUNE_HALVING, 3, "psnr_masked", 4, {1, 4, 2, 3}, "1010"},
    {PRUNE_HALVING, 4, "psnr_masked", 4, {1, 4, 2, 3}, "1011"},
    {PRUNE_HALVING, 2, "psnr_masked", 4, {3, 3, 3, 3}, "0011"}, /* the earlier first */
    {PRUNE_HALVING, 2, "loss", 4, {NOTHING, 4, INFINITY, 3}, "1010"},
    {PRUNE_HALVING, 2, "psnr_masked", 1, {3}, "0"},
    {PRUNE_MEDIAN, 2, "psnr_masked", 4, {1, 4, 2, 3}, "1010"},
    {PRUNE_MEDIAN, 2, "loss", 4, {1, 4, 2, 3}, "0101"},
    {PRUNE_MEDIAN, 2, "psnr_masked", 3, {0, 10, 6}, "100"}, /* of the others of 6: 5 */
    {PRUNE_MEDIAN, 2, "psnr_masked", 3, {0, 10, 4}, "101"},
    {PRUNE_MEDIAN, 2, "psnr_masked", 4, {3, 3, 3, 3}, "0000"}, /* not worse */
    {PRUNE_MEDIAN, 2, "psnr_masked", 3, {NOTHING, NOTHING, 1}, "110"},
    {PRUNE_MEDIAN, 2, "psnr_masked", 1, {3}, "0"},
};

START_TEST(decides) {
  char metric[32], stops[8] = "";
  snprintf(metric, sizeof metric, "%s", decisions[_i].metric);
  Prune prune = {.rule = decisions[_i].rule,
                 .eta = decisions[_i].eta,
                 .metric = metric,
                 .better = strcmp(metric, "loss") ? 1 : -1};
  PruneSetting settings[5] = {0};
  int count = decisions[_i].count, go_on = 0;
  for (int i = 0; i < count; i++) settings[i].value = decisions[_i].values[i];
  prune_decide(&prune, settings, count);
  for (int i = 0; i < count; i++) stops[i] = settings[i].stops ? '1' : '0';
  for (int i = 0; i < count; i++) go_on += !settings[i].stops;
  ck_assert_str_eq(stops, decisions[_i].stops);
  ck_assert_int_ge(go_on, prune_least(&prune, count) - (go_on == 1));
  ck_assert_int_le(go_on, prune_most(&prune, count));
}
END_TEST

/* Sweeps
 * -----------------------------------------------------------------------------------------*/

/* Everything that a pruned sweep ends with, but times and speeds. */
#define ENDS                                                                                       \
  "SELECT swept, status, error, psnr_masked, iif(status = 'done', state_sha256, ''), "             \
  "(SELECT max(step) || ' ' || state_sha256 FROM checkpoint WHERE checkpoint.trial = "             \
  "trials.trial) FROM trials ORDER BY swept"
#define NUMBERS                                                                                    \
  "SELECT swept, step, quantity, value FROM curves WHERE quantity <> 'images_per_second' "         \
  "ORDER BY 1, 3, 2"
#define BITS "SELECT swept, status, psnr_masked, state_sha256 FROM trials ORDER BY swept"
#define OUTCOMES "SELECT swept, status, error, psnr_masked FROM trials ORDER BY swept"
/* A line for each step at which a setting was left behind: by the numbers of a sweep without a
 * rule, and by the statuses of one with it. */
#define LOSERS                                                                                     \
  "WITH means AS (SELECT substr(swept, 12) AS setting, step, avg(value) AS mean FROM curves "      \
  "WHERE quantity = 'eval_psnr_masked' GROUP BY 1, 2), "                                           \
  "first AS (SELECT setting FROM means WHERE step = 4 ORDER BY mean DESC LIMIT 2), "               \
  "second AS (SELECT setting FROM means WHERE step = 8 AND setting IN first ORDER BY mean DESC "   \
  "LIMIT 1) "                                                                                      \
  "SELECT DISTINCT setting, iif(setting NOT IN first, '4', iif(setting NOT IN second, '8', '')) "  \
  "FROM means ORDER BY 1"
#define PRUNED                                                                                     \
  "SELECT DISTINCT substr(trials.swept, 12), (SELECT max(step) FROM pruning WHERE "                \
  "pruning.trial = trials.trial) FROM trials WHERE status = 'pruned' OR status = 'done' "          \
  "ORDER BY 1"

static void expect_shown(void) {
  expect_from("r.db", "SELECT n, settings FROM points WHERE metric = 'psnr_masked'",
              "2|train.blr=0.3\n");
  expect_code("status --db r.db", 0, "  pruned  ");
  expect_code("status exp --db r.db", 0, "at step 4 by halving: psnr_masked ");
  expect_code("show 1 --db r.db", 0, "pruned  run.seed=1 train.blr=0.0001");
  expect_code("list --db r.db --where status='pruned'", 0, "pruned");
  expect_code("best psnr_masked --db r.db", 0, "6 trials are pruned");
  expect_code("compare train.blr=0.01 train.blr=0.3 --db r.db", EXIT_CONFIG,
              "no trial that is done fits; trial 3 is pruned at step 4 by halving");
  expect_code("export latex --db r.db", 0,
              "left out because [prune] paused them early: 0.0001 (2), 0.01 (2), 0.1 (2)");
  expect_code("export markdown --db r.db", 0, "| 0.3 | 2 |");
  expect_code("export csv --db r.db", 0, "exp,1,pruned,1,");
  expect_code("report --db r.db --out r.html", 0, "r.html");
  shell("grep -q '2 of 8 planned trials are done, 6 are pruned' r.html");
}

START_TEST(halving_prunes_the_worst) {
  expect_code(RUN("whole") " --no-prune", 0, "done");
  expect_from("whole.db", "SELECT DISTINCT status FROM trials", "done\n");
  expect_code(RUN("r"), 0, "6 trials are pruned: paused with their checkpoints");
  expect_from("r.db", "SELECT status, count(*) FROM trials GROUP BY 1", "done|2\npruned|6\n");
  char *losers = query_db("whole.db", LOSERS), *pruned = query_db("r.db", PRUNED);
  ck_assert_str_eq(losers, pruned);
  free(losers);
  free(pruned);
  expect_shown();
  /* Again: nothing is left to do, and nothing is written. */
  shell("cat r/exp/*/launches.jsonl | wc -l > lines");
  expect_code(RUN("r"), 0, "6 are pruned; --no-prune continues them");
  expect_code(RUN("r") " --dry-run", 0, "6 trials are pruned already; all is decided");
  shell("cat r/exp/*/launches.jsonl | wc -l | cmp - lines");
  /* Two at a time, in an order of their own. */
  expect_code(RUN("two") " --jobs 2", 0, "6 trials are pruned");
  expect_same("r.db", "two.db", ENDS);
  /* `harness clean` takes no checkpoint that a trial can go on from. */
  expect_code("clean --db r.db --out r --keep none", 0, "freed");
  expect_code("import --db again.db --out r", 0, "8 trials");
  expect_same("r.db", "again.db", ENDS);
  /* Without the rule. */
  expect_code(RUN("r") " --no-prune", 0, "6 continue from their checkpoint");
  expect_same("whole.db", "r.db", BITS);
  expect_same("whole.db", "r.db", NUMBERS);
  expect_code("verify 1 --db r.db", 0, "bitwise");
}
END_TEST

/* A pruned trial's evidence holds, and its first steps come out again. */
START_TEST(a_pruned_trial_is_verified) {
  expect_code(RUN("r"), 0, "6 trials are pruned");
  expect_code("verify 1 --db r.db", EXIT_DATA, "trial 1 is not done");
  expect_code("verify 1 --db r.db --steps 4", 0, "bitwise");
  free(query_db("r.db", "UPDATE pruning SET reason = 'at will' WHERE trial = 1"));
  expect_code("verify 1 --db r.db --steps 4", 3, "pruning 1");
}
END_TEST

START_TEST(killed_and_moved_it_decides_the_same) {
  expect_code(RUN("r"), 0, "6 trials are pruned");
  pid_t child = start_harness(RUN("k"));
  wait_for("test $(ls -d k/exp/*/checkpoints/step-4 2> n | wc -l) -ge 3");
  kill(child, SIGKILL);
  ck_assert_int_eq(scratch_wait(child), 128 + SIGKILL);
  wait_for("for l in k/exp/*/lock; do flock -n $l true || exit 1; done"); /* the trainer it left */
  expect_code(RUN("moved") " --from k", 0, "6 trials are pruned");
  expect_same("r.db", "moved.db", ENDS);
  expect_code(RUN("k"), 0, "6 trials are pruned");
  expect_same("r.db", "k.db", ENDS);
  /* A bundle carries what was decided. */
  expect_code("export --bundle b.tar exp --results k", 0, "b.tar");
  expect_code(RUN("far") " --from b.tar", 0, "6 trials are pruned");
  expect_same("r.db", "far.db", ENDS);
  expect_from("far.db", "SELECT sum(attempts) FROM trials WHERE status = 'done' AND attempts < 3",
              "\n");
}
END_TEST

/* Another rule decides anew from what is there; who is through stays so. */
START_TEST(another_rule) {
  expect_code(RUN("r"), 0, "6 trials are pruned");
  expect_code(
      RUN("r") " --set prune.rule=median --set prune.steps=4 --set prune.keep=train.blr=1e-2", 0,
      "is pruned at step 4 by median");
  expect_from(
      "r.db",
      "SELECT swept, status FROM trials WHERE seed = 1 ORDER BY CAST(substr(swept, 22) AS REAL)",
      "run.seed=1 train.blr=0.0001|pruned\nrun.seed=1 train.blr=0.01|done\n"
      "run.seed=1 train.blr=0.1|done\nrun.seed=1 train.blr=0.3|done\n");
  expect_from("r.db", "SELECT DISTINCT substr(error, 1, 35) FROM trials WHERE status = 'pruned'",
              "at step 4 by median: psnr_masked 13\n");
}
END_TEST

/* With the fake trainer, whose training loss is the same in all settings: of equal ones the earlier
 * go on. */
#define RUN_FAKED(name, steps)                                                                     \
  RUN(name) " --set prune.metric=train_loss --set train.steps=" steps " --mae " FAKE

/* Repeated while the exit code says so, with sessions that get longer: a slow machine needs no more
 * of them than a fast one. */
START_TEST(a_time_limit_within_a_round) {
  int code = EXIT_TIME;
  setenv("FAKE_TRAINER", "slow", 1);
  expect_code(RUN_FAKED("r", "100"), 0, "6 trials are pruned");
  for (int seconds = 1; code == EXIT_TIME && seconds < 500; seconds *= 2) {
    char words[256];
    snprintf(words, sizeof words, RUN_FAKED("t", "100") " --time-limit %ds", seconds);
    code = harness(words);
    if (code == EXIT_TIME)
      expect_from("t.db",
                  "SELECT count(*) FROM trials WHERE status NOT IN ('interrupted', 'pending', "
                  "'pruned', 'done')",
                  "0\n");
  }
  ck_assert_int_eq(code, 0);
  expect_same("r.db", "t.db", OUTCOMES);
}
END_TEST

/* The worst, and tried again by the next run, which decides anew. */
START_TEST(a_failure_is_the_worst) {
  static const char run[] =
      RUN("r") " --set prune.metric=train_loss --set prune.steps=7 --set train.steps=20 "
               "--set sweep.seeds=1 --mae " FAKE;
  setenv("FAKE_TRAINER", "exit:3", 1);
  setenv("FAKE_ONLY", "blr = 0.3", 1);
  expect_code(run, 1, "1 failed; the same command runs them again");
  expect_from("r.db", "SELECT swept, status FROM trials ORDER BY trial",
              "run.seed=1 train.blr=0.0001|done\nrun.seed=1 train.blr=0.3|failed\n"
              "run.seed=1 train.blr=0.01|done\nrun.seed=1 train.blr=0.1|pruned\n");
  expect_from("r.db", "SELECT error FROM trials WHERE status = 'pruned'",
              "at step 7 by halving: train_loss 0.1260 is place 3 of 4, and 2 go on\n");
  unsetenv("FAKE_TRAINER");
  expect_code(run, 0, "trial 2  seed=1 blr=0.3  done");
  expect_from("r.db", "SELECT status FROM trials ORDER BY trial", "done\ndone\ndone\npruned\n");
}
END_TEST

/* Of two seeds one fails: the other alone is no match for two of another setting, although its loss
 * is the least. */
START_TEST(a_seed_that_fails_fails_the_setting) {
#define SEVEN                                                                                      \
  RUN("r") " --set prune.metric=train_loss --set prune.steps=7 --set train.steps=20 --mae " FAKE
  expect_code(SEVEN " --set sweep.seeds=2 --set train.blr=0.3,0.01,0.1", 0, "1 trial is pruned");
  setenv("FAKE_TRAINER", "exit:3", 1);
  setenv("FAKE_ONLY", "seed = 2", 1);
  expect_code(SEVEN, 1, "1 failed; the same command runs them again");
  expect_from("r.db", "SELECT error FROM trials WHERE swept = 'run.seed=1 train.blr=0.0001'",
              "at step 7 by halving: train_loss no number (a trial failed) is place 4 of 4, and 2 "
              "go on\n");
  unsetenv("FAKE_TRAINER");
  expect_code(SEVEN, 0, "trials are pruned");
  expect_from("r.db", "SELECT status, count(*) FROM trials WHERE swept LIKE '%=0.0001' GROUP BY 1",
              "done|2\n");
}
END_TEST

/* What failed behind the last step is tried again in the same run that brings new seeds there. */
START_TEST(a_later_failure_is_tried_beside_new_seeds) {
#define FOUR                                                                                       \
  RUN("r") " --set prune.metric=train_loss --set prune.steps=4 --set train.steps=20 --mae " FAKE
  setenv("FAKE_TRAINER", "exit:3", 1);
  setenv("FAKE_ONLY", "blr = 0.3", 1);
  expect_code(FOUR " --set sweep.seeds=1", 1, "1 failed; the same command runs them again");
  unsetenv("FAKE_TRAINER");
  expect_code(FOUR, 0, "trials are pruned");
  expect_from("r.db", "SELECT status, count(*) FROM trials GROUP BY 1", "done|4\npruned|4\n");
}
END_TEST

/* Two harnesses on one folder share the trials, wait for each other at each step, and decide the
 * same: each database has all of it. */
START_TEST(two_harnesses_decide_the_same) {
  setenv("FAKE_TRAINER", "slow:20", 1);
  pid_t first = start_harness(RUN_FAKED("r", "20")),
        second = start_harness(
            "run exp.ini --scale none --db s.db --out r --set prune.metric=train_loss "
            "--set train.steps=20 --mae " FAKE);
  ck_assert_int_eq(scratch_wait(first), 0);
  ck_assert_int_eq(scratch_wait(second), 0);
  expect_from("r.db", "SELECT status, count(*) FROM trials GROUP BY 1", "done|2\npruned|6\n");
  expect_same("r.db", "s.db", ENDS);
  shell("test $(cat r/exp/*/launches.jsonl | grep -c '\"pruned\"') = 6");
}
END_TEST

/* What is trained, decided and finished while a harness does not look is in its database too. The
 * first to start is kept by its first trial until the other waits for that one alone. */
START_TEST(what_another_harness_did_is_recorded) {
#define RUN_LATER(name)                                                                            \
  "run exp.ini --scale none --db " name ".db --out r --set prune.metric=train_loss "               \
  "--set prune.steps=8,16 --set train.steps=20 --mae " FAKE
  setenv("FAKE_TRAINER", "until:5:go", 1);
  pid_t first = start_harness(RUN_LATER("r"));
  wait_for("grep -q starts log");
  ck_assert_int_eq(rename("log", "first"), 0);
  unsetenv("FAKE_TRAINER");
  pid_t second = start_harness(RUN_LATER("s"));
  wait_for("grep -q 'waiting for 1 trial' log");
  kill(second, SIGSTOP);
  scratch_write("go", "");
  ck_assert_int_eq(scratch_wait(first), 0);
  kill(second, SIGCONT);
  ck_assert_int_eq(scratch_wait(second), 0);
  expect_from("r.db", "SELECT status, count(*) FROM trials GROUP BY 1", "done|2\npruned|6\n");
  expect_same("r.db", "s.db", ENDS);
  expect_same("r.db", "s.db", NUMBERS);
}
END_TEST

/* A harness without the rule finishes a trial that this one would pause. */
START_TEST(what_another_finished_is_not_pruned) {
  expect_code(RUN_LATER("r") " --set train.blr=0.3,0.01,0.1", 0, "4 trials are pruned");
  setenv("FAKE_TRAINER", "until:5:go", 1);
  pid_t first = start_harness(RUN_LATER("r"));
  wait_for("grep -q starts log");
  ck_assert_int_eq(rename("log", "first"), 0);
  unsetenv("FAKE_TRAINER");
  expect_code(RUN_LATER("s") " --no-prune --set train.blr=0.1 --set sweep.seeds=2", 0, "done");
  scratch_write("go", "");
  ck_assert_int_eq(scratch_wait(first), 0);
  shell("grep -q '^3 trials are pruned' first");
  shell("test $(cat r/exp/*/launches.jsonl | grep -c '\"pruned\".*step 8') = 5");
  expect_from("r.db", "SELECT status, count(*) FROM trials GROUP BY 1", "done|5\npruned|3\n");
}
END_TEST

/* One whose trial another harness finished while it waited for the others has not failed, where no
 * checkpoint of it is kept either. */
START_TEST(what_another_finished_is_compared) {
  setenv("FAKE_TRAINER", "until:5:go", 1);
  pid_t first = start_harness(RUN_LATER("r"));
  wait_for("grep -q starts log");
  unsetenv("FAKE_TRAINER");
  pid_t second = start_harness(RUN_LATER("s"));
  wait_for("grep -q 'waiting for 1 trial' log");
  kill(second, SIGTERM);
  ck_assert_int_ne(scratch_wait(second), 0);
  second = start_harness(RUN_LATER("s"));
  wait_for("grep -q 'waiting for 1 trial' log");
  ck_assert_int_eq(rename("log", "second"), 0);
  expect_code(RUN_LATER("t") " --no-prune --set train.blr=0.3 --set sweep.seeds=2", 0, "done");
  shell("rm -r $(dirname $(grep -l '\"status\":\"done\"' r/exp/*/events.jsonl))/checkpoints");
  scratch_write("go", "");
  ck_assert_int_eq(scratch_wait(first), 0);
  ck_assert_int_eq(scratch_wait(second), 0);
  shell("! grep 'blr=0.3  is pruned at step 8' second");
  expect_from("s.db", "SELECT status, count(*) FROM trials GROUP BY 1", "done|3\npruned|5\n");
}
END_TEST

int main(void) {
  Suite *suite = suite_create("prune");
  TCase *rule = tcase_create("rule");
  tcase_set_timeout(rule, 60);
  tcase_add_checked_fixture(rule, setup_prune, scratch_teardown);
  tcase_add_loop_test(rule, refuses, 0, sizeof refusals / sizeof *refusals);
  tcase_add_test(rule, steps_of_epochs_and_parts);
  tcase_add_loop_test(rule, decides, 0, sizeof decisions / sizeof *decisions);
  suite_add_tcase(suite, rule);
  TCase *sweeps = tcase_create("sweeps");
  tcase_set_timeout(sweeps, 500);
  tcase_add_checked_fixture(sweeps, setup_prune, scratch_teardown);
  tcase_add_test(sweeps, halving_prunes_the_worst);
  tcase_add_test(sweeps, a_pruned_trial_is_verified);
  tcase_add_test(sweeps, killed_and_moved_it_decides_the_same);
  tcase_add_test(sweeps, another_rule);
  suite_add_tcase(suite, sweeps);
  TCase *trouble = tcase_create("trouble");
  tcase_set_timeout(trouble, 300);
  tcase_add_checked_fixture(trouble, setup_prune, scratch_teardown);
  tcase_add_test(trouble, a_time_limit_within_a_round);
  tcase_add_test(trouble, a_failure_is_the_worst);
  tcase_add_test(trouble, a_seed_that_fails_fails_the_setting);
  tcase_add_test(trouble, a_later_failure_is_tried_beside_new_seeds);
  tcase_add_test(trouble, two_harnesses_decide_the_same);
  tcase_add_test(trouble, what_another_harness_did_is_recorded);
  tcase_add_test(trouble, what_another_finished_is_not_pruned);
  tcase_add_test(trouble, what_another_finished_is_compared);
  suite_add_tcase(suite, trouble);
  return suite_run(suite);
}
