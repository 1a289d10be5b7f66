/* weights.h - what a file of model weights must hold: shared by checkpoints, import and export.
 *
 * A weights file is a safetensors file with every parameter of the table in fp32 under its public
 * name. Its metadata: format ("pt", which Hugging Face's loader insists on), producer, config (the
 * options that make the model, as config_dump writes them), config_hash, in checkpoints step, and
 * in files by themselves tensors_sha256, over the names, shapes and bytes of the tensors in their
 * order. (A checkpoint's hash is in its other file.) */
#ifndef MAE_MODEL_WEIGHTS_H
#define MAE_MODEL_WEIGHTS_H

#include "mae/model/params.h"
#include "mae/model/safetensors.h"

/* The parameter as a tensor without data. */
Tensor weights_tensor(const Param *);
/* Every parameter of the table is there as fp32 in its shape, and nothing else is; names in the
 * file may have `prefix` in front. The message names the first tensors that differ. */
bool weights_check(const ParamTable *, const TensorFile *, const char *prefix, Error *);

enum { WEIGHTS_METADATA_MAX = 12 };
/* The metadata above as key, value, ... for safetensors_write, with its own memory behind it. */
typedef struct WeightsMetadata {
  const char *pairs[2 * WEIGHTS_METADATA_MAX];
  int count;
  char *config;
  char config_hash[65], step[24], tensors_sha256[65];
} WeightsMetadata;
/* step: below 0 leaves it out. */
bool weights_metadata(WeightsMetadata *, const Config *, int64_t step, Error *);
void weights_metadata_add(WeightsMetadata *, const char *key, const char *value);
void weights_metadata_free(WeightsMetadata *);

/* Opens a weights file and compares its content with tensors_sha256, where it has one. */
bool weights_open(TensorFile *, const char *path, Error *);
/* Writes path + ".tmp", then renames it: path is the old file or the complete new one. */
bool weights_write(const char *path, const Tensor *, int count, WeightsMetadata *, Error *);

/* The configuration in a file's metadata, over the defaults. */
bool weights_config(const TensorFile *, Config *, Error *);

#endif
