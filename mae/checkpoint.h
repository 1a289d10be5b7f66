/* checkpoint.h - a trainer's state on disk.
 *
 * A checkpoint is a folder checkpoints/step-N/ holding model.safetensors (the public parameter
 * names) and state.safetensors (moments, StepState, and in its metadata the config hash, step and
 * RNG seed: all that resuming needs). It is written as step-N.tmp/, every file and folder is
 * fsynced, and only then renamed; older ones are removed after that. */
#ifndef MAE_CHECKPOINT_H
#define MAE_CHECKPOINT_H

#include "mae/model.h"

/* SHA-256 over names, shapes and bytes of all parameters, moments and the StepState: two training
 * runs are the same when these are. */
bool checkpoint_state_hash(char hex[65], const Model *, const StepState *state, Error *);
bool checkpoint_save(const char *run_folder, const Model *, const StepState *state, Error *);
/* Loads the newest complete checkpoint of run_folder; *found says whether there was one. A
 * checkpoint of another config hash, precision or shape is an error that says what differs. */
bool checkpoint_resume(const char *run_folder, Model *, StepState *state, bool *found, Error *);
/* Weights only, from a model.safetensors file. Every parameter must be there with its shape. */
bool checkpoint_load_weights(const char *path, Model *, Error *);

#endif
