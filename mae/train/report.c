/* report.c - one function per event: writes it into the log, and a line about it for people. */
#include "mae/train/report.h"

#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mae/base/clock.h"
#include "mae/base/io.h"
#include "mae/base/quantile.h"
#include "mae/base/sha256.h"
#include "mae/record/provenance.h"

/* Seconds between progress lines: where they overwrite each other, and where they pile up. */
#define LIVE_PERIOD 0.2
#define PLAIN_PERIOD 10.0

double report_work_seconds = REPORT_WORK_SECONDS;

/* An event that cannot be written is found out by the next one, which has somebody to tell it. */
static void write_work(EventLog *log, const char *what, size_t done, size_t total) {
  event_begin(log, "work");
  event_string(log, "what", what);
  event_int(log, "done", (int64_t)done);
  if (total != PROGRESS_UNKNOWN) event_int(log, "total", (int64_t)total);
  event_end(log, NULL);
}

static void hear_work(void *user, const char *what, size_t done, size_t total) {
  Report *report = user;
  if (!report->quiet) progress_tell(&report->shown, what, done, total);
  if (report->active && total && clock_seconds() - report->log.newest >= report_work_seconds)
    write_work(&report->log, what, done, total);
}

bool report_open(Report *report, const Config *config, const char *folder, bool active, bool quiet,
                 Error *e) {
  *report = (Report){.config = config, .active = active, .quiet = quiet || !active};
  report->live = !report->quiet && isatty(STDERR_FILENO);
  report->line.terminal = report->live;
  report->shown = progress_on(&report->line);
  report->work = (ProgressListener){hear_work, report};
  report->started = report->printed = clock_seconds();
  report->log.fd = -1;
  if (!active) return true;
  char path[CONFIG_PATH_MAX];
  return io_join(path, sizeof path, folder, "events.jsonl", e) &&
         events_open(&report->log, path, e);
}

void report_close(Report *report) {
  progress_clear(&report->line);
  if (report->active && report->log.fd >= 0) events_close(&report->log, NULL);
  free(report->seconds);
  report->seconds = NULL;
}

void report_line(Report *report, const char *format, ...) {
  if (report->quiet) return;
  va_list args;
  progress_clear(&report->line);
  va_start(args, format);
  vfprintf(stderr, format, args);
  va_end(args);
  fputc('\n', stderr);
}

void report_failure(Report *report, const Error *e) {
  progress_clear(&report->line);
  fprintf(stderr, "mae train: %s\n", e->message);
}

static bool write_config(EventLog *log, const Config *config, Error *e) {
  char *text = NULL;
  size_t size;
  FILE *memory = open_memstream(&text, &size);
  if (!memory) return error_set(e, EXIT_DEVICE, "out of memory for the configuration's text");
  config_dump(config, memory, false);
  fclose(memory);
  event_string(log, "config", text);
  free(text);
  return true;
}

bool report_start(Report *report, const ReportStart *start, int64_t steps, double steps_per_epoch,
                  Error *e) {
  const Config *config = report->config;
  const Dataset *dataset = start->dataset;
  const Model *model = start->model;
  EventLog *log = &report->log;
  char hash[65], binary[65];
  report->steps = steps;
  report->shown = progress_briefly_on(&report->line);
  report->steps_per_epoch = steps_per_epoch;
  report->seconds = malloc((size_t)(steps - start->resumed_from + 1) * sizeof *report->seconds);
  if (!report->seconds)
    return error_set(e, EXIT_DEVICE, "out of memory for the times of %lld steps", (long long)steps);
  if (!report->active) return true;
  config_hash(config, hash);
  if (!provenance_binary_hash(binary, e)) return false;
  event_begin(log, "start");
  event_int(log, "format", 1);
  event_object(log, "provenance");
  provenance_write(log, config, model->device);
  event_string(log, "started_by", start->started);
  if (*start->products_sha256) event_string(log, "products_sha256", start->products_sha256);
  event_object_end(log);
  if (!write_config(log, config, e)) return false;
  event_string(log, "config_hash", hash);
  event_string(log, "binary_sha256", binary);
  event_int(log, "steps", steps);
  event_double(log, "steps_per_epoch", steps_per_epoch);
  event_int(log, "resumed_from", start->resumed_from);
  event_int(log, "params_encoder", (int64_t)params_count_encoder(&model->table));
  event_int(log, "params_decoder", (int64_t)params_count_decoder(&model->table));
  event_double(log, "gflops_per_image", model_gflops_per_image(config, true));
  event_double(log, "gflops_decoder_per_image", model_gflops_decoder_per_image(config));
  event_object(log, "dataset");
  event_string(log, "source", dataset->source);
  event_string(log, "sha256", dataset->sha256);
  event_int(log, "train_images", dataset->train_count);
  event_int(log, "eval_images", dataset->eval_count);
  event_int(log, "skipped", dataset->skipped);
  event_object_end(log);
  event_int(log, "memory_planned_bytes", (int64_t)start->memory_planned);
  const char *pid = getenv(REPORT_PID_VARIABLE);
  event_int(log, "pid", pid ? atoi(pid) : getpid());
  event_int(log, "attempt", log->attempt);
  if (*start->energy_source) event_string(log, "energy_source", start->energy_source);
  return event_end(log, e);
}

static void format_seconds(char *text, size_t size, double seconds) {
  long s = (long)(seconds + 0.5);
  if (s >= 3600)
    snprintf(text, size, "%ld:%02ld:%02ld", s / 3600, s / 60 % 60, s % 60);
  else
    snprintf(text, size, "%ld:%02ld", s / 60, s % 60);
}

static void print_progress(Report *report, const StepState *state, double loss) {
  double now = clock_seconds(), period = report->live ? LIVE_PERIOD : PLAIN_PERIOD;
  bool last = (int64_t)state->step == report->steps;
  if (report->quiet || (now - report->printed < period && !last)) return;
  double spent = 0.0, recent = 0.0;
  int64_t from = report->timed > 50 ? report->timed - 50 : 0;
  for (int64_t i = from; i < report->timed; i++) recent += report->seconds[i];
  spent = recent / (double)(report->timed - from);
  char left[32];
  format_seconds(left, sizeof left, spent * (double)(report->steps - (int64_t)state->step));
  progress_clear(&report->line);
  fprintf(stderr, "step %lld/%lld  epoch %.2f  loss %.4f  lr %.2e  %.0f images/s  %s left",
          (long long)state->step, (long long)report->steps,
          (double)state->step / report->steps_per_epoch, loss, (double)state->learning_rate,
          report->config->train.batch / spent, left);
  if (!report->live || last) fputc('\n', stderr);
  report->line.drawn = report->live && !last;
  report->printed = now;
}

bool report_step(Report *report, const StepState *state, double loss, double seconds, Error *e) {
  report->seconds[report->timed++] = seconds;
  if (!report->active) return true;
  EventLog *log = &report->log;
  event_begin(log, "step");
  event_int(log, "step", (int64_t)state->step);
  event_double(log, "epoch", (double)state->step / report->steps_per_epoch);
  event_float(log, "loss", (float)loss);
  event_float(log, "lr", state->learning_rate);
  event_float(log, "grad_norm", state->grad_norm);
  event_float(log, "loss_scale", state->loss_scale);
  event_double(log, "seconds", seconds);
  event_double(log, "images_per_second", report->config->train.batch / seconds);
  print_progress(report, state, loss);
  return event_end(log, e);
}

/* Into the open event; what is worth a line for people goes into `line`. */
static void write_metrics(EventLog *log, const Metrics *metrics, Text *line) {
  const Metric *metric;
  double value;
  event_int(log, "images", metrics->images);
  for (int i = 0; (metric = metrics_item(i, metrics, &value)); i++) {
    event_double(log, metric->name, value);
    if (metric->headline)
      text_format(line, "  %s %.*f%s%s", metric->name, metric->digits, value,
                  *metric->unit ? " " : "", metric->unit);
  }
  if (metrics->offers & OFFERS_PROBE) {
    event_int(log, "train_images", metrics->train_images);
    event_int(log, "classes", metrics->classes);
  } else {
    event_int(log, "perfect", metrics->perfect);
  }
}

bool report_scores(Report *report, const char *scorer, bool baseline, int64_t step, double seconds,
                   const Metrics *metrics, Error *e) {
  Text line = {0};
  event_begin(&report->log, baseline ? "baseline" : "eval");
  if (baseline) {
    event_string(&report->log, "name", scorer);
  } else {
    event_int(&report->log, "step", step);
    if (strcmp(scorer, "model")) event_string(&report->log, "scorer", scorer);
  }
  write_metrics(&report->log, metrics, &line);
  if (!isnan(seconds)) event_double(&report->log, "seconds", seconds);
  if (baseline)
    report_line(report, "%s%.*s", scorer, (int)line.length, line.bytes);
  else
    report_line(report, "step %lld  %s%.*s", (long long)step,
                strcmp(scorer, "model") ? scorer : "held-out", (int)line.length, line.bytes);
  text_free(&line);
  return event_end(&report->log, e);
}

bool report_checkpoint(Report *report, int64_t step, const char *state_hash, Error *e) {
  char path[64];
  snprintf(path, sizeof path, "checkpoints/step-%lld", (long long)step);
  event_begin(&report->log, "checkpoint");
  event_int(&report->log, "step", step);
  event_string(&report->log, "path", path);
  event_string(&report->log, "state_sha256", state_hash);
  return event_end(&report->log, e);
}

bool report_artifact(Report *report, const char *kind, const char *folder, const char *file,
                     Error *e) {
  char path[CONFIG_PATH_MAX], hash[65];
  struct stat status;
  if (!io_join(path, sizeof path, folder, file, e) || !sha256_file(hash, path, e)) return false;
  if (stat(path, &status) != 0) return error_set(e, EXIT_DATA, "%s: it has gone", path);
  event_begin(&report->log, "artifact");
  event_string(&report->log, "kind", kind);
  event_string(&report->log, "path", file);
  event_string(&report->log, "sha256", hash);
  event_int(&report->log, "bytes", status.st_size);
  return event_end(&report->log, e);
}

bool report_throughput(Report *report, Device *device, Error *e) {
  int64_t warmup = report->timed / 20 > 5 ? report->timed / 20 : 5;
  if (warmup > report->timed - 1) warmup = report->timed - 1;
  int64_t count = report->timed - warmup;
  if (report->timed == 0 || !report->active) return true;
  double *seconds = report->seconds + warmup;
  quantile_sort(seconds, count);
  double median = quantile(seconds, count, 0.5);
  double rate = report->config->train.batch / median;
  DeviceInfo info;
  device->kernels->info(device, &info);
  EventLog *log = &report->log;
  event_begin(log, "throughput");
  event_double(log, "images_per_second", rate);
  event_double(log, "step_seconds_median", median);
  event_double(log, "step_seconds_p10", quantile(seconds, count, 0.1));
  event_double(log, "step_seconds_p90", quantile(seconds, count, 0.9));
  event_double(log, "gflops_per_second", rate * model_gflops_per_image(report->config, true));
  event_int(log, "steps", count);
  event_int(log, "warmup_steps", warmup);
  event_int(log, "peak_memory_bytes", (int64_t)info.memory_peak);
  report_line(report, "%.1f images/s (median of %lld steps), %.1f GFLOP/s, peak memory %.0f MiB",
              rate, (long long)count, rate * model_gflops_per_image(report->config, true),
              (double)info.memory_peak / 1048576.0);
  return event_end(log, e);
}

static void tell_energy(Report *report, const ReportEnergy *energy, int64_t images) {
  char each[48] = "", shared[64] = "";
  if (images > 0)
    snprintf(each, sizeof each, ", %.3g J per image in steps",
             energy->step_joules / (double)images);
  if (energy->own_share < ENERGY_ALONE)
    snprintf(shared, sizeof shared, "; only %.0f%% of the busy processor time was this run's",
             100 * energy->own_share);
  if (energy->others > 0) snprintf(shared, sizeof shared, "; other processes were on the GPU");
  report_line(report, "%.3g kWh%s (%s)%s", energy->joules / 3.6e6, each, energy->source, shared);
}

bool report_energy(Report *report, const ReportEnergy *energy, bool last, Error *e) {
  EventLog *log = &report->log;
  int64_t images = report->timed * report->config->train.batch;
  event_begin(log, "energy");
  event_double(log, "joules", energy->joules);
  event_double(log, "step_joules", energy->step_joules);
  event_int(log, "images", images);
  if (!isnan(energy->own_share)) event_double(log, "own_share", energy->own_share);
  if (energy->others >= 0) event_int(log, "others", energy->others);
  if (last) tell_energy(report, energy, images);
  return event_end(log, e);
}

bool report_energy_problem(Report *report, const char *problem, Error *e) {
  event_begin(&report->log, "energy");
  event_string(&report->log, "problem", problem);
  return event_end(&report->log, e) &&
         report_warning(report, e, "energy: not counted: %s", problem);
}

bool report_warning(Report *report, Error *e, const char *format, ...) {
  char message[512];
  va_list args;
  if (!report->active) return true;
  va_start(args, format);
  vsnprintf(message, sizeof message, format, args);
  va_end(args);
  report_line(report, "warning: %s", message);
  event_begin(&report->log, "warning");
  event_string(&report->log, "message", message);
  return event_end(&report->log, e);
}

bool report_end(Report *report, const char *status, int64_t step, int code, const char *state_hash,
                const Error *failure, Error *e) {
  EventLog *log = &report->log;
  if (!report->active || log->fd < 0) return true;
  if (failure) {
    event_begin(log, "error");
    event_int(log, "code", failure->code);
    event_int(log, "step", step);
    event_string(log, "message", failure->message);
    if (!event_end(log, e)) return false;
  }
  event_begin(log, "end");
  event_string(log, "status", status);
  event_int(log, "step", step);
  event_int(log, "code", code);
  event_double(log, "wall_seconds", clock_seconds() - report->started);
  event_string(log, "state_sha256", state_hash);
  event_int(log, "lines", log->lines);
  return event_end(log, e);
}
