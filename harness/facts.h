/* facts.h - what the event file of a trial says so far (mae/record/events.h). */
#ifndef HARNESS_FACTS_H
#define HARNESS_FACTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct Facts {
  int starts;                                 /* `start` events: attempts that came so far */
  char binary_sha256[65];                     /* of the newest attempt */
  int64_t steps, step;                        /* planned; done */
  double epoch, loss, speed;                  /* of the newest step; speed in images/s */
  double gflops_per_image, gflops_per_second; /* training; sustained, once measured */
  double images_per_second;                   /* steady state, once measured; NAN before */
  double psnr_masked, psnr_leaky, ssim_composite, fill_mean, fill_harmonic; /* NAN: not yet */
  char end[16]; /* done, interrupted, failed; "" while running or killed */
  int end_code;
  char state_sha256[65]; /* of the end */
  char error[512];       /* the newest attempt's error event */
  char warning[512];     /* its newest warning */
} Facts;

void facts_init(Facts *);
/* Takes one line; false when it is not a JSON object with a name for its event. */
bool facts_take(Facts *, const char *line, size_t length);
/* Takes all complete lines of a file; a missing file says nothing. */
void facts_read(Facts *, const char *path);

/* New lines of a growing file. Only complete lines are handed out; the rest is read again when it
 * has grown, since a restarted writer may cut a half line off. */
typedef struct Tail {
  char *path;
  uint64_t offset; /* of the first byte not handed out */
  uint64_t seen;   /* size of the file at the last reading */
} Tail;

typedef void (*TailLine)(void *user, const char *line, size_t length, uint64_t offset);

void tail_open(Tail *, const char *path);
/* Number of lines handed out. A line longer than 4 MiB is handed out in pieces. */
int tail_read(Tail *, TailLine, void *user);
void tail_close(Tail *);

#endif
