/* progress.h - what a run says while it works, on standard error: a display that is redrawn in
 * place on a terminal, plain lines elsewhere. NO_COLOR is honoured. */
#ifndef HARNESS_RUN_PROGRESS_H
#define HARNESS_RUN_PROGRESS_H

#include <stdbool.h>
#include <stdio.h>

#include "harness/trial/facts.h"

typedef struct ProgressTrial {
  const char *label;
  const Facts *facts;
  double started;   /* clock_seconds */
  int64_t step_was; /* of the attempt's start: what it did since is its speed */
} ProgressTrial;

typedef struct ProgressSweep {
  int done, failed, paused, total; /* paused: by [prune] */
  int64_t until;                   /* the step to which those that run go; 0: their end */
  double seconds_left;             /* NAN: not known yet */
} ProgressSweep;

typedef struct Progress {
  FILE *out;
  bool live, colour;
  int drawn;   /* lines on the screen that the next drawing replaces */
  double next; /* when the next drawing or plain line is due */
} Progress;

void progress_open(Progress *);
/* A line that stays. */
void progress_say(Progress *, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Colours a line that stays: good or bad news. */
void progress_say_outcome(Progress *, bool good, const char *text);
/* Redraws, or prints a plain line for each trial, when it is time to. */
void progress_show(Progress *, const ProgressTrial *, int count, const ProgressSweep *);
/* A trial's line in at most so many columns (0: any number). The label is shortened, then the words
 * between the numbers; numbers of the usual length fit in 64. The caller frees. */
char *progress_line(const ProgressTrial *, int columns);
/* Removes the display. */
void progress_close(Progress *);

#endif
