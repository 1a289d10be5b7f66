/* score_fill_harmonic.c - hidden pixels as Laplace's equation fills them from the visible ones. */
#include <stdlib.h>

#include "mae/evaluate/fills.h"
#include "mae/evaluate/scorers.h"

/* The harmonic fill solves, for every hidden pixel, (number of neighbours) u = sum of neighbours:
 * a symmetric positive definite system once the visible pixels are moved to the right-hand side.
 * Conjugate gradients need no tuned parameter and about as many iterations as the widest hole has
 * pixels. Arrays have a frame of one pixel of zeros around the image, so that a missing neighbour
 * adds nothing: the free border. */
typedef struct Laplace {
  int size;
  size_t width, cells; /* framed */
  double *degree;      /* [cells] neighbours of a hidden pixel; 0: not an unknown */
  double *u, *r, *p, *q;
} Laplace;

/* q = A p; p is zero wherever there is no unknown. Returns p.q. */
static double laplace_apply(const Laplace *s) {
  const double *degree = s->degree, *p = s->p;
  double *q = s->q, sum = 0.0;
  size_t w = s->width, last = s->cells - w - 1;
#pragma omp simd reduction(+ : sum)
  for (size_t i = w + 1; i < last; i++) {
    double a = degree[i] * p[i] - (p[i - 1] + p[i + 1]) - (p[i - w] + p[i + w]);
    q[i] = degree[i] > 0.0 ? a : 0.0;
    sum += p[i] * q[i];
  }
  return sum;
}

/* u += alpha p; r -= alpha q. Returns r.r. */
static double laplace_advance(const Laplace *s, double alpha) {
  const double *p = s->p, *q = s->q;
  double *u = s->u, *r = s->r, sum = 0.0;
#pragma omp simd reduction(+ : sum)
  for (size_t i = 0; i < s->cells; i++) {
    u[i] += alpha * p[i];
    r[i] -= alpha * q[i];
    sum += r[i] * r[i];
  }
  return sum;
}

/* From u's values (exact where visible, a first guess where hidden) to the solution. The smallest
 * eigenvalue for a hole of w pixels is about (pi/2w)^2 or more, so a residual of 1e-8 leaves less
 * than 1e-5 even where a 50-pixel hole touches the border. */
static void laplace_solve(const Laplace *s) {
  const double *u = s->u;
  size_t w = s->width;
  double rr = 0.0;
  for (size_t i = w + 1; i < s->cells - w - 1; i++) {
    double sum = (u[i - 1] + u[i + 1]) + (u[i - w] + u[i + w]);
    s->r[i] = s->degree[i] > 0.0 ? sum - s->degree[i] * u[i] : 0.0;
    s->p[i] = s->r[i];
    rr += s->r[i] * s->r[i];
  }
  for (int iteration = 0; rr > 1e-16 && iteration < 100 * s->size; iteration++) {
    double alpha = rr / laplace_apply(s), before = rr;
    rr = laplace_advance(s, alpha);
    double beta = rr / before;
    for (size_t i = 0; i < s->cells; i++) s->p[i] = s->r[i] + beta * s->p[i];
  }
}

bool fill_harmonic(float *picture, const uint8_t *image, const uint8_t *masked, int size,
                   int patch) {
  Laplace s = {.size = size, .width = (size_t)size + 2, .cells = (size_t)(size + 2) * (size + 2)};
  double *memory = calloc(s.cells * 5, sizeof *memory);
  if (!memory) return false;
  s.degree = memory;
  s.u = memory + s.cells;
  s.r = memory + 2 * s.cells;
  s.p = memory + 3 * s.cells;
  s.q = memory + 4 * s.cells;
  for (int row = 0; row < size; row++)
    for (int column = 0; column < size; column++)
      if (fill_hides(masked, row, column, size, patch))
        s.degree[(row + 1) * s.width + column + 1] =
            (row > 0) + (row + 1 < size) + (column > 0) + (column + 1 < size);
  fill_mean(picture, image, masked, size, patch);
  for (int c = 0; c < 3; c++) {
    for (size_t row = 0; row < (size_t)size; row++)
      for (size_t column = 0; column < (size_t)size; column++)
        s.u[(row + 1) * s.width + column + 1] = picture[(row * size + column) * 3 + c];
    laplace_solve(&s);
    for (size_t row = 0; row < (size_t)size; row++)
      for (size_t column = 0; column < (size_t)size; column++) {
        size_t cell = (row + 1) * s.width + column + 1;
        if (s.degree[cell] > 0.0) picture[(row * size + column) * 3 + c] = (float)s.u[cell];
      }
  }
  free(memory);
  return true;
}

static bool score(Metrics *metrics, Evaluator *ev, Error *e) {
  return fill_score(metrics, ev, fill_harmonic, e);
}

const Scorer scorer_fill_harmonic = {.name = "fill_harmonic",
                                     .title = "harmonic fill",
                                     .baseline = true,
                                     .run = score,
                                     .fill = fill_harmonic};
