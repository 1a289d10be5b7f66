/* derived.c - what follows from the options. */
#include <math.h>

#include "mae/config/config.h"

int config_keep_count(int patches, double ratio) {
  /* A decimal ratio is off by up to 2^-54 as a double, which a product of at most 2^18 patches
   * turns into less than 1e-10; a true fraction that close below an integer needs a ratio of more
   * than nine digits. */
  return (int)floor(patches * (1 - ratio) + 1e-9);
}

int config_patches(const Config *config) {
  int side = config->model.image_size / config->model.patch_size;
  return side * side;
}

int config_kept(const Config *config) {
  return config_keep_count(config_patches(config), config->train.mask_ratio);
}

bool config_counts_visible(const Config *config) {
#define COUNTS_VISIBLE(id, name, help, counts_visible) [id] = counts_visible,
  static const bool counts_visible[] = {LOSS_KINDS(COUNTS_VISIBLE)};
  return counts_visible[config->train.loss];
}

int config_counted(const Config *config) {
  int patches = config_patches(config);
  return config_counts_visible(config) ? patches : patches - config_kept(config);
}

Dtype config_dtype(const Config *config) {
#define DTYPE(id, name, help, dtype, scale) [id] = dtype,
  static const Dtype types[] = {PRECISIONS(DTYPE)};
  return types[config->train.precision];
}

bool config_jitters(const Config *config) {
#define JITTERS(id, name, help, box, flips, jitters) [id] = jitters,
  static const bool jitters[] = {AUGMENTS(JITTERS)};
  return jitters[config->train.augment];
}

float config_loss_scale(const Config *config) {
#define SCALE(id, name, help, dtype, scale) [id] = scale,
  static const float scales[] = {PRECISIONS(SCALE)};
  return scales[config->train.precision];
}

bool config_probes_neighbours(const Config *config) {
#define NEIGHBOURS(id, name, help, neighbours, linear) [id] = neighbours,
  static const bool votes[] = {PROBE_METHODS(NEIGHBOURS)};
  return votes[config->probe.method];
}

bool config_probes_linear(const Config *config) {
#define LINEAR(id, name, help, neighbours, linear) [id] = linear,
  static const bool fits[] = {PROBE_METHODS(LINEAR)};
  return fits[config->probe.method];
}

bool config_probes_cls(const Config *config) {
#define CLS(id, name, help, cls, mean) [id] = cls,
  static const bool looks[] = {PROBE_FEATURES(CLS)};
  return looks[config->probe.features] && config->model.class_token;
}

bool config_probes_mean(const Config *config) {
#define MEAN(id, name, help, cls, mean) [id] = mean,
  static const bool looks[] = {PROBE_FEATURES(MEAN)};
  return looks[config->probe.features];
}

bool config_packs_files(const Config *config) {
#define FILES(id, name, help, files) [id] = files,
  static const bool packs[] = {PACKS(FILES)};
  return packs[config->data.pack];
}

bool config_reads_path(const Config *config) {
#define IN_FOLDER(id, name, help, open, in_folder, ...) [id] = in_folder,
  static const bool reads[] = {SOURCES(IN_FOLDER)};
  return reads[config->data.source];
}

const char *config_idle_path(const Config *config) {
  if (!*config->data.path || config_reads_path(config)) return "";
  return "data.path is set and not read: data.source = shapes draws its images; set data.source "
         "too, to what lies there";
}

int config_train_images(const Config *config) {
#define IMAGES(id, name, help, open, in_folder, of_files, images) [id] = images,
  static const int known[] = {SOURCES(IMAGES)};
  int images = known[config->data.source];
  if (config->data.train_images > 0) return config->data.train_images;
  return images - (int)rint(images * config->data.holdout);
}
