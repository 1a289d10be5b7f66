/* report.h - what a training run tells: the event file for programs, progress lines for people, and
 * the step times behind the throughput figures. */
#ifndef MAE_TRAIN_REPORT_H
#define MAE_TRAIN_REPORT_H

#include "mae/base/progress.h"
#include "mae/data/dataset.h"
#include "mae/evaluate/metrics.h"
#include "mae/record/checkpoint.h"
#include "mae/record/events.h"

typedef struct Report {
  const Config *config;
  EventLog log;
  bool active;      /* rank 0; the other ranks' report says and writes nothing */
  bool quiet, live; /* live: standard error is a terminal, progress overwrites one line */
  ProgressLine line;
  ProgressListener shown;  /* shows jobs on that line */
  ProgressListener work;   /* for whoever has a long job: shows it, and writes work events */
  double started, printed; /* monotonic seconds */
  int64_t steps;           /* of the whole run */
  double steps_per_epoch;
  double *seconds; /* of this attempt's steps, in order */
  int64_t timed;
} Report;

/* Facts of the start event that the report cannot know by itself. */
typedef struct ReportStart {
  const Model *model;
  const Dataset *dataset;
  const char *started; /* see Ranks */
  size_t memory_planned;
  int64_t resumed_from;
  const char *energy_source;   /* ""; see events.h */
  const char *products_sha256; /* of the table that the device follows; "": none */
} ReportStart;

/* What the device took so far; see events.h. */
typedef struct ReportEnergy {
  const char *source;
  double joules, step_joules;
  double own_share; /* NAN: not of this source, or unknown */
  int others;       /* -1: not of this source */
} ReportEnergy;

/* In the environment: the number of the process that the harness started and knows, when that is a
 * launcher and not the trainer. */
#define REPORT_PID_VARIABLE "MAEBENCH_PID"

/* A job is told of by a work event when the newest event is as old as this. Far below the harness's
 * --timeout, so that what works is not taken for what hangs. The variable is for tests. */
#define REPORT_WORK_SECONDS 30.0
extern double report_work_seconds;

/* With less of the processors' busy time than this a run was not alone on them, and what they took
 * is not known to be its own. The view `trials` has the same limit (harness/store/schema.sql). */
#define ENERGY_ALONE 0.9

/* Opens FOLDER/events.jsonl when active. The report must stay where it is until it is closed. */
bool report_open(Report *, const Config *, const char *folder, bool active, bool quiet, Error *);
void report_close(Report *);

bool report_start(Report *, const ReportStart *, int64_t steps, double steps_per_epoch, Error *);
bool report_step(Report *, const StepState *, double loss, double seconds, Error *);
/* Of the model at a step, or of a baseline, which has none. seconds: that a probe took; NAN: no
 * probe. */
bool report_scores(Report *, const char *scorer, bool baseline, int64_t step, double seconds,
                   const Metrics *, Error *);
bool report_checkpoint(Report *, int64_t step, const char *state_hash, Error *);
/* file: relative to the run folder. */
bool report_artifact(Report *, const char *kind, const char *folder, const char *file, Error *);
/* From the steps so far, less the first max(5, 5%) of them; nothing when no step is left. */
bool report_throughput(Report *, Device *, Error *);
/* Of as many images as steps were reported. last: a line for people, too. */
bool report_energy(Report *, const ReportEnergy *, bool last, Error *);
/* It could not be read at some time: an event instead of the numbers, and a warning. */
bool report_energy_problem(Report *, const char *problem, Error *);
bool report_warning(Report *, Error *, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The last events of a run: `error` when it failed, and `end`. */
bool report_end(Report *, const char *status, int64_t step, int code, const char *state_hash,
                const Error *failure, Error *);
/* Says for people, even when quiet, why the run failed. */
void report_failure(Report *, const Error *);
/* A line for people. */
void report_line(Report *, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
