#include "mae/train.h"

#include <inttypes.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "mae/checkpoint.h"
#include "mae/device.h"
#include "mae/io.h"
#include "mae/loader.h"
#include "mae/ranks.h"
#include "mae/report.h"
#include "mae/run_folder.h"
#include "mae/sheet.h"
#include "mae/step.h"

enum { SHEET_IMAGES = 8 };

typedef struct Run {
  const Config *config;
  const TrainOptions *options;
  Ranks ranks;
  Report report;
  Device *device;
  Dataset dataset;
  Model model;
  TrainStep step;
  Loader loader;
  StepState state;
  int64_t steps;
  double steps_per_epoch;
  int64_t saved;       /* step of the newest checkpoint; -1: none */
  char state_hash[65]; /* of that checkpoint */
  int64_t stop;        /* 0, or the signal the run stops as if received */
} Run;

/* Signals. The first asks the run to stop after the present step, the second ends it at once: one
 * that comes later than the same signal sent to the process and to its group, as `timeout` and
 * batch systems do. */
static volatile sig_atomic_t stop_signal;
static double stop_time;
static const int stop_signals[] = {SIGINT, SIGTERM, SIGHUP};
enum { STOP_SIGNALS = sizeof stop_signals / sizeof *stop_signals };

static void on_signal(int signal_number) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  double seconds = (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
  if (stop_signal && seconds > stop_time + 1) _exit(128 + signal_number);
  if (!stop_signal) stop_time = seconds;
  stop_signal = signal_number;
}

static void catch_signals(struct sigaction *before) {
  struct sigaction action = {.sa_handler = on_signal};
  stop_signal = 0;
  for (int i = 0; i < STOP_SIGNALS; i++) sigaction(stop_signals[i], &action, &before[i]);
}

static void restore_signals(const struct sigaction *before) {
  for (int i = 0; i < STOP_SIGNALS; i++) sigaction(stop_signals[i], &before[i], NULL);
}

/* Preparation ----------------------------------------------------------------------------------*/

static bool open_folder(Run *run, Error *e) {
  RunFolder folder;
  if (!run_folder_read(&folder, run->options->out, e)) return false;
  bool ok = run_folder_admit(&folder, run->options->out, run->config, run->options->resume, e);
  run_folder_free(&folder);
  return ok && io_make_folders(run->options->out, e);
}

static void show_packing(void *user, const char *what, size_t done, size_t total) {
  Run *run = user;
  if (run->report.live) {
    fprintf(stderr, "\r%s %zu/%zu\033[K", what, done, total);
    run->report.dirty = true;
  }
}

/* Rank 0 packs the images when they are not packed yet; rank 1 opens them after that. */
static bool open_data(Run *run, Error *e) {
  bool first = run->ranks.rank == 0;
  if (first && !data_open(&run->dataset, run->config, show_packing, run, e)) return false;
  if (!ranks_barrier(&run->ranks, e)) return false;
  return first || data_open(&run->dataset, run->config, NULL, NULL, e);
}

/* What to change so that the run fits: more micro-batches, which change no image of a step, or else
 * a smaller batch. */
static void advise_memory(char *advice, size_t size, const Config *config, size_t available) {
  Config smaller = *config;
  int per_shard = config->train.batch / config->train.shards;
  for (int parts = config->train.accumulate + 1; parts <= per_shard; parts++) {
    if (per_shard % parts) continue;
    smaller.train.accumulate = parts;
    if (model_memory(&smaller, true).total > available) continue;
    snprintf(advice, size, "train.accumulate = %d would fit", parts);
    return;
  }
  smaller.train.accumulate = 1;
  for (int batch = config->train.batch / 2; batch >= config->train.shards; batch /= 2) {
    smaller.train.batch = batch - batch % config->train.shards;
    if (model_memory(&smaller, true).total > available) continue;
    snprintf(advice, size, "train.batch = %d would fit", smaller.train.batch);
    return;
  }
  snprintf(advice, size, "the model itself is too large for this device");
}

static bool check_memory(Run *run, Error *e) {
  DeviceInfo info;
  char advice[128];
  size_t planned = model_memory(run->config, true).total;
  run->device->kernels->info(run->device, &info);
  if (info.memory_free == 0 || planned <= info.memory_free) return true;
  advise_memory(advice, sizeof advice, run->config, info.memory_free);
  return error_set(e, EXIT_DEVICE, "this run needs %.0f MiB and %.0f MiB are free (%s); %s",
                   (double)planned / 1048576.0, (double)info.memory_free / 1048576.0, info.name,
                   advice);
}

static bool create_step(Run *run, Error *e) {
  const Config *config = run->config;
  float *rates = malloc((size_t)run->steps * sizeof *rates);
  if (!rates) return error_set(e, EXIT_DEVICE, "out of memory for the learning rates");
  for (int64_t i = 0; i < run->steps; i++)
    rates[i] = (float)schedule_rate(config, i, run->steps, run->steps_per_epoch);
  int shards = config->train.shards / run->ranks.count;
  bool ok = step_create(&run->step, &run->model, run->ranks.rank * shards, shards, rates,
                        (size_t)run->steps, e);
  free(rates);
  if (!ok) return false;
  ranks_join(&run->ranks, &run->step);
  return loader_create(&run->loader, config, &run->dataset, run->step.first_image, run->step.images,
                       e);
}

/* Initial weights, or those of the newest checkpoint. */
static bool load_state(Run *run, Error *e) {
  bool found = false;
  run->saved = -1;
  run->state.loss_scale = run->config->train.precision == PRECISION_FP16 ? 65536.0f : 1.0f;
  if (run->options->resume &&
      !checkpoint_resume(run->options->out, &run->model, &run->state, &found, e))
    return false;
  if (!found) return model_init_weights(&run->model, e);
  step_set_state(&run->step, &run->state);
  run->saved = (int64_t)run->state.step;
  return checkpoint_state_hash(run->state_hash, &run->model, &run->state, e);
}

static void greet(Run *run) {
  DeviceInfo info;
  run->device->kernels->info(run->device, &info);
  report_line(&run->report,
              "%.2fM encoder + %.2fM decoder parameters, %d training images (%s), %" PRId64
              " steps of %d, %s on %s",
              (double)params_count_encoder(&run->model.table) / 1e6,
              (double)params_count_decoder(&run->model.table) / 1e6, run->dataset.train_count,
              run->dataset.source, run->steps, run->config->train.batch,
              dtype_name(config_dtype(run->config)), info.name);
  if (run->state.step > 0)
    report_line(&run->report, "continuing after step %llu", (unsigned long long)run->state.step);
}

static bool start(Run *run, Error *e) {
  const Config *config = run->config;
  size_t planned = model_memory(config, true).total;
  ReportStart facts = {&run->model, &run->dataset, planned, (int64_t)run->state.step};
  if (!report_start(&run->report, &facts, run->steps, run->steps_per_epoch, e)) return false;
  greet(run);
  double warmup = schedule_warmup_epochs(config, run->steps_per_epoch);
  if (warmup * run->steps_per_epoch < (double)run->steps) return true;
  return report_warning(&run->report, e,
                        "the learning rate warms up for %g epochs and the run has %g: it never "
                        "reaches its peak",
                        warmup, (double)run->steps / run->steps_per_epoch);
}

static bool prepare(Run *run, Error *e) {
  const Config *config = run->config;
  const TrainOptions *options = run->options;
  return open_folder(run, e) && ranks_start(&run->ranks, config, e) &&
         report_open(&run->report, config, options->out, run->ranks.rank == 0, options->quiet, e) &&
         (run->device = device_open(config, run->ranks.rank, run->ranks.count, e)) &&
         check_memory(run, e) && open_data(run, e) &&
         schedule_steps(config, run->dataset.train_count, &run->steps, &run->steps_per_epoch, e) &&
         model_create(&run->model, config, run->device, true, e) && create_step(run, e) &&
         load_state(run, e) && start(run, e);
}

/* Training -------------------------------------------------------------------------------------*/

/* Both ranks compute the state's hash; rank 0 writes. */
static bool save(Run *run, Error *e) {
  int64_t step = (int64_t)run->state.step;
  if (run->saved == step) return true;
  if (!checkpoint_state_hash(run->state_hash, &run->model, &run->state, e) ||
      !ranks_compare(&run->ranks, run->state_hash, e))
    return false;
  run->saved = step;
  return run->ranks.rank != 0 || (checkpoint_save(run->options->out, &run->model, &run->state, e) &&
                                  report_checkpoint(&run->report, step, run->state_hash, e));
}

static bool score(Run *run, Error *e) {
  Metrics metrics;
  return run->ranks.rank != 0 ||
         (evaluate(&metrics, &run->model, &run->dataset, e) &&
          report_metrics(&run->report, (int64_t)run->state.step, &metrics, e));
}

static bool check_finite(const Run *run, const StepState *before, double loss, Error *e) {
  static const char advice[] = "lower train.blr, lengthen the warm-up, or set train.clip = 1; the "
                               "last checkpoint is from before it";
  long long step = (long long)run->state.step;
  bool scaled = run->config->train.precision == PRECISION_FP16;
  if (!isfinite(loss))
    return error_set(e, EXIT_NONFINITE, "step %lld: the loss is %g: %s", step, loss, advice);
  if (run->state.overflow && !scaled)
    return error_set(e, EXIT_NONFINITE, "step %lld: the gradient is not finite: %s", step, advice);
  if (run->state.overflow && before->loss_scale <= 1.0f)
    return error_set(e, EXIT_NONFINITE,
                     "step %lld: the gradient overflows fp16 with the loss scale at its floor: use "
                     "train.precision = bf16 or fp32, or %s",
                     step, advice);
  return true;
}

static bool make_step(Run *run, Error *e) {
  double began = report_clock(), loss;
  StepState before = run->state;
  loader_load(&run->loader, (int64_t)run->state.step);
  batch_set_crops(&run->step.input, run->dataset.pixels, run->loader.crops, run->loader.images);
  batch_set_masks(&run->step.input, run->loader.visible, run->loader.masked, run->loader.images);
  step_run(&run->step);
  bool ok = ranks_check(&run->ranks, e) && step_result(&run->step, &run->state, &loss, e);
  if (!ranks_check(&run->ranks, e) || !ok) return false;
  return report_step(&run->report, &run->state, loss, report_clock() - began, e) &&
         check_finite(run, &before, loss, e);
}

/* The signal to stop for, the same in both ranks; 0: go on. */
static bool ask_stop(Run *run, Error *e) {
  int64_t after = run->options->stop_after;
  run->stop = stop_signal;
  if (!run->stop && after > 0 && (int64_t)run->state.step >= after) run->stop = SIGINT;
  return ranks_decide(&run->ranks, &run->stop, e);
}

static bool is_due(const Run *run, int64_t every) {
  int64_t step = (int64_t)run->state.step;
  return every > 0 && step % every == 0 && step < run->steps;
}

static bool train(Run *run, Error *e) {
  while ((int64_t)run->state.step < run->steps) {
    if (!ask_stop(run, e)) return false;
    if (run->stop) return save(run, e);
    if (!make_step(run, e)) return false;
    if (is_due(run, run->config->run.checkpoint_every) && !save(run, e)) return false;
    if (is_due(run, run->config->eval.every) && !score(run, e)) return false;
  }
  return true;
}

static bool score_baselines(Run *run, Error *e) {
  static const char *const names[] = {"fill_mean", "fill_harmonic"};
  Metrics metrics;
  for (int i = 0; i < 2; i++)
    if (!evaluate_baseline(&metrics, names[i], run->config, run->device, &run->dataset, e) ||
        !report_baseline(&run->report, names[i], &metrics, e))
      return false;
  return true;
}

static bool draw_sheet(Run *run, Error *e) {
  char path[CONFIG_PATH_MAX];
  return io_join(path, sizeof path, run->options->out, "sheet.png", e) &&
         sheet_write_held_out(path, &run->model, &run->dataset, SHEET_IMAGES, e) &&
         report_artifact(&run->report, "sheet", run->options->out, "sheet.png", e);
}

/* What follows the last step. The throughput comes before the checkpoint, so that a run killed
 * after its last checkpoint has told it. */
static bool conclude(Run *run, Error *e) {
  char weights[64];
  snprintf(weights, sizeof weights, "checkpoints/step-%" PRId64 "/model.safetensors", run->steps);
  if (!report_throughput(&run->report, run->device, e) || !save(run, e)) return false;
  if (run->ranks.rank != 0) return true;
  return report_artifact(&run->report, "weights", run->options->out, weights, e) && score(run, e) &&
         score_baselines(run, e) && draw_sheet(run, e);
}

static void release(Run *run) {
  loader_destroy(&run->loader);
  step_destroy(&run->step);
  model_destroy(&run->model);
  if (run->dataset.map) data_close(&run->dataset);
  if (run->device) run->device->kernels->close(run->device);
  report_close(&run->report);
}

int train_run(const Config *config, const TrainOptions *options, Error *e) {
  Run run = {.config = config, .options = options, .saved = -1, .report = {.log.fd = -1}};
  struct sigaction before[STOP_SIGNALS];
  *e = (Error){0};
  bool ok = prepare(&run, e), catching = ok && run.ranks.rank == 0;
  if (catching) catch_signals(before);
  if (ok) ok = train(&run, e) && (run.stop || conclude(&run, e));
  ranks_stop(&run.ranks, e);
  int code = !ok ? e->code : run.stop ? 128 + (int)run.stop : EXIT_OK;
  const char *status = !ok ? "failed" : run.stop ? "interrupted" : "done";
  int64_t step = (int64_t)run.state.step;
  if (!report_end(&run.report, status, step, code, run.state_hash, ok ? NULL : e, e))
    code = e->code;
  if (catching) restore_signals(before);
  release(&run);
  return code;
}
