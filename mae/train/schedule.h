/* schedule.h - how many steps a run has, and the learning rate of each. */
#ifndef MAE_TRAIN_SCHEDULE_H
#define MAE_TRAIN_SCHEDULE_H

#include "mae/config/config.h"

/* Learning rate of `step` (from 0): warm-up, then cosine (mae/README.md, The schedule). */
double schedule_rate(const Config *, int64_t step, int64_t steps, double steps_per_epoch);
double schedule_warmup_epochs(const Config *, double steps_per_epoch);
/* Steps of the whole run, and per epoch (whole: the last, incomplete batch is dropped). */
bool schedule_steps(const Config *, int train_images, int64_t *steps, double *steps_per_epoch,
                    Error *);

#endif
