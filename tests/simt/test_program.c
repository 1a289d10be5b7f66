/* The whole mae program on a simulated GPU: the reproducibility contract there, what a step may not
 * do to the device, and every bad condition: one clear message, the documented exit code, nothing
 * lost. The environment says what the device is like and where it fails: see runtime.h. */
#include "tests/run_mae.h"

#include <glob.h>
#include <stdarg.h>

#include "tests/simt/spoil.h"
#include "tests/suite.h"

#define TINY                                                                                       \
  "model.image_size=16 model.patch_size=4 model.encoder=16x1x2 model.decoder=16x1x2 "              \
  "train.batch=4 train.shards=2 train.blr=0.03 train.warmup_epochs=0 train.warmup_steps=2 "        \
  "data.train_images=20 eval.images=4 run.device=cuda:0 run.checkpoint_every=3 train.steps=8 "

static const char *const variables[] = {"SIMT_DEVICES", "SIMT_CAPABILITY", "SIMT_MEMORY",
                                        "SIMT_DRIVER",  "SIMT_FAIL",       "SIMT_REPORT",
                                        "SIMT_STREAMS", "SIMT_SHARED",     "SIMT_GRID"};

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

/* Tables of products ---------------------------------------------------------------------------*/

static void make_table(const char *name) {
  char command[1024];
  snprintf(command, sizeof command, "bench " TINY "--steps 2 --warmup 1 --products @/%s", name);
  ck_assert_msg(run_mae(command) == EXIT_OK, "%s", mae_output());
}

/* Puts `to` where `from` is in a file; both have the same length. */
static void change_file(const char *name, const char *from, const char *to) {
  char path[PATH_SIZE], text[16384];
  FILE *file = fopen(in_folder(path, name), "r+");
  ck_assert_ptr_nonnull(file);
  text[fread(text, 1, sizeof text - 1, file)] = '\0';
  char *at = strstr(text, from);
  ck_assert_msg(at && strlen(from) == strlen(to), "no '%s' in %s", from, name);
  memcpy(at, to, strlen(to));
  rewind(file);
  fputs(text, file);
  fclose(file);
}

START_TEST(a_table_of_products_is_followed_to_the_same_bits) {
  char path[PATH_SIZE];
  make_table("t.txt");
  const char *whole = trained("whole", "run.products=@/t.txt");
  json_t *events = read_events("whole");
  json_t *start = last_event(events, "start", NULL),
         *artifact = last_event(events, "artifact", NULL);
  const char *hash = event_text(json_object_get(start, "provenance"), "products_sha256");
  ck_assert_uint_eq(strlen(hash), 64);
  ck_assert_ptr_nonnull(artifact);
  ck_assert_int_eq(access(in_folder(path, "whole/products.txt"), F_OK), 0);
  json_decref(events);
  ck_assert_str_ne(trained("rule", ""), whole);
  /* The run has what it needs to go on, wherever the table is then. */
  ck_assert_int_eq(train("pieces", "run.products=@/t.txt --stop-after 3"), 128 + SIGINT);
  ck_assert_int_eq(unlink(in_folder(path, "t.txt")), 0);
  ck_assert_int_eq(train("pieces", "--resume --stop-after 5"), 128 + SIGINT);
  ck_assert_str_eq(trained("pieces", "--resume"), whole);
  ck_assert_msg(run_mae("eval --checkpoint @/whole") == EXIT_OK, "%s", mae_output());
  /* Not on another device: what stands there is not what it says. */
  setenv("SIMT_CAPABILITY", "9.0", 1);
  ck_assert_int_eq(run_mae("eval --checkpoint @/whole"), EXIT_DATA);
  assert_names("whole/products.txt:3: the table was made with capability = 8.0", NULL);
  ck_assert_msg(run_mae("eval --checkpoint @/whole run.products=") == EXIT_OK, "%s", mae_output());
}
END_TEST

/* An early device has one attribute less to tell an algorithm by, and none that is faster than the
 * rule's choice: the table makes that again. */
START_TEST(a_table_of_products_of_an_early_device) {
  setenv("SIMT_CAPABILITY", "7.5", 1);
  make_table("t.txt");
  const char *followed = trained("table", "run.products=@/t.txt");
  json_t *events = read_events("table"), *start = last_event(events, "start", NULL);
  const char *features = event_text(json_object_get(start, "provenance"), "device_features");
  ck_assert_msg(strstr(features, ":66.20.5.1.0.0.0.-1/table/") != NULL, "%s", features);
  json_decref(events);
  ck_assert_str_eq(trained("rule", ""), followed);
}
END_TEST

/* Runs `harness WORDS` in the test's folder. */
static int run_harness(const char *words) {
  char command[2048];
  snprintf(command, sizeof command,
           "cd '%s' && XDG_CACHE_HOME=cache '%s/harness' %s --mae '%s' > output 2>&1", test_folder,
           PROGRAM_DIR, words, MAE_PROGRAM);
  int status = system(command);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* Verification follows the trial's own copy, wherever the table has gone, and notices a change. */
START_TEST(a_trial_with_a_table_of_products_is_verified) {
  static const char words[] =
      "[experiment]\nname = t\nquestion = q?\nx = run.seed\n[sweep]\nrun.seed = 1\n[model]\n"
      "image_size = 16\npatch_size = 4\nencoder = 16x1x2\ndecoder = 16x1x2\n[train]\nbatch = 4\n"
      "shards = 2\nwarmup_epochs = 0\nwarmup_steps = 2\nsteps = 4\n[data]\ntrain_images = 20\n"
      "[eval]\nimages = 4\n[run]\ndevice = auto\nproducts = t.txt\n";
  char path[PATH_SIZE], copy[PATH_SIZE];
  make_table("t.txt");
  FILE *file = fopen(in_folder(path, "e.ini"), "w");
  ck_assert(file && fputs(words, file) >= 0 && !fclose(file));
  ck_assert_msg(!run_harness("run e.ini --scale none --out results"), "%s", mae_output());
  ck_assert_int_eq(unlink(in_folder(path, "t.txt")), 0);
  ck_assert_msg(!run_harness("verify 1"), "%s", mae_output());
  ck_assert_ptr_nonnull(strstr(mae_output(), "trial 1: bitwise"));
  /* It goes along to another place. */
  ck_assert_msg(!run_harness("run e.ini --scale none --out second --db second.db --from results"),
                "%s", mae_output());
  glob_t found;
  ck_assert_int_eq(glob(in_folder(path, "second/t/*/products.txt"), 0, NULL, &found), 0);
  globfree(&found);
  ck_assert_int_eq(glob(in_folder(path, "results/t/*/products.txt"), 0, NULL, &found), 0);
  snprintf(copy, sizeof copy, "%s", found.gl_pathv[0] + strlen(test_folder) + 1);
  globfree(&found);
  change_file(copy, "custom=3", "custom=0");
  ck_assert_int_eq(run_harness("verify 1"), EXIT_DEVICE);
  ck_assert_ptr_nonnull(strstr(mae_output(), "products.txt: the file was changed"));
}
END_TEST

START_TEST(a_table_of_products_that_cannot_be_followed) {
  ck_assert_int_eq(train("run", "run.products=@/none.txt"), EXIT_DATA);
  assert_names("run.products: ", "none.txt", "No such file", NULL);
  make_table("t.txt");
  make_table("other.txt");
  change_file("other.txt", "custom=3", "custom=0");
  /* A run keeps to what it began with. */
  ck_assert_int_eq(train("run", "run.products=@/t.txt --stop-after 3"), 128 + SIGINT);
  ck_assert_int_eq(train("run", "run.products=@/other.txt --resume"), EXIT_DATA);
  assert_names("other.txt", "was started with another table of products", "has a copy", NULL);
  ck_assert_int_eq(train("rule", "--stop-after 3"), 128 + SIGINT);
  ck_assert_int_eq(train("rule", "run.products=@/t.txt --resume"), EXIT_CONFIG);
  assert_names("started without run.products", NULL);
  change_file("run/products.txt", "custom=3", "custom=0");
  ck_assert_int_eq(train("run", "--resume"), EXIT_DATA);
  assert_names("run/products.txt", "another table of products", "put the old one back", NULL);
  /* One of another device, and one that is damaged: file and line, and a start that can be mended.
   */
  setenv("SIMT_CAPABILITY", "9.0", 1);
  ck_assert_int_eq(train("new", "run.products=@/t.txt"), EXIT_DATA);
  assert_names("/t.txt:3: the table was made with capability = 8.0, and here it is 9.0", NULL);
  unsetenv("SIMT_CAPABILITY");
  change_file("other.txt", "\nend = ", "\nand = ");
  ck_assert_int_eq(train("new", "run.products=@/other.txt"), EXIT_DATA);
  assert_names("other.txt:", "expected a product and its algorithm", NULL);
  ck_assert_int_eq(train("new", "train.steps=3"), EXIT_OK);
  /* The table of a start that failed is in the folder, and not what the next one follows. */
  char path[PATH_SIZE];
  ck_assert_int_eq(access(in_folder(path, "new/products.txt"), F_OK), 0);
  json_t *events = read_events("new"), *start = last_event(events, "start", NULL);
  ck_assert_ptr_null(json_object_get(json_object_get(start, "provenance"), "products_sha256"));
  json_decref(events);
  /* A CPU has no choice. */
  ck_assert_int_eq(train("cpu", "run.device=cpu run.products=@/none.txt train.steps=3"), EXIT_OK);
  ck_assert_int_eq(run_mae("bench " TINY "run.device=cpu --products @/cpu.txt"), EXIT_CONFIG);
  assert_names("--products: a CPU has one algorithm", NULL);
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

/* The suite measures in processes of their own, which must be able to open the GPU: what they say
 * here is the library's failure. */
START_TEST(the_suite_asks_for_gpus_where_it_measures) {
  setenv("SIMT_FAIL", "cublasLtCreate:1:1", 1);
  ck_assert_int_eq(run_mae("bench --suite run.device=cuda:0"), EXIT_DEVICE);
  assert_names("cuda:0: cuBLASLt does not start", NULL);
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
  TCase *products = tcase_create("products");
  tcase_add_checked_fixture(runs, begin, remove_test_folder);
  tcase_add_checked_fixture(faults, begin, remove_test_folder);
  tcase_set_timeout(runs, 300);
  tcase_add_checked_fixture(products, begin, remove_test_folder);
  tcase_set_timeout(faults, 300);
  tcase_set_timeout(products, 300);
  tcase_add_loop_test(runs, same_bits_in_any_order_of_streams, 0, 3);
  tcase_add_loop_test(runs, a_resumed_run_is_the_whole_run, 0, 3);
  tcase_add_test(runs, streamed_images_are_the_same_images);
  tcase_add_test(runs, a_step_neither_waits_nor_allocates);
  tcase_add_test(runs, scoring_allocates_nothing);
  tcase_add_test(products, a_table_of_products_is_followed_to_the_same_bits);
  tcase_add_test(products, a_table_of_products_of_an_early_device);
  tcase_add_test(products, a_trial_with_a_table_of_products_is_verified);
  tcase_add_test(products, a_table_of_products_that_cannot_be_followed);
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
  tcase_add_test(faults, the_suite_asks_for_gpus_where_it_measures);
  tcase_add_test(faults, a_checkpoint_of_another_run);
  tcase_add_test(faults, loss_scale_at_its_floor);
  suite_add_tcase(suite, runs);
  suite_add_tcase(suite, faults);
  suite_add_tcase(suite, products);
  return suite_run(suite);
}
