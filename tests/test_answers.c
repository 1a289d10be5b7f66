/* What the programs answer: names that are nearly right, plans for other machines, lines and
 * numbers that are read by people. */
#include <jansson.h>
#include <math.h>

#include "harness/run/job.h"
#include "harness/run/progress.h"
#include "mae/base/clock.h"
#include "mae/record/json_text.h"
#include "tests/scratch.h"
#include "tests/suite.h"

#define FAKE PROGRAM_DIR "/../tests/fake_trainer"
#define HARNESS PROGRAM_DIR "/harness"

static void setup(void) {
  scratch_setup();
  unsetenv("FAKE_TRAINER");
  unsetenv("MAE");
}

/* What a shell command line says, and its exit code; the caller frees. */
static char *run(const char *command, int *code) {
  const char *argv[] = {"/bin/sh", "-c", command, NULL};
  *code = scratch_wait(scratch_start(argv, "log"));
  return scratch_read("log");
}

static void expect(const char *command, int code, const char *part) {
  int got;
  char *said = run(command, &got);
  ck_assert_msg(got == code, "%s: exit code %d, expected %d:\n%s", command, got, code, said);
  ck_assert_msg(strstr(said, part) != NULL, "%s: expected '%s' in:\n%s", command, part, said);
  free(said);
}

static const char small[] = "[train]\nbatch = 8\n[sweep]\ntrain.mask_ratio = 0.5, 0.75\n";

static const struct {
  const char *command, *part;
  int code;
} answers[] = {
    {HARNESS " status small --db r.db", "small-a     ", 0},
    {HARNESS " status small --db r.db", "small-b     ", 0},
    {HARNESS " status somewhere/small.ini --db r.db", "small-b     ", 0},
    {HARNESS " status small-b --db r.db", "trial  status  step  steps  minutes_left", 0},
    {HARNESS " status smal --db r.db", "no experiment \"smal\"; did you mean small-a?", 2},
    {HARNESS " status other --db r.db", "no experiment \"other\"; there are: small-a, small-b", 2},
    {HARNESS " compare small-a:train.mask_ratio=0.6 2 --db r.db",
     "no trial that is done fits; train.mask_ratio is 0.5, 0.75 there", 2},
    {HARNESS " compare small:train.mask_ratio=0.5 2 --db r.db",
     "with its scale that experiment is small-a", 2},
    {HARNESS " compare train.mask_ration=0.5 2 --db r.db", "did you mean train.mask_ratio?", 2},
};

START_TEST(names_nearly_right) {
  int code;
  scratch_write("small.ini", small);
  scratch_write("a.ini", "");
  scratch_write("b.ini", "[train]\nsteps = 20\n");
  expect(HARNESS " run small.ini --scale ./a.ini --db r.db --out out --mae " FAKE, 0, "done");
  expect(HARNESS " run small.ini --scale ./b.ini --db r.db --out out --mae " FAKE, 0, "done");
  for (size_t i = 0; i < sizeof answers / sizeof *answers; i++)
    expect(answers[i].command, answers[i].code, answers[i].part);
  /* No line of what is proposed after a sweep is wider than a terminal, and it runs. */
  char *said =
      run(HARNESS " run small.ini --scale ./a.ini --db r.db --out out --mae " FAKE " 2>&1 > table",
          &code);
  ck_assert_int_eq(code, 0);
  char *query = strstr(said, "sqlite3 ");
  ck_assert_ptr_nonnull(query);
  for (char *line = query; *line; line += strcspn(line, "\n") + 1)
    ck_assert_uint_le(strcspn(line, "\n"), 80);
  free(said);
  /* Of this database; `make plots` only where there is something to make it from. */
  const char again[] = HARNESS " run small.ini --scale ./a.ini --db r.db --out out --mae " FAKE;
  expect(again, 0, "next: harness status --db r.db; sh /");
  expect(again, 0, "/plots/draw.sh r.db figures; or a line per point:");
  said = run(again, &code);
  char *table = strstr(said, "psnr_masked"), *next = strstr(said, "\nnext: ");
  ck_assert(table && next && table < next);
  free(said);
  ck_assert_int_eq(system("mkdir plots && touch plots/draw.sh"), 0);
  expect(again, 0, "next: harness status --db r.db; make plots DB=r.db; or a line");
}
END_TEST

START_TEST(experiments_in_folders_are_suggested) {
  ck_assert_int_eq(system("mkdir -p experiments/some experiments/scales"), 0);
  scratch_write("experiments/some/thing.ini", small);
  scratch_write("experiments/scales/thinx.ini", "");
  expect(HARNESS " run thing --scale none --dry-run", 2, "did you mean some/thing.ini?");
  expect(HARNESS " run thinx --scale none --dry-run", 2, "did you mean some/thing.ini?");
}
END_TEST

#define PLAN HARNESS " run small.ini --scale none --dry-run "
#define PHOTOS "--set data.source=imagefolder --set data.path=photos "

START_TEST(plans_for_other_machines) {
  int code;
  scratch_write("small.ini", small);
  ck_assert_int_eq(system("mkdir -p photos/train/a photos/val/a; for i in 1 2 3 4 5 6 7 8 9; do "
                          "echo $i > photos/train/a/$i.png; echo $i > photos/train/a/x$i.png; "
                          "done; echo 1 > photos/val/a/1.png"),
                   0);
  /* 18 images make two batches of 8. */
  char *said = run(PLAN PHOTOS "--set train.epochs=5 --json 2> err", &code);
  ck_assert_int_eq(code, 0);
  json_t *plan = json_loads(said, 0, NULL), *trials = json_object_get(plan, "trials");
  ck_assert_msg(json_array_size(trials) == 2, "%s", said);
  const json_t *trial = json_array_get(trials, 1);
  ck_assert_int_eq(json_integer_value(json_object_get(trial, "steps")), 10);
  ck_assert_double_gt(json_real_value(json_object_get(trial, "seconds")), 0);
  json_decref(plan);
  free(said);
  /* Trials that hold out other shares of them train on other numbers. */
  scratch_write("share.ini", "[train]\nbatch = 8\n[sweep]\ndata.holdout = 0, 0.5\nseeds = 1\n");
  said = run(HARNESS " run share.ini --scale none --dry-run " PHOTOS
                     "--set train.epochs=5 --json 2> err",
             &code);
  ck_assert_int_eq(code, 0);
  plan = json_loads(said, 0, NULL);
  for (size_t i = 0; i < 2; i++) {
    trial = json_array_get(json_object_get(plan, "trials"), i);
    ck_assert_int_eq(json_integer_value(json_object_get(trial, "steps")), i ? 5 : 10);
  }
  json_decref(plan);
  free(said);
  expect(PLAN "--set data.source=imagefolder --set data.path=nowhere", 4,
         "data.path = nowhere: no such folder");
  expect(PLAN "--set probe.method=both", 0, "training steps and probes");
  expect(PLAN "--set run.device=cuda:7", 0, "note: this machine could not run it: run.device");
  expect(PLAN PHOTOS "--set resources.gpus_per_trial=1 --set run.device=cuda:7", 0, "to run");
}
END_TEST

/* Probes are work as steps are, each once however a run is cut into parts. */
START_TEST(probes_are_counted_as_work) {
  PlanTrial trial = {0};
  Error e = {0};
  config_init(&trial.config);
  Job job = {.trial = &trial, .steps = 30, .gflops_per_image = 0.5};
  ck_assert(config_set(&trial.config, "train.batch", "8", NULL, &e));
  ck_assert_double_eq(job_work(&job, 0, 30, true), 30 * 4);
  ck_assert_double_eq(job_work(&job, 12, 30, false), 18 * 4);
  job.probe = (ProbeWork){.model = 1000, .baselines = 7000};
  ck_assert_double_eq(job_work(&job, 0, 30, true), 30 * 4 + 8000);
  ck_assert(config_set(&trial.config, "probe.every", "10", NULL, &e));
  ck_assert_double_eq(job_work(&job, 0, 30, true), 30 * 4 + 2000 + 8000); /* 10, 20, the end */
  for (int at = 0; at <= 30; at++)
    ck_assert_double_eq(job_work(&job, 0, at, false) + job_work(&job, at, 30, true),
                        job_work(&job, 0, 30, true));
  job.facts.step = 20;
  job.starts_at_checkpoint = true;
  job.action = JOB_CONTINUE;
  ck_assert_double_eq(job_work_left(&job), 10 * 4 + 8000);
  job.action = JOB_REPLACE;
  ck_assert_double_eq(job_work_left(&job), 30 * 4 + 2000 + 8000);
  job.action = JOB_SKIP;
  ck_assert_double_eq(job_work_left(&job), 0);
}
END_TEST

/* The label gives way, then words; no number does. */
START_TEST(progress_lines_keep_their_numbers) {
  Facts facts;
  facts_init(&facts);
  facts.steps = 400000;
  facts.step = 123456;
  facts.epoch = 12.3;
  facts.loss = 0.1234;
  facts.speed = 12345;
  ProgressTrial trial = {"model.decoder=96x2x3 model.decoder_pos_embed=sincos2d seed=17", &facts,
                         clock_seconds() - 3600, 0};
  static const int columns[] = {0, 160, 120, 79, 64};
  for (size_t i = 0; i < sizeof columns / sizeof *columns; i++) {
    char *line = progress_line(&trial, columns[i]);
    ck_assert_msg(!columns[i] || (int)strlen(line) <= columns[i], "%s", line);
    static const char *const numbers[] = {" 31%",    "123456/400000", " 12.3",
                                          " 0.1234", " 12345",        " 2 h "};
    for (size_t n = 0; n < sizeof numbers / sizeof *numbers; n++)
      ck_assert_msg(strstr(line, numbers[n]) != NULL, "%d: no %s in %s", columns[i], numbers[n],
                    line);
    free(line);
  }
  char *line = progress_line(&trial, 120);
  ck_assert_msg(!strncmp(line, "model.decoder=96", 16) && strstr(line, "seed=17  "), "%s", line);
  free(line);
  /* While the trainer is at something else, the newest step says nothing. */
  static const char *const work[] = {
      "{\"event\":\"work\",\"what\":\"probe, vote\",\"done\":512,\"total\":10000}",
      "{\"event\":\"work\",\"what\":\"fit 2 of 7, iterations\",\"done\":31}",
      "{\"event\":\"step\",\"step\":123457,\"loss\":0.1}"};
  static const char *const shown[] = {"probe, vote: 512 of 10000 (5%)",
                                      "fit 2 of 7, iterations: 31", "123457/400000"};
  for (size_t i = 0; i < sizeof work / sizeof *work; i++) {
    ck_assert(facts_take(&facts, work[i], strlen(work[i])));
    line = progress_line(&trial, 120);
    ck_assert_msg(strstr(line, shown[i]) && !strstr(line, "step ") == (i < 2), "%s", line);
    free(line);
  }
}
END_TEST

static const struct {
  double value;
  const char *text;
} numbers[] = {
    {19.67, "19.67"},
    {0.1 + 0.2, "0.30000000000000004"},
    {3, "3.0"},
    {1e300, "1e+300"},
    {-1.5e-7, "-1.5e-07"},
    {0, "0.0"},
    {1.0 / 3, "0.3333333333333333"},
};

START_TEST(json_numbers_are_short) {
  for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
    json_t *array = json_pack("[f, i, s]", numbers[i].value, 12345, "a \"1.50\" \\ -7.25e3");
    char *text = json_text(array, JSON_COMPACT), wanted[128];
    snprintf(wanted, sizeof wanted, "[%s,12345,\"a \\\"1.50\\\" \\\\ -7.25e3\"]", numbers[i].text);
    ck_assert_str_eq(text, wanted);
    json_t *again = json_loads(text, 0, NULL);
    ck_assert(json_equal(array, again));
    json_decref(array);
    json_decref(again);
    free(text);
  }
}
END_TEST

int main(void) {
  Suite *suite = suite_create("answers");
  TCase *cases = tcase_create("answers");
  tcase_set_timeout(cases, 120);
  tcase_add_checked_fixture(cases, setup, scratch_teardown);
  tcase_add_test(cases, names_nearly_right);
  tcase_add_test(cases, experiments_in_folders_are_suggested);
  tcase_add_test(cases, plans_for_other_machines);
  tcase_add_test(cases, probes_are_counted_as_work);
  tcase_add_test(cases, progress_lines_keep_their_numbers);
  tcase_add_test(cases, json_numbers_are_short);
  suite_add_tcase(suite, cases);
  return suite_run(suite);
}
