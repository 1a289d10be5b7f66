/* job.c - what is there already, what a trial costs, and how long the rest will take. */
#include "harness/run/job.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness/base/strings.h"
#include "harness/plan/gpus.h"
#include "harness/run/runner.h"
#include "kernels/backend.h"
#include "mae/base/clock.h"
#include "mae/base/io.h"
#include "mae/data/dataset.h"
#include "mae/model/params.h"
#include "mae/record/step_folders.h"
#include "mae/train/memory.h"
#include "mae/train/schedule.h"

/* Share of a lone matrix product's speed that whole training steps were seen to reach. */
static const double step_share = 0.6;

/* "train.mask_ratio" -> "mask_ratio", unless another swept key has the same last part. */
static char *make_label(const PlanTrial *trial) {
  char *label = NULL;
  size_t size;
  FILE *out = need(open_memstream(&label, &size));
  for (int i = 0; i < trial->swept_count; i++) {
    const char *key = strchr(trial->swept[i].key, '.') + 1;
    for (int j = 0; j < trial->swept_count; j++)
      if (j != i && !strcmp(strchr(trial->swept[j].key, '.') + 1, key)) key = trial->swept[i].key;
    fprintf(out, "%s%s=%s", i ? " " : "", key, trial->swept[i].value);
  }
  if (!trial->swept_count) fprintf(out, "%.12s", trial->hash);
  fclose(out);
  return need(label);
}

/* The data sets of a plan whose images have been counted: listing a large folder takes
 * seconds, and its trials share it. */
typedef struct Counted {
  struct {
    const Config *config; /* of the first trial that has it */
    DataCounts counts;
  } * list;
  int count;
} Counted;

static bool same_data(const Config *a, const Config *b) {
  return a->data.source == b->data.source && !strcmp(a->data.path, b->data.path) &&
         !strcmp(a->data.cache, b->data.cache) && a->data.holdout == b->data.holdout;
}

static bool count_images(Counted *counted, const Config *config, DataCounts *counts, Error *e) {
  int at = 0;
  while (at < counted->count && !same_data(counted->list[at].config, config)) at++;
  if (at == counted->count) {
    ProgressLine line = {.terminal = isatty(STDERR_FILENO)};
    const ProgressListener shown = progress_on(&line), progress = runner_listener(&shown);
    bool ok = data_count(config, counts, &progress, e);
    progress_clear(&line);
    if (!ok) return false;
    size_t size = ((size_t)counted->count + 1) * sizeof *counted->list;
    counted->list = need(realloc(counted->list, size));
    counted->list[counted->count].config = config;
    counted->list[counted->count++].counts = *counts;
  }
  *counts = counted->list[at].counts;
  /* Trials may take different numbers of the same images. */
  int known = config_train_images(config);
  if (known > 0) counts->train = known;
  return true;
}

/* What a launcher starts runs on other machines: what they see is not known here. */
static bool count_steps(Job *job, Counted *counted, Error *e) {
  const Config *config = &job->trial->config;
  bool here = !*config->resources.launcher && job->action != JOB_SKIP;
  double per_epoch;
  int images = config_train_images(config);
  if (here && !data_check_path(config, e)) return false;
  job->steps = job->facts.steps > 0 ? job->facts.steps : config->train.steps;
  if (job->steps > 0) return true;
  DataCounts counts = {.train = images};
  if (here && images <= 0 && !count_images(counted, config, &counts, e)) return false;
  images = counts.train;
  if (images > 0 && !schedule_steps(config, images, &job->steps, &per_epoch, NULL)) job->steps = 0;
  return true;
}

/* A probe is an extra, and so is knowing what it costs: images that cannot be counted fail where
 * they are needed. */
static void measure_probe(Job *job, Counted *counted) {
  const Config *config = &job->trial->config;
  DataCounts counts;
  bool here = !*config->resources.launcher && job->action != JOB_SKIP;
  if (here && config->probe.method != PROBE_OFF && count_images(counted, config, &counts, NULL))
    job->probe = probe_work(config, counts.train, counts.eval, counts.classes);
}

static bool measure_config(Job *job, Counted *counted, int stops, Error *e) {
  const Config *config = &job->trial->config;
  ParamTable table;
  if (!params_build(&table, config, e)) return false;
  job->params_encoder = params_count_encoder(&table);
  job->params_decoder = params_count_decoder(&table);
  params_free(&table);
  job->memory = memory_plan(config, NULL).total;
  job->gflops_per_image = model_gflops_per_image(config, true);
  if (!count_steps(job, counted, e) || !disk_sizes(&job->disk, config, job->steps, stops, e))
    return false;
  measure_probe(job, counted);
  return true;
}

/* The event file decides; launches only say how a trial that is not finished came to its end. */
static TrialStatus recorded_status(const Launches *launches, const Facts *facts) {
  if (facts_finished(facts)) return TRIAL_DONE;
  if (facts->broken_line) return TRIAL_FAILED;
  if (launches->pruned.step > 0) return TRIAL_PRUNED;
  if (launches->count > 0 && !launches->open && launches->last.status != TRIAL_DONE)
    return launches->last.status;
  if (!strcmp(facts->end, "failed")) return TRIAL_FAILED;
  return launches->count > 0 || facts->starts > 0 ? TRIAL_INTERRUPTED : TRIAL_PENDING;
}

bool job_is_of_other_build(const Job *job, const JobBuild *build) {
  return !build->any && job->facts.starts > 0 &&
         strcmp(job->facts.binary_sha256, build->sha256) != 0;
}

/* Why what is there cannot be gone on with; NULL: it can. */
static const char *unusable(Job *job, const JobBuild *build) {
  const Facts *facts = &job->facts;
  if (facts->broken_line) {
    snprintf(job->error, sizeof job->error,
             "events.jsonl:%lld: the line does not follow from those before it: one was changed or "
             "lost",
             (long long)facts->broken_line);
    return "its event file is damaged";
  }
  if (facts->starts == 0) return job->starts_at_checkpoint ? "its event file has gone" : NULL;
  if (strcmp(facts->config_hash, job->trial->hash)) return "its event file is another trial's";
  if (*job->images_sha256 && strcmp(job->images_sha256, facts->dataset_sha256))
    return "it was trained on other images";
  if (job_is_of_other_build(job, build)) return "another build of mae made it";
  return NULL;
}

/* By the facts of its event file. */
static void judge(Job *job, const JobBuild *build) {
  Launches launches;
  folder_launches(&launches, job->folder);
  job->status = recorded_status(&launches, &job->facts);
  snprintf(job->error, sizeof job->error, "%s",
           job->status == TRIAL_PRUNED ? launches.pruned.reason : launches.last.error);
  bool checkpoint = folder_has_checkpoint(job->folder);
  job->starts_at_checkpoint = checkpoint;
  job->is_open = launches.open;
  job->why_anew = unusable(job, build);
  if (job->why_anew && (job->status == TRIAL_DONE || job->facts.broken_line || checkpoint))
    job->action = JOB_REPLACE;
  else if (job->status == TRIAL_DONE)
    job->action = JOB_SKIP;
  else if (job->status == TRIAL_FAILED)
    job->action = JOB_RETRY;
  else
    job->action = checkpoint ? JOB_CONTINUE : JOB_START;
}

void job_look(Job *job, const JobBuild *build) {
  facts_read_noted(&job->facts, job->folder);
  judge(job, build);
}

void job_look_only(Job *job, const JobBuild *build) {
  char events[CONFIG_PATH_MAX];
  facts_init(&job->facts);
  if (io_join(events, sizeof events, job->folder, "events.jsonl", NULL))
    facts_read(&job->facts, events);
  judge(job, build);
}

bool jobs_create(Job **jobs, const Plan *plan, const char *out, const JobBuild *build, Error *e) {
  char sweep[CONFIG_PATH_MAX];
  *jobs = need(calloc((size_t)plan->count + 1, sizeof **jobs));
  Counted counted = {0};
  int stops = plan->prune.rule != PRUNE_NONE ? plan->prune.count : 0;
  bool ok = folder_of_sweep(sweep, out, plan, e);
  for (int i = 0; ok && i < plan->count; i++) {
    Job *job = &(*jobs)[i];
    job->trial = &plan->trials[i];
    job->label = make_label(job->trial);
    ok = folder_of_trial(job->folder, sweep, job->trial, e);
    if (ok) {
      job->id = folder_trial_id(job->folder);
      job_look(job, build);
    }
    ok = ok && measure_config(job, &counted, stops, e);
  }
  free(counted.list);
  if (!ok) jobs_free(*jobs, plan->count);
  return ok;
}

void jobs_free(Job *jobs, int count) {
  for (int i = 0; i < count; i++) {
    free(jobs[i].label);
    free(jobs[i].from);
  }
  free(jobs);
}

void jobs_keep_part(Job *jobs, int count, int part, int parts) {
  for (int i = 0; i < count; i++)
    if (i % parts != part - 1 && (jobs[i].action != JOB_SKIP || jobs[i].from))
      jobs[i].action = JOB_ELSEWHERE;
}

bool job_is_to_run(const Job *job) {
  return job->action != JOB_SKIP && job->action != JOB_ELSEWHERE && job->action != JOB_PAUSED;
}

int64_t job_reached(const Job *job) {
  int64_t step = -1;
  if (job->action == JOB_SKIP) return job->facts.step;
  if (job->action == JOB_REPLACE || job->facts.starts == 0) return -1;
  return step_folders_newest(job->from ? job->from : job->folder, &step, NULL) ? step : -1;
}

bool job_waits_for_others(const Job *job) {
  return job->until > 0 && job->status != TRIAL_DONE && job_reached(job) >= job->until;
}

const char *job_action_text(JobAction action) {
  switch (action) {
  case JOB_SKIP:
    return "done";
  case JOB_START:
    return "to run";
  case JOB_CONTINUE:
    return "to continue";
  case JOB_RETRY:
    return "failed, to run again";
  case JOB_REPLACE:
    return "not usable, to run again";
  case JOB_ELSEWHERE:
    return "of another part";
  case JOB_PAUSED:
    return "paused by [prune]";
  }
  return "";
}

double job_work(const Job *job, int64_t from, int64_t to, bool ends) {
  const Config *config = &job->trial->config;
  int64_t every = config->probe.every, probes = 0;
  if (to < from) to = from;
  if (every > 0) probes = to / every - from / every;
  /* Where the last step is one of those, that probe is the end's. */
  if (every > 0 && to > from && to == job->steps && to % every == 0) probes--;
  return (double)(to - from) * config->train.batch * job->gflops_per_image +
         (double)probes * job->probe.model + (ends ? job->probe.model + job->probe.baselines : 0);
}

double job_work_left(const Job *job) {
  if (!job_is_to_run(job)) return 0;
  bool anew = job->action == JOB_START || job->action == JOB_REPLACE || !job->starts_at_checkpoint;
  bool ends = job->until == 0;
  return job_work(job, anew ? 0 : job->facts.step, ends ? job->steps : job->until, ends);
}

/* GFLOP/s of a product of the size that small models have. */
static double time_product(const char *name, int threads) {
  enum { ROWS = 4096, WIDTH = 384 };
  char message[256];
  Device *device = backend_open(name, threads, true, message, sizeof message);
  if (!device) return NAN;
  const Kernels *kernels = device->kernels;
  float *x = kernels->alloc(device, sizeof(float) * ROWS * WIDTH);
  float *y = kernels->alloc(device, sizeof(float) * ROWS * WIDTH);
  float *w = kernels->alloc(device, sizeof(float) * WIDTH * WIDTH);
  double speed = NAN;
  if (x && y && w) {
    int rounds = 0;
    double start = 0;
    /* The first product creates the library's kernels and is not counted. */
    for (rounds = -1; rounds < 1 || clock_seconds() - start < 0.1; rounds++) {
      if (rounds == 0) start = clock_seconds();
      kernels->linear_forward(device, y, DTYPE_F32, x, w, NULL, DTYPE_F32, ROWS, WIDTH, WIDTH);
      if (!kernels->synchronize(device, message, sizeof message)) break;
    }
    if (rounds > 0) speed = rounds * 2e-9 * ROWS * WIDTH * WIDTH / (clock_seconds() - start);
  }
  if (x) kernels->free(device, x);
  if (y) kernels->free(device, y);
  if (w) kernels->free(device, w);
  kernels->close(device);
  return speed;
}

/* On the device that the trials will use; on a GPU in a child process, so that this one holds
 * no GPU memory. */
static double time_device(const Config *config) {
  const char *wanted = config->run.device;
  bool gpu = strcmp(wanted, "cpu") && gpus_find()->count > 0;
  if (!gpu) return strncmp(wanted, "cuda", 4) ? time_product("cpu", config->run.threads) : NAN;
  double speed = NAN;
  int answer[2];
  if (pipe(answer) != 0) return NAN;
  pid_t child = fork();
  if (child == 0) {
    speed = time_product(strncmp(wanted, "cuda:", 5) ? "cuda:0" : wanted, 0);
    _exit(write(answer[1], &speed, sizeof speed) != (ssize_t)sizeof speed);
  }
  close(answer[1]);
  if (child > 0 && read(answer[0], &speed, sizeof speed) != (ssize_t)sizeof speed) speed = NAN;
  close(answer[0]);
  while (child > 0 && waitpid(child, NULL, 0) < 0 && errno == EINTR) {
  }
  return speed;
}

void jobs_estimate(Job *jobs, int count, char *basis, size_t size) {
  double sum = 0;
  int recorded = 0;
  for (int i = 0; i < count; i++) {
    if (!(jobs[i].facts.gflops_per_second > 0)) continue;
    sum += jobs[i].facts.gflops_per_second;
    recorded++;
  }
  double speed = recorded ? sum / recorded : step_share * time_device(&jobs[0].trial->config);
  if (recorded)
    snprintf(
        basis, size,
        "from the %.0f GFLOP/s that %d trials of this sweep reached; training steps and probes",
        speed, recorded);
  else if (speed > 0)
    snprintf(basis, size,
             "assuming %.0f GFLOP/s, %.0f%% of a matrix product timed here in fp32; training steps "
             "and probes",
             speed, 100 * step_share);
  else
    snprintf(basis, size, "unknown: the device could not be opened for a measurement");
  for (int i = 0; i < count; i++) {
    double own = jobs[i].facts.gflops_per_second;
    jobs[i].seconds = jobs[i].steps > 0 || !job_is_to_run(&jobs[i])
                          ? job_work_left(&jobs[i]) / (own > 0 ? own : speed)
                          : NAN;
  }
}
