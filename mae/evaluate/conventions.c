/* conventions.c - the list of conventions, the pictures they are taken of, and their sums. */
#include "mae/evaluate/conventions.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/scalar.h"
#include "mae/evaluate/ssim.h"
#include "mae/model/device.h"

/* A measure is a metric of the protocol, or an SSIM with another window. */
typedef double (*Window)(const float *picture, const uint8_t *image, int size);
static const struct Measure {
  const char *name;
  bool full;
  Window window;    /* NULL: metric_list has it by this name */
  const char *what; /* NULL: as metric_list says */
} measures[] = {
    {"psnr_masked", false, NULL, NULL},
    {"psnr_masked_pooled", false, NULL, NULL},
    {"psnr_composite", false, NULL, NULL},
    {"psnr_composite_pooled", false, NULL, NULL},
    {"psnr_full", true, NULL, NULL},
    {"psnr_full_pooled", true, NULL, NULL},
    {"ssim_composite", false, NULL, NULL},
    {"ssim_composite_uniform", false, ssim_uniform,
     "structural similarity of the composite, uniform window of 7x7, sample covariance"},
    {"ssim_composite_global", false, ssim_global,
     "structural similarity of the composite, one window over the whole image and its channels"},
    {"ssim_full", true, NULL, NULL},
    {"ssim_full_uniform", true, ssim_uniform,
     "structural similarity of the decoder's output, uniform window of 7x7, sample covariance"},
    {"ssim_full_global", true, ssim_global,
     "structural similarity of the decoder's output, one window over the whole image and its "
     "channels"},
};
_Static_assert(sizeof measures / sizeof *measures == CONVENTION_MEASURES, "CONVENTION_MEASURES");

/* Ways to make pictures of the same predictions: the choices but that of the images. */
enum { UNCLAMPED = 1, LEAKY = 2, VARIANTS = 4 };

static int index_of(bool training, int variant, int measure) {
  int block = 2 * training + !!(variant & LEAKY);
  return (block * CONVENTION_MEASURES + measure) * 2 + !!(variant & UNCLAMPED);
}

Convention convention_at(int index) {
  int block = index / (2 * CONVENTION_MEASURES);
  const struct Measure *measure = &measures[index / 2 % CONVENTION_MEASURES];
  const Metric *metric = metric_find(measure->name);
  Convention c = {.measure = measure->name,
                  .what = measure->window ? measure->what : metric->meaning,
                  .unit = measure->window ? "" : metric->unit,
                  .full = measure->full,
                  .unclamped = index % 2,
                  .leaky = block % 2,
                  .training = block / 2};
  snprintf(c.name, sizeof c.name, "%s%s%s%s", c.measure, c.unclamped ? "_unclamped" : "",
           c.leaky ? "_leaky" : "", c.training ? "_train" : "");
  return c;
}

bool convention_has(const Convention *convention, const Scorer *scorer) {
  return scorer->fill ? !convention->full : scorer == &scorer_model;
}

static const double channel_mean[3] = {IMAGENET_MEAN_R, IMAGENET_MEAN_G, IMAGENET_MEAN_B};
static const double channel_std[3] = {IMAGENET_STD_R, IMAGENET_STD_G, IMAGENET_STD_B};

typedef struct Statistics {
  double mean, deviation;
} Statistics;

/* As train.norm_pix has them, of `count` values whose sum and sum of squares these are. */
static Statistics statistics_of(double sum, double squares, double count) {
  double mean = sum / count, variance = (squares - sum * mean) / (count - 1.0);
  return (Statistics){mean, sqrt(fmax(variance, 0.0) + (double)NORM_PIX_EPS)};
}

static Statistics target_statistics(const uint8_t *target, int size, int patch) {
  double sum = 0.0, squares = 0.0;
  for (int row = 0; row < patch; row++)
    for (int i = 0; i < 3 * patch; i++) {
      double pixel = target[(size_t)row * (size_t)size * 3 + (size_t)i] / 255.0;
      double value = (pixel - channel_mean[i % 3]) / channel_std[i % 3];
      sum += value;
      squares += value * value;
    }
  return statistics_of(sum, squares, 3.0 * patch * patch);
}

static Statistics predicted_statistics(const float *pred, int patch) {
  double sum = 0.0, squares = 0.0;
  for (int i = 0; i < 3 * patch * patch; i++) {
    sum += pred[i];
    squares += (double)pred[i] * pred[i];
  }
  return statistics_of(sum, squares, 3.0 * patch * patch);
}

void convention_paint(float *corner, const float *pred, const uint8_t *target,
                      const PatchPaint *paint) {
  int size = paint->size, patch = paint->patch;
  Statistics from = {0.0, 1.0}, to = {0.0, 1.0};
  if (paint->leaky) {
    to = target_statistics(target, size, patch);
    if (!paint->norm_pix) from = predicted_statistics(pred, patch);
  }
  double scale = to.deviation / from.deviation;
  for (int row = 0; row < patch; row++)
    for (int i = 0; i < 3 * patch; i++) {
      double value = (pred[row * 3 * patch + i] - from.mean) * scale + to.mean;
      double pixel = value * channel_std[i % 3] + channel_mean[i % 3];
      if (!paint->unclamped) pixel = fmin(fmax(pixel, 0.0), 1.0);
      corner[(size_t)row * (size_t)size * 3 + (size_t)i] = (float)pixel;
    }
}

typedef struct Sums {
  MetricSums metrics;
  double windows[CONVENTION_MEASURES]; /* sums over images, of measures with a window */
} Sums;

/* What a batch takes on the host. */
typedef struct Canvas {
  int extra;   /* rows of an image in pred before its first patch */
  float *pred; /* [capacity, extra + L, 3pp] normalised pixels (norm_pix: normalised patches) */
  float *plain_composite, *plain_full; /* [capacity, size, size, 3] the protocol's pictures ... */
  float *composite, *full;             /* a variant's */
  uint8_t *images;
  double *windows; /* [capacity, CONVENTION_MEASURES] */
  Sums sums[SCORERS_MAX][VARIANTS];
} Canvas;

static size_t picture_values(const Config *config) {
  return (size_t)config->model.image_size * (size_t)config->model.image_size * 3;
}

static void canvas_destroy(Canvas *canvas) {
  if (!canvas) return;
  free(canvas->pred);
  free(canvas->plain_composite);
  free(canvas->plain_full);
  free(canvas->composite);
  free(canvas->full);
  free(canvas->images);
  free(canvas->windows);
  free(canvas);
}

static Canvas *canvas_create(const Evaluator *ev, Error *e) {
  size_t n = (size_t)ev->capacity, values = n * picture_values(ev->config);
  size_t row = 3 * (size_t)ev->config->model.patch_size * (size_t)ev->config->model.patch_size;
  Canvas *canvas = calloc(1, sizeof *canvas);
  if (canvas) {
    canvas->pred = malloc((values + n * (size_t)ev->model->extra * row) * sizeof(float));
    canvas->plain_composite = malloc(values * sizeof(float));
    canvas->plain_full = malloc(values * sizeof(float));
    canvas->composite = malloc(values * sizeof(float));
    canvas->full = malloc(values * sizeof(float));
    canvas->images = malloc(values);
    canvas->windows = malloc(n * CONVENTION_MEASURES * sizeof *canvas->windows);
    if (canvas->pred && canvas->plain_composite && canvas->plain_full && canvas->composite &&
        canvas->full && canvas->images && canvas->windows)
      return canvas;
  }
  canvas_destroy(canvas);
  error_set(e, EXIT_DEVICE, "out of memory for the pictures of %d images", ev->capacity);
  return NULL;
}

static size_t patch_corner(const Config *config, size_t patch) {
  size_t size = (size_t)config->model.image_size, p = (size_t)config->model.patch_size;
  size_t side = size / p;
  return (patch / side * p * size + patch % side * p) * 3;
}

/* The model's predictions and its pictures as the protocol has them. */
static bool predict(Canvas *canvas, Evaluator *ev, int count, Error *e) {
  const Kernels *k = ev->device->kernels;
  size_t n = (size_t)count, values = n * picture_values(ev->config);
  size_t row = 3 * (size_t)ev->config->model.patch_size * (size_t)ev->config->model.patch_size;
  canvas->extra = ev->model->extra;
  evaluator_reconstruct(ev, count);
  k->download(ev->device, canvas->pred, ev->model->pred,
              (values + n * (size_t)canvas->extra * row) * sizeof(float));
  k->download(ev->device, canvas->plain_composite, ev->composite, values * sizeof(float));
  k->download(ev->device, canvas->plain_full, ev->full, values * sizeof(float));
  return device_synchronize(ev->device, e);
}

/* A fill's pictures, and their patches as if a model had predicted them. */
static bool fill_as_prediction(Canvas *canvas, Evaluator *ev, Fill fill, int count, Error *e) {
  const Config *config = ev->config;
  size_t size = (size_t)config->model.image_size, p = (size_t)config->model.patch_size;
  size_t values = picture_values(config), patches = (size_t)config_patches(config);
  if (!fill_pictures(canvas->plain_composite, ev, fill, canvas->images, count, e)) return false;
  canvas->extra = 0;
  for (size_t l = 0; l < (size_t)count * patches; l++) {
    const float *corner =
        canvas->plain_composite + l / patches * values + patch_corner(config, l % patches);
    float *pred = canvas->pred + l * 3 * p * p;
    for (size_t i = 0; i < 3 * p * p; i++)
      pred[i] = (float)((corner[i / (3 * p) * size * 3 + i % (3 * p)] - channel_mean[i % 3]) /
                        channel_std[i % 3]);
  }
  return true;
}

static void paint_picture(Canvas *canvas, const Evaluator *ev, const PatchPaint *paint, int image) {
  const Config *config = ev->config;
  size_t patches = (size_t)config_patches(config), values = picture_values(config);
  size_t row = 3 * (size_t)paint->patch * (size_t)paint->patch, i = (size_t)image;
  float *full = canvas->full + i * values, *composite = canvas->composite + i * values;
  const uint8_t *original = canvas->images + i * values;
  const float *pred = canvas->pred + (i * ((size_t)canvas->extra + patches) + canvas->extra) * row;
  for (size_t l = 0; l < patches; l++)
    convention_paint(full + patch_corner(config, l), pred + l * row,
                     original + patch_corner(config, l), paint);
  for (size_t v = 0; v < values; v++) {
    int y = (int)(v / 3) / paint->size, x = (int)(v / 3) % paint->size;
    bool hidden = fill_hides(ev->masked + i * patches, y, x, paint->size, paint->patch);
    composite[v] = hidden ? full[v] : pixel_unit(original[v]);
  }
}

/* A variant's pictures to the device and here. Those that the protocol measures are its own: of the
 * model, clamped and with the statistics it was trained for; of a fill, which lies in [0,1], as it
 * fills. */
static void paint_variant(Canvas *canvas, Evaluator *ev, const Scorer *scorer, int variant,
                          int count) {
  const Kernels *k = ev->device->kernels;
  const Config *config = ev->config;
  size_t bytes = (size_t)count * picture_values(config) * sizeof(float);
  bool leaky = variant & LEAKY, unclamped = variant & UNCLAMPED;
  bool norm_pix = config->train.norm_pix && !scorer->fill;
  if (scorer->fill ? !leaky : !unclamped && leaky == norm_pix) {
    memcpy(canvas->composite, canvas->plain_composite, bytes);
    if (!scorer->fill) memcpy(canvas->full, canvas->plain_full, bytes);
  } else {
    PatchPaint paint = {config->model.image_size, config->model.patch_size, norm_pix, leaky,
                        unclamped};
#pragma omp parallel for schedule(static) num_threads(device_threads(config, 1))
    for (int i = 0; i < count; i++) paint_picture(canvas, ev, &paint, i);
  }
  k->upload(ev->device, ev->composite, canvas->composite, bytes);
  if (!scorer->fill) k->upload(ev->device, ev->full, canvas->full, bytes);
}

/* Adds the measures with a window of their own, in image order. */
static void add_windows(Sums *sums, Canvas *canvas, const Evaluator *ev, const Scorer *scorer,
                        int count) {
  const Config *config = ev->config;
  size_t values = picture_values(config);
#pragma omp parallel for schedule(static) num_threads(device_threads(config, 1))
  for (int i = 0; i < count; i++)
    for (int m = 0; m < CONVENTION_MEASURES; m++) {
      const struct Measure *measure = &measures[m];
      if (!measure->window || (measure->full && scorer->fill)) continue;
      const float *pictures = measure->full ? canvas->full : canvas->composite;
      canvas->windows[i * CONVENTION_MEASURES + m] =
          measure->window(pictures + (size_t)i * values, canvas->images + (size_t)i * values,
                          config->model.image_size);
    }
  for (int i = 0; i < count; i++)
    for (int m = 0; m < CONVENTION_MEASURES; m++)
      if (measures[m].window && !(measures[m].full && scorer->fill))
        sums->windows[m] += canvas->windows[i * CONVENTION_MEASURES + m];
}

static unsigned offers_of(const Scorer *scorer) {
  return scorer->fill ? OFFERS_HIDDEN : OFFERS_HIDDEN | OFFERS_FULL;
}

/* The loaded images, by every scorer and in every variant. */
static bool score_batch(Canvas *canvas, Evaluator *ev, int count, Error *e) {
  ev->device->kernels->download(ev->device, canvas->images, ev->input.images,
                                (size_t)count * picture_values(ev->config));
  if (!device_synchronize(ev->device, e)) return false;
  for (int s = 0; s < scorer_count; s++) {
    const Scorer *scorer = scorer_list[s];
    if (!scorer->fill && scorer != &scorer_model) continue;
    if (!(scorer->fill ? fill_as_prediction(canvas, ev, scorer->fill, count, e)
                       : predict(canvas, ev, count, e)))
      return false;
    for (int variant = 0; variant < VARIANTS; variant++) {
      Sums *sums = &canvas->sums[s][variant];
      paint_variant(canvas, ev, scorer, variant, count);
      if (!evaluator_measure(&sums->metrics, ev, offers_of(scorer), count, e)) return false;
      add_windows(sums, canvas, ev, scorer, count);
    }
  }
  return true;
}

static void finish(ConventionScores *scores, const Canvas *canvas, bool training) {
  for (int s = 0; s < scorer_count; s++)
    for (int variant = 0; variant < VARIANTS; variant++) {
      const Sums *sums = &canvas->sums[s][variant];
      Metrics metrics = metrics_finish(&sums->metrics, offers_of(scorer_list[s]));
      for (int m = 0; m < CONVENTION_MEASURES; m++) {
        int index = index_of(training, variant, m);
        Convention convention = convention_at(index);
        double value = measures[m].window ? sums->windows[m] / metrics.images
                                          : metrics_get(&metrics, measures[m].name);
        scores->values[index][s] = convention_has(&convention, scorer_list[s]) ? value : NAN;
      }
    }
}

/* The evaluator's data set is the one whose held-out images are scored. */
static bool score_split(ConventionScores *scores, Evaluator *ev, bool training, Error *e) {
  int total = evaluate_count(ev->config, ev->dataset);
  Canvas *canvas = canvas_create(ev, e);
  bool ok = canvas;
  for (int first = 0; ok && first < total; first += ev->capacity) {
    int count = total - first < ev->capacity ? total - first : ev->capacity;
    for (int i = 0; i < count; i++) data_eval_crop(&ev->crops[i], ev->dataset, first + i);
    ok = evaluator_load(ev, first, count, e) && score_batch(canvas, ev, count, e);
    progress_tell(ev->progress, training ? "training images" : "held-out images",
                  (size_t)first + (size_t)count, (size_t)total);
  }
  if (ok) finish(scores, canvas, training);
  scores->images[training] = total;
  canvas_destroy(canvas);
  return ok;
}

bool conventions_score(ConventionScores *scores, Evaluator *ev, Error *e) {
  const Dataset *dataset = ev->dataset;
  if (!score_split(scores, ev, false, e)) return false;
  /* As many of the training images, as if they were held out. A split is often in the order of its
   * classes, so they are taken from all of it. */
  int count = scores->images[0] < dataset->train_count ? scores->images[0] : dataset->train_count;
  PackImage *chosen = malloc((size_t)count * sizeof *chosen);
  if (!chosen) return error_set(e, EXIT_DEVICE, "out of memory for %d training images", count);
  for (int i = 0; i < count; i++)
    chosen[i] = dataset->train[(int64_t)i * dataset->train_count / count];
  Dataset training = *dataset;
  training.eval = chosen;
  training.eval_count = count;
  ev->dataset = &training;
  bool ok = score_split(scores, ev, true, e);
  ev->dataset = dataset;
  free(chosen);
  return ok;
}
