/* What a probe looks at: which images, what the encoder and the pixels make of them, and what is
 * said of data sets that have little to tell. */
#include <math.h>

#include "mae/evaluate/metrics.h"
#include "mae/evaluate/scorers.h"
#include "mae/probe/probe.h"
#include "tests/suite.h"
#include "tests/tiny.h"

enum { IMAGES_MAX = 600 };

/* A data set in memory of noise images of one size: label l of each split's image i. */
typedef struct Made {
  Dataset dataset;
  PackImage train[IMAGES_MAX], eval[IMAGES_MAX];
  uint8_t *pixels;
} Made;

static void set_images(PackImage *images, const int *labels, int count, int first, int width,
                       int height) {
  for (int i = 0; i < count; i++)
    images[i] =
        (PackImage){.offset = (uint64_t)(first + i) * (uint64_t)width * (uint64_t)height * 3,
                    .width = width,
                    .height = height,
                    .label = labels[i]};
}

static Made *make(const int *train, int train_count, const int *eval, int eval_count, int width,
                  int height) {
  Made *made = calloc(1, sizeof *made);
  size_t bytes = (size_t)(train_count + eval_count) * (size_t)width * (size_t)height * 3;
  made->pixels = malloc(bytes);
  for (size_t i = 0; i < bytes; i++)
    made->pixels[i] = (uint8_t)random_bits(3, STREAM_SHAPES, 0, i >> 8, (uint32_t)(i & 255));
  set_images(made->train, train, train_count, 0, width, height);
  set_images(made->eval, eval, eval_count, train_count, width, height);
  made->dataset = (Dataset){.train_count = train_count,
                            .eval_count = eval_count,
                            .train = made->train,
                            .eval = made->eval,
                            .pixels = made->pixels,
                            .pixel_bytes = bytes};
  return made;
}

static void unmake(Made *made) {
  free(made->pixels);
  free(made);
}

static void open_pool(ImagePool *pool, Device *device, const Dataset *dataset,
                      const Config *config) {
  Error e = {0};
  ck_assert_msg(pool_open(pool, device, dataset, config, 1, &e), "%s", e.message);
}

static Features choose(const Dataset *dataset, bool training, int wanted, int classes) {
  Features features;
  Error e = {0};
  ck_assert_msg(features_choose(&features, dataset, training, wanted, classes, &e), "%s",
                e.message);
  return features;
}

/* Choice ---------------------------------------------------------------------------------------*/

static void assert_choice(const Dataset *dataset, bool training, int wanted, int classes,
                          const char *expected) {
  Features f = choose(dataset, training, wanted, classes);
  char text[256] = "";
  const PackImage *images = training ? dataset->train : dataset->eval;
  for (int i = 0; i < f.images; i++) {
    sprintf(text + strlen(text), "%d ", f.index[i]);
    ck_assert_int_eq(f.labels[i], images[f.index[i]].label);
  }
  ck_assert_str_eq(text, expected);
  features_free(&f);
}

START_TEST(images_are_chosen_evenly) {
  static const int train[] = {0, 1, 2, 0, 1, 2, 0, 1, 2, 0}, eval[] = {-1, 3, 0, 2, -1, 1, 0};
  Made *made = make(train, 10, eval, 7, 4, 4);
  assert_choice(&made->dataset, true, 0, 3, "0 1 2 3 4 5 6 7 8 9 ");
  assert_choice(&made->dataset, true, 5, 3, "0 2 4 6 8 ");
  assert_choice(&made->dataset, true, 4, 3, "0 2 5 7 ");
  assert_choice(&made->dataset, true, 1, 3, "0 ");
  assert_choice(&made->dataset, true, 9, 3, "0 1 2 3 4 5 6 7 8 ");
  assert_choice(&made->dataset, true, 11, 3, "0 1 2 3 4 5 6 7 8 9 ");
  assert_choice(&made->dataset, true, 100000000, 3, "0 1 2 3 4 5 6 7 8 9 ");
  /* Of those whose label counts; with classes 0, of all. */
  assert_choice(&made->dataset, false, 0, 3, "2 3 5 6 ");
  assert_choice(&made->dataset, false, 2, 3, "2 5 ");
  assert_choice(&made->dataset, false, 0, 4, "1 2 3 5 6 ");
  assert_choice(&made->dataset, false, 0, 0, "0 1 2 3 4 5 6 ");
  assert_choice(&made->dataset, false, 3, 0, "0 2 4 ");
  made->dataset.eval_count = 0;
  assert_choice(&made->dataset, false, 3, 3, "");
  unmake(made);
}
END_TEST

/* What the encoder makes of them ---------------------------------------------------------------*/

/* 37 images, which no batch divides, through a model of these settings. */
static Features extract(const char *settings, bool trains) {
  static const int labels[37] = {0};
  Made *made = make(labels, 37, labels, 1, 11, 9); /* cut to a square and resized to 8 x 8 */
  Tiny *t = tiny_open(settings, trains);
  ImagePool pool;
  Error e = {0};
  open_pool(&pool, t->device, &made->dataset, &t->config);
  Features f = choose(&made->dataset, true, 0, 0);
  ck_assert_msg(features_extract(&f, &t->model, &pool, (1u << READOUT_COUNT) - 1, NULL, &e), "%s",
                e.message);
  pool_destroy(&pool);
  tiny_close(t);
  unmake(made);
  return f;
}

/* Frees a. */
static void compare(Features *a, const Features *b, double tolerance) {
  size_t count = (size_t)a->images * (size_t)a->width;
  for (int r = 0; r < READOUT_COUNT; r++) {
    if (tolerance == 0) ck_assert_mem_eq(a->values[r], b->values[r], count * sizeof(float));
    for (size_t i = 0; i < count; i++)
      ck_assert_double_le(fabs((double)a->values[r][i] - b->values[r][i]), tolerance);
  }
  features_free(a);
}

/* The same to the last bit on any threads, while training and whatever is augmented then; in
 * batches of another size (one image, three, sixteen, all) but for the order of a product's sums.
 */
START_TEST(features_do_not_depend_on_how_they_are_made) {
  Features all = extract("train.batch=64 run.threads=1", false), other;
  ck_assert_int_eq(all.images, 37);
  ck_assert_int_eq(all.width, 16);
  other = extract("train.batch=64 run.threads=3", false);
  compare(&other, &all, 0);
  other = extract("train.batch=64 run.threads=1", true);
  compare(&other, &all, 0);
  other = extract("train.batch=64 run.threads=1 train.augment=crop_flip_jitter", true);
  compare(&other, &all, 0);
  Features fewer = extract("train.batch=64 eval.batch=16 run.threads=1", false);
  other = extract("train.batch=64 eval.batch=16 run.threads=1", true);
  compare(&other, &fewer, 0);
  compare(&fewer, &all, 4e-6);
  static const char *const settings[] = {"train.batch=4", "train.batch=12",
                                         "train.batch=256 eval.batch=256",
                                         "train.batch=64 train.shards=2"};
  for (int i = 0; i < 4; i++) {
    other = extract(settings[i], false);
    compare(&other, &all, 4e-6);
  }
  features_free(&all);
}
END_TEST

/* The parameter of this name, on the host. */
static const float *parameter(const Tiny *t, const char *name) {
  const ParamTable *table = &t->model.table;
  for (int i = 0; i < table->count; i++)
    if (!strcmp(table->list[i].name, name)) return t->params + table->list[i].offset;
  ck_abort_msg("no parameter %s", name);
}

/* norm[count, width]: the encoder's last layer norm of tokens in double. */
static void plain_norm(double *norm, const Tiny *t, const float *tokens, int count) {
  int width = t->config.model.encoder.width;
  const float *weight = parameter(t, "norm.weight"), *bias = parameter(t, "norm.bias");
  for (int i = 0; i < count; i++) {
    const float *token = tokens + (size_t)i * (size_t)width;
    double mean = 0, squares = 0;
    for (int k = 0; k < width; k++) mean += token[k] / (double)width;
    for (int k = 0; k < width; k++) squares += (token[k] - mean) * (token[k] - mean);
    for (int k = 0; k < width; k++)
      norm[i * width + k] = (token[k] - mean) / sqrt(squares / width + 1e-6) * weight[k] + bias[k];
  }
}

/* The tokens of the batch's images, nothing hidden, before the final norm; the caller frees. */
static float *encode_whole(Tiny *t) {
  const Config *config = &t->config;
  int n = config->train.batch, patches = config_patches(config);
  int tokens = encoder_tokens(config, patches), width = config->model.encoder.width;
  int32_t visible[64];
  uint8_t masked[64] = {0};
  float *all = malloc((size_t)n * (size_t)tokens * (size_t)width * sizeof *all);
  BatchBuffers input;
  Error e = {0};
  ck_assert_int_le(patches, 64);
  ck_assert_msg(batch_create(&input, config, t->device, 1, patches, &e), "%s", e.message);
  for (int i = 0; i < patches; i++) visible[i] = i;
  batch_set_masks(&input, visible, masked, 1);
  for (int i = 0; i < n; i++) {
    const float *stream;
    const void *normed;
    batch_set_images(&input, t->images + (size_t)i * 8 * 8 * 3, 1);
    Batch batch = batch_view(&input, 0, 1);
    model_encode(&t->model, &batch, &stream, &normed);
    t->device->kernels->download(t->device, all + (size_t)i * (size_t)tokens * (size_t)width,
                                 stream, (size_t)tokens * (size_t)width * sizeof *all);
  }
  batch_destroy(&input);
  return all;
}

static void assert_rows(const float *got, const double *wanted, int count, double tolerance) {
  for (int i = 0; i < count; i++) ck_assert_double_eq_tol(got[i], wanted[i], tolerance);
}

/* Tokens [first, tokens) of image i, averaged. */
static void average(double *mean, const double *tokens, int first, int count, int width) {
  for (int k = 0; k < width; k++) {
    mean[k] = 0;
    for (int i = first; i < count; i++) mean[k] += tokens[i * width + k] / (count - first);
  }
}

/* The readouts again from the tokens before the norm, in double; with a class token and without. */
START_TEST(features_are_those_of_the_encoder) {
  bool cls = _i == 0;
  Tiny *t = tiny_open(cls ? "train.batch=6 run.threads=1"
                          : "model.class_token=false train.batch=6 run.threads=1",
                      false);
  static const int labels[6] = {0};
  enum { WIDTH = 16 };
  Made *made = make(labels, 6, labels, 0, 8, 8);
  int tokens = encoder_tokens(&t->config, 16);
  ImagePool pool;
  Error e = {0};
  memcpy(made->pixels, t->images, 6 * 8 * 8 * 3);
  open_pool(&pool, t->device, &made->dataset, &t->config);
  Features f = choose(&made->dataset, true, 0, 0);
  ck_assert_uint_eq(readouts_wanted(&t->config),
                    cls ? 15 : 1u << READOUT_mean | 1u << READOUT_mean_prenorm);
  ck_assert_msg(features_extract(&f, &t->model, &pool, readouts_wanted(&t->config), NULL, &e), "%s",
                e.message);
  ck_assert_int_eq(tokens, 16 + cls);
  ck_assert_int_eq(f.values[READOUT_cls] != NULL, cls);
  ck_assert_int_eq(f.values[READOUT_cls_prenorm] != NULL, cls);
  float *stream = encode_whole(t);
  for (int i = 0; i < 6; i++) {
    double plain[17 * WIDTH], norm[17 * WIDTH], mean[WIDTH];
    const float *of_image = stream + (size_t)i * (size_t)tokens * WIDTH;
    for (int k = 0; k < tokens * WIDTH; k++) plain[k] = of_image[k];
    plain_norm(norm, t, of_image, tokens);
    if (cls) {
      assert_rows(f.values[READOUT_cls_prenorm] + (size_t)i * WIDTH, plain, WIDTH, 1e-30);
      assert_rows(f.values[READOUT_cls] + (size_t)i * WIDTH, norm, WIDTH, 1e-5);
    }
    average(mean, plain, cls, tokens, WIDTH);
    assert_rows(f.values[READOUT_mean_prenorm] + (size_t)i * WIDTH, mean, WIDTH, 1e-5);
    average(mean, norm, cls, tokens, WIDTH);
    assert_rows(f.values[READOUT_mean] + (size_t)i * WIDTH, mean, WIDTH, 1e-5);
  }
  free(stream);
  features_free(&f);
  pool_destroy(&pool);
  unmake(made);
  tiny_close(t);
}
END_TEST

/* Pixels ---------------------------------------------------------------------------------------*/

/* Every pixel split into 16 x 16 equal parts, so that each of the 16 x 16 cells is made of whole
 * parts, `size` along a side. */
static void plain_average_down(double *row, const uint8_t *image, int size) {
  for (int i = 0; i < 16 * 16 * 3; i++) row[i] = 0;
  for (int y = 0; y < 16 * size; y++)
    for (int x = 0; x < 16 * size; x++)
      for (int c = 0; c < 3; c++)
        row[(y / size * 16 + x / size) * 3 + c] +=
            image[(y / 16 * size + x / 16) * 3 + c] / 255.0 / (size * size);
}

START_TEST(pixels_are_averaged_down) {
  static const int sizes[] = {8, 12, 16, 20, 24, 32, 36, 48}, labels[5] = {0};
  char settings[128];
  snprintf(settings, sizeof settings, "model.image_size=%d model.patch_size=4", sizes[_i]);
  Config config = tiny_config(settings);
  Device *device = tiny_device(&config);
  int size = sizes[_i];
  Made *made = make(labels, 5, labels, 0, size, size);
  ImagePool pool;
  Error e = {0};
  open_pool(&pool, device, &made->dataset, &config);
  Features f = choose(&made->dataset, true, 0, 0);
  ck_assert_msg(features_pixels(&f, &config, device, &pool, NULL, &e), "%s", e.message);
  ck_assert_int_eq(f.width, 768);
  for (int i = 0; i < 5; i++) {
    double row[768];
    plain_average_down(row, made->pixels + (size_t)i * (size_t)size * (size_t)size * 3, size);
    assert_rows(f.values[0] + (size_t)i * 768, row, 768, 1e-6);
  }
  features_free(&f);
  pool_destroy(&pool);
  device->kernels->close(device);
  unmake(made);
}
END_TEST

/* Data sets with little to tell ----------------------------------------------------------------*/

/* Labels as text, one digit each; '-': none. */
static int read_labels(int *labels, const char *text) {
  int count = 0;
  for (; text[count]; count++) labels[count] = text[count] == '-' ? -1 : text[count] - '0';
  return count;
}

static const struct {
  const char *train, *eval; /* labels */
  bool scored;
  const char *note;
  const char *settings;
} poor[] = {
    {"----", "----", false, "no probe: the training images have no labels", "probe.method=both"},
    {"----", "0101", false, "no probe: the training images have no labels", "probe.method=both"},
    {"00-0", "0101", false, "no probe: all training images are of one class", "probe.method=both"},
    {"1111", "1111", false, "no probe: all training images are of one class", "probe.method=both"},
    {"0101", "", false, "no probe: no held-out image is of a class of the training images",
     "probe.method=both"},
    {"0101", "-2-3", false, "no probe: no held-out image is of a class of the training images",
     "probe.method=both"},
    {"010101", "01-3", true,
     "2 of 4 held-out images are left out: their class has no training images",
     "probe.method=linear"},
    {"0010", "01", true, "1 class has a single training image", "probe.method=linear"},
    {"0120", "01", true, "2 classes have a single training image", "probe.method=linear"},
    {"0101", "0101", true, "", "probe.method=linear"},
    {"0101", "0101", true, "no vote of 20, 10, 100, 200 neighbours: there are 4 training images",
     "probe.method=both"},
    {"01010101010101010101", "0101", true,
     "no vote of 100, 200 neighbours: there are 20 training images", "probe.method=knn"},
    {"00110011001100110011", "0101", true,
     "no vote of 20, 100, 200 neighbours: there are 10 training images",
     "probe.method=knn probe.train_images=10"},
    {"0112", "0-", true,
     "1 of 2 held-out images are left out: their class has no training images; 2 classes have a "
     "single training image; no vote of 20, 10, 100, 200 neighbours: there are 4 training images",
     "probe.method=both"},
};

START_TEST(little_to_tell_is_said) {
  int train[32], eval[32];
  Made *made =
      make(train, read_labels(train, poor[_i].train), eval, read_labels(eval, poor[_i].eval), 8, 8);
  Config config = tiny_config(poor[_i].settings);
  Device *device = tiny_device(&config);
  ImagePool pool;
  Probe probe;
  ProbeScores scores;
  Error e = {0};
  open_pool(&pool, device, &made->dataset, &config);
  ck_assert_msg(probe_open(&probe, &config, device, &made->dataset, &e), "%s", e.message);
  ck_assert_str_eq(probe.note, poor[_i].note);
  ck_assert_int_eq(probe.eval.images > 0, poor[_i].scored);
  if (poor[_i].scored) {
    ck_assert_msg(probe_pixels(&scores, &probe, &pool, &e), "%s", e.message);
    bool fits = config_probes_linear(&config);
    ck_assert_int_eq(!isnan(scores.linear[READOUT_mean].top1), fits);
    ck_assert_int_eq(!isnan(scores.strength[READOUT_cls]), fits);
    for (int k = 0; k < NEIGHBOUR_COUNTS; k++)
      ck_assert_int_eq(!isnan(scores.neighbours[READOUT_mean][k].top1),
                       config_probes_neighbours(&config) &&
                           neighbour_counts[k] <= probe.train.images);
    ck_assert_double_nan(scores.linear[READOUT_mean].top5); /* of five classes or fewer */
    Metrics metrics = metrics_of_probe(&scores, &probe);
    ck_assert_int_eq(metrics.images, probe.eval.images);
    ck_assert_int_eq(metrics.train_images, probe.train.images);
    ck_assert_int_eq(metrics.classes, probe.classes);
  }
  probe_close(&probe);
  pool_destroy(&pool);
  device->kernels->close(device);
  unmake(made);
}
END_TEST

/* The commonest class first; of classes as common the lower label. */
START_TEST(chance) {
  static const char train_text[] = "0122234455566", eval_text[] = "0123456012-7";
  int train[16], eval[16];
  Made *made =
      make(train, read_labels(train, train_text), eval, read_labels(eval, eval_text), 8, 8);
  Config config = tiny_config("probe.method=both probe.features=mean");
  Device *device = tiny_device(&config);
  Probe probe;
  ProbeScores scores;
  Error e = {0};
  ck_assert_msg(probe_open(&probe, &config, device, &made->dataset, &e), "%s", e.message);
  ck_assert_int_eq(probe.eval.images, 10);
  probe_chance(&scores, &probe);
  /* 2 and 5 (three each), 4 and 6 (two), 0, 1, 3: first is 2; then among five are 2 5 4 6 0. */
  ck_assert_double_eq(scores.linear[READOUT_mean].top1, 20);
  ck_assert_double_eq(scores.linear[READOUT_mean].top5, 70);
  ck_assert_double_eq(scores.neighbours[READOUT_mean_prenorm][1].top1, 20);
  ck_assert_double_nan(scores.neighbours[READOUT_mean][0].top1); /* 20 of 13 */
  ck_assert_double_nan(scores.linear[READOUT_cls].top1);         /* not asked for */
  ck_assert_double_nan(scores.strength[READOUT_mean]);
  probe_close(&probe);
  device->kernels->close(device);
  unmake(made);
}
END_TEST

START_TEST(features_that_are_not_finite) {
  int train[16], eval[16];
  Made *made = make(train, read_labels(train, "010101"), eval, read_labels(eval, "01"), 8, 8);
  Tiny *t = tiny_open("probe.method=both run.threads=1", false);
  ImagePool pool;
  Probe probe;
  ProbeScores scores;
  Error e = {0};
  open_pool(&pool, t->device, &made->dataset, &t->config);
  ck_assert_msg(probe_open(&probe, &t->config, t->device, &made->dataset, &e), "%s", e.message);
  ck_assert_msg(probe_model(&scores, &probe, &t->model, &pool, &e), "%s", e.message);
  ck_assert(!isnan(scores.linear[READOUT_cls].top1));
  for (size_t i = 0; i < t->model.table.total; i++) t->params[i] = NAN;
  t->device->kernels->upload(t->device, t->model.params, t->params,
                             t->model.table.total * sizeof *t->params);
  ck_assert(!probe_model(&scores, &probe, &t->model, &pool, &e));
  ck_assert_int_eq(e.code, EXIT_NONFINITE);
  ck_assert_str_eq(e.message, "the features are not finite");
  probe_close(&probe);
  pool_destroy(&pool);
  tiny_close(t);
  unmake(made);
}
END_TEST

static ProbeWork work_of(const char *settings, int train, int eval) {
  Config config = tiny_config(settings);
  return probe_work(&config, train, eval, 10);
}

/* 16 patches of 12 values and a class token, two blocks of width 16. */
START_TEST(work_is_foreseen) {
  double image = 2e-9 * (16 * 12 * 16 + 2 * (12 * 17 * 16 * 16 + 2 * 17 * 17 * 16));
  double vote = 2e-9 * 50 * 16 * (700 + PROBE_HOST * PROBE_CANDIDATES);
  double fits =
      1e-9 * (PROBE_ITERATIONS * 4. * 700 * 16 * 10 + PROBE_FITS * PROBE_HOST * 2. * 16 * 16 * 16);
  ProbeWork knn = work_of("probe.method=knn", 700, 50);
  ProbeWork both = work_of("probe.method=both probe.features=mean", 700, 50);
  ck_assert_double_eq_tol(knn.model, PROBE_FORWARD * 750 * image + 4 * vote, 1e-12);
  ck_assert_double_eq_tol(both.model, PROBE_FORWARD * 750 * image + 2 * (vote + fits), 1e-12);
  /* Random weights cost as much as the model's, and pixels are wider. */
  ck_assert_double_eq_tol(knn.baselines, knn.model + vote * 768 / 16, 1e-12);
  ck_assert_double_gt(both.baselines, both.model + (vote + fits) * 768 / 16);
  ck_assert_double_eq(
      work_of("probe.method=knn probe.train_images=700 probe.eval_images=50", 9000, 1000).model,
      knn.model);
  ck_assert_double_eq(work_of("probe.method=off", 700, 50).baselines, 0);
  ck_assert_double_eq(work_of("probe.method=knn probe.train_images=700", 0, 0).baselines, 0);
}
END_TEST

/* The untrained encoder's score is that of a model just made, and leaves the weights alone. */
START_TEST(random_weights_are_lent) {
  enum { TRAIN = 90, EVAL = 60 };
  int train[TRAIN], eval[EVAL];
  for (int i = 0; i < TRAIN; i++) train[i] = i % 7;
  for (int i = 0; i < EVAL; i++) eval[i] = i % 7;
  Made *made = make(train, TRAIN, eval, EVAL, 8, 8);
  Tiny *t = tiny_open("probe.method=both run.threads=1", true);
  size_t count = t->model.table.total;
  ImagePool pool;
  Evaluator ev;
  Metrics trained, random, fresh;
  Error e = {0};
  open_pool(&pool, t->device, &made->dataset, &t->config);
  ck_assert(evaluator_open(&ev, &t->model, &made->dataset, &pool, &e));
  ck_assert_msg(scorer_probe.run(&trained, &ev, &e), "%s", e.message);
  ck_assert_msg(scorer_random.run(&random, &ev, &e), "%s", e.message);
  float *after = tiny_download(t, t->model.params, count);
  ck_assert_mem_eq(after, t->params, count * sizeof *after);
  ck_assert_msg(scorer_probe.run(&fresh, &ev, &e), "%s", e.message);
  ck_assert_mem_eq(fresh.values, trained.values, sizeof fresh.values);
  ck_assert_msg(model_init_weights(&t->model, &e), "%s", e.message);
  ck_assert_msg(scorer_probe.run(&fresh, &ev, &e), "%s", e.message);
  ck_assert_mem_eq(fresh.values, random.values, sizeof fresh.values);
  ck_assert(memcmp(random.values, trained.values, sizeof fresh.values) != 0);
  free(after);
  evaluator_destroy(&ev);
  pool_destroy(&pool);
  tiny_close(t);
  unmake(made);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("features");
  TCase *features = tcase_create("features");
  tcase_add_test(features, images_are_chosen_evenly);
  tcase_add_test(features, features_do_not_depend_on_how_they_are_made);
  tcase_add_loop_test(features, features_are_those_of_the_encoder, 0, 2);
  tcase_add_loop_test(features, pixels_are_averaged_down, 0, 8);
  tcase_add_loop_test(features, little_to_tell_is_said, 0, sizeof poor / sizeof *poor);
  tcase_add_test(features, chance);
  tcase_add_test(features, features_that_are_not_finite);
  tcase_add_test(features, work_is_foreseen);
  tcase_add_test(features, random_weights_are_lent);
  suite_add_tcase(suite, features);
  return suite_run(suite);
}
