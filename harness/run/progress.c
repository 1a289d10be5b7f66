/* progress.c - the display while a sweep runs: drawn in place on a terminal, plain lines elsewhere.
 */
#include "harness/run/progress.h"

#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "harness/base/strings.h"
#include "harness/run/runner.h"
#include "mae/base/clock.h"

static const double live_interval = 0.25, plain_interval = 10; /* seconds */

void progress_open(Progress *progress) {
  const char *terminal = getenv("TERM"), *no_color = getenv("NO_COLOR");
  bool live = isatty(STDERR_FILENO) && terminal && strcmp(terminal, "dumb") != 0;
  *progress = (Progress){.out = stderr,
                         .live = live,
                         .colour = live && !(no_color && *no_color),
                         .next = clock_seconds() + (live ? 0 : plain_interval)};
}

static void erase(Progress *progress) {
  if (progress->drawn > 0) fprintf(progress->out, "\r\033[%dA\033[J", progress->drawn);
  progress->drawn = 0;
}

void progress_say(Progress *progress, const char *format, ...) {
  va_list args;
  erase(progress);
  va_start(args, format);
  vfprintf(progress->out, format, args);
  va_end(args);
  fputc('\n', progress->out);
  fflush(progress->out);
  if (progress->live) progress->next = 0;
}

void progress_say_outcome(Progress *progress, bool good, const char *text) {
  if (progress->colour)
    progress_say(progress, "\033[%dm%s\033[0m", good ? 32 : 31, text);
  else
    progress_say(progress, "%s", text);
}

static int terminal_width(void) {
  struct winsize size;
  return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 20 ? size.ws_col : 80;
}

/* Seconds to the trial's last step, from the steps of this attempt. */
static double time_left(const ProgressTrial *trial) {
  double done = (double)(trial->facts->step - trial->step_was);
  if (done <= 0) return NAN;
  double left = (double)(trial->facts->steps - trial->facts->step);
  return left * (clock_seconds() - trial->started) / done;
}

/* The label in at most so many columns: its middle gives way to "..", for a sweep's labels differ
 * at the end as often as at the beginning. */
static char *shorten(const char *label, int room) {
  int length = (int)strlen(label);
  if (length <= room) return string_copy(label);
  if (room < 6) return string_format("%.*s", room > 0 ? room : 0, label);
  int tail = (room - 2) / 2, head = room - 2 - tail;
  return string_format("%.*s..%s", head, label, label + length - tail);
}

/* What the trial has come to, with the units spelled out or not. */
static char *trial_numbers(const ProgressTrial *trial, bool spelled) {
  const Facts *facts = trial->facts;
  char left[32];
  if (*facts->work) return string_copy(facts->work);
  if (facts->steps == 0 || isnan(facts->loss)) return string_copy("preparing");
  format_duration(left, sizeof left, time_left(trial));
  return string_format(
      spelled ? "%3.0f%%  step %lld/%lld  epoch %.1f  loss %.4f  %.0f images/s  %s left"
              : "%3.0f%%  %lld/%lld  ep %.1f  loss %.4f  %.0f/s  %s",
      100.0 * (double)facts->step / (double)facts->steps, (long long)facts->step,
      (long long)facts->steps, facts->epoch, facts->loss, facts->speed, left);
}

char *progress_line(const ProgressTrial *trial, int columns) {
  enum { LABEL_MIN = 24, GAP = 2 }; /* a label this long still tells trials apart */
  int wanted = (int)strlen(trial->label), least = wanted < LABEL_MIN ? wanted : LABEL_MIN;
  char *numbers = trial_numbers(trial, true);
  if (columns > 0 && columns - (int)strlen(numbers) - GAP < least) {
    free(numbers);
    numbers = trial_numbers(trial, false);
  }
  int room = columns - (int)strlen(numbers) - GAP;
  char *label = shorten(trial->label, columns > 0 ? room : wanted);
  char *line = string_format("%s%*s%s", label, *label ? GAP : 0, "", numbers);
  free(label);
  free(numbers);
  return line;
}

static char *sweep_line(const ProgressSweep *sweep) {
  char left[32], failed[32] = "", paused[32] = "", until[48] = "";
  format_duration(left, sizeof left, sweep->seconds_left);
  if (sweep->failed) snprintf(failed, sizeof failed, ", %d failed", sweep->failed);
  if (sweep->paused) snprintf(paused, sizeof paused, ", %d paused", sweep->paused);
  if (sweep->until) snprintf(until, sizeof until, " to step %lld", (long long)sweep->until);
  return string_format("%d of %d trials done%s%s, %s left%s", sweep->done, sweep->total, failed,
                       paused, left, until);
}

/* At most a screen line of text: a wrapped one could not be erased. */
static void draw_line(Progress *progress, char *line, int width, const char *colour) {
  fprintf(progress->out, "%s%.*s%s\n", progress->colour ? colour : "", width - 1, line,
          progress->colour ? "\033[0m" : "");
  free(line);
  progress->drawn++;
}

void progress_show(Progress *progress, const ProgressTrial *trials, int count,
                   const ProgressSweep *sweep) {
  double now = clock_seconds();
  if (now < progress->next) return;
  progress->next = now + (progress->live ? live_interval : plain_interval);
  if (progress->live) {
    int width = terminal_width();
    erase(progress);
    for (int i = 0; i < count; i++)
      draw_line(progress, progress_line(&trials[i], width - 1), width, "");
    draw_line(progress, sweep_line(sweep), width, "\033[1m");
  } else {
    char *whole = sweep_line(sweep);
    for (int i = 0; i < count; i++) {
      char *line = progress_line(&trials[i], 0);
      fprintf(progress->out, "%s  (%s)\n", line, whole);
      free(line);
    }
    free(whole);
  }
  fflush(progress->out);
}

void progress_close(Progress *progress) {
  erase(progress);
  fflush(progress->out);
}
