/* profile.h - where a step's time goes, by operation and shape. Puts a table of shims in front of a
 * device's own operations; each waits for the device before and after, so that the times add up on
 * an asynchronous device too (and the step as a whole is slower there). */
#ifndef MAE_PROFILE_H
#define MAE_PROFILE_H

#include <stdio.h>

#include "kernels/backend.h"

/* One device at a time. */
void profile_attach(Device *);
void profile_detach(Device *);
void profile_reset(void);
/* A line per operation and shape, most time first: milliseconds and calls per step, share of
 * the time, and what it reached: GFLOP/s, and GB/s of the operands' own size. */
void profile_print(FILE *, int steps);

#endif
