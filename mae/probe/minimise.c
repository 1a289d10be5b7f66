/* minimise.c - L-BFGS with a backtracking line search. */
#include "mae/probe/minimise.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "mae/base/io.h"

enum { MEMORY = 10, HALVINGS = 20 };

/* The last steps and what the gradient did over them; the newest in place (taken - 1) % MEMORY. */
typedef struct History {
  double *steps[MEMORY], *changes[MEMORY], curvature[MEMORY]; /* steps . changes */
  int taken;
  double scale; /* of the initial inverse Hessian */
} History;

static double dot(const double *a, const double *b, size_t n) {
  double sum = 0.0;
  for (size_t i = 0; i < n; i++) sum += a[i] * b[i];
  return sum;
}

static double largest(const double *a, size_t n) {
  double most = 0.0;
  for (size_t i = 0; i < n; i++) most = fmax(most, fabs(a[i]));
  return most;
}

/* direction = -(inverse Hessian) gradient: the two loops. */
static void find_direction(double *direction, const History *h, const double *gradient,
                           const Objective *f) {
  double alpha[MEMORY];
  size_t n = f->count;
  int kept = h->taken < MEMORY ? h->taken : MEMORY;
  for (size_t i = 0; i < n; i++) direction[i] = -gradient[i];
  for (int back = 1; back <= kept; back++) {
    int at = (h->taken - back) % MEMORY;
    alpha[at] = dot(h->steps[at], direction, n) / h->curvature[at];
    for (size_t i = 0; i < n; i++) direction[i] -= alpha[at] * h->changes[at][i];
  }
  f->precondition(f->user, direction);
  for (size_t i = 0; i < n; i++) direction[i] *= h->scale;
  for (int back = kept; back >= 1; back--) {
    int at = (h->taken - back) % MEMORY;
    double beta = dot(h->changes[at], direction, n) / h->curvature[at];
    for (size_t i = 0; i < n; i++) direction[i] += (alpha[at] - beta) * h->steps[at][i];
  }
}

/* Takes the step from (x, gradient) to (next, next_gradient) into account. work: [count]. */
static void remember(History *h, const Objective *f, const double *x, const double *gradient,
                     const double *next, const double *next_gradient, double *work) {
  size_t n = f->count;
  double *step = h->steps[h->taken % MEMORY], *change = h->changes[h->taken % MEMORY];
  for (size_t i = 0; i < n; i++) {
    step[i] = next[i] - x[i];
    change[i] = next_gradient[i] - gradient[i];
  }
  double curvature = dot(step, change, n);
  memcpy(work, change, n * sizeof *work);
  f->precondition(f->user, work);
  double along = dot(change, work, n);
  /* Rounding can leave a step without curvature: it says nothing. */
  if (!(curvature > 0.0) || !(along > 0.0)) return;
  h->scale = curvature / along;
  h->curvature[h->taken++ % MEMORY] = curvature;
}

/* All vectors of a search, in one block. */
typedef struct Search {
  History history;
  double *gradient, *next, *next_gradient, *direction;
} Search;

/* Goes from x along the direction until the value falls enough (Armijo); *moved says whether it
 * did. */
static bool line_search(Search *s, const double *x, double *value, bool *moved, const Objective *f,
                        Error *e) {
  double slope = dot(s->gradient, s->direction, f->count), next_value;
  *moved = false;
  if (!(slope < 0.0)) return true;
  double length = 1.0;
  for (int i = 0; i < HALVINGS && !*moved; i++, length *= 0.5) {
    for (size_t k = 0; k < f->count; k++) s->next[k] = x[k] + length * s->direction[k];
    if (!f->value(f->user, &next_value, s->next_gradient, s->next, e)) return false;
    *moved = next_value <= *value + 1e-4 * length * slope;
  }
  if (*moved) *value = next_value;
  return true;
}

static bool search(Minimum *m, double *x, Search *s, const Objective *f, double tolerance,
                   int iterations_max, Error *e) {
  size_t bytes = f->count * sizeof *x;
  if (!f->value(f->user, &m->value, s->gradient, x, e)) return false;
  for (; m->iterations < iterations_max; m->iterations++) {
    bool moved;
    m->gradient = largest(s->gradient, f->count);
    m->converged = m->gradient <= tolerance;
    if (m->converged) return true;
    find_direction(s->direction, &s->history, s->gradient, f);
    if (!line_search(s, x, &m->value, &moved, f, e)) return false;
    if (!moved) {
      m->converged = true; /* as far as the value's own rounding lets it */
      return true;
    }
    remember(&s->history, f, x, s->gradient, s->next, s->next_gradient, s->direction);
    memcpy(x, s->next, bytes);
    memcpy(s->gradient, s->next_gradient, bytes);
    progress_tell(f->progress, "iterations", (size_t)m->iterations + 1, PROGRESS_UNKNOWN);
  }
  return true;
}

bool minimise(Minimum *m, double *x, const Objective *f, double tolerance, int iterations_max,
              Error *e) {
  size_t n = f->count;
  double *block = io_buffer((2 * MEMORY + 4) * n * sizeof *block, "a minimisation", e);
  *m = (Minimum){.value = NAN, .gradient = NAN};
  if (!block) return false;
  Search s = {.history.scale = 1.0};
  double *next = block;
  for (int i = 0; i < MEMORY; i++, next += 2 * n) {
    s.history.steps[i] = next;
    s.history.changes[i] = next + n;
  }
  s.gradient = next;
  s.next = next + n;
  s.next_gradient = next + 2 * n;
  s.direction = next + 3 * n;
  bool ok = search(m, x, &s, f, tolerance, iterations_max, e);
  free(block);
  return ok;
}
