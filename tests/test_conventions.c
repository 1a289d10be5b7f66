/* mae eval --conventions: every convention against its plain definition, the protocol's own numbers
 * among them, and the marks. */
#include <math.h>

#include "kernels/scalar.h"
#include "mae/base/io.h"
#include "mae/data/picture.h"
#include "mae/evaluate/conventions.h"
#include "mae/evaluate/ssim.h"
#include "mae/model/device.h"
#include "tests/run_mae.h"
#include "tests/suite.h"

enum { SIZE = 16, PATCH = 4, SIDE = SIZE / PATCH, L = SIDE * SIDE, PIXELS = SIZE * SIZE * 3 };
enum { ROW = PATCH * PATCH * 3, HELD_OUT = 5, TRAINING = 23 };

static const double mean[3] = {0.485, 0.456, 0.406}, deviation[3] = {0.229, 0.224, 0.225};

/* scikit-image 0.19 on these very pictures, structural_similarity with its defaults; and numpy's
 * means and variances over the whole arrays. */
START_TEST(test_committed_windows) {
  static uint8_t image[PIXELS];
  static float picture[PIXELS];
  for (int i = 0; i < PIXELS; i++) {
    image[i] = (uint8_t)(random_bits(7, 99, 0, 0, (uint32_t)i) >> 24);
    picture[i] = (float)((i * 37) % 256) / 256.0f;
  }
  ck_assert_double_eq_tol(ssim_uniform(picture, image, SIZE), -0.001969175085896666, 1e-9);
  ck_assert_double_eq_tol(ssim_global(picture, image, SIZE), 0.006775762814150025, 1e-9);
  ck_assert(isnan(ssim_uniform(picture, image, 6)));
}
END_TEST

/* Of the values under a window with these weights, by the definition. */
static double reference_window(const double *x, const double *y, const double *weight, int count,
                               double covariance_scale) {
  double mx = 0.0, my = 0.0, vx = 0.0, vy = 0.0, cov = 0.0;
  for (int i = 0; i < count; i++) mx += weight[i] * x[i], my += weight[i] * y[i];
  for (int i = 0; i < count; i++) {
    vx += covariance_scale * weight[i] * (x[i] - mx) * (x[i] - mx);
    vy += covariance_scale * weight[i] * (y[i] - my) * (y[i] - my);
    cov += covariance_scale * weight[i] * (x[i] - mx) * (y[i] - my);
  }
  return (2 * mx * my + 1e-4) * (2 * cov + 9e-4) / ((mx * mx + my * my + 1e-4) * (vx + vy + 9e-4));
}

/* side 11: Gaussian; 7: uniform; SIZE: one window over everything. */
static double reference_ssim(const double *picture, const double *image, int side) {
  double x[PIXELS], y[PIXELS], weight[PIXELS], sum = 0.0, total = 0.0;
  int step = SIZE - side + 1, count = side * side;
  if (side == SIZE) {
    for (int i = 0; i < PIXELS; i++) weight[i] = 1.0 / PIXELS;
    return reference_window(picture, image, weight, PIXELS, 1.0);
  }
  for (int i = 0; i < count; i++) {
    double r2 = pow(i / side - side / 2, 2) + pow(i % side - side / 2, 2);
    sum += weight[i] = side == 11 ? exp(-r2 / (2.0 * 1.5 * 1.5)) : 1.0;
  }
  for (int i = 0; i < count; i++) weight[i] /= sum;
  for (int top = 0; top < step; top++)
    for (int left = 0; left < step; left++)
      for (int c = 0; c < 3; c++) {
        for (int i = 0; i < count; i++) {
          int at = ((top + i / side) * SIZE + left + i % side) * 3 + c;
          x[i] = picture[at];
          y[i] = image[at];
        }
        total += reference_window(x, y, weight, count, side == 7 ? 49.0 / 48.0 : 1.0);
      }
  return total / (step * step * 3);
}

/* Mean and deviation of a patch's values, as train.norm_pix has them. */
static void reference_statistics(double *m, double *d, const double *values) {
  double sum = 0.0, squares = 0.0;
  for (int i = 0; i < ROW; i++) sum += values[i];
  *m = sum / ROW;
  for (int i = 0; i < ROW; i++) squares += (values[i] - *m) * (values[i] - *m);
  *d = sqrt(squares / (ROW - 1) + 1e-6);
}

/* full[PIXELS] from normalised predictions [L, ROW] of one image. */
static void reference_picture(double *full, const double *pred, const double *image,
                              const Convention *c, bool norm_pix) {
  for (int l = 0; l < L; l++) {
    double target[ROW], values[ROW], m, d, own_m = 0.0, own_d = 1.0;
    int at[ROW];
    for (int i = 0; i < ROW; i++) {
      int y = l / SIDE * PATCH + i / (PATCH * 3), x = l % SIDE * PATCH + i / 3 % PATCH;
      at[i] = (y * SIZE + x) * 3 + i % 3;
      target[i] = (image[at[i]] - mean[i % 3]) / deviation[i % 3];
      values[i] = pred[l * ROW + i];
    }
    reference_statistics(&m, &d, target);
    if (!norm_pix) reference_statistics(&own_m, &own_d, values);
    for (int i = 0; i < ROW; i++) {
      double value = c->leaky ? (values[i] - own_m) / own_d * d + m : values[i];
      double pixel = value * deviation[i % 3] + mean[i % 3];
      full[at[i]] = c->unclamped ? pixel : fmin(fmax(pixel, 0.0), 1.0);
    }
  }
}

typedef struct Example {
  double image[PIXELS], pred[L * ROW], fill[L * ROW];
  uint8_t masked[L];
} Example;

/* A measure by the words of its name. */
static double reference_measure(const char *name, const Convention *c, const Example *examples,
                                int count, bool norm_pix, bool of_fill) {
  static double full[PIXELS], picture[PIXELS];
  double total = 0.0, pooled = 0.0;
  for (int e = 0; e < count; e++) {
    const Example *example = &examples[e];
    double error = 0.0, values = 0.0;
    reference_picture(full, of_fill ? example->fill : example->pred, example->image, c,
                      norm_pix && !of_fill);
    for (int i = 0; i < PIXELS; i++) {
      bool hidden = example->masked[i / 3 / SIZE / PATCH * SIDE + i / 3 % SIZE / PATCH];
      picture[i] = hidden || strstr(name, "_full") ? full[i] : example->image[i];
      if (!hidden && strstr(name, "_masked")) continue;
      error += pow(picture[i] - example->image[i], 2);
      values += 1.0;
    }
    if (strstr(name, "ssim_"))
      total += reference_ssim(picture, example->image,
                              strstr(name, "_uniform")  ? 7
                              : strstr(name, "_global") ? SIZE
                                                        : 11);
    else
      total += -10.0 * log10(error / values);
    pooled += error / values;
  }
  return strstr(name, "_pooled") ? -10.0 * log10(pooled / count) : total / count;
}

/* Evaluator, its model and images in the test's folder. */
typedef struct Bench {
  Config config;
  Device *device;
  Dataset dataset;
  Model model;
  Evaluator evaluator;
  ImagePool pool;
} Bench;

/* Weights so large that many predictions leave [0,1]. */
static void enlarge_weights(Bench *b) {
  size_t bytes = b->model.table.total * sizeof(float);
  float *params = malloc(bytes);
  b->device->kernels->download(b->device, params, b->model.params, bytes);
  Error e = {0};
  ck_assert(device_synchronize(b->device, &e));
  for (size_t i = 0; i < b->model.table.total; i++) params[i] *= 3.0f;
  b->device->kernels->upload(b->device, b->model.params, params, bytes);
  model_sync_weights(&b->model);
  ck_assert(device_synchronize(b->device, &e));
  free(params);
}

static void bench_open(Bench *b, const char *settings) {
  char text[512], *rest = text;
  Error e = {0};
  memset(b, 0, sizeof *b);
  config_init(&b->config);
  snprintf(text, sizeof text,
           "model.image_size=16 model.patch_size=4 model.encoder=16x2x2 model.decoder=24x1x3 "
           "data.source=shapes data.train_images=23 eval.images=5 eval.batch=3 run.device=cpu "
           "run.threads=2 train.batch=8 data.cache=%s/cache%s",
           test_folder, settings);
  for (char *key; (key = strsep(&rest, " "));) {
    char *value = strchr(key, '=');
    *value++ = '\0';
    ck_assert_msg(config_set(&b->config, key, value, NULL, &e), "%s", e.message);
  }
  ck_assert_msg(config_validate(&b->config, &e), "%s", e.message);
  b->device = device_open(&b->config, 0, 1, &e);
  ck_assert_msg(b->device && data_open(&b->dataset, &b->config, NULL, &e) &&
                    model_create(&b->model, &b->config, b->device, false, &e) &&
                    model_init_weights(&b->model, &e) &&
                    evaluator_open(&b->evaluator, &b->model, &b->dataset, &b->pool, &e) &&
                    pool_open(&b->pool, b->device, &b->dataset, &b->config, 1, &e),
                "%s", e.message);
  enlarge_weights(b);
}

static void bench_close(Bench *b) {
  pool_destroy(&b->pool);
  evaluator_destroy(&b->evaluator);
  model_destroy(&b->model);
  data_close(&b->dataset);
  b->device->kernels->close(b->device);
}

/* Image `index` of a split as a plain example: the image, its mask, the model's predictions and
 * those that a fill would be. */
static void take_example(Example *example, Bench *b, const PackImage *image, int index, Fill fill) {
  static uint8_t pixels[PIXELS];
  static float pred[(L + 1) * ROW], picture[PIXELS];
  Evaluator *ev = &b->evaluator;
  const Kernels *k = b->device->kernels;
  Dataset one = b->dataset;
  one.eval = image;
  data_eval_crop(ev->crops, &one, 0);
  Error e = {0};
  ck_assert_msg(evaluator_load(ev, index, 1, &e), "%s", e.message);
  Batch batch = batch_view(&ev->input, 0, 1);
  model_forward(&b->model, &batch);
  int extra = b->model.extra;
  k->download(b->device, pixels, ev->input.images, sizeof pixels);
  k->download(b->device, pred, b->model.pred, (size_t)(extra + L) * ROW * sizeof *pred);
  ck_assert(device_synchronize(b->device, &e));
  memcpy(example->masked, ev->masked, L);
  ck_assert(fill(picture, pixels, ev->masked, SIZE, PATCH));
  for (int i = 0; i < PIXELS; i++) {
    int y = i / 3 / SIZE, x = i / 3 % SIZE, l = y / PATCH * SIDE + x / PATCH;
    int at = l * ROW + (y % PATCH * PATCH + x % PATCH) * 3 + i % 3;
    example->image[i] = pixels[i] / 255.0;
    example->fill[at] = (picture[i] - mean[i % 3]) / deviation[i % 3];
  }
  for (int i = 0; i < L * ROW; i++) example->pred[i] = pred[extra * ROW + i];
}

static void check_every_convention(const char *settings, bool norm_pix) {
  static Example examples[2][SCORERS_MAX][HELD_OUT];
  ConventionScores scores;
  Bench b;
  Error e = {0};
  bench_open(&b, settings);
  ck_assert_msg(conventions_score(&scores, &b.evaluator, &e), "%s", e.message);
  ck_assert_int_eq(scores.images[0], HELD_OUT);
  ck_assert_int_eq(scores.images[1], HELD_OUT);
  for (int s = 0; s < scorer_count; s++)
    for (int i = 0; i < HELD_OUT; i++) {
      Fill fill = scorer_list[s]->fill ? scorer_list[s]->fill : fill_mean;
      take_example(&examples[0][s][i], &b, b.dataset.eval + i, i, fill);
      take_example(&examples[1][s][i], &b, b.dataset.train + i * TRAINING / HELD_OUT, i, fill);
    }
  for (int k = 0; k < CONVENTIONS; k++) {
    Convention c = convention_at(k);
    for (int s = 0; s < scorer_count; s++) {
      bool fill = scorer_list[s]->fill;
      if (!convention_has(&c, scorer_list[s])) {
        ck_assert(scorer_list[s]->probes || (fill && strstr(c.name, "_full")));
        ck_assert(isnan(scores.values[k][s]));
        continue;
      }
      double expected =
          reference_measure(c.name, &c, examples[c.training][s], HELD_OUT, norm_pix, fill);
      ck_assert_msg(fabs(scores.values[k][s] - expected) < 1e-4, "%s of %s: %.6f, not %.6f", c.name,
                    scorer_list[s]->name, scores.values[k][s], expected);
    }
  }
  bench_close(&b);
}

START_TEST(test_definitions) {
  check_every_convention("", false);
}
END_TEST

START_TEST(test_definitions_for_norm_pix) {
  check_every_convention(" train.norm_pix=true model.class_token=false", true);
}
END_TEST

/* To the last bit; and what the protocol calls leaky. */
static void check_protocol(const char *settings, bool norm_pix) {
  ConventionScores scores;
  Bench b;
  Error e = {0};
  bench_open(&b, settings);
  ck_assert_msg(conventions_score(&scores, &b.evaluator, &e), "%s", e.message);
  int found = 0;
  for (int s = 0; s < scorer_count; s++) {
    Metrics metrics;
    ck_assert_msg(scorer_list[s]->run(&metrics, &b.evaluator, &e), "%s", e.message);
    for (int k = 0; k < CONVENTIONS; k++) {
      Convention c = convention_at(k);
      const char *name = c.name;
      if (norm_pix && !strcmp(name, "psnr_composite_leaky")) name = "psnr_leaky";
      if (norm_pix && !strcmp(name, "ssim_composite_leaky")) name = "ssim_leaky";
      const Metric *metric = metric_find(name);
      if (!metric || !metrics_has(&metrics, (int)(metric - metric_list))) continue;
      ck_assert_msg(scores.values[k][s] == metrics_get(&metrics, name),
                    "%s of %s: %.17g, not %.17g", name, scorer_list[s]->name, scores.values[k][s],
                    metrics_get(&metrics, name));
      found++;
    }
  }
  ck_assert_int_eq(found, norm_pix ? 2 + 2 * 5 : 8 + 2 * 5);
  bench_close(&b);
}

START_TEST(test_the_protocols_numbers) {
  check_protocol("", false);
}
END_TEST

START_TEST(test_the_protocols_leaky_numbers) {
  check_protocol(" train.norm_pix=true", true);
}
END_TEST

START_TEST(test_fewer_training_images) {
  ConventionScores scores;
  Bench b;
  Error e = {0};
  bench_open(&b, " data.train_images=4 train.batch=4");
  ck_assert_msg(conventions_score(&scores, &b.evaluator, &e), "%s", e.message);
  ck_assert_int_eq(scores.images[0], HELD_OUT);
  ck_assert_int_eq(scores.images[1], 4);
  ck_assert(b.evaluator.dataset == &b.dataset);
  bench_close(&b);
}
END_TEST

START_TEST(test_the_list) {
  int leaky = 0, training = 0;
  for (int i = 0; i < CONVENTIONS; i++) {
    Convention c = convention_at(i);
    for (int k = 0; k < i; k++) ck_assert_str_ne(convention_at(k).name, c.name);
    ck_assert(*c.what);
    ck_assert_int_eq(strncmp(c.name, "psnr_", 5) == 0, strcmp(c.unit, "dB") == 0);
    ck_assert_int_eq(c.leaky, strstr(c.name, "_leaky") != NULL);
    ck_assert_int_eq(c.training, strstr(c.name, "_train") != NULL);
    ck_assert_int_eq(c.unclamped, strstr(c.name, "_unclamped") != NULL);
    leaky += c.leaky;
    training += c.training;
  }
  ck_assert_int_eq(leaky, CONVENTIONS / 2);
  ck_assert_int_eq(training, CONVENTIONS / 2);
}
END_TEST

/* A line for every convention, with its marks where it has any and nowhere else. */
static void check_printed_marks(void) {
  char path[PATH_SIZE], line[512], name[64];
  FILE *file = fopen(in_folder(path, "output"), "r");
  int rows = 0;
  while (fgets(line, sizeof line, file)) {
    if (sscanf(line, "%63s", name) != 1 || !strchr(name, '_') || !strncmp(name, "fill", 4))
      continue;
    ck_assert_str_eq(name, convention_at(rows++).name);
    ck_assert_msg(!strstr(line, "LEAK") == !strstr(name, "_leaky"), "%s", line);
    ck_assert_msg(!strstr(line, "TRAINED ON") == !strstr(name, "_train"), "%s", line);
  }
  fclose(file);
  ck_assert_int_eq(rows, CONVENTIONS);
}

/* Training pictures of noise; the first of them is held out too. */
static void write_images(int count) {
  char path[PATH_SIZE + 64], folder[PATH_SIZE];
  static uint8_t rgb[PIXELS];
  Error e;
  in_folder(folder, "images");
  for (int i = 0; i <= count; i++) {
    for (int k = 0; k < PIXELS; k++)
      rgb[k] = (uint8_t)(random_bits(5, 99, 0, (uint64_t)(i % count), (uint32_t)k) >> 24);
    snprintf(path, sizeof path, "%s/%s/a", folder, i < count ? "train" : "val");
    ck_assert(io_make_folders(path, &e));
    snprintf(path, sizeof path, "%s/%s/a/%d.png", folder, i < count ? "train" : "val", i);
    ck_assert_msg(picture_write_png(path, rgb, SIZE, SIZE, &e), "%s", e.message);
  }
}

START_TEST(test_program) {
  char path[PATH_SIZE];
  write_images(6);
  ck_assert_int_eq(
      run_mae(
          "train model.image_size=16 model.patch_size=4 model.encoder=16x1x2 "
          "model.decoder=16x1x2 train.batch=6 train.steps=2 train.warmup_epochs=0 "
          "data.source=imagefolder data.path=@/images run.device=cpu run.threads=1 --out @/run"),
      EXIT_OK);
  ck_assert_int_eq(run_mae("eval --checkpoint @/run --conventions"), EXIT_OK);
  check_printed_marks();
  ck_assert_int_eq(run_mae("eval --checkpoint @/run --conventions --json"), EXIT_OK);
  json_t *json = json_load_file(in_folder(path, "output"), 0, NULL), *row;
  ck_assert_ptr_nonnull(json);
  ck_assert_int_eq(json_integer_value(json_object_get(json, "images")), 1);
  ck_assert_int_eq(json_integer_value(json_object_get(json, "training_images")), 1);
  json_t *rows = json_object_get(json, "conventions");
  ck_assert_uint_eq(json_array_size(rows), CONVENTIONS);
  size_t i;
  double at_home[CONVENTIONS / 2];
  json_array_foreach(rows, i, row) {
    Convention c = convention_at((int)i);
    ck_assert_str_eq(json_string_value(json_object_get(row, "name")), c.name);
    ck_assert_int_eq(json_is_true(json_object_get(row, "leak")), c.leaky);
    ck_assert_int_eq(json_is_true(json_object_get(row, "training_images")), c.training);
    ck_assert_int_eq(json_is_true(json_object_get(row, "clamped")), !c.unclamped);
    ck_assert_int_eq(json_object_get(row, "fill_mean") != NULL, !c.full);
    /* The training picture that is looked at is the one that is held out. */
    double value = json_number_value(json_object_get(row, "model"));
    if (i >= CONVENTIONS / 2)
      ck_assert_msg(value == at_home[i - CONVENTIONS / 2], "%s: %.17g, not %.17g", c.name, value,
                    at_home[i - CONVENTIONS / 2]);
    else
      at_home[i] = value;
  }
  json_decref(json);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("conventions");
  TCase *list = tcase_create("list");
  tcase_add_test(list, test_committed_windows);
  tcase_add_test(list, test_the_list);
  suite_add_tcase(suite, list);
  TCase *scores = tcase_create("scores");
  tcase_add_checked_fixture(scores, make_test_folder, remove_test_folder);
  tcase_set_timeout(scores, 120);
  tcase_add_test(scores, test_definitions);
  tcase_add_test(scores, test_definitions_for_norm_pix);
  tcase_add_test(scores, test_the_protocols_numbers);
  tcase_add_test(scores, test_the_protocols_leaky_numbers);
  tcase_add_test(scores, test_fewer_training_images);
  tcase_add_test(scores, test_program);
  suite_add_tcase(suite, scores);
  return suite_run(suite);
}
