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

/* Brings the loaded images here, fills their hidden patches, and sends the pictures back. */
static bool fill_batch(Evaluator *ev, int count, void *user, Error *e) {
  const FillBuffers *buffers = user;
  const Kernels *k = ev->device->kernels;
  const Config *config = ev->config;
  int size = config->model.image_size, patch = config->model.patch_size, failures = 0;
  size_t values = (size_t)size * (size_t)size * 3, patches = (size_t)config_patches(config);
  int threads = device_threads(config, 1);
  k->download(ev->device, buffers->images, ev->input.images, (size_t)count * values);
  if (!device_synchronize(ev->device, e)) return false;
#pragma omp parallel for schedule(dynamic) reduction(+ : failures) num_threads(threads)
  for (int i = 0; i < count; i++)
    failures +=
        !buffers->fill(buffers->pictures + (size_t)i * values, buffers->images + (size_t)i * values,
                       ev->masked + (size_t)i * patches, size, patch);
  if (failures) return error_set(e, EXIT_DEVICE, "out of memory for filling hidden patches");
  k->upload(ev->device, ev->composite, buffers->pictures,
            (size_t)count * values * sizeof *buffers->pictures);
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
