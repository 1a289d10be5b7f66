/* What probes of features need: the largest values of rows, and the softmax regression's loss. */
#include <math.h>
#include <stdlib.h>

#include "tests/kernels/cases.h"

/* "rows columns k capacity": one value; all of a row; fewer columns than a block has threads, and
 * several rounds of it; more within the margin than there is room for; many equal values. */
static const int largest_sizes[][CASE_SIZES] = {
    {1, 1, 1, 1}, {3, 7, 7, 8}, {4, 200, 10, 40}, {2, 1500, 200, 260}, {3, 900, 50, 20},
};
static const int largest_speed_sizes[][CASE_SIZES] = {{160, 100000, 200, 1024}};
#define MARGIN 0.05f

enum { L_CHOSEN, L_COUNTS, L_VALUES };

static void largest_describe(Case *c) {
  size_t rows = (size_t)c->size[0], columns = (size_t)c->size[1];
  case_out(c, "chosen", KIND_I32, rows * (size_t)c->size[3], 0);
  case_out(c, "counts", KIND_I32, rows, 0);
  double *x = c->buffer[case_in(c, "values", KIND_F32, rows * columns, 0, 1)].value;
  /* The last row has few different values, zeros of both signs among them. */
  for (size_t i = (rows - 1) * columns; i < rows * columns; i++) x[i] = rint(x[i]);
  c->flops = 10.0 * (double)(rows * columns);
}
static void largest_call(Device *d, void *const *b, const Case *c) {
  d->kernels->largest_in_rows(d, b[L_CHOSEN], b[L_COUNTS], b[L_VALUES], (size_t)c->size[0],
                              c->size[1], c->size[2], MARGIN, c->size[3]);
}
static int descending(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x < y) - (x > y);
}
static void largest_reference(double *const *b, const Case *c) {
  int columns = c->size[1], capacity = c->size[3];
  double *sorted = malloc((size_t)columns * sizeof *sorted);
  for (int r = 0; r < c->size[0]; r++) {
    const double *row = b[L_VALUES] + (size_t)r * columns;
    for (int i = 0; i < columns; i++) sorted[i] = row[i];
    qsort(sorted, (size_t)columns, sizeof *sorted, descending);
    float least = (float)sorted[c->size[2] - 1] - MARGIN;
    int count = 0;
    for (int i = 0; i < capacity; i++) b[L_CHOSEN][(size_t)r * capacity + i] = -1;
    for (int i = 0; i < columns; i++)
      if (row[i] >= least && count++ < capacity) b[L_CHOSEN][(size_t)r * capacity + count - 1] = i;
    b[L_COUNTS][r] = count;
  }
  free(sorted);
}

/* "rows classes": fewer and more classes than a warp has lanes, no full block of rows. */
static const int softmax_sizes[][CASE_SIZES] = {{1, 2}, {9, 10}, {33, 200}, {5, 1000}};
static const int softmax_speed_sizes[][CASE_SIZES] = {{100000, 200}};
#define FACTOR 0.125f

enum { X_LOSSES, X_LOGITS, X_LABELS };

static void softmax_describe(Case *c) {
  size_t rows = (size_t)c->size[0], classes = (size_t)c->size[1];
  case_out(c, "losses", KIND_F32, rows, 4e-6);
  double *x = c->buffer[case_inout(c, "logits", KIND_F32, rows * classes, 0, 3, 4e-6)].value;
  x[0] = 60; /* one class is all but certain */
  case_integers(c, "labels", KIND_I32, rows, 0, (int)classes - 1);
  c->flops = 20.0 * (double)(rows * classes);
}
static void softmax_call(Device *d, void *const *b, const Case *c) {
  d->kernels->softmax_loss(d, b[X_LOSSES], b[X_LOGITS], b[X_LABELS], (size_t)c->size[0], c->size[1],
                           FACTOR);
}
static void softmax_reference(double *const *b, const Case *c) {
  int classes = c->size[1];
  for (int r = 0; r < c->size[0]; r++) {
    double *row = b[X_LOGITS] + (size_t)r * classes, sum = 0, most = row[0];
    int label = (int)b[X_LABELS][r];
    for (int i = 1; i < classes; i++) most = fmax(most, row[i]);
    for (int i = 0; i < classes; i++) sum += exp(row[i] - most);
    b[X_LOSSES][r] = log(sum) + most - row[label];
    for (int i = 0; i < classes; i++) row[i] = FACTOR * (exp(row[i] - most) / sum - (i == label));
  }
}

const Operation probe_operations[] = {
    {.name = "largest_in_rows",
     .size_names = "rows columns k capacity",
     .sizes = largest_sizes,
     .size_count = CASE_COUNT(largest_sizes),
     .speed_sizes = largest_speed_sizes,
     .speed_count = CASE_COUNT(largest_speed_sizes),
     .fp32_only = true,
     .describe = largest_describe,
     .call = largest_call,
     .reference = largest_reference},
    {.name = "softmax_loss",
     .size_names = "rows classes",
     .sizes = softmax_sizes,
     .size_count = CASE_COUNT(softmax_sizes),
     .speed_sizes = softmax_speed_sizes,
     .speed_count = CASE_COUNT(softmax_speed_sizes),
     .fp32_only = true,
     .describe = softmax_describe,
     .call = softmax_call,
     .reference = softmax_reference},
    {0},
};
