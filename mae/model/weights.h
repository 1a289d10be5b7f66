/* weights.h - what a file of model weights must hold: shared by checkpoints, import and export.
 *
 * A weights file is a safetensors file with every parameter of the table in fp32 under its public
 * name. Its metadata: format ("pt", which Hugging Face's loader insists on), producer, config (the
 * options that make the model, as config_dump writes them), config_hash and, in checkpoints,
 * step. */
#ifndef MAE_MODEL_WEIGHTS_H
#define MAE_MODEL_WEIGHTS_H

#include "mae/model/params.h"
#include "mae/model/safetensors.h"

/* The parameter as a tensor without data. */
Tensor weights_tensor(const Param *);
/* Every parameter of the table is there as fp32 in its shape, and nothing else is; names in the
 * file may have `prefix` in front. The message names the first tensors that differ. */
bool weights_check(const ParamTable *, const TensorFile *, const char *prefix, Error *);

enum { WEIGHTS_METADATA_MAX = 8 };
/* The metadata above as key, value, ... for safetensors_write, with its own memory behind it. */
typedef struct WeightsMetadata {
  const char *pairs[2 * WEIGHTS_METADATA_MAX];
  int count;
  char *config;
  char config_hash[65], step[24];
} WeightsMetadata;
/* step: below 0 leaves it out. */
bool weights_metadata(WeightsMetadata *, const Config *, int64_t step, Error *);
void weights_metadata_add(WeightsMetadata *, const char *key, const char *value);
void weights_metadata_free(WeightsMetadata *);

/* Writes path + ".tmp", then renames it: path is the old file or the complete new one. */
bool weights_write(const char *path, const Tensor *, int count, const WeightsMetadata *, Error *);

/* The configuration in a file's metadata, over the defaults. */
bool weights_config(const TensorFile *, Config *, Error *);

#endif
