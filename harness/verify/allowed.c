/* allowed.c - see allowed.h */
#include "harness/verify/allowed.h"

#include <math.h>
#include <string.h>

#include "mae/evaluate/metrics.h"

/* Steps -----------------------------------------------------------------------------------------*/

/* Gradient norms spread further than losses; rates and epochs are not computed from the weights.
 * A loss scale follows the overflows, and which later step overflows is a matter of rounding. */
StepSpread steps_allowed(int number, Precision precision) {
  static const StepSpread fp32[STEP_NUMBERS] = {
      [STEP_LOSS] = {1e-3, 5e-3}, [STEP_GRAD_NORM] = {1e-2, 0.1}, [STEP_LR] = {1e-5, 1e-5}};
  static const StepSpread half[STEP_NUMBERS] = {[STEP_LOSS] = {2e-2, 2e-2},
                                                [STEP_GRAD_NORM] = {0.2, 0.2},
                                                [STEP_LR] = {1e-5, 1e-5},
                                                [STEP_LOSS_SCALE] = {0, INFINITY}};
  return precision == PRECISION_FP32 ? fp32[number] : half[number];
}

static double relative(double a, double b) {
  return a == b ? 0 : fabs(a - b) / fmax(fabs(a), 1e-12);
}

/* A step without a loss is no step. */
static double difference(Number a, Number b, int number) {
  if (a.kind != b.kind || (a.kind == NUMBER_ABSENT && number == STEP_LOSS)) return INFINITY;
  return a.kind == NUMBER_FINITE ? relative(a.value, b.value) : 0;
}

/* Of the mean over the steps up to `last`. Where 16 bits overflowed in one run alone, its step is
 * left out: the update was skipped, and the loss scale halved. */
static double hundred_difference(const RunRecord *then, const RunRecord *now, int number,
                                 int64_t last, Precision precision) {
  double sums[2] = {0};
  for (int64_t step = last - EARLY_STEPS + 1; step <= last; step++) {
    Number a = record_number(then, number, step), b = record_number(now, number, step);
    bool absent = a.kind == NUMBER_ABSENT || b.kind == NUMBER_ABSENT;
    if (isinf(difference(a, b, number)) && (absent || precision == PRECISION_FP32)) return INFINITY;
    if (a.kind != NUMBER_FINITE || b.kind != NUMBER_FINITE) continue;
    sums[0] += a.value;
    sums[1] += b.value;
  }
  return relative(sums[0], sums[1]);
}

StepSpread steps_spread(const RunRecord *then, const RunRecord *now, int number, int64_t steps,
                        Precision precision) {
  StepSpread spread = {0};
  for (int64_t step = 1; step <= steps && step <= EARLY_STEPS; step++) {
    Number a = record_number(then, number, step), b = record_number(now, number, step);
    spread.early = fmax(spread.early, difference(a, b, number));
  }
  /* From the end backwards, so that every mean is of a whole hundred. */
  for (int64_t last = steps; last > EARLY_STEPS; last -= EARLY_STEPS)
    spread.later = fmax(spread.later, hundred_difference(then, now, number, last, precision));
  return spread;
}

/* Scores ----------------------------------------------------------------------------------------*/

static bool ends_in(const char *text, const char *end) {
  size_t length = strlen(text), tail = strlen(end);
  return length >= tail && !strcmp(text + length - tail, end);
}

double score_allowed(const char *name, double value, double images, bool trained) {
  const Metric *metric = metric_find(name);
  const char *unit = metric ? metric->unit : "";
  double decibels = trained ? 0.1 : 0.01;
  /* What was chosen or capped follows from numbers that are compared themselves. */
  if (!strcmp(name, "perfect") || ends_in(name, "_strength")) return INFINITY;
  if (!metric && strcmp(name, "loss") != 0) return 0; /* counts */
  if (!strcmp(unit, "dB")) return decibels;
  if (!strcmp(name, "loss")) return fabs(value) * (pow(10, decibels / 10) - 1);
  if (strcmp(unit, "%") != 0) return trained ? 0.01 : 0.001; /* SSIM */
  /* Standard errors of a share of so many images; a share of none or all has one too. All images
   * pass through one encoder, so that what rounding makes of it moves them together: six of these
   * were seen between two builds. */
  double share = value / 100;
  return (trained ? 8 : 1) * 100 * sqrt((share * (1 - share) + 1 / images) / images);
}
