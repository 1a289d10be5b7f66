/* Cutting an allocation into pieces that begin at multiples of 64 bytes. */
#include "mae/base/carve.h"

void *carve_bytes(Carve *c, size_t bytes) {
  void *piece = c->base ? (char *)c->base + c->used : NULL;
  c->used += (bytes + 63) / 64 * 64;
  return piece;
}
