/* neighbours.h - the class of an image by a vote of the training images nearest to it, as Caron et
 * al. 2021 (DINO, arXiv 2104.14294) compute it: similarity is the cosine of the features, a vote
 * weighs exp(similarity / 0.07), and the class with the most weight wins.
 *
 * The result is that of double precision throughout, vote for vote: products in fp32 only say which
 * images can be among the nearest. Ties: of equal similarities the image that comes first, of equal
 * weights the lower label. A feature of length 0 has similarity 0 to everything. */
#ifndef MAE_PROBE_NEIGHBOURS_H
#define MAE_PROBE_NEIGHBOURS_H

#include "mae/base/error.h"
#include "mae/base/progress.h"
#include "mae/probe/accuracy.h"

#define NEIGHBOURS_TEMPERATURE 0.07

/* How many vote; the second is the headline. */
enum { NEIGHBOUR_COUNTS = 4 };
extern const int neighbour_counts[NEIGHBOUR_COUNTS];

/* Tells the classes of eval's rows from train's. scores[i] is for neighbour_counts[i] votes; NAN
 * where there are fewer training rows. Labels lie in 0..classes-1, and every feature is finite.
 * threads: of the host. The listener hears of eval's rows. */
bool neighbours_vote(Accuracy scores[NEIGHBOUR_COUNTS], Device *, const Rows *train,
                     const Rows *eval, int classes, int threads, const ProgressListener *, Error *);
/* Bytes on the device meanwhile. */
size_t neighbours_memory(int train_rows, int width);

#endif
