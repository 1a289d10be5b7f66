/* Opening the data set of a configuration: its source, the pack made of it once, and the crops and
 * order of its samples. */
#include "mae/data/dataset.h"

#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kernels/scalar.h"
#include "mae/base/io.h"
#include "mae/base/lock_file.h"
#include "mae/base/sha256.h"
#include "mae/data/pack.h"
#include "mae/data/part.h"
#include "mae/data/regions.h"
#include "mae/data/room.h"
#include "mae/data/source.h"
#include "mae/data/tree.h"

typedef struct SourceRow {
  bool (*open)(Source *, const Config *, const ProgressListener *, Error *);
  const char *name, *holds;
  bool in_folder;
} SourceRow;

static const SourceRow *source_row(const Config *config) {
#define SOURCE_ROW(id, name, holds, open, in_folder, ...) [id] = {open, name, holds, in_folder},
  static const SourceRow sources[] = {SOURCES(SOURCE_ROW)};
  return &sources[config->data.source];
}

bool data_check_path(const Config *config, Error *e) {
  const char *path = config->data.path;
  struct stat about;
  if (source_row(config)->in_folder &&
      (stat(path, &about) || !(S_ISDIR(about.st_mode) || S_ISREG(about.st_mode))))
    return error_set(e, EXIT_DATA, "data.path = %.500s: no such folder or archive", path);
  return true;
}

/* Encoded files are another pack than pixels, whose fingerprints stay as they were. */
static void mark_pack(char fingerprint[65], const Config *config) {
  char text[160];
  if (!config_packs_files(config)) return;
  int quality = config->data.pack_side ? config->data.pack_quality : 0;
  int n = snprintf(text, sizeof text, "%s, files, side %d, quality %d", fingerprint,
                   config->data.pack_side, quality);
  sha256_bytes(fingerprint, text, (size_t)n);
}

bool source_archived_fingerprint(char hex[65], const Config *config, Error *e) {
  NameList archives;
  char files[65], text[256];
  *hex = '\0';
  if (!source_row(config)->in_folder) return true;
  if (!tree_archives(&archives, config, e)) return false;
  bool any = archives.count > 0, shards = config->data.source == SOURCE_WEBDATASET;
  bool ok = !any || tree_identify(files, &archives, shards, e);
  names_free(&archives);
  if (!ok || !any) return ok;
  int n = snprintf(text, sizeof text, "%s, %s, archives %s, train_images %d, holdout %.17g",
                   source_row(config)->name, SOURCE_DECODING, files, config->data.train_images,
                   config->data.holdout);
  sha256_bytes(hex, text, (size_t)n);
  mark_pack(hex, config);
  return true;
}

bool source_open(Source *source, const Config *config, const ProgressListener *progress, Error *e) {
  const SourceRow *row = source_row(config);
  if (!data_check_path(config, e)) return false;
  char archived[65];
  if (!source_archived_fingerprint(archived, config, e)) return false;
  if (!row->open(source, config, progress, e))
    return row->in_folder ? error_suffix(e, "data.path should hold %s", row->holds) : false;
  if (*archived)
    memcpy(source->fingerprint, archived, sizeof archived);
  else
    mark_pack(source->fingerprint, config);
  return true;
}

void source_close(Source *source) {
  source->close(source);
}

bool source_hold_out(SourceDraw *draw, int total, double share, Error *e) {
  double wanted = rint(total * share);
  draw->order = io_buffer((size_t)total * sizeof *draw->order + 1, "an order of images", e);
  draw->is_held = draw->order ? calloc((size_t)total + 1, sizeof *draw->is_held) : NULL;
  if (!draw->is_held) {
    free(draw->order);
    return error_set(e, EXIT_DEVICE, "out of memory for an order of %d images", total);
  }
  draw->held = wanted < 1 ? 1 : (int)wanted;
  if (draw->held >= total) {
    source_draw_free(draw);
    return error_set(e, EXIT_DATA,
                     "data.holdout = %g of %d training images leaves none to train on", share,
                     total);
  }
  data_shuffle(draw->order, total, DATA_SEED, 0);
  for (int k = 0; k < draw->held; k++) draw->is_held[draw->order[k]] = true;
  return true;
}

void source_draw_free(SourceDraw *draw) {
  free(draw->order);
  free(draw->is_held);
}

/* ---- Where the pack is, and making it once ---- */

bool data_cache_folder(char *out, size_t size, const Config *config, Error *e) {
  const char *xdg = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
  int n;
  if (*config->data.cache)
    n = snprintf(out, size, "%s", config->data.cache);
  else if (xdg && *xdg == '/')
    n = snprintf(out, size, "%s/maebench", xdg);
  else if (home && *home)
    n = snprintf(out, size, "%s/.cache/maebench", home);
  else
    return error_set(e, EXIT_DATA, "no folder for packed data: set data.cache or HOME");
  if (n >= 0 && (size_t)n < size) return true;
  return error_set(e, EXIT_DATA, "data.cache: the path is too long");
}

/* Removes what killed packers left that nobody goes on with: temporaries whose name begins with
 * `name`. The lock is held, so nobody is writing one. */
static bool remove_leftovers(const char *cache, const char *name, Error *e) {
  DIR *dir = opendir(cache);
  if (!dir) return error_set(e, EXIT_DATA, "%s: cannot open: %s", cache, strerror(errno));
  bool ok = true;
  size_t length = strlen(name);
  for (struct dirent *entry; ok && (entry = readdir(dir));) {
    const char *ending = strrchr(entry->d_name, '.');
    char path[CONFIG_PATH_MAX];
    if (!strncmp(entry->d_name, name, length) && ending && !strcmp(ending, ".tmp"))
      ok = io_join(path, sizeof path, cache, entry->d_name, e) && io_remove(path, e);
  }
  closedir(dir);
  return ok;
}

/* Gives a complete part its name. */
static bool name_pack(const char *part, const char *pack, Error *e) {
  bool ok = io_rename(part, pack, e);
  if (ok)
    part_remove_state(part);
  else
    part_remove(part);
  return ok;
}

/* Packs unless another process did so before the lock was ours; opens the pack. */
static bool pack_once(Dataset *data, const char *cache, const char *name, const char *pack,
                      Source *source, bool skip_bad, const ProgressListener *progress, Error *e) {
  char lock[CONFIG_PATH_MAX + 8], part[PART_PATH_MAX], scratch[CONFIG_PATH_MAX + 40];
  snprintf(lock, sizeof lock, "%s.lock", pack);
  snprintf(part, sizeof part, "%s.part", pack);
  snprintf(scratch, sizeof scratch, "%s.%ld.files.tmp", pack, (long)getpid());
  if (!io_make_folders(cache, e)) return false;
  int fd = lock_file_take(lock, "waiting for another process that packs the same data, seconds",
                          progress, e);
  if (fd < 0) return false;
  bool mine = access(pack, F_OK) != 0;
  bool ok = !mine || (remove_leftovers(cache, name, e) &&
                      (!source->prepare || source->prepare(source, scratch, progress, e)) &&
                      room_for_pack(part, source, e) &&
                      pack_write(part, source, skip_bad, progress, e) && name_pack(part, pack, e));
  ok = ok && data_open_pack(data, pack, e);
  if (ok && mine) pack_note_verified(data);
  lock_file_release(fd, lock);
  return ok;
}

enum { PACK_NAME_MAX = 64 };

static void pack_name(char name[PACK_NAME_MAX], const Config *config, const char *fingerprint) {
  snprintf(name, PACK_NAME_MAX, "%s-%.16s.pack", source_row(config)->name, fingerprint);
}

/* The labels of training images are below it. */
static int count_classes(const Dataset *data) {
  int classes = 0;
  for (int i = 0; i < data->train_count; i++)
    if (data->train[i].label >= classes) classes = data->train[i].label + 1;
  return classes;
}

/* Whether there is a pack of the archives that data.path stands for; it takes no reading of them.
 * False without an error: there is none, or no archive. */
static bool open_packed_archive(Dataset *data, char fingerprint[65], const char *cache,
                                const Config *config, Error *e) {
  char name[PACK_NAME_MAX], pack[CONFIG_PATH_MAX];
  Error problem = {0};
  if (!data_check_path(config, e) || !source_archived_fingerprint(fingerprint, config, e) ||
      !*fingerprint)
    return false;
  pack_name(name, config, fingerprint);
  if (!io_join(pack, sizeof pack, cache, name, e) || access(pack, F_OK)) return false;
  if (data_open_pack(data, pack, &problem)) return true;
  if (e) *e = problem;
  return false;
}

bool data_count(const Config *config, DataCounts *counts, const ProgressListener *progress,
                Error *e) {
  char cache[CONFIG_PATH_MAX], name[PACK_NAME_MAX], pack[CONFIG_PATH_MAX], fingerprint[65];
  Source source;
  Dataset data;
  bool has_cache = data_cache_folder(cache, sizeof cache, config, NULL);
  if (has_cache && open_packed_archive(&data, fingerprint, cache, config, NULL)) {
    *counts = (DataCounts){data.train_count, data.eval_count, count_classes(&data)};
    data_close(&data);
    return true;
  }
  if (!source_open(&source, config, progress, e)) return false;
  pack_name(name, config, source.fingerprint);
  *counts = (DataCounts){source.count[SPLIT_TRAIN], source.count[SPLIT_EVAL], source.classes};
  if (has_cache && io_join(pack, sizeof pack, cache, name, NULL) &&
      data_open_pack(&data, pack, NULL)) {
    counts->train = data.train_count;
    counts->eval = data.eval_count;
    data_close(&data);
  }
  source_close(&source);
  return true;
}

/* Opens the pack of the source, or makes it. */
static bool open_source(Dataset *data, char fingerprint[65], const char *cache,
                        const Config *config, const ProgressListener *progress, Error *e) {
  char name[PACK_NAME_MAX], pack[CONFIG_PATH_MAX];
  Source source;
  if (!source_open(&source, config, progress, e)) return false;
  memcpy(fingerprint, source.fingerprint, sizeof source.fingerprint);
  pack_name(name, config, fingerprint);
  bool ok = io_join(pack, sizeof pack, cache, name, e);
  if (ok && access(pack, F_OK))
    ok = pack_once(data, cache, name, pack, &source, config->data.skip_bad, progress, e);
  else if (ok)
    ok = data_open_pack(data, pack, e);
  if (ok) snprintf(data->passed_over, sizeof data->passed_over, "%s", source.passed_over);
  source_close(&source);
  return ok;
}

bool data_open(Dataset *data, const Config *config, const ProgressListener *progress, Error *e) {
  *data = (Dataset){0};
  char cache[CONFIG_PATH_MAX], fingerprint[65];
  Error problem = {0};
  if (config->run.threads > 0) omp_set_num_threads(config->run.threads); /* for packing */
  if (!data_cache_folder(cache, sizeof cache, config, e)) return false;
  bool ok = open_packed_archive(data, fingerprint, cache, config, &problem);
  if (!ok && problem.code) {
    if (e) *e = problem;
    return false;
  }
  ok = ok || open_source(data, fingerprint, cache, config, progress, e);
  if (ok && memcmp(((const PackHeader *)data->map)->fingerprint, fingerprint, 64))
    ok = error_set(e, EXIT_DATA, "%s: packed from something else; delete it", data->pack_path);
  if (ok && data->skipped && !config->data.skip_bad)
    ok = error_set(e, EXIT_DATA,
                   "%s: %d images could not be read when this was packed; set data.skip_bad = "
                   "true to train without them, or repair them",
                   *config->data.path ? config->data.path : data->pack_path, data->skipped);
  ok = ok && pack_verify_once(data, progress, e) && (!data->encoded || regions_identify(data, e));
  if (!ok) data_close(data);
  return ok;
}

void data_close(Dataset *data) {
  if (data->map) munmap(data->map, data->map_size);
  *data = (Dataset){0};
}

/* ---- Samples ---- */

static Crop square_crop(const PackImage *image) {
  int side = image->width < image->height ? image->width : image->height;
  return (Crop){.offset = image->offset,
                .src_width = image->width,
                .src_height = image->height,
                .left = (image->width - side) / 2,
                .top = (image->height - side) / 2,
                .width = side,
                .height = side};
}

void data_whole_crop(Crop *crop, const Dataset *data, bool training, int index) {
  *crop = square_crop((training ? data->train : data->eval) + index);
}

void data_eval_crop(Crop *crop, const Dataset *data, int index) {
  data_whole_crop(crop, data, false, index);
}

/* The draws of a try; the fixed crop uses the last two of the first. */
enum { DRAW_AREA, DRAW_RATIO, DRAW_LEFT, DRAW_TOP, CROP_DRAWS };
enum { CROP_TRIES = 10, FLIP_ELEMENT = CROP_TRIES * CROP_DRAWS };

static float crop_uniform(const Config *config, uint32_t epoch, int sample, int element) {
  return random_uniform(config->run.seed, STREAM_CROP, epoch, (uint64_t)sample, (uint32_t)element);
}

static int crop_place(float u, int room) {
  int at = (int)(u * (float)(room + 1));
  return at < room ? at : room;
}

/* torchvision's RandomResizedCrop: up to ten times a share of the area, uniform in [crop_min, 1],
 * and an aspect ratio, uniform on a log scale in [3/4, 4/3]; the first box that fits is placed
 * uniformly. If none fits, the middle of the image, cut to the nearest allowed ratio. */
static void random_box(Crop *crop, const Config *config, uint32_t epoch, int sample) {
  const double widest = 4.0 / 3.0, narrowest = 3.0 / 4.0;
  const double width = crop->src_width, height = crop->src_height;
  const double smallest = config->train.crop_min;
  for (int try = 0; try < CROP_TRIES; try++) {
    float u[CROP_DRAWS];
    for (int i = 0; i < CROP_DRAWS; i++)
      u[i] = crop_uniform(config, epoch, sample, try * CROP_DRAWS + i);
    double area = width * height * (smallest + (1.0 - smallest) * (double)u[DRAW_AREA]);
    double ratio = exp(log(narrowest) + (log(widest) - log(narrowest)) * (double)u[DRAW_RATIO]);
    double w = rint(sqrt(area * ratio)), h = rint(sqrt(area / ratio));
    if (w < 1.0 || h < 1.0 || w > width || h > height) continue;
    crop->width = (int)w;
    crop->height = (int)h;
    crop->left = crop_place(u[DRAW_LEFT], crop->src_width - crop->width);
    crop->top = crop_place(u[DRAW_TOP], crop->src_height - crop->height);
    return;
  }
  double w = fmin(width, fmax(1.0, rint(height * widest)));
  double h = fmin(height, fmax(1.0, rint(width / narrowest)));
  crop->width = (int)w;
  crop->height = (int)h;
  crop->left = (crop->src_width - crop->width) / 2;
  crop->top = (crop->src_height - crop->height) / 2;
}

/* What resizing the shorter side to 256 and cutting out 224 x 224 keeps: a square of 224/256 of the
 * shorter side, in whole pixels, placed uniformly. */
static void fixed_box(Crop *crop, const Config *config, uint32_t epoch, int sample) {
  int shorter = crop->src_width < crop->src_height ? crop->src_width : crop->src_height;
  crop->width = crop->height = (7 * shorter + 4) / 8;
  crop->left =
      crop_place(crop_uniform(config, epoch, sample, DRAW_LEFT), crop->src_width - crop->width);
  crop->top =
      crop_place(crop_uniform(config, epoch, sample, DRAW_TOP), crop->src_height - crop->height);
}

void data_train_crop(Crop *crop, const Dataset *data, const Config *config, uint32_t epoch,
                     int sample) {
#define AUGMENT_ROW(id, name, help, box, flips, jitters) [id] = {box, flips},
  static const struct AugmentRow {
    void (*box)(Crop *, const Config *, uint32_t epoch, int sample);
    bool flips;
  } augments[] = {AUGMENTS(AUGMENT_ROW)};
  const struct AugmentRow *augment = &augments[config->train.augment];
  *crop = square_crop(data->train + sample);
  if (augment->box) augment->box(crop, config, epoch, sample);
  if (augment->flips) crop->flip = crop_uniform(config, epoch, sample, FLIP_ELEMENT) < 0.5f;
}

/* Uniform in 0..n-1 to within 2^-32. */
static int draw_below(uint32_t bits, int n) {
  return (int)(((uint64_t)bits * (uint64_t)n) >> 32);
}

/* torchvision's ColorJitter(0.4, 0.4, 0.4): factors uniform in [0.6, 1.4], in random order. */
void data_train_jitter(Jitter *jitter, const Config *config, uint32_t epoch, int sample) {
  enum { LOWEST = (6 * JITTER_ONE + 9) / 10, HIGHEST = 14 * JITTER_ONE / 10 };
  uint32_t bits[2 * JITTER_STEPS];
  for (uint32_t i = 0; i < 2 * JITTER_STEPS; i++)
    bits[i] = random_bits(config->run.seed, STREAM_JITTER, epoch, (uint64_t)sample, i);
  for (int i = 0; i < JITTER_STEPS; i++) {
    jitter->factor[i] = LOWEST + draw_below(bits[i], HIGHEST - LOWEST + 1);
    int at = draw_below(bits[JITTER_STEPS + i], i + 1);
    jitter->order[i] = i;
    jitter->order[i] = jitter->order[at];
    jitter->order[at] = i;
  }
}

void data_permute(int32_t *order, int count, uint64_t seed, uint32_t stream, uint32_t epoch) {
  for (int i = 0; i < count; i++) order[i] = i;
  for (int i = count - 1; i > 0; i--) {
    int j = draw_below(random_bits(seed, stream, epoch, (uint64_t)i, 0), i + 1);
    int32_t other = order[j];
    order[j] = order[i];
    order[i] = other;
  }
}

void data_shuffle(int32_t *order, int count, uint64_t seed, uint32_t epoch) {
  data_permute(order, count, seed, STREAM_SHUFFLE, epoch);
}
