/* events.h - the append-only event file of a training run: one JSON object per line, written by one
 * write(2). It is the source of truth; the database is rebuilt from it. Floats carry 9 significant
 * digits, doubles 17; non-finite numbers are the strings "nan", "inf", "-inf". Every event begins
 * with "event" and "time" (seconds since 1970, UTC, with fraction). All but step and work events
 * are fsynced, and with them those before.
 *
 *  start       format (1), provenance{...}, config (full canonical dump as text), config_hash,
 *              binary_sha256, steps, steps_per_epoch, resumed_from (step or 0), params_encoder,
 *              params_decoder, gflops_per_image, gflops_decoder_per_image (its decoder's part),
 *              dataset{source, sha256, train_images, eval_images, skipped},
 *              memory_planned_bytes, pid (see REPORT_PID_VARIABLE), attempt (EventLog.attempt),
 *              energy_source (nvml-counter | nvml-power | rapl; absent: nothing can be read)
 *  step        step (from 1), epoch (fraction), loss (float), lr, grad_norm, loss_scale, seconds,
 *              images_per_second
 *  eval        step, scorer (absent: the model), images, and every number of metrics.h that has a
 *              meaning for it; norm_pix models: psnr_leaky, ssim_leaky, the leak-free ones absent
 *              of the scorer probe instead of perfect: train_images and classes of the probe, and
 *              seconds it took
 *  baseline    name (fill_mean, pixels ...: scorers.h), images, and the numbers, as in eval
 *  checkpoint  step, path, state_sha256
 *  artifact    kind (sheet | weights | products), path, sha256, bytes
 *  throughput  images_per_second, step_seconds_median, step_seconds_p10, step_seconds_p90,
 *              gflops_per_second, steps (counted), warmup_steps (left out), peak_memory_bytes
 *  energy      what the device took since the attempt opened it, of all ranks: joules, step_joules
 *              (while training steps were computed), images (of those steps); rapl: own_share (of
 *              all processor time that was not idle, this run's); nvml: others (the most other
 *              processes seen on a GPU). Instead of all of these `problem` once a reading failed.
 *              Told before a checkpoint is written, at the end, and between steps when half a
 *              minute has passed, so that how many there are depends on time alone
 *  work        what, done, total (absent: nobody knows): how far a long job is between the events
 *              above, such as "probe, held-out features". Only says that the run is alive: how many
 *              there are, and whether any, depends on time alone (REPORT_WORK_SECONDS). The one
 *              event that may come before the first start (packing)
 *  warning     message
 *  error       code, message
 *  end         status (done | interrupted | failed), step, code, wall_seconds, state_sha256, lines
 *              (of the file before this one)
 *
 * The last member of every event is its seal (seal.h). */
#ifndef MAE_RECORD_EVENTS_H
#define MAE_RECORD_EVENTS_H

#include <stdbool.h>
#include <stdint.h>

#include "mae/base/error.h"
#include "mae/base/text.h"
#include "mae/record/seal.h"

typedef struct EventLog {
  int fd; /* -1: closed */
  char *path;
  int attempt;   /* of this process: 1 more than the start events found in the file */
  int64_t lines; /* in the file */
  Seal seal;
  bool failed; /* a write failed; `error` says how */
  Error error;
  Text line;     /* the open event */
  bool first;    /* no member written yet in the open object */
  bool durable;  /* fsync after the open event */
  double newest; /* clock_seconds of the newest event, or when the log was opened */
} EventLog;

/* Opens for appending; a half-written last line (a killed process) is cut off first. An error when
 * another process has the file open as its log, or when the seals of the lines do not follow. */
bool events_open(EventLog *, const char *path, Error *);
bool events_close(EventLog *, Error *);

void event_begin(EventLog *, const char *name);
void event_string(EventLog *, const char *key, const char *value);
void event_int(EventLog *, const char *key, int64_t value);
void event_bool(EventLog *, const char *key, bool value);
void event_float(EventLog *, const char *key, float value);
void event_double(EventLog *, const char *key, double value);
void event_object(EventLog *, const char *key); /* opens a nested object ... */
void event_object_end(EventLog *);              /* ... and closes it */
/* Ends the line and writes it; false when this or an earlier write failed. After a failure the file
 * ends with the last complete event, and later events are dropped. */
bool event_end(EventLog *, Error *);

#endif
