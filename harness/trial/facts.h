/* facts.h - what the event file of a trial says so far (mae/record/events.h). */
#ifndef HARNESS_TRIAL_FACTS_H
#define HARNESS_TRIAL_FACTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mae/base/progress.h"
#include "mae/evaluate/metrics.h"
#include "mae/record/event_line.h"

enum { FACTS_BASELINES_MAX = 8 };

typedef struct Facts {
  int starts;             /* `start` events: attempts that came so far */
  char binary_sha256[65]; /* of the newest attempt ... */
  char config_hash[65], dataset_sha256[65];
  int64_t
      broken_line; /* of facts_read: the first that does not follow from those before; 0: none */
  int64_t steps, step;                        /* planned; done */
  double epoch, loss, speed;                  /* of the newest step; speed in images/s */
  double gflops_per_image, gflops_per_second; /* training; sustained, once measured */
  double images_per_second;                   /* steady state, once measured; NAN before */
  /* The model's newest evaluation, in the order of metric_list; NAN: not yet, or no meaning. */
  double metrics[METRICS_MAX];
  /* psnr_masked of the fills: the baselines of scorer_list that do not probe; NAN: not yet. */
  double baselines[FACTS_BASELINES_MAX];
  char end[16]; /* done, interrupted, failed; "" while running or killed */
  int end_code;
  char state_sha256[65]; /* of the end */
  char error[512];       /* the newest attempt's error event */
  char warning[512];     /* its newest warning */
  /* The long job it is at, "probe, vote: 512 of 10000 (5%)"; "" once another event follows. Says
   * nothing of the result, and is not noted (FACTS_NOTE). */
  char work[PROGRESS_WHAT_MAX + 64];
} Facts;

void facts_init(Facts *);
void facts_take_event(Facts *, const EventLine *);
/* Takes one line; false when it is no event. */
bool facts_take(Facts *, const char *line, size_t length);
/* Takes all complete lines of a file, up to the first whose seal is broken (mae/record/seal.h); a
 * missing file says nothing. Of training steps only the newest is looked at. */
void facts_read(Facts *, const char *path);
/* The same of a trial's event file, which is read whole once for every state of it:
 * TRIAL/FACTS_NOTE notes what was found, with the file's size, times and number on the disk, and
 * while those are the same it is not read again. A note that is not whole, or an older harness's,
 * says nothing. What changes bytes below the file system alone is found by `harness verify` and
 * `harness import`, which always read. */
#define FACTS_NOTE "events.facts"
void facts_read_noted(Facts *, const char *trial_folder);
/* The one place that says whether a trial is finished: its event file ends with a finished run, and
 * every line of it follows from those before. */
bool facts_finished(const Facts *);

/* A metric by its name. */
double facts_metric(const Facts *, const char *name);
/* The number that runs are ranked and compared by, in dB: psnr_masked, or psnr_leaky of a norm_pix
 * model, which has no other. */
const char *facts_score_name(const Facts *);
double facts_score(const Facts *);
/* The name of baselines[index]; NULL past the last. */
const char *facts_baseline_name(int index);

#endif
