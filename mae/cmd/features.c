/* mae features: what a checkpoint's encoder makes of the images of a split, for other programs. */
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mae/base/io.h"
#include "mae/base/progress.h"
#include "mae/cmd/cmd.h"
#include "mae/model/device.h"
#include "mae/model/safetensors.h"
#include "mae/probe/features.h"
#include "mae/record/kept.h"

static const char about[] =
    "Writes what a checkpoint's encoder makes of whole images (nothing hidden, centre\n"
    "square) as a safetensors file: cls, mean, cls_prenorm, mean_prenorm (fp32, [images,\n"
    "width]; the class token and the mean of the patch tokens, after and before the last\n"
    "layer norm), label and index (int64, [images]; label -1: none). The configuration is\n"
    "the checkpoint's; --set changes it (data.path ...).";

typedef struct FeaturesLine {
  CheckpointChoice chosen;
  const char *split, *out;
  int64_t images;
} FeaturesLine;

static int64_t *widen(const int32_t *values, int count, Error *e) {
  int64_t *wide = io_buffer((size_t)(count ? count : 1) * sizeof *wide, "labels", e);
  for (int i = 0; wide && i < count; i++) wide[i] = values[i];
  return wide;
}

static Tensor numbers(char *name, const int64_t *values, int count) {
  return (Tensor){.name = name,
                  .dtype = "I64",
                  .rank = 1,
                  .shape = {(uint64_t)count},
                  .data = values,
                  .bytes = (size_t)count * sizeof *values};
}

static bool write_features(const FeaturesLine *line, const Features *f, Error *e) {
  Tensor tensors[READOUT_COUNT + 2];
  int count = 0;
  char label[] = "label", index[] = "index";
  const char *const metadata[] = {"split", line->split, "checkpoint", line->chosen.path};
  int64_t *labels = widen(f->labels, f->images, e);
  int64_t *places = labels ? widen(f->index, f->images, e) : NULL;
  for (int r = 0; r < READOUT_COUNT; r++)
    if (f->values[r])
      tensors[count++] = (Tensor){.name = (char *)readout_names[r],
                                  .dtype = "F32",
                                  .rank = 2,
                                  .shape = {(uint64_t)f->images, (uint64_t)f->width},
                                  .data = f->values[r],
                                  .bytes = (size_t)f->images * (size_t)f->width * sizeof(float)};
  tensors[count++] = numbers(label, labels, f->images);
  tensors[count++] = numbers(index, places, f->images);
  bool ok = places && safetensors_write(line->out, tensors, count, metadata, 2, e);
  free(labels);
  free(places);
  return ok;
}

static bool extract(const FeaturesLine *line, const Config *config, Device *device, Error *e) {
  ProgressLine shown = {.terminal = isatty(STDERR_FILENO)};
  const ProgressListener progress = progress_on(&shown), briefly = progress_briefly_on(&shown);
  Dataset dataset;
  Model model;
  ImagePool pool = {0};
  Features features = {0};
  if (!data_open(&dataset, config, &progress, e)) return false;
  bool ok = model_create(&model, config, device, false, e);
  if (ok) {
    unsigned readouts = 1u << READOUT_mean | 1u << READOUT_mean_prenorm;
    if (config->model.class_token) readouts |= 1u << READOUT_cls | 1u << READOUT_cls_prenorm;
    bool training = !strcmp(line->split, "train");
    int wanted = line->images < INT_MAX ? (int)line->images : INT_MAX;
    ok = kept_load_encoder(line->chosen.weights, &model, e) &&
         pool_open(&pool, device, &dataset, config, 1, e) &&
         features_choose(&features, &dataset, training, wanted, 0, e) &&
         features_extract(&features, &model, &pool, readouts, &briefly, e) &&
         write_features(line, &features, e);
    features_free(&features);
    pool_destroy(&pool);
    model_destroy(&model);
  }
  data_close(&dataset);
  progress_clear(&shown);
  return ok;
}

static bool check_line(const FeaturesLine *line, Error *e) {
  if (!line->out) return error_set(e, EXIT_CONFIG, "--out FILE is missing");
  if (!line->split || (strcmp(line->split, "train") != 0 && strcmp(line->split, "eval") != 0))
    return error_set(e, EXIT_CONFIG, "--split must be train or eval");
  return true;
}

int cmd_features(int argc, char **argv) {
  FeaturesLine line = {0};
  const CmdOption options[] = {
      {"--checkpoint", CMD_TEXT, &line.chosen.path, "PATH", CHECKPOINT_HELP},
      {"--split", CMD_TEXT, &line.split, "train|eval", "which images (required)"},
      {"--images", CMD_COUNT, &line.images, "N", "so many of them, evenly spaced; 0: all"},
      {"--out", CMD_TEXT, &line.out, "FILE", "safetensors file to write (required)"},
  };
  ConfigCommand command = {.line = {.name = "mae features",
                                    .about = about,
                                    .options = options,
                                    .option_count = sizeof options / sizeof *options},
                           .base = cmd_checkpoint_config,
                           .user = &line.chosen};
  int code;
  Error e = {0};
  if (!cmd_parse(&command, argc, argv, &code)) return code;
  Device *device = NULL;
  bool ok = check_line(&line, &e) && (device = device_open(&command.config, 0, 1, &e)) &&
            extract(&line, &command.config, device, &e);
  if (device) device->kernels->close(device);
  return ok ? EXIT_OK : command_fail(command.line.name, &e);
}
