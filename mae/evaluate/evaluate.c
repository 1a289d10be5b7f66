#include "mae/evaluate/evaluate.h"

#include <stdlib.h>
#include <string.h>

#include "kernels/scalar.h"
#include "mae/base/carve.h"
#include "mae/evaluate/fills.h"
#include "mae/model/device.h"
#include "mae/model/mask.h"

int evaluate_count(const Config *config, const Dataset *dataset) {
  return config->eval.images < dataset->eval_count ? config->eval.images : dataset->eval_count;
}

static size_t picture_values(const Config *config) {
  return (size_t)config->model.image_size * config->model.image_size * 3;
}

/* A number that does not depend on whether the model also trains, nor on how many images there
 * are. */
static int evaluation_batch(const Config *config) {
  int micro = model_micro_batch(config);
  int batch = config->eval.batch < micro ? config->eval.batch : micro;
  return batch < config->eval.images ? batch : config->eval.images;
}

size_t evaluator_memory(const Config *config) {
  size_t n = (size_t)evaluation_batch(config),
         pictures = n * picture_values(config) * sizeof(float);
  return batch_memory(config, (int)n) + 2 * pictures + 2 * n * sizeof(double);
}

bool evaluator_open(Evaluator *ev, Model *model, Error *e) {
  return evaluator_create(ev, model, evaluation_batch(model->config), e);
}

bool evaluator_create(Evaluator *ev, Model *model, int capacity, Error *e) {
  const Config *config = model->config;
  Device *device = model->device;
  size_t n = (size_t)capacity, pictures = n * picture_values(config) * sizeof(float);
  *ev = (Evaluator){.config = config, .device = device, .model = model, .capacity = capacity};
  bool ok = batch_create(&ev->input, config, device, capacity, e);
  if (ok) ok = (ev->full = device_alloc(device, pictures, "reconstructions", e));
  if (ok) ok = (ev->composite = device_alloc(device, pictures, "reconstructions", e));
  if (ok) ok = (ev->scores = device_alloc(device, 2 * n * sizeof *ev->scores, "scores", e));
  if (ok) {
    ev->crops = malloc(n * sizeof *ev->crops);
    ev->visible = malloc(n * (size_t)config_kept(config) * sizeof *ev->visible);
    ev->masked = malloc(n * (size_t)config_patches(config));
    ev->full_scores = malloc(2 * n * sizeof *ev->full_scores);
    ev->composite_scores = malloc(2 * n * sizeof *ev->composite_scores);
    ev->losses = malloc(n * sizeof *ev->losses);
    ok = ev->crops && ev->visible && ev->masked && ev->full_scores && ev->composite_scores &&
         ev->losses;
    if (!ok) error_set(e, EXIT_DEVICE, "out of memory for scoring %d images", capacity);
  }
  if (!ok) evaluator_destroy(ev);
  return ok;
}

void evaluator_destroy(Evaluator *ev) {
  if (!ev->device) return;
  batch_destroy(&ev->input);
  const Kernels *k = ev->device->kernels;
  if (ev->full) k->free(ev->device, ev->full);
  if (ev->composite) k->free(ev->device, ev->composite);
  if (ev->scores) k->free(ev->device, ev->scores);
  free(ev->crops);
  free(ev->visible);
  free(ev->masked);
  free(ev->full_scores);
  free(ev->composite_scores);
  free(ev->losses);
  *ev = (Evaluator){0};
}

void evaluator_load(Evaluator *ev, const ImagePool *pool, int first, int count) {
  const Config *config = ev->config;
  size_t keep = (size_t)config_kept(config), patches = (size_t)config_patches(config);
  int side = config->model.image_size / config->model.patch_size;
  for (size_t i = 0; i < (size_t)count; i++)
    mask_draw(ev->visible + i * keep, ev->masked + i * patches, side, (int)keep, config->train.mask,
              config->eval.seed, STREAM_EVAL_MASK, 0, (uint64_t)first + i);
  pool_fill_batch(pool, &ev->input, ev->crops, count);
  batch_set_masks(&ev->input, ev->visible, ev->masked, count);
}

void evaluator_reconstruct(Evaluator *ev, int count) {
  const Config *config = ev->config;
  Batch batch = batch_view(&ev->input, 0, count);
  PatchGrid grid = {count, config->model.image_size, config->model.patch_size,
                    config->train.norm_pix};
  model_forward(ev->model, &batch);
  ev->device->kernels->reconstruct(ev->device, ev->full, ev->composite, ev->model->pred,
                                   ev->model->extra, batch.images, batch.masked, &grid);
}

static void load_held_out(Evaluator *ev, const Dataset *dataset, const ImagePool *pool, int first,
                          int count) {
  for (int i = 0; i < count; i++) data_eval_crop(&ev->crops[i], dataset, first + i);
  evaluator_load(ev, pool, first, count);
}

static void score_pictures(Evaluator *ev, double *host_scores, const float *pictures, int count) {
  const Kernels *k = ev->device->kernels;
  k->image_scores(ev->device, ev->scores, pictures, ev->input.images, count,
                  ev->config->model.image_size);
  k->download(ev->device, host_scores, ev->scores, 2 * (size_t)count * sizeof *host_scores);
}

static void add_scores(MetricSums *sums, const Evaluator *ev, const double *full_scores, int count,
                       double counted) {
  const Config *config = ev->config;
  double values = (double)picture_values(config), patches = config_patches(config);
  double masked_values = values * (patches - config_kept(config)) / patches;
  for (size_t i = 0; i < (size_t)count; i++)
    metrics_add(sums, ev->losses[i] / counted, ev->composite_scores[2 * i],
                ev->composite_scores[2 * i + 1], full_scores[2 * i], full_scores[2 * i + 1],
                masked_values, values);
}

bool evaluate(Metrics *metrics, Evaluator *ev, const Dataset *dataset, const ImagePool *pool,
              Error *e) {
  Model *model = ev->model;
  const Config *config = ev->config;
  const Kernels *k = ev->device->kernels;
  int total = evaluate_count(config, dataset), patches = config_patches(config);
  int counted = config->train.loss == LOSS_ALL ? patches : patches - config_kept(config);
  MetricSums sums;
  metrics_reset(&sums);
  bool ok = true;
  for (int first = 0; ok && first < total; first += ev->capacity) {
    int count = total - first < ev->capacity ? total - first : ev->capacity;
    load_held_out(ev, dataset, pool, first, count);
    evaluator_reconstruct(ev, count);
    Batch batch = batch_view(&ev->input, 0, count);
    model_loss(model, &batch, 0, 1.0f, NULL, false);
    k->download(ev->device, ev->losses, model->image_loss, (size_t)count * sizeof *ev->losses);
    score_pictures(ev, ev->full_scores, ev->full, count);
    score_pictures(ev, ev->composite_scores, ev->composite, count);
    ok = device_synchronize(ev->device, e);
    if (ok) add_scores(&sums, ev, ev->full_scores, count, counted);
  }
  if (ok) *metrics = metrics_finish(&sums);
  return ok;
}

/* Fills the loaded images' hidden patches on the host and uploads the pictures. */
static bool fill_pictures(Evaluator *ev, bool harmonic, float *pictures, uint8_t *images, int count,
                          Error *e) {
  const Kernels *k = ev->device->kernels;
  const Config *config = ev->config;
  size_t values = picture_values(config), patches = (size_t)config_patches(config);
  int size = config->model.image_size, patch = config->model.patch_size, failures = 0;
  int threads = device_threads(config, 1);
  k->download(ev->device, images, ev->input.images, (size_t)count * values);
  if (!device_synchronize(ev->device, e)) return false;
#pragma omp parallel for schedule(dynamic) reduction(+ : failures) num_threads(threads)
  for (int i = 0; i < count; i++) {
    float *picture = pictures + (size_t)i * values;
    const uint8_t *image = images + (size_t)i * values, *masked = ev->masked + (size_t)i * patches;
    if (!harmonic)
      fill_mean(picture, image, masked, size, patch);
    else
      failures += !fill_harmonic(picture, image, masked, size, patch);
  }
  if (failures) return error_set(e, EXIT_DEVICE, "out of memory for the harmonic fill");
  k->upload(ev->device, ev->composite, pictures, (size_t)count * values * sizeof *pictures);
  return true;
}

bool evaluate_baseline(Metrics *metrics, const char *name, Evaluator *ev, const Dataset *dataset,
                       const ImagePool *pool, Error *e) {
  int total = evaluate_count(ev->config, dataset), capacity = ev->capacity;
  size_t values = (size_t)capacity * picture_values(ev->config);
  bool harmonic = !strcmp(name, "fill_harmonic");
  float *pictures = malloc(values * sizeof *pictures);
  uint8_t *images = malloc(values);
  bool ok = pictures && images;
  if (!ok) error_set(e, EXIT_DEVICE, "out of memory for filling %d images", capacity);
  MetricSums sums;
  metrics_reset(&sums);
  memset(ev->losses, 0, (size_t)capacity * sizeof *ev->losses);
  for (int first = 0; ok && first < total; first += capacity) {
    int count = total - first < capacity ? total - first : capacity;
    load_held_out(ev, dataset, pool, first, count);
    ok = fill_pictures(ev, harmonic, pictures, images, count, e);
    if (!ok) break;
    score_pictures(ev, ev->composite_scores, ev->composite, count);
    ok = device_synchronize(ev->device, e);
    if (ok) add_scores(&sums, ev, ev->composite_scores, count, 1.0);
  }
  if (ok) *metrics = metrics_finish(&sums);
  free(pictures);
  free(images);
  return ok;
}
