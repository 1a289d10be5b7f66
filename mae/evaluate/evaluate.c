/* evaluate.c - batches of held-out images through a maker of pictures, and their pictures through
 * the device's scores. */
#include "mae/evaluate/evaluate.h"

#include <stdlib.h>

#include "kernels/scalar.h"
#include "mae/base/carve.h"
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
  return batch_memory(config, (int)n, config_kept(config)) + 2 * pictures +
         PICTURE_SCORES * n * sizeof(double);
}

bool evaluator_open(Evaluator *ev, Model *model, const Dataset *dataset, const ImagePool *pool,
                    Error *e) {
  if (!evaluator_create(ev, model, pool, evaluation_batch(model->config), e)) return false;
  ev->dataset = dataset;
  return true;
}

bool evaluator_create(Evaluator *ev, Model *model, const ImagePool *pool, int capacity, Error *e) {
  const Config *config = model->config;
  Device *device = model->device;
  size_t n = (size_t)capacity, pictures = n * picture_values(config) * sizeof(float);
  *ev = (Evaluator){
      .config = config, .device = device, .model = model, .pool = pool, .capacity = capacity};
  bool ok = batch_create(&ev->input, config, device, capacity, config_kept(config), e);
  if (ok) ok = (ev->full = device_alloc(device, pictures, "reconstructions", e));
  if (ok) ok = (ev->composite = device_alloc(device, pictures, "reconstructions", e));
  if (ok)
    ok = (ev->scores = device_alloc(device, PICTURE_SCORES * n * sizeof *ev->scores, "scores", e));
  if (ok) {
    ev->crops = malloc(n * sizeof *ev->crops);
    ev->visible = malloc(n * (size_t)config_kept(config) * sizeof *ev->visible);
    ev->masked = malloc(n * (size_t)config_patches(config));
    ev->full_scores = malloc(PICTURE_SCORES * n * sizeof *ev->full_scores);
    ev->composite_scores = malloc(PICTURE_SCORES * n * sizeof *ev->composite_scores);
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

bool evaluator_load(Evaluator *ev, int first, int count, Error *e) {
  const Config *config = ev->config;
  size_t keep = (size_t)config_kept(config), patches = (size_t)config_patches(config);
  int side = config->model.image_size / config->model.patch_size;
  for (size_t i = 0; i < (size_t)count; i++)
    mask_draw(ev->visible + i * keep, ev->masked + i * patches, side, (int)keep, config->train.mask,
              config->eval.seed, STREAM_EVAL_MASK, 0, (uint64_t)first + i);
  if (!pool_fill_batch(ev->pool, &ev->input, ev->crops, NULL, count, e)) return false;
  batch_set_masks(&ev->input, ev->visible, ev->masked, count);
  return true;
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

/* scores[count, PICTURE_SCORES] of pictures[count, size, size, 3] against the loaded images. */
static void score_pictures(Evaluator *ev, double *scores, const float *pictures, int count) {
  const Kernels *k = ev->device->kernels;
  k->image_scores(ev->device, ev->scores, pictures, ev->input.images, count,
                  ev->config->model.image_size);
  k->download(ev->device, scores, ev->scores, PICTURE_SCORES * (size_t)count * sizeof *scores);
}

/* Image i of the loaded ones. A scorer without pictures of its own for visible patches is measured
 * on its composite alone. */
static ImageScore image_score(const Evaluator *ev, unsigned offers, int i) {
  const Config *config = ev->config;
  double patches = config_patches(config), hidden = patches - config_kept(config);
  ImageScore score = {.values = (double)picture_values(config)};
  score.hidden_values = score.values * hidden / patches;
  if (offers & OFFERS_LOSS) score.loss = ev->losses[i] / (double)config_counted(config);
  const double *full = offers & OFFERS_FULL ? ev->full_scores : ev->composite_scores;
  for (int k = 0; k < PICTURE_SCORES; k++) {
    score.composite[k] = ev->composite_scores[i * PICTURE_SCORES + k];
    score.full[k] = full[i * PICTURE_SCORES + k];
  }
  return score;
}

bool evaluator_measure(MetricSums *sums, Evaluator *ev, unsigned offers, int count, Error *e) {
  score_pictures(ev, ev->composite_scores, ev->composite, count);
  if (offers & OFFERS_FULL) score_pictures(ev, ev->full_scores, ev->full, count);
  if (!device_synchronize(ev->device, e)) return false;
  for (int i = 0; i < count; i++) {
    ImageScore score = image_score(ev, offers, i);
    metrics_add(sums, &score);
  }
  return true;
}

bool evaluate_pictures(Metrics *metrics, Evaluator *ev, unsigned offers, PictureMaker make,
                       void *user, Error *e) {
  int total = evaluate_count(ev->config, ev->dataset);
  MetricSums sums;
  metrics_reset(&sums);
  for (int first = 0; first < total; first += ev->capacity) {
    int count = total - first < ev->capacity ? total - first : ev->capacity;
    for (int i = 0; i < count; i++) data_eval_crop(&ev->crops[i], ev->dataset, first + i);
    if (!evaluator_load(ev, first, count, e) || !make(ev, count, user, e) ||
        !evaluator_measure(&sums, ev, offers, count, e))
      return false;
    progress_tell(ev->progress, "held-out images", (size_t)first + (size_t)count, (size_t)total);
  }
  *metrics = metrics_finish(&sums, offers);
  return true;
}
