/* progress.c - telling, and the line on standard error. */
#include "mae/base/progress.h"

#include <stdio.h>

#include "mae/base/clock.h"

/* Seconds between lines: where they overwrite each other, and where they pile up. */
#define LIVE_PERIOD 0.1
#define PLAIN_PERIOD 10.0

void progress_tell(const ProgressListener *listener, const char *what, size_t done, size_t total) {
  if (listener) listener->tell(listener->user, what, done, total);
}

void progress_clear(ProgressLine *line) {
  if (line->drawn) fputs("\r\033[K", stderr);
  line->drawn = false;
}

static void show(void *user, const char *what, size_t done, size_t total) {
  ProgressLine *line = user;
  if (!total) {
    progress_clear(line);
    fprintf(stderr, "%s\n", what);
    return;
  }
  double now = clock_seconds();
  if (line->job != what) line->last = now;
  line->job = what;
  if (done < total && now - line->last < (line->terminal ? LIVE_PERIOD : PLAIN_PERIOD)) return;
  line->last = now;
  progress_clear(line);
  line->drawn = line->terminal && done < total;
  fprintf(stderr, "%s: %zu of %zu (%.0f%%)%s", what, done, total,
          100.0 * (double)done / (double)total, line->drawn ? "" : "\n");
  fflush(stderr);
}

ProgressListener progress_on(ProgressLine *line) {
  return (ProgressListener){show, line};
}
