/* clock.h - the one clock that durations are measured by. */
#ifndef MAE_BASE_CLOCK_H
#define MAE_BASE_CLOCK_H

/* Seconds since some moment in the past. Never set back, whatever happens to the time of day; may
 * be called in a signal handler. */
double clock_seconds(void);
/* The time of day: seconds since 1970, UTC. */
double clock_now(void);

#endif
