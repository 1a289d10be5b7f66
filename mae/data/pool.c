/* The pixels that a device cuts its images from: all of them when they fit there, else those of a
 * batch at a time, decoded first when the images are encoded. */
#include "mae/data/pool.h"

#include <stdlib.h>

#include "mae/base/io.h"
#include "mae/data/regions.h"
#include "mae/model/device.h"

/* Device memory left alone when images are made resident: for the driver and for what is allocated
 * after training, such as a contact sheet. */
static const size_t reserve = (size_t)512 << 20;

static size_t image_bytes(const Crop *crop) {
  return (size_t)crop->src_width * (size_t)crop->src_height * 3;
}

bool pool_create(ImagePool *pool, Device *device, const uint8_t *host, size_t bytes, size_t largest,
                 Error *e) {
  const Kernels *k = device->kernels;
  DeviceInfo info;
  *pool = (ImagePool){.device = device, .host = host};
  if (k->host_memory) return true;
  k->info(device, &info);
  if (info.memory_free > reserve && bytes <= info.memory_free - reserve)
    pool->resident = k->alloc(device, bytes);
  if (pool->resident) {
    k->upload(device, pool->resident, host, bytes);
  } else {
    pool->stage_bytes = largest > POOL_STAGE_BYTES ? largest : POOL_STAGE_BYTES;
    if (pool->stage_bytes > bytes) pool->stage_bytes = bytes;
    pool->stage = device_alloc(device, pool->stage_bytes, "source images", e);
    if (!pool->stage) return false;
  }
  /* Batches are cut on another queue (a CUDA stream), which does not wait for this upload. */
  if (device_synchronize(device, e)) return true;
  pool_destroy(pool);
  return false;
}

static bool open_encoded(ImagePool *pool, Device *device, const Dataset *dataset,
                         const Config *config, int sharers, Error *e) {
  size_t largest = regions_largest(dataset, config->model.image_size);
  *pool = (ImagePool){.device = device,
                      .encoded = dataset,
                      .threads = device_threads(config, sharers),
                      .stage_bytes = largest > POOL_STAGE_BYTES ? largest : POOL_STAGE_BYTES};
  pool->decoded = io_buffer(pool->stage_bytes, "decoded images", e);
  if (!pool->decoded) return false;
  if (device->kernels->host_memory) return true;
  pool->stage = device_alloc(device, pool->stage_bytes, "source images", e);
  if (!pool->stage) pool_destroy(pool);
  return pool->stage != NULL;
}

bool pool_open(ImagePool *pool, Device *device, const Dataset *dataset, const Config *config,
               int sharers, Error *e) {
  if (dataset->encoded) return open_encoded(pool, device, dataset, config, sharers, e);
  size_t largest = 0;
  for (int i = 0; i < dataset->train_count + dataset->eval_count; i++) {
    const PackImage *image =
        i < dataset->train_count ? &dataset->train[i] : &dataset->eval[i - dataset->train_count];
    size_t bytes = (size_t)image->width * (size_t)image->height * 3;
    if (bytes > largest) largest = bytes;
  }
  return pool_create(pool, device, dataset->pixels, dataset->pixel_bytes, largest, e);
}

void pool_destroy(ImagePool *pool) {
  if (pool->resident) pool->device->kernels->free(pool->device, pool->resident);
  if (pool->stage) pool->device->kernels->free(pool->device, pool->stage);
  free(pool->decoded);
  *pool = (ImagePool){0};
}

/* Uploads as many of the images as the stage holds, the first at least, and lets their crops point
 * into the stage. Returns how many. The next group may overwrite the stage at once: the queue runs
 * its uploads after this group's crops. */
static int stage_group(const ImagePool *pool, Crop *staged, const Crop *crops, int count) {
  size_t used = 0;
  int n = 0;
  for (; n < count && used + image_bytes(&crops[n]) <= pool->stage_bytes; n++) {
    staged[n] = crops[n];
    staged[n].offset = used;
    pool->device->kernels->upload(pool->device, pool->stage + used, pool->host + crops[n].offset,
                                  image_bytes(&crops[n]));
    used += image_bytes(&crops[n]);
  }
  return n;
}

/* The same of encoded images, which are decoded; 0 when that fails. */
static int decode_group(const ImagePool *pool, Crop *staged, const Crop *crops, int count, int size,
                        Error *e) {
  int n = regions_fit(crops, count, size, pool->stage_bytes);
  if (!n) {
    error_set(e, EXIT_DATA, "%s: a crop of %dx%d pixels is too large to be decoded",
              pool->encoded->pack_path, crops->width, crops->height);
    return 0;
  }
  size_t used =
      regions_decode(pool->decoded, staged, pool->encoded, crops, n, size, pool->threads, e);
  if (!used) return 0;
  if (pool->stage) pool->device->kernels->upload(pool->device, pool->stage, pool->decoded, used);
  return n;
}

static bool cut_images(const ImagePool *pool, BatchBuffers *batch, const Crop *crops, int count,
                       Error *e) {
  const Kernels *k = pool->device->kernels;
  int size = batch->config->model.image_size;
  size_t pixels = (size_t)size * (size_t)size * 3;
  const uint8_t *all = k->host_memory ? pool->host : pool->resident;
  if (all) {
    k->upload(pool->device, batch->crops, crops, (size_t)count * sizeof *crops);
    k->crop_resize(pool->device, batch->images, all, batch->crops, count, size);
    return true;
  }
  for (int first = 0, n; first < count; first += n) {
    Crop *device_crops = batch->crops + first, *staged = batch->staged_crops + first;
    n = pool->encoded ? decode_group(pool, staged, crops + first, count - first, size, e)
                      : stage_group(pool, staged, crops + first, count - first);
    if (!n) return false;
    k->upload(pool->device, device_crops, staged, (size_t)n * sizeof *crops);
    k->crop_resize(pool->device, batch->images + (size_t)first * pixels,
                   pool->stage ? pool->stage : pool->decoded, device_crops, n, size);
  }
  return true;
}

bool pool_fill_batch(const ImagePool *pool, BatchBuffers *batch, const Crop *crops,
                     const Jitter *jitters, int count, Error *e) {
  const Kernels *k = pool->device->kernels;
  if (!cut_images(pool, batch, crops, count, e)) return false;
  if (!jitters) return true;
  k->upload(pool->device, batch->jitters, jitters, (size_t)count * sizeof *jitters);
  k->color_jitter(pool->device, batch->images, batch->jitters, count,
                  batch->config->model.image_size);
  return true;
}
