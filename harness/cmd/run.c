/* harness run: FILE... -> trials -> trainer processes -> database. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "harness/cmd/cmd.h"
#include "harness/cmd/options.h"
#include "harness/cmd/run.h"
#include "harness/plan/locate.h"
#include "harness/run/images.h"
#include "harness/run/lost.h"
#include "harness/run/place.h"
#include "harness/run/report.h"
#include "harness/run/room.h"
#include "harness/run/rungs.h"
#include "harness/run/runner.h"
#include "mae/base/clock.h"
#include "mae/base/commands.h"
#include "mae/base/io.h"
#include "mae/base/sha256.h"

static const char about[] =
    "Runs every trial of the experiments, each in a `mae train` process, and records it. Trials\n"
    "that this build of mae has done already are skipped, failed ones run again, interrupted ones\n"
    "continue from their checkpoint. FILE is looked for as given and under experiments/.\n"
    "Later wins: defaults, the scale, FILE, --set. Ctrl-C stops cleanly; the same command goes "
    "on.\n"
    "So does one that --time-limit stopped, with exit code 75: repeat it until the code is "
    "another.\n"
    "\n"
    "A cluster with Slurm takes the sweep as a job array, a task for each trial or as many as\n"
    "--array says, each within the partition's time limit and queued again until it is done:\n"
    "  harness run FILE --scale h200 --out /shared/results --slurm --gpus=1\n"
    "--dry-run before --slurm shows the job script. `harness status` tells how far it is, and\n"
    "`scancel JOB` stops it. Under another batch system run the parts as tasks that have a\n"
    "database of their own each, and `harness import --out /shared/results` at the end:\n"
    "  harness run FILE --part 3/16 --out /shared/results --db /tmp/part-3.db";

/* The trainer may be started from another folder one day (harness verify): paths become absolute.
 * They take no part in the config hash. */
static void make_absolute(char path[CONFIG_PATH_MAX]) {
  char *real = *path ? realpath(path, NULL) : NULL;
  if (real && strlen(real) < CONFIG_PATH_MAX) strcpy(path, real);
  free(real);
}

/* A scale that is chosen here runs here: with one GPU a trial has that one, which makes the same
 * bits as two. */
static bool choose_scale(const RunCommand *run, char path[CONFIG_PATH_MAX], bool *found,
                         Overrides *overrides, Error *e) {
  *found = true;
  if (run->scale && !strcmp(run->scale, "none")) {
    *found = false;
    return true;
  }
  if (run->scale) return locate_scale(path, run->scale, e);
  char reason[192];
  const char *scale = locate_default_scale(reason, sizeof reason);
  if (!locate_scale(path, scale, e)) return error_suffix(e, "--scale none runs FILE without one");
  fprintf(stderr, "scale %s (%s); --scale cpu, cpu-hour, t4x2, h200 or none chooses another\n",
          scale, reason);
  if (gpus_find()->count == 1) overrides_add(overrides, "resources.gpus_per_trial", "1");
  return true;
}

static bool load_plans(RunCommand *run, Error *e) {
  char scale[CONFIG_PATH_MAX], file[CONFIG_PATH_MAX], text[32];
  bool scaled;
  Overrides overrides = {0};
  bool ok = choose_scale(run, scale, &scaled, &overrides, e) &&
            overrides_read(&overrides, &run->settings, e);
  if (ok && scaled) strcpy(run->scale_file, scale);
  if (run->jobs_per_gpu > 0) {
    snprintf(text, sizeof text, "%lld", (long long)run->jobs_per_gpu);
    overrides_add(&overrides, "resources.jobs_per_gpu", text);
  }
  if (run->no_prune) overrides_add(&overrides, "prune.rule", "none");
  run->plans = need(calloc((size_t)run->line.word_count, sizeof *run->plans));
  for (int i = 0; ok && i < run->line.word_count; i++) {
    Plan *plan = &run->plans[run->plan_count];
    ok = locate_experiment(file, run->line.words[i], e) &&
         plan_load(plan, file, scaled ? scale : NULL, overrides.items, overrides.count, e);
    if (ok) run->plan_count++;
    for (int t = 0; ok && t < plan->count; t++) {
      make_absolute(plan->trials[t].config.data.path);
      make_absolute(plan->trials[t].config.data.cache);
    }
  }
  overrides_free(&overrides);
  return ok;
}

void run_introduce(const Plan *plan) {
  fprintf(stderr, "%s%s%s: %d trial%s", plan->name, *plan->scale ? "-" : "", plan->scale,
          plan->count, plan->count == 1 ? "" : "s");
  if (plan->excluded) fprintf(stderr, ", %d left out by exclude", plan->excluded);
  if (plan->duplicates)
    fprintf(stderr, ", %d dropped because another has the same config hash", plan->duplicates);
  fprintf(stderr, "%s%s\n", *plan->question ? ". " : "", plan->question);
  if (plan->note) fprintf(stderr, "note: %s\n", plan->note);
}

/* resources.* and run.device are the same in all trials of a plan: they are not swept. */
static bool make_places(Places *places, const RunCommand *run, const Job *jobs, int count,
                        Error *e) {
  size_t memory = 0;
  char text[512];
  int left = 0;
  for (int i = 0; i < count; i++) {
    left += job_is_to_run(&jobs[i]);
    memory = jobs[i].memory > memory ? jobs[i].memory : memory;
  }
  *places = (Places){0};
  if (!left) return true;
  if (!places_make(places, &jobs[0].trial->config, memory, (int)run->jobs, gpus_find(), e))
    return false;
  places_describe(places, text, sizeof text);
  fprintf(stderr, "trials run on %s\n", text);
  return true;
}

bool run_make_jobs(Job **jobs, const RunCommand *run, const Plan *plan, Error *e) {
  if (!jobs_create(jobs, plan, run->out, &run->build, e)) return false;
  bool ok = incoming_look(&run->incoming, plan, *jobs, &run->build, e);
  if (!ok) jobs_free(*jobs, plan->count);
  if (ok) jobs_keep_part(*jobs, plan->count, run->part, run->parts);
  return ok;
}

/* Before anything is written. */
bool run_measure_disk(const RunCommand *run, const Plan *plan, const Job *jobs, int at_once,
                      bool say, Error *e) {
  char folder[CONFIG_PATH_MAX];
  Room room;
  if (!folder_of_sweep(folder, run->out, plan, e)) return false;
  room_plan(&room, jobs, plan->count, folder, at_once);
  if (say) room_say(stdout, &room);
  commands_flush_output();
  return room_check(&room, folder_experiment(folder), run->out, run->disk_limit, e);
}

/* What an earlier session did (--from). */
static bool take_earlier(const RunCommand *run, const Plan *plan, Job *jobs, Error *e) {
  int done = 0, begun = 0;
  for (int i = 0; i < plan->count; i++) {
    Job *job = &jobs[i];
    if (!job->from || job->action == JOB_ELSEWHERE) continue;
    runner_obey_signal(); /* copies take long */
    if (!incoming_take(job, &run->build, e)) return error_prefix(e, "%s", job->label);
    done += job->action == JOB_SKIP;
    begun += job->action == JOB_CONTINUE || job->action == JOB_RETRY;
  }
  if (run->from.count)
    fprintf(stderr, "taken from earlier results: %d done, %d to continue\n", done, begun);
  return true;
}

static void note_elsewhere(const Error *e) {
  fprintf(stderr, "note: this machine could not run it: %s\n", e->message);
}

static double limit_of(const RunCommand *run) {
  return run->time_limit > 0 ? run->time_limit : INFINITY;
}

/* For the checkpoints of what runs then: a tenth of the limit, at most five minutes. */
static double time_to_stop(const RunCommand *run) {
  return fmin(run->time_limit / 10, 300);
}

/* How often the command has to be repeated, from the estimated times. */
static void say_sessions(const RunCommand *run, const Job *jobs, int count, int places) {
  double seconds = 0, longest = 0;
  for (int i = 0; i < count; i++) {
    if (!job_is_to_run(&jobs[i])) continue;
    seconds += jobs[i].seconds;
    longest = fmax(longest, jobs[i].seconds);
  }
  if (isnan(seconds)) return;
  double wall = fmax(seconds / (places > 0 ? places : 1), longest);
  int sessions = (int)ceil(wall / (run->time_limit - time_to_stop(run)));
  printf("%d session%s of this --time-limit, with %d trial%s at a time\n", sessions,
         sessions == 1 ? "" : "s", places > 0 ? places : 1, places > 1 ? "s" : "");
}

static bool dry_run(RunCommand *run, const Plan *plan, Error *e) {
  Job *jobs;
  Places places;
  Error elsewhere = {0};
  char basis[256];
  Rungs rungs;
  if (!run_make_jobs(&jobs, run, plan, e)) return false;
  jobs_estimate(jobs, plan->count, basis, sizeof basis);
  if (!rungs_open(&rungs, plan, jobs, &run->build, e)) {
    jobs_free(jobs, plan->count);
    return false;
  }
  report_plan(stdout, plan, jobs, run->json);
  if (!run->json) printf(" (%s)\n", basis);
  if (!run->json) rungs_say(stdout, &rungs);
  commands_flush_output();
  /* A plan may be for another machine than this one. */
  if (!make_places(&places, run, jobs, plan->count, &elsewhere)) note_elsewhere(&elsewhere);
  if (run->time_limit > 0 && !run->json) say_sessions(run, jobs, plan->count, places.count);
  bool ok = run_measure_disk(run, plan, jobs, places.count, !run->json, e);
  places_free(&places);
  rungs_close(&rungs);
  jobs_free(jobs, plan->count);
  return ok;
}

bool run_enter_trials(Store *store, const Plan *plan, Job *jobs, const char *out, Error *e) {
  char folder[CONFIG_PATH_MAX];
  int64_t sweep;
  if (!folder_of_sweep(folder, out, plan, e) || !folder_write_sweep(folder, plan, e) ||
      !store_add_sweep(store, folder, &sweep, e))
    return false;
  for (int i = 0; i < plan->count; i++) {
    Job *job = &jobs[i];
    if (job->id == 0 && !store_next_trial_id(store, &job->id, e)) return false;
    if (!folder_write_trial(job->folder, folder_experiment(folder), job->trial, job->id, e))
      return false;
    /* What is done elsewhere (--from) and not yet taken has nothing here. */
    bool brings_its_own = job->action == JOB_SKIP && !job->from;
    if (!brings_its_own && !folder_write_config(job->folder, &job->trial->config, e)) return false;
    int64_t given = job->id;
    if (!supervise_record(store, sweep, job, e)) return false;
    /* The number was another trial's, or the trial has one in this database already. */
    if (job->id != given &&
        !folder_write_trial(job->folder, folder_experiment(folder), job->trial, job->id, e))
      return false;
  }
  return store_recover(store, e);
}

/* Trials that are there with another length start anew, although there is a checkpoint: the
 * learning rate of every step depends on how many there are. */
static bool say_other_length(Store *store, const Job *jobs, int count, Error *e) {
  int64_t other = 0;
  bool ok = true;
  for (int i = 0; ok && !other && i < count; i++) {
    if (jobs[i].action != JOB_START) continue;
    ok = store_find_other_length(store, jobs[i].id, &other, e);
    if (other)
      fprintf(stderr,
              "trial %lld is trial %lld with another length of training: it starts anew, not from "
              "that checkpoint, because the cosine schedule spans the whole run\n",
              (long long)jobs[i].id, (long long)other);
  }
  return ok;
}

static void say_skipped(const Plan *plan, const Job *jobs, const JobBuild *build) {
  const char *why = "";
  int done = 0, other = 0, built = 0, go_on = 0, elsewhere = 0, pruned = 0;
  for (int i = 0; i < plan->count; i++) {
    done += jobs[i].action == JOB_SKIP;
    if (jobs[i].action == JOB_REPLACE && !other++) why = jobs[i].why_anew;
    built += jobs[i].action == JOB_REPLACE && job_is_of_other_build(&jobs[i], build);
    go_on += jobs[i].action == JOB_CONTINUE;
    elsewhere += jobs[i].action == JOB_ELSEWHERE;
    pruned += jobs[i].pruned.step > 0;
  }
  if (done) fprintf(stderr, "%d of %d trials are done already\n", done, plan->count);
  if (pruned) fprintf(stderr, "%d are pruned; --no-prune continues them\n", pruned);
  if (elsewhere) fprintf(stderr, "%d are left to other parts\n", elsewhere);
  if (go_on) fprintf(stderr, "%d continue from their checkpoint\n", go_on);
  if (other)
    fprintf(stderr, "%d are set aside and run again from the start (%s)%s\n", other, why,
            built ? "; --any-build accepts other builds'" : "");
}

/* What no query can compute: the bootstraps of the points, and our order of the settings beside the
 * published one, where the experiment has any. */
static bool judge(const RunCommand *run, Store *store, const Plan *plan, Error *e) {
  char folder[CONFIG_PATH_MAX], *text;
  if (!folder_of_sweep(folder, run->out, plan, e) ||
      !store_judge_points(store, folder_experiment(folder), e) ||
      !store_judge_paper(store, folder_experiment(folder), &text, e))
    return false;
  if (text && !run->json && run->parts == 1) printf("\nbeside the paper: %s\n", text);
  free(text);
  return true;
}

/* Event files that have settled are noted at the end, so that the next start need not read them. */
static void note_finished(const Job *jobs, int count) {
  for (int i = 0; i < count; i++) {
    Facts unused;
    if (jobs[i].status == TRIAL_DONE) facts_read_noted(&unused, jobs[i].folder);
  }
}

static bool run_plan(RunCommand *run, Store *store, const Plan *plan, Error *e) {
  Job *jobs;
  Rungs rungs = {0};
  if (!run_make_jobs(&jobs, run, plan, e)) return false;
  Progress progress;
  SuperviseResult result = {0};
  Places places;
  char sweep_folder[CONFIG_PATH_MAX];
  SuperviseOptions options = {.trainer = run->trainer,
                              .disk_limit = run->disk_limit > 0 ? run->disk_limit : INFINITY,
                              .sweep_folder = sweep_folder,
                              .places = &places,
                              .timeout = run->timeout,
                              .build = &run->build,
                              .deadline = run->started + limit_of(run),
                              .stop_at = run->started + limit_of(run) - time_to_stop(run),
                              .keep_going = run->keep_going};
  run_introduce(plan);
  places = (Places){0};
  bool ok = rungs_open(&rungs, plan, jobs, &run->build, e) &&
            make_places(&places, run, jobs, plan->count, e) &&
            run_measure_disk(run, plan, jobs, places.count, false, e) &&
            take_earlier(run, plan, jobs, e);
  if (ok) {
    jobs_compare_images(jobs, plan->count, &run->build);
    rungs_look(&rungs); /* what has been taken, or is of no use after all */
    say_skipped(plan, jobs, &run->build);
    ok = folder_of_sweep(sweep_folder, run->out, plan, e) &&
         run_enter_trials(store, plan, jobs, run->out, e) &&
         say_other_length(store, jobs, plan->count, e);
  }
  if (ok) {
    lost_settle(jobs, plan->count, &run->build, store);
    /* What seemed to be done may have to be trained anew after all. */
    ok = places.count || make_places(&places, run, jobs, plan->count, e);
  }
  if (ok) {
    progress_open(&progress);
    ok = rungs_supervise(&rungs, store, &options, &progress, &result, e);
    note_finished(jobs, plan->count);
  }
  if (ok) report_results(stdout, plan, jobs, run->json);
  run->signal = result.signal;
  run->gave_up = result.gave_up;
  run->out_of_disk = result.out_of_disk;
  for (int i = 0; i < plan->count; i++) {
    if (jobs[i].action == JOB_ELSEWHERE) continue;
    TrialStatus status = jobs[i].status;
    run->failed += status == TRIAL_FAILED;
    run->pruned += status == TRIAL_PRUNED;
    bool left = status != TRIAL_FAILED && status != TRIAL_PRUNED && status != TRIAL_DONE;
    run->left += left;
    run->out_of_time |= result.out_of_time && left;
  }
  if (ok && result.unrecorded)
    ok = error_set(e, EXIT_DATA,
                   "%d lines are in the trial folders but not in %s (%s); `harness import` takes "
                   "them in once that is put right",
                   result.unrecorded, run->db, result.problem);
  ok = ok && judge(run, store, plan, e);
  places_free(&places);
  rungs_close(&rungs);
  jobs_free(jobs, plan->count);
  return ok;
}

static bool make_parent(const char *path, Error *e) {
  char folder[CONFIG_PATH_MAX];
  const char *slash = strrchr(path, '/');
  if (!slash || slash == path) return true;
  snprintf(folder, sizeof folder, "%.*s", (int)(slash - path), path);
  return io_make_folders(folder, e);
}

bool run_open_store(const RunCommand *run, Store **store, Error *e) {
  struct stat info;
  bool fresh = stat(run->db, &info) != 0, trials = stat(run->out, &info) == 0;
  if (!make_parent(run->db, e) || !store_open(store, run->db, e)) return false;
  int count = 0;
  bool cut, ok = store_import_cut(*store, &cut, e);
  if (ok && (fresh || cut) && trials) ok = store_import(*store, run->out, &count, e);
  if (count)
    fprintf(stderr, "%s %s: took in %d trials found in %s\n", run->db,
            fresh ? "is new" : "was left by an import that was cut short", count, run->out);
  if (!ok) store_close(*store);
  return ok;
}

static bool run_all(RunCommand *run, Error *e) {
  Store *store;
  if (!run_open_store(run, &store, e)) return false;
  bool ok = true;
  for (int i = 0; ok && i < run->plan_count && !run->signal && !run->out_of_time &&
                  !run->out_of_disk && !run->gave_up;
       i++)
    ok = run_plan(run, store, &run->plans[i], e);
  store_close(store);
  return ok;
}

enum { PARTS_MAX = 1000000 };

/* --part K/N. A database has one writer, so a part must name one. */
static bool read_part(RunCommand *run, Error *e) {
  const char *text = run->part_text;
  long part, parts;
  int end = 0;
  run->part = run->parts = 1;
  if (!text) return true;
  if (strlen(text) > 20 || sscanf(text, "%ld/%ld%n", &part, &parts, &end) != 2 || text[end] ||
      part < 1 || part > parts || parts > PARTS_MAX)
    return error_set(e, EXIT_CONFIG, "--part %.50s: expected K/N, K from 1 to N, N at most %d",
                     text, PARTS_MAX);
  run->part = (int)part;
  run->parts = (int)parts;
  if (run->parts > 1 && !strcmp(run->db, DEFAULT_DB) && !run->dry_run)
    return error_set(e, EXIT_CONFIG,
                     "--part %s needs --db PATH, a database of its own on this machine's disk; "
                     "`harness import` joins the parts",
                     text);
  return true;
}

/* Before the first trial of any plan starts. */
static bool check_trials(const RunCommand *run, Error *e) {
  for (int p = 0; p < run->plan_count; p++) {
    const Plan *plan = &run->plans[p];
    for (int i = 0; i < plan->count; i++) {
      if (places_accept(&plan->trials[i].config, gpus_find(), e)) continue;
      char *values = plan_describe(&plan->trials[i]);
      error_prefix(e, "%s: trial %s", plan->name, values);
      free(values);
      return false;
    }
  }
  return true;
}

/* A part does not see the trials of the others, and --slurm makes parts. */
static bool check_parts(const RunCommand *run, Error *e) {
  for (int p = 0; p < run->plan_count && (run->parts > 1 || run->slurm.items); p++)
    if (run->plans[p].prune.rule != PRUNE_NONE)
      return error_set(e, EXIT_CONFIG,
                       "%s%s: %s has a [prune], which compares all of its trials: run it without "
                       "%s, or with --no-prune",
                       run->slurm.items ? "--slurm" : "--part ",
                       run->slurm.items ? "" : run->part_text, run->plans[p].name,
                       run->slurm.items ? "--slurm" : "--part");
  return true;
}

static bool prepare(RunCommand *run, Error *e) {
  Error missing = {0};
  /* What is run elsewhere need not run here. */
  bool here = !run->dry_run && !run->slurm.items;
  if ((run->disk_text && !disk_parse(run->disk_text, &run->disk_limit, e)) ||
      (run->slurm.items && !run_slurm_read(run, e)) || !read_part(run, e) || !load_plans(run, e) ||
      !check_parts(run, e))
    return false;
  if (!check_trials(run, here ? e : &missing)) {
    if (here) return false;
    note_elsewhere(&missing);
  }
  bool found = locate_trainer(run->trainer, run->trainer_given, &missing) &&
               sha256_file(run->build.sha256, run->trainer, &missing);
  if (!found && run->dry_run) {
    fprintf(stderr, "note: %s\n", missing.message);
    run->build.any = true;
  } else if (!found) {
    *e = missing;
    return false;
  }
  return (run->dry_run || room_writable(run->out, e)) &&
         incoming_open(&run->incoming, &run->from, run->plans, run->plan_count, run->out, !here, e);
}

int cmd_run(int argc, char **argv) {
  RunCommand run = {
      .db = DEFAULT_DB, .out = DEFAULT_OUT, .timeout = TIMEOUT_USUAL, .started = clock_seconds()};
  const CmdOption options[] = {
      {"--scale", CMD_TEXT, &run.scale, "NAME", "cpu, cpu-hour, t4x2, h200, none or a file"},
      OPTION_DB(&run.db),
      OPTION_OUT(&run.out),
      {"--jobs", CMD_COUNT, &run.jobs, "N", "trials side by side; on a CPU they share it"},
      {"--jobs-per-gpu", CMD_COUNT, &run.jobs_per_gpu, "N", "trials that share one GPU"},
      {"--part", CMD_TEXT, &run.part_text, "K/N",
       "only every N-th trial, from the K-th on: see above"},
      {"--shard", CMD_TEXT, &run.part_text, "K/N", NULL}, /* its older name */
      {"--timeout", CMD_NUMBER, &run.timeout, "SECONDS",
       "silence that counts as a hang (600; longer for slow steps; at least 60)"},
      {"--time-limit", CMD_TIME, &run.time_limit, "TIME",
       "stop in time, each trial with a checkpoint, and end with exit code 75: 11h30m, 90m, 45s"},
      {"--disk-limit", CMD_TEXT, &run.disk_text, "SIZE",
       "what the experiment's files in --out may take: 20GB, 500MB; a plan that cannot\n"
       "fit is refused, exit code 73"},
      {"--from", CMD_LIST, &run.from, "PATH",
       "go on from an earlier session's --out, which is only read, or its bundle (harness\n"
       "export); repeat it"},
      {"--keep-going", CMD_COUNT, &run.keep_going, "N",
       "start no more trials after N that failed in a row (0: any number)"},
      {"--dry-run", CMD_FLAG, &run.dry_run, NULL, "print the plan: trials, cost, state"},
      {"--json", CMD_FLAG, &run.json, NULL, "print the plan or the results as JSON"},
      {"--no-prune", CMD_FLAG, &run.no_prune, NULL,
       "leave [prune] out: what it paused goes on to its end"},
      {"--any-build", CMD_FLAG, &run.build.any, NULL,
       "accept results and checkpoints of other builds of mae"},
      {"--mae", CMD_TEXT, &run.trainer_given, "PATH", "the trainer program"},
      {"--set", CMD_LIST, &run.settings, "KEY=VALUE",
       "set one option over the files, or replace a swept key's list; repeat it"},
      {"--slurm", CMD_REST, &run.slurm, "SBATCH OPTIONS",
       "submit the sweep to Slurm as a job array with an import after it; stands last, as\n"
       "all that follows goes to sbatch: --slurm --partition=gpu --gpus=1. See above"},
  };
  run.line = (CommandLine){.name = "harness run",
                           .usage = "FILE...",
                           .about = about,
                           .options = options,
                           .option_count = sizeof options / sizeof *options,
                           .words_min = 1,
                           .words_max = 1000};
  int code;
  Error e = {0};
  if (command_line_read(&run.line, argc, argv, &code)) {
    bool ok = prepare(&run, &e);
    if (ok && run.slurm.items) {
      ok = run_slurm(&run, &e);
    } else if (ok && run.dry_run) {
      for (int i = 0; ok && i < run.plan_count; i++) {
        run_introduce(&run.plans[i]);
        ok = dry_run(&run, &run.plans[i], &e);
      }
    } else if (ok) {
      trainer_check_timeout(run.timeout);
      runner_block_signals();
      ok = run_all(&run, &e);
      if (ok && !run.json) run_say_next(&run);
    }
    code = !ok               ? command_fail(run.line.name, &e)
           : run.signal      ? 128 + run.signal
           : run.out_of_time ? EXIT_TIME
           : run.out_of_disk ? EXIT_DISK
           : run.failed      ? EXIT_SOME_FAILED
           : run.left        ? EXIT_SOME_FAILED
                             : EXIT_OK;
  }
  incoming_close(&run.incoming);
  slurm_options_free(&run.slurm_options);
  for (int i = 0; i < run.plan_count; i++) plan_free(&run.plans[i]);
  free(run.plans);
  command_line_free(&run.line);
  return code;
}
