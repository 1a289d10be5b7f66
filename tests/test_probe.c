/* How classes are told from features: the vote of neighbours against a plain one in double, the
 * linear classifier against scikit-learn, and the minimiser below it. */
#include <math.h>
#include <stdlib.h>

#include "kernels/scalar.h"
#include "mae/probe/minimise.h"
#include "mae/probe/neighbours.h"
#include "mae/probe/regression.h"
#include "tests/suite.h"
#include "tests/tiny.h"

static Device *device;

static void open_device(void) {
  Config config = tiny_config("run.threads=1");
  device = tiny_device(&config);
}

static void close_device(void) {
  device->kernels->close(device);
}

/* A random number of [-1/2, 1/2). The same as a double and, but for the last rounding, as a float,
 * so that another program can make the same features. */
static double noise(uint64_t seed, uint32_t what, int row, int column) {
  return random_uniform(seed, STREAM_SHAPES, what, (uint64_t)row, (uint32_t)column) - 0.5;
}

static int random_label(uint64_t seed, int row, int classes) {
  return (int)(random_bits(seed, STREAM_SHAPES, 0, (uint64_t)row, 0) % (uint32_t)classes);
}

/* Rows that a test fills in. */
typedef struct Made {
  Rows rows;
  float *values;
  int32_t *labels;
} Made;

static Made make(int count, int width) {
  Made made = {.values = calloc((size_t)count * (size_t)width, sizeof(float)),
               .labels = calloc((size_t)count, sizeof(int32_t))};
  made.rows = (Rows){.values = made.values, .labels = made.labels, .count = count, .width = width};
  return made;
}

static void unmake(Made *made) {
  free(made->values);
  free(made->labels);
}

/* Neighbours -----------------------------------------------------------------------------------*/

typedef struct Near {
  double similarity;
  int index;
} Near;

static int nearer(const void *a, const void *b) {
  const Near *x = a, *y = b;
  if (x->similarity != y->similarity) return x->similarity > y->similarity ? -1 : 1;
  return x->index - y->index;
}

static double product(const float *a, const float *b, int width) {
  double sum = 0.0;
  for (int k = 0; k < width; k++) sum += (double)a[k] * (double)b[k];
  return sum;
}

/* The rank of the label among the votes of the `most` rows nearest to a query. */
static int plain_rank(const Rows *train, const float *query, int label, int classes, int most) {
  Near *near = malloc((size_t)train->count * sizeof *near);
  double *votes = calloc((size_t)classes, sizeof *votes);
  double length = sqrt(product(query, query, train->width));
  int rank = 0;
  for (int i = 0; i < train->count; i++) {
    const float *row = train->values + (size_t)i * (size_t)train->width;
    double lengths = length * sqrt(product(row, row, train->width));
    near[i].similarity = lengths > 0 ? product(query, row, train->width) / lengths : 0;
    near[i].index = i;
  }
  qsort(near, (size_t)train->count, sizeof *near, nearer);
  for (int i = 0; i < most; i++)
    votes[train->labels[near[i].index]] += exp(near[i].similarity / 0.07);
  for (int c = 0; c < classes; c++)
    rank += votes[c] > votes[label] || (votes[c] == votes[label] && c < label);
  free(near);
  free(votes);
  return rank;
}

static void vote(Accuracy scores[NEIGHBOUR_COUNTS], const Rows *train, const Rows *eval,
                 int classes, int threads) {
  Error e = {0};
  ck_assert_msg(neighbours_vote(scores, device, train, eval, classes, threads, NULL, &e), "%s",
                e.message);
}

static void assert_percent(double got, double wanted) {
  if (isnan(wanted))
    ck_assert_double_nan(got);
  else
    ck_assert_double_eq(got, wanted);
}

/* Every query alone, so that two wrong votes cannot make up for each other, then all at once. */
static void compare_votes(const Rows *train, const Rows *eval, int classes) {
  Accuracy scores[NEIGHBOUR_COUNTS];
  double first[NEIGHBOUR_COUNTS] = {0}, among[NEIGHBOUR_COUNTS] = {0};
  for (int i = 0; i < eval->count; i++) {
    Rows one = {.values = eval->values + (size_t)i * (size_t)eval->width,
                .labels = eval->labels + i,
                .count = 1,
                .width = eval->width};
    vote(scores, train, &one, classes, 1);
    for (int k = 0; k < NEIGHBOUR_COUNTS; k++) {
      bool voted = neighbour_counts[k] <= train->count;
      int rank =
          voted ? plain_rank(train, one.values, *one.labels, classes, neighbour_counts[k]) : 0;
      assert_percent(scores[k].top1, voted ? rank == 0 ? 100 : 0 : NAN);
      assert_percent(scores[k].top5, voted && classes > 5 ? rank < 5 ? 100 : 0 : NAN);
      first[k] += voted ? rank == 0 : NAN;
      among[k] += voted && classes > 5 ? rank < 5 : NAN;
    }
  }
  vote(scores, train, eval, classes, 1);
  for (int k = 0; k < NEIGHBOUR_COUNTS; k++) {
    assert_percent(scores[k].top1, 100.0 * first[k] / eval->count);
    assert_percent(scores[k].top5, 100.0 * among[k] / eval->count);
  }
}

/* Rows `first` .. first + count of an endless set: a centre for each class, and noise. */
static Made make_clusters(int first, int count, int width, int classes, double spread) {
  Made made = make(count, width);
  for (int i = 0; i < count; i++) {
    int label = made.labels[i] = random_label(1, first + i, classes);
    for (int k = 0; k < width; k++)
      made.values[i * width + k] =
          (float)(noise(1, 1, label, k) + spread * noise(1, 2, first + i, k));
  }
  return made;
}

/* A constant and a little noise: all similarities lie closer together than fp32 can tell. */
static Made make_alike(int first, int count, int width, int classes) {
  Made made = make(count, width);
  for (int i = 0; i < count; i++) {
    made.labels[i] = random_label(2, first + i, classes);
    for (int k = 0; k < width; k++)
      made.values[i * width + k] = (float)(1 + 1e-4 * noise(2, 1, first + i, k));
  }
  return made;
}

START_TEST(votes_of_clusters) {
  /* A width that is no multiple of 8; one class fewer and one more than top 5 needs. */
  Made train = make_clusters(0, 700, 37, 12, 2), eval = make_clusters(700, 150, 37, 12, 2);
  compare_votes(&train.rows, &eval.rows, 12);
  Accuracy scores[NEIGHBOUR_COUNTS];
  vote(scores, &train.rows, &eval.rows, 12, 1);
  ck_assert(scores[0].top1 > 30 && scores[0].top1 < 95 && scores[0].top5 > scores[0].top1);
  unmake(&train);
  unmake(&eval);
  train = make_clusters(0, 300, 3, 5, 1), eval = make_clusters(300, 60, 3, 5, 1);
  compare_votes(&train.rows, &eval.rows, 5);
  unmake(&train);
  unmake(&eval);
}
END_TEST

/* More candidates than the device has room for, and fewer of them than images. */
START_TEST(votes_of_images_much_alike) {
  Made train = make_alike(0, 3000, 20, 10), eval = make_alike(3000, 80, 20, 10);
  compare_votes(&train.rows, &eval.rows, 10);
  Rows few = train.rows;
  few.count = 900;
  compare_votes(&few, &eval.rows, 10);
  unmake(&train);
  unmake(&eval);
}
END_TEST

/* The same image under several labels: of equal similarities the first votes, of equal weights the
 * lower label wins. */
START_TEST(ties) {
  enum { ROWS = 60, WIDTH = 5, CLASSES = 7 };
  Made train = make(ROWS, WIDTH), eval = make(CLASSES, WIDTH);
  Accuracy scores[NEIGHBOUR_COUNTS];
  for (int i = 0; i < ROWS; i++) {
    train.labels[i] = 6 - i % 6; /* 6 5 4 3 2 1 ...: class 0 has no image */
    for (int k = 0; k < WIDTH; k++) train.values[i * WIDTH + k] = (float)(k + 1);
  }
  for (int i = 0; i < CLASSES; i++) {
    eval.labels[i] = i;
    for (int k = 0; k < WIDTH; k++) eval.values[i * WIDTH + k] = (float)(2 * (k + 1));
  }
  compare_votes(&train.rows, &eval.rows, CLASSES);
  /* The first 10: 6 5 4 3 2 1 6 5 4 3; twice voted for is 3 before 4, 5 and 6. */
  for (int i = 0; i < CLASSES; i++) {
    Rows one = {.values = eval.values, .labels = eval.labels + i, .count = 1, .width = WIDTH};
    vote(scores, &train.rows, &one, CLASSES, 1);
    ck_assert_int_eq(neighbour_counts[1], 10);
    ck_assert_double_eq(scores[1].top1, i == 3 ? 100 : 0);
    ck_assert_double_eq(scores[1].top5, i == 0 || i == 2 ? 0 : 100); /* 3 4 5 6 1 2 0 */
    ck_assert_double_nan(scores[2].top1);                            /* 100 of 60 */
  }
  unmake(&train);
  unmake(&eval);
}
END_TEST

/* Similar to nothing, so its nearest are the first; and the last of all to any other. */
START_TEST(features_of_length_zero) {
  Made train = make_clusters(0, 1500, 9, 6, 1), eval = make_clusters(1500, 20, 9, 6, 1);
  for (int i = 0; i < 1500; i += 3) memset(train.values + (size_t)i * 9, 0, 9 * sizeof(float));
  for (int i = 0; i < 20; i += 2) memset(eval.values + (size_t)i * 9, 0, 9 * sizeof(float));
  compare_votes(&train.rows, &eval.rows, 6);
  unmake(&train);
  unmake(&eval);
}
END_TEST

START_TEST(fewer_images_than_votes) {
  static const int counts[] = {1, 9, 10, 19, 20, 99, 100, 199, 200};
  Made train = make_clusters(0, 200, 8, 6, 2), eval = make_clusters(200, 10, 8, 6, 2);
  Accuracy scores[NEIGHBOUR_COUNTS];
  for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
    train.rows.count = counts[i];
    compare_votes(&train.rows, &eval.rows, 6);
    vote(scores, &train.rows, &eval.rows, 6, 1);
    for (int k = 0; k < NEIGHBOUR_COUNTS; k++)
      ck_assert_int_eq(!isnan(scores[k].top1), neighbour_counts[k] <= counts[i]);
  }
  unmake(&train);
  unmake(&eval);
}
END_TEST

/* More queries than are looked at at once, and lengths from 1e-18 to 1e18. */
START_TEST(many_queries_of_any_length) {
  Made train = make_clusters(0, 250, 10, 8, 2), eval = make_clusters(250, 1100, 10, 8, 2);
  Accuracy plain[NEIGHBOUR_COUNTS], scaled[NEIGHBOUR_COUNTS], other[NEIGHBOUR_COUNTS];
  int first = 0;
  for (int i = 0; i < eval.rows.count; i++)
    first += plain_rank(&train.rows, eval.values + (size_t)i * 10, eval.labels[i], 8, 20) == 0;
  vote(plain, &train.rows, &eval.rows, 8, 1);
  ck_assert_double_eq(plain[0].top1, 100.0 * first / 1100);
  for (int threads = 2; threads <= 3; threads++) {
    vote(other, &train.rows, &eval.rows, 8, threads);
    ck_assert_mem_eq(other, plain, sizeof plain);
  }
  for (int i = 0; i < 250; i++) /* powers of two: directions stay what they are */
    for (int k = 0; k < 10; k++) train.values[i * 10 + k] *= ldexpf(1, i % 2 ? 60 : -60);
  vote(scaled, &train.rows, &eval.rows, 8, 1);
  ck_assert_mem_eq(scaled, plain, sizeof plain);
  unmake(&train);
  unmake(&eval);
}
END_TEST

/* Linear classifier ----------------------------------------------------------------------------*/

/* Classes apart by `apart`, within features of which four each have most in common: badly
 * conditioned, so that neither the strongest nor the weakest penalty is best. */
static Made make_features(uint64_t seed, int first, int count, int classes, double common,
                          double apart) {
  enum { WIDTH = 48 };
  Made made = make(count, WIDTH);
  for (int i = 0; i < count; i++) {
    int label = made.labels[i] = random_label(seed, first + i, classes);
    for (int k = 0; k < WIDTH; k++)
      made.values[i * WIDTH + k] =
          (float)(common * noise(seed, 2, first + i, k / 4) + noise(seed, 1, first + i, k) +
                  apart * noise(seed, 3, label, k));
  }
  return made;
}

static Regression fit(const Rows *train, const Rows *eval, int classes, uint64_t seed,
                      int threads) {
  Regression found;
  Error e = {0};
  ck_assert_msg(regression_fit(&found, device, train, eval, classes, seed, threads, NULL, &e), "%s",
                e.message);
  return found;
}

/* What scikit-learn 1.2 makes of the same features: standardised by mean and sqrt(variance + 1e-6)
 * of the training rows in double, LogisticRegression(C = 1 / (strength x rows), tol = 1e-8,
 * max_iter = 20000, multi_class = "multinomial") on the first nine tenths of the shuffled rows for
 * each strength, the best by predict() on the last tenth (its lead over the next is in the table),
 * then on all of them. */
static const struct {
  uint64_t features, seed;
  int classes;
  double apart, strength, top1, top5, lead;
} by_sklearn[] = {
    {5, 1, 8, 0.4, 1e-2, 77.7, 99.0, 4},
    {5, 9, 8, 0.4, 1e-2, 77.7, 99.0, 4},
    {5, 1, 2, 0.25, 1e-1, 85.2, NAN, 2},
};

START_TEST(linear_is_that_of_sklearn) {
  int classes = by_sklearn[_i].classes;
  Made train = make_features(by_sklearn[_i].features, 0, 1000, classes, 3, by_sklearn[_i].apart);
  Made eval = make_features(by_sklearn[_i].features, 1000, 1000, classes, 3, by_sklearn[_i].apart);
  Regression one = fit(&train.rows, &eval.rows, classes, by_sklearn[_i].seed, 1);
  ck_assert_double_eq(one.strength, by_sklearn[_i].strength);
  ck_assert_double_eq_tol(one.accuracy.top1, by_sklearn[_i].top1, 0.2);
  if (isnan(by_sklearn[_i].top5))
    ck_assert_double_nan(one.accuracy.top5);
  else
    ck_assert_double_eq_tol(one.accuracy.top5, by_sklearn[_i].top5, 0.2);
  ck_assert(one.converged);
  ck_assert_int_lt(one.iterations, 150); /* of seven fits */
  for (int threads = 2; threads <= 3; threads++) {
    Regression more = fit(&train.rows, &eval.rows, classes, by_sklearn[_i].seed, threads);
    ck_assert_mem_eq(&more.accuracy, &one.accuracy, sizeof one.accuracy);
    ck_assert_double_eq(more.strength, one.strength);
    ck_assert_int_eq(more.iterations, one.iterations);
  }
  unmake(&train);
  unmake(&eval);
}
END_TEST

/* Classes so far apart that every strength tells them all: the strongest is taken. */
START_TEST(equal_strengths) {
  Made train = make_features(5, 0, 300, 4, 1, 20), eval = make_features(5, 300, 100, 4, 1, 20);
  Regression found = fit(&train.rows, &eval.rows, 4, 1, 1);
  ck_assert_double_eq(found.accuracy.top1, 100);
  ck_assert_double_eq(found.strength, 1);
  unmake(&train);
  unmake(&eval);
}
END_TEST

/* A column without variance says nothing, whatever its size, and does no harm. */
START_TEST(constant_column) {
  Made train = make_features(5, 0, 500, 4, 1, 1), eval = make_features(5, 500, 200, 4, 1, 1);
  int width = train.rows.width;
  for (int i = 0; i < 500; i++) train.values[i * width + 7] = 0;
  for (int i = 0; i < 200; i++) eval.values[i * width + 7] = 0;
  Regression zero = fit(&train.rows, &eval.rows, 4, 1, 1);
  for (int i = 0; i < 500; i++) train.values[i * width + 7] = 1e6f;
  for (int i = 0; i < 200; i++) eval.values[i * width + 7] = 1e6f;
  Regression large = fit(&train.rows, &eval.rows, 4, 1, 1);
  ck_assert(zero.converged && zero.accuracy.top1 > 80);
  ck_assert_double_eq(large.accuracy.top1, zero.accuracy.top1);
  ck_assert_double_eq(large.strength, zero.strength);
  unmake(&train);
  unmake(&eval);
}
END_TEST

/* A class without any training image, one of a single image, and two training images in all. */
START_TEST(classes_hardly_there) {
  Made train = make_features(5, 0, 400, 4, 1, 1), eval = make_features(5, 400, 200, 4, 1, 1);
  int of_class_3 = 0, wrong = 0;
  for (int i = 0; i < 400; i++) train.labels[i] = train.labels[i] == 3 ? 2 : train.labels[i];
  for (int i = 0; i < 200; i++) of_class_3 += eval.labels[i] == 3;
  Regression without = fit(&train.rows, &eval.rows, 4, 1, 1);
  ck_assert(without.converged);
  /* Class 3 is never said, and the others suffer little. */
  wrong = 200 - (int)lround(2 * without.accuracy.top1);
  ck_assert_int_ge(wrong, of_class_3);
  ck_assert_int_lt(wrong, of_class_3 + 40);
  for (int i = 0; i < 400; i++) { /* a single one, wherever the shuffle puts it */
    int32_t label = train.labels[i];
    train.labels[i] = 3;
    if (i % 80 == 0) ck_assert(fit(&train.rows, &eval.rows, 4, 1, 1).converged);
    train.labels[i] = label;
  }
  Rows two = train.rows;
  two.count = 2;
  train.labels[0] = 0;
  train.labels[1] = 1;
  Regression pair = fit(&two, &two, 4, 1, 1);
  ck_assert(pair.accuracy.top1 == 100 && pair.converged);
  ck_assert_double_eq(pair.strength, 1); /* nothing to choose by */
  unmake(&train);
  unmake(&eval);
}
END_TEST

/* What cannot be told is not told: with labels drawn anew, both ways are right as often as a guess,
 * within 4.5 standard deviations. */
START_TEST(nothing_leaks) {
  enum { CLASSES = 8, TRAIN = 800, EVAL = 2000 };
  Made train = make_features(5, 0, TRAIN, CLASSES, 3, 0.4);
  Made eval = make_features(5, TRAIN, EVAL, CLASSES, 3, 0.4);
  Accuracy scores[NEIGHBOUR_COUNTS];
  double chance = 1.0 / CLASSES, deviation = 100 * sqrt(chance * (1 - chance) / EVAL);
  vote(scores, &train.rows, &eval.rows, CLASSES, 1);
  ck_assert_double_gt(scores[0].top1, 100 * chance + 4.5 * deviation);
  for (int i = 0; i < TRAIN; i++) train.labels[i] = random_label(77, i, CLASSES);
  for (int i = 0; i < EVAL; i++) eval.labels[i] = random_label(78, i, CLASSES);
  vote(scores, &train.rows, &eval.rows, CLASSES, 1);
  for (int k = 0; k < NEIGHBOUR_COUNTS; k++) {
    ck_assert_double_eq_tol(scores[k].top1, 100 * chance, 4.5 * deviation);
    ck_assert_double_eq_tol(scores[k].top5, 500 * chance, 4.5 * 1.5 * deviation);
  }
  Regression linear = fit(&train.rows, &eval.rows, CLASSES, 1, 1);
  ck_assert_double_eq_tol(linear.accuracy.top1, 100 * chance, 4.5 * deviation);
  unmake(&train);
  unmake(&eval);
}
END_TEST

/* Minimum --------------------------------------------------------------------------------------*/

enum { VARIABLES = 60 };

/* Half the sum of scale[i] (x[i] - i)^2, whose scales span so many powers of ten around 1, turned
 * so that no axis is its own: each pair (x[i], x[59 - i]) by 45 degrees. */
typedef struct Bowl {
  double decades;
  bool preconditions;
  int calls, fails_at;
} Bowl;

static double bowl_scale(const Bowl *bowl, int i) {
  return pow(10, bowl->decades * ((double)i / (VARIABLES - 1) - 0.5));
}

static void turn(double *to, const double *from) {
  for (int i = 0; i < VARIABLES / 2; i++) {
    double a = from[i], b = from[VARIABLES - 1 - i];
    to[i] = (a + b) * sqrt(0.5);
    to[VARIABLES - 1 - i] = (a - b) * sqrt(0.5);
  }
}

static bool bowl_value(void *user, double *value, double *gradient, const double *x, Error *e) {
  Bowl *bowl = user;
  double away[VARIABLES], turned[VARIABLES];
  if (++bowl->calls == bowl->fails_at) return error_set(e, EXIT_DEVICE, "told to fail");
  for (int i = 0; i < VARIABLES; i++) away[i] = x[i] - i;
  turn(turned, away);
  *value = 0;
  for (int i = 0; i < VARIABLES; i++) {
    *value += 0.5 * bowl_scale(bowl, i) * turned[i] * turned[i];
    turned[i] *= bowl_scale(bowl, i);
  }
  turn(gradient, turned);
  return true;
}

static void bowl_precondition(void *user, double *vector) {
  const Bowl *bowl = user;
  double turned[VARIABLES];
  if (!bowl->preconditions) return;
  turn(turned, vector);
  for (int i = 0; i < VARIABLES; i++) turned[i] /= bowl_scale(bowl, i);
  turn(vector, turned);
}

/* SciPy's L-BFGS-B takes 297 iterations for three decades, ten pairs kept and this tolerance. */
START_TEST(minimum_of_a_bowl) {
  static const struct {
    Bowl bowl;
    int most;
  } cases[] = {{{.decades = 3}, 330},
               {{.decades = 3, .preconditions = true}, 2},
               {{.decades = 8, .preconditions = true}, 2}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    Bowl bowl = cases[i].bowl;
    Objective objective = {VARIABLES, bowl_value, bowl_precondition, &bowl, NULL};
    double x[VARIABLES] = {0};
    Minimum minimum;
    Error e = {0};
    ck_assert(minimise(&minimum, x, &objective, 1e-7, cases[i].most, &e));
    ck_assert(minimum.converged);
    ck_assert_double_le(minimum.gradient, 1e-7);
    ck_assert_double_le(minimum.value, 1e-9);
    for (int k = 0; k < VARIABLES; k++) ck_assert_double_eq_tol(x[k], k, 1e-3);
  }
}
END_TEST

/* Hears of a job that has no known end, one iteration after the other. */
static void count_iterations(void *user, const char *what, size_t done, size_t total) {
  size_t *heard = user;
  ck_assert_str_eq(what, "iterations");
  ck_assert_uint_eq(total, PROGRESS_UNKNOWN);
  ck_assert_uint_eq(done, ++*heard);
}

START_TEST(minimum_not_reached) {
  Bowl bowl = {.decades = 3};
  size_t heard = 0;
  const ProgressListener listener = {count_iterations, &heard};
  Objective objective = {VARIABLES, bowl_value, bowl_precondition, &bowl, &listener};
  double x[VARIABLES] = {0};
  Minimum minimum;
  Error e = {0};
  ck_assert(minimise(&minimum, x, &objective, 1e-7, 5, &e));
  ck_assert(!minimum.converged);
  ck_assert_int_eq(minimum.iterations, 5);
  ck_assert_uint_eq(heard, 5);
  objective.progress = NULL;
  for (int at = 1; at <= 4; at++) {
    bowl = (Bowl){.decades = 3, .fails_at = at};
    e = (Error){0};
    ck_assert(!minimise(&minimum, x, &objective, 0, 50, &e));
    ck_assert_str_eq(e.message, "told to fail");
  }
}
END_TEST

/* log cosh is flat far out, where a step by the curvature nearby is far too long: the line search
 * must shorten it. */
static bool gutter_value(void *user, double *value, double *gradient, const double *x, Error *e) {
  (void)user, (void)e;
  *value = *x * *x < 400 ? log(cosh(*x)) : fabs(*x) - log(2);
  *gradient = tanh(*x);
  return true;
}

static void times_fifty(void *user, double *vector) {
  (void)user;
  *vector *= 50;
}

START_TEST(steps_too_long_are_shortened) {
  Objective objective = {1, gutter_value, times_fifty, NULL, NULL};
  double x = 3;
  Minimum minimum;
  Error e = {0};
  ck_assert(minimise(&minimum, &x, &objective, 1e-9, 100, &e));
  ck_assert(minimum.converged);
  ck_assert_double_eq_tol(x, 0, 1e-8);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("probe");
  TCase *votes = tcase_create("neighbours"), *linear = tcase_create("linear");
  TCase *minima = tcase_create("minimum");
  tcase_add_checked_fixture(votes, open_device, close_device);
  tcase_set_timeout(votes, 60);
  tcase_add_test(votes, votes_of_clusters);
  tcase_add_test(votes, votes_of_images_much_alike);
  tcase_add_test(votes, ties);
  tcase_add_test(votes, features_of_length_zero);
  tcase_add_test(votes, fewer_images_than_votes);
  tcase_add_test(votes, many_queries_of_any_length);
  suite_add_tcase(suite, votes);
  tcase_add_checked_fixture(linear, open_device, close_device);
  tcase_set_timeout(linear, 60);
  tcase_add_loop_test(linear, linear_is_that_of_sklearn, 0, sizeof by_sklearn / sizeof *by_sklearn);
  tcase_add_test(linear, equal_strengths);
  tcase_add_test(linear, constant_column);
  tcase_add_test(linear, classes_hardly_there);
  tcase_add_test(linear, nothing_leaks);
  suite_add_tcase(suite, linear);
  tcase_add_test(minima, minimum_of_a_bowl);
  tcase_add_test(minima, minimum_not_reached);
  tcase_add_test(minima, steps_too_long_are_shortened);
  suite_add_tcase(suite, minima);
  return suite_run(suite);
}
