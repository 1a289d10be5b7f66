/* pool.h - the source images that crops are cut from, where the device can read them. On a CPU that
 * is the mapped pack itself. A GPU gets a copy of all of them when its memory allows; otherwise the
 * images of a batch are brought when they are needed, a group at a time through a fixed stage. Of
 * encoded images what the crops cover is decoded then, by all threads, whatever the device
 * (regions.h): while a GPU computes a step, its host decodes for the next. */
#ifndef MAE_DATA_POOL_H
#define MAE_DATA_POOL_H

#include "mae/data/dataset.h"
#include "mae/model/batch.h"

typedef struct ImagePool {
  Device *device;
  const uint8_t *host;    /* all images; NULL when they are encoded, with */
  const Dataset *encoded; /* where they are, and */
  uint8_t *decoded;       /* host, [stage_bytes]: the regions of a group */
  int threads;            /* that decode */
  uint8_t *resident;      /* device: all images; NULL: not there */
  uint8_t *stage;         /* device, [stage_bytes]; NULL: not needed */
  size_t stage_bytes;
} ImagePool;

enum { POOL_STAGE_BYTES = 64 << 20 };

/* The `bytes` of images at host, which must live as long as the pool; the largest of them has
 * `largest` bytes. Takes what is left of device memory, less a reserve: to be created last. */
bool pool_create(ImagePool *, Device *, const uint8_t *host, size_t bytes, size_t largest, Error *);
/* The images of a data set, which must live as long as the pool, for one of `sharers` processes on
 * this machine's CPUs (device_threads). */
bool pool_open(ImagePool *, Device *, const Dataset *, const Config *, int sharers, Error *);
void pool_destroy(ImagePool *);
/* The batch's first `count` images = crops out of the pool's, their colours changed by jitters
 * (NULL: not). Works in the current queue. Fails only where an encoded image cannot be decoded. */
bool pool_fill_batch(const ImagePool *, BatchBuffers *, const Crop *crops, const Jitter *jitters,
                     int count, Error *);

#endif
