/* train.c - a run from its folder to its end: prepare, train, conclude, release, in this order
 * below. Every rank runs this code; what only rank 0 does says so. */
#include "mae/train/train.h"

#include <inttypes.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mae/base/clock.h"
#include "mae/base/io.h"
#include "mae/data/loader.h"
#include "mae/evaluate/scorers.h"
#include "mae/evaluate/sheet.h"
#include "mae/model/device.h"
#include "mae/model/products.h"
#include "mae/ranks/ranks.h"
#include "mae/record/checkpoint.h"
#include "mae/record/run_folder.h"
#include "mae/train/memory.h"
#include "mae/train/report.h"
#include "mae/train/schedule.h"
#include "mae/train/spent.h"
#include "mae/train/step.h"

enum { SHEET_IMAGES = 8 };

/* No signal has these numbers. The second stops nothing: all ranks tell what they have spent. */
enum { STOP_FOR_TIME = 1000, TELL_SPENT };

typedef struct Run {
  const Config *config;
  const TrainOptions *options;
  Ranks ranks;
  RunFolder folder; /* rank 0's: what was there before */
  Report report;
  Spent spent;
  Device *device;
  Dataset dataset;
  Model model;
  TrainStep step;
  Loader loader;
  Evaluator evaluator; /* rank 0's */
  ImagePool pool;
  StepState state;                    /* after the last step whose result was read */
  int64_t queued;                     /* steps; those after state.step are under way */
  double began[STEP_SLOTS], finished; /* clock: steps queued, and the last result */
  int64_t steps;
  double steps_per_epoch;
  int64_t saved;       /* step of the newest checkpoint; -1: none */
  char state_hash[65]; /* of that checkpoint */
  char products[65];   /* SHA-256 of the table that the device follows; "": none */
  bool noted;          /* what a probe leaves out has been said */
  int64_t stop;        /* 0; the signal the run stops as if received; or STOP_FOR_TIME */
  double time_begun;   /* clock: the time limit counts from there */
  double time_asked;   /* clock: when it was last looked at; 0: not yet */
  double time_most;    /* the most that has passed between two looks */
} Run;

/* Signals. The first asks the run to stop after the present step, the second ends it at once: one
 * that comes later than the same signal sent to the process and to its group, as `timeout` and
 * batch systems do. */
static volatile sig_atomic_t stop_signal;
static double stop_time;
static const int stop_signals[] = {SIGINT, SIGTERM, SIGHUP};
enum { STOP_SIGNALS = sizeof stop_signals / sizeof *stop_signals };

static void on_signal(int signal_number) {
  double seconds = clock_seconds();
  if (stop_signal && seconds > stop_time + 1) _exit(128 + signal_number);
  if (!stop_signal) stop_time = seconds;
  stop_signal = signal_number;
}

/* A SIGHUP that was ignored when the process started stays so: that is what nohup asks for. SIGINT
 * does not: shells have background commands ignore it, and the harness stops trainers with it. */
static void catch_signals(struct sigaction *before) {
  struct sigaction action = {.sa_handler = on_signal};
  for (int i = 0; i < STOP_SIGNALS; i++) {
    sigaction(stop_signals[i], NULL, &before[i]);
    if (stop_signals[i] == SIGHUP && before[i].sa_handler == SIG_IGN) continue;
    sigaction(stop_signals[i], &action, NULL);
  }
}

static void restore_signals(const struct sigaction *before) {
  for (int i = 0; i < STOP_SIGNALS; i++) sigaction(stop_signals[i], &before[i], NULL);
}

/* Preparation ----------------------------------------------------------------------------------*/

/* *follows: 1, or 0 when the run follows no table of products. */
static bool open_folder(Run *run, int64_t *follows, Error *e) {
  const TrainOptions *options = run->options;
  const char *table = device_is_gpu(run->config) ? run->config->run.products : "";
  bool does = false;
  bool ok = run_folder_read(&run->folder, options->out, e) &&
            run_folder_admit(&run->folder, options->out, run->config, options->resume, e) &&
            io_make_folders(options->out, e) &&
            run_folder_admit_products(&run->folder, options->out, table, &does, e);
  *follows = does;
  return ok;
}

/* The device follows the run folder's copy of the table, in every rank: what lies where
 * run.products says may change. */
static bool open_device(Run *run, bool follows, Error *e) {
  Config config = *run->config;
  char copy[CONFIG_PATH_MAX];
  *config.run.products = '\0';
  if (!io_join(copy, sizeof copy, run->options->out, PRODUCTS_FILE, e) ||
      !(run->device = device_open(&config, run->ranks.gpu, run->ranks.sharers, e)))
    return false;
  spent_open(&run->spent, run->device, &run->ranks);
  if (run->device->kernels->host_memory || !follows) return true;
  const char *given = run->config->run.products;
  return products_follow(run->device, copy, *given ? given : copy, run->products, e);
}

/* On each machine one rank packs the images when they are not packed yet; the others open them
 * after that. */
static bool open_data(Run *run, Error *e) {
  const Config *config = run->config;
  bool first = run->ranks.node_rank == 0;
  if (first && !data_open(&run->dataset, config, &run->report.work, e)) return false;
  if (run->ranks.rank == 0 && !run_folder_admit_images(&run->folder, run->options->out,
                                                       run->dataset.sha256, config->data.path, e))
    return false;
  run->ranks.waiting = &run->report.work; /* another machine may have far more to pack */
  bool met = ranks_barrier(&run->ranks, e);
  run->ranks.waiting = NULL;
  if (!met) return false;
  if (!first && !data_open(&run->dataset, config, NULL, e)) return false;
  return ranks_compare(&run->ranks, "images", run->dataset.sha256, EXIT_DATA,
                       "data.path must hold the same on every machine", e);
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
  run->step.exchange = ranks_exchange(&run->ranks);
  return loader_create(&run->loader, config, &run->dataset, run->step.first_image, run->step.images,
                       e) &&
         (run->ranks.rank != 0 ||
          evaluator_open(&run->evaluator, &run->model, &run->dataset, &run->pool, e)) &&
         pool_open(&run->pool, run->device, &run->dataset, config, run->ranks.sharers, e);
}

/* Initial weights, or those of the newest checkpoint. */
static bool load_state(Run *run, Error *e) {
  bool found = false;
  char step[24];
  run->saved = -1;
  run->state.loss_scale = config_loss_scale(run->config);
  if (run->options->resume &&
      !checkpoint_resume(run->options->out, &run->model, &run->state, &found, e))
    return false;
  snprintf(step, sizeof step, "%" PRIu64, run->state.step);
  if (!ranks_compare(&run->ranks, "checkpoints' steps", step, EXIT_DATA,
                     "--out must be a folder that all machines share", e))
    return false;
  if (!found) return model_init_weights(&run->model, e);
  step_set_state(&run->step, &run->state);
  run->saved = run->queued = (int64_t)run->state.step;
  return checkpoint_state_hash(run->state_hash, &run->model, &run->state, e);
}

static void greet(Run *run) {
  DeviceInfo info;
  char threads[64] = "";
  run->device->kernels->info(run->device, &info);
  if (info.threads > 0)
    snprintf(threads, sizeof threads, ", %d thread%s%s", info.threads, info.threads > 1 ? "s" : "",
             run->ranks.count > 1 ? " per rank" : "");
  report_line(&run->report,
              "%.2fM encoder + %.2fM decoder parameters, %d training images (%s), %" PRId64
              " steps of %d, %s on %s%s",
              (double)params_count_encoder(&run->model.table) / 1e6,
              (double)params_count_decoder(&run->model.table) / 1e6, run->dataset.train_count,
              run->dataset.source, run->steps, run->config->train.batch,
              dtype_name(config_dtype(run->config)), info.name, threads);
  if (run->state.step > 0)
    report_line(&run->report, "continuing after step %llu", (unsigned long long)run->state.step);
  const char *source = run->spent.source, *problem = run->spent.meter.problem;
  report_line(&run->report, "energy: %s%s", *source ? source : "not measured: ",
              *source    ? ""
              : *problem ? problem
                         : "another rank cannot read it");
}

static bool start(Run *run, Error *e) {
  const Config *config = run->config;
  size_t planned = memory_plan(config, &run->dataset).total;
  if (!spent_agree(&run->spent, &run->ranks, e)) return false;
  ReportStart facts = {.model = &run->model,
                       .dataset = &run->dataset,
                       .started = run->ranks.started,
                       .memory_planned = planned,
                       .resumed_from = (int64_t)run->state.step,
                       .energy_source = run->spent.source,
                       .products_sha256 = run->products};
  if (!report_start(&run->report, &facts, run->steps, run->steps_per_epoch, e)) return false;
  if (*run->products && run->ranks.rank == 0 &&
      !report_artifact(&run->report, "products", run->options->out, PRODUCTS_FILE, e))
    return false;
  greet(run);
  if (*config_idle_path(config) && !report_warning(&run->report, e, "%s", config_idle_path(config)))
    return false;
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
  if (!ranks_start(&run->ranks, config, e)) return false;
  int64_t follows = 0;
  if (run->ranks.rank == 0 && !open_folder(run, &follows, e)) return false;
  return ranks_decide(&run->ranks, &follows, e) &&
         report_open(&run->report, config, options->out, run->ranks.rank == 0, options->quiet, e) &&
         open_device(run, follows != 0, e) && ranks_connect(&run->ranks, run->device, e) &&
         memory_check(config, NULL, run->device, e) && open_data(run, e) &&
         memory_check(config, &run->dataset, run->device, e) &&
         schedule_steps(config, run->dataset.train_count, &run->steps, &run->steps_per_epoch, e) &&
         model_create(&run->model, config, run->device, true, e) && create_step(run, e) &&
         load_state(run, e) && start(run, e);
}

/* Training -------------------------------------------------------------------------------------*/

/* All ranks compute the state's hash; rank 0 writes. What was spent on these steps is told before,
 * so that a checkpoint never has steps that seem to have cost nothing. */
static bool save(Run *run, Error *e) {
  int64_t step = (int64_t)run->state.step;
  if (run->saved == step) return true;
  if (!spent_tell(&run->spent, &run->ranks, &run->report, e) ||
      !checkpoint_state_hash(run->state_hash, &run->model, &run->state, e) ||
      !ranks_compare(&run->ranks, "training states", run->state_hash, EXIT_DEVICE,
                     "a memory or processor fault; the last checkpoint is from before it", e))
    return false;
  run->saved = step;
  return run->ranks.rank != 0 || (checkpoint_save(run->options->out, &run->model, &run->state, e) &&
                                  report_checkpoint(&run->report, step, run->state_hash, e));
}

/* A probe is an extra: when it cannot be made, the training it would have told of is not lost. */
static bool report_probe(Run *run, const Scorer *scorer, bool ok, const Metrics *metrics,
                         const Error *failure, Error *e) {
  if (!ok)
    return report_warning(&run->report, e, "%s: not measured: %s", scorer->name, failure->message);
  if (*metrics->note && !run->noted && !scorer->baseline) {
    run->noted = true;
    if (!report_warning(&run->report, e, "%s", metrics->note)) return false;
  }
  return true;
}

static bool run_scorer(Run *run, const Scorer *scorer, Error *e) {
  Metrics metrics;
  run->evaluator.progress = &run->report.work;
  Error failure = {0};
  double began = clock_seconds();
  bool ok = scorer_run(scorer, &metrics, &run->evaluator, &failure);
  if (scorer->probes) {
    if (!report_probe(run, scorer, ok, &metrics, &failure, e)) return false;
    if (!ok || metrics.images == 0) return true;
  } else if (!ok) {
    *e = failure;
    return false;
  }
  return report_scores(&run->report, scorer->name, scorer->baseline, (int64_t)run->state.step,
                       scorer->probes ? clock_seconds() - began : NAN, &metrics, e);
}

/* Runs those scorers that depend on the weights, or the baselines, that look at reconstructions or
 * at features. */
static bool score(Run *run, bool baselines, bool probes, Error *e) {
  for (int i = 0; run->ranks.rank == 0 && i < scorer_count; i++) {
    const Scorer *scorer = scorer_list[i];
    if (scorer->baseline == baselines && scorer->probes == probes &&
        scorer_wanted(scorer, run->config) && !run_scorer(run, scorer, e))
      return false;
  }
  return true;
}

static bool check_finite(const Run *run, const StepState *before, double loss, Error *e) {
  static const char advice[] = "lower train.blr, lengthen the warm-up, or set train.clip = 1; the "
                               "last checkpoint is from before it";
  long long step = (long long)run->state.step;
  bool scaled = config_loss_scale(run->config) > 1;
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

static bool queue_step(Run *run, Error *e) {
  run->began[run->queued % STEP_SLOTS] = clock_seconds();
  loader_load(&run->loader, run->queued);
  BatchBuffers *input = step_input(&run->step);
  if (!pool_fill_batch(&run->pool, input, run->loader.crops, run->loader.jitters,
                       run->loader.images, e))
    return false;
  batch_set_masks(input, run->loader.visible, run->loader.masked, run->loader.images);
  step_run(&run->step);
  run->queued++;
  return ranks_check(&run->ranks, e);
}

/* Reads and reports the results of steps under way until only `left` of them are. A step's time is
 * that since the one before it ended, or since it was queued. */
static bool read_results(Run *run, int left, Error *e) {
  while (run->queued - (int64_t)run->state.step > left) {
    double loss, began = run->began[run->state.step % STEP_SLOTS];
    StepState before = run->state;
    int back = (int)(run->queued - (int64_t)run->state.step) - 1;
    bool ok = step_result(&run->step, back, &run->state, &loss, e);
    /* If another rank died, report that: our own error is only its consequence. */
    if (!ranks_check(&run->ranks, e) || !ok) return false;
    double now = clock_seconds(), since = began > run->finished ? began : run->finished;
    run->finished = now;
    if (!report_step(&run->report, &run->state, loss, now - since, e) ||
        !check_finite(run, &before, loss, e))
      return false;
  }
  return true;
}

/* Whether what comes next could end after the time limit, were it the longest step, score or
 * checkpoint so far. A tenth of the limit, at most a minute, is kept for the last checkpoint. */
static bool time_is_up(Run *run) {
  double limit = run->options->time_limit, now = clock_seconds();
  double kept = limit / 10 < 60 ? limit / 10 : 60;
  if (limit == 0) return false;
  if (run->time_asked > 0) run->time_most = fmax(run->time_most, now - run->time_asked);
  bool first = run->time_asked == 0;
  run->time_asked = now;
  return !first && now + run->time_most + kept >= run->time_begun + limit;
}

/* What to stop for, the same in all ranks; 0: go on. */
static bool ask_stop(Run *run, Error *e) {
  int64_t after = run->options->stop_after;
  run->stop = stop_signal;
  if (run->ranks.rank == 0 && time_is_up(run) && !run->stop) run->stop = STOP_FOR_TIME;
  if (!run->stop && after > 0 && run->queued >= after) run->stop = SIGINT;
  if (!run->stop && run->ranks.rank == 0 && spent_is_due(&run->spent)) run->stop = TELL_SPENT;
  if (!ranks_decide(&run->ranks, &run->stop, e)) return false;
  if (run->stop != TELL_SPENT) return true;
  run->stop = 0; /* what another rank asks for, it asks again before the next step */
  return spent_tell(&run->spent, &run->ranks, &run->report, e);
}

static bool is_due(const Run *run, int64_t every) {
  return every > 0 && run->queued % every == 0 && run->queued < run->steps;
}

/* What comes between two steps is not counted as theirs. */
static bool save_and_score(Run *run, bool saves, bool scores, bool probes, Error *e) {
  if (!saves && !scores && !probes) return true;
  energy_steps(&run->spent.meter, false);
  /* The checkpoint comes last: a run that goes on from it must have the scores of its step. */
  bool ok = (!scores || score(run, false, false, e)) && (!probes || score(run, false, true, e)) &&
            (!saves || save(run, e));
  energy_steps(&run->spent.meter, true);
  return ok;
}

/* While a GPU computes a step, the next one is queued before the result is waited for; but what
 * reads the weights comes before the next step. */
static bool train(Run *run, Error *e) {
  int ahead = run->device->kernels->host_memory ? 0 : 1;
  energy_steps(&run->spent.meter, true);
  while (run->queued < run->steps) {
    if (!ask_stop(run, e)) return false;
    if (run->stop) break;
    if (!queue_step(run, e)) return false;
    bool saves = is_due(run, run->config->run.checkpoint_every);
    bool scores = is_due(run, run->config->eval.every);
    bool probes = is_due(run, run->config->probe.every);
    if (!read_results(run, saves || scores || probes ? 0 : ahead, e)) return false;
    if (!save_and_score(run, saves, scores, probes, e)) return false;
  }
  if (!read_results(run, 0, e)) return false;
  energy_steps(&run->spent.meter, false);
  return !run->stop || save(run, e);
}

static bool draw_sheet(Run *run, Error *e) {
  char path[CONFIG_PATH_MAX];
  return io_join(path, sizeof path, run->options->out, "sheet.png", e) &&
         sheet_write_held_out(path, &run->model, &run->dataset, &run->pool, SHEET_IMAGES,
                              &run->report.work, e) &&
         report_artifact(&run->report, "sheet", run->options->out, "sheet.png", e);
}

/* What follows the last step. The throughput comes before the checkpoint, so that a run killed
 * after its last checkpoint has told it. */
static bool conclude(Run *run, Error *e) {
  char weights[64];
  snprintf(weights, sizeof weights, "checkpoints/step-%" PRId64 "/model.safetensors", run->steps);
  if (!report_throughput(&run->report, run->device, e) || !save(run, e)) return false;
  if (run->ranks.rank != 0) return true;
  return report_artifact(&run->report, "weights", run->options->out, weights, e) &&
         score(run, false, false, e) && score(run, true, false, e) && draw_sheet(run, e) &&
         score(run, false, true, e) && score(run, true, true, e);
}

static void release(Run *run) {
  evaluator_destroy(&run->evaluator);
  pool_destroy(&run->pool);
  loader_destroy(&run->loader);
  step_destroy(&run->step);
  model_destroy(&run->model);
  if (run->dataset.map) data_close(&run->dataset);
  spent_close(&run->spent);
  if (run->device) run->device->kernels->close(run->device);
  report_close(&run->report);
  run_folder_free(&run->folder);
}

int train_run(const Config *config, const TrainOptions *options, Error *e) {
  Run run = {.config = config,
             .options = options,
             .saved = -1,
             .time_begun = clock_seconds(),
             .report = {.log.fd = -1}};
  struct sigaction before[STOP_SIGNALS];
  *e = (Error){0};
  stop_signal = 0;
  /* A launcher tells all its processes to stop; forked ranks hear of it from rank 0. */
  bool ok = prepare(&run, e), catching = ok && !run.ranks.parent;
  if (catching) catch_signals(before);
  /* An interrupted run tells its speed too: what is left of it may be too short to be measured. */
  if (ok)
    ok = train(&run, e) &&
         (run.stop ? report_throughput(&run.report, run.device, e) : conclude(&run, e));
  int code = run.stop == STOP_FOR_TIME ? EXIT_TIME : run.stop ? 128 + (int)run.stop : EXIT_OK;
  ranks_stop(&run.ranks, code, e);
  if (e->code) {
    ok = false;
    code = e->code;
  }
  if (ok && run.stop == STOP_FOR_TIME)
    report_line(&run.report, "the time limit is near: stopped after step %llu; --resume continues",
                (unsigned long long)run.state.step);
  spent_tell_last(&run.spent, &run.report);
  const char *status = !ok ? "failed" : run.stop ? "interrupted" : "done";
  int64_t step = (int64_t)run.state.step;
  if (!report_end(&run.report, status, step, code, run.state_hash, ok ? NULL : e, e))
    code = e->code;
  if (e->code && ranks_launch().rank == 0) report_failure(&run.report, e);
  ranks_close(&run.ranks, e);
  if (catching) restore_signals(before);
  release(&run);
  return code;
}
