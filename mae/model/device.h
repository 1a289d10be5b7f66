/* device.h - opening the device that a configuration asks for, and what its memory and its waits
 * say when they fail. */
#ifndef MAE_MODEL_DEVICE_H
#define MAE_MODEL_DEVICE_H

#include "mae/config/config.h"

/* Opens run.device (auto: the first GPU when there is one, else the CPU) for one of several
 * processes: GPU number `gpu` from that one on, or the CPU with its share of the threads among
 * `sharers` processes. A device that lacks train.precision is an error unless run.emulate is set.
 * A GPU follows the table run.products.
 * NULL on failure. */
Device *device_open(const Config *, int gpu, int sharers, Error *);

/* Whether a device of this name ("cpu", "cuda:0") and kind computes in train.precision. */
bool device_accepts(const Config *, const char *name, const DeviceInfo *, Error *);

/* Whether that device is a GPU. */
bool device_is_gpu(const Config *);

/* CPU threads of one of several processes that share what this one may use: run.threads, else
 * OMP_NUM_THREADS, else a thread for every CPU that the process was given. */
int device_threads(const Config *, int sharers);

/* Waits for all that is queued on the device; the error is the first of whatever failed there. */
bool device_synchronize(Device *, Error *);
/* Device memory for `what` ("gradients"). NULL fills the error with how much was asked for and how
 * much there is. */
void *device_alloc(Device *, size_t bytes, const char *what, Error *);

#endif
