/* Probes of whole training runs, through the mae program: what they log, that they change nothing
 * of the run, what becomes of one that fails, and the features that `mae features` writes. */
#include <errno.h>
#include <math.h>

#include "mae/base/io.h"
#include "mae/data/picture.h"
#include "mae/model/safetensors.h"
#include "mae/probe/features.h"
#include "mae/probe/neighbours.h"
#include "mae/train/train.h"
#include "tests/run_mae.h"
#include "tests/suite.h"
#include "tests/tiny.h"

#define TINY                                                                                       \
  "model.image_size=32 model.patch_size=8 model.encoder=32x2x2 model.decoder=16x1x2 "              \
  "train.batch=16 train.steps=12 train.blr=0.03 train.warmup_epochs=0 train.warmup_steps=4 "       \
  "data.train_images=256 eval.images=8 eval.batch=8 run.device=cpu "

/* A run's probes as text, without what says when: of the model in order, then the baselines. */
static char *probe_numbers(const char *run) {
  static const char *const passing[] = {"time", "seconds", "seal"};
  json_t *events = read_events(run), *found = json_array(), *event;
  size_t i;
  json_array_foreach(events, i, event) {
    if (!json_object_get(event, "train_images")) continue;
    for (int k = 0; k < 3; k++) ck_assert_int_eq(json_object_del(event, passing[k]), 0);
    json_array_append(found, event);
  }
  char *text = json_dumps(found, JSON_INDENT(1) | JSON_SORT_KEYS);
  json_decref(found);
  json_decref(events);
  return text;
}

static void assert_same_numbers(const char *run, const char *other) {
  char *a = probe_numbers(run), *b = probe_numbers(other);
  ck_assert_str_eq(a, b);
  ck_assert_uint_gt(strlen(a), 1000);
  free(a);
  free(b);
}

static void assert_same_training(const char *run, const char *other) {
  json_t *a = read_events(run), *b = read_events(other);
  ck_assert_str_eq(event_text(last_event(a, "end", NULL), "state_sha256"),
                   event_text(last_event(b, "end", NULL), "state_sha256"));
  json_decref(a);
  json_decref(b);
}

static void expect_run(const char *command, int code) {
  int got = run_mae(command);
  ck_assert_msg(got == code, "%s: %d: %s", command, got, mae_output());
}

/* The events of this name in which key says value; the last of them into *last, borrowed. */
static int count_events(const json_t *events, const char *name, const char *key, const char *value,
                        json_t **last) {
  json_t *event;
  size_t i;
  int count = 0;
  json_array_foreach(events, i, event) {
    const char *text = json_string_value(json_object_get(event, key));
    if (strcmp(event_name(event), name) != 0 || !text || strcmp(text, value) != 0) continue;
    count++;
    if (last) *last = event;
  }
  return count;
}

/* Numbers ------------------------------------------------------------------------------------- */

START_TEST(probes_are_logged) {
  expect_run("train " TINY "run.threads=1 probe.method=both probe.every=5 --out @/run", EXIT_OK);
  json_t *events = read_events("run"), *probe = NULL, *baseline = NULL;
  ck_assert_int_eq(count_events(events, "eval", "scorer", "probe", &probe), 3); /* 5, 10, 12 */
  ck_assert(event_number(probe, "step") == 12);
  ck_assert(event_number(probe, "train_images") == 256);
  ck_assert(event_number(probe, "images") == 1024);
  ck_assert(event_number(probe, "classes") == 10);
  ck_assert(event_number(probe, "seconds") > 0);
  static const char *const readouts[] = {"cls", "mean", "cls_prenorm", "mean_prenorm"};
  static const char *const readings[] = {"knn_%s",      "knn_%s_top5",    "knn_%s_k10",
                                         "knn_%s_k200", "linear_%s_top5", "linear_%s"};
  static const char *const baselines[] = {"pixels", "random", "chance"};
  for (int r = 0; r < 4; r++)
    for (int k = 0; k < 6; k++) {
      char name[64];
      snprintf(name, sizeof name, readings[k], readouts[r]);
      double value = event_number(probe, name);
      ck_assert_msg(value > 0 && value < 100, "%s = %g", name, value);
      for (int b = 0; b < 3; b++) {
        ck_assert_int_eq(count_events(events, "baseline", "name", baselines[b], &baseline), 1);
        ck_assert(event_number(baseline, name) > 0);
      }
    }
  ck_assert(event_number(probe, "linear_mean_strength") > 0);
  /* Reconstructions are scored as ever, once, and their events have nothing of the probe. */
  json_t *event;
  size_t i;
  int scores = 0;
  json_array_foreach(events, i, event) if (!strcmp(event_name(event), "eval") &&
                                           json_object_get(event, "psnr_masked")) {
    scores++;
    ck_assert_ptr_null(json_object_get(event, "knn_mean"));
    ck_assert_ptr_null(json_object_get(event, "seconds"));
  }
  ck_assert_int_eq(scores, 1);
  /* A vote of more neighbours than there are images would have been said, once. */
  ck_assert_int_eq(count_events(events, "warning", "event", "warning", NULL), 0);
  json_decref(events);
}
END_TEST

/* Not by threads, nor by an interruption; and the training not by its probes. */
START_TEST(probes_change_nothing) {
#define PROBED "train " TINY "probe.method=both probe.every=5 probe.eval_images=200 "
  expect_run(PROBED "run.threads=1 --out @/one", EXIT_OK);
  expect_run(PROBED "run.threads=2 --out @/two", EXIT_OK);
  assert_same_numbers("two", "one");
  assert_same_training("two", "one");
  expect_run(PROBED "run.threads=1 --stop-after 7 --out @/resumed", 128 + SIGINT);
  expect_run(PROBED "run.threads=1 --resume --out @/resumed", EXIT_OK);
  assert_same_numbers("resumed", "one");
  assert_same_training("resumed", "one");
  expect_run("train " TINY "run.threads=1 --out @/off", EXIT_OK);
  assert_same_training("off", "one");
  json_t *events = read_events("off");
  ck_assert_int_eq(count_events(events, "eval", "scorer", "probe", NULL), 0);
  ck_assert_int_eq(count_events(events, "baseline", "name", "chance", NULL), 0);
  json_decref(events);
}
END_TEST

/* After every step a probe, which takes far longer than a step. */
START_TEST(steps_are_timed_without_probes) {
  expect_run("train " TINY
             "run.threads=1 probe.method=linear probe.every=1 probe.eval_images=200 --out @/run",
             EXIT_OK);
  json_t *events = read_events("run"), *event;
  double least = INFINITY, total = 0;
  size_t i;
  json_array_foreach(events, i, event) if (json_object_get(event, "train_images") &&
                                           !strcmp(event_name(event), "eval")) {
    least = fmin(least, event_number(event, "seconds"));
    total += event_number(event, "seconds");
  }
  json_t *speed = last_event(events, "throughput", NULL);
  ck_assert_double_lt(event_number(speed, "step_seconds_median"), 0.5 * least);
  ck_assert_double_gt(event_number(last_event(events, "end", NULL), "wall_seconds"), total);
  json_decref(events);
}
END_TEST

#define EAGER PROGRAM_DIR "/../tests/eager_trainer"

static void expect_eager_run(const char *command, int code) {
  const char *usual = mae_program;
  mae_program = EAGER;
  expect_run(command, code);
  mae_program = usual;
}

/* Whether there is such a job among the work events before event number `end`, told to its end
 * where there is one. */
static bool is_told(const json_t *events, const char *what, size_t end) {
  json_t *event;
  size_t i;
  json_array_foreach(events, i, event) {
    if (i >= end || strcmp(event_name(event), "work") || strcmp(event_text(event, "what"), what))
      continue;
    json_t *total = json_object_get(event, "total");
    double done = event_number(event, "done");
    ck_assert_msg(done > 0 && (!total || done <= event_number(event, "total")), "%s", what);
    if (!total || done == event_number(event, "total")) return true;
  }
  return false;
}

/* The place of an event among the others. */
static size_t place_of(const json_t *events, const char *name, const char *key, const char *value) {
  json_t *found = NULL, *event;
  size_t i;
  ck_assert_int_gt(count_events(events, name, key, value, &found), 0);
  json_array_foreach(events, i, event) if (event == found) break;
  return i;
}

/* No part of a run is long without a word, and what is said changes nothing of it. */
START_TEST(long_jobs_are_told) {
#define TOLD                                                                                       \
  "train " TINY "run.threads=1 probe.method=both probe.every=6 eval.every=6 "                      \
  "probe.eval_images=200 "
  expect_eager_run(TOLD "--out @/told", EXIT_OK);
  json_t *events = read_events("told");
  ck_assert(is_told(events, "packing", place_of(events, "start", "event", "start")));
  static const struct {
    const char *what, *event, *key, *value; /* told before this event */
  } jobs[] = {
      {"model, held-out images", "baseline", "name", "fill_mean"},
      {"fill_mean, held-out images", "baseline", "name", "fill_mean"},
      {"fill_harmonic, held-out images", "baseline", "name", "fill_harmonic"},
      {"sheet", "artifact", "kind", "sheet"},
      {"probe, training features", "eval", "scorer", "probe"},
      {"probe, held-out features", "eval", "scorer", "probe"},
      {"probe, cls, vote", "eval", "scorer", "probe"},
      {"probe, mean_prenorm, fit 1 of 7, iterations", "eval", "scorer", "probe"},
      {"probe, mean_prenorm, fit 7 of 7, iterations", "eval", "scorer", "probe"},
      {"pixels, training features", "baseline", "name", "pixels"},
      {"pixels, cls, vote", "baseline", "name", "pixels"},
      {"random, held-out features", "baseline", "name", "random"},
  };
  for (size_t i = 0; i < sizeof jobs / sizeof *jobs; i++)
    ck_assert_msg(
        is_told(events, jobs[i].what, place_of(events, jobs[i].event, jobs[i].key, jobs[i].value)),
        "%s", jobs[i].what);
  json_decref(events);
  expect_run(TOLD "--out @/untold", EXIT_OK);
  assert_same_numbers("told", "untold");
  assert_same_training("told", "untold");
  expect_eager_run(TOLD "--stop-after 7 --out @/resumed", 128 + SIGINT);
  expect_eager_run(TOLD "--resume --out @/resumed", EXIT_OK);
  assert_same_numbers("resumed", "untold");
  assert_same_training("resumed", "untold");
}
END_TEST

START_TEST(some_of_it) {
  expect_run("train " TINY "run.threads=1 probe.method=knn probe.features=mean "
             "probe.train_images=50 probe.eval_images=40 --out @/run",
             EXIT_OK);
  json_t *events = read_events("run"), *probe = NULL, *warning = NULL;
  ck_assert_int_eq(count_events(events, "eval", "scorer", "probe", &probe), 1);
  ck_assert(event_number(probe, "train_images") == 50);
  ck_assert(event_number(probe, "images") == 40);
  ck_assert(event_number(probe, "knn_mean") >= 0);
  ck_assert_ptr_null(json_object_get(probe, "knn_mean_k100"));
  ck_assert_ptr_null(json_object_get(probe, "knn_cls"));
  ck_assert_ptr_null(json_object_get(probe, "linear_mean"));
  ck_assert_int_eq(count_events(events, "warning", "event", "warning", &warning), 1);
  ck_assert_ptr_nonnull(strstr(event_text(warning, "message"),
                               "no vote of 100, 200 neighbours: there are 50 training images"));
  json_decref(events);
  /* Its table's columns stand below each other, however long the names. */
  expect_run("eval --checkpoint @/run", EXIT_OK);
  const char *row = strstr(mae_output(), "\n\n"), *end = strstr(mae_output(), "\nclasses told");
  ck_assert(row && end && strstr(row, "\nknn_mean_prenorm_k10_top5 "));
  size_t length = strcspn(row += 2, "\n");
  for (; row < end; row += length + 1)
    ck_assert_msg(strcspn(row, "\n") == length, "%s", mae_output());
  expect_run("train " TINY "model.class_token=false probe.method=knn probe.features=cls "
             "--out @/none",
             EXIT_CONFIG);
  ck_assert_ptr_nonnull(strstr(mae_output(), "probe.features = cls, but the model has no class"));
}
END_TEST

/* Pictures of a colour for each class, and noise: train/CLASS/N.png, val/CLASS/N.png. */
static void write_pictures(const char *split, char class, const uint8_t colour[3], int count) {
  char folder[PATH_SIZE + 32], path[PATH_SIZE + 64], root[PATH_SIZE];
  uint8_t rgb[32 * 32 * 3];
  Error e = {0};
  snprintf(folder, sizeof folder, "%s/%s/%c", in_folder(root, "images"), split, class);
  ck_assert(io_make_folders(folder, &e));
  for (int i = 0; i < count; i++) {
    for (uint32_t k = 0; k < sizeof rgb; k++)
      rgb[k] =
          (uint8_t)(colour[k % 3] + random_bits(9, STREAM_SHAPES, *split, (uint64_t)i, k) % 40);
    snprintf(path, sizeof path, "%s/%02d.png", folder, i);
    ck_assert_msg(picture_write_png(path, rgb, 32, 32, &e), "%s", e.message);
  }
}

/* Classes that anybody can tell are told by each way, whatever the order of files and labels; a
 * class that nobody was trained on is left out. */
START_TEST(classes_of_colour_are_told) {
  static const uint8_t colours[][3] = {{20, 20, 20},   {200, 20, 20},  {20, 200, 20},
                                       {20, 20, 200},  {200, 200, 20}, {20, 200, 200},
                                       {200, 200, 200}};
  for (int c = 0; c < 6; c++) {
    write_pictures("train", (char)('a' + 2 * c), colours[c], 11 + c);
    write_pictures("val", (char)('a' + 2 * c), colours[c], 9 - c);
  }
  write_pictures("val", 'd', colours[6], 5);
  expect_run("train " TINY "run.threads=1 probe.method=both data.source=imagefolder "
             "data.path=@/images data.train_images=0 --out @/run",
             EXIT_OK);
  json_t *events = read_events("run"), *told[3], *chance, *warning;
  ck_assert_int_eq(count_events(events, "eval", "scorer", "probe", &told[0]), 1);
  ck_assert_int_eq(count_events(events, "baseline", "name", "pixels", &told[1]), 1);
  ck_assert_int_eq(count_events(events, "baseline", "name", "random", &told[2]), 1);
  ck_assert_int_eq(count_events(events, "baseline", "name", "chance", &chance), 1);
  for (int i = 0; i < 3; i++) {
    ck_assert(event_number(told[i], "images") == 9 + 8 + 7 + 6 + 5 + 4);
    ck_assert(event_number(told[i], "classes") == 6);
    ck_assert_double_ge(event_number(told[i], "knn_mean_k10"), 95);
    ck_assert_double_ge(event_number(told[i], "linear_mean"), 95);
    ck_assert_double_ge(event_number(told[i], "linear_cls"), 95);
  }
  /* The commonest in training is the rarest held out. */
  ck_assert_double_eq_tol(event_number(chance, "linear_mean"), 100.0 * 4 / 39, 1e-9);
  ck_assert_int_eq(count_events(events, "warning", "event", "warning", &warning), 1);
  ck_assert_ptr_nonnull(strstr(event_text(warning, "message"),
                               "5 of 44 held-out images are left out: their class has no "
                               "training images; no vote of 100, 200 neighbours"));
  /* The same again from the checkpoint alone. */
  expect_run("eval --checkpoint @/run --json", EXIT_OK);
  json_t *again = json_loads(mae_output(), 0, NULL), *model = json_object_get(again, "probe");
  ck_assert_msg(model != NULL, "%s", mae_output());
  ck_assert(event_number(told[0], "linear_mean") ==
            json_number_value(json_object_get(model, "linear_mean")));
  json_decref(again);
  json_decref(events);
}
END_TEST

/* A probe that fails --------------------------------------------------------------------------- */

static int refuse(void *user, IoCall call, const char *purpose, size_t *size) {
  (void)size;
  return call == IO_MALLOC && !strcmp(purpose, user) ? ENOMEM : 0;
}

/* There is no memory for what a probe needs: the run is done all the same, and says so. */
START_TEST(a_failing_probe_is_no_failing_run) {
  static char purposes[][24] = {"features", "candidates", "a linear classifier"};
  char settings[1024], out[PATH_SIZE];
  snprintf(
      settings, sizeof settings,
      TINY
      "run.threads=1 probe.method=both probe.every=6 probe.eval_images=200 data.cache=%s/cache",
      test_folder);
  Config config = tiny_config(settings);
  TrainOptions options = {.out = in_folder(out, "run"), .quiet = true};
  Error e = {0};
  io_set_fault(refuse, purposes[_i]);
  ck_assert_int_eq(train_run(&config, &options, &e), EXIT_OK);
  io_set_fault(NULL, NULL);
  json_t *events = read_events("run"), *event, *end = last_event(events, "end", NULL);
  ck_assert_str_eq(event_text(end, "status"), "done");
  ck_assert_int_eq(count_events(events, "eval", "scorer", "probe", NULL), 0);
  /* Those of the model twice, of pixels and of random weights; chance needs no features. */
  size_t i;
  int warnings = 0;
  json_array_foreach(events, i, event) if (!strcmp(event_name(event), "warning")) {
    const char *message = event_text(event, "message");
    const char *name = warnings < 2 ? "probe" : warnings == 2 ? "pixels" : "random";
    ck_assert_msg(strstr(message, ": not measured: out of memory: "), "%s", message);
    ck_assert_msg(strstr(message, purposes[_i]) && strstr(message, name) == message, "%s", message);
    warnings++;
  }
  ck_assert_int_eq(warnings, 4);
  ck_assert_int_eq(count_events(events, "baseline", "name", "chance", NULL), 1);
  json_decref(events);
}
END_TEST

/* Features in a file --------------------------------------------------------------------------- */

static TensorFile open_file(const char *name) {
  char path[PATH_SIZE];
  TensorFile file;
  Error e = {0};
  ck_assert_msg(safetensors_open(&file, in_folder(path, name), &e), "%s", e.message);
  return file;
}

static const void *tensor(const TensorFile *file, const char *name, const char *shape) {
  char got[256];
  const Tensor *found = safetensors_find(file, name);
  ck_assert_msg(found != NULL, "no %s", name);
  safetensors_describe(got, sizeof got, found);
  ck_assert_str_eq(got, shape);
  return found->data;
}

/* The labels of a file of so many images, as a probe has them; the caller frees. */
static int32_t *labels_of(const TensorFile *file, int count, const char *shape) {
  int32_t *labels = malloc((size_t)count * sizeof *labels);
  const int64_t *wide = tensor(file, "label", shape);
  for (int i = 0; i < count; i++) labels[i] = (int32_t)wide[i];
  return labels;
}

/* Another program that votes on these features finds what the run has logged. */
START_TEST(features_are_written) {
  expect_run("train " TINY "run.threads=1 probe.method=knn --out @/run", EXIT_OK);
  expect_run("features --checkpoint @/run --split train --out @/train.st", EXIT_OK);
  expect_run("features --checkpoint @/run --split eval --out @/eval.st", EXIT_OK);
  TensorFile train = open_file("train.st"), eval = open_file("eval.st");
  json_t *events = read_events("run"), *probe = NULL;
  Config config = tiny_config("run.threads=1");
  Device *device = tiny_device(&config);
  ck_assert_int_eq(train.count, READOUT_COUNT + 2);
  ck_assert_int_eq(count_events(events, "eval", "scorer", "probe", &probe), 1);
  ck_assert_str_eq(safetensors_metadata(&train, "split"), "train");
  int32_t *train_labels = labels_of(&train, 256, "I64 [256]");
  int32_t *eval_labels = labels_of(&eval, 1024, "I64 [1024]");
  for (int r = 0; r < READOUT_COUNT; r++) {
    Rows from = {tensor(&train, readout_names[r], "F32 [256, 32]"), train_labels, 256, 32};
    Rows to = {tensor(&eval, readout_names[r], "F32 [1024, 32]"), eval_labels, 1024, 32};
    Accuracy scores[NEIGHBOUR_COUNTS];
    char name[64];
    Error e = {0};
    ck_assert_msg(neighbours_vote(scores, device, &from, &to, 10, 1, NULL, &e), "%s", e.message);
    snprintf(name, sizeof name, "knn_%s", readout_names[r]);
    ck_assert_double_eq(event_number(probe, name), scores[0].top1);
  }
  const int64_t *index = tensor(&eval, "index", "I64 [1024]");
  for (int i = 0; i < 1024; i++) ck_assert_int_eq(index[i], i);
  free(train_labels);
  free(eval_labels);
  device->kernels->close(device);
  json_decref(events);
  safetensors_close(&train);
  safetensors_close(&eval);
}
END_TEST

static void assert_evenly(const char *name, int count, const char *shape, int of) {
  TensorFile file = open_file(name);
  const int64_t *index = tensor(&file, "index", shape);
  for (int i = 0; i < count; i++) ck_assert_int_eq(index[i], (int64_t)i * of / count);
  safetensors_close(&file);
}

START_TEST(features_of_some_images) {
  expect_run("train " TINY "model.class_token=false --out @/run", EXIT_OK);
#define FEATURES "features --checkpoint @/run --out @/f.st "
  expect_run(FEATURES "--split train --images 7", EXIT_OK);
  assert_evenly("f.st", 7, "I64 [7]", 256);
  TensorFile file = open_file("f.st");
  ck_assert_int_eq(file.count, 4);
  tensor(&file, "mean", "F32 [7, 32]");
  tensor(&file, "mean_prenorm", "F32 [7, 32]");
  tensor(&file, "label", "I64 [7]");
  ck_assert_ptr_null(safetensors_find(&file, "cls"));
  ck_assert_ptr_null(safetensors_find(&file, "cls_prenorm"));
  safetensors_close(&file);
  expect_run(FEATURES "--split eval --images 0", EXIT_OK);
  assert_evenly("f.st", 1024, "I64 [1024]", 1024);
  /* More than there are; more than an int holds. */
  expect_run(FEATURES "--split train --images 257", EXIT_OK);
  assert_evenly("f.st", 256, "I64 [256]", 256);
  expect_run(FEATURES "--split train --images 4294967299", EXIT_OK);
  assert_evenly("f.st", 256, "I64 [256]", 256);
}
END_TEST

START_TEST(features_refuses) {
  expect_run("features --checkpoint @/run --split tain --out @/f.st", EXIT_DATA);
  expect_run("train " TINY "--out @/run", EXIT_OK);
  expect_run("features --checkpoint @/run --split tain --out @/f.st", EXIT_CONFIG);
  ck_assert_ptr_nonnull(strstr(mae_output(), "--split must be train or eval"));
  expect_run("features --checkpoint @/run --out @/f.st", EXIT_CONFIG);
  ck_assert_ptr_nonnull(strstr(mae_output(), "--split must be train or eval"));
  expect_run("features --checkpoint @/run --split eval", EXIT_CONFIG);
  ck_assert_ptr_nonnull(strstr(mae_output(), "--out FILE is missing"));
  expect_run("features --split eval --out @/f.st", EXIT_CONFIG);
  ck_assert_ptr_nonnull(strstr(mae_output(), "--checkpoint is missing"));
  expect_run("features --checkpoint @/run --split eval --images -3 --out @/f.st", EXIT_CONFIG);
  ck_assert_ptr_nonnull(strstr(mae_output(), "--images -3"));
  expect_run("features --checkpoint @/run --split eval --out @/nowhere/f.st", EXIT_DATA);
  ck_assert_ptr_nonnull(strstr(mae_output(), "nowhere/f.st"));
}
END_TEST

int main(void) {
  Suite *suite = suite_create("probe_runs");
  TCase *runs = tcase_create("runs");
  tcase_add_checked_fixture(runs, make_test_folder, remove_test_folder);
  tcase_set_timeout(runs, 180);
  tcase_add_test(runs, probes_are_logged);
  tcase_add_test(runs, probes_change_nothing);
  tcase_add_test(runs, steps_are_timed_without_probes);
  tcase_add_test(runs, long_jobs_are_told);
  tcase_add_test(runs, some_of_it);
  tcase_add_test(runs, classes_of_colour_are_told);
  tcase_add_loop_test(runs, a_failing_probe_is_no_failing_run, 0, 3);
  tcase_add_test(runs, features_are_written);
  tcase_add_test(runs, features_of_some_images);
  tcase_add_test(runs, features_refuses);
  suite_add_tcase(suite, runs);
  return suite_run(suite);
}
