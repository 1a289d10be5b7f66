/* Supervision of one trainer process, with the fake trainer in every kind of trouble. */
#include <signal.h>

#include "harness/run/runner.h"
#include "mae/base/clock.h"
#include "tests/scratch.h"
#include "tests/suite.h"

#define FAKE PROGRAM_DIR "/../tests/fake_trainer"

typedef struct Heard {
  int lines, garbage;
} Heard;

static void hear(void *user, const char *line, size_t length, uint64_t offset, bool taken) {
  Heard *heard = user;
  (void)line, (void)length, (void)offset;
  heard->lines++;
  heard->garbage += !taken;
}

static void setup(void) {
  scratch_setup();
  scratch_write("config.ini", "[run]\nseed = 1\n");
  unsetenv("FAKE_TRAINER");
  unsetenv("FAKE_ONLY");
  runner_block_signals();
}

static void begin(Trainer *trainer, Heard *heard, const char *mode, double timeout) {
  Error error = {0};
  setenv("FAKE_TRAINER", mode, 1);
  *heard = (Heard){0};
  TrainerStart start = {
      .program = FAKE, .folder = ".", .resume = true, .lock = -1, .timeout = timeout};
  ck_assert_msg(trainer_start(trainer, &start, hear, heard, &error), "%s", error.message);
}

static void finish(Trainer *trainer, Outcome *outcome) {
  while (trainer_poll(trainer, outcome)) runner_wait_signal(0.02);
  trainer_close(trainer);
}

static const struct {
  const char *mode;
  TrialStatus status;
  int code, signal, garbage;
  const char *why;
} ends[] = {
    {"", TRIAL_DONE, 0, 0, 0, ""},
    {"exit:2", TRIAL_FAILED, 2, 0, 0, "configuration): the fake trainer was told to fail"},
    {"exit:3", TRIAL_FAILED, 3, 0, 0, "device or memory"},
    {"exit:4", TRIAL_FAILED, 4, 0, 0, "data or files"},
    {"exit:5", TRIAL_FAILED, 5, 0, 0, "not finite"},
    {"silent:1", TRIAL_FAILED, 1, 0, 0, "a word on standard error"},
    {"silent:0", TRIAL_FAILED, 0, 0, 0, "without the end event"},
    {"noend", TRIAL_FAILED, 0, 0, 0, "without the end event"},
    {"crash", TRIAL_FAILED, -1, SIGSEGV, 0, "Segmentation fault"},
    {"killed", TRIAL_FAILED, -1, SIGKILL, 0, "want of memory"},
    {"half", TRIAL_FAILED, -1, SIGKILL, 0, "SIGKILL"},
    {"garbage", TRIAL_DONE, 0, 0, 4, ""},
    {"nan", TRIAL_FAILED, 5, 0, 0, "not finite"},
};

START_TEST(judges) {
  Trainer trainer;
  Heard heard;
  Outcome outcome;
  begin(&trainer, &heard, ends[_i].mode, 60);
  finish(&trainer, &outcome);
  ck_assert_str_eq(trial_status_name(outcome.status), trial_status_name(ends[_i].status));
  ck_assert_int_eq(outcome.code, ends[_i].code);
  ck_assert_int_eq(outcome.signal, ends[_i].signal);
  ck_assert_int_eq(heard.garbage, ends[_i].garbage);
  ck_assert_msg(strstr(outcome.error, ends[_i].why) && !*outcome.error == !*ends[_i].why, "%s",
                outcome.error);
}
END_TEST

START_TEST(missing_program) {
  Trainer trainer;
  Error error = {0};
  TrainerStart start = {.program = "/nowhere/mae", .folder = ".", .lock = -1, .timeout = 60};
  ck_assert(!trainer_start(&trainer, &start, NULL, NULL, &error));
  ck_assert_int_eq(error.code, EXIT_DATA);
  ck_assert_ptr_nonnull(strstr(error.message, "/nowhere/mae"));
}
END_TEST

/* Its words come before the trainer's command, which learns nothing of how this process began. */
START_TEST(a_launcher) {
  Trainer trainer;
  Heard heard = {0};
  Outcome outcome;
  Error error = {0};
  scratch_write("launch", "test \"$1 $2\" = '-n 3' -a -z \"$OMPI_COMM_WORLD_SIZE\" || exit 9\n"
                          "shift 2\n\"$@\"\n");
  setenv("OMPI_COMM_WORLD_SIZE", "3", 1);
  TrainerStart start = {
      .program = FAKE, .launcher = " sh  launch -n 3", .folder = ".", .lock = -1, .timeout = 60};
  ck_assert_msg(trainer_start(&trainer, &start, hear, &heard, &error), "%s", error.message);
  unsetenv("OMPI_COMM_WORLD_SIZE");
  char pid[32], line[4096] = "";
  snprintf(pid, sizeof pid, "\"pid\":%d,", (int)trainer.pid);
  finish(&trainer, &outcome);
  FILE *events = fopen("events.jsonl", "r");
  ck_assert(events && fgets(line, sizeof line, events));
  fclose(events);
  ck_assert_msg(strstr(line, pid) != NULL, "no %s in: %s", pid, line);
  ck_assert_int_eq(outcome.status, TRIAL_DONE);
  start.launcher = "no-such-launcher -n 3";
  ck_assert(!trainer_start(&trainer, &start, NULL, NULL, &error));
  ck_assert_ptr_nonnull(strstr(error.message, "no-such-launcher"));
}
END_TEST

/* A silent trainer is stopped: with SIGTERM it may still checkpoint, yet it counts as a failure. */
START_TEST(hang_is_stopped) {
  Trainer trainer;
  Heard heard;
  Outcome outcome;
  begin(&trainer, &heard, "hang", 0.3);
  finish(&trainer, &outcome);
  ck_assert_int_eq(outcome.status, TRIAL_FAILED);
  ck_assert_ptr_nonnull(strstr(outcome.error, "hang"));
}
END_TEST

/* One that says what it works at is not, however long it takes: here more than twice as long as
 * silence may, once it has begun. */
START_TEST(work_is_no_hang) {
  Trainer trainer;
  Heard heard;
  Outcome outcome;
  double seen = 0;
  begin(&trainer, &heard, "until:5:go", 60);
  while (trainer_poll(&trainer, &outcome)) {
    if (!seen && !strncmp(trainer.facts.work, "a long job: ", 12)) {
      seen = clock_seconds();
      trainer.timeout = 2;
    }
    if (seen && clock_seconds() > seen + 5) scratch_write("go", "");
    runner_wait_signal(0.02);
  }
  trainer_close(&trainer);
  ck_assert_msg(outcome.status == TRIAL_DONE, "%s", outcome.error);
  ck_assert_int_eq(heard.garbage, 0);
  ck_assert(seen > 0);
  ck_assert_str_eq(trainer.facts.work, "");
}
END_TEST

/* Suspended together with its harness, as a batch system does it, it is not silent. */
START_TEST(a_suspended_job_is_no_hang) {
  Trainer trainer;
  Heard heard;
  Outcome outcome;
  begin(&trainer, &heard, "until:5:go", 60);
  while (!*trainer.facts.work) {
    ck_assert(trainer_poll(&trainer, &outcome));
    runner_wait_signal(0.02);
  }
  trainer.timeout = 4;
  trainer.longest = 0; /* as if it had been quick to begin */
  kill(trainer.pid, SIGSTOP);
  siginfo_t info;
  ck_assert_int_eq(waitid(P_PID, (id_t)trainer.pid, &info, WSTOPPED), 0);
  ck_assert(trainer_poll(&trainer, &outcome)); /* all that it wrote */
  sleep(6);
  ck_assert(trainer_poll(&trainer, &outcome));
  kill(trainer.pid, SIGCONT);
  scratch_write("go", "");
  finish(&trainer, &outcome);
  ck_assert_msg(outcome.status == TRIAL_DONE, "%s", outcome.error);
}
END_TEST

START_TEST(stubborn_is_killed) {
  Trainer trainer;
  Heard heard;
  Outcome outcome;
  begin(&trainer, &heard, "stubborn", 60);
  while (trainer.facts.step < 5) {
    ck_assert(trainer_poll(&trainer, &outcome));
    runner_wait_signal(0.02);
  }
  runner_wait_signal(0.1); /* it ignores signals from its fifth step on */
  trainer_stop(&trainer, SIGINT, 0.3);
  finish(&trainer, &outcome);
  ck_assert_int_eq(outcome.signal, SIGKILL);
  ck_assert_int_eq(outcome.status, TRIAL_INTERRUPTED);
}
END_TEST

START_TEST(interrupted_then_continued) {
  Trainer trainer;
  Heard heard;
  Outcome outcome;
  begin(&trainer, &heard, "slow", 60);
  while (trainer.facts.step < 12) {
    ck_assert(trainer_poll(&trainer, &outcome));
    runner_wait_signal(0.02);
  }
  trainer_stop(&trainer, SIGINT, 60);
  finish(&trainer, &outcome);
  ck_assert_int_eq(outcome.status, TRIAL_INTERRUPTED);
  ck_assert_int_eq(outcome.code, 128 + SIGINT);
  int64_t reached = trainer.facts.step;
  ck_assert(folder_has_checkpoint("."));
  begin(&trainer, &heard, "slow", 60);
  ck_assert_int_eq(trainer.starts_before, 1);
  finish(&trainer, &outcome);
  ck_assert_int_eq(outcome.status, TRIAL_DONE);
  ck_assert_int_eq(trainer.facts.steps, 100);
  char *events = scratch_read("events.jsonl"), resumed[64];
  snprintf(resumed, sizeof resumed, "\"resumed_from\":%lld,", (long long)reached);
  ck_assert_ptr_nonnull(strstr(events, resumed));
  free(events);
}
END_TEST

/* The half line of a killed trainer is cut off by the next one; no line is lost or read twice. */
START_TEST(half_line_is_repaired) {
  Trainer trainer;
  Heard heard;
  Outcome outcome;
  begin(&trainer, &heard, "half", 60);
  finish(&trainer, &outcome);
  ck_assert_int_eq(heard.lines, 6); /* start and five steps */
  begin(&trainer, &heard, "", 60);
  finish(&trainer, &outcome);
  ck_assert_int_eq(outcome.status, TRIAL_DONE);
  ck_assert_int_eq(heard.garbage, 0);
  ck_assert_int_eq(heard.lines, 6 + 1 + 20 + 2 + 3 + 1);
}
END_TEST

typedef struct Lines {
  char text[256];
} Lines;

static void collect(void *user, const char *line, size_t length, uint64_t offset) {
  Lines *lines = user;
  size_t used = strlen(lines->text);
  snprintf(lines->text + used, sizeof lines->text - used, "%llu:%.*s|", (unsigned long long)offset,
           (int)length, line);
}

START_TEST(tail_hands_out_complete_lines) {
  Lines lines = {""};
  Tail tail;
  tail_open(&tail, "log");
  ck_assert_int_eq(tail_read(&tail, collect, &lines), 0);
  scratch_write("log", "one\ntw");
  ck_assert_int_eq(tail_read(&tail, collect, &lines), 1);
  scratch_write("log", "one\n");
  tail_read(&tail, collect, &lines);
  scratch_write("log", "one\nthree\n\nfour\n");
  ck_assert_int_eq(tail_read(&tail, collect, &lines), 3);
  ck_assert_int_eq(tail_read(&tail, collect, &lines), 0);
  ck_assert_str_eq(lines.text, "0:one|4:three|10:|11:four|");
  tail_close(&tail);
}
END_TEST

static bool is_alive(pid_t pid) {
  char path[64], state = 0;
  snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
  FILE *file = fopen(path, "r");
  bool read = file && fscanf(file, "%*d %*s %c", &state) == 1;
  if (file) fclose(file);
  return read && state != 'Z';
}

/* The kernel sends a trainer SIGTERM when its harness dies. */
START_TEST(orphan_checkpoints_and_ends) {
  int link[2];
  pid_t trainer_pid = 0;
  ck_assert_int_eq(pipe(link), 0);
  pid_t harness = fork();
  if (harness == 0) {
    Trainer trainer;
    Heard heard;
    Outcome outcome;
    begin(&trainer, &heard, "slow", 60);
    while (trainer.facts.step < 3 && trainer_poll(&trainer, &outcome)) runner_wait_signal(0.01);
    if (write(link[1], &trainer.pid, sizeof trainer.pid) < 0) _exit(1);
    for (;;) pause();
  }
  ck_assert_int_eq(read(link[0], &trainer_pid, sizeof trainer_pid), sizeof trainer_pid);
  kill(harness, SIGKILL);
  ck_assert_int_eq(scratch_wait(harness), 128 + SIGKILL);
  for (int i = 0; i < 1000 && is_alive(trainer_pid); i++) usleep(10000);
  ck_assert(!is_alive(trainer_pid));
  Facts facts;
  facts_read(&facts, "events.jsonl");
  ck_assert_str_eq(facts.end, "interrupted");
  ck_assert(folder_has_checkpoint("."));
}
END_TEST

START_TEST(facts_survive_anything) {
  static const char *const lines[] = {"",
                                      "null",
                                      "[]",
                                      "{}",
                                      "{\"event\":7}",
                                      "{\"event\":\"step\"",
                                      "{\"event\":\"x\",\"event\":\"y\"}",
                                      "\xff\xfe"};
  Facts facts;
  facts_init(&facts);
  for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
    ck_assert_msg(!facts_take(&facts, lines[i], strlen(lines[i])), "%s", lines[i]);
  const char *odd = "{\"event\":\"step\",\"step\":\"one\",\"loss\":\"nan\",\"epoch\":null}";
  ck_assert(facts_take(&facts, odd, strlen(odd)));
  ck_assert_int_eq(facts.step, 0);
  ck_assert_double_nan(facts.loss);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("runner");
  TCase *cases = tcase_create("runner");
  tcase_set_timeout(cases, 60);
  tcase_add_checked_fixture(cases, setup, scratch_teardown);
  tcase_add_loop_test(cases, judges, 0, sizeof ends / sizeof *ends);
  tcase_add_test(cases, missing_program);
  tcase_add_test(cases, a_launcher);
  tcase_add_test(cases, hang_is_stopped);
  tcase_add_test(cases, a_suspended_job_is_no_hang);
  tcase_add_test(cases, work_is_no_hang);
  tcase_add_test(cases, stubborn_is_killed);
  tcase_add_test(cases, interrupted_then_continued);
  tcase_add_test(cases, half_line_is_repaired);
  tcase_add_test(cases, tail_hands_out_complete_lines);
  tcase_add_test(cases, orphan_checkpoints_and_ends);
  tcase_add_test(cases, facts_survive_anything);
  suite_add_tcase(suite, cases);
  return suite_run(suite);
}
