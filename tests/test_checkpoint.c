/* Checkpoints: every bit comes back; another configuration, a damaged or a half-written checkpoint
 * is noticed and named. What a full disk does is in test_faults.c. */
#include <check.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mae/base/io.h"
#include "mae/model/weights.h"
#include "mae/record/checkpoint.h"
#include "mae/record/run_folder.h"
#include "mae/record/step_folders.h"
#include "tests/plain_device.h"
#include "tests/suite.h"

static char folder[64];
static Config config;
static Model saved, loaded;
static const StepState state = {.step = 300,
                                .updates = 298,
                                .loss_scale = 32768,
                                .clean_steps = 17,
                                .overflow = 1,
                                .grad_norm = 0.1f,
                                .learning_rate = 1e-4f,
                                .skipped = 2};

static void setup(void) {
  Error e = {0};
  strcpy(folder, "/tmp/test_checkpoint-XXXXXX");
  ck_assert_ptr_nonnull(mkdtemp(folder));
  plain_config(&config);
  ck_assert_msg(plain_model_create(&saved, &config, 1, &e), "%s", e.message);
  ck_assert_msg(plain_model_create(&loaded, &config, 1000, &e), "%s", e.message);
}

static void teardown(void) {
  Error e;
  plain_model_destroy(&saved);
  plain_model_destroy(&loaded);
  ck_assert(io_remove(folder, &e));
}

static const char *path_of(const char *name) {
  static char path[256];
  snprintf(path, sizeof path, "%s/checkpoints/%s", folder, name);
  return path;
}

static bool exists(const char *name) {
  return access(path_of(name), F_OK) == 0;
}

static void save(int64_t step) {
  StepState at = state;
  at.step = (uint64_t)step;
  Error e = {0};
  ck_assert_msg(checkpoint_save(folder, &saved, &at, &e), "%s", e.message);
}

/* Resumes into `loaded` and wants an error whose message has these parts. */
static void want_error(int code, const char *const *parts) {
  StepState got = {.step = 12345};
  Model before = loaded;
  size_t bytes = loaded.table.total * sizeof(float);
  before.params = malloc(bytes);
  memcpy(before.params, loaded.params, bytes);
  Error e = {0};
  bool found;
  ck_assert(!checkpoint_resume(folder, &loaded, &got, &found, &e));
  for (; *parts; parts++)
    ck_assert_msg(strstr(e.message, *parts) != NULL, "%s: %s", *parts, e.message);
  ck_assert_int_eq(e.code, code);
  ck_assert_int_eq(got.step, 12345);
  ck_assert(!memcmp(before.params, loaded.params, bytes));
  free(before.params);
}

/* Flips one bit, `from_end` bytes before the end of the file. */
static void damage(const char *name, long from_end) {
  FILE *f = fopen(path_of(name), "r+b");
  ck_assert_ptr_nonnull(f);
  fseek(f, -from_end, SEEK_END);
  int c = fgetc(f);
  fseek(f, -from_end, SEEK_END);
  fputc(c ^ 1, f);
  fclose(f);
}

START_TEST(nothing_there_is_not_an_error) {
  StepState got;
  Error e = {0};
  bool found = true;
  ck_assert(checkpoint_resume(folder, &loaded, &got, &found, &e));
  ck_assert(!found);
}
END_TEST

START_TEST(every_bit_comes_back) {
  save(300);
  StepState got = {0};
  Error e = {0};
  bool found = false;
  ck_assert_msg(checkpoint_resume(folder, &loaded, &got, &found, &e), "%s", e.message);
  ck_assert(found && !memcmp(&got, &state, sizeof got));
  ck_assert(plain_model_same(&saved, &loaded));
  char a[65], b[65];
  ck_assert(checkpoint_state_hash(a, &saved, &state, &e));
  ck_assert(checkpoint_state_hash(b, &loaded, &got, &e));
  ck_assert_str_eq(a, b);
}
END_TEST

/* One bit of any part of the state changes the hash. */
START_TEST(hash_sees_every_part) {
  char before[65], after[65];
  Error e = {0};
  ck_assert(checkpoint_state_hash(before, &saved, &state, &e));
  size_t last = saved.table.list[0].offset;
  float *const arenas[] = {saved.params, saved.m, saved.v};
  for (int i = 0; i < 3; i++) {
    uint32_t bits;
    memcpy(&bits, &arenas[i][last], 4);
    bits ^= 1;
    memcpy(&arenas[i][last], &bits, 4);
    ck_assert(checkpoint_state_hash(after, &saved, &state, &e));
    ck_assert_str_ne(before, after);
    bits ^= 1;
    memcpy(&arenas[i][last], &bits, 4);
  }
  for (size_t i = 0; i < sizeof state; i++) {
    StepState other = state;
    ((unsigned char *)&other)[i] ^= 1;
    ck_assert(checkpoint_state_hash(after, &saved, &other, &e));
    ck_assert_msg(strcmp(before, after), "byte %zu of StepState", i);
  }
  ck_assert(checkpoint_state_hash(after, &saved, &state, &e));
  ck_assert_str_eq(before, after);
}
END_TEST

START_TEST(newest_by_number_and_rotation) {
  save(9);
  save(10);
  ck_assert(exists("step-9") && exists("step-10"));
  save(100);
  ck_assert(!exists("step-9") && exists("step-10") && exists("step-100"));
  saved.params[0] += 1;
  save(100); /* once more: replaced */
  ck_assert(exists("step-10") && exists("step-100") && !exists("step-100.tmp"));
  StepState got;
  Error e = {0};
  bool found;
  ck_assert(checkpoint_resume(folder, &loaded, &got, &found, &e));
  ck_assert_int_eq(got.step, 100);
  ck_assert(plain_model_same(&saved, &loaded));
}
END_TEST

START_TEST(leftovers_are_ignored_and_removed) {
  save(5);
  mkdir(path_of("step-7.tmp"), 0755);
  mkdir(path_of("step-x"), 0755);
  StepState got;
  Error e = {0};
  bool found;
  ck_assert_msg(checkpoint_resume(folder, &loaded, &got, &found, &e), "%s", e.message);
  ck_assert_int_eq(got.step, 5);
  save(6);
  ck_assert(!exists("step-7.tmp") && exists("step-x") && exists("step-5"));
}
END_TEST

/* Whoever asks for the newest checkpoint gets the same answer: half-written ones are none. */
START_TEST(a_half_written_one_is_not_the_newest) {
  char found[CONFIG_PATH_MAX];
  Config trained;
  Error e = {0};
  int64_t step;
  ck_assert(step_folders_newest(folder, &step, &e));
  ck_assert_int_eq(step, -1);
  char checkpoints[128];
  snprintf(checkpoints, sizeof checkpoints, "%s/checkpoints", folder);
  ck_assert_int_eq(mkdir(checkpoints, 0755), 0);
  ck_assert_int_eq(mkdir(path_of("step-7.tmp"), 0755), 0);
  ck_assert(step_folders_newest(folder, &step, &e));
  ck_assert_int_eq(step, -1);
  ck_assert(!run_folder_locate(found, &trained, folder, &e));
  ck_assert_msg(strstr(e.message, "no checkpoint there"), "%s", e.message);
  save(5);
  mkdir(path_of("step-7.tmp"), 0755);
  ck_assert(step_folders_newest(folder, &step, &e));
  ck_assert_int_eq(step, 5);
  ck_assert_msg(run_folder_locate(found, &trained, folder, &e), "%s", e.message);
  ck_assert_ptr_nonnull(strstr(found, "checkpoints/step-5/model.safetensors"));
}
END_TEST

START_TEST(another_configuration_says_what_differs) {
  save(1);
  config.train.batch = 96;
  config.run.seed = 7;
  want_error(EXIT_CONFIG, (const char *[]){"step-1", "train.batch = 128 there, 96 now",
                                           "run.seed = ", "7 now", NULL});
}
END_TEST

START_TEST(another_precision_is_named) {
  save(1);
  config.train.precision = PRECISION_BF16;
  want_error(EXIT_CONFIG, (const char *[]){"fp32", "train.precision is bf16", NULL});
}
END_TEST

/* A changed bit in the weights, the moments or the recorded hash; a cut or missing file. */
START_TEST(damage_is_found_and_the_older_one_named) {
  save(1);
  save(2);
  if (_i == 0) damage("step-2/model.safetensors", 1);
  if (_i == 1) damage("step-2/state.safetensors", 65);
  if (_i == 2) damage("step-2/state.safetensors", 1);
  if (_i == 3) ck_assert(!truncate(path_of("step-2/model.safetensors"), 5000));
  if (_i == 4) ck_assert(!unlink(path_of("step-2/state.safetensors")));
  want_error(EXIT_DATA,
             (const char *[]){"step-2", "damaged", "step-1 is complete", "remove step-2", NULL});
}
END_TEST

START_TEST(all_damaged_says_so) {
  save(1);
  save(2);
  damage("step-1/model.safetensors", 1);
  damage("step-2/model.safetensors", 1);
  want_error(EXIT_DATA, (const char *[]){"step-2", "no older one is complete", NULL});
}
END_TEST

/* Whoever reads weights alone hears of damage too: in them, in the state beside them, and in a file
 * by itself. */
START_TEST(damaged_weights_are_refused) {
  save(2);
  if (_i == 0) damage("step-2/model.safetensors", 1);
  if (_i == 1) damage("step-2/state.safetensors", 65);
  Error e = {0};
  TensorFile file;
  const char *path = path_of(_i == 0 ? "step-2" : "step-2/model.safetensors");
  if (_i == 2) { /* as `mae export` and `mae import` write one */
    WeightsMetadata metadata;
    ck_assert(checkpoint_open_weights(&file, path_of("step-2"), &e));
    ck_assert(weights_metadata(&metadata, &config, -1, &e));
    path = path_of("alone.safetensors");
    ck_assert_msg(weights_write(path, file.tensors, file.count, &metadata, &e), "%s", e.message);
    weights_metadata_free(&metadata);
    safetensors_close(&file);
    ck_assert_msg(checkpoint_load_weights(path, &loaded, &e), "%s", e.message);
    damage("alone.safetensors", 5);
  }
  ck_assert(!checkpoint_load_weights(path, &loaded, &e));
  ck_assert_int_eq(e.code, EXIT_DATA);
  ck_assert_msg(strstr(e.message, "damaged") && strstr(e.message, "SHA-256"), "%s", e.message);
  ck_assert(!checkpoint_open_weights(&file, path, &e));
}
END_TEST

START_TEST(weights_load_from_file_or_folder) {
  save(3);
  Error e = {0};
  char path[320];
  snprintf(path, sizeof path, "%s%s", path_of("step-3"), _i ? "/model.safetensors" : "");
  ck_assert_msg(checkpoint_load_weights(path, &loaded, &e), "%s", e.message);
  ck_assert(!memcmp(saved.params, loaded.params, saved.table.total * sizeof(float)));
  ck_assert(memcmp(saved.m, loaded.m, saved.table.trainable * sizeof(float)));

  Config got;
  TensorFile file;
  ck_assert(safetensors_open(&file, path_of("step-3/model.safetensors"), &e));
  ck_assert_str_eq(safetensors_metadata(&file, "format"), "pt");
  ck_assert_msg(weights_config(&file, &got, &e), "%s", e.message);
  char a[65], b[65];
  config_hash(&got, a);
  config_hash(&config, b);
  ck_assert_str_eq(a, b);
  safetensors_close(&file);
}
END_TEST

START_TEST(weights_of_another_model_are_refused) {
  save(3);
  Error e = {0};
  Config other = config;
  other.model.encoder.width = 32;
  Model wide;
  ck_assert(plain_model_create(&wide, &other, 1, &e));
  ck_assert(!checkpoint_load_weights(path_of("step-3"), &wide, &e));
  ck_assert_msg(strstr(e.message, "cls_token is F32 [1, 1, 16]; the configuration makes it F32 "
                                  "[1, 1, 32]"),
                "%s", e.message);
  plain_model_destroy(&wide);
  other = config;
  other.model.encoder.depth = 3;
  ck_assert(plain_model_create(&wide, &other, 1, &e));
  ck_assert(!checkpoint_load_weights(path_of("step-3"), &wide, &e));
  ck_assert_msg(strstr(e.message, "blocks.2.norm1.weight is missing"), "%s", e.message);
  plain_model_destroy(&wide);
  other.model.encoder.depth = 1;
  ck_assert(plain_model_create(&wide, &other, 1, &e));
  ck_assert(!checkpoint_load_weights(path_of("step-3"), &wide, &e));
  ck_assert_msg(strstr(e.message, "blocks.1.norm1.weight is no parameter"), "%s", e.message);
  plain_model_destroy(&wide);
}
END_TEST

int main(void) {
  TCase *tc = tcase_create("checkpoint");
  tcase_add_checked_fixture(tc, setup, teardown);
  tcase_set_timeout(tc, 60);
  tcase_add_test(tc, nothing_there_is_not_an_error);
  tcase_add_test(tc, every_bit_comes_back);
  tcase_add_test(tc, hash_sees_every_part);
  tcase_add_test(tc, newest_by_number_and_rotation);
  tcase_add_test(tc, leftovers_are_ignored_and_removed);
  tcase_add_test(tc, a_half_written_one_is_not_the_newest);
  tcase_add_test(tc, another_configuration_says_what_differs);
  tcase_add_test(tc, another_precision_is_named);
  tcase_add_loop_test(tc, damage_is_found_and_the_older_one_named, 0, 5);
  tcase_add_test(tc, all_damaged_says_so);
  tcase_add_loop_test(tc, damaged_weights_are_refused, 0, 3);
  tcase_add_loop_test(tc, weights_load_from_file_or_folder, 0, 2);
  tcase_add_test(tc, weights_of_another_model_are_refused);
  Suite *suite = suite_create("checkpoint");
  suite_add_tcase(suite, tc);
  return suite_run(suite);
}
