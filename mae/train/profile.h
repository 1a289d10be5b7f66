/* profile.h - where a step's time goes, by operation and shape, beside its floor: the time that the
 * operation takes at the least, which is the bound of the roofline model. Puts a table of shims in
 * front of a device's own operations. */
#ifndef MAE_TRAIN_PROFILE_H
#define MAE_TRAIN_PROFILE_H

#include <stdio.h>

#include "kernels/backend.h"

/* What a device reaches at its best, measured or assumed. */
typedef struct ProfilePeaks {
  double flops_per_second; /* matrix products in the type of the step */
  double bytes_per_second; /* memory */
} ProfilePeaks;

/* One device at a time. counts_only: operations are counted, not run, and memory is addresses only,
 * so that a device with host memory stands for one of any size. */
void profile_attach(Device *, bool counts_only);
void profile_detach(Device *);
void profile_reset(void);
/* A line per operation and shape, most time first; all numbers are per step: calls, milliseconds
 * (by the device's own clock) and share of the whole, then the floor and the efficiency floor/time.
 * The floor is the larger of flops / peak products and bytes / peak memory (and "by" says which),
 * where bytes are those of the operands, each moved once: what a kernel that recomputes, or reads
 * twice, cannot reach. Returns the floor of a whole step in seconds. */
double profile_print(FILE *, int steps, const ProfilePeaks *);

#endif
