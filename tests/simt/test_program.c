/* The whole mae program on a simulated GPU: the reproducibility contract there, what a step may not
 * do to the device, and every bad condition: one clear message, the documented exit code, nothing
 * lost. The environment says what the device is like and where it fails: see runtime.h. */
#include "tests/run_mae.h"

#include <stdarg.h>

#include "tests/simt/spoil.h"
#include "tests/suite.h"

#define TINY                                                                                       \
  "model.image_size=16 model.patch_size=4 model.encoder=16x1x2 model.decoder=16x1x2 "              \
  "train.batch=4 train.shards=2 train.blr=0.03 train.warmup_epochs=0 train.warmup_steps=2 "        \
  "data.train_images=20 eval.images=4 run.device=cuda:0 run.checkpoint_every=3 train.steps=8 "

static const char *const variables[] = {"SIMT_DEVICES", "SIMT_CAPABILITY", "SIMT_MEMORY",
                                        "SIMT_DRIVER",  "SIMT_FAIL",       "SIMT_REPORT",
                                        "SIMT_STREAMS", "SIMT_SHARED"};

static void begin(void) {
  make_test_folder();
  for (size_t i = 0; i < sizeof variables / sizeof *variables; i++) unsetenv(variables[i]);
}

/* Runs `mae train TINY settings --out @/name`. */
static int train(const char *name, const char *settings) {
  char command[2048];
  snprintf(command, sizeof command, "train " TINY "%s --quiet --out @/%s", settings, name);
  return run_mae(command);
}

/* The hash of the final state. */
static const char *trained(const char *name, const char *settings) {
  static char hashes[8][65];
  static int turn;
  char *hash = hashes[turn++ % 8];
  int code = train(name, settings);
  ck_assert_msg(code == 0, "%s: exit code %d: %s", settings, code, mae_output());
  json_t *events = read_events(name);
  snprintf(hash, 65, "%s", event_text(last_event(events, "end", NULL), "state_sha256"));
  json_decref(events);
  return hash;
}

static void assert_names(const char *first, ...) {
  va_list words;
  va_start(words, first);
  for (const char *word = first; word; word = va_arg(words, const char *))
    ck_assert_msg(strstr(mae_output(), word) != NULL, "no '%s' in: %s", word, mae_output());
  va_end(words);
  const char *line = strchr(mae_output(), '\n');
  ck_assert_msg(line && !line[1], "more than one line: %s", mae_output());
}

static const char *const precisions[] = {"train.precision=fp32", "train.precision=bf16",
                                         "train.precision=fp16"};

START_TEST(same_bits_in_any_order_of_streams) {
  const char *first = trained("lazy", precisions[_i]);
  static const char *const orders[] = {"eager", "random:1", "random:2"};
  for (int i = 0; i < 3; i++) {
    setenv("SIMT_STREAMS", orders[i], 1);
    ck_assert_str_eq(trained(orders[i], precisions[_i]), first);
  }
  unsetenv("SIMT_STREAMS");
  ck_assert_str_ne(trained("seed", "run.seed=2"), first);
}
END_TEST

START_TEST(a_resumed_run_is_the_whole_run) {
  const char *whole = trained("whole", precisions[_i]);
  char settings[128];
  for (int step = 2; step < 8; step += 3) {
    snprintf(settings, sizeof settings, "%s --resume --stop-after %d", precisions[_i], step);
    ck_assert_int_eq(train("pieces", settings), 128 + SIGINT);
  }
  snprintf(settings, sizeof settings, "%s --resume", precisions[_i]);
  ck_assert_str_eq(trained("pieces", settings), whole);
}
END_TEST

/* With little memory the source images come batch by batch; so do images too many for the stage. */
START_TEST(streamed_images_are_the_same_images) {
  const char *resident = trained("resident", "train.augment=crop_flip_jitter");
  setenv("SIMT_MEMORY", "300", 1);
  ck_assert_str_eq(trained("streamed", "train.augment=crop_flip_jitter"), resident);
}
END_TEST

/* What happened on the device, from the file that SIMT_REPORT names. */
static json_t *device_report(void) {
  char path[PATH_SIZE];
  json_error_t problem;
  json_t *report = json_load_file(in_folder(path, "report"), 0, &problem);
  ck_assert_msg(report != NULL, "%s", problem.text);
  return report;
}

START_TEST(a_step_neither_waits_nor_allocates) {
  char path[PATH_SIZE];
  setenv("SIMT_REPORT", in_folder(path, "report"), 1);
  trained("run", "run.checkpoint_every=0 train.steps=12 train.accumulate=2");
  json_t *report = device_report();
  ck_assert_int_eq((int)event_number(report, "captured"), 2); /* one for each input buffer */
  ck_assert_int_eq((int)event_number(report, "replays"), 10); /* all but the first of each */
  ck_assert_int_eq((int)event_number(report, "allocations_between_replays"), 0);
  ck_assert_int_eq((int)event_number(report, "waits_between_replays"), 0);
  /* The plan covers what was allocated: resident images aside, which take what is left. */
  json_t *events = read_events("run");
  double planned = event_number(last_event(events, "start", NULL), "memory_planned_bytes");
  double peak = event_number(report, "peak_bytes"), slack = 64 * 512;
  ck_assert_msg(peak <= planned + slack, "planned %.0f bytes, taken %.0f", planned, peak);
  json_decref(events);
  json_decref(report);
}
END_TEST

/* Scores in the middle of training use what was allocated at the start. */
START_TEST(scoring_allocates_nothing) {
  char path[PATH_SIZE];
  setenv("SIMT_REPORT", in_folder(path, "report"), 1);
  trained("run", "train.steps=12 eval.every=5");
  json_t *report = device_report();
  ck_assert_int_eq((int)event_number(report, "allocations_between_replays"), 0);
  json_decref(report);
}
END_TEST

/* Bad conditions -------------------------------------------------------------------------------*/

START_TEST(no_driver) {
  setenv("SIMT_DRIVER", "0", 1);
  ck_assert_int_eq(train("run", ""), EXIT_DEVICE);
  assert_names("run.device = cuda:0", "no NVIDIA driver", NULL);
}
END_TEST

START_TEST(old_driver) {
  setenv("SIMT_DRIVER", "12020", 1);
  ck_assert_int_eq(train("run", ""), EXIT_DEVICE);
  assert_names("driver", "12.2", "13.0", "newer driver", NULL);
}
END_TEST

START_TEST(no_gpu) {
  setenv("SIMT_DEVICES", "0", 1);
  ck_assert_int_eq(train("run", ""), EXIT_DEVICE);
  assert_names("no GPU", "CUDA_VISIBLE_DEVICES", NULL);
  /* Left to choose, the program computes on the CPU. */
  ck_assert_int_eq(train("cpu", "run.device=auto"), EXIT_OK);
}
END_TEST

START_TEST(no_such_gpu) {
  setenv("SIMT_DEVICES", "2", 1);
  ck_assert_int_eq(train("run", "run.device=cuda:2"), EXIT_DEVICE);
  assert_names("no cuda:2", "cuda:0 to cuda:1", NULL);
}
END_TEST

START_TEST(old_gpu) {
  setenv("SIMT_CAPABILITY", "6.1", 1);
  ck_assert_int_eq(train("run", ""), EXIT_DEVICE);
  assert_names("simulated GPU", "compute capability 6.1", "7.5", NULL);
}
END_TEST

START_TEST(gpu_that_the_build_lacks) {
  setenv("SIMT_CAPABILITY", "10.0", 1);
  setenv("SIMT_FAIL", "cudaFuncGetAttributes:1:209", 1);
  ck_assert_int_eq(train("run", ""), EXIT_DEVICE);
  assert_names("no kernels for", "10.0", "MAEBENCH_CUDA_ARCHITECTURES=100", NULL);
}
END_TEST

START_TEST(shared_memory_that_is_refused) {
  setenv("SIMT_FAIL", "cudaFuncSetAttribute:5:1", 1);
  ck_assert_int_eq(train("run", ""), EXIT_DEVICE);
  assert_names("cuda:0: shared memory of a kernel", "invalid argument", NULL);
}
END_TEST

START_TEST(bf16_on_a_gpu_without_it) {
  setenv("SIMT_CAPABILITY", "7.5", 1);
  ck_assert_int_eq(train("run", "train.precision=bf16"), EXIT_CONFIG);
  assert_names("bf16", "8.0", "train.precision = fp16", NULL);
  ck_assert_int_eq(train("run", "train.precision=fp16"), EXIT_OK);
}
END_TEST

START_TEST(a_batch_that_does_not_fit) {
  setenv("SIMT_MEMORY", "328", 1);
  const char *large = "train.batch=4096 data.train_images=8192";
  ck_assert_int_eq(train("run", large), EXIT_DEVICE);
  assert_names("328 MiB are free", "simulated GPU", "train.accumulate =", NULL);
  json_t *events = read_events("run");
  ck_assert_int_eq((int)event_number(last_event(events, "end", NULL), "code"), EXIT_DEVICE);
  json_decref(events);
  /* What the message names does fit. */
  int accumulate = 0;
  ck_assert_int_eq(
      sscanf(strstr(mae_output(), "train.accumulate = "), "train.accumulate = %d", &accumulate), 1);
  ck_assert_int_gt(accumulate, 1);
}
END_TEST

/* Every device allocation of a start fails once. */
START_TEST(no_memory_at_any_moment) {
  int failures = 0;
  for (int n = 1; n < 40; n++) {
    char fail[64];
    snprintf(fail, sizeof fail, "cudaMalloc:%d:2", n);
    setenv("SIMT_FAIL", fail, 1);
    char name[16];
    snprintf(name, sizeof name, "run-%d", n);
    int code = train(name, "train.steps=3");
    if (code == EXIT_OK) break; /* no such call; or images that stay where they are */
    failures++;
    ck_assert_msg(code == EXIT_DEVICE, "allocation %d: exit code %d: %s", n, code, mae_output());
    ck_assert_msg(strstr(mae_output(), "out of memory") != NULL, "%s", mae_output());
  }
  ck_assert_int_gt(failures, 10);
}
END_TEST

/* A kernel fails in the middle of training, or the device is lost: exit 3, the checkpoint of before
 * is good, and the run goes on from it to the bits of a run that never failed. */
START_TEST(an_error_in_the_middle_of_a_step) {
  static const struct {
    const char *fail, *name;
  } faults[] = {{"kernel:700:700", "illegal memory access"},
                {"kernel:900:719", "unspecified launch failure"},
                {"kernel:800:214", "uncorrectable ECC error"},
                {"cudaMemcpyAsync:200:700", "illegal memory access"},
                {"cudaGraphLaunch:5:719", "unspecified launch failure"}};
  const char *whole = trained("whole", "train.steps=16");
  for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
    char name[16];
    snprintf(name, sizeof name, "run-%zu", i);
    setenv("SIMT_FAIL", faults[i].fail, 1);
    ck_assert_msg(train(name, "train.steps=16") == EXIT_DEVICE, "%s: %s", faults[i].fail,
                  mae_output());
    assert_names("cuda:0", faults[i].name, NULL);
    unsetenv("SIMT_FAIL");
    json_t *events = read_events(name), *end = last_event(events, "end", NULL);
    ck_assert_str_eq(event_text(end, "status"), "failed");
    ck_assert_int_eq((int)event_number(end, "code"), EXIT_DEVICE);
    json_decref(events);
    ck_assert_str_eq(trained(name, "train.steps=16 --resume"), whole);
  }
}
END_TEST

START_TEST(the_library_cannot_multiply) {
  setenv("SIMT_FAIL", "cublasLtMatmulAlgoGetHeuristic:4:1", 1);
  ck_assert_int_eq(train("run", ""), EXIT_DEVICE);
  assert_names("matrix product", "not supported", NULL);
  setenv("SIMT_FAIL", "cublasLtCreate:1:1", 1);
  ck_assert_int_eq(train("start", ""), EXIT_DEVICE);
  assert_names("cuBLASLt does not start", NULL);
}
END_TEST

START_TEST(a_checkpoint_of_another_run) {
  ck_assert_int_eq(train("run", "train.precision=fp32 --stop-after 4"), 128 + SIGINT);
  ck_assert_int_eq(train("run", "train.precision=fp16 --resume"), EXIT_CONFIG);
  assert_names("train.precision was fp32 and is fp16 now", NULL);
  ck_assert_int_eq(train("run", "train.shards=1 --resume"), EXIT_CONFIG);
  assert_names("train.shards was 2 and is 1 now", NULL);
  /* The number of ranks is no part of what is computed: see test_determinism. */
  ck_assert_int_eq(train("run", "--resume"), EXIT_OK);
}
END_TEST

/* Weights so large that the gradient overflows fp16 at a loss scale of 1, where nothing helps. */
START_TEST(loss_scale_at_its_floor) {
  ck_assert_int_eq(train("run", "train.precision=fp16 --stop-after 2"), 128 + SIGINT);
  spoil_checkpoint("run", 6e4f, 1);
  ck_assert_int_eq(train("run", "train.precision=fp16 --resume"), EXIT_NONFINITE);
  assert_names("loss scale at its floor", "step 3", "train.precision = bf16 or fp32", NULL);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("simulated program");
  TCase *runs = tcase_create("runs"), *faults = tcase_create("faults");
  tcase_add_checked_fixture(runs, begin, remove_test_folder);
  tcase_add_checked_fixture(faults, begin, remove_test_folder);
  tcase_set_timeout(runs, 300);
  tcase_set_timeout(faults, 300);
  tcase_add_loop_test(runs, same_bits_in_any_order_of_streams, 0, 3);
  tcase_add_loop_test(runs, a_resumed_run_is_the_whole_run, 0, 3);
  tcase_add_test(runs, streamed_images_are_the_same_images);
  tcase_add_test(runs, a_step_neither_waits_nor_allocates);
  tcase_add_test(runs, scoring_allocates_nothing);
  tcase_add_test(faults, no_driver);
  tcase_add_test(faults, old_driver);
  tcase_add_test(faults, no_gpu);
  tcase_add_test(faults, no_such_gpu);
  tcase_add_test(faults, old_gpu);
  tcase_add_test(faults, gpu_that_the_build_lacks);
  tcase_add_test(faults, shared_memory_that_is_refused);
  tcase_add_test(faults, bf16_on_a_gpu_without_it);
  tcase_add_test(faults, a_batch_that_does_not_fit);
  tcase_add_test(faults, no_memory_at_any_moment);
  tcase_add_test(faults, an_error_in_the_middle_of_a_step);
  tcase_add_test(faults, the_library_cannot_multiply);
  tcase_add_test(faults, a_checkpoint_of_another_run);
  tcase_add_test(faults, loss_scale_at_its_floor);
  suite_add_tcase(suite, runs);
  suite_add_tcase(suite, faults);
  return suite_run(suite);
}
