/* step_folders.h - the checkpoints of a run by their names: RUN/checkpoints/step-N/. A checkpoint
 * is written as step-N.tmp/ and renamed when it is whole; what still has that name is no
 * checkpoint. */
#ifndef MAE_RECORD_STEP_FOLDERS_H
#define MAE_RECORD_STEP_FOLDERS_H

#include <stdint.h>

#include "mae/config/config.h"

/* RUN/checkpoints/step-N, RUN/checkpoints/step-N.tmp while it is written. */
bool step_folder_path(char out[CONFIG_PATH_MAX], const char *run_folder, int64_t step, Error *);
bool step_folder_temporary(char out[CONFIG_PATH_MAX], const char *run_folder, int64_t step,
                           Error *);
/* Steps of all checkpoints, newest first; none when the folder is not there. The caller frees. */
bool step_folders_list(const char *run_folder, int64_t **steps, int *count, Error *);
/* Step of the newest; -1: there is none. */
bool step_folders_newest(const char *run_folder, int64_t *step, Error *);

/* Removes all but the newest `keep` up to step `newest`. A later step is not of this run's past and
 * stays. */
bool step_folders_rotate(const char *run_folder, int64_t newest, int keep, Error *);
/* Removes one, all or nothing. */
bool step_folder_remove(const char *run_folder, int64_t step, Error *);
/* Removes what interrupted writes left behind. */
bool step_folders_clean(const char *run_folder, Error *);

#endif
