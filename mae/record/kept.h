/* kept.h - what may stay of a finished run when its whole weights take too much room: the encoder,
 * checkpoints/step-N/encoder.safetensors.
 *
 * It is a weights file (weights.h) without the decoder, in which the matrices are of the type in
 * which train.precision has products read them; everything else is fp32. A pass of the encoder in
 * that precision is therefore the same in every bit as with the whole weights. Its metadata says
 * kept = encoder. */
#ifndef MAE_RECORD_KEPT_H
#define MAE_RECORD_KEPT_H

#include "mae/model/model.h"
#include "mae/model/safetensors.h"

#define KEPT_ENCODER "encoder.safetensors"

/* Bytes of a run's files by its configuration alone, with their headers roughly. */
typedef struct KeptSizes {
  size_t weights, encoder; /* model.safetensors; encoder.safetensors */
  size_t checkpoint;       /* model.safetensors and state.safetensors */
} KeptSizes;
bool kept_sizes(KeptSizes *, const Config *, Error *);
/* run.keep with auto resolved. */
Keep kept_choice(const Config *, const KeptSizes *);
/* Whether the optimiser's state stays. */
bool kept_state(Keep);
/* The word of run.keep. */
const char *kept_name(Keep);

/* Writes step_folder/encoder.safetensors from model.safetensors there: whole or not at all. */
bool kept_write_encoder(const char *step_folder, const Config *, int64_t step, Error *);

/* Whether an opened weights file is such an encoder. */
bool kept_is_encoder(const TensorFile *);
/* Returns false: the decoder was not kept, and how to get it back. */
bool kept_refuse(const char *path, Error *);
/* Takes out of the table what such a file does not have. */
void kept_table(ParamTable *);
/* Makes all tensors of the opened file fp32; the caller frees *values, in which those lie that
 * were not. */
bool kept_widen(TensorFile *, float **values, Error *);

/* Loads what features need: from a weights file or a checkpoint (checkpoint_load_weights), or from
 * an encoder alone, with which the decoder is all zeros. */
bool kept_load_encoder(const char *path, Model *, Error *);

#endif
