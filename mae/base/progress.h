/* progress.h - how far a long job is: who does it tells a listener, and the commonest listener is
 * one line on standard error. On a terminal that is redrawn in place; elsewhere a line is written
 * every ten seconds, and one at the end of a job. After some seconds of a job it also says how long
 * the rest takes at the pace so far. */
#ifndef MAE_BASE_PROGRESS_H
#define MAE_BASE_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The total of a job whose end nobody can foresee, such as the iterations of a minimisation. */
#define PROGRESS_UNKNOWN SIZE_MAX

/* Hears that `done` of `total` (images, bytes ...) of a job are done. what: the job in a few words,
 * at most PROGRESS_WHAT_MAX bytes of which are kept. total 0: `what` is a message by itself, such
 * as a file that was skipped. Called from any thread, but one at a time. */
enum { PROGRESS_WHAT_MAX = 96 };
typedef struct ProgressListener {
  void (*tell)(void *user, const char *what, size_t done, size_t total);
  void *user;
} ProgressListener;

/* NULL: nobody listens. */
void progress_tell(const ProgressListener *, const char *what, size_t done, size_t total);
/* "packing: 12 of 80 (15%)", without "of" where the total is PROGRESS_UNKNOWN. Cut off where it
 * does not fit. */
void progress_text(char *text, size_t size, const char *what, size_t done, size_t total);
/* ", 12 min left" when `seconds` brought a job from `first` to `done`; "" when that says little. */
void progress_time_left(char *text, size_t size, double seconds, size_t first, size_t done,
                        size_t total);

/* Passes on what it hears, with a name before it: "probe, vote" for "vote". */
typedef struct ProgressPart {
  const ProgressListener *whole; /* NULL: nobody listens */
  const char *name;
} ProgressPart;
ProgressListener progress_of_part(ProgressPart *);

typedef struct ProgressLine { /* all zero but `terminal`, which says how to write */
  bool terminal, drawn;       /* drawn: the line is on the screen */
  double last;                /* clock_seconds when it was drawn, or the job began */
  double began;               /* the same, when the job was first heard of, and */
  size_t first;               /* how far it was then */
  char job[PROGRESS_WHAT_MAX];
} ProgressLine;

/* Shows on the line what it is told; the line must outlive the listener. */
ProgressListener progress_on(ProgressLine *);
/* The same for jobs that come by the dozen: shown on a terminal only, and nothing of them stays. */
ProgressListener progress_briefly_on(ProgressLine *);
/* Takes the line off the screen, before something else is written there. */
void progress_clear(ProgressLine *);

#endif
