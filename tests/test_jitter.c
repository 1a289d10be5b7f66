/* Changes of colour: the operation against Pillow, on fresh noise and photos where Pillow is
 * installed, and on values stored from it everywhere; what is drawn for a training sample; and that
 * it reaches the images of a batch. */
#include "kernels/scalar.h"
#include "mae/data/loader.h"
#include "mae/data/pool.h"
#include "tests/oracle.h"
#include "tests/suite.h"

static Device *device;

static void open_device(void) {
  char message[256];
  device = backend_open("cpu", 2, false, message, sizeof message);
  ck_assert_msg(device != NULL, "%s", message);
}

static void close_device(void) {
  device->kernels->close(device);
}

enum { SIDE = 24, IMAGES = 12, BATCH = 4, SIZE = 8 };

static Config small_config(Augment augment) {
  Config config;
  config_init(&config);
  config.model.image_size = SIZE;
  config.model.patch_size = 2;
  config.train.batch = BATCH;
  config.train.augment = augment;
  return config;
}

/* From Pillow 9.4 and 13.0: ImageEnhance's Brightness, Contrast and Color with factor/16384, in
 * this order, of the picture drawn below. */
enum { STORED_SIZE = 4, STORED_BYTES = STORED_SIZE * STORED_SIZE * 3 };
static const struct {
  Jitter jitter;
  uint8_t expected[STORED_BYTES];
} stored[] = {{{{9831, 22937, 20000}, {0, 1, 2}},
               {0,  32,  103, 0,   40,  110, 0,   63, 135, 29,  101, 172, 0,   59,  130, 4,
                75, 147, 36,  108, 179, 88,  160, 0,  70,  142, 0,   97,  169, 0,   163, 0,
                45, 0,   45,  117, 0,   51,  122, 16, 88,  160, 72,  143, 0,   162, 0,   45}},
              {{{22937, 11000, 10000}, {1, 2, 0}},
               {69,  110, 151, 78,  118, 159, 103, 144, 184, 146, 187, 228, 99,  139, 180, 118,
                159, 200, 153, 194, 235, 197, 237, 130, 177, 218, 110, 205, 246, 138, 197, 89,
                130, 83,  124, 165, 92,  132, 173, 131, 172, 212, 177, 218, 110, 197, 89,  130}},
              {{{15000, 18000, 22937}, {2, 0, 1}},
               {0,   64,  163, 0,   73,  172, 1,   100, 199, 47,  145, 244, 0,   96,  194, 17,
                116, 214, 55,  154, 245, 122, 221, 0,   101, 200, 0,   132, 231, 0,   242, 0,
                79,  0,   79,  178, 0,   87,  186, 31,  130, 228, 102, 201, 0,   241, 0,   78}}};

START_TEST(equals_stored_values) {
  uint8_t image[STORED_BYTES];
  for (int i = 0; i < STORED_BYTES; i++) {
    int y = i / (STORED_SIZE * 3), x = i / 3 % STORED_SIZE, c = i % 3;
    image[i] = (uint8_t)(y * y * 31 + x * x * 9 + x * y * 11 + c * 70);
  }
  device->kernels->color_jitter(device, image, &stored[_i].jitter, 1, STORED_SIZE);
  ck_assert_mem_eq(image, stored[_i].expected, STORED_BYTES);
}
END_TEST

START_TEST(equals_pillow) {
  enum { CASES = 90 };
  struct {
    Jitter jitter;
    int size;
  } cases[CASES];
  Oracle oracle;
  oracle_open(&oracle, "jitter_oracle.py");
  int count = 0, size;
  Jitter j;
  while (count < CASES &&
         fscanf(oracle.lines, "%d %d %d %d %d %d %d", &size, &j.factor[JITTER_BRIGHTNESS],
                &j.factor[JITTER_CONTRAST], &j.factor[JITTER_SATURATION], &j.order[0], &j.order[1],
                &j.order[2]) == 7) {
    cases[count].jitter = j;
    cases[count++].size = size;
  }
  if (count == CASES) {
    uint8_t *images = oracle_file(&oracle, "images", 0), *image = images;
    uint8_t *expected = oracle_file(&oracle, "expected", 0), *at = expected;
    for (int i = 0; i < CASES; i++) {
      size_t bytes = (size_t)cases[i].size * cases[i].size * 3;
      device->kernels->color_jitter(device, image, &cases[i].jitter, 1, cases[i].size);
      ck_assert_msg(!memcmp(image, at, bytes), "image %d of %d pixels a side", i, cases[i].size);
      image += bytes;
      at += bytes;
    }
    free(expected);
    free(images);
  }
  if (oracle_close(&oracle)) ck_assert_int_eq(count, CASES);
}
END_TEST

START_TEST(draws_follow_their_laws) {
  enum { DRAWS = 6000, ORDERS = 27 };
  Config config = small_config(AUGMENT_CROP_FLIP_JITTER), other = config;
  other.run.seed++;
  int seen[ORDERS] = {0}, possible = 0;
  double mean[JITTER_STEPS] = {0}, together = 0;
  for (int sample = 0; sample < DRAWS; sample++) {
    Jitter jitter, again, changed;
    data_train_jitter(&jitter, &config, 3, sample);
    double share[JITTER_STEPS];
    for (int i = 0; i < JITTER_STEPS; i++) {
      double factor = (double)jitter.factor[i] / JITTER_ONE;
      ck_assert(factor >= 0.6 && factor <= 1.4);
      share[i] = (factor - 0.6) / 0.8;
      mean[i] += share[i] / DRAWS;
    }
    together += (share[0] - 0.5) * (share[1] - 0.5) / DRAWS;
    seen[(jitter.order[0] * 3 + jitter.order[1]) * 3 + jitter.order[2]]++;
    data_train_jitter(&again, &config, 3, sample);
    ck_assert_mem_eq(&jitter, &again, sizeof jitter);
    data_train_jitter(&changed, &config, 4, sample);
    ck_assert_mem_ne(&jitter, &changed, sizeof jitter);
    data_train_jitter(&changed, &other, 3, sample);
    ck_assert_mem_ne(&jitter, &changed, sizeof jitter);
  }
  /* Five standard errors each: a share's deviation is 0.289, a product's 1/12, a count's 29. */
  for (int i = 0; i < JITTER_STEPS; i++) ck_assert_double_eq_tol(mean[i], 0.5, 0.0187);
  ck_assert_double_eq_tol(together, 0, 0.0054);
  for (int i = 0; i < ORDERS; i++) {
    bool each_once = i / 9 != i / 3 % 3 && i / 9 != i % 3 && i / 3 % 3 != i % 3;
    possible += each_once;
    if (!each_once) ck_assert_int_eq(seen[i], 0);
    if (each_once) ck_assert_msg(abs(seen[i] - DRAWS / 6) < 145, "%d times %d", seen[i], i);
  }
  ck_assert_int_eq(possible, 6);
}
END_TEST

/* A data set of noise. */
static Dataset noise(PackImage images[IMAGES], uint8_t *pixels) {
  size_t bytes = (size_t)SIDE * SIDE * 3;
  for (size_t i = 0; i < IMAGES * bytes; i++)
    pixels[i] = (uint8_t)random_bits(5, STREAM_SHAPES, 0, 0, (uint32_t)i);
  for (int i = 0; i < IMAGES; i++)
    images[i] = (PackImage){.offset = (uint64_t)i * bytes, .width = SIDE, .height = SIDE};
  return (Dataset){
      .train_count = IMAGES, .train = images, .pixels = pixels, .pixel_bytes = IMAGES * bytes};
}

/* A rank's part of a batch is what the whole batch has there, and a step needs none before it. */
START_TEST(parts_are_those_of_the_whole_batch) {
  enum { FIRST = 2, PART = 2, LAST_STEP = 7 };
  static uint8_t pixels[IMAGES * SIDE * SIDE * 3];
  PackImage images[IMAGES];
  Config config = small_config(AUGMENT_CROP_FLIP_JITTER);
  Dataset data = noise(images, pixels);
  Loader whole, part;
  Error e = {0};
  ck_assert(loader_create(&whole, &config, &data, 0, BATCH, &e));
  ck_assert(loader_create(&part, &config, &data, FIRST, PART, &e));
  for (int64_t step = 0; step <= LAST_STEP; step++) loader_load(&whole, step);
  loader_load(&part, LAST_STEP);
  ck_assert_mem_eq(part.jitters, whole.jitters + FIRST, PART * sizeof *part.jitters);
  ck_assert_mem_ne(part.jitters, whole.jitters, PART * sizeof *part.jitters);
  loader_destroy(&part);
  loader_destroy(&whole);
}
END_TEST

/* Every image of a filled batch is its crop, changed by its own jitter; without jitters, its crop:
 * of evaluation, too, where the augmentation would have some. */
START_TEST(batches_are_changed_image_by_image) {
  enum { BYTES = SIZE * SIZE * 3 };
  static uint8_t pixels[IMAGES * SIDE * SIDE * 3];
  PackImage images[IMAGES];
  Config config = small_config(AUGMENT_CROP_FLIP_JITTER);
  Dataset data = noise(images, pixels);
  Loader loader;
  ImagePool pool;
  BatchBuffers batch;
  Error e = {0};
  ck_assert(loader_create(&loader, &config, &data, 0, BATCH, &e));
  ck_assert(batch_create(&batch, &config, device, BATCH, config_kept(&config), &e));
  ck_assert(pool_open(&pool, device, &data, &config, 1, &e));
  loader_load(&loader, 1);
  for (int jitters = 0; jitters < 2; jitters++) {
    ck_assert(
        pool_fill_batch(&pool, &batch, loader.crops, jitters ? loader.jitters : NULL, BATCH, &e));
    for (int i = 0; i < BATCH; i++) {
      uint8_t crop[BYTES], expected[BYTES];
      device->kernels->crop_resize(device, crop, pixels, &loader.crops[i], 1, SIZE);
      memcpy(expected, crop, BYTES);
      if (jitters) device->kernels->color_jitter(device, expected, &loader.jitters[i], 1, SIZE);
      ck_assert_int_eq(memcmp(expected, crop, BYTES) != 0, jitters);
      ck_assert_mem_eq(batch.images + i * BYTES, expected, BYTES);
    }
  }
  pool_destroy(&pool);
  batch_destroy(&batch);
  loader_destroy(&loader);
}
END_TEST

/* Other augmentations neither draw colours nor have room for them. */
START_TEST(colours_change_only_when_asked) {
  static uint8_t pixels[IMAGES * SIDE * SIDE * 3];
  PackImage images[IMAGES];
  Config config = small_config((Augment)_i);
  Dataset data = noise(images, pixels);
  Loader loader;
  BatchBuffers batch;
  Error e = {0};
  bool asked = _i == AUGMENT_CROP_FLIP_JITTER;
  ck_assert_int_eq(config_jitters(&config), asked);
  ck_assert(loader_create(&loader, &config, &data, 0, BATCH, &e));
  ck_assert(batch_create(&batch, &config, device, BATCH, config_kept(&config), &e));
  loader_load(&loader, 0);
  ck_assert_int_eq(loader.jitters != NULL, asked);
  ck_assert_int_eq(batch.jitters != NULL, asked);
  batch_destroy(&batch);
  loader_destroy(&loader);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("jitter");
  TCase *tc = tcase_create("jitter");
  tcase_add_checked_fixture(tc, open_device, close_device);
  tcase_set_timeout(tc, 120);
  tcase_add_loop_test(tc, equals_stored_values, 0, sizeof stored / sizeof *stored);
  tcase_add_test(tc, equals_pillow);
  tcase_add_test(tc, draws_follow_their_laws);
  tcase_add_test(tc, parts_are_those_of_the_whole_batch);
  tcase_add_test(tc, batches_are_changed_image_by_image);
  tcase_add_loop_test(tc, colours_change_only_when_asked, 0, AUGMENT_COUNT);
  suite_add_tcase(suite, tc);
  return suite_run(suite);
}
