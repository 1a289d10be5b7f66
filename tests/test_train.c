/* Whole training runs through the mae program: what they log, draw, refuse and survive. */
#include "tests/run_mae.h"

#include <glob.h>
#include <math.h>

#include "mae/base/io.h"
#include "mae/data/picture.h"
#include "tests/suite.h"

#define TINY                                                                                       \
  "model.image_size=32 model.patch_size=8 model.encoder=32x2x2 model.decoder=16x1x2 "              \
  "train.batch=16 train.blr=0.03 train.warmup_epochs=0 train.warmup_steps=4 "                      \
  "data.train_images=64 eval.images=8 eval.batch=3 run.device=cpu run.threads=2 "

static void assert_output_names(const char *what) {
  ck_assert_msg(strstr(mae_output(), what) != NULL, "no '%s' in: %s", what, mae_output());
}

static double mean_loss(const json_t *events, int64_t first, int64_t last) {
  double sum = 0.0;
  size_t i;
  json_t *event;
  json_array_foreach(events, i, event) if (!strcmp(event_name(event), "step")) {
    int64_t step = (int64_t)event_number(event, "step");
    if (step >= first && step <= last) sum += event_number(event, "loss");
  }
  return sum / (double)(last - first + 1);
}

static void check_start(const json_t *start) {
  ck_assert_int_eq((int)event_number(start, "format"), 1);
  ck_assert_int_eq((int)event_number(start, "steps"), 120);
  ck_assert(event_number(start, "steps_per_epoch") == 4.0);
  ck_assert(event_number(start, "resumed_from") == 0.0);
  ck_assert(event_number(start, "attempt") == 1.0);
  ck_assert(event_number(start, "params_encoder") > 0.0);
  ck_assert(event_number(start, "params_decoder") > 0.0);
  ck_assert(event_number(start, "gflops_per_image") > 0.0);
  ck_assert(event_number(start, "memory_planned_bytes") > 0.0);
  ck_assert_uint_eq(strlen(event_text(start, "config_hash")), 64);
  ck_assert_uint_eq(strlen(event_text(start, "binary_sha256")), 64);
  ck_assert_ptr_nonnull(strstr(event_text(start, "config"), "mask_ratio = 0.75"));
  const json_t *dataset = json_object_get(start, "dataset");
  ck_assert_int_eq((int)json_integer_value(json_object_get(dataset, "train_images")), 64);
  ck_assert(json_is_object(json_object_get(start, "provenance")));
}

/* 16 patches at 75%: 12 of them masked, so composite = masked + 10 log10(4/3) dB image by image. */
static void check_scores(const json_t *scores) {
  double masked = event_number(scores, "psnr_masked");
  ck_assert_double_eq_tol(event_number(scores, "psnr_composite"), masked + 10 * log10(4.0 / 3.0),
                          1e-9);
  ck_assert_double_eq_tol(event_number(scores, "psnr_composite_pooled"),
                          event_number(scores, "psnr_masked_pooled") + 10 * log10(4.0 / 3.0), 1e-9);
  ck_assert_int_eq((int)event_number(scores, "images"), 8);
}

static void check_sheet(const char *name, int images) {
  char path[PATH_SIZE];
  Picture sheet;
  Error e;
  ck_assert_msg(picture_read(&sheet, in_folder(path, name), NULL, &e), "%s", e.message);
  ck_assert_int_gt(sheet.width, 4 * 256);
  ck_assert_int_gt(sheet.height, images * 2 * 256);
  ck_assert_int_lt(sheet.height, (images + 1) * 2 * 320);
  /* The first image's differences, in the third column: black where a patch was visible. */
  int black = 0, cell = (sheet.width - 5 * 16) / 4, top = 42 + cell + 26,
      left = 16 + 2 * (cell + 16);
  for (int y = top; y < top + cell; y++)
    for (int x = left; x < left + cell; x++) {
      const uint8_t *rgb = sheet.rgb + ((size_t)y * sheet.width + x) * 3;
      black += !rgb[0] && !rgb[1] && !rgb[2];
    }
  ck_assert_int_ge(black, cell * cell / 4);
  ck_assert_int_lt(black, cell * cell);
  picture_free(&sheet);
}

START_TEST(test_complete_run) {
  ck_assert_int_eq(run_mae("train " TINY "train.steps=120 eval.every=50 --out @/run"), EXIT_OK);
  json_t *events = read_events("run"), *event;
  int count;
  check_start(last_event(events, "start", &count));
  ck_assert_int_eq(count, 1);
  event = last_event(events, "step", &count);
  ck_assert_int_eq(count, 120);
  ck_assert(event_number(event, "step") == 120.0);
  ck_assert(event_number(event, "epoch") == 30.0);
  ck_assert(event_number(event, "grad_norm") > 0.0);
  ck_assert(event_number(event, "loss_scale") == 1.0);
  ck_assert_double_lt(mean_loss(events, 101, 120), 0.95 * mean_loss(events, 1, 20));
  last_event(events, "eval", &count);
  ck_assert_int_eq(count, 3); /* after 50, 100 and 120 steps */
  json_t *scores = last_event(events, "eval", NULL);
  check_scores(scores);
  ck_assert(event_number(scores, "ssim_full") <= 1.0);
  json_t *fill = last_event(events, "baseline", &count);
  ck_assert_int_eq(count, 2);
  ck_assert_str_eq(event_text(fill, "name"), "fill_harmonic");
  ck_assert_ptr_null(json_object_get(fill, "psnr_full"));
  check_scores(fill);
  json_t *speed = last_event(events, "throughput", &count);
  ck_assert_int_eq(count, 1);
  ck_assert_int_eq((int)event_number(speed, "warmup_steps"), 6); /* 5% of 120 */
  ck_assert_int_eq((int)event_number(speed, "steps"), 114);
  ck_assert(event_number(speed, "step_seconds_p10") <= event_number(speed, "step_seconds_median"));
  ck_assert(event_number(speed, "step_seconds_p90") >= event_number(speed, "step_seconds_median"));
  json_t *end = json_array_get(events, json_array_size(events) - 1);
  ck_assert_str_eq(event_name(end), "end");
  ck_assert_str_eq(event_text(end, "status"), "done");
  ck_assert_str_eq(event_text(end, "state_sha256"),
                   event_text(last_event(events, "checkpoint", NULL), "state_sha256"));
  check_sheet("run/sheet.png", 8);

  /* The same scores again from the checkpoint alone. */
  ck_assert_int_eq(run_mae("eval --checkpoint @/run --json"), EXIT_OK);
  json_t *again = json_loads(mae_output(), 0, NULL);
  ck_assert_msg(again != NULL, "%s", mae_output());
  json_t *model = json_object_get(again, "model");
  ck_assert(json_number_value(json_object_get(model, "psnr_masked")) ==
            event_number(scores, "psnr_masked"));
  ck_assert(json_number_value(json_object_get(model, "ssim_full")) ==
            event_number(scores, "ssim_full"));
  json_decref(again);
  ck_assert_int_eq(run_mae("eval --checkpoint @/run/checkpoints/step-120/model.safetensors"),
                   EXIT_OK);
  assert_output_names("fill_harmonic");

  /* Image files instead of the held-out set: the sheet itself will do. */
  ck_assert_int_eq(run_mae("reconstruct --checkpoint @/run --out @/files.png @/run/sheet.png "
                           "@/run/sheet.png"),
                   EXIT_OK);
  check_sheet("files.png", 2);
  ck_assert_int_eq(run_mae("reconstruct --checkpoint @/run --out @/files.jpg @/run/sheet.png"),
                   EXIT_CONFIG);
  ck_assert_ptr_nonnull(strstr(mae_output(), "the sheet is a PNG; call it"));
  json_decref(events);
}
END_TEST

/* A table of products that a user keeps where a run is to lie is not the run's to remove. */
START_TEST(test_a_file_of_the_users_stays) {
  char path[PATH_SIZE];
  ck_assert_int_eq(mkdir(in_folder(path, "run"), 0777), 0);
  FILE *file = fopen(in_folder(path, "run/products.txt"), "w");
  ck_assert(file && fputs("mine\n", file) >= 0 && !fclose(file));
  ck_assert_int_eq(run_mae("train " TINY "train.steps=6 --out @/run"), EXIT_OK);
  ck_assert_int_eq(access(path, F_OK), 0);
}
END_TEST

START_TEST(test_norm_pix_is_published_as_leaky) {
  ck_assert_int_eq(run_mae("train " TINY "train.steps=8 train.norm_pix=true --out @/run"), EXIT_OK);
  json_t *events = read_events("run"), *scores = last_event(events, "eval", NULL);
  ck_assert(event_number(scores, "psnr_leaky") > 0.0);
  ck_assert(event_number(scores, "ssim_leaky") <= 1.0);
  const char *const hidden[] = {"psnr_masked", "psnr_composite",        "psnr_full",
                                "ssim_full",   "psnr_composite_pooled", "ssim_composite"};
  for (int i = 0; i < 6; i++) ck_assert_ptr_null(json_object_get(scores, hidden[i]));
  json_decref(events);
}
END_TEST

/* Pictures of one grey each, so many to train on, and one held out. */
static void write_images(int count, int grey) {
  char path[PATH_SIZE + 32], folder[PATH_SIZE];
  static uint8_t rgb[32 * 32 * 3];
  Error e;
  for (int i = 0; i <= count; i++) {
    const char *split = i < count ? "train" : "val";
    snprintf(path, sizeof path, "%s/%s/a", in_folder(folder, "images"), split);
    ck_assert(io_make_folders(path, &e));
    snprintf(path, sizeof path, "%s/%s/a/%02d.png", folder, split, i);
    memset(rgb, grey + i, sizeof rgb);
    ck_assert_msg(picture_write_png(path, rgb, 32, 32, &e), "%s", e.message);
  }
}

/* Nothing of a run is trained on images that its start event does not name. */
START_TEST(test_other_images_are_refused) {
#define ON_IMAGES                                                                                  \
  "train " TINY "data.source=imagefolder data.path=@/images data.train_images=0 train.steps=8 "
  write_images(16, 20);
  ck_assert_int_eq(run_mae(ON_IMAGES "--stop-after 3 --out @/run"), 128 + SIGINT);
  write_images(16, 90);
  ck_assert_int_eq(run_mae(ON_IMAGES "--resume --out @/run"), EXIT_DATA);
  assert_output_names("started on other images");
  assert_output_names("choose another --out folder");
  json_t *events = read_events("run"),
         *start = json_object_get(last_event(events, "start", NULL), "dataset");
  char recorded[13];
  snprintf(recorded, sizeof recorded, "%.12s", event_text(start, "sha256"));
  assert_output_names(recorded);
  int count;
  last_event(events, "step", &count);
  ck_assert_int_eq(count, 3);
  json_decref(events);
  write_images(16, 20); /* the old images, whose files are new */
  ck_assert_int_eq(run_mae(ON_IMAGES "--resume --out @/run"), EXIT_OK);
}
END_TEST

/* Neither are pixels that changed in the cache. */
START_TEST(test_changed_pixels_are_refused) {
  char path[PATH_SIZE];
  glob_t packs;
  ck_assert_int_eq(run_mae("train " TINY "train.steps=8 --stop-after 3 --out @/run"), 128 + SIGINT);
  ck_assert_int_eq(glob(in_folder(path, "cache/*.pack"), 0, NULL, &packs), 0);
  int fd = open(packs.gl_pathv[0], O_WRONLY);
  ck_assert_int_ge(fd, 0);
  ck_assert_int_eq(pwrite(fd, "changed", 7, 10000), 7);
  close(fd);
  ck_assert_int_eq(run_mae("train " TINY "train.steps=8 --resume --out @/run"), EXIT_DATA);
  assert_output_names("its images do not match their SHA-256");
  ck_assert_int_eq(run_mae("train " TINY "train.steps=8 --out @/other"), EXIT_DATA);
  ck_assert_int_eq(run_mae("eval --checkpoint @/run"), EXIT_DATA);
  ck_assert_int_eq(unlink(packs.gl_pathv[0]), 0);
  globfree(&packs);
  ck_assert_int_eq(run_mae("train " TINY "train.steps=8 --resume --out @/run"), EXIT_OK);
}
END_TEST

/* Repeated while its exit code says so, a run with a time limit gives the bits of one without. */
START_TEST(test_time_limit) {
#define LIMITED "train " TINY "train.steps=60 --resume --out @/limited --time-limit "
  ck_assert_int_eq(run_mae("train " TINY "train.steps=60 --quiet --out @/whole"), EXIT_OK);
  const char *usual = mae_program;
  mae_program = PROGRAM_DIR "/../tests/patient_trainer"; /* 60 steps take it 1.8 s at least */
  int code = run_mae(LIMITED "1s");
  ck_assert_msg(code == EXIT_TIME, "%d: %s", code, mae_output());
  assert_output_names("the time limit is near: stopped after step ");
  json_t *events = read_events("limited");
  ck_assert_str_eq(event_text(last_event(events, "end", NULL), "status"), "interrupted");
  json_decref(events);
  /* Sessions that get longer: a slow machine needs no more of them than a fast one. */
  char longer[sizeof LIMITED + 16];
  for (int seconds = 1; code == EXIT_TIME && seconds < 500; seconds *= 2) {
    snprintf(longer, sizeof longer, LIMITED "%ds", seconds);
    code = run_mae(longer);
  }
#undef LIMITED
  mae_program = usual;
  ck_assert_msg(code == EXIT_OK, "%d: %s", code, mae_output());
  json_t *whole = read_events("whole");
  events = read_events("limited");
  ck_assert_str_eq(event_text(last_event(events, "end", NULL), "state_sha256"),
                   event_text(last_event(whole, "end", NULL), "state_sha256"));
  json_decref(events);
  json_decref(whole);
}
END_TEST

START_TEST(test_refusals) {
  ck_assert_int_eq(run_mae("train " TINY "train.steps=8"), EXIT_CONFIG);
  assert_output_names("--out");
  ck_assert_int_eq(run_mae("train " TINY "train.steps=8 --stop-after 3 --out @/run"), 128 + SIGINT);
  ck_assert_int_eq(run_mae("train " TINY "train.steps=8 --out @/run"), EXIT_CONFIG);
  assert_output_names("--resume");
  ck_assert_int_eq(run_mae("train " TINY "train.steps=9 --resume --out @/run"), EXIT_CONFIG);
  assert_output_names("another configuration");
  ck_assert_int_eq(run_mae("train " TINY "train.steps=8 --resume --out @/run"), EXIT_OK);
  ck_assert_int_eq(run_mae("train " TINY "train.steps=8 --resume --out @/run"), EXIT_CONFIG);
  assert_output_names("finished");
  json_t *events = read_events("run");
  int ends;
  ck_assert_str_eq(event_text(last_event(events, "end", &ends), "status"), "done");
  ck_assert_int_eq(ends, 2); /* refusals leave the file alone */
  json_decref(events);
  ck_assert_int_eq(run_mae("train " TINY "train.precision=fp16 train.steps=8 --out @/half"),
                   EXIT_CONFIG);
  assert_output_names("run.emulate");
  assert_output_names("fp32");
  ck_assert_int_eq(run_mae("train " TINY "train.batch=80 data.train_images=0 "
                           "data.source=imagefolder data.path=@/nowhere --out @/bad"),
                   EXIT_DATA);
  assert_output_names("data.path = ");
  assert_output_names("nowhere: no such folder");
  ck_assert_int_eq(run_mae("train " TINY "train.batch=80 data.train_images=0 "
                           "data.source=tiny-imagenet data.path=@ --out @/bad"),
                   EXIT_DATA);
  assert_output_names("data.path should hold train/WNID/");
  ck_assert_int_eq(run_mae("train model.image_size=224 model.patch_size=16 model.encoder=vit_base "
                           "train.batch=65536 run.device=cpu --out @/large"),
                   EXIT_DEVICE);
  assert_output_names("train.accumulate = ");
  ck_assert_int_eq(run_mae("eval --checkpoint @/missing"), EXIT_DATA);
  ck_assert_int_eq(run_mae("eval"), EXIT_CONFIG);
  assert_output_names("--checkpoint");
}
END_TEST

/* A decay of lr x weight_decay far above 1 makes the weights grow without bound. */
/* A batch script of Slurm, and what srun starts as one process, are as anything else; processes
 * that were started together are not. */
START_TEST(test_launchers) {
  const char *command = "train " TINY "train.steps=6 --quiet --out @/run";
  setenv("SLURM_NTASKS", "4", 1);
  setenv("SLURM_PROCID", "0", 1);
  setenv("OMPI_COMM_WORLD_SIZE", "4", 1);
  setenv("OMPI_COMM_WORLD_RANK", "0", 1);
  ck_assert_int_eq(run_mae(command), EXIT_CONFIG);
  assert_output_names("mpirun started 4 processes (OMPI_COMM_WORLD_SIZE)");
  setenv("OMPI_COMM_WORLD_RANK", "3", 1);
  ck_assert_int_eq(run_mae(command), EXIT_CONFIG);
  ck_assert_str_eq(mae_output(), "");
  unsetenv("OMPI_COMM_WORLD_SIZE");
  setenv("SLURM_STEP_NUM_TASKS", "4", 1);
  ck_assert_int_eq(run_mae(command), EXIT_CONFIG);
  assert_output_names("srun started 4 processes (SLURM_STEP_NUM_TASKS)");
  json_t *events = read_events("run");
  ck_assert_uint_eq(json_array_size(events), 0);
  json_decref(events);
  setenv("SLURM_STEP_NUM_TASKS", "1", 1);
  ck_assert_msg(run_mae(command) == 0, "%s", mae_output());
}
END_TEST

START_TEST(test_loss_that_is_not_finite) {
  ck_assert_int_eq(run_mae("train " TINY "train.steps=400 train.blr=10 train.weight_decay=10 "
                           "run.checkpoint_every=2 --out @/run"),
                   EXIT_NONFINITE);
  assert_output_names("train.blr");
  json_t *events = read_events("run"), *end = last_event(events, "end", NULL);
  ck_assert_str_eq(event_text(end, "status"), "failed");
  ck_assert_int_eq((int)event_number(end, "code"), EXIT_NONFINITE);
  json_t *error = last_event(events, "error", NULL);
  ck_assert_int_eq((int)event_number(error, "code"), EXIT_NONFINITE);
  ck_assert_ptr_nonnull(strstr(event_text(error, "message"), "step "));
  ck_assert_double_lt(event_number(last_event(events, "checkpoint", NULL), "step"),
                      event_number(end, "step"));
  ck_assert_int_eq(run_mae("eval --checkpoint @/run"), EXIT_OK);
  json_decref(events);
}
END_TEST

/* A run that is killed and goes on from a checkpoint has the scores of its step, for they came
 * before it. */
START_TEST(test_scores_come_before_their_checkpoint) {
  ck_assert_int_eq(run_mae("train " TINY "train.steps=6 run.checkpoint_every=2 eval.every=2 "
                           "--out @/run"),
                   EXIT_OK);
  json_t *events = read_events("run"), *event;
  char order[256] = "";
  size_t i;
  json_array_foreach(events, i, event) {
    const char *name = event_name(event);
    if (strcmp(name, "eval") && strcmp(name, "checkpoint")) continue;
    size_t length = strlen(order);
    snprintf(order + length, sizeof order - length, "%s %d, ", name,
             (int)event_number(event, "step"));
  }
  ck_assert_str_eq(order, "eval 2, checkpoint 2, eval 4, checkpoint 4, checkpoint 6, eval 6, ");
  json_decref(events);
}
END_TEST

START_TEST(test_signal) {
  pid_t child = start_mae("train " TINY "train.steps=100000 --out @/run");
  ck_assert(wait_for_step(child, "run", 3));
  ck_assert_int_eq(kill(child, SIGTERM), 0);
  ck_assert_int_eq(wait_mae(child), 128 + SIGTERM);
  json_t *events = read_events("run"), *end = last_event(events, "end", NULL);
  ck_assert_str_eq(event_text(end, "status"), "interrupted");
  ck_assert_int_eq((int)event_number(end, "code"), 128 + SIGTERM);
  ck_assert(event_number(last_event(events, "checkpoint", NULL), "step") ==
            event_number(end, "step"));
  ck_assert(event_number(last_event(events, "step", NULL), "step") == event_number(end, "step"));
  json_decref(events);
}
END_TEST

/* The second process dies: the first ends with a message instead of waiting for ever. */
START_TEST(test_lost_rank) {
  pid_t child = start_mae("train " TINY "train.steps=100000 train.shards=2 train.ranks=2 "
                          "run.checkpoint_every=2 --out @/run");
  ck_assert(wait_for_step(child, "run", 4));
  char path[64], text[32] = "";
  snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)child, (int)child);
  FILE *file = fopen(path, "r");
  ck_assert_ptr_nonnull(file);
  ck_assert_ptr_nonnull(fgets(text, sizeof text, file));
  fclose(file);
  ck_assert_int_gt(atoi(text), 1);
  ck_assert_int_eq(kill(atoi(text), SIGKILL), 0);
  ck_assert_int_eq(wait_mae(child), EXIT_DEVICE);
  assert_output_names("signal 9");
  json_t *events = read_events("run");
  ck_assert_str_eq(event_text(last_event(events, "end", NULL), "status"), "failed");
  json_decref(events);
  ck_assert_int_eq(run_mae("eval --checkpoint @/run"), EXIT_OK);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("train");
  TCase *runs = tcase_create("runs");
  tcase_add_checked_fixture(runs, make_test_folder, remove_test_folder);
  tcase_set_timeout(runs, 180);
  tcase_add_test(runs, test_complete_run);
  tcase_add_test(runs, test_a_file_of_the_users_stays);
  tcase_add_test(runs, test_norm_pix_is_published_as_leaky);
  tcase_add_test(runs, test_other_images_are_refused);
  tcase_add_test(runs, test_changed_pixels_are_refused);
  tcase_add_test(runs, test_time_limit);
  tcase_add_test(runs, test_refusals);
  tcase_add_test(runs, test_launchers);
  tcase_add_test(runs, test_loss_that_is_not_finite);
  tcase_add_test(runs, test_scores_come_before_their_checkpoint);
  tcase_add_test(runs, test_signal);
  tcase_add_test(runs, test_lost_rank);
  suite_add_tcase(suite, runs);
  return suite_run(suite);
}
