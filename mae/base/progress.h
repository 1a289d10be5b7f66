/* progress.h - one line on standard error that says how far a long job is. On a terminal it is
 * redrawn in place; elsewhere a line is written every ten seconds, and one at the end of a job. */
#ifndef MAE_BASE_PROGRESS_H
#define MAE_BASE_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>

typedef struct ProgressLine { /* all zero but `terminal`, which says how to write */
  bool terminal, drawn;       /* drawn: the line is on the screen */
  double last;                /* clock_seconds when it was drawn, or the job began */
  const void *job;            /* what was shown last: a string constant */
} ProgressLine;

/* Shows `done` of `total`; total 0: `what` is a message by itself. The
 * first argument is a ProgressLine, so that this can be passed where a callback is asked for. */
void progress_show(void *line, const char *what, size_t done, size_t total);
/* Takes the line off the screen, before something else is written there. */
void progress_clear(ProgressLine *);

#endif
