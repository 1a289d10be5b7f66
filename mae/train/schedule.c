/* schedule.c - how many steps a run has, and the learning rate of each. */
#include "mae/train/schedule.h"

#include <math.h>

bool schedule_steps(const Config *config, int train_images, int64_t *steps, double *steps_per_epoch,
                    Error *e) {
  int64_t whole = train_images / config->train.batch;
  if (whole < 1)
    return error_set(e, EXIT_CONFIG,
                     "train.batch = %d, but there are only %d training images: an epoch would "
                     "have no step; lower train.batch or raise data.train_images",
                     config->train.batch, train_images);
  *steps_per_epoch = (double)whole;
  *steps = config->train.steps > 0 ? config->train.steps
                                   : (int64_t)llround(config->train.epochs * (double)whole);
  if (*steps < 1)
    return error_set(e, EXIT_CONFIG,
                     "train.epochs = %g of %lld steps each is less than one step; raise "
                     "train.epochs or set train.steps",
                     config->train.epochs, (long long)whole);
  return true;
}

double schedule_warmup_epochs(const Config *config, double steps_per_epoch) {
  return config->train.warmup_steps > 0 ? (double)config->train.warmup_steps / steps_per_epoch
                                        : config->train.warmup_epochs;
}

double schedule_rate(const Config *config, int64_t step, int64_t steps, double steps_per_epoch) {
  double peak = config->train.blr * config->train.batch / 256.0;
  double epoch = (double)step / steps_per_epoch, epochs = (double)steps / steps_per_epoch;
  double warmup = schedule_warmup_epochs(config, steps_per_epoch);
  if (epoch < warmup) return peak * epoch / warmup;
  if (epochs <= warmup) return peak;
  return config->train.min_lr + (peak - config->train.min_lr) *
                                    (1.0 + cos(M_PI * (epoch - warmup) / (epochs - warmup))) / 2.0;
}
