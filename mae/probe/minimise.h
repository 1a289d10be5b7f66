/* minimise.h - the minimum of a smooth convex function by L-BFGS (Nocedal and Wright, Numerical
 * Optimization, 2nd edition, algorithm 7.4), with an initial inverse Hessian of the caller's. In
 * double, one thread, so the same everywhere. */
#ifndef MAE_PROBE_MINIMISE_H
#define MAE_PROBE_MINIMISE_H

#include <stddef.h>

#include "mae/base/error.h"
#include "mae/base/progress.h"

typedef struct Objective {
  size_t count; /* variables */
  /* The value at x and its gradient; false on failure. */
  bool (*value)(void *user, double *value, double *gradient, const double *x, Error *);
  /* vector[count] becomes the inverse of an estimate of the Hessian times it. */
  void (*precondition)(void *user, double *vector);
  void *user;
  const ProgressListener *progress; /* hears of iterations */
} Objective;

typedef struct Minimum {
  double value, gradient; /* the gradient's largest element */
  int iterations;
  bool converged; /* gradient <= tolerance, or no step lowers the value any more */
} Minimum;

/* From x, which becomes the minimum. */
bool minimise(Minimum *, double *x, const Objective *, double tolerance, int iterations_max,
              Error *);

#endif
