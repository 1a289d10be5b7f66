/* The line on standard error that says how far a long job is. */
#include "mae/base/progress.h"

#include <stdio.h>

#include "mae/base/clock.h"

void progress_clear(ProgressLine *line) {
  if (line->drawn) fputs("\r\033[K", stderr);
  line->drawn = false;
}

void progress_show(void *user, const char *what, size_t done, size_t total) {
  ProgressLine *line = user;
  if (!total) {
    progress_clear(line);
    fprintf(stderr, "%s\n", what);
    return;
  }
  if (!line->terminal) {
    if (done == total) fprintf(stderr, "%s: %zu done\n", what, total);
    return;
  }
  if (done < total && clock_seconds() - line->last < 0.1) return;
  line->last = clock_seconds();
  line->drawn = done < total;
  fprintf(stderr, "\r\033[K%s %zu of %zu (%.0f%%)%s", what, done, total,
          100.0 * (double)done / (double)total, done == total ? "\n" : "");
  fflush(stderr);
}
