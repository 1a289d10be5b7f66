/* What no single option can check: the conditions between options. */
#include <string.h>

#include "mae/config/config.h"

enum { PATCHES_MAX = 16384 };

#define POSITION(id, name, help, divisor, init) [id] = {name, divisor},
static const struct {
  const char *name;
  int divisor;
} positions[] = {POS_EMBEDS(POSITION)};

#define OF_FILES(id, name, help, open, in_folder, of_files, images) [id] = of_files,
static const bool source_of_files[] = {SOURCES(OF_FILES)};

static bool check_tower(const Config *config, const char *key, Tower tower, PosEmbed pos_embed,
                        const char *pos_embed_key, Error *e) {
  if (tower.width % tower.heads)
    return error_set(e, EXIT_CONFIG, "%s = %dx%dx%d: width %d is not divisible by %d heads", key,
                     tower.width, tower.depth, tower.heads, tower.width, tower.heads);
  if (tower.width % positions[pos_embed].divisor)
    return error_set(e, EXIT_CONFIG, "%s = %dx%dx%d: %s = %s needs a width divisible by %d, not %d",
                     key, tower.width, tower.depth, tower.heads, pos_embed_key,
                     positions[pos_embed].name, positions[pos_embed].divisor, tower.width);
  int head_size = tower.width / tower.heads;
  if (config->train.precision != PRECISION_FP32 && head_size % 8)
    return error_set(e, EXIT_CONFIG,
                     "%s = %dx%dx%d: train.precision = %s needs heads of a size divisible by 8 "
                     "(16-byte accesses), not %d",
                     key, tower.width, tower.depth, tower.heads, dtype_name(config_dtype(config)),
                     head_size);
  return true;
}

static bool check_model(const Config *config, Error *e) {
  int image = config->model.image_size, patch = config->model.patch_size;
  if (image % patch)
    return error_set(e, EXIT_CONFIG,
                     "model.image_size = %d is not a multiple of model.patch_size = %d", image,
                     patch);
  int patches = config_patches(config);
  if (patches > PATCHES_MAX)
    return error_set(e, EXIT_CONFIG,
                     "model.image_size = %d with model.patch_size = %d makes %d patches; at most "
                     "%d are supported",
                     image, patch, patches, PATCHES_MAX);
  int keep = config_kept(config);
  if (keep < 1)
    return error_set(e, EXIT_CONFIG,
                     "train.mask_ratio = %g keeps none of the %d patches; at most %.4g keeps one",
                     config->train.mask_ratio, patches, 1 - 1.0 / patches);
  if (keep >= patches)
    return error_set(e, EXIT_CONFIG,
                     "train.mask_ratio = %g hides none of the %d patches; use a larger one",
                     config->train.mask_ratio, patches);
  return check_tower(config, "model.encoder", config->model.encoder, config->model.pos_embed,
                     "model.pos_embed", e) &&
         check_tower(config, "model.decoder", config->model.decoder,
                     config->model.decoder_pos_embed, "model.decoder_pos_embed", e);
}

static bool check_batch(const Config *config, Error *e) {
  int batch = config->train.batch, parts = config->train.shards * config->train.accumulate;
  if (batch % parts)
    return error_set(e, EXIT_CONFIG,
                     "train.batch = %d is not a multiple of train.shards x train.accumulate = %d x "
                     "%d",
                     batch, config->train.shards, config->train.accumulate);
  int ranks = config->train.ranks, gpus = config->resources.gpus_per_trial;
  if (ranks > 1 && ranks != config->train.shards)
    return error_set(e, EXIT_CONFIG,
                     "train.ranks = %d needs train.shards = %d: a rank computes one shard", ranks,
                     ranks);
  if (gpus > 1 && gpus != config->train.shards)
    return error_set(e, EXIT_CONFIG,
                     "resources.gpus_per_trial = %d needs train.shards = %d: a GPU computes one "
                     "shard",
                     gpus, gpus);
  if (*config->resources.launcher && (gpus > 1 || config->resources.jobs_per_gpu > 1))
    return error_set(e, EXIT_CONFIG,
                     "resources.launcher = %.100s: the launcher places trials on GPUs, so that "
                     "resources.gpus_per_trial and resources.jobs_per_gpu must be 1",
                     config->resources.launcher);
  if (gpus > 1 && config->resources.jobs_per_gpu > 1)
    return error_set(e, EXIT_CONFIG,
                     "resources.jobs_per_gpu = %d lets trials of one GPU share it, but "
                     "resources.gpus_per_trial = %d",
                     config->resources.jobs_per_gpu, gpus);
  return true;
}

static bool check_schedule(const Config *config, Error *e) {
  if (config->train.steps == 0 && config->train.epochs == 0)
    return error_set(e, EXIT_CONFIG,
                     "train.steps = 0 and train.epochs = 0: nothing to train; set one of them");
  if (config->train.steps > 0 && config->train.warmup_steps >= config->train.steps)
    return error_set(
        e, EXIT_CONFIG,
        "train.warmup_steps = %lld leaves none of train.steps = %lld for the schedule; "
        "set both",
        (long long)config->train.warmup_steps, (long long)config->train.steps);
  if (config->train.steps == 0 && config->train.warmup_steps == 0 &&
      config->train.warmup_epochs >= config->train.epochs)
    return error_set(
        e, EXIT_CONFIG,
        "train.warmup_epochs = %g leaves nothing of train.epochs = %g for the schedule",
        config->train.warmup_epochs, config->train.epochs);
  double peak = config->train.blr * config->train.batch / 256;
  if (config->train.min_lr > peak)
    return error_set(e, EXIT_CONFIG,
                     "train.min_lr = %g is above the peak rate train.blr x train.batch / 256 = %g",
                     config->train.min_lr, peak);
  return true;
}

static bool check_data(const Config *config, Error *e) {
  if (config_reads_path(config) && !*config->data.path) {
    char source[32];
    return error_set(e, EXIT_CONFIG,
                     "data.path is not set; data.source = %s needs the folder or archive of its "
                     "images (--set data.path=PATH)",
                     config_get(config, "data.source", source, sizeof source));
  }
  if (config->data.source == SOURCE_SHAPES && config->data.holdout > 0)
    return error_set(e, EXIT_CONFIG,
                     "data.holdout is for data.source other than shapes, which draws its held-out "
                     "images apart");
  if (config_packs_files(config) && !source_of_files[config->data.source]) {
    char source[32];
    return error_set(
        e, EXIT_CONFIG,
        "data.pack = jpeg is for image files; data.source = %s has none: use data.pack "
        "= pixels",
        config_get(config, "data.source", source, sizeof source));
  }
  if (config->data.pack_side > 0 && !config_packs_files(config))
    return error_set(e, EXIT_CONFIG,
                     "data.pack_side = %d is for data.pack = jpeg; pixels are packed as they are",
                     config->data.pack_side);
  if (config->data.train_images > 0 && config->data.train_images < config->train.batch)
    return error_set(e, EXIT_CONFIG,
                     "data.train_images = %d is less than train.batch = %d: no batch would be full",
                     config->data.train_images, config->train.batch);
  return true;
}

static bool check_probe(const Config *config, Error *e) {
  if (config->probe.method != PROBE_OFF && !config_probes_cls(config) &&
      !config_probes_mean(config))
    return error_set(e, EXIT_CONFIG,
                     "probe.features = cls, but the model has no class token "
                     "(model.class_token = false)");
  return true;
}

bool config_validate(const Config *config, Error *e) {
  return check_model(config, e) && check_batch(config, e) && check_schedule(config, e) &&
         check_data(config, e) && check_probe(config, e);
}
