/* data_speed.c - the loader and the pool, timed without a model. */
#include "mae/cmd/data_speed.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "mae/base/clock.h"
#include "mae/data/loader.h"
#include "mae/data/pool.h"
#include "mae/model/device.h"

static double cpu_seconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static bool make_crops(DataSpeed *speed, Loader *loader, const ImagePool *pool, BatchBuffers *batch,
                       int64_t crops, Error *e) {
  double wall = clock_seconds(), cpu = cpu_seconds();
  speed->crops = 0;
  int64_t step = 0;
  do {
    loader_load(loader, step++);
    if (!pool_fill_batch(pool, batch, loader->crops, loader->jitters, loader->images, e))
      return false;
    speed->crops += loader->images;
  } while (speed->crops < crops);
  speed->wall_seconds = clock_seconds() - wall;
  speed->cpu_seconds = cpu_seconds() - cpu;
  return true;
}

static bool measure(DataSpeed *speed, const Config *config, Device *device, const Dataset *data,
                    int64_t crops, Error *e) {
  Loader loader = {0};
  ImagePool pool = {0};
  BatchBuffers batch = {0};
  int images = config->train.batch;
  bool ok = loader_create(&loader, config, data, 0, images, e);
  if (ok && batch_create(&batch, config, device, images, config_kept(config), e)) {
    ok = pool_open(&pool, device, data, config, 1, e) &&
         make_crops(speed, &loader, &pool, &batch, crops, e) &&
         make_crops(speed, &loader, &pool, &batch, crops, e);
    pool_destroy(&pool);
    batch_destroy(&batch);
  } else {
    ok = false;
  }
  loader_destroy(&loader);
  return ok;
}

bool data_speed(DataSpeed *speed, const Config *config, const Dataset *data, int64_t crops,
                Error *e) {
  Config here = *config;
  snprintf(here.run.device, sizeof here.run.device, "cpu"); /* a GPU's host decodes, too */
  here.train.precision = PRECISION_FP32;                    /* nothing is computed in it */
  if (data->train_count < config->train.batch)
    return error_set(e, EXIT_CONFIG, "train.batch = %d: there are %d training images",
                     config->train.batch, data->train_count);
  Device *device = device_open(&here, 0, 1, e);
  if (!device) return false;
  *speed = (DataSpeed){.threads = device_threads(&here, 1),
                       .bytes_per_image =
                           (double)data->map_size / (data->train_count + data->eval_count)};
  bool ok = measure(speed, &here, device, data, crops, e);
  device->kernels->close(device);
  return ok;
}

void data_speed_print(const DataSpeed *s, const Config *config) {
  double crops = (double)s->crops, each = s->cpu_seconds / crops;
  printf("crops         %" PRId64 " of %d px, %d thread%s\n", s->crops, config->model.image_size,
         s->threads, s->threads > 1 ? "s" : "");
  printf("speed         %.0f crops/s in %.2f s\n", crops / s->wall_seconds, s->wall_seconds);
  printf("CPU time      %.2f ms a crop: %.0f crops/s a core\n", 1e3 * each, 1 / each);
  printf("pack          %.1f GB per million images\n", s->bytes_per_image * 1e6 / 1e9);
}
