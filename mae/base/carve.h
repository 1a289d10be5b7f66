/* carve.h - cutting one allocation into aligned pieces (an arena). The same list of carve_bytes
 * calls measures (base NULL) and places, so that a planned size and a real one cannot differ. */
#ifndef MAE_BASE_CARVE_H
#define MAE_BASE_CARVE_H

#include <stddef.h>

typedef struct Carve {
  void *base;  /* NULL: only measure */
  size_t used; /* bytes so far */
} Carve;

/* The next `bytes`, 64-byte aligned; NULL while measuring. */
void *carve_bytes(Carve *, size_t bytes);

#endif
