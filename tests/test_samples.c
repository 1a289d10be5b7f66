/* Samples: the order of an epoch, and which crop of an image each augmentation takes. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "mae/data/dataset.h"
#include "tests/suite.h"

static Config config;

static void set(const char *key, const char *value) {
  Error e = {0};
  ck_assert_msg(config_set(&config, key, value, NULL, &e), "%s", e.message);
}

static void setup(void) {
  config_init(&config);
}

START_TEST(shuffles_are_permutations) {
  enum { COUNT = 1000 };
  int32_t order[COUNT], other[COUNT], seen[COUNT] = {0};
  data_shuffle(order, COUNT, 5, 3);
  for (int i = 0; i < COUNT; i++) seen[order[i]]++;
  for (int i = 0; i < COUNT; i++) ck_assert_int_eq(seen[i], 1);
  data_shuffle(other, COUNT, 5, 3);
  ck_assert_mem_eq(order, other, sizeof order);
  int same = 0;
  data_shuffle(other, COUNT, 5, 4);
  for (int i = 0; i < COUNT; i++) same += order[i] == other[i];
  ck_assert_int_lt(same, 20); /* one is expected */
}
END_TEST

/* Mean share of the area over the boxes that fit a 3:2 image, by the midpoint rule. */
static double expected_share(void) {
  enum { STEPS = 400 };
  double sum = 0;
  int fit = 0;
  for (int i = 0; i < STEPS; i++)
    for (int j = 0; j < STEPS; j++) {
      double share = 0.2 + 0.8 * (i + 0.5) / STEPS;
      double ratio = exp(log(3.0 / 4) + log(16.0 / 9) * (j + 0.5) / STEPS);
      if (share * ratio > 3.0 / 2 || share / ratio > 2.0 / 3) continue;
      sum += share;
      fit++;
    }
  return sum / fit;
}

START_TEST(crops_stay_inside_and_follow_their_laws) {
  enum { DRAWS = 4000 };
  PackImage image = {.width = 96, .height = 64};
  Dataset one = {.train = &image, .eval = &image, .train_count = 1, .eval_count = 1};
  Crop crop, again;
  set("train.augment", "crop_flip");
  double area = 0;
  int flips = 0;
  for (uint32_t epoch = 0; epoch < DRAWS; epoch++) {
    data_train_crop(&crop, &one, &config, epoch, 0);
    ck_assert(crop.left >= 0 && crop.top >= 0 && crop.width >= 1 && crop.height >= 1);
    ck_assert(crop.left + crop.width <= 96 && crop.top + crop.height <= 64);
    double share = (double)crop.width * crop.height / (96 * 64);
    double ratio = (double)crop.width / crop.height;
    ck_assert(share > 0.19 && share <= 1 && ratio > 0.72 && ratio < 1.39);
    data_train_crop(&again, &one, &config, epoch, 0);
    ck_assert_mem_eq(&crop, &again, offsetof(Crop, flip) + sizeof crop.flip);
    area += share / DRAWS;
    flips += crop.flip;
  }
  /* Five standard errors: the share's deviation is 0.17. */
  ck_assert_double_eq_tol(area, expected_share(), 0.0135);
  ck_assert_int_gt(flips, DRAWS / 2 - 150); /* five standard deviations are 158 */
  ck_assert_int_lt(flips, DRAWS / 2 + 150);
  data_eval_crop(&crop, &one, 0);
  ck_assert(crop.left == 16 && crop.top == 0 && crop.width == 64 && crop.height == 64);
  ck_assert_int_eq(crop.flip, 0);
}
END_TEST

/* A square of 7/8 of the shorter side, at every place that it fits, each as often as any other. */
START_TEST(fixed_crops_are_anywhere) {
  enum { WIDTH = 23, HEIGHT = 16, SIDE = 14, DRAWS = 6000 };
  PackImage image = {.width = WIDTH, .height = HEIGHT};
  Dataset one = {.train = &image, .train_count = 1};
  int seen[HEIGHT - SIDE + 1][WIDTH - SIDE + 1] = {{0}}, flips = 0;
  set("train.augment", "fixed_crop_flip");
  for (uint32_t epoch = 0; epoch < DRAWS; epoch++) {
    Crop crop;
    data_train_crop(&crop, &one, &config, epoch, 0);
    ck_assert(crop.width == SIDE && crop.height == SIDE);
    ck_assert(crop.left >= 0 && crop.left <= WIDTH - SIDE);
    ck_assert(crop.top >= 0 && crop.top <= HEIGHT - SIDE);
    seen[crop.top][crop.left]++;
    flips += crop.flip;
  }
  /* Five standard deviations of one of 30 places are 70, of the flips 194. */
  for (int top = 0; top <= HEIGHT - SIDE; top++)
    for (int left = 0; left <= WIDTH - SIDE; left++)
      ck_assert_int_lt(abs(seen[top][left] - DRAWS / 30), 70);
  ck_assert_int_lt(abs(flips - DRAWS / 2), 194);
}
END_TEST

/* The sides that an image of the reference recipe, 256 to 224, and the smallest images have. */
START_TEST(fixed_crops_are_seven_eighths) {
  static const int sides[][2] = {{256, 224}, {64, 56}, {32, 28}, {375, 328}, {2, 2}, {1, 1}};
  set("train.augment", "fixed_crop_flip");
  for (size_t i = 0; i < sizeof sides / sizeof *sides; i++) {
    PackImage image = {.width = sides[i][0], .height = 2 * sides[i][0]};
    Dataset one = {.train = &image, .train_count = 1};
    Crop crop;
    data_train_crop(&crop, &one, &config, 0, 0);
    ck_assert_int_eq(crop.width, sides[i][1]);
    ck_assert_int_eq(crop.height, sides[i][1]);
  }
}
END_TEST

/* What each augmentation of the list in choices.h does to an image. */
typedef enum { UNTESTED, NOTHING, FLIPS, CROPS, CROPS_AND_FLIPS } Does;
static const Does does[AUGMENT_COUNT] = {[AUGMENT_NONE] = NOTHING,
                                         [AUGMENT_FLIP] = FLIPS,
                                         [AUGMENT_CROP] = CROPS,
                                         [AUGMENT_CROP_FLIP] = CROPS_AND_FLIPS,
                                         [AUGMENT_FIXED_CROP_FLIP] = CROPS_AND_FLIPS,
                                         [AUGMENT_CROP_FLIP_JITTER] = CROPS_AND_FLIPS};

START_TEST(augmentations_do_what_their_names_say) {
  PackImage image = {.width = 96, .height = 64};
  Dataset one = {.train = &image, .eval = &image, .train_count = 1, .eval_count = 1};
  Crop centre;
  int flipped = 0, cropped = 0;
  data_eval_crop(&centre, &one, 0);
  config.train.augment = (Augment)_i;
  for (uint32_t epoch = 0; epoch < 200; epoch++) {
    Crop crop;
    data_train_crop(&crop, &one, &config, epoch, 0);
    flipped += crop.flip != 0;
    cropped += memcmp(&crop, &centre, offsetof(Crop, flip)) != 0;
  }
  bool crops = does[_i] == CROPS || does[_i] == CROPS_AND_FLIPS;
  bool flips = does[_i] == FLIPS || does[_i] == CROPS_AND_FLIPS;
  ck_assert_msg(does[_i] != UNTESTED, "an augmentation that `does` says nothing of");
  ck_assert_int_eq(flipped > 50, flips);
  ck_assert_int_eq(flipped > 0, flips);
  ck_assert_int_eq(cropped > 190, crops);
  ck_assert_int_eq(cropped > 0, crops);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("samples");
  TCase *cases = tcase_create("samples");
  tcase_add_checked_fixture(cases, setup, NULL);
  tcase_set_timeout(cases, 120);
  tcase_add_test(cases, shuffles_are_permutations);
  tcase_add_test(cases, crops_stay_inside_and_follow_their_laws);
  tcase_add_test(cases, fixed_crops_are_anywhere);
  tcase_add_test(cases, fixed_crops_are_seven_eighths);
  tcase_add_loop_test(cases, augmentations_do_what_their_names_say, 0, AUGMENT_COUNT);
  suite_add_tcase(suite, cases);
  return suite_run(suite);
}
