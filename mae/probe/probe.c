/* probe.c - which images, what is left out, and each readout through the two ways of telling. */
#include "mae/probe/probe.h"

#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "mae/base/io.h"
#include "mae/model/device.h"

/* Adds a reason to the note. */
__attribute__((format(printf, 2, 3))) static void note(Probe *probe, const char *format, ...) {
  size_t used = strlen(probe->note);
  va_list args;
  if (used && used + 2 < sizeof probe->note) {
    strcpy(probe->note + used, "; ");
    used += 2;
  }
  va_start(args, format);
  vsnprintf(probe->note + used, sizeof probe->note - used, format, args);
  va_end(args);
}

/* Images of each class. */
static int32_t *count_labels(const Features *f, int classes, Error *e) {
  size_t bytes = (size_t)(classes > 0 ? classes : 1) * sizeof(int32_t);
  int32_t *counts = io_buffer(bytes, "counts of classes", e);
  if (!counts) return NULL;
  memset(counts, 0, bytes);
  for (int i = 0; i < f->images; i++)
    if (f->labels[i] >= 0 && f->labels[i] < classes) counts[f->labels[i]]++;
  return counts;
}

static int class_count(const Dataset *dataset) {
  int32_t most = -1;
  for (int i = 0; i < dataset->train_count; i++)
    if (dataset->train[i].label > most) most = dataset->train[i].label;
  return most + 1;
}

/* Says what of the chosen images is left out; false: nothing can be told from them. */
static bool can_tell(Probe *probe, const Dataset *dataset, const int32_t *counts) {
  int inhabited = 0, single = 0;
  for (int c = 0; c < probe->classes; c++) {
    inhabited += counts[c] > 0;
    single += counts[c] == 1;
  }
  if (inhabited < 2) {
    if (inhabited == 0)
      note(probe, "no probe: the training images have no labels");
    else
      note(probe, "no probe: all training images are of one class");
    return false;
  }
  if (probe->eval.images == 0) {
    note(probe, "no probe: no held-out image is of a class of the training images");
    return false;
  }
  int strangers = 0;
  for (int i = 0; i < dataset->eval_count; i++) {
    int32_t label = dataset->eval[i].label;
    strangers += label < 0 || label >= probe->classes;
  }
  if (strangers)
    note(probe, "%d of %d held-out images are left out: their class has no training images",
         strangers, dataset->eval_count);
  if (single)
    note(probe, "%d class%s a single training image", single, single > 1 ? "es have" : " has");
  return true;
}

static void note_neighbours(Probe *probe) {
  char left_out[64] = "";
  for (int k = 0; k < NEIGHBOUR_COUNTS; k++)
    if (neighbour_counts[k] > probe->train.images) {
      size_t used = strlen(left_out);
      snprintf(left_out + used, sizeof left_out - used, "%s%d", used ? ", " : "",
               neighbour_counts[k]);
    }
  if (*left_out && config_probes_neighbours(probe->config))
    note(probe, "no vote of %s neighbours: there are %d training images", left_out,
         probe->train.images);
}

bool probe_open(Probe *probe, const Config *config, Device *device, const Dataset *dataset,
                Error *e) {
  *probe = (Probe){.config = config,
                   .device = device,
                   .classes = class_count(dataset),
                   .threads = device_threads(config, 1)};
  DeviceInfo info = {.threads = 0};
  device->kernels->info(device, &info);
  if (info.threads > 0) probe->threads = info.threads;
  /* With no classes at all, features_choose would take every image. */
  int classes = probe->classes > 0 ? probe->classes : 1;
  int32_t *counts = NULL;
  bool ok = features_choose(&probe->train, dataset, true, config->probe.train_images, classes, e) &&
            features_choose(&probe->eval, dataset, false, config->probe.eval_images, classes, e) &&
            (counts = count_labels(&probe->train, classes, e));
  if (ok) {
    if (can_tell(probe, dataset, counts))
      note_neighbours(probe);
    else
      probe->eval.images = 0;
  }
  free(counts);
  if (!ok) probe_close(probe);
  return ok;
}

void probe_close(Probe *probe) {
  features_free(&probe->train);
  features_free(&probe->eval);
}

void probe_scores_reset(ProbeScores *scores) {
  const Accuracy none = {NAN, NAN};
  for (int r = 0; r < READOUT_COUNT; r++) {
    for (int k = 0; k < NEIGHBOUR_COUNTS; k++) scores->neighbours[r][k] = none;
    scores->linear[r] = none;
    scores->strength[r] = NAN;
  }
}

static Rows rows_of(const Features *f, int r) {
  return (Rows){.values = f->values[r], .labels = f->labels, .count = f->images, .width = f->width};
}

static bool are_finite(const Rows *rows) {
  size_t values = (size_t)rows->count * (size_t)rows->width;
  for (size_t i = 0; i < values; i++)
    if (!isfinite(rows->values[i])) return false;
  return true;
}

bool probe_readout(ProbeScores *scores, const Probe *probe, int r, Error *e) {
  const Config *config = probe->config;
  ProgressPart part = {probe->progress, readout_names[r]};
  const ProgressListener listener = progress_of_part(&part);
  Rows train = rows_of(&probe->train, r), eval = rows_of(&probe->eval, r);
  if (!are_finite(&train) || !are_finite(&eval))
    return error_set(e, EXIT_NONFINITE, "the features are not finite");
  if (config_probes_neighbours(config) &&
      !neighbours_vote(scores->neighbours[r], probe->device, &train, &eval, probe->classes,
                       probe->threads, &listener, e))
    return false;
  if (!config_probes_linear(config)) return true;
  Regression fitted;
  if (!regression_fit(&fitted, probe->device, &train, &eval, probe->classes, config->run.seed,
                      probe->threads, &listener, e))
    return false;
  scores->linear[r] = fitted.accuracy;
  scores->strength[r] = fitted.strength;
  return true;
}

bool probe_model(ProbeScores *scores, Probe *probe, Model *model, const ImagePool *pool, Error *e) {
  unsigned readouts = readouts_wanted(probe->config);
  probe_scores_reset(scores);
  if (!features_extract(&probe->train, model, pool, readouts, probe->progress, e) ||
      !features_extract(&probe->eval, model, pool, readouts, probe->progress, e))
    return false;
  for (int r = 0; r < READOUT_COUNT; r++)
    if (readouts & 1u << r && !probe_readout(scores, probe, r, e)) return false;
  return true;
}

/* Copies what was found for one readout to all that are asked for. */
static void spread(ProbeScores *scores, const Config *config, int from) {
  ProbeScores found = *scores;
  unsigned readouts = readouts_wanted(config);
  probe_scores_reset(scores);
  for (int r = 0; r < READOUT_COUNT; r++) {
    if (!(readouts & 1u << r)) continue;
    memcpy(scores->neighbours[r], found.neighbours[from], sizeof found.neighbours[from]);
    scores->linear[r] = found.linear[from];
    scores->strength[r] = found.strength[from];
  }
}

bool probe_pixels(ProbeScores *scores, Probe *probe, const ImagePool *pool, Error *e) {
  probe_scores_reset(scores);
  bool ok =
      features_pixels(&probe->train, probe->config, probe->device, pool, probe->progress, e) &&
      features_pixels(&probe->eval, probe->config, probe->device, pool, probe->progress, e) &&
      probe_readout(scores, probe, 0, e);
  if (ok) spread(scores, probe->config, 0);
  return ok;
}

void probe_chance(ProbeScores *scores, const Probe *probe) {
  Tally tally = {0};
  Error ignored = {0};
  probe_scores_reset(scores);
  int32_t *counts = count_labels(&probe->train, probe->classes, &ignored);
  double *often = malloc((size_t)probe->classes * sizeof *often);
  for (int c = 0; counts && often && c < probe->classes; c++) often[c] = counts[c];
  for (int i = 0; counts && often && i < probe->eval.images; i++)
    accuracy_add(&tally, accuracy_rank(often, probe->classes, probe->eval.labels[i]));
  free(counts);
  free(often);
  Accuracy found = accuracy_of(&tally, probe->classes);
  for (int k = 0; k < NEIGHBOUR_COUNTS; k++)
    if (config_probes_neighbours(probe->config) && neighbour_counts[k] <= probe->train.images)
      scores->neighbours[0][k] = found;
  if (config_probes_linear(probe->config)) scores->linear[0] = found;
  spread(scores, probe->config, 0);
}

static int fewer(int wanted, int there) {
  return wanted > 0 && wanted < there ? wanted : there;
}

/* What it takes to tell the classes from one reading. */
static double telling_gflops(const Config *config, double train, double eval, double width,
                             double classes) {
  double work = 0.0, candidates = train < PROBE_CANDIDATES ? train : PROBE_CANDIDATES;
  if (config_probes_neighbours(config))
    work += 2e-9 * eval * width * (train + PROBE_HOST * candidates);
  if (config_probes_linear(config))
    work += 1e-9 * (PROBE_ITERATIONS * 4 * train * width * classes +
                    PROBE_FITS * PROBE_HOST * 2 * width * width * width);
  return work;
}

ProbeWork probe_work(const Config *config, int train_images, int eval_images, int classes) {
  int train = fewer(config->probe.train_images, train_images);
  int eval = fewer(config->probe.eval_images, eval_images);
  int readouts = __builtin_popcount(readouts_wanted(config));
  if (config->probe.method == PROBE_OFF || !train || !eval) return (ProbeWork){0};
  double telling = telling_gflops(config, train, eval, config->model.encoder.width, classes);
  double whole = PROBE_FORWARD * model_gflops_whole_image(config);
  double model = ((double)train + eval) * whole + readouts * telling;
  double pixels = telling_gflops(config, train, eval, PIXELS_SIDE * PIXELS_SIDE * 3, classes);
  return (ProbeWork){.model = model, .baselines = model + pixels};
}

static size_t larger(size_t a, size_t b) {
  return a > b ? a : b;
}

ProbeMemory probe_memory(const Config *config, int train_images, int eval_images, int classes) {
  ProbeMemory memory = {0};
  if (config->probe.method == PROBE_OFF || train_images == 0) return memory;
  int readouts = __builtin_popcount(readouts_wanted(config));
  int width = config->model.encoder.width, pixels = PIXELS_SIDE * PIXELS_SIDE * 3;
  int widest = width > pixels ? width : pixels;
  size_t images = (size_t)train_images + (size_t)eval_images;
  memory.device = features_memory(config);
  if (config_probes_neighbours(config))
    memory.device = larger(memory.device, neighbours_memory(train_images, widest));
  if (config_probes_linear(config))
    memory.device = larger(memory.device, regression_memory(train_images, widest, classes));
  memory.host = images * sizeof(float) * larger((size_t)readouts * (size_t)width, (size_t)pixels);
  return memory;
}
