#include "mae/bench.h"

#include <stdlib.h>
#include <time.h>

#include "kernels/scalar.h"
#include "mae/carve.h"
#include "mae/mask.h"
#include "mae/step.h"

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int compare_doubles(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

/* Quantile of sorted values, between neighbours in proportion. */
static double quantile(const double *sorted, int count, double q) {
  double at = q * (count - 1);
  int below = (int)at;
  if (below + 1 >= count) return sorted[count - 1];
  return sorted[below] + (at - below) * (sorted[below + 1] - sorted[below]);
}

/* Everything a benchmark holds on the host. */
typedef struct Host {
  uint8_t *images, *masked;
  int32_t *visible;
  float *rates;
  double *seconds;
} Host;

static bool host_alloc(Host *h, const Config *c, int steps, int warmup, Error *e) {
  size_t n = (size_t)c->train.batch, size = (size_t)c->model.image_size;
  size_t total = (size_t)(steps + warmup);
  h->images = malloc(n * size * size * 3);
  h->masked = malloc(n * (size_t)config_patches(c));
  h->visible = malloc(n * (size_t)config_kept(c) * sizeof *h->visible);
  h->rates = malloc(total * sizeof *h->rates);
  h->seconds = malloc(total * sizeof *h->seconds);
  if (!h->images || !h->masked || !h->visible || !h->rates || !h->seconds)
    return error_set(e, EXIT_DEVICE, "out of memory for %d images", c->train.batch);
  for (size_t i = 0; i < n; i++)
    for (size_t k = 0; k < size * size * 3; k++)
      h->images[i * size * size * 3 + k] = (uint8_t)(k * 31 + i * 101 + (k * k >> 7));
  for (size_t i = 0; i < total; i++) h->rates[i] = 1e-4f;
  return true;
}

static void host_free(Host *h) {
  free(h->images);
  free(h->masked);
  free(h->visible);
  free(h->rates);
  free(h->seconds);
}

static void queue_step(TrainStep *s, Host *h, int index) {
  const Config *c = s->config;
  int side = c->model.image_size / c->model.patch_size, kept = config_kept(c);
  for (int i = 0; i < s->images; i++)
    mask_draw(h->visible + (size_t)i * (size_t)kept, h->masked + (size_t)i * (size_t)(side * side),
              side, kept, c->train.mask, c->run.seed, STREAM_MASK, (uint32_t)index, (uint64_t)i);
  BatchBuffers *input = step_input(s);
  batch_set_images(input, h->images, s->images);
  batch_set_masks(input, h->visible, h->masked, s->images);
  step_run(s);
}

/* As a training run goes: a GPU has the next step queued before the result of one is waited for. A
 * step's time is that from the end of the one before it to its own. */
static bool time_steps(TrainStep *s, Host *h, int steps, int warmup, double *loss, Error *e) {
  int ahead = s->device->kernels->host_memory ? 0 : 1, total = steps + warmup;
  double ended = now();
  for (int i = 0; i < total + ahead; i++) {
    int done = i - ahead;
    StepState state;
    if (i < total) queue_step(s, h, i);
    if (done < 0) continue;
    if (!step_result(s, i < total ? ahead : 0, &state, loss, e)) return false;
    double before = ended;
    ended = now();
    if (done >= warmup) h->seconds[done - warmup] = ended - before;
  }
  return true;
}

bool bench_steps(BenchResult *r, const Config *config, Device *device, int steps, int warmup,
                 Error *e) {
  Config alone = *config, *c = &alone;
  alone.train.ranks = 1; /* this process takes the whole batch */
  Model model = {0};
  TrainStep step = {0};
  Host host = {0};
  DeviceInfo info;
  *r = (BenchResult){.steps = steps, .warmup = warmup};
  bool ok = model_create(&model, c, device, true, e) && model_init_weights(&model, e) &&
            host_alloc(&host, c, steps, warmup, e) &&
            step_create(&step, &model, 0, c->train.shards, host.rates, (size_t)(steps + warmup), e);
  if (ok) ok = time_steps(&step, &host, steps, warmup, &r->loss, e);
  if (ok) {
    qsort(host.seconds, (size_t)steps, sizeof *host.seconds, compare_doubles);
    r->step_seconds_median = quantile(host.seconds, steps, 0.5);
    r->step_seconds_p10 = quantile(host.seconds, steps, 0.1);
    r->step_seconds_p90 = quantile(host.seconds, steps, 0.9);
    r->images_per_second = c->train.batch / r->step_seconds_median;
    r->gflops_per_image = model_gflops_per_image(c, true);
    r->gflops_per_second = r->images_per_second * r->gflops_per_image;
    r->memory_planned = model_memory(c, true).total;
    device->kernels->info(device, &info);
    r->memory_peak = info.memory_peak;
  }
  step_destroy(&step);
  model_destroy(&model);
  host_free(&host);
  return ok;
}

/* Median seconds of one product of the [n,n] matrices x and w into y. */
static bool time_product(double *seconds, Device *device, Dtype type, int n, void *y, const void *x,
                         const void *w, Error *e) {
  enum { REPEATS_MAX = 200 };
  double samples[REPEATS_MAX], spent = 0;
  char message[512];
  int count = 0;
  const Kernels *k = device->kernels;
  for (int i = 0; i < REPEATS_MAX && (i < 4 || spent < 1); i++) {
    double started = now();
    k->linear_forward(device, y, type, x, w, NULL, type, (size_t)n, n, n);
    if (!k->synchronize(device, message, sizeof message))
      return error_set(e, EXIT_DEVICE, "%s", message);
    if (i == 0) continue; /* libraries prepare themselves in the first call */
    samples[count] = now() - started;
    spent += samples[count++];
  }
  qsort(samples, (size_t)count, sizeof *samples, compare_doubles);
  *seconds = quantile(samples, count, 0.5);
  return true;
}

/* The same with matrices made for it. */
static bool time_size(double *seconds, Device *device, Dtype type, int n, Error *e) {
  const Kernels *k = device->kernels;
  size_t count = (size_t)n * (size_t)n, matrix = count * dtype_size(type);
  float *host = malloc(count * sizeof *host);
  /* y, x, w, and room for the fp32 values that x and w are converted from. */
  char *memory = carve_alloc(device, 3 * matrix + count * sizeof *host, "matrices", e);
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
