/* params.h - the parameter table of a model, from which allocation, initialisation, optimiser
 * groups, checkpoints, parity tests and the printed summary are all driven. Names and shapes are
 * those of the public MAE checkpoints (He et al. 2021, reference implementation). */
#ifndef MAE_MODEL_PARAMS_H
#define MAE_MODEL_PARAMS_H

#include <stddef.h>

#include "mae/config/config.h"

typedef enum ParamInit {
  INIT_ZERO,
  INIT_ONE,
  INIT_NORMAL,    /* N(0, 0.02) */
  INIT_XAVIER,    /* U(+-sqrt(6/(rows + columns))) on the [shape[0], rest] view */
  INIT_CONV_BIAS, /* U(+-1/sqrt(fan_in)), fan_in in `fan` */
  INIT_SINCOS2D,
  INIT_SINCOS1D,
} ParamInit;

typedef struct Param {
  char name[64];
  int rank, shape[4];
  size_t count;  /* elements */
  size_t offset; /* elements into the parameter arena; a multiple of 16 */
  ParamInit init;
  int fan;
  bool decays;    /* subject to weight decay: two or more dimensions */
  bool trainable; /* false: fixed position table, stored in checkpoints, no gradient */
} Param;

/* Arena order: decayed, then other trainable, then fixed parameters; the list is in the
 * checkpoint's order. Padding between parameters stays zero. */
typedef struct ParamTable {
  Param *list;
  int count;
  size_t decayed;   /* arena elements up to the end of the decayed part */
  size_t trainable; /* up to the end of the trainable part = length of gradients and moments */
  size_t total;     /* length of the parameter arena */
} ParamTable;

bool params_build(ParamTable *, const Config *, Error *);
void params_free(ParamTable *);
const Param *params_find(const ParamTable *, const char *name);
/* Fills a host arena of table->total floats from the seed. */
void params_init(const ParamTable *, float *arena, const Config *);
/* Whether it is the decoder's, which features do not need. */
bool params_in_decoder(const Param *);
/* Sums of trainable elements without padding. */
size_t params_count_encoder(const ParamTable *);
size_t params_count_decoder(const ParamTable *);

#endif
