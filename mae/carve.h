/* carve.h - cutting one allocation into aligned pieces. The same list of carve_bytes calls measures
 * (base NULL) and places, so that a planned size and a real one cannot differ. */
#ifndef MAE_CARVE_H
#define MAE_CARVE_H

#include <stddef.h>

#include "kernels/backend.h"
#include "mae/error.h"

typedef struct Carve {
  void *base;  /* NULL: only measure */
  size_t used; /* bytes so far */
} Carve;

/* The next `bytes`, 64-byte aligned; NULL while measuring. */
void *carve_bytes(Carve *, size_t bytes);

/* Device memory for `what` ("gradients"). NULL fills the error with how much was asked for and how
 * much there is. */
void *carve_alloc(Device *, size_t bytes, const char *what, Error *);

#endif
