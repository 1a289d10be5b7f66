/* A sweep that goes on elsewhere: its first session's results lie where nothing can be written, or
 * in one file. */
#include <signal.h>

#include "harness/run/incoming.h"
#include "mae/base/error.h"
#include "mae/base/io.h"
#include "tests/suite.h"
#include "tests/sweep.h"

static const char tiny[] = "[model]\n"
                           "image_size = 16\npatch_size = 4\n"
                           "encoder = 32x2x2\ndecoder = 16x1x2\n"
                           "[train]\n"
                           "batch = 8\nsteps = 40\n"
                           "[data]\ntrain_images = 16\n"
                           "[eval]\nimages = 8\nbatch = 8\n"
                           "[run]\n"
                           "device = cpu\nthreads = 1\ncheckpoint_every = 10\n"
                           "[sweep]\ntrain.mask_ratio = 0.5, 0.75\nseeds = 1, 2\n";

static void shell(const char *command) {
  ck_assert_msg(system(command) == 0, "%s", command);
}

#define RUN(name) "run exp.ini --scale none --db " name ".db --out " name
#define STATES                                                                                     \
  "SELECT config_hash, status, psnr_masked, state_sha256 FROM trials ORDER BY config_hash"

/* One session that ends the sweep, and one that is stopped on the way: in the folders `whole` and
 * `first`, the second of which is read-only from then on. */
static void setup_sessions(void) {
  setup();
  scratch_write("exp.ini", tiny);
  expect_code(RUN("whole"), 0, "done");
  expect_code(RUN("first") " --part 1/4", 0, "done");
  /* The second trial is stopped behind a checkpoint. */
  scratch_write("stopper", "#!/bin/sh\nexec \"$@\" --stop-after 15\n");
  shell("chmod +x stopper");
  expect_code(RUN("first") " --part 2/4 --set resources.launcher=./stopper", 1,
              "interrupted: stopped at step 15");
  shell("test $(cat first/exp/*/events.jsonl | grep -c '\"status\":\"interrupted\"') = 1");
  shell("chmod -R a-w first && find first -type f | sort | xargs md5sum > before");
}

static void expect_untouched(void) {
  shell("find first -type f | sort | xargs md5sum | cmp - before");
}

static void teardown_sessions(void) {
  shell("chmod -R u+w first");
  scratch_teardown();
}

static void expect_same(const char *db) {
  char *whole = query_db("whole.db", STATES), *other = query_db(db, STATES);
  ck_assert_str_eq(whole, other);
  ck_assert_ptr_nonnull(strstr(whole, "|done|"));
  free(whole);
  free(other);
}

START_TEST(ends_in_the_same_bits) {
  expect_code(RUN("next") " --from first --dry-run", 0, "done (--from)");
  shell("test ! -e next");
  expect_code(RUN("next") " --from first", 0, "taken from earlier results: 1 done, 1 to continue");
  expect_same("next.db");
  expect_untouched();
  char *resumed = query_db("next.db", "SELECT count(*) FROM attempts WHERE resumed_from = 15");
  ck_assert_str_eq(resumed, "1\n");
  free(resumed);
  expect_code("import --db rebuilt.db --out next", 0, "4 trials of next");
  expect_same("rebuilt.db");
  expect_code("verify 1 --db next.db", 0, "bitwise");
  expect_code("verify 2 --db next.db", 0, "bitwise");
  /* A third session has nothing left to take. */
  expect_code(RUN("next") " --from first", 0, "taken from earlier results: 0 done, 0 to continue");
}
END_TEST

/* The folder that holds the --out, and an experiment's own folder, will do as well. */
START_TEST(from_above_and_below) {
  shell("mkdir -p input/set && cp -r first input/set/results");
  expect_code(RUN("next") " --from input --part 1/4", 0, "1 done, 0 to continue");
  expect_code(RUN("other") " --from first/exp --part 1/4", 0, "1 done, 0 to continue");
}
END_TEST

/* Of two earlier sessions each trial is taken from where it is furthest. */
START_TEST(from_two_sessions) {
  expect_code(RUN("second") " --from first --part 2/4", 0, "done");
  expect_code(RUN("next") " --from second --from first", 0, "2 done, 0 to continue");
  expect_same("next.db");
}
END_TEST

/* What --out has less of is set aside, what it has more of stays. */
START_TEST(the_further_one_counts) {
  expect_code(RUN("next") " --part 2/4", 0, "done");
  expect_code(RUN("next") " --from first", 0, "1 done, 0 to continue");
  expect_same("next.db");
  setenv("FAKE_TRAINER", "crash", 1);
  expect_code(RUN("behind") " --part 1/4 --mae " FAKE, 1, "failed");
  expect_code(RUN("behind") " --from first --part 1/4", 0, "1 done, 0 to continue");
  shell("test -e behind/exp/*/superseded-1/launches.jsonl");
}
END_TEST

START_TEST(a_bundle_round_trip) {
  expect_code("export --bundle b.tar exp --results first", 0, "b.tar: 1 experiment, ");
  expect_untouched();
  expect_code(RUN("next") " --from b.tar --dry-run", 0, "to continue (--from)");
  expect_code(RUN("next") " --from b.tar", 0, "taken from earlier results: 1 done, 1 to continue");
  expect_same("next.db");
  shell("test \"$(ls -A next)\" = exp && test $(find next -name from.tmp | wc -l) = 0");
  /* Unpacked with tar it is an --out of its own. */
  shell("mkdir loose && tar -xf b.tar -C loose");
  expect_code("import --db loose.db --out loose", 0, "4 trials of loose");
}
END_TEST

/* A trial that is done somewhere else is not trained again by a build that did not make it. */
START_TEST(another_builds_trials) {
  shell("cp " REAL " other && echo >> other");
  expect_code(RUN("next") " --from first --mae ./other", EXIT_DATA,
              "--from first: all 2 trials of exp in it were made by another build of mae");
  expect_code(RUN("next") " --from first --mae ./other --any-build --dry-run", 0, "done (--from)");
}
END_TEST

/* Sessions of the fake trainer, for what does not depend on bits. */
static void setup_fake(void) {
  setup();
  expect_code("run exp.ini --scale none --db f.db --out first --part 1/4 --mae " FAKE, 0, "done");
  shell("chmod -R a-w first && find first -type f | sort | xargs md5sum > before");
}

#define NEXT "run exp.ini --scale none --db next.db --out next --mae " FAKE

static const struct Refusal {
  const char *prepare, *words;
  int code;
  const char *said;
} refusals[] = {
    {"true", NEXT " --from nowhere", EXIT_DATA, "--from nowhere: No such file"},
    {"mkdir empty", NEXT " --from empty", EXIT_DATA, "there are no results in it"},
    {"cp exp.ini else.ini", "run else.ini --scale none --db next.db --out next --from first",
     EXIT_DATA, "--from first holds nothing of else; it has exp"},
    {"true", NEXT " --from exp.ini", EXIT_DATA, "no bundle of `harness export --bundle`"},
    {HARNESS " export --bundle b.tar --results first > log && head -c 4096 b.tar > cut.tar",
     NEXT " --from cut.tar", EXIT_DATA, "it is cut short"},
    {"mkdir exp && ln -s /etc/passwd exp/sweep.json && tar -cf link.tar exp",
     NEXT " --from link.tar", EXIT_DATA, "no file and no folder"},
    {"mkdir x && tar -cf odd.tar x", NEXT " --from odd.tar", EXIT_DATA,
     "there is no experiment in it"},
    {"true", "run exp.ini --scale none --db n.db --out /proc/sys/kernel", EXIT_DATA,
     "--out must be a folder that can be written to"},
    {"true", "export --bundle b.tar other --results first", EXIT_CONFIG,
     "first has no experiment other"},
    {"true", "export --bundle no/b.tar --results first", EXIT_DATA, "no/b.tar"},
    {"true", "export --results first", EXIT_CONFIG, "which format?"}};

START_TEST(refuses) {
  shell(refusals[_i].prepare);
  expect_code(refusals[_i].words, refusals[_i].code, refusals[_i].said);
  shell("test ! -e next/exp");
  expect_untouched();
}
END_TEST

/* Neither a session that writes there nor one that takes the same trial is overrun. */
START_TEST(two_sessions_at_once) {
  shell("chmod -R u+w first");
  setenv("FAKE_TRAINER", "until:15:go", 1);
  pid_t child = start_harness("run exp.ini --scale none --db f.db --out first --mae " FAKE);
  wait_for("test $(grep -l '\"event\":\"work\"' first/exp/*/events.jsonl | wc -l) = 1");
  ck_assert_int_eq(rename("log", "its log"), 0);
  expect_code(NEXT " --from first", EXIT_DATA, "is being written: process ");
  expect_code("export --bundle b.tar --results first", EXIT_DATA, "is being written: process ");
  shell("test ! -e b.tar");
  unsetenv("FAKE_TRAINER");
  pid_t other = start_harness("run exp.ini --scale none --db g.db --out first --mae " FAKE);
  wait_for("grep -q 'waiting for 1 trial ' log");
  shell("grep -q 'is left for later: process ' log && touch go");
  ck_assert_int_eq(scratch_wait(other), 0);
  ck_assert_int_eq(scratch_wait(child), 0);
}
END_TEST

static int renames, last_rename;

static int die_at_rename(void *user, IoCall call, const char *path, size_t *size) {
  (void)user, (void)path, (void)size;
  if (call == IO_RENAME && ++renames == last_rename) raise(SIGKILL);
  return 0;
}

/* Takes the first trial from `first`, in a process that dies before a rename. */
_Noreturn static void take_and_die(void) {
  const char *items[] = {"first"};
  const CmdList given = {items, 1};
  JobBuild build = {.any = true};
  Incoming incoming;
  Plan plan;
  Job *jobs;
  Error e = {0};
  io_set_fault(die_at_rename, NULL);
  bool ok = plan_load(&plan, "exp.ini", NULL, NULL, 0, &e) &&
            jobs_create(&jobs, &plan, "next", &build, &e) &&
            incoming_open(&incoming, &given, &plan, 1, "next", false, &e) &&
            incoming_look(&incoming, &plan, jobs, &build, &e) &&
            incoming_take(&jobs[0], &build, &e);
  _exit(!ok);
}

/* Wherever a copy is killed, the next run with --from has all of the trial, and one without has a
 * whole trial too, trained anew or copied. */
START_TEST(a_copy_that_is_killed) {
  bool killed = true;
  for (last_rename = 1; killed; last_rename++) {
    int status;
    shell("rm -rf next next.db*");
    pid_t child = fork();
    if (child == 0) take_and_die();
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    killed = WIFSIGNALED(status);
    ck_assert(killed || WEXITSTATUS(status) == 0);
    shell("rm -rf alone && if test -e next; then cp -r next alone; fi");
    expect_code(NEXT " --part 1/4 --from first", 0, "done");
    shell("test -d next/exp/*/checkpoints/step-20");
    expect_code("run exp.ini --scale none --db alone.db --out alone --part 1/4 --mae " FAKE, 0,
                "done");
    shell("test -d alone/exp/*/checkpoints/step-20 && rm alone.db*");
    shell("test $(cat alone/exp/*/events.jsonl | grep -c '\"event\":\"step\"') = 20");
  }
  ck_assert_int_gt(last_rename, 5);
  expect_untouched();
}
END_TEST

int main(void) {
  Suite *suite = suite_create("elsewhere");
  TCase *cases = tcase_create("elsewhere");
  tcase_set_timeout(cases, 120);
  tcase_add_checked_fixture(cases, setup_sessions, teardown_sessions);
  tcase_add_test(cases, ends_in_the_same_bits);
  tcase_add_test(cases, from_above_and_below);
  tcase_add_test(cases, from_two_sessions);
  tcase_add_test(cases, the_further_one_counts);
  tcase_add_test(cases, a_bundle_round_trip);
  tcase_add_test(cases, another_builds_trials);
  suite_add_tcase(suite, cases);
  TCase *fake = tcase_create("fake trainer");
  tcase_set_timeout(fake, 120);
  tcase_add_checked_fixture(fake, setup_fake, teardown_sessions);
  tcase_add_loop_test(fake, refuses, 0, sizeof refusals / sizeof *refusals);
  tcase_add_test(fake, two_sessions_at_once);
  tcase_add_test(fake, a_copy_that_is_killed);
  suite_add_tcase(suite, fake);
  return suite_run(suite);
}
