/* What both programs do in the surroundings that shells and batch systems make for them: standard
 * streams that are full or closed, limits, ignored signals, OpenMP's variables. */
#include <sched.h>
#include <signal.h>

#include "tests/scratch.h"
#include "tests/suite.h"

#define MAE PROGRAM_DIR "/mae"
#define HARNESS PROGRAM_DIR "/harness"
#define FAKE PROGRAM_DIR "/../tests/fake_trainer"
#define TINY                                                                                       \
  "--set data.cache=cache --set data.train_images=32 --set run.device=cpu --set run.threads=1 "    \
  "--set model.image_size=16 --set model.patch_size=4 --set model.encoder=16x1x1 "                 \
  "--set model.decoder=16x1x1 --set train.batch=16 --set eval.images=8 --set train.steps=4"
#define BENCH                                                                                      \
  "bench --steps 1 --warmup 0 --set run.device=cpu --set model.image_size=16 "                     \
  "--set model.patch_size=4 --set model.encoder=16x1x1 --set model.decoder=16x1x1 "                \
  "--set train.batch=4"
#define SWEEP "run exp.ini --scale none --db r.db --out out --mae " FAKE

static void setup(void) {
  scratch_setup();
  scratch_write("exp.ini", "[experiment]\nquestion = Does it last?\n[train]\nbatch = 8\n"
                           "[sweep]\ntrain.mask_ratio = 0.5, 0.75\n");
  unsetenv("FAKE_TRAINER");
  unsetenv("FAKE_ONLY");
}

/* Runs a line of the shell; what it prints goes to the file `log`. */
static int shell(const char *line) {
  const char *argv[] = {"/bin/sh", "-c", line, NULL};
  return scratch_wait(scratch_start(argv, "log"));
}

static void expect(const char *line, int code, const char *said) {
  int got = shell(line);
  char *log = scratch_read("log");
  ck_assert_msg(got == code, "%s: exit code %d, expected %d:\n%s", line, got, code, log);
  ck_assert_msg(strstr(log, said) != NULL, "%s: expected to read '%s' in:\n%s", line, said, log);
  free(log);
}

/* Standard output ------------------------------------------------------------------------------*/

/* Every command that prints results; none of them may end with 0 when these are lost. */
static const char *const printing[] = {
    MAE " --version",
    MAE " --help",
    MAE " train --help",
    MAE " config",
    MAE " config --hash",
    MAE " config --help data.path",
    MAE " data info " TINY,
    MAE " data info --json " TINY,
    MAE " data pack " TINY,
    MAE " eval --checkpoint run",
    MAE " eval --checkpoint run --json",
    MAE " export run/checkpoints/step-4/model.safetensors --format timm --out exported",
    MAE " " BENCH,
    MAE " " BENCH " --json",
    MAE " " BENCH " --profile",
    HARNESS " --version",
    HARNESS " --help",
    HARNESS " status --help",
    HARNESS " " SWEEP,
    HARNESS " " SWEEP " --json",
    HARNESS " " SWEEP " --dry-run --set run.seed=5",
    HARNESS " " SWEEP " --dry-run --json --set run.seed=5",
    HARNESS " status --db r.db",
    HARNESS " status --json --db r.db",
    HARNESS " show 1 --db r.db",
    HARNESS " show 1 --json --db r.db",
    HARNESS " compare train.mask_ratio=0.5 train.mask_ratio=0.75 --db r.db",
    HARNESS " compare train.mask_ratio=0.5 train.mask_ratio=0.75 --json --db r.db",
};
enum { PRINTING = sizeof printing / sizeof *printing };

static void make_results(void) {
  expect(MAE " train --quiet --out run " TINY, 0, "");
  expect(HARNESS " " SWEEP, 0, "done");
}

START_TEST(output_on_a_full_disk_is_an_error) {
  char line[1024];
  make_results();
  for (int i = 0; i < PRINTING; i++) {
    expect(printing[i], 0, "");
    snprintf(line, sizeof line, "rm -rf exported; %s >/dev/full", printing[i]);
    expect(line, 4, "standard output: ");
    char *log = scratch_read("log"), *said = strstr(log, "standard output: ");
    ck_assert_msg(!strstr(said + 1, "standard output") && !strstr(log, "written") &&
                      !strstr(log, "out of memory"),
                  "%s: says it more than once: %s", line, log);
    free(log);
  }
  expect(MAE " config >/dev/full", 4, "mae config: standard output: No space left on device\n");
  expect(HARNESS " --version >/dev/full", 4, "harness: standard output: No space left on device\n");
}
END_TEST

/* An exit code that says more is kept. */
START_TEST(another_failure_keeps_its_code) {
  setenv("FAKE_TRAINER", "exit:3", 1);
  expect(HARNESS " " SWEEP " >/dev/full", 1, "harness run: standard output: No space left");
}
END_TEST

START_TEST(output_that_is_closed_is_an_error) {
  make_results();
  expect(MAE " config >&-", 4, "mae config: standard output: Bad file descriptor");
  expect(HARNESS " status --db r.db >&-", 4, "standard output: Bad file descriptor");
  /* What prints nothing loses nothing. */
  expect(MAE " train --quiet --out quiet " TINY " >&-", 0, "");
}
END_TEST

/* Closed streams -------------------------------------------------------------------------------*/

/* The first files that are opened must not become standard error. */
START_TEST(closed_streams_stay_out_of_files) {
  const char *const streams[] = {"2>&-", "<&- 2>&-", "<&- >/dev/null 2>&-"};
  char line[1024];
  for (int i = 0; i < 3; i++) {
    snprintf(line, sizeof line, MAE " train --out run%d " TINY " %s", i, streams[i]);
    expect(line, 0, "");
    snprintf(line, sizeof line,
             "! grep -v '^{.*}$' run%d/events.jsonl && grep -c '\"event\":\"step\"' "
             "run%d/events.jsonl && ! grep -rl 'encoder + ' run%d cache",
             i, i, i);
    expect(line, 0, "4\n");
    snprintf(line, sizeof line,
             HARNESS " run exp.ini --scale none --db r%d.db --out out%d --mae " FAKE " %s", i, i,
             streams[i]);
    expect(line, 0, "");
    /* Nothing that the sweep tells its user is in its database, its locks or its folders. */
    snprintf(line, sizeof line, "! grep -rl 'trials run on' out%d r%d.db*", i, i);
    expect(line, 0, "");
    snprintf(line, sizeof line, HARNESS " status --json --db r%d.db", i);
    expect(line, 0, "\"done\": 2");
  }
}
END_TEST

/* Limits and signals ---------------------------------------------------------------------------*/

/* `ulimit -f` counts blocks of 512 or 1024 bytes: the pack fits into neither of these. */
START_TEST(a_limit_on_files_is_an_error_with_a_name) {
  expect("ulimit -f 8; exec " MAE " train --quiet --out run " TINY, 4, "File too large");
  expect(MAE " train --quiet --out run " TINY, 0, "");
  expect("ulimit -f 8; exec " HARNESS " " SWEEP, 4, "r.db: ");
}
END_TEST

/* Sends SIGHUP once a file holds some text, and returns the exit code. */
static int hang_up(pid_t child, const char *file, const char *text) {
  bool there = false;
  for (int i = 0; !there && i < 3000; i++) {
    char *now = scratch_read(file);
    there = strstr(now, text) != NULL;
    free(now);
    if (!there) usleep(10000);
  }
  ck_assert_msg(there, "no '%s' in %s", text, file);
  kill(child, SIGHUP);
  return scratch_wait(child);
}

#define LONG MAE " train --quiet --out run " TINY " --set train.steps=400"

START_TEST(nohup_is_respected_by_a_training_run) {
  const char *ignoring[] = {"/bin/sh", "-c", "trap '' HUP; exec " LONG, NULL};
  const char *plain[] = {"/bin/sh", "-c", "trap - HUP; exec " LONG " --set train.steps=100000",
                         NULL};
  ck_assert_int_eq(
      hang_up(scratch_start(ignoring, "log"), "run/events.jsonl", "\"event\":\"step\""), 0);
  expect("grep -c '\"event\":\"step\"' run/events.jsonl; rm -r run", 0, "400");
  ck_assert_int_eq(hang_up(scratch_start(plain, "log"), "run/events.jsonl", "\"event\":\"step\""),
                   128 + SIGHUP);
}
END_TEST

START_TEST(nohup_is_respected_by_a_sweep) {
  const char *ignoring[] = {"/bin/sh", "-c", "trap '' HUP; exec " HARNESS " " SWEEP, NULL};
  setenv("FAKE_TRAINER", "slow:5", 1);
  ck_assert_int_eq(hang_up(scratch_start(ignoring, "log"), "log", "trials run on"), 0);
  expect(HARNESS " " SWEEP, 0, "2 of 2 trials are done already");
}
END_TEST

/* Threads --------------------------------------------------------------------------------------*/

static int count_cpus(void) {
  cpu_set_t allowed;
  ck_assert_int_eq(sched_getaffinity(0, sizeof allowed, &allowed), 0);
  return CPU_COUNT(&allowed);
}

/* The surroundings; how many threads they give, 0: one for each CPU. */
static const struct {
  const char *variables, *setting;
  int threads;
} places[] = {
    {"", "", 0},
    {"OMP_PROC_BIND=true", "", 0},
    {"OMP_PROC_BIND=close", "", 0},
    {"OMP_PLACES=threads", "", 0},
    {"OMP_PROC_BIND=spread OMP_PLACES=threads OMP_NUM_THREADS=3", "", 3},
    {"OMP_NUM_THREADS=1", "", 1},
    {"OMP_NUM_THREADS=3,2", "", 3},
    {"OMP_NUM_THREADS=1 OMP_PROC_BIND=true", "run.threads=2", 2},
    {"OMP_THREAD_LIMIT=1", "", 1},
    {"OMP_PROC_BIND=true", "run.threads=5", 5},
};

START_TEST(threads_are_said_and_obeyed) {
  char line[1024], said[64];
  int threads = places[_i].threads ? places[_i].threads : count_cpus();
  const char *set = *places[_i].setting ? "--set " : "", *setting = places[_i].setting;
  snprintf(line, sizeof line, "%s " MAE " " BENCH " %s%s", places[_i].variables, set, setting);
  snprintf(said, sizeof said, "; %d thread%s\n", threads, threads > 1 ? "s" : "");
  expect(line, 0, said);
  snprintf(line, sizeof line, "%s " MAE " " BENCH " --json %s%s", places[_i].variables, set,
           setting);
  snprintf(said, sizeof said, "\"threads\": %d", threads);
  expect(line, 0, said);
  snprintf(line, sizeof line, "%s " MAE " train --out run " TINY " --set run.threads=0 %s%s",
           places[_i].variables, set, setting);
  snprintf(said, sizeof said, ", %d thread%s\n", threads, threads > 1 ? "s" : "");
  expect(line, 0, said);
  snprintf(said, sizeof said, "\"threads\":%d,", threads);
  expect("cat run/events.jsonl", 0, said);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("surroundings");
  TCase *cases = tcase_create("streams and signals");
  tcase_set_timeout(cases, 300);
  tcase_add_checked_fixture(cases, setup, scratch_teardown);
  tcase_add_test(cases, output_on_a_full_disk_is_an_error);
  tcase_add_test(cases, another_failure_keeps_its_code);
  tcase_add_test(cases, output_that_is_closed_is_an_error);
  tcase_add_test(cases, closed_streams_stay_out_of_files);
  tcase_add_test(cases, a_limit_on_files_is_an_error_with_a_name);
  tcase_add_test(cases, nohup_is_respected_by_a_training_run);
  tcase_add_test(cases, nohup_is_respected_by_a_sweep);
  suite_add_tcase(suite, cases);

  TCase *threads = tcase_create("threads");
  tcase_set_timeout(threads, 120);
  tcase_add_checked_fixture(threads, setup, scratch_teardown);
  tcase_add_loop_test(threads, threads_are_said_and_obeyed, 0, sizeof places / sizeof *places);
  suite_add_tcase(suite, threads);
  return suite_run(suite);
}
