/* bench.h - measuring whole training steps, and the matrix products that bound them. */
#ifndef MAE_TRAIN_BENCH_H
#define MAE_TRAIN_BENCH_H

#include "mae/config/config.h"

typedef struct BenchResult {
  int steps, warmup;
  double step_seconds_median, step_seconds_p10, step_seconds_p90;
  double images_per_second, gflops_per_second; /* at the median step */
  double gflops_per_image;
  double loss; /* of the last step: shows that the work was done */
  size_t memory_peak, memory_planned;
} BenchResult;

/* Forward, backward and optimiser with new masks every step, on noise images that lie on the device
 * from the start, or with pipeline on new crops of smaller sources in every step; the first
 * `warmup` steps are left out, of an attached profile too. */
bool bench_steps(BenchResult *, const Config *, Device *, bool pipeline, int steps, int warmup,
                 Error *);

/* GFLOP/s of large square matrix products in `type`: the best of several sizes, each the median of
 * repetitions over about a second. */
bool bench_peak(double *gflops_per_second, Device *, Dtype type, Error *);

/* GB/s of reading and writing arrays that no cache holds. */
bool bench_memory(double *gigabytes_per_second, Device *, Error *);

#endif
