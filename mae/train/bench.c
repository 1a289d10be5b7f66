/* bench.c - whole training steps on made-up images, timed as a run goes; and large products and
 * copies, for what the machine reaches at its best. */
#include "mae/train/bench.h"

#include <stdlib.h>

#include "kernels/scalar.h"
#include "mae/base/clock.h"
#include "mae/base/quantile.h"
#include "mae/data/loader.h"
#include "mae/data/pool.h"
#include "mae/model/device.h"
#include "mae/train/profile.h"
#include "mae/train/step.h"

/* Everything a benchmark holds beside the model. */
typedef struct Inputs {
  Dataset data; /* of noise: the sources that --pipeline cuts crops from */
  PackImage *list;
  uint8_t *pixels; /* [SOURCES_MIN or more, SOURCE_SIZE, SOURCE_SIZE, 3], NULL without a pipeline */
  ImagePool pool;  /* pixels where the device can read them */
  uint8_t *images; /* [batch, size, size, 3], NULL with a pipeline */
  Loader loader;   /* draws masks and crops as training does */
  double *seconds;
} Inputs;

enum { SOURCES_MIN = 8192, SOURCE_SIZE = 64 };
enum { SOURCE_BYTES = SOURCE_SIZE * SOURCE_SIZE * 3 };

static uint8_t *noise(size_t bytes) {
  uint8_t *pixels = malloc(bytes);
  for (size_t i = 0; pixels && i < bytes; i++) pixels[i] = (uint8_t)(i * 31 + (i * i >> 7));
  return pixels;
}

static bool make_sources(Inputs *in, const Config *config) {
  int count = config->train.batch > SOURCES_MIN ? config->train.batch : SOURCES_MIN;
  size_t bytes = (size_t)count * SOURCE_BYTES;
  in->list = malloc((size_t)count * sizeof *in->list);
  in->pixels = noise(bytes);
  if (!in->list || !in->pixels) return false;
  for (int i = 0; i < count; i++)
    in->list[i] = (PackImage){
        .offset = (uint64_t)i * SOURCE_BYTES, .width = SOURCE_SIZE, .height = SOURCE_SIZE};
  in->data.train_count = count;
  in->data.train = in->list;
  in->data.pixels = in->pixels;
  in->data.pixel_bytes = bytes;
  return true;
}

static bool open_inputs(Inputs *in, const Config *config, Device *device, bool pipeline, int total,
                        Error *e) {
  size_t size = (size_t)config->model.image_size;
  in->seconds = malloc((size_t)total * sizeof *in->seconds);
  bool ok = in->seconds && make_sources(in, config);
  if (ok && !pipeline)
    ok = (in->images = noise((size_t)config->train.batch * size * size * 3)) != NULL;
  if (!ok) return error_set(e, EXIT_DEVICE, "out of memory for %d images", config->train.batch);
  return loader_create(&in->loader, config, &in->data, 0, config->train.batch, e) &&
         (!pipeline ||
          pool_create(&in->pool, device, in->pixels, in->data.pixel_bytes, SOURCE_BYTES, e));
}

static void close_inputs(Inputs *in) {
  pool_destroy(&in->pool);
  loader_destroy(&in->loader);
  free(in->list);
  free(in->pixels);
  free(in->images);
  free(in->seconds);
}

static bool queue_step(TrainStep *s, Inputs *in, int index, Error *e) {
  loader_load(&in->loader, index);
  BatchBuffers *input = step_input(s);
  if (!in->images &&
      !pool_fill_batch(&in->pool, input, in->loader.crops, in->loader.jitters, s->images, e))
    return false;
  if (in->images && index < s->slots) /* into each of the buffers that steps take in turn */
    batch_set_images(input, in->images, s->images);
  batch_set_masks(input, in->loader.visible, in->loader.masked, s->images);
  step_run(s);
  return true;
}

/* As a training run goes: a GPU has the next step queued before the result of one is waited for. A
 * step's time is that from the end of the one before it to its own. */
static bool time_steps(TrainStep *s, Inputs *in, int steps, int warmup, double *loss, Error *e) {
  int ahead = s->device->kernels->host_memory ? 0 : 1, total = steps + warmup;
  double ended = clock_seconds();
  for (int i = 0; i < total + ahead; i++) {
    int done = i - ahead;
    StepState state;
    if (i == warmup) profile_reset();
    if (i < total && !queue_step(s, in, i, e)) return false;
    if (done < 0) continue;
    if (!step_result(s, i < total ? ahead : 0, &state, loss, e)) return false;
    double before = ended;
    ended = clock_seconds();
    if (done >= warmup) in->seconds[done - warmup] = ended - before;
  }
  return true;
}

bool bench_steps(BenchResult *r, const Config *wanted, Device *device, bool pipeline, int steps,
                 int warmup, Error *e) {
  Config alone = *wanted, *config = &alone;
  alone.train.ranks = 1; /* this process takes the whole batch */
  Model model = {0};
  TrainStep step = {0};
  Inputs in = {.list = NULL};
  DeviceInfo info;
  int total = steps + warmup;
  float *rates = malloc((size_t)total * sizeof *rates);
  *r = (BenchResult){.steps = steps, .warmup = warmup};
  for (int i = 0; rates && i < total; i++) rates[i] = 1e-4f;
  bool ok = rates || error_set(e, EXIT_DEVICE, "out of memory for %d learning rates", total);
  ok = ok && model_create(&model, config, device, true, e) && model_init_weights(&model, e) &&
       step_create(&step, &model, 0, config->train.shards, rates, (size_t)total, e) &&
       open_inputs(&in, config, device, pipeline, total, e);
  if (ok) ok = time_steps(&step, &in, steps, warmup, &r->loss, e);
  if (ok) {
    quantile_sort(in.seconds, steps);
    r->step_seconds_median = quantile(in.seconds, steps, 0.5);
    r->step_seconds_p10 = quantile(in.seconds, steps, 0.1);
    r->step_seconds_p90 = quantile(in.seconds, steps, 0.9);
    r->images_per_second = config->train.batch / r->step_seconds_median;
    r->gflops_per_image = model_gflops_per_image(config, true);
    r->gflops_per_second = r->images_per_second * r->gflops_per_image;
    r->memory_planned = model_memory(config, true).total;
    device->kernels->info(device, &info);
    r->memory_peak = info.memory_peak;
  }
  step_destroy(&step);
  model_destroy(&model);
  close_inputs(&in);
  free(rates);
  return ok;
}

/* Median seconds of one product of the [n,n] matrices x and w into y. */
static bool time_product(double *seconds, Device *device, Dtype type, int n, void *y, const void *x,
                         const void *w, Error *e) {
  enum { REPEATS_MAX = 200 };
  double samples[REPEATS_MAX], spent = 0;
  int count = 0;
  const Kernels *k = device->kernels;
  for (int i = 0; i < REPEATS_MAX && (i < 4 || spent < 1); i++) {
    double started = clock_seconds();
    k->linear_forward(device, y, type, x, w, NULL, type, (size_t)n, n, n);
    if (!device_synchronize(device, e)) return false;
    if (i == 0) continue; /* libraries prepare themselves in the first call */
    samples[count] = clock_seconds() - started;
    spent += samples[count++];
  }
  quantile_sort(samples, count);
  *seconds = quantile(samples, count, 0.5);
  return true;
}

/* The same with matrices made for it. */
static bool time_size(double *seconds, Device *device, Dtype type, int n, Error *e) {
  const Kernels *k = device->kernels;
  size_t count = (size_t)n * (size_t)n, matrix = count * dtype_size(type);
  float *host = malloc(count * sizeof *host);
  /* y, x, w, and room for the fp32 values that x and w are converted from. */
  char *memory = device_alloc(device, 3 * matrix + count * sizeof *host, "matrices", e);
  bool ok = memory != NULL;
  if (!host) ok = error_set(e, EXIT_DEVICE, "out of memory for a matrix of %d x %d", n, n);
  if (ok) {
    char *x = memory + matrix, *w = x + matrix;
    float *values = (float *)(void *)(w + matrix);
    for (size_t i = 0; i < count; i++)
      host[i] = random_uniform(1, STREAM_INIT, 0, (uint64_t)n, (uint32_t)i) - 0.5f;
    k->upload(device, values, host, count * sizeof *host);
    k->convert(device, x, type, values, count);
    k->convert(device, w, type, values, count);
    ok = time_product(seconds, device, type, n, memory, x, w, e);
  }
  if (memory) k->free(device, memory);
  free(host);
  return ok;
}

bool bench_peak(double *gflops_per_second, Device *device, Dtype type, Error *e) {
  enum { SMALLEST = 1024, LARGEST = 8192 };
  *gflops_per_second = 0;
  /* Larger sizes until one takes so long that nothing but the product itself matters. */
  for (int n = SMALLEST; n <= LARGEST; n *= 2) {
    double seconds;
    if (!time_size(&seconds, device, type, n, e)) return false;
    double rate = 2e-9 * (double)n * n * n / seconds;
    if (rate > *gflops_per_second) *gflops_per_second = rate;
    if (seconds > 0.05) break;
  }
  return true;
}

/* Median seconds of converting `count` numbers: 4 bytes of each are read and 2 written. */
static double time_conversion(Device *device, void *to, const float *from, size_t count) {
  enum { REPEATS = 10 };
  double samples[REPEATS];
  const Kernels *k = device->kernels;
  for (int i = 0; i <= REPEATS; i++) {
    k->stamp(device, 0);
    k->convert(device, to, DTYPE_F16, from, count);
    k->stamp(device, 1);
    if (i > 0) samples[i - 1] = k->stamp_seconds(device, 0, 1); /* the first finds the pages */
  }
  quantile_sort(samples, REPEATS);
  return quantile(samples, REPEATS, 0.5);
}

bool bench_memory(double *gigabytes_per_second, Device *device, Error *e) {
  /* More than any cache holds. */
  size_t count = (size_t)64 << 20;
  float *from = device_alloc(device, count * (sizeof *from + 2), "a large array", e);
  if (!from) return false;
  double seconds = time_conversion(device, from + count, from, count);
  device->kernels->free(device, from);
  if (!device_synchronize(device, e)) return false;
  *gigabytes_per_second = 6e-9 * (double)count / seconds;
  return true;
}
