/* progress.c - telling, and the line on standard error. */
#include "mae/base/progress.h"

#include <stdio.h>
#include <string.h>

#include "mae/base/clock.h"

/* Seconds between lines: where they overwrite each other, and where they pile up. */
#define LIVE_PERIOD 0.1
#define PLAIN_PERIOD 10.0
/* Seconds of a job before its pace is worth telling. */
#define LEFT_AFTER 3.0

void progress_tell(const ProgressListener *listener, const char *what, size_t done, size_t total) {
  if (listener) listener->tell(listener->user, what, done, total);
}

void progress_text(char *text, size_t size, const char *what, size_t done, size_t total) {
  if (total == PROGRESS_UNKNOWN)
    snprintf(text, size, "%s: %zu", what, done);
  else
    snprintf(text, size, "%s: %zu of %zu (%.0f%%)", what, done, total,
             100.0 * (double)done / (double)total);
}

void progress_time_left(char *text, size_t size, double seconds, size_t first, size_t done,
                        size_t total) {
  *text = '\0';
  if (seconds < LEFT_AFTER || done <= first || done >= total || total == PROGRESS_UNKNOWN) return;
  double left = seconds * (double)(total - done) / (double)(done - first);
  if (left < 100)
    snprintf(text, size, ", %.0f s left", left);
  else if (left < 100 * 60)
    snprintf(text, size, ", %.0f min left", left / 60);
  else
    snprintf(text, size, ", %.1f h left", left / 3600);
}

static void pass_on(void *user, const char *what, size_t done, size_t total) {
  const ProgressPart *part = user;
  char named[PROGRESS_WHAT_MAX];
  if (!part->whole) return;
  if (total) snprintf(named, sizeof named, "%s, %s", part->name, what);
  progress_tell(part->whole, total ? named : what, done, total);
}

ProgressListener progress_of_part(ProgressPart *part) {
  return (ProgressListener){pass_on, part};
}

void progress_clear(ProgressLine *line) {
  if (line->drawn) fputs("\r\033[K", stderr);
  line->drawn = false;
}

static void say(ProgressLine *line, const char *message) {
  progress_clear(line);
  fprintf(stderr, "%s\n", message);
}

static void draw(ProgressLine *line, bool stays, const char *what, size_t done, size_t total) {
  char text[PROGRESS_WHAT_MAX + 64], left[32];
  progress_text(text, sizeof text, what, done, total);
  line->last = clock_seconds();
  double spent = line->began > 0 ? line->last - line->began : 0;
  progress_time_left(left, sizeof left, spent, line->first, done, total);
  progress_clear(line);
  line->drawn = !stays;
  fprintf(stderr, stays ? "%s%s\n" : "%s%s", text, left);
  fflush(stderr);
}

static void show(void *user, const char *what, size_t done, size_t total) {
  ProgressLine *line = user;
  if (!total) {
    say(line, what);
    return;
  }
  double now = clock_seconds();
  if (strcmp(line->job, what) != 0) {
    line->last = line->began = now;
    line->first = done;
  }
  snprintf(line->job, sizeof line->job, "%s", what);
  if (done < total && now - line->last < (line->terminal ? LIVE_PERIOD : PLAIN_PERIOD)) return;
  draw(line, !line->terminal || done == total, what, done, total);
}

static void show_briefly(void *user, const char *what, size_t done, size_t total) {
  ProgressLine *line = user;
  if (!total)
    say(line, what);
  else if (line->terminal && clock_seconds() - line->last >= LIVE_PERIOD)
    draw(line, false, what, done, total);
}

ProgressListener progress_on(ProgressLine *line) {
  return (ProgressListener){show, line};
}

ProgressListener progress_briefly_on(ProgressLine *line) {
  return (ProgressListener){show_briefly, line};
}
