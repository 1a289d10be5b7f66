/* harness run FILE... --slurm: the sweep as a job array of Slurm. Each task is a `harness run
 * --part` of its own; what is to be done, and what is done already, is decided as without Slurm. */
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness/cmd/cmd.h"
#include "harness/cmd/run.h"
#include "harness/plan/locate.h"
#include "harness/run/report.h"
#include "harness/slurm/slurm.h"
#include "harness/slurm/submission.h"

enum { PARTS_USUAL_MAX = 100 };

/* A plan's jobs, and the parts in which there is something to do. */
typedef struct SlurmRun {
  RunCommand *run;
  Job **jobs; /* [run->plan_count] */
  int to_do;
  Submission submission;
  SlurmScript script;
  char folder[CONFIG_PATH_MAX], here[CONFIG_PATH_MAX], program[CONFIG_PATH_MAX];
} SlurmRun;

bool run_slurm_read(RunCommand *run, Error *e) {
  if (run->part_text)
    return error_set(e, EXIT_CONFIG,
                     "--slurm makes the parts itself: --part is not for the same command; "
                     "--slurm --array=1-N says how many");
  if (run->json)
    return error_set(e, EXIT_CONFIG,
                     "--json prints a plan or results, --slurm submits: give one of them");
  if (!run->scale)
    return error_set(e, EXIT_CONFIG,
                     "--slurm needs --scale (cpu, cpu-hour, t4x2, h200, none or a file): it cannot "
                     "be seen here what the machines have that the tasks will run on");
  return slurm_options_read(&run->slurm_options, &run->slurm, run->line.options,
                            run->line.option_count, e);
}

/* ---- The time ---- */

static void say_time(const SlurmRun *slurm, const char *why) {
  char task[64], session[64];
  format_duration(task, sizeof task, slurm->script.seconds);
  format_duration(session, sizeof session, slurm->script.time_limit);
  if (isinf(slurm->script.seconds))
    fprintf(stderr, "a task has no time limit (%s)\n", why);
  else
    fprintf(stderr, "a task has %s of Slurm (%s), the harness in it %s\n", task, why, session);
}

/* What Slurm grants a task, and what of it the harness has. */
static bool choose_time(SlurmRun *slurm, Error *e) {
  const RunCommand *run = slurm->run;
  SlurmLimit limit = {INFINITY, INFINITY, "it is not known here"};
  Error problem = {0};
  bool known = slurm_there(&problem);
  if (known) known = slurm_limit(&limit, run->slurm_options.partition, &problem);
  if (run->slurm_options.seconds) {
    if (run->slurm_options.seconds > limit.most)
      fprintf(stderr,
              "note: --time is longer than the partition grants (%s): the tasks may wait "
              "for ever\n",
              limit.what);
    limit.seconds = run->slurm_options.seconds;
    snprintf(limit.what, sizeof limit.what, "--time");
  }
  if (!known && !run->dry_run) {
    *e = problem;
    return false;
  }
  if (!known) fprintf(stderr, "note: %s\n", problem.message);
  double given = run->time_limit > 0 ? run->time_limit : INFINITY;
  if (isfinite(given) && given > limit.seconds)
    return error_set(e, EXIT_CONFIG,
                     "--time-limit is %.0f s, but Slurm ends a task after %.0f s (%s)", given,
                     limit.seconds, limit.what);
  slurm->script.seconds = limit.seconds;
  slurm->script.time_limit = fmin(given, limit.seconds);
  if (isfinite(limit.seconds))
    slurm->script.time_limit = fmin(given, limit.seconds - slurm_script_margin(limit.seconds));
  say_time(slurm, limit.what);
  return true;
}

/* ---- The files ---- */

static const char *name_of(const char *path) {
  const char *slash = strrchr(path, '/');
  return slash ? slash + 1 : path;
}

/* Their copies lie beside each other, under the names that they have: those may be the
 * experiments'. */
static bool find_files(SlurmRun *slurm, Error *e) {
  const RunCommand *run = slurm->run;
  StringList *files = &slurm->submission.files;
  char file[CONFIG_PATH_MAX];
  for (int i = 0; i < run->line.word_count; i++) {
    if (!locate_experiment(file, run->line.words[i], e)) return false;
    for (int f = 0; f < files->count; f++)
      if (!strcmp(name_of(files->items[f]), name_of(file)))
        return error_set(e, EXIT_CONFIG,
                         "--slurm: two FILEs are called %s; submit them one after the other",
                         name_of(file));
    strings_add(files, string_copy(file));
  }
  return true;
}

/* ---- The parts ---- */

/* What is done in an earlier session (--from) still has to be taken. */
static bool has_work(const Job *job) {
  return job_is_to_run(job) || job->from;
}

static bool look_at_jobs(SlurmRun *slurm, Error *e) {
  const RunCommand *run = slurm->run;
  int most = 0;
  bool ok = true;
  char folder[CONFIG_PATH_MAX];
  slurm->jobs = need(calloc((size_t)run->plan_count, sizeof *slurm->jobs));
  for (int p = 0; ok && p < run->plan_count; p++) {
    const Plan *plan = &run->plans[p];
    run_introduce(plan);
    most = plan->count > most ? plan->count : most;
    ok = run_make_jobs(&slurm->jobs[p], run, plan, e) && folder_of_sweep(folder, run->out, plan, e);
    if (!ok) break;
    strings_add(&slurm->script.sweeps, string_copy(folder));
    strings_add(&slurm->submission.experiments, string_copy(folder_experiment(folder)));
  }
  int usual = most < PARTS_USUAL_MAX ? most : PARTS_USUAL_MAX, given = run->slurm_options.parts;
  int parts = slurm->script.parts = given ? given : usual;
  slurm->submission.busy = need(calloc((size_t)parts + 1, sizeof(bool)));
  for (int p = 0; ok && p < run->plan_count; p++)
    for (int i = 0; i < run->plans[p].count; i++) {
      if (!has_work(&slurm->jobs[p][i])) continue;
      slurm->submission.busy[i % parts] = true; /* as jobs_keep_part shares them out */
      slurm->to_do++;
    }
  slurm->script.array = submission_array(slurm->submission.busy, parts, run->slurm_options.at_once);
  return ok;
}

static int tasks_of(const SlurmRun *slurm) {
  int tasks = 0;
  for (int k = 0; k < slurm->script.parts; k++) tasks += slurm->submission.busy[k];
  return tasks;
}

static bool measure(const SlurmRun *slurm, Error *e) {
  const RunCommand *run = slurm->run;
  int tasks = tasks_of(slurm), most = run->slurm_options.at_once;
  bool ok = true;
  for (int p = 0; ok && p < run->plan_count; p++)
    ok = run_measure_disk(run, &run->plans[p], slurm->jobs[p], most && most < tasks ? most : tasks,
                          run->dry_run, e);
  return ok;
}

/* ---- The command of a task ---- */

static void add_option(StringList *command, const CmdOption *option, const char *value) {
  strings_add(command, string_copy(option->name));
  strings_add(command, string_copy(value));
}

/* Those that are this command's own, or that every task has its own of. */
static bool is_for_tasks(const SlurmRun *slurm, const CmdOption *option) {
  const RunCommand *run = slurm->run;
  const void *target = option->target;
  return option->help && target != &run->db && target != &run->part_text && target != &run->scale &&
         target != &run->time_limit && target != &run->dry_run && target != &run->trainer_given &&
         option->type != CMD_REST && (target != &run->timeout || run->timeout != TIMEOUT_USUAL);
}

/* What was given of an option, again. */
static void repeat_option(StringList *command, const CmdOption *option) {
  char text[64];
  const CmdList *list = option->target;
  switch (option->type) {
  case CMD_FLAG:
    if (*(bool *)option->target) strings_add(command, string_copy(option->name));
    break;
  case CMD_TEXT:
    if (*(const char **)option->target) add_option(command, option, *(const char **)option->target);
    break;
  case CMD_COUNT:
    snprintf(text, sizeof text, "%lld", (long long)*(int64_t *)option->target);
    if (*(int64_t *)option->target) add_option(command, option, text);
    break;
  case CMD_NUMBER:
  case CMD_TIME:
    snprintf(text, sizeof text, "%.10g", *(double *)option->target);
    add_option(command, option, text);
    break;
  case CMD_LIST:
    for (int i = 0; i < list->count; i++) add_option(command, option, list->items[i]);
    break;
  case CMD_REST:
    break;
  }
}

static void make_command(SlurmRun *slurm) {
  const RunCommand *run = slurm->run;
  StringList *command = &slurm->script.command;
  strings_add(command, string_copy("run"));
  for (int i = 0; i < slurm->submission.files.count; i++)
    strings_add(command,
                submission_copy_name(slurm->folder, slurm->submission.files.items[i], false));
  strings_add(command, string_copy("--scale"));
  strings_add(command, *run->scale_file ? submission_copy_name(slurm->folder, run->scale_file, true)
                                        : string_copy("none"));
  for (int i = 0; i < run->line.option_count; i++)
    if (is_for_tasks(slurm, &run->line.options[i])) repeat_option(command, &run->line.options[i]);
  strings_add(command, string_copy("--mae"));
  strings_add(command, string_copy(*run->trainer ? run->trainer : "mae"));
}

static bool fill_script(SlurmRun *slurm, Error *e) {
  RunCommand *run = slurm->run;
  SlurmScript *script = &slurm->script;
  ssize_t length = readlink("/proc/self/exe", slurm->program, sizeof slurm->program - 1);
  slurm->program[length > 0 ? length : 0] = 0;
  if (!getcwd(slurm->here, sizeof slurm->here))
    return error_set(e, EXIT_DATA, "the working folder has gone, or its path is too long");
  slurm->submission.scale = *run->scale_file ? run->scale_file : NULL;
  slurm->submission.out = run->out;
  script->name = slurm->submission.experiments.items[0];
  script->here = slurm->here;
  script->folder = slurm->folder;
  script->harness = slurm->program;
  script->out = run->out;
  script->db = run->db;
  make_command(slurm);
  return true;
}

/* ---- Telling and doing ---- */

/* The sessions that the longest part takes, where the time of a trial is known. */
static void say_sessions(const SlurmRun *slurm) {
  const RunCommand *run = slurm->run;
  const SlurmScript *script = &slurm->script;
  double longest = 0;
  for (int k = 0; k < script->parts; k++) {
    double seconds = 0;
    for (int p = 0; p < run->plan_count; p++)
      for (int i = k; i < run->plans[p].count; i += script->parts)
        if (job_is_to_run(&slurm->jobs[p][i])) seconds += slurm->jobs[p][i].seconds;
    if (isnan(seconds)) return;
    longest = fmax(longest, seconds);
  }
  if (isinf(script->time_limit)) return;
  int sessions = (int)ceil(longest / (script->time_limit * 0.9));
  printf("the longest part takes about %d session%s\n", sessions, sessions == 1 ? "" : "s");
}

static void show(SlurmRun *slurm) {
  const RunCommand *run = slurm->run;
  char basis[256];
  for (int p = 0; p < run->plan_count; p++) {
    jobs_estimate(slurm->jobs[p], run->plans[p].count, basis, sizeof basis);
    report_plan(stdout, &run->plans[p], slurm->jobs[p], false);
    printf(" (%s)\n", basis);
  }
  say_sessions(slurm);
}

static void show_scripts(const SlurmRun *slurm) {
  const SlurmOptions *options = &slurm->run->slurm_options;
  char *job = slurm_script_text(&slurm->script, options);
  char *import = slurm_import_text(&slurm->script, options);
  printf("\n%d task%s; %s/job.sh would be\n\n%s\nand %s/import.sh, submitted with "
         "--dependency=afterany:JOB,\n\n%s",
         tasks_of(slurm), tasks_of(slurm) == 1 ? "" : "s", slurm->folder, job, slurm->folder,
         import);
  free(job);
  free(import);
}

static bool refuse_twice(const SlurmRun *slurm, Error *e) {
  char *job = submission_still_queued(slurm->run->out, &slurm->submission.experiments);
  if (job)
    error_set(e, EXIT_CONFIG,
              "job %s of an earlier --slurm is still at this sweep (harness status); `scancel %s` "
              "first, or let it end",
              job, job);
  bool ok = !job;
  free(job);
  return ok;
}

/* Every trial gets its number now, so that no two tasks give out the same, and is seen as pending.
 */
static bool enter(const SlurmRun *slurm, Error *e) {
  const RunCommand *run = slurm->run;
  Store *store;
  if (!run_open_store(run, &store, e)) return false;
  bool ok = true;
  for (int p = 0; ok && p < run->plan_count; p++)
    ok = run_enter_trials(store, &run->plans[p], slurm->jobs[p], run->out, e);
  store_close(store);
  return ok;
}

static bool submit(SlurmRun *slurm, Error *e) {
  const RunCommand *run = slurm->run;
  return refuse_twice(slurm, e) && enter(slurm, e) &&
         submission_folder(slurm->folder, run->out, true, e) && fill_script(slurm, e) &&
         submission_submit(&slurm->submission, &slurm->script, &run->slurm_options, e);
}

bool run_slurm(RunCommand *run, Error *e) {
  SlurmRun slurm = {.run = run};
  bool ok = find_files(&slurm, e) && look_at_jobs(&slurm, e);
  if (ok && !slurm.to_do) {
    fprintf(stderr, "all trials are done: there is nothing to submit\n");
  } else if (ok) {
    ok = choose_time(&slurm, e);
    if (ok && run->dry_run) show(&slurm);
    ok = ok && measure(&slurm, e);
    if (ok && run->dry_run) {
      ok = submission_folder(slurm.folder, run->out, false, e) && fill_script(&slurm, e);
      if (ok) show_scripts(&slurm);
    } else if (ok) {
      ok = submit(&slurm, e);
    }
  }
  for (int p = 0; slurm.jobs && p < run->plan_count; p++)
    if (slurm.jobs[p]) jobs_free(slurm.jobs[p], run->plans[p].count);
  free(slurm.jobs);
  free(slurm.submission.busy);
  strings_free(&slurm.submission.experiments);
  strings_free(&slurm.submission.files);
  slurm_script_free(&slurm.script);
  return ok;
}
