/* regression.c - the regression's value and gradient on the device, its minimum by minimise.c.
 *
 * Features of neural networks are far from independent, which makes plain L-BFGS take hundreds of
 * iterations. The Hessian at equal probabilities is known: (1/K)(1 - 1/K) times the features'
 * second moments for each class, nearly. Its inverse is what L-BFGS starts from. */
#include "mae/probe/regression.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/scalar.h"
#include "mae/base/carve.h"
#include "mae/base/io.h"
#include "mae/data/dataset.h"
#include "mae/model/device.h"
#include "mae/probe/minimise.h"

#define VARIANCE_EPS 1e-6
enum { ITERATIONS_MAX = 500, EVAL_ROWS = 4096, CHOICE_PARTS = 10 };
static const double strengths[] = {REGRESSION_STRENGTHS};
enum { STRENGTHS = sizeof strengths / sizeof *strengths };

typedef struct Fit {
  Device *device;
  const Rows *train;
  int classes, threads;
  int width, rows; /* rows: the first so many of x are fitted */
  double strength;
  const ProgressListener *progress;
  int fits; /* made so far */
  /* On the device, in one arena. */
  void *arena;
  float *x;         /* [train->count, width] standardised; those to choose by come last */
  float *x_eval;    /* [EVAL_ROWS, width] */
  float *logits;    /* [max(train->count, EVAL_ROWS), classes] */
  float *losses;    /* [train->count] */
  float *weights;   /* [classes, width], and behind them [classes] biases */
  float *d_weights; /* the same; or [width, width] second moments */
  float *inverse;   /* [width, width]: the Hessian's estimate, inverted */
  float *directions, *products; /* [classes, width]; the same times the inverse */
  int32_t *labels;              /* [train->count] */
  /* On the host. */
  int32_t *order, *host_labels; /* [train->count]: training row of each row of x, its label */
  float *staging;               /* whatever comes or goes next */
  float *host_losses;           /* [train->count] */
  double *mean, *scale;         /* [width] of the training rows */
  double *moments;              /* [width, width]: mean of x x^T over all training rows */
  double *factor, *columns;     /* [width, width]: Cholesky's factor, the inverse */
  double *solution;             /* [classes, width + 1]: weights and bias */
} Fit;

static size_t larger(size_t a, size_t b) {
  return a > b ? a : b;
}

/* The one list of device buffers: measures when base is NULL, places otherwise. */
static size_t carve_fit(Fit *fit, size_t n, size_t width, size_t classes, void *base) {
  Carve carve = {.base = base};
  size_t solution = classes * (width + 1), square = width * width, f = sizeof(float);
  fit->x = carve_bytes(&carve, n * width * f);
  fit->x_eval = carve_bytes(&carve, EVAL_ROWS * width * f);
  fit->logits = carve_bytes(&carve, larger(n, EVAL_ROWS) * classes * f);
  fit->losses = carve_bytes(&carve, n * f);
  fit->weights = carve_bytes(&carve, solution * f);
  fit->d_weights = carve_bytes(&carve, larger(solution, square) * f);
  fit->inverse = carve_bytes(&carve, square * f);
  fit->directions = carve_bytes(&carve, classes * width * f);
  fit->products = carve_bytes(&carve, classes * width * f);
  fit->labels = carve_bytes(&carve, n * sizeof *fit->labels);
  return carve.used;
}

size_t regression_memory(int train_rows, int width, int classes) {
  Fit measured;
  return carve_fit(&measured, (size_t)train_rows, (size_t)width, (size_t)classes, NULL);
}

static bool fit_open(Fit *fit, Error *e) {
  size_t n = (size_t)fit->train->count, width = (size_t)fit->width, k = (size_t)fit->classes;
  size_t square = width * width, solution = k * (width + 1), f = sizeof(float);
  size_t staged = larger(larger(EVAL_ROWS * width, EVAL_ROWS * k), larger(solution, square));
  fit->arena =
      device_alloc(fit->device, regression_memory(fit->train->count, fit->width, fit->classes),
                   "a linear classifier", e);
  if (!fit->arena) return false;
  carve_fit(fit, n, width, k, fit->arena);
  return (fit->order = io_buffer(n * sizeof *fit->order, "an order of images", e)) &&
         (fit->host_labels = io_buffer(n * sizeof *fit->host_labels, "labels", e)) &&
         (fit->staging = io_buffer(staged * f, "features", e)) &&
         (fit->host_losses = io_buffer(n * f, "losses", e)) &&
         (fit->mean = io_buffer(width * sizeof *fit->mean, "means", e)) &&
         (fit->scale = io_buffer(width * sizeof *fit->scale, "deviations", e)) &&
         (fit->moments = io_buffer(square * sizeof *fit->moments, "features' moments", e)) &&
         (fit->factor = io_buffer(square * sizeof *fit->factor, "features' moments", e)) &&
         (fit->columns = io_buffer(square * sizeof *fit->columns, "features' moments", e)) &&
         (fit->solution = io_buffer(solution * sizeof *fit->solution, "a linear classifier", e));
}

static void fit_close(Fit *fit) {
  void *on_host[] = {fit->order, fit->host_labels, fit->staging, fit->host_losses, fit->mean,
                     fit->scale, fit->moments,     fit->factor,  fit->columns,     fit->solution};
  if (fit->arena) fit->device->kernels->free(fit->device, fit->arena);
  for (size_t i = 0; i < sizeof on_host / sizeof *on_host; i++) free(on_host[i]);
}

/* Standardisation ------------------------------------------------------------------------------*/

static void find_scale(Fit *fit) {
  const Rows *rows = fit->train;
  size_t width = (size_t)fit->width;
#pragma omp parallel for num_threads(fit->threads) schedule(static)
  for (size_t k = 0; k < width; k++) {
    double sum = 0.0, squares = 0.0;
    for (int i = 0; i < rows->count; i++) sum += rows->values[(size_t)i * width + k];
    fit->mean[k] = sum / rows->count;
    for (int i = 0; i < rows->count; i++) {
      double d = rows->values[(size_t)i * width + k] - fit->mean[k];
      squares += d * d;
    }
    fit->scale[k] = 1.0 / sqrt(squares / rows->count + VARIANCE_EPS);
  }
}

/* Uploads `count` rows, standardised: row first + i, or order[first + i] where there is an order.
 */
static void upload_rows(Fit *fit, float *to, const Rows *rows, const int32_t *order, int first,
                        int count) {
  size_t width = (size_t)fit->width;
  for (int done = 0; done < count; done += EVAL_ROWS) {
    int n = count - done < EVAL_ROWS ? count - done : EVAL_ROWS;
#pragma omp parallel for num_threads(fit->threads) schedule(static)
    for (int i = 0; i < n; i++) {
      int at = first + done + i;
      const float *row = rows->values + (size_t)(order ? order[at] : at) * width;
      for (size_t k = 0; k < width; k++)
        fit->staging[(size_t)i * width + k] = (float)((row[k] - fit->mean[k]) * fit->scale[k]);
    }
    fit->device->kernels->upload(fit->device, to + (size_t)done * width, fit->staging,
                                 (size_t)n * width * sizeof(float));
  }
}

/* Puts the training rows in a random order. */
static void shuffle(Fit *fit, uint64_t seed) {
  int n = fit->train->count;
  data_permute(fit->order, n, seed, STREAM_PROBE, 0);
  for (int i = 0; i < n; i++) fit->host_labels[i] = fit->train->labels[fit->order[i]];
}

/* The objective --------------------------------------------------------------------------------*/

/* The solution as the device reads it: weights, then biases. */
static void upload_solution(Fit *fit, const double *x) {
  size_t width = (size_t)fit->width, classes = (size_t)fit->classes;
  for (size_t c = 0; c < classes; c++) {
    for (size_t k = 0; k < width; k++) fit->staging[c * width + k] = (float)x[c * (width + 1) + k];
    fit->staging[classes * width + c] = (float)x[c * (width + 1) + width];
  }
  fit->device->kernels->upload(fit->device, fit->weights, fit->staging,
                               classes * (width + 1) * sizeof(float));
}

static float *biases(const Fit *fit, float *weights) {
  return weights + (size_t)fit->classes * (size_t)fit->width;
}

static void make_logits(Fit *fit, const float *rows, int count) {
  fit->device->kernels->linear_forward(fit->device, fit->logits, DTYPE_F32, rows, fit->weights,
                                       biases(fit, fit->weights), DTYPE_F32, (size_t)count,
                                       fit->width, fit->classes);
}

static bool value_and_gradient(void *user, double *value, double *gradient, const double *x,
                               Error *e) {
  Fit *fit = user;
  const Kernels *k = fit->device->kernels;
  size_t width = (size_t)fit->width, classes = (size_t)fit->classes;
  upload_solution(fit, x);
  make_logits(fit, fit->x, fit->rows);
  k->softmax_loss(fit->device, fit->losses, fit->logits, fit->labels, (size_t)fit->rows,
                  fit->classes, 1.0f / (float)fit->rows);
  k->linear_backward_weight(fit->device, fit->d_weights, biases(fit, fit->d_weights), fit->logits,
                            fit->x, DTYPE_F32, (size_t)fit->rows, fit->width, fit->classes, false);
  k->download(fit->device, fit->host_losses, fit->losses, (size_t)fit->rows * sizeof(float));
  k->download(fit->device, fit->staging, fit->d_weights, classes * (width + 1) * sizeof(float));
  if (!device_synchronize(fit->device, e)) return false;
  double loss = 0.0, squares = 0.0;
  for (int i = 0; i < fit->rows; i++) loss += fit->host_losses[i];
  for (size_t c = 0; c < classes; c++) {
    const double *w = x + c * (width + 1);
    double *g = gradient + c * (width + 1);
    for (size_t i = 0; i < width; i++) {
      squares += w[i] * w[i];
      g[i] = (double)fit->staging[c * width + i] + fit->strength * w[i];
    }
    g[width] = fit->staging[classes * width + c];
  }
  *value = loss / fit->rows + 0.5 * fit->strength * squares;
  return true;
}

/* The estimate of the Hessian: see the top. */
static double curvature(const Fit *fit) {
  return (1.0 - 1.0 / fit->classes) / fit->classes;
}

static bool find_moments(Fit *fit, Error *e) {
  const Kernels *k = fit->device->kernels;
  size_t count = (size_t)fit->width * (size_t)fit->width;
  k->linear_backward_weight(fit->device, fit->d_weights, NULL, fit->x, fit->x, DTYPE_F32,
                            (size_t)fit->train->count, fit->width, fit->width, false);
  k->download(fit->device, fit->staging, fit->d_weights, count * sizeof(float));
  if (!device_synchronize(fit->device, e)) return false;
  for (size_t i = 0; i < count; i++) fit->moments[i] = (double)fit->staging[i] / fit->train->count;
  return true;
}

/* a . b in eight sums, so that it vectorises, the same way on every processor. */
static double dot(const double *a, const double *b, size_t n) {
  double sum[8] = {0.0};
  size_t i = 0;
  for (; i + 8 <= n; i += 8)
    for (size_t k = 0; k < 8; k++) sum[k] += a[i + k] * b[i + k];
  for (size_t k = 0; i + k < n; k++) sum[k] += a[i + k] * b[i + k];
  return ((sum[0] + sum[4]) + (sum[1] + sum[5])) + ((sum[2] + sum[6]) + (sum[3] + sum[7]));
}

/* The Cholesky factor of curvature x moments + strength, below the diagonal and on it. */
static void factorise(Fit *fit) {
  size_t n = (size_t)fit->width;
  double *l = fit->factor;
  for (size_t i = 0; i < n * n; i++) l[i] = curvature(fit) * fit->moments[i];
  for (size_t j = 0; j < n; j++) {
    double *row = l + j * n, pivot = row[j] + fit->strength - dot(row, row, j);
    /* Moments come from fp32 sums, which may miss by more than a small strength adds. */
    row[j] = sqrt(fmax(pivot, 1e-9));
#pragma omp parallel for num_threads(fit->threads) schedule(static)
    for (size_t i = j + 1; i < n; i++)
      l[i * n + j] = (l[i * n + j] - dot(l + i * n, row, j)) / row[j];
  }
}

/* Column j of the inverse: two triangular solves. */
static void invert_column(double *column, const double *l, size_t n, size_t j) {
  for (size_t i = 0; i < n; i++) column[i] = i == j;
  for (size_t i = j; i < n; i++)
    column[i] = (column[i] - dot(l + i * n + j, column + j, i - j)) / l[i * n + i];
  for (size_t i = n; i-- > 0;) {
    column[i] /= l[i * n + i];
    for (size_t k = 0; k < i; k++) column[k] -= l[i * n + k] * column[i];
  }
}

static void invert(Fit *fit) {
  size_t n = (size_t)fit->width;
  factorise(fit);
#pragma omp parallel for num_threads(fit->threads) schedule(static)
  for (size_t j = 0; j < n; j++) invert_column(fit->columns + j * n, fit->factor, n, j);
  for (size_t i = 0; i < n * n; i++) fit->staging[i] = (float)fit->columns[i];
  fit->device->kernels->upload(fit->device, fit->inverse, fit->staging, n * n * sizeof(float));
}

/* Each class's weights times the inverse. */
static void precondition(void *user, double *vector) {
  const Fit *fit = user;
  const Kernels *k = fit->device->kernels;
  size_t n = (size_t)fit->width, count = (size_t)fit->classes * n;
  for (size_t i = 0; i < count; i++) fit->staging[i] = (float)vector[i / n * (n + 1) + i % n];
  k->upload(fit->device, fit->directions, fit->staging, count * sizeof(float));
  k->linear_forward(fit->device, fit->products, DTYPE_F32, fit->directions, fit->inverse, NULL,
                    DTYPE_F32, (size_t)fit->classes, fit->width, fit->width);
  k->download(fit->device, fit->staging, fit->products, count * sizeof(float));
  for (size_t i = 0; i < count; i++) vector[i / n * (n + 1) + i % n] = fit->staging[i];
  for (int c = 0; c < fit->classes; c++) vector[(size_t)c * (n + 1) + n] /= curvature(fit);
}

/* Fits the first `rows` rows with a strength, from the solution that is there. */
static bool fit_rows(Fit *fit, Regression *result, int rows, double strength, Error *e) {
  Minimum minimum;
  char name[32];
  ProgressPart part = {fit->progress, name};
  const ProgressListener listener = progress_of_part(&part);
  Objective objective = {.count = (size_t)fit->classes * ((size_t)fit->width + 1),
                         .value = value_and_gradient,
                         .precondition = precondition,
                         .user = fit,
                         .progress = &listener};
  snprintf(name, sizeof name, "fit %d of %d", ++fit->fits, STRENGTHS + 1);
  fit->rows = rows;
  fit->strength = strength;
  invert(fit);
  if (!minimise(&minimum, fit->solution, &objective, REGRESSION_TOLERANCE, ITERATIONS_MAX, e))
    return false;
  result->iterations += minimum.iterations;
  result->converged &= minimum.converged;
  return true;
}

/* Scoring --------------------------------------------------------------------------------------*/

/* Adds the ranks of the labels of `count` rows, whose logits are on the device. */
static bool add_ranks(Fit *fit, Tally *tally, const int32_t *labels, int count, Error *e) {
  size_t classes = (size_t)fit->classes;
  double *scores = io_buffer(classes * sizeof *scores, "logits", e);
  bool ok = scores != NULL;
  for (int done = 0; ok && done < count; done += EVAL_ROWS) {
    int n = count - done < EVAL_ROWS ? count - done : EVAL_ROWS;
    fit->device->kernels->download(fit->device, fit->staging, fit->logits + (size_t)done * classes,
                                   (size_t)n * classes * sizeof(float));
    ok = device_synchronize(fit->device, e);
    for (int i = 0; ok && i < n; i++) {
      for (size_t c = 0; c < classes; c++) scores[c] = fit->staging[(size_t)i * classes + c];
      accuracy_add(tally, accuracy_rank(scores, fit->classes, labels[done + i]));
    }
  }
  free(scores);
  return ok;
}

/* The strength that does best on the last rows of x, after fitting the first `fitted`. From strong
 * to weak, each fit going on from the last. */
static bool choose_strength(Fit *fit, Regression *result, int fitted, Error *e) {
  int left = fit->train->count - fitted;
  double best = -1.0;
  result->strength = strengths[0];
  for (int i = 0; i < STRENGTHS && left > 0; i++) {
    Tally tally = {0};
    if (!fit_rows(fit, result, fitted, strengths[i], e)) return false;
    upload_solution(fit, fit->solution);
    make_logits(fit, fit->x + (size_t)fitted * (size_t)fit->width, left);
    if (!add_ranks(fit, &tally, fit->host_labels + fitted, left, e)) return false;
    double found = accuracy_of(&tally, fit->classes).top1;
    if (found > best) result->strength = strengths[i];
    if (found > best) best = found;
  }
  return true;
}

static bool score_rows(Fit *fit, Tally *tally, const Rows *eval, Error *e) {
  upload_solution(fit, fit->solution);
  for (int first = 0; first < eval->count; first += EVAL_ROWS) {
    int n = eval->count - first < EVAL_ROWS ? eval->count - first : EVAL_ROWS;
    upload_rows(fit, fit->x_eval, eval, NULL, first, n);
    make_logits(fit, fit->x_eval, n);
    if (!add_ranks(fit, tally, eval->labels + first, n, e)) return false;
  }
  return true;
}

static bool prepare(Fit *fit, uint64_t seed, Error *e) {
  int n = fit->train->count;
  shuffle(fit, seed);
  find_scale(fit);
  upload_rows(fit, fit->x, fit->train, fit->order, 0, n);
  fit->device->kernels->upload(fit->device, fit->labels, fit->host_labels,
                               (size_t)n * sizeof(int32_t));
  memset(fit->solution, 0, (size_t)fit->classes * ((size_t)fit->width + 1) * sizeof *fit->solution);
  return find_moments(fit, e);
}

bool regression_fit(Regression *result, Device *device, const Rows *train, const Rows *eval,
                    int classes, uint64_t seed, int threads, const ProgressListener *progress,
                    Error *e) {
  Tally tally = {0};
  Fit fit = {.device = device,
             .train = train,
             .classes = classes,
             .threads = threads,
             .width = train->width,
             .progress = progress};
  *result = (Regression){.converged = true};
  bool ok = fit_open(&fit, e) && prepare(&fit, seed, e) &&
            choose_strength(&fit, result, train->count - train->count / CHOICE_PARTS, e) &&
            fit_rows(&fit, result, train->count, result->strength, e) &&
            score_rows(&fit, &tally, eval, e);
  result->accuracy = accuracy_of(&tally, classes);
  fit_close(&fit);
  return ok;
}
