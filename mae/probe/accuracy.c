/* accuracy.c - the rank of the right class. */
#include "mae/probe/accuracy.h"

#include <math.h>

int accuracy_rank(const double *scores, int classes, int label) {
  int rank = 0;
  for (int c = 0; c < classes; c++)
    rank += scores[c] > scores[label] || (scores[c] == scores[label] && c < label);
  return rank;
}

void accuracy_add(Tally *tally, int rank) {
  tally->rows++;
  tally->first += rank == 0;
  tally->among += rank < TOP_MANY;
}

Accuracy accuracy_of(const Tally *tally, int classes) {
  double rows = (double)tally->rows;
  return (Accuracy){.top1 = tally->rows ? 100.0 * (double)tally->first / rows : NAN,
                    .top5 = tally->rows && classes > TOP_MANY ? 100.0 * (double)tally->among / rows
                                                              : NAN};
}
