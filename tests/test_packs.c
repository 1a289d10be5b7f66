/* Packs of encoded files (data.pack = jpeg): what they hold, and the crops that are decoded from
 * them. */
#include "kernels/scalar.h"
#include "mae/data/loader.h"
#include "mae/data/pool.h"
#include "mae/data/regions.h"
#include "mae/model/device.h"
#include "tests/data_sets.h"

/* Pictures ------------------------------------------------------------------------------------*/

typedef enum Kind {
  FINE,
  HALVED,
  QUARTERED,
  TALL,
  GREY,
  PROGRESSIVE,
  RESTARTED,
  INKED,
  KINDS
} Kind;

/* Sampling of the first component, across and down. */
static const int sampling[KINDS][2] = {
    [FINE] = {1, 1}, [HALVED] = {2, 1},      [QUARTERED] = {2, 2}, [TALL] = {1, 2},
    [GREY] = {1, 1}, [PROGRESSIVE] = {2, 2}, [RESTARTED] = {2, 2}, [INKED] = {1, 1}};

/* Smooth noise: between random values at every eighth pixel. */
static uint8_t noise(int picture, int x, int y, int c) {
  float value[2][2];
  for (int i = 0; i < 4; i++)
    value[i / 2][i % 2] = random_uniform(3, STREAM_SHAPES, (uint32_t)picture, (uint64_t)c,
                                         (uint32_t)((y / 8 + i / 2) * 1000 + x / 8 + i % 2));
  float u = (float)(x % 8) / 8.0f, v = (float)(y % 8) / 8.0f;
  float above = value[0][0] + u * (value[0][1] - value[0][0]);
  float below = value[1][0] + u * (value[1][1] - value[1][0]);
  return (uint8_t)(255.0f * (above + v * (below - above)));
}

static void write_photo(const char *name, int picture, int width, int height, Kind kind) {
  char path[PATH_SIZE];
  FILE *file = fopen(in_folder(path, name), "wb");
  ck_assert_ptr_nonnull(file);
  struct jpeg_error_mgr manager;
  struct jpeg_compress_struct jpeg = {.err = jpeg_std_error(&manager)};
  int channels = kind == GREY ? 1 : kind == INKED ? 4 : 3;
  jpeg_create_compress(&jpeg);
  jpeg_stdio_dest(&jpeg, file);
  jpeg.image_width = (JDIMENSION)width;
  jpeg.image_height = (JDIMENSION)height;
  jpeg.input_components = channels;
  jpeg.in_color_space = kind == GREY ? JCS_GRAYSCALE : kind == INKED ? JCS_CMYK : JCS_RGB;
  jpeg_set_defaults(&jpeg);
  jpeg_set_quality(&jpeg, 92, TRUE);
  jpeg.comp_info[0].h_samp_factor = sampling[kind][0];
  jpeg.comp_info[0].v_samp_factor = sampling[kind][1];
  if (kind == PROGRESSIVE) jpeg_simple_progression(&jpeg);
  if (kind == RESTARTED) jpeg.restart_in_rows = 1;
  jpeg_start_compress(&jpeg, TRUE);
  uint8_t *row = malloc((size_t)(width * channels));
  while (jpeg.next_scanline < jpeg.image_height) {
    for (int i = 0; i < width * channels; i++)
      row[i] = noise(picture, i / channels, (int)jpeg.next_scanline, i % channels);
    jpeg_write_scanlines(&jpeg, &row, 1);
  }
  free(row);
  jpeg_finish_compress(&jpeg);
  jpeg_destroy_compress(&jpeg);
  fclose(file);
}

static int draw(int count, int n) {
  return (int)(random_bits(5, 0, 0, 0, (uint32_t)count) % (uint32_t)n);
}

/* Of any kind of file, at any reduction, a box is cut from the whole picture: what lies beside it
 * has no part in it, nor has it where the box ends. Unreduced it is the picture that a pack of
 * pixels holds. The last kind is a PNG. */
START_TEST(a_box_is_cut_from_the_whole_picture) {
  enum { WIDTH = 203, HEIGHT = 150, BOXES = 40 };
  const char *name = _i == KINDS ? "x.png" : "x.jpg";
  if (_i == KINDS)
    write_png(name, 1, WIDTH, HEIGHT);
  else
    write_photo(name, _i, WIDTH, HEIGHT, (Kind)_i);
  Bytes file = read_bytes(name);
  static uint8_t whole[WIDTH * HEIGHT * 3], part[WIDTH * HEIGHT * 3];
  for (int reduction = 1; reduction <= 8; reduction *= 2) {
    int width = WIDTH / reduction, height = HEIGHT / reduction;
    PictureBox all = {reduction, 0, 0, width, height};
    ck_assert_msg(picture_decode_box(whole, name, file.bytes, file.size, &all, &error), "%s",
                  error.message);
    for (int i = 0; i < BOXES; i++) {
      PictureBox box = {
          .reduction = reduction, .left = draw(4 * i, width), .top = draw(4 * i + 1, height)};
      box.width = 1 + draw(4 * i + 2, width - box.left);
      box.height = 1 + draw(4 * i + 3, height - box.top);
      ck_assert(picture_decode_box(part, name, file.bytes, file.size, &box, &error));
      for (int y = 0; y < box.height; y++)
        ck_assert_mem_eq(part + y * box.width * 3, whole + ((box.top + y) * width + box.left) * 3,
                         (size_t)box.width * 3);
    }
    if (reduction > 1) continue;
    Picture p;
    ck_assert(picture_decode(&p, name, file.bytes, file.size, NULL, &error));
    ck_assert_mem_eq(whole, p.rgb, sizeof whole);
    picture_free(&p);
  }
  PictureBox outside = {2, 90, 0, 13, 10};
  ck_assert(!picture_decode_box(part, name, file.bytes, file.size, &outside, &error));
  ck_assert_int_eq(error.code, EXIT_DATA);
  free(file.bytes);
}
END_TEST

/* A reduced picture is the mean of blocks of the whole one: a PNG's in every byte, a JPEG's to
 * within 3 of 255 on average and 40 at most, for coefficients are cut off and not averaged. Where
 * colour has half as many samples in one direction only, it keeps that half when it is reduced:
 * here, where colour is noise as fine as light is, that makes 15 and 80. */
START_TEST(reduced_pictures_are_means_of_blocks) {
  enum { WIDTH = 208, HEIGHT = 152 };
  bool png = _i == KINDS, halved = _i == HALVED || _i == TALL;
  int mean_bound = png ? 0 : halved ? 15 : 3, bound = png ? 0 : halved ? 80 : 40;
  const char *name = png ? "x.png" : "x.jpg";
  if (png)
    write_png(name, 1, WIDTH, HEIGHT);
  else
    write_photo(name, _i, WIDTH, HEIGHT, (Kind)_i);
  Bytes file = read_bytes(name);
  static uint8_t reduced[WIDTH * HEIGHT * 3];
  Picture p;
  ck_assert(picture_decode(&p, name, file.bytes, file.size, NULL, &error));
  for (int f = 2; f <= 8; f *= 2) {
    PictureBox all = {f, 0, 0, WIDTH / f, HEIGHT / f};
    double total = 0;
    int most = 0, values = all.width * all.height * 3;
    ck_assert(picture_decode_box(reduced, name, file.bytes, file.size, &all, &error));
    for (int i = 0; i < values; i++) {
      int x = i / 3 % all.width, y = i / 3 / all.width, sum = 0;
      for (int k = 0; k < f * f; k++)
        sum += p.rgb[((y * f + k / f) * WIDTH + x * f + k % f) * 3 + i % 3];
      int difference = abs(reduced[i] - (2 * sum + f * f) / (2 * f * f));
      total += difference;
      if (difference > most) most = difference;
    }
    ck_assert_msg(total / values <= mean_bound && most <= bound,
                  "reduced %d times: %.2f on average, %d at most", f, total / values, most);
  }
  picture_free(&p);
  free(file.bytes);
}
END_TEST

/* Boxes ---------------------------------------------------------------------------------------*/

/* What is decoded covers the crop's box to within half a pixel of the reduced picture, is at least
 * as large as the crop that is made of it, and would not be if it were reduced more. */
START_TEST(regions_cover_their_boxes) {
  enum { SIZE = 40 };
  PackImage image = {.width = 1013, .height = 700};
  Dataset one = {.train = &image, .train_count = 1, .eval = &image};
  int seen[9] = {0};
  set("train.crop_min", "0.01");
  size_t most = regions_largest(&one, SIZE);
  for (uint32_t epoch = 0; epoch < 3000; epoch++) {
    Crop crop;
    PictureBox box;
    data_train_crop(&crop, &one, &config, epoch, 0);
    region_box(&box, &crop, SIZE);
    int f = box.reduction;
    seen[f]++;
    ck_assert(box.left >= 0 && box.left + box.width <= image.width / f);
    ck_assert(box.top >= 0 && box.top + box.height <= image.height / f);
    ck_assert_int_le(abs(2 * (box.left * f - crop.left)), f);
    ck_assert_int_le(abs(2 * (box.top * f - crop.top)), f);
    /* A picture's last pixels that fill no block are not there. */
    int right = (box.left + box.width) * f - crop.left - crop.width;
    int bottom = (box.top + box.height) * f - crop.top - crop.height;
    ck_assert(2 * abs(right) <= f || box.left + box.width == image.width / f);
    ck_assert(2 * abs(bottom) <= f || box.top + box.height == image.height / f);
    if (f > 1) ck_assert(box.width >= SIZE && box.height >= SIZE);
    if (f < 8) ck_assert(crop.width / (2 * f) <= SIZE || crop.height / (2 * f) <= SIZE);
    if (f == 1) ck_assert(box.left == crop.left && box.width == crop.width);
    ck_assert_uint_le((size_t)box.width * (size_t)box.height * 3, most);
  }
  ck_assert(seen[1] && seen[2] && seen[4] && seen[8]);
}
END_TEST

/* Packs ---------------------------------------------------------------------------------------*/

/* Files of every kind and several sizes, training images in two classes. */
static void make_photos(int width, int height) {
  char name[64];
  set("data.source", "imagefolder");
  shell("mkdir -p images/train/%s images/train/dog images/val/cat images/val/dog", "cat");
  for (int k = 0; k < KINDS; k++) {
    snprintf(name, sizeof name, "images/train/%s/%d.jpg", k % 2 ? "dog" : "cat", k);
    write_photo(name, k, width + 3 * k, height + 2 * k, (Kind)k);
    snprintf(name, sizeof name, "images/val/%s/%d.jpg", k % 2 ? "dog" : "cat", k);
    write_photo(name, 20 + k, height, width, (Kind)k);
  }
  write_png("images/train/dog/p.png", 3, width, height);
  set("model.image_size", "32");
  set("model.patch_size", "8");
  set("model.encoder", "16x1x1");
  set("model.decoder", "16x1x1");
  set("train.batch", "8");
}

enum { BATCH = 8, SIZE = 32, STEPS = 3, CROP_BYTES = SIZE * SIZE * 3 };

/* [STEPS, BATCH, SIZE, SIZE, 3]: the crops of the first steps, made in `parts` by as many loaders
 * as that many ranks have; then the first held-out images. */
static uint8_t *make_crops(int parts, int threads) {
  Loader loader;
  ImagePool pool;
  BatchBuffers batch;
  config.run.threads = threads;
  uint8_t *crops = malloc((STEPS + 1) * BATCH * CROP_BYTES);
  Device *device = device_open(&config, 0, 1, &error);
  ck_assert_msg(device && pool_open(&pool, device, &data, &config, 1, &error), "%s", error.message);
  int images = BATCH / parts;
  size_t bytes = (size_t)images * CROP_BYTES;
  ck_assert(batch_create(&batch, &config, device, images, config_kept(&config), &error));
  for (int part = 0; part < parts; part++) {
    ck_assert(loader_create(&loader, &config, &data, part * images, images, &error));
    for (int step = 0; step < STEPS; step++) {
      loader_load(&loader, step);
      ck_assert_msg(pool_fill_batch(&pool, &batch, loader.crops, NULL, images, &error), "%s",
                    error.message);
      memcpy(crops + ((size_t)step * BATCH + (size_t)(part * images)) * CROP_BYTES, batch.images,
             bytes);
    }
    for (int i = 0; i < images; i++) data_eval_crop(&loader.crops[i], &data, part * images + i);
    ck_assert(pool_fill_batch(&pool, &batch, loader.crops, NULL, images, &error));
    memcpy(crops + (size_t)(STEPS * BATCH + part * images) * CROP_BYTES, batch.images, bytes);
    loader_destroy(&loader);
  }
  batch_destroy(&batch);
  pool_destroy(&pool);
  device->kernels->close(device);
  return crops;
}

/* The files lie in the pack as they lie in the folder, under the labels, in the order and with the
 * sizes of a pack of pixels; and where no picture is reduced the crops are those of one, too. */
START_TEST(small_pictures_give_the_crops_of_pixels) {
  make_photos(40, 45);
  open_data();
  uint8_t *expected = make_crops(1, 1);
  Dataset pixels = data;
  set("data.pack", "jpeg");
  open_data();
  ck_assert(data.encoded && !pixels.encoded && strcmp(data.pack_path, pixels.pack_path));
  ck_assert_str_ne(data.sha256, data.content_sha256);
  ck_assert_str_eq(pixels.sha256, pixels.content_sha256);
  ck_assert_int_eq(data.train_count, pixels.train_count);
  ck_assert_int_eq(data.eval_count, pixels.eval_count);
  for (int i = 0; i < data.train_count + data.eval_count; i++) {
    ck_assert_int_eq(data.train[i].label, pixels.train[i].label);
    ck_assert_int_eq(data.train[i].width, pixels.train[i].width);
    ck_assert_int_eq(data.train[i].height, pixels.train[i].height);
  }
  static const char *const files[] = {"images/train/cat/0.jpg", "images/train/cat/2.jpg"};
  for (int i = 0; i < 2; i++) {
    Bytes file = read_bytes(files[i]);
    ck_assert_uint_eq((size_t)data.train[i].bytes, file.size);
    ck_assert_mem_eq(data.pixels + data.train[i].offset, file.bytes, file.size);
    free(file.bytes);
  }
  uint8_t *crops = make_crops(1, 1);
  ck_assert_mem_eq(crops, expected, (STEPS + 1) * BATCH * CROP_BYTES);
  free(crops);
  free(expected);
  data_close(&pixels);
}
END_TEST

/* Of larger pictures too, which are reduced: whoever makes them, with how many threads. */
START_TEST(threads_and_ranks_do_not_change_a_crop) {
  make_photos(301, 212);
  set("data.pack", "jpeg");
  open_data();
  uint8_t *expected = make_crops(1, 1);
  /* Ever more threads: those that end leave the working memory of their crops. */
  static const int others[][2] = {{4, 1}, {1, 2}, {2, 2}, {1, 5}};
  for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
    uint8_t *crops = make_crops(others[i][0], others[i][1]);
    ck_assert_mem_eq(crops, expected, (STEPS + 1) * BATCH * CROP_BYTES);
    free(crops);
  }
  free(expected);
}
END_TEST

/* The bytes of a pack depend on the files alone. */
START_TEST(threads_do_not_change_a_pack_of_files) {
  make_photos(61, 52);
  set("data.pack", "jpeg");
  set("data.pack_side", "60");
  char first[65] = "";
  for (int threads = 1; threads <= 5; threads += threads) {
    config.run.threads = threads;
    open_data();
    if (threads == 1) strcpy(first, data.sha256);
    ck_assert_str_eq(data.sha256, first);
    data_close(&data);
    shell("rm -r %s", "cache");
  }
}
END_TEST

/* Pictures above data.pack_side are averaged down to it and encoded anew, the others stay. */
START_TEST(pack_side_limits_the_longer_side) {
  make_photos(61, 52);
  set("data.pack", "jpeg");
  set("data.pack_side", "62");
  open_data();
  Bytes file = read_bytes("images/train/cat/0.jpg");
  ck_assert_uint_eq((size_t)data.train[0].bytes, file.size);
  ck_assert_mem_eq(data.pixels, file.bytes, file.size);
  free(file.bytes);
  for (int i = 0; i < data.train_count + data.eval_count; i++)
    ck_assert(data.train[i].width <= 62 && data.train[i].height <= 62);
  /* 4.jpg: 73x60, grey */
  const PackImage *image = &data.train[2];
  ck_assert_int_eq(image->width, 62);
  ck_assert_int_eq(image->height, 51);
  Picture was, is;
  char path[PATH_SIZE];
  ck_assert(picture_read(&was, in_folder(path, "images/train/cat/4.jpg"), NULL, &error));
  ck_assert(picture_decode(&is, "packed", data.pixels + image->offset, (size_t)image->bytes, NULL,
                           &error));
  double total = 0; /* by the nearest pixel: the noise is smooth */
  for (int y = 0; y < is.height; y++)
    for (int x = 0; x < is.width; x++)
      total += abs(is.rgb[(y * is.width + x) * 3] -
                   was.rgb[((2 * y + 1) * was.height / (2 * is.height) * was.width +
                            (2 * x + 1) * was.width / (2 * is.width)) *
                           3]);
  ck_assert_double_le(total / (is.width * is.height), 8);
  picture_free(&was);
  picture_free(&is);
  char sha256[65];
  strcpy(sha256, data.sha256);
  data_close(&data);
  set("data.pack_quality", "50");
  open_data();
  ck_assert_str_ne(data.sha256, sha256);
}
END_TEST

START_TEST(bad_files_are_named_or_skipped) {
  make_photos(61, 52);
  set("data.pack", "jpeg");
  shell("truncate -s -60 %s", "images/train/dog/3.jpg");
  expect_refusal("images/train/dog/3.jpg: damaged JPEG");
  set("data.skip_bad", "true");
  open_data();
  ck_assert_int_eq(data.skipped, 1);
  ck_assert_int_eq(data.train_count, KINDS);
}
END_TEST

START_TEST(packs_cut_short_are_refused) {
  make_photos(61, 52);
  set("data.pack", "jpeg");
  open_data();
  char path[CONFIG_PATH_MAX];
  strcpy(path, data.pack_path);
  off_t size = (off_t)data.map_size;
  data_close(&data);
  ck_assert_int_eq(truncate(path, size - 64), 0);
  expect_refusal("not as long as its header says; delete the file");
}
END_TEST

/* Training ------------------------------------------------------------------------------------*/

#define PHOTOS                                                                                     \
  "data.source=imagefolder data.path=@/images model.image_size=32 model.patch_size=8 "             \
  "model.encoder=16x1x1 model.decoder=16x1x1 train.batch=4 train.steps=6 train.warmup_epochs=0 "   \
  "train.augment=crop_flip_jitter eval.images=8 probe.method=linear run.device=cpu run.threads=2 "

static char *final_hash(const char *run) {
  json_t *events = read_events(run), *end = last_event(events, "end", NULL);
  ck_assert_msg(end != NULL, "%s", mae_output());
  char *hash = strdup(event_text(end, "state_sha256"));
  json_decref(events);
  return hash;
}

/* What the last event that has it says. */
static double final_number(const char *run, const char *key) {
  json_t *events = read_events(run), *event, *found = NULL;
  size_t i;
  json_array_foreach(events, i, event) if (json_object_get(event, key)) found = event;
  ck_assert_ptr_nonnull(found);
  double value = event_number(found, key);
  json_decref(events);
  return value;
}

static void train(const char *words) {
  char command[1024];
  snprintf(command, sizeof command, "train " PHOTOS "%s", words);
  ck_assert_msg(run_mae(command) == 0, "%s", mae_output());
}

/* Stopped and resumed, and in two ranks, training on files ends in the bits of one that was not; on
 * pictures that are not reduced in those of training on pixels, with the scores and probes. */
START_TEST(training_on_files_ends_in_the_same_bits) {
  make_photos(40, 45);
  train("train.shards=2 --quiet --out @/pixels");
  train("train.shards=2 data.pack=jpeg --quiet --out @/files");
  ck_assert_int_eq(run_mae("train " PHOTOS "train.shards=2 data.pack=jpeg --stop-after 3 --quiet "
                           "--out @/stopped"),
                   128 + SIGINT);
  train("train.shards=2 data.pack=jpeg --resume --quiet --out @/stopped");
  train("train.shards=2 train.ranks=2 run.threads=3 data.pack=jpeg --quiet --out @/ranks");
  static const char *const others[] = {"files", "stopped", "ranks"};
  char *expected = final_hash("pixels");
  for (int i = 0; i < 3; i++) {
    char *hash = final_hash(others[i]);
    ck_assert_str_eq(hash, expected);
    free(hash);
    static const char *const keys[] = {"psnr_masked", "linear_mean"};
    for (int k = 0; k < 2; k++)
      ck_assert_double_eq(final_number(others[i], keys[k]), final_number("pixels", keys[k]));
  }
  free(expected);
}
END_TEST

START_TEST(speed_and_info_tell_of_files) {
  make_photos(61, 52);
  ck_assert_int_eq(run_mae("data info " PHOTOS "data.pack=jpeg"), 0);
  ck_assert_msg(strstr(mae_output(), "MB of files)"), "%s", mae_output());
  ck_assert_int_eq(run_mae("data speed --crops 8 " PHOTOS "data.pack=jpeg"), 0);
  ck_assert_msg(strstr(mae_output(), "ms a crop") && strstr(mae_output(), "per million images"),
                "%s", mae_output());
  ck_assert_int_eq(run_mae("data speed --crops 0 " PHOTOS "data.pack=jpeg"), 0); /* one batch */
  ck_assert_msg(strstr(mae_output(), "crops         4 of 32 px"), "%s", mae_output());
  ck_assert_int_eq(run_mae("data speed data.pack=jpeg"), 2);
  ck_assert_msg(strstr(mae_output(), "data.pack = jpeg is for image files"), "%s", mae_output());
}
END_TEST

int main(void) {
  Suite *suite = suite_create("packs");
  TCase *cases = tcase_create("packs");
  tcase_add_checked_fixture(cases, setup, teardown);
  tcase_set_timeout(cases, 240);
  tcase_add_loop_test(cases, a_box_is_cut_from_the_whole_picture, 0, KINDS + 1);
  tcase_add_loop_test(cases, reduced_pictures_are_means_of_blocks, 0, KINDS + 1);
  tcase_add_test(cases, regions_cover_their_boxes);
  tcase_add_test(cases, small_pictures_give_the_crops_of_pixels);
  tcase_add_test(cases, threads_and_ranks_do_not_change_a_crop);
  tcase_add_test(cases, threads_do_not_change_a_pack_of_files);
  tcase_add_test(cases, pack_side_limits_the_longer_side);
  tcase_add_test(cases, bad_files_are_named_or_skipped);
  tcase_add_test(cases, packs_cut_short_are_refused);
  suite_add_tcase(suite, cases);
  TCase *training = tcase_create("training");
  tcase_add_checked_fixture(training, setup, teardown);
  tcase_set_timeout(training, 240);
  tcase_add_test(training, training_on_files_ends_in_the_same_bits);
  tcase_add_test(training, speed_and_info_tell_of_files);
  suite_add_tcase(suite, training);
  return suite_run(suite);
}
