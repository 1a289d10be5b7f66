/* fills.c - a batch of held-out images to the host, through a fill, and back to be scored. */
#include "mae/evaluate/fills.h"

#include <stdlib.h>

#include "mae/model/device.h"

/* What filling a batch takes on the host. */
typedef struct FillBuffers {
  Fill fill;
  float *pictures; /* [capacity, size, size, 3] */
  uint8_t *images; /* as pictures */
} FillBuffers;

bool fill_pictures(float *pictures, const Evaluator *ev, Fill fill, const uint8_t *images,
                   int count, Error *e) {
  const Config *config = ev->config;
  int size = config->model.image_size, patch = config->model.patch_size, failures = 0;
  size_t values = (size_t)size * (size_t)size * 3, patches = (size_t)config_patches(config);
  int threads = device_threads(config, 1);
#pragma omp parallel for schedule(dynamic) reduction(+ : failures) num_threads(threads)
  for (int i = 0; i < count; i++)
    failures += !fill(pictures + (size_t)i * values, images + (size_t)i * values,
                      ev->masked + (size_t)i * patches, size, patch);
  return !failures || error_set(e, EXIT_DEVICE, "out of memory for filling hidden patches");
}

/* Brings the loaded images here, fills their hidden patches, and sends the pictures back. */
static bool fill_batch(Evaluator *ev, int count, void *user, Error *e) {
  const FillBuffers *buffers = user;
  const Kernels *k = ev->device->kernels;
  size_t size = (size_t)ev->config->model.image_size, values = (size_t)count * size * size * 3;
  k->download(ev->device, buffers->images, ev->input.images, values);
  if (!device_synchronize(ev->device, e)) return false;
  if (!fill_pictures(buffers->pictures, ev, buffers->fill, buffers->images, count, e)) return false;
  k->upload(ev->device, ev->composite, buffers->pictures, values * sizeof *buffers->pictures);
  return true;
}

bool fill_score(Metrics *metrics, Evaluator *ev, Fill fill, Error *e) {
  size_t size = (size_t)ev->config->model.image_size,
         values = (size_t)ev->capacity * size * size * 3;
  FillBuffers buffers = {.fill = fill,
                         .pictures = malloc(values * sizeof *buffers.pictures),
                         .images = malloc(values)};
  bool ok = buffers.pictures && buffers.images;
  if (!ok) error_set(e, EXIT_DEVICE, "out of memory for filling %d images", ev->capacity);
  ok = ok && evaluate_pictures(metrics, ev, OFFERS_HIDDEN, fill_batch, &buffers, e);
  free(buffers.pictures);
  free(buffers.images);
  return ok;
}
