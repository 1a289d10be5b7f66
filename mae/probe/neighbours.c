/* neighbours.c - candidates by a matrix product on the device, then their exact similarities and
 * the vote on the host. */
#include "mae/probe/neighbours.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "mae/base/io.h"
#include "mae/model/device.h"

const int neighbour_counts[NEIGHBOUR_COUNTS] = {20, 10, 100, 200};
enum { NEIGHBOURS_MOST = 200, CANDIDATES = 1024, QUERIES_MOST = 512 };
enum { PRODUCT_BYTES = 64 << 20 };

/* A training image and its similarity to the query. */
typedef struct Neighbour {
  double similarity;
  int32_t index;
} Neighbour;

typedef struct Vote {
  Device *device;
  const Rows *train, *eval;
  int classes, threads;
  int most, capacity, queries;   /* neighbours at most; candidates and rows at a time */
  float *train_unit, *eval_unit; /* device: rows of length 1 */
  float *products;               /* device, [queries, train->count] */
  int32_t *chosen, *counts;      /* device, [queries, capacity], [queries] */
  int32_t *host_chosen, *host_counts;
  double *train_length, *eval_length;
  Tally tally[NEIGHBOUR_COUNTS];
} Vote;

static int product_rows(int train_rows) {
  int64_t rows = PRODUCT_BYTES / ((int64_t)train_rows * (int64_t)sizeof(float));
  return rows < 1 ? 1 : rows > QUERIES_MOST ? QUERIES_MOST : (int)rows;
}

static int candidates(int train_rows) {
  return train_rows < CANDIDATES ? train_rows : CANDIDATES;
}

size_t neighbours_memory(int train_rows, int width) {
  size_t n = (size_t)train_rows, queries = (size_t)product_rows(train_rows);
  return ((n + queries) * (size_t)width + queries * n) * sizeof(float) +
         queries * ((size_t)candidates(train_rows) + 1) * sizeof(int32_t);
}

/* In eight sums, so that it vectorises, the same way on every processor. */
static double dot(const float *a, const float *b, int width) {
  double sum[8] = {0.0};
  int i = 0;
  for (; i + 8 <= width; i += 8)
    for (int k = 0; k < 8; k++) sum[k] += (double)a[i + k] * (double)b[i + k];
  for (int k = 0; i + k < width; k++) sum[k] += (double)a[i + k] * (double)b[i + k];
  return ((sum[0] + sum[4]) + (sum[1] + sum[5])) + ((sum[2] + sum[6]) + (sum[3] + sum[7]));
}

static void measure(double *lengths, const Rows *rows, int threads) {
#pragma omp parallel for num_threads(threads) schedule(static)
  for (int i = 0; i < rows->count; i++) {
    const float *row = rows->values + (size_t)i * (size_t)rows->width;
    lengths[i] = sqrt(dot(row, row, rows->width));
  }
}

/* Uploads rows first .. first+count, scaled to length 1. */
static bool upload_units(Vote *vote, float *to, const Rows *rows, const double *lengths, int first,
                         int count, Error *e) {
  size_t width = (size_t)rows->width;
  enum { AT_ONCE = 4096 };
  float *unit =
      io_buffer((size_t)(count < AT_ONCE ? count : AT_ONCE) * width * sizeof *unit, "features", e);
  for (int done = 0; unit && done < count; done += AT_ONCE) {
    int n = count - done < AT_ONCE ? count - done : AT_ONCE;
    for (int i = 0; i < n; i++) {
      const float *row = rows->values + (size_t)(first + done + i) * width;
      double length = lengths[first + done + i];
      for (size_t k = 0; k < width; k++)
        unit[(size_t)i * width + k] = length > 0.0 ? (float)(row[k] / length) : 0.0f;
    }
    vote->device->kernels->upload(vote->device, to + (size_t)done * width, unit,
                                  (size_t)n * width * sizeof *unit);
  }
  bool ok = unit != NULL;
  free(unit);
  return ok;
}

static int nearest_first(const void *a, const void *b) {
  const Neighbour *x = a, *y = b;
  if (x->similarity != y->similarity) return x->similarity < y->similarity ? 1 : -1;
  return (x->index > y->index) - (x->index < y->index);
}

/* How far a product of two fp32 rows of length 1 can be from their similarity: each element is
 * rounded, and every one of `width` additions and products (Higham 2002, section 3.1). */
static float product_error(int width) {
  return (float)(width + 8) * 0x1p-24f;
}

/* Scratch of one thread. */
typedef struct Room {
  Neighbour *near; /* [train->count] */
  double *weights; /* [classes] */
} Room;

/* The exact similarities of one query's candidates, nearest first. Where there were more than the
 * device has room for, every training image is one. */
static int find_near(const Vote *vote, Room *room, int query, const int32_t *chosen, int count) {
  const Rows *train = vote->train, *eval = vote->eval;
  const float *row = eval->values + (size_t)query * (size_t)eval->width;
  bool all = count > vote->capacity;
  if (all) count = train->count;
  for (int i = 0; i < count; i++) {
    int at = all ? i : chosen[i];
    double lengths = vote->eval_length[query] * vote->train_length[at];
    double product = dot(row, train->values + (size_t)at * (size_t)train->width, train->width);
    room->near[i] = (Neighbour){lengths > 0.0 ? product / lengths : 0.0, at};
  }
  qsort(room->near, (size_t)count, sizeof *room->near, nearest_first);
  return count;
}

static void count_votes(const Vote *vote, Room *room, int ranks[NEIGHBOUR_COUNTS], int label) {
  memset(room->weights, 0, (size_t)vote->classes * sizeof *room->weights);
  for (int i = 0; i < vote->most; i++) {
    int32_t of = vote->train->labels[room->near[i].index];
    room->weights[of] += exp(room->near[i].similarity / NEIGHBOURS_TEMPERATURE);
    for (int k = 0; k < NEIGHBOUR_COUNTS; k++)
      if (neighbour_counts[k] == i + 1)
        ranks[k] = accuracy_rank(room->weights, vote->classes, label);
  }
}

static bool count_queries(Vote *vote, int first, int count, Error *e) {
  bool full = false;
  int(*ranks)[NEIGHBOUR_COUNTS] = io_buffer((size_t)count * sizeof *ranks, "votes", e);
  if (!ranks) return false;
#pragma omp parallel num_threads(vote->threads)
  {
    Room room = {malloc((size_t)vote->train->count * sizeof *room.near),
                 malloc((size_t)vote->classes * sizeof *room.weights)};
    if (!room.near || !room.weights) {
#pragma omp atomic write
      full = true;
    }
#pragma omp barrier
#pragma omp for schedule(dynamic, 8)
    for (int i = 0; i < count; i++) {
      if (full) continue;
      find_near(vote, &room, first + i, vote->host_chosen + (size_t)i * (size_t)vote->capacity,
                vote->host_counts[i]);
      count_votes(vote, &room, ranks[i], vote->eval->labels[first + i]);
    }
    free(room.near);
    free(room.weights);
  }
  for (int i = 0; !full && i < count; i++)
    for (int k = 0; k < NEIGHBOUR_COUNTS; k++)
      if (neighbour_counts[k] <= vote->most) accuracy_add(&vote->tally[k], ranks[i][k]);
  free(ranks);
  return !full || error_set(e, EXIT_DEVICE, "out of memory for the nearest of %d training images",
                            vote->train->count);
}

static bool vote_open(Vote *vote, Error *e) {
  Device *device = vote->device;
  size_t n = (size_t)vote->train->count, width = (size_t)vote->train->width;
  size_t queries = (size_t)vote->queries, room = queries * (size_t)vote->capacity;
  size_t host = (size_t)vote->eval->count;
  bool ok =
      (vote->train_unit = device_alloc(device, n * width * sizeof(float), "features", e)) &&
      (vote->eval_unit = device_alloc(device, queries * width * sizeof(float), "features", e)) &&
      (vote->products = device_alloc(device, queries * n * sizeof(float), "similarities", e)) &&
      (vote->chosen = device_alloc(device, room * sizeof(int32_t), "candidates", e)) &&
      (vote->counts = device_alloc(device, queries * sizeof(int32_t), "candidates", e)) &&
      (vote->host_chosen = io_buffer(room * sizeof(int32_t), "candidates", e)) &&
      (vote->host_counts = io_buffer(queries * sizeof(int32_t), "candidates", e)) &&
      (vote->train_length = io_buffer(n * sizeof(double), "lengths", e)) &&
      (vote->eval_length = io_buffer((host ? host : 1) * sizeof(double), "lengths", e));
  return ok;
}

static void vote_close(Vote *vote) {
  void *on_device[] = {vote->train_unit, vote->eval_unit, vote->products, vote->chosen,
                       vote->counts};
  for (size_t i = 0; i < sizeof on_device / sizeof *on_device; i++)
    if (on_device[i]) vote->device->kernels->free(vote->device, on_device[i]);
  free(vote->host_chosen);
  free(vote->host_counts);
  free(vote->train_length);
  free(vote->eval_length);
}

static bool vote_on(Vote *vote, int first, int count, Error *e) {
  Device *device = vote->device;
  const Kernels *k = device->kernels;
  int columns = vote->train->count;
  if (!upload_units(vote, vote->eval_unit, vote->eval, vote->eval_length, first, count, e))
    return false;
  k->linear_forward(device, vote->products, DTYPE_F32, vote->eval_unit, vote->train_unit, NULL,
                    DTYPE_F32, (size_t)count, vote->train->width, columns);
  /* The k-th product may be too high by the error, and one of the k nearest too low by it. */
  k->largest_in_rows(device, vote->chosen, vote->counts, vote->products, (size_t)count, columns,
                     vote->most, 2.0f * product_error(vote->train->width), vote->capacity);
  k->download(device, vote->host_counts, vote->counts, (size_t)count * sizeof(int32_t));
  k->download(device, vote->host_chosen, vote->chosen,
              (size_t)count * (size_t)vote->capacity * sizeof(int32_t));
  return device_synchronize(device, e) && count_queries(vote, first, count, e);
}

bool neighbours_vote(Accuracy scores[NEIGHBOUR_COUNTS], Device *device, const Rows *train,
                     const Rows *eval, int classes, int threads, const ProgressListener *progress,
                     Error *e) {
  Vote vote = {.device = device,
               .train = train,
               .eval = eval,
               .classes = classes,
               .threads = threads,
               .most = train->count < NEIGHBOURS_MOST ? train->count : NEIGHBOURS_MOST,
               .capacity = candidates(train->count),
               .queries = product_rows(train->count)};
  bool ok = vote_open(&vote, e);
  if (ok) {
    measure(vote.train_length, train, threads);
    measure(vote.eval_length, eval, threads);
    ok = upload_units(&vote, vote.train_unit, train, vote.train_length, 0, train->count, e);
  }
  for (int first = 0; ok && first < eval->count; first += vote.queries) {
    int left = eval->count - first, count = left < vote.queries ? left : vote.queries;
    ok = vote_on(&vote, first, count, e);
    if (ok) progress_tell(progress, "vote", (size_t)first + (size_t)count, (size_t)eval->count);
  }
  for (int k = 0; k < NEIGHBOUR_COUNTS; k++) scores[k] = accuracy_of(&vote.tally[k], classes);
  vote_close(&vote);
  return ok;
}
