/* features.c - batches of whole images through the encoder, and its tokens down to a row each. */
#include "mae/probe/features.h"

#include <stdlib.h>
#include <string.h>

#include "kernels/scalar.h"
#include "mae/base/io.h"
#include "mae/model/device.h"

#define READOUT_NAME(name, meaning) #name,
const char *const readout_names[READOUT_COUNT] = {READOUTS(READOUT_NAME)};

unsigned readouts_wanted(const Config *config) {
  unsigned cls = 1u << READOUT_cls | 1u << READOUT_cls_prenorm;
  unsigned mean = 1u << READOUT_mean | 1u << READOUT_mean_prenorm;
  return (config_probes_cls(config) ? cls : 0) | (config_probes_mean(config) ? mean : 0);
}

bool features_choose(Features *f, const Dataset *dataset, bool training, int wanted, int classes,
                     Error *e) {
  const PackImage *images = training ? dataset->train : dataset->eval;
  int total = training ? dataset->train_count : dataset->eval_count, eligible = 0;
  *f = (Features){.dataset = dataset, .training = training};
  size_t bytes = (size_t)(total > 0 ? total : 1) * sizeof *f->index;
  f->index = io_buffer(bytes, "a choice of images", e);
  f->labels = f->index ? io_buffer(bytes, "labels", e) : NULL;
  if (!f->labels) {
    features_free(f);
    return false;
  }
  for (int i = 0; i < total; i++)
    if (!classes || (images[i].label >= 0 && images[i].label < classes)) f->index[eligible++] = i;
  f->images = wanted > 0 && wanted < eligible ? wanted : eligible;
  /* In place: the k-th choice never lies before k. */
  for (int k = 0; k < f->images; k++) f->index[k] = f->index[(int64_t)k * eligible / f->images];
  for (int k = 0; k < f->images; k++) f->labels[k] = images[f->index[k]].label;
  return true;
}

void features_free(Features *f) {
  free(f->index);
  free(f->labels);
  for (int r = 0; r < READOUT_COUNT; r++) free(f->values[r]);
  *f = (Features){0};
}

static bool make_room(Features *f, int width, unsigned readouts, Error *e) {
  f->width = width;
  for (int r = 0; r < READOUT_COUNT; r++) {
    free(f->values[r]);
    f->values[r] = NULL;
    if (!(readouts & 1u << r)) continue;
    size_t values = (size_t)f->images * (size_t)width;
    f->values[r] = io_buffer((values ? values : 1) * sizeof(float), "features", e);
    if (!f->values[r]) return false;
  }
  return true;
}

/* Whole images at a time: as many patches as an evaluation batch has visible ones, whether or not
 * the model also trains, so that the bits do not depend on that. */
static int images_at_once(const Config *config) {
  int micro = model_micro_batch(config), patches = config_patches(config);
  int64_t masked = micro < config->eval.batch ? micro : config->eval.batch;
  int fit = (int)(masked * config_kept(config) / patches);
  return fit > 1 ? fit : 1;
}

/* Device memory of an extraction: the images, and what is read of their tokens. */
typedef struct Extraction {
  const Config *config;
  Device *device;
  const ImagePool *pool;
  int capacity;
  BatchBuffers input;
  float *rows[READOUT_COUNT]; /* device, [capacity, width] */
  Crop *crops;                /* host, [capacity] */
} Extraction;

size_t features_memory(const Config *config) {
  int n = images_at_once(config);
  return batch_memory(config, n, config_patches(config)) +
         (size_t)READOUT_COUNT * (size_t)n * (size_t)config->model.encoder.width * sizeof(float);
}

static void extraction_close(Extraction *x) {
  batch_destroy(&x->input);
  for (int r = 0; r < READOUT_COUNT; r++)
    if (x->rows[r]) x->device->kernels->free(x->device, x->rows[r]);
  free(x->crops);
}

/* No patch is hidden, so every image has the same map: it is made once. */
static bool set_whole_masks(Extraction *x, Error *e) {
  size_t patches = (size_t)config_patches(x->config), n = (size_t)x->capacity;
  int32_t *visible = io_buffer(n * patches * sizeof *visible, "a batch's masks", e);
  uint8_t *masked = calloc(n, patches);
  bool ok = visible && masked;
  if (visible && !masked) error_set(e, EXIT_DEVICE, "out of memory for a batch's masks");
  for (size_t i = 0; ok && i < n * patches; i++) visible[i] = (int32_t)(i % patches);
  if (ok) batch_set_masks(&x->input, visible, masked, x->capacity);
  free(visible);
  free(masked);
  return ok;
}

static bool extraction_open(Extraction *x, const Config *config, Device *device,
                            const ImagePool *pool, unsigned readouts, Error *e) {
  size_t row = (size_t)config->model.encoder.width * sizeof(float);
  *x = (Extraction){
      .config = config, .device = device, .pool = pool, .capacity = images_at_once(config)};
  x->crops = io_buffer((size_t)x->capacity * sizeof *x->crops, "crops", e);
  bool ok = x->crops &&
            batch_create(&x->input, config, device, x->capacity, config_patches(config), e) &&
            set_whole_masks(x, e);
  /* Means are computed whether or not they are asked for. */
  if (readouts) readouts |= 1u << READOUT_mean | 1u << READOUT_mean_prenorm;
  for (int r = 0; ok && r < READOUT_COUNT; r++)
    if (readouts & 1u << r)
      ok = (x->rows[r] = device_alloc(device, (size_t)x->capacity * row, "features", e)) != NULL;
  if (!ok) extraction_close(x);
  return ok;
}

/* Loads images first .. first+count of the chosen ones. */
static bool load(Extraction *x, const Features *f, int first, int count, Error *e) {
  for (int i = 0; i < count; i++)
    data_whole_crop(&x->crops[i], f->dataset, f->training, f->index[first + i]);
  return pool_fill_batch(x->pool, &x->input, x->crops, NULL, count, e);
}

static void read_tokens(Extraction *x, Model *model, int count) {
  const Kernels *k = x->device->kernels;
  const Config *config = x->config;
  const float *stream;
  const void *normed;
  Batch batch = batch_view(&x->input, 0, count);
  int extra = config->model.class_token, width = config->model.encoder.width;
  model_encode(model, &batch, &stream, &normed);
  float *const *rows = x->rows;
  k->tokens_pool(x->device, rows[READOUT_cls], rows[READOUT_mean], normed, config_dtype(config),
                 count, batch.encoder.tokens, extra, width);
  k->tokens_pool(x->device, rows[READOUT_cls_prenorm], rows[READOUT_mean_prenorm], stream,
                 DTYPE_F32, count, batch.encoder.tokens, extra, width);
}

static void tell(const ProgressListener *progress, const Features *f, int done) {
  progress_tell(progress, f->training ? "training features" : "held-out features", (size_t)done,
                (size_t)f->images);
}

bool features_extract(Features *f, Model *model, const ImagePool *pool, unsigned readouts,
                      const ProgressListener *progress, Error *e) {
  const Config *config = model->config;
  Device *device = model->device;
  size_t width = (size_t)config->model.encoder.width;
  Extraction x;
  if (!make_room(f, (int)width, readouts, e) ||
      !extraction_open(&x, config, device, pool, readouts, e))
    return false;
  bool ok = true;
  for (int first = 0; ok && first < f->images; first += x.capacity) {
    int count = f->images - first < x.capacity ? f->images - first : x.capacity;
    ok = load(&x, f, first, count, e);
    if (!ok) break;
    read_tokens(&x, model, count);
    for (int r = 0; r < READOUT_COUNT; r++)
      if (f->values[r])
        device->kernels->download(device, f->values[r] + (size_t)first * width, x.rows[r],
                                  (size_t)count * width * sizeof(float));
    ok = device_synchronize(device, e);
    if (ok) tell(progress, f, first + count);
  }
  extraction_close(&x);
  return ok;
}

/* Share of pixel `i` that lies in cell `cell` of `cells` along a side of `size` pixels, in pixels.
 */
static double overlap(int cell, int cells, int i, int size) {
  double from = (double)cell * size / cells, to = (double)(cell + 1) * size / cells;
  double low = from > i ? from : i, high = to < i + 1 ? to : i + 1;
  return high > low ? high - low : 0.0;
}

/* row[PIXELS_SIDE, PIXELS_SIDE, 3]: the mean of what lies in each cell. */
static void average_down(float *row, const uint8_t *image, int size) {
  double area = (double)size * size / (PIXELS_SIDE * PIXELS_SIDE);
  for (int at = 0; at < PIXELS_SIDE * PIXELS_SIDE; at++) {
    int cy = at / PIXELS_SIDE, cx = at % PIXELS_SIDE;
    double sum[3] = {0.0, 0.0, 0.0};
    int bottom = (cy + 1) * size / PIXELS_SIDE, right = (cx + 1) * size / PIXELS_SIDE;
    for (int y = cy * size / PIXELS_SIDE; y <= bottom && y < size; y++)
      for (int x = cx * size / PIXELS_SIDE; x <= right && x < size; x++) {
        double share = overlap(cy, PIXELS_SIDE, y, size) * overlap(cx, PIXELS_SIDE, x, size);
        for (int c = 0; c < 3; c++)
          sum[c] += share * pixel_unit(image[((size_t)y * size + x) * 3 + c]);
      }
    for (int c = 0; c < 3; c++) row[3 * at + c] = (float)(sum[c] / area);
  }
}

bool features_pixels(Features *f, const Config *config, Device *device, const ImagePool *pool,
                     const ProgressListener *progress, Error *e) {
  enum { WIDTH = PIXELS_SIDE * PIXELS_SIDE * 3 };
  size_t values = (size_t)config->model.image_size * config->model.image_size * 3;
  Extraction x;
  if (!make_room(f, WIDTH, 1, e) || !extraction_open(&x, config, device, pool, 0, e)) return false;
  uint8_t *images = io_buffer((size_t)x.capacity * values, "images", e);
  bool ok = images != NULL;
  for (int first = 0; ok && first < f->images; first += x.capacity) {
    int count = f->images - first < x.capacity ? f->images - first : x.capacity;
    ok = load(&x, f, first, count, e);
    if (!ok) break;
    device->kernels->download(device, images, x.input.images, (size_t)count * values);
    ok = device_synchronize(device, e);
    for (int i = 0; ok && i < count; i++)
      average_down(f->values[0] + (size_t)(first + i) * WIDTH, images + (size_t)i * values,
                   config->model.image_size);
    if (ok) tell(progress, f, first + count);
  }
  free(images);
  extraction_close(&x);
  return ok;
}
