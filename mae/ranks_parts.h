/* ranks_parts.h - what the ranks_*.c files share, and nobody else needs. */
#ifndef MAE_RANKS_PARTS_H
#define MAE_RANKS_PARTS_H

#include "mae/ranks.h"

enum { RANK_MESSAGE_MAX = 128 };

/* Keeps the first failure: "the message; the last checkpoint is good, continue with --resume".
 * Returns false. */
bool ranks_fail(Ranks *, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Ranks of one machine. */
bool ranks_local_start(Ranks *, Error *);
void ranks_local_stop(Ranks *, const Error *);
/* False, and the ranks have failed, when one of them has ended. */
bool ranks_local_alive(Ranks *);
/* all[count][bytes] = every rank's `bytes` bytes (at most RANK_MESSAGE_MAX), in rank order. */
bool ranks_local_gather(Ranks *, void *all, const void *own, size_t bytes, Error *);
void ranks_local_exchange(Ranks *, Model *);

#endif
