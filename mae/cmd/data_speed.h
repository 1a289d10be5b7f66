/* data_speed.h - `mae data speed`: how fast a machine brings training crops of a packed data set.
 */
#ifndef MAE_CMD_DATA_SPEED_H
#define MAE_CMD_DATA_SPEED_H

#include "mae/data/dataset.h"

typedef struct DataSpeed {
  int64_t crops;
  int threads;
  double wall_seconds, cpu_seconds; /* of all crops; cpu: user and system time of all threads */
  double bytes_per_image;           /* in the pack */
} DataSpeed;

/* Makes the crops of the first batches, at least `crops`, as training on a CPU does: drawn, decoded
 * where the pack is encoded, cut, resized, colours changed. Twice, and the second time counts: the
 * first brings the pack into memory. */
bool data_speed(DataSpeed *, const Config *, const Dataset *, int64_t crops, Error *);
void data_speed_print(const DataSpeed *, const Config *);

#endif
