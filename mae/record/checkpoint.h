/* checkpoint.h - a trainer's state on disk.
 *
 * A checkpoint is a folder checkpoints/step-N/ holding model.safetensors (the public parameter
 * names; see weights.h) and state.safetensors (StepState and moments, a hash of the whole state,
 * and in its metadata the config hash, step, precision and seed: all that resuming needs). It is
 * written as step-N.tmp/, every file and folder is fsynced, and only then renamed; older ones
 * beyond run.keep_checkpoints are removed after that. */
#ifndef MAE_RECORD_CHECKPOINT_H
#define MAE_RECORD_CHECKPOINT_H

#include "mae/model/model.h"
#include "mae/model/safetensors.h"

/* `state` is in host memory everywhere here (step_result, step_set_state). */

/* SHA-256 over names, shapes and bytes of all parameters, moments and the StepState: two training
 * runs are the same when these are. A model that does not train has no moments. */
bool checkpoint_state_hash(char hex[65], const Model *, const StepState *state, Error *);
/* On failure (a full disk) nothing of the new checkpoint stays, the ones before are untouched, and
 * the message says how much room is needed. */
bool checkpoint_save(const char *run_folder, const Model *, const StepState *state, Error *);
/* Loads the newest checkpoint of run_folder; *found says whether there was one. One of another
 * config hash, precision or shape is an error that says what differs; a damaged one is an error
 * that names it and the newest sound one before it. The model is unchanged after an error. */
bool checkpoint_resume(const char *run_folder, Model *, StepState *state, bool *found, Error *);
/* Opens the weights in a weights file or a checkpoint's folder. Everything in them, and in the
 * state beside a checkpoint's, is read once and compared with the hash that was recorded when it
 * was written: about half a second per GB. A file of another program's has none. */
bool checkpoint_open_weights(TensorFile *, const char *path, Error *);
/* The same into a model. Every parameter must be there with its shape, and nothing else. */
bool checkpoint_load_weights(const char *path, Model *, Error *);

#endif
