/* Where trials run: which GPU each gets, none twice unless asked for, and what is said when there
 * are not enough. The harness believes in FAKE_GPUS GPUs; the fake trainer writes down what it was
 * given. */
#include "tests/scratch.h"
#include "tests/suite.h"

#define HARNESS PROGRAM_DIR "/../tests/harness_with_gpus"
#define FAKE PROGRAM_DIR "/../tests/fake_trainer"

enum { TRIALS_MAX = 64 };

static void setup(void) {
  scratch_setup();
  scratch_write("exp.ini", "[train]\nbatch = 8\nshards = 2\n[sweep]\nseeds = 1..6\n");
  char path[128];
  snprintf(path, sizeof path, "%s/places", scratch);
  setenv("FAKE_PLACES", path, 1);
  setenv("FAKE_TRAINER", "slow:25", 1);
  setenv("FAKE_GPUS", "2", 1);
  unsetenv("FAKE_ONLY");
  unsetenv("CUDA_VISIBLE_DEVICES");
  unsetenv("CUDA_DEVICE_ORDER");
}

/* `harness run exp.ini` with more words. */
static int harness(const char *words) {
  const char *argv[40] = {HARNESS, "run",   "exp.ini", "--scale", "none", "--db",
                          "r.db",  "--out", "out",     "--mae",   FAKE};
  char *text = strdup(words);
  int count = 11;
  for (char *word = strtok(text, " "); word && count < 39; word = strtok(NULL, " "))
    argv[count++] = word;
  int code = scratch_wait(scratch_start(argv, "log"));
  free(text);
  return code;
}

static void expect_code(const char *words, int code, const char *said) {
  int got = harness(words);
  char *log = scratch_read("log");
  ck_assert_msg(got == code, "exit code %d, expected %d:\n%s", got, code, log);
  ck_assert_msg(strstr(log, said) != NULL, "expected to read '%s' in:\n%s", said, log);
  free(log);
}

/* A line of the trainers' own record. */
typedef struct Note {
  char what, gpus[64], order[64], settings[128];
  int process;
} Note;

static Note notes[2 * TRIALS_MAX];

static int read_notes(void) {
  FILE *file = fopen("places", "r");
  int count = 0;
  char line[512];
  while (file && fgets(line, sizeof line, file)) {
    Note *note = &notes[count++];
    *note = (Note){0};
    ck_assert_int_ge(sscanf(line, "%c %d %63s %63s %127[^\n]", &note->what, &note->process,
                            note->gpus, note->order, note->settings),
                     4);
  }
  if (file) fclose(file);
  return count;
}

/* Most trainers alive at once with these GPUs (NULL: any), and how many there were. */
static int most_at_once(const char *gpus, int *started) {
  int count = read_notes(), alive = 0, most = 0;
  *started = 0;
  for (int i = 0; i < count; i++) {
    if (gpus && strcmp(notes[i].gpus, gpus)) continue;
    *started += notes[i].what == '+';
    alive += notes[i].what == '+' ? 1 : -1;
    if (alive > most) most = alive;
  }
  return most;
}

static void expect_use(const char *gpus, int at_once, int at_least) {
  int started, most = most_at_once(gpus, &started);
  ck_assert_msg(most == at_once && started >= at_least,
                "GPU %s: %d trials, %d at once; expected %d or more, %d at once", gpus, started,
                most, at_least, at_once);
}

static void expect_trials(int expected, int at_once) {
  int started, most = most_at_once(NULL, &started);
  ck_assert_int_eq(started, expected);
  ck_assert_int_eq(most, at_once);
}

START_TEST(one_gpu_each) {
  expect_code("", 0, "trials run on GPU 0 | GPU 1");
  expect_trials(6, 2);
  expect_use("0", 1, 2);
  expect_use("1", 1, 2);
  for (int i = 0; i < read_notes(); i++) {
    ck_assert_ptr_nonnull(strstr(notes[i].settings, "train.ranks=1"));
    ck_assert_str_eq(notes[i].order, "PCI_BUS_ID");
  }
  char *launches = scratch_read("log");
  ck_assert_ptr_nonnull(strstr(launches, "on GPU 1"));
  free(launches);
  ck_assert_int_eq(
      system("test $(cat out/exp/*/launches.jsonl | grep -c '\"device\":\"[01]\"') = 6"), 0);
}
END_TEST

START_TEST(two_gpus_for_one_trial) {
  expect_code("--set resources.gpus_per_trial=2", 0, "trials run on GPU 0,1\n");
  expect_trials(6, 1);
  expect_use("0,1", 1, 6);
  for (int i = 0; i < read_notes(); i++)
    ck_assert_ptr_nonnull(strstr(notes[i].settings, "train.ranks=2"));
}
END_TEST

START_TEST(pairs_of_four) {
  setenv("FAKE_GPUS", "5", 1);
  expect_code("--set resources.gpus_per_trial=2", 0, "trials run on GPU 0,1 | GPU 2,3\n");
  expect_trials(6, 2);
  expect_use("0,1", 1, 2);
  expect_use("2,3", 1, 2);
}
END_TEST

START_TEST(a_gpu_is_shared_when_asked) {
  setenv("FAKE_GPUS", "1 16", 1);
  expect_code("--jobs-per-gpu 3", 0, "trials run on GPU 0 | GPU 0 | GPU 0");
  expect_trials(6, 3);
  expect_use("0", 3, 6);
}
END_TEST

/* The first places lie on different GPUs. */
START_TEST(jobs_limits_the_places) {
  expect_code("--jobs-per-gpu 2 --jobs 3", 0, "trials run on GPU 0 | GPU 1 | GPU 0\n");
  expect_trials(6, 3);
  expect_use("0", 2, 2);
  expect_use("1", 1, 1);
}
END_TEST

START_TEST(the_users_choice_is_respected) {
  setenv("FAKE_GPUS", "8", 1);
  setenv("CUDA_VISIBLE_DEVICES", "5,GPU-3e1f", 1);
  expect_code("", 0, "trials run on GPU 5 | GPU GPU-3e1f");
  expect_trials(6, 2);
  expect_use("5", 1, 2);
  expect_use("GPU-3e1f", 1, 2);
  ck_assert_str_eq(notes[0].order, "-"); /* the user's names are in the user's order */
  ck_assert_int_eq(system("grep -q '\"device\":\"GPU-3e1f\"' out/exp/*/launches.jsonl"), 0);
}
END_TEST

START_TEST(a_chosen_gpu_is_used) {
  expect_code("--set run.device=cuda:1", 0, "trials run on the chosen GPU");
  expect_trials(6, 1);
  expect_use("-", 1, 6);
}
END_TEST

/* Without --scale one is chosen that this machine can run: t4x2 would have two GPUs for a trial. */
START_TEST(a_default_scale_fits_one_gpu) {
  const char *const argv[] = {
      HARNESS, "run", "exp.ini", "--mae", FAKE, "--set", "data.source=shapes", "--dry-run", NULL};
  setenv("FAKE_GPUS", "1 15", 1);
  int code = scratch_wait(scratch_start(argv, "log"));
  char *log = scratch_read("log");
  ck_assert_msg(code == 0 && strstr(log, "scale t4x2 (1 x ") && strstr(log, "run on GPU 0\n"),
                "exit code %d: %s", code, log);
  free(log);
}
END_TEST

/* `make demo` does on a machine with a GPU what it does on any. */
START_TEST(the_demo_is_the_same_with_a_gpu) {
  static const char command[] =
      "run=$(make -C " SOURCE_DIR " -n demo BUILD=b | sed -n 's|^b/bin/harness run|" HARNESS
      " run|p') && cd " SOURCE_DIR " && $run --dry-run --mae " FAKE;
  const char *const argv[] = {"/bin/sh", "-c", command, NULL};
  setenv("FAKE_GPUS", "1 15", 1);
  int code = scratch_wait(scratch_start(argv, "log"));
  char *log = scratch_read("log");
  ck_assert_msg(code == 0 && strstr(log, "mask_ratio-cpu: 8 trials"), "exit code %d: %s", code,
                log);
  free(log);
}
END_TEST

START_TEST(the_cpu_is_shared) {
  expect_code("--set run.device=cpu --set run.threads=6 --jobs 3", 0,
              "trials run on 3 places of 2 threads");
  expect_trials(6, 3);
  for (int i = 0; i < read_notes(); i++) {
    ck_assert_str_eq(notes[i].gpus, "-");
    ck_assert_ptr_nonnull(strstr(notes[i].settings, "run.threads=2"));
    ck_assert_ptr_null(strstr(notes[i].settings, "train.ranks"));
  }
}
END_TEST

/* What a launcher starts runs where it says: nothing of this machine is asked. */
START_TEST(a_launcher_places_its_trials) {
  setenv("FAKE_GPUS", "0", 1);
  expect_code("--set train.precision=fp16 --set resources.launcher=env --dry-run", 0,
              "trials run on what resources.launcher chooses, 1 at a time");
  expect_code("--set run.device=cuda --set train.precision=bf16 --set resources.launcher=env", 0,
              "trials run on what resources.launcher chooses, 1 at a time");
  expect_trials(6, 1);
}
END_TEST

/* One trial dies at once; its GPU goes to the next, and the neighbour's trial is left alone. */
START_TEST(a_failure_frees_its_gpu) {
  setenv("FAKE_TRAINER", "exit:3", 1);
  setenv("FAKE_ONLY", "seed = 1\n", 1);
  expect_code("", 1, "failed: exit code 3");
  int started, most = most_at_once(NULL, &started);
  ck_assert_int_eq(started, 6);
  ck_assert_int_le(most, 2); /* trials that do not wait may well follow each other */
  char *log = scratch_read("log");
  int done = 0;
  for (char *at = log; (at = strstr(at, "done: loss")); at++) done++;
  ck_assert_int_eq(done, 5);
  free(log);
  ck_assert_int_eq(system("rm places"), 0);
  setenv("FAKE_TRAINER", "slow:25", 1);
  unsetenv("FAKE_ONLY");
  expect_code("", 0, "5 of 6 trials are done already");
  expect_trials(1, 1);
  expect_use("0", 1, 1);
}
END_TEST

static const struct {
  const char *gpus, *visible, *words, *said;
  int code;
  bool anywhere; /* the settings contradict each other: no machine could run them */
} refusals[] = {
    {"1", NULL, "--set resources.gpus_per_trial=2",
     "resources.gpus_per_trial = 2, but this machine has 1 usable GPU; --set "
     "resources.gpus_per_trial=1 trains on one",
     4, false},
    {"4", "2", "--set resources.gpus_per_trial=2",
     "this machine has 1 usable GPU with CUDA_VISIBLE_DEVICES=2", 4, false},
    {"0", NULL, "--set run.device=cuda", "run.device = cuda, but there is no usable GPU here", 4,
     false},
    {"2", "", "--set run.device=cuda", "there is no usable GPU here", 4, false},
    {"2", NULL, "--set run.device=cuda:2", "run.device = cuda:2 with resources.gpus_per_trial = 1",
     4, false},
    {"1 0.001", NULL, "--jobs-per-gpu 4", "resources.jobs_per_gpu = 4: so many trials of", 4,
     false},
    {"2", NULL, "--jobs-per-gpu 2 --set resources.gpus_per_trial=2",
     "resources.jobs_per_gpu = 2 lets trials of one GPU share it", 2, true},
    {"4", NULL, "--set resources.gpus_per_trial=4", "needs train.shards = 4", 2, true},
    {"1", NULL, "--set sweep.train.precision=fp16,bf16",
     "train.precision=bf16: train.precision = bf16: cuda:0 (Fake T1) has no bf16", 2, false},
    {"0", NULL, "--set train.precision=fp16", "has no fast fp16; use train.precision = fp32", 2,
     false},
};

/* A run is refused; a plan, which may be for another machine, only says so. */
START_TEST(refuses) {
  char words[256];
  setenv("FAKE_GPUS", refusals[_i].gpus, 1);
  if (refusals[_i].visible) setenv("CUDA_VISIBLE_DEVICES", refusals[_i].visible, 1);
  snprintf(words, sizeof words, "%s --dry-run", refusals[_i].words);
  expect_code(words, refusals[_i].anywhere ? refusals[_i].code : 0, refusals[_i].said);
  ck_assert_int_ne(access("out", F_OK), 0);
  expect_code(refusals[_i].words, refusals[_i].code, refusals[_i].said);
  ck_assert_int_eq(read_notes(), 0);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("places");
  TCase *cases = tcase_create("fake GPUs");
  tcase_set_timeout(cases, 120);
  tcase_add_checked_fixture(cases, setup, scratch_teardown);
  tcase_add_test(cases, one_gpu_each);
  tcase_add_test(cases, two_gpus_for_one_trial);
  tcase_add_test(cases, pairs_of_four);
  tcase_add_test(cases, a_gpu_is_shared_when_asked);
  tcase_add_test(cases, jobs_limits_the_places);
  tcase_add_test(cases, the_users_choice_is_respected);
  tcase_add_test(cases, a_chosen_gpu_is_used);
  tcase_add_test(cases, a_default_scale_fits_one_gpu);
  tcase_add_test(cases, the_demo_is_the_same_with_a_gpu);
  tcase_add_test(cases, the_cpu_is_shared);
  tcase_add_test(cases, a_launcher_places_its_trials);
  tcase_add_test(cases, a_failure_frees_its_gpu);
  tcase_add_loop_test(cases, refuses, 0, sizeof refusals / sizeof *refusals);
  suite_add_tcase(suite, cases);
  return suite_run(suite);
}
