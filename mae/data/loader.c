/* The order in which training images are taken: epoch after epoch, each shuffled by itself. */
#include "mae/data/loader.h"

#include <stdlib.h>

#include "kernels/scalar.h"
#include "mae/model/mask.h"

bool loader_create(Loader *loader, const Config *config, const Dataset *dataset, int first_image,
                   int images, Error *e) {
  size_t n = (size_t)images;
  *loader = (Loader){.config = config,
                     .dataset = dataset,
                     .first_image = first_image,
                     .images = images,
                     .steps_per_epoch = dataset->train_count / config->train.batch,
                     .epoch = -1};
  loader->order = malloc((size_t)dataset->train_count * sizeof *loader->order);
  loader->crops = malloc(n * sizeof *loader->crops);
  if (config_jitters(config)) loader->jitters = malloc(n * sizeof *loader->jitters);
  loader->visible = malloc(n * (size_t)config_kept(config) * sizeof *loader->visible);
  loader->masked = malloc(n * (size_t)config_patches(config));
  if (loader->order && loader->crops && (loader->jitters || !config_jitters(config)) &&
      loader->visible && loader->masked)
    return true;
  loader_destroy(loader);
  return error_set(e, EXIT_DEVICE, "out of memory for the order of %d training images",
                   dataset->train_count);
}

void loader_destroy(Loader *loader) {
  free(loader->order);
  free(loader->crops);
  free(loader->jitters);
  free(loader->visible);
  free(loader->masked);
  *loader = (Loader){0};
}

void loader_load(Loader *loader, int64_t step) {
  const Config *config = loader->config;
  int64_t epoch = step / loader->steps_per_epoch;
  if (epoch != loader->epoch) {
    data_shuffle(loader->order, loader->dataset->train_count, config->run.seed, (uint32_t)epoch);
    loader->epoch = epoch;
  }
  const int32_t *samples =
      loader->order + step % loader->steps_per_epoch * config->train.batch + loader->first_image;
  int side = config->model.image_size / config->model.patch_size;
  size_t keep = (size_t)config_kept(config), patches = (size_t)config_patches(config);
  for (size_t i = 0; i < (size_t)loader->images; i++) {
    data_train_crop(&loader->crops[i], loader->dataset, config, (uint32_t)epoch, samples[i]);
    if (loader->jitters)
      data_train_jitter(&loader->jitters[i], config, (uint32_t)epoch, samples[i]);
    mask_draw(loader->visible + i * keep, loader->masked + i * patches, side, (int)keep,
              config->train.mask, config->run.seed, STREAM_MASK, (uint32_t)epoch,
              (uint64_t)samples[i]);
  }
}
