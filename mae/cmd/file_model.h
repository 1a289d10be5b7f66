/* file_model.h - the model that another program's weights are of, as far as the file tells.
 *
 * Shapes tell image and patch size and the width and depth of both towers; the names, whether there
 * is a class token; the position tables, which positions they are. The number of heads is in no
 * shape. It is taken from the configuration in the file's metadata (files of our own), from Hugging
 * Face's config.json beside the file, or assumed: 64 channels per head of the encoder (80 at
 * ViT-Huge's size, as He et al. have it) and 32 per head of the decoder. */
#ifndef MAE_CMD_FILE_MODEL_H
#define MAE_CMD_FILE_MODEL_H

#include "mae/cmd/state_dict.h"

enum { HEADS_UNKNOWN = -1 }; /* in place of a number of heads, when the assumption does not fit */

typedef struct FileModel {
  Config config;           /* the file's, with defaults for what it does not tell */
  bool has_decoder;        /* without one the decoder in config is the default */
  bool encoder_heads_told; /* by metadata or config.json: not assumed */
  bool decoder_heads_told;
  bool has_image_size; /* it has a position table */
} FileModel;

bool file_model_read(FileModel *, const StateDict *, Error *);
/* A configuration that says something else of the model than the file is an error naming both.
 * What it says of the decoder counts only with `decoder`. A position table may always be learned.
 */
bool file_model_agrees(const FileModel *, const StateDict *, const Config *, bool decoder, Error *);

#endif
