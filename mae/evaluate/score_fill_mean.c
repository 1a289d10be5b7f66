/* score_fill_mean.c - hidden patches in the mean colour of the visible ones. */
#include "kernels/scalar.h"
#include "mae/evaluate/fills.h"
#include "mae/evaluate/scorers.h"

bool fill_mean(float *picture, const uint8_t *image, const uint8_t *masked, int size, int patch) {
  double sum[3] = {0.0, 0.0, 0.0}, visible = 0.0;
  for (int row = 0; row < size; row++)
    for (int column = 0; column < size; column++) {
      if (fill_hides(masked, row, column, size, patch)) continue;
      for (int c = 0; c < 3; c++)
        sum[c] += pixel_unit(image[((size_t)row * size + column) * 3 + c]);
      visible += 1.0;
    }
  for (int row = 0; row < size; row++)
    for (int column = 0; column < size; column++)
      for (int c = 0; c < 3; c++) {
        size_t at = ((size_t)row * size + column) * 3 + c;
        bool hidden = fill_hides(masked, row, column, size, patch);
        picture[at] = hidden ? (float)(sum[c] / visible) : pixel_unit(image[at]);
      }
  return true;
}

static bool score(Metrics *metrics, Evaluator *ev, Error *e) {
  return fill_score(metrics, ev, fill_mean, e);
}

const Scorer scorer_fill_mean = {
    .name = "fill_mean", .title = "mean colour", .baseline = true, .run = score, .fill = fill_mean};
