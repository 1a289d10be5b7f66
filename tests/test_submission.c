/* What a sweep handed to Slurm comes to, without one: the options, the time, the job script run by
 * hand, refusals, and what is told of it. The programs of Slurm are played by scripts that note how
 * they were called; a real one is in test_slurm.c. */
#include <math.h>
#include <signal.h>

#include "harness/slurm/options.h"
#include "harness/slurm/slurm.h"
#include "harness/slurm/submission.h"
#include "mae/base/error.h"
#include "tests/suite.h"
#include "tests/sweep.h"

/* ---- Options ---- */

START_TEST(times_as_slurm_writes_them) {
  static const struct Time {
    const char *text;
    double seconds; /* 0: none */
  } times[] = {
      {"90", 5400},
      {"1:30", 90},
      {"1:30:00", 5400},
      {"2-12", 216000},
      {"2-12:30", 217800},
      {"1-0:0:1", 86401},
      {"UNLIMITED", INFINITY},
      {"0", INFINITY},
      {"", 0},
      {"-5", 0},
      {"1:", 0},
      {"1:2:3:4", 0},
      {"1-", 0},
      {"-1:00", 0},
      {"12h", 0},
      {"1-2-3", 0},
  };
  for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
    double seconds = 0;
    bool ok = slurm_time_parse(times[i].text, &seconds);
    ck_assert_msg(ok == (times[i].seconds > 0), "%s", times[i].text);
    if (ok) ck_assert_msg(seconds == times[i].seconds, "%s: %g", times[i].text, seconds);
  }
}
END_TEST

static const CmdOption own[] = {{"--dry-run", CMD_FLAG, NULL, NULL, ""}};

static bool read_options(SlurmOptions *options, const char *words, Error *e) {
  static const char *items[16];
  static char text[512];
  CmdList list = {items, 0};
  snprintf(text, sizeof text, "%s", words);
  for (char *word = strtok(text, " "); word; word = strtok(NULL, " ")) items[list.count++] = word;
  return slurm_options_read(options, &list, own, 1, e);
}

START_TEST(options_that_are_read) {
  SlurmOptions options;
  Error e = {0};
  unsetenv("SBATCH_TIMELIMIT");
  unsetenv("SBATCH_PARTITION");
  ck_assert(read_options(&options, "-p gpu --gpus=1 -t1:00:00 -A me --array 1-16%4 -J name", &e));
  ck_assert_int_eq(options.parts, 16);
  ck_assert_int_eq(options.at_once, 4);
  ck_assert(options.seconds == 3600);
  ck_assert_str_eq(options.partition, "gpu");
  ck_assert(options.named && !options.logged);
  ck_assert_int_eq(options.all.count, 8); /* all but the array */
  ck_assert_int_eq(options.import.count, 4);
  ck_assert_str_eq(options.import.items[3], "me");
  slurm_options_free(&options);
  setenv("SBATCH_TIMELIMIT", "30", 1);
  ck_assert(read_options(&options, "", &e));
  ck_assert(options.seconds == 1800);
  slurm_options_free(&options);
  unsetenv("SBATCH_TIMELIMIT");
}
END_TEST

static const struct Refused {
  const char *words, *said;
} refused[] = {
    {"--array=0-7", "expected 1-N or 1-N%M"},
    {"--array=1,2", "expected 1-N or 1-N%M"},
    {"--array=1-4%0", "expected 1-N or 1-N%M"},
    {"--array=1-4:2", "expected 1-N or 1-N%M"},
    {"-a", "-a needs a value"},
    {"--time=soon", "expected a time as Slurm writes it"},
    {"--signal=TERM@60", "the job script needs it"},
    {"--no-requeue", "queues itself again"},
    {"--wrap=date", "the job script is written here"},
    {"--dry-run", "--dry-run stands behind --slurm"},
    {"-p gpu exp.ini", "FILEs belong before it"},
    {"exp.ini", "FILEs belong before it"},
};

START_TEST(options_that_are_refused) {
  SlurmOptions options;
  Error e = {0};
  /* A word behind a short option with its value is none of it; behind an unknown one it may be. */
  bool ok = read_options(&options, refused[_i].words, &e);
  ck_assert_msg(!ok, "%s", refused[_i].words);
  ck_assert_int_eq(e.code, EXIT_CONFIG);
  ck_assert_msg(strstr(e.message, refused[_i].said) != NULL, "%s", e.message);
  slurm_options_free(&options);
}
END_TEST

#define PARTITIONS                                                                                 \
  "PartitionName=short AllowGroups=ALL Default=YES DefaultTime=00:30:00 MaxTime=04:00:00 "         \
  "Nodes=n\n"                                                                                      \
  "PartitionName=long Default=NO DefaultTime=NONE MaxTime=2-00:00:00\n"                            \
  "PartitionName=free Default=NO DefaultTime=NONE MaxTime=UNLIMITED\n"

START_TEST(limits_of_partitions) {
  SlurmLimit limit;
  Error e = {0};
  ck_assert(slurm_limit_read(&limit, PARTITIONS, NULL, &e));
  ck_assert(limit.seconds == 1800 && limit.most == 4 * 3600);
  ck_assert_str_eq(limit.what, "DefaultTime 00:30:00 of partition short; --time=... asks for "
                               "another, MaxTime is 04:00:00");
  ck_assert(slurm_limit_read(&limit, PARTITIONS, "long", &e) && limit.seconds == 2 * 86400);
  ck_assert(slurm_limit_read(&limit, PARTITIONS, "long,short", &e) && limit.seconds == 1800);
  ck_assert(slurm_limit_read(&limit, PARTITIONS, "free", &e) && isinf(limit.seconds));
  ck_assert(!slurm_limit_read(&limit, PARTITIONS, "none", &e));
  ck_assert_int_eq(e.code, EXIT_DATA);
  ck_assert(!slurm_limit_read(&limit, "", NULL, &e));
  ck_assert_ptr_nonnull(strstr(e.message, "no default partition"));
}
END_TEST

START_TEST(arrays_name_what_is_to_be_done) {
  const bool busy[] = {true, false, true, true, true, false, false, true};
  char *text = submission_array(busy, 8, 2);
  ck_assert_str_eq(text, "1,3-5,8%2");
  free(text);
}
END_TEST

/* ---- Submitting ---- */

static void write_program(const char *name, const char *text) {
  char path[64];
  snprintf(path, sizeof path, "bin/%s", name);
  scratch_write(path, text);
  ck_assert_int_eq(chmod(path, 0755), 0);
}

/* The folder has a name that a shell would take apart. */
static void setup_fake_slurm(void) {
  setup();
  ck_assert_int_eq(mkdir("it's a folder", 0755), 0);
  ck_assert_int_eq(chdir("it's a folder"), 0);
  scratch_write("exp.ini", experiment);
  ck_assert_int_eq(mkdir("bin", 0755), 0);
  write_program("sbatch",
                "#!/bin/sh\n"
                "echo \"sbatch $*\" >>calls\n"
                "case \"$*\" in\n"
                "--version) exit 0 ;;\n"
                "*import.sh) [ ! -e no_import ] || { echo 'sbatch: error: no' >&2; exit 1; }\n"
                "  echo 18 ;;\n"
                "*) [ ! -e no_array ] || { echo 'sbatch: error: no GPU' >&2; exit 1; }\n"
                "  echo '17;cluster' ;;\n"
                "esac\n");
  write_program("scontrol", "#!/bin/sh\n"
                            "echo \"scontrol $*\" >>calls\n"
                            "[ \"$1\" != --oneliner ] || cat partitions\n"
                            "[ \"$1\" != requeue ] || [ ! -e no_requeue ]\n");
  write_program("squeue", "#!/bin/sh\n"
                          "[ -e queue ] || { echo 'squeue: error: no controller' >&2; exit 1; }\n"
                          "cat queue\n");
  scratch_write("partitions", PARTITIONS);
  scratch_write("queue", "");
  char *path = string_format("%s/it's a folder/bin:%s", scratch, getenv("PATH"));
  setenv("PATH", path, 1);
  free(path);
}

#define SUBMIT RUN_FAKE " --slurm"

static bool said(const char *file, const char *text) {
  char *content = scratch_read(file);
  bool found = strstr(content, text) != NULL;
  if (!found) fprintf(stderr, "no '%s' in %s:\n%s\n", text, file, content);
  free(content);
  return found;
}

START_TEST(what_is_submitted) {
  expect_code(RUN_FAKE " --dry-run --slurm --gpus=1", 0, "slurm/1/job.sh would be");
  ck_assert(said("log", "#SBATCH --array=1-4\n"));
  ck_assert_int_ne(access("out", F_OK), 0);
  expect_code(RUN_FAKE " --time-limit 90s --keep-going 2 --slurm --gpus=1 --qos=low", 0,
              "submitted: job 17, tasks 1-4; then job 18, the import");
  ck_assert(said("log", "DefaultTime 00:30:00 of partition short"));
  ck_assert(said("calls", " --gpus=1 --qos=low --array=1-4 --requeue --time=30 "
                          "--signal=B:USR1@60 "));
  ck_assert(said("calls", " --qos=low --dependency=afterany:17 "));
  ck_assert(said("out/slurm/1/job.sh", "#SBATCH --gpus=1\n#SBATCH --qos=low\n"));
  ck_assert(said("out/slurm/1/job.sh", "--keep-going 2"));
  ck_assert(said("out/slurm/1/job.sh", "--time-limit 90s"));
  char *job = scratch_read("out/slurm/1/job.sh");
  ck_assert_ptr_null(strstr(job, "--timeout")); /* as it is without it */
  free(job);
  ck_assert(said("out/slurm/1/exp.ini", experiment));
  ck_assert_int_eq(system("! command -v shellcheck || shellcheck out/slurm/1/*.sh"), 0);
  expect_rows("SELECT count(*) FROM trials WHERE status = 'pending'", "4\n");
  /* Only the parts with something left. */
  expect_code(RUN_FAKE " --part 2/4 --db p.db", 0, "done");
  expect_code(SUBMIT " --array=1-4%2", 0, "tasks 1,3-4%2");
}
END_TEST

START_TEST(what_slurm_refuses) {
  scratch_write("no_array", "");
  expect_code(SUBMIT, EXIT_DATA, "sbatch ended with exit code 1: sbatch: error: no GPU");
  ck_assert_int_ne(access("out/slurm/1", F_OK), 0);
  unlink("no_array");
  scratch_write("no_import", "");
  expect_code(SUBMIT, EXIT_DATA,
              "the array is submitted as job 17, but the import after it is not: sbatch ended");
  ck_assert(said("log", "harness import --out out --db r.db"));
  scratch_write("queue", "17_2 RUNNING None\n");
  expect_code(SUBMIT, EXIT_CONFIG, "job 17 of an earlier --slurm is still at this sweep");
  scratch_write("partitions", "");
  expect_code(SUBMIT, EXIT_DATA, "no default partition");
}
END_TEST

START_TEST(what_does_not_go_together) {
  expect_code("run exp.ini --slurm", EXIT_CONFIG, "--slurm needs --scale");
  expect_code(RUN_FAKE " --part 1/2 --slurm", EXIT_CONFIG, "--slurm makes the parts itself");
  expect_code(RUN_FAKE " --json --slurm", EXIT_CONFIG, "give one of them");
  expect_code("run --scale none --slurm exp.ini", EXIT_CONFIG, "all that follows --slurm is");
  scratch_write("bad.ini", "[train]\nbach = 3\n");
  expect_code("run bad.ini --scale none --db r.db --out out --mae " FAKE " --slurm", EXIT_CONFIG,
              "bad.ini:2");
  ck_assert_int_ne(access("calls", F_OK), 0); /* nothing was asked of Slurm */
  expect_code(RUN_FAKE " --time-limit 31m --slurm", EXIT_CONFIG, "Slurm ends a task after 1800 s");
  setenv("PATH", "/nowhere", 1);
  expect_code(SUBMIT, EXIT_DATA, "is Slurm installed, and on the PATH?");
  expect_code(RUN_FAKE " --dry-run --slurm", 0, "note: the program sbatch cannot be started");
}
END_TEST

/* The copies of both would have one name. */
START_TEST(two_files_of_one_name) {
  ck_assert_int_eq(system("mkdir other && echo '[experiment]\nname = other' > other/exp.ini"), 0);
  expect_code("run exp.ini other/exp.ini --scale none --db r.db --out out --mae " FAKE " --slurm",
              EXIT_CONFIG, "two FILEs are called exp.ini");
}
END_TEST

/* What `harness status` says, with one blank where there are several. */
static void expect_status(const char *text) {
  ck_assert_int_eq(harness("status --db r.db"), 0);
  ck_assert_int_eq(system("tr -s ' ' <log >squeezed"), 0);
  ck_assert(said("squeezed", text));
}

/* ---- The job script ---- */

static pid_t start_part(const char *part) {
  static const char *const argv[] = {"/bin/bash", "out/slurm/1/job.sh", NULL};
  setenv("SLURM_ARRAY_JOB_ID", "17", 1);
  setenv("SLURM_ARRAY_TASK_ID", part, 1);
  setenv("TMPDIR", scratch, 1);
  unlink("log");
  return scratch_start(argv, "log");
}

static void expect_part(const char *part, int code, const char *note) {
  int got = scratch_wait(start_part(part));
  char *log = scratch_read("log");
  ck_assert_msg(got == code, "%d, expected %d:\n%s", got, code, log);
  free(log);
  char *state = string_format("out/slurm/1/part-%s.state", part);
  ck_assert(said(state, note));
  free(state);
}

START_TEST(a_part_to_its_end) {
  expect_code(SUBMIT, 0, "submitted");
  expect_part("1", 0, "Z 17_1 ended 0\n");
  ck_assert_int_ne(system("ls -A .. | grep -q maebench"), 0); /* its database has gone */
  setenv("FAKE_TRAINER", "crash", 1);
  expect_part("2", 1, "Z 17_2 ended 1\n");
  unlink("queue");
  expect_status(
      "Slurm cannot be asked (squeue ended with exit code 1: squeue: error: no controller)");
  expect_status(" done 1 17_1 -");
  expect_status(" failed 1 17_2 -");
  expect_status(" queued 2 17_[3-4] -");
  expect_status(" queued import 18 -");
  scratch_write("queue", "17_3 RUNNING None\n17_4 PENDING Priority\n18 PENDING Dependency\n");
  expect_status(" running 1 17_3 -");
  expect_status(" queued 1 17_4 Priority");
  expect_status(" queued import 18 Dependency");
  scratch_write("queue", "");
  expect_status(" gone 2 17_[3-4] -");
  ck_assert_int_eq(system("bash out/slurm/1/import.sh"), 0);
  ck_assert(said("out/slurm/1/import.state", " ended 0\n"));
  expect_rows("SELECT status, count(*) FROM trials GROUP BY status",
              "done|1\nfailed|1\npending|2\n");
  /* A record with a part that cannot be is none. */
  ck_assert(said("squeezed", "out/slurm/1 exp"));
  ck_assert_int_eq(system("sed -i '/\"tasks\"/s/\\[/[0,/' out/slurm/1/submission.json"), 0);
  ck_assert_int_eq(harness("status --db r.db"), 0);
  ck_assert(!said("log", "out/slurm/1"));
}
END_TEST

/* What is done in an earlier session is taken by a part of its own. */
START_TEST(a_part_that_takes_what_is_done) {
  expect_code("run exp.ini --scale none --db e.db --out earlier --part 1/4 --mae " FAKE, 0, "done");
  expect_code(RUN_FAKE " --from earlier --slurm", 0, "tasks 1-4; then job 18");
  expect_rows("SELECT status, count(*) FROM trials GROUP BY status", "pending|4\n");
  expect_part("1", 0, "Z 17_1 ended 0\n");
  ck_assert(said("log", "taken from earlier results: 1 done"));
  ck_assert_int_eq(system("bash out/slurm/1/import.sh"), 0);
  expect_rows("SELECT status, count(*) FROM trials GROUP BY status", "done|1\npending|3\n");
}
END_TEST

/* The time is over: queued again by the name of its task, not by the number of the whole array. */
START_TEST(a_part_that_is_queued_again) {
  setenv("FAKE_TRAINER", "slow:3000", 1);
  expect_code(RUN_FAKE " --time-limit 2s --slurm", 0, "submitted");
  expect_part("1", EXIT_TIME, "Z 17_1 requeued");
  ck_assert(said("calls", "scontrol requeue 17_1\n"));
  scratch_write("no_requeue", "");
  expect_part("2", EXIT_TIME, "Z 17_2 stopped\n");
}
END_TEST

/* A time in which nothing comes to a checkpoint is not tried for ever. */
START_TEST(a_part_that_gets_nowhere) {
  write_program("never", "#!/bin/sh\nexec sleep 60\n");
  expect_code(
      "run exp.ini --scale none --db r.db --out out --mae bin/never --time-limit 3s --slurm", 0,
      "submitted");
  expect_part("1", EXIT_TIME, "Z 17_1 requeued idle\n");
  expect_part("1", EXIT_TIME, "Z 17_1 requeued idle\n");
  expect_part("1", EXIT_TIME, "Z 17_1 ended 75\n");
  ck_assert(said("log", "give a longer --time"));
  /* The trainers died of being asked, although a shell ignores SIGINT for what it starts with &. */
  ck_assert_int_eq(system("cat out/exp/*/launches.jsonl | grep '\"event\":\"exit\"' > exits"), 0);
  ck_assert_int_ne(system("grep -v '\"signal\":2,' exits"), 0);
}
END_TEST

/* Signals it once a trainer of its own has made a step, and so has a checkpoint to write. */
static void signal_part(int signal, int code, const char *note) {
  static const char steps[] =
      "cat out/exp/*/events.jsonl 2> steps.log | grep -c '\"event\":\"step\"'";
  char command[256];
  snprintf(command, sizeof command, "%s > before", steps);
  ck_assert_int_ge(system(command), 0);
  pid_t part = start_part("1");
  snprintf(command, sizeof command, "test $(%s) -gt $(cat before)", steps);
  for (int i = 0; i < 4000 && system(command); i++) usleep(10000);
  kill(part, signal);
  ck_assert_int_eq(scratch_wait(part), code);
  ck_assert(said("out/slurm/1/part-1.state", note));
}

/* Slurm's warning before its time limit queues the part again, scancel does not. */
START_TEST(a_part_that_is_told_to_end) {
  setenv("FAKE_TRAINER", "slow:3000", 1);
  expect_code(SUBMIT, 0, "submitted");
  signal_part(SIGTERM, 128 + SIGTERM, "Z 17_1 stopped\n");
  ck_assert_int_ne(system("grep -q 'scontrol requeue' calls"), 0);
  signal_part(SIGUSR1, EXIT_TIME, "Z 17_1 requeued\n");
  ck_assert(said("calls", "scontrol requeue 17_1\n"));
}
END_TEST

int main(void) {
  Suite *suite = suite_create("submission");
  TCase *options = tcase_create("options");
  tcase_add_test(options, times_as_slurm_writes_them);
  tcase_add_test(options, options_that_are_read);
  tcase_add_loop_test(options, options_that_are_refused, 0,
                      (int)(sizeof refused / sizeof *refused));
  tcase_add_test(options, limits_of_partitions);
  tcase_add_test(options, arrays_name_what_is_to_be_done);
  suite_add_tcase(suite, options);
  TCase *jobs = tcase_create("jobs");
  tcase_add_checked_fixture(jobs, setup_fake_slurm, scratch_teardown);
  tcase_set_timeout(jobs, 120);
  tcase_add_test(jobs, what_is_submitted);
  tcase_add_test(jobs, what_slurm_refuses);
  tcase_add_test(jobs, what_does_not_go_together);
  tcase_add_test(jobs, two_files_of_one_name);
  tcase_add_test(jobs, a_part_to_its_end);
  tcase_add_test(jobs, a_part_that_takes_what_is_done);
  tcase_add_test(jobs, a_part_that_is_queued_again);
  tcase_add_test(jobs, a_part_that_gets_nowhere);
  tcase_add_test(jobs, a_part_that_is_told_to_end);
  suite_add_tcase(suite, jobs);
  return suite_run(suite);
}
