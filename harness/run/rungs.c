/* rungs.c - rounds of a sweep: run to a step, compare, go on with the best. */
#include "harness/run/rungs.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness/base/strings.h"
#include "harness/run/lost.h"
#include "harness/trial/record.h"
#include "mae/base/clock.h"
#include "mae/base/io.h"
#include "mae/evaluate/metrics.h"
#include "mae/evaluate/scorers.h"

enum { NOT_LOOKED_AT, RECORDED, NOT_RECORDED };

/* Settings -------------------------------------------------------------------------------------*/

static bool clause_holds(const PruneClause *clause, const PlanTrial *trial) {
  for (int i = 0; i < clause->keys.count; i++) {
    char value[CONFIG_PATH_MAX + 64];
    if (!config_get(&trial->config, clause->keys.items[i], value, sizeof value) ||
        strcmp(value, clause->values.items[i]) != 0)
      return false;
  }
  return true;
}

/* By the rule's `keep`. */
static bool is_kept(const Rungs *rungs, int setting) {
  const Prune *prune = &rungs->plan->prune;
  for (int i = 0; i < rungs->plan->count; i++)
    for (int k = 0; rungs->setting[i] == setting && k < prune->kept_count; k++)
      if (clause_holds(&prune->kept[k], &rungs->plan->trials[i])) return true;
  return false;
}

/* What was recorded ----------------------------------------------------------------------------*/

/* The mean of the last tenth of the steps up to one. */
static Number loss_until(const RunRecord *record, int64_t step) {
  int64_t from = step - step / 10, count = 0;
  double sum = 0;
  if (from == step) from = step - 1;
  for (int64_t s = from + 1; s <= step && s <= record->count; s++) {
    Number loss = record->steps[s].numbers[0];
    if (!record->steps[s].known) continue;
    if (loss.kind != NUMBER_FINITE) return (Number){NAN, NUMBER_NAN};
    sum += loss.value;
    count++;
  }
  return count ? (Number){sum / (double)count, NUMBER_FINITE} : (Number){NAN, NUMBER_ABSENT};
}

static Number score_at(const RunRecord *record, const char *name, int64_t step) {
  const Metric *metric = metric_find(name);
  if (!metric) return loss_until(record, step);
  const Scorer *scorer = metric->needs & OFFERS_PROBE ? &scorer_probe : &scorer_model;
  char *key = string_format("%s at step %lld", scorer->name, (long long)step);
  const json_t *event = json_object_get(record->scores, key);
  free(key);
  return event ? member_number(event, name) : (Number){NAN, NUMBER_ABSENT};
}

/* A step's value never changes once the trial has come there: it is read once. */
static bool value_at(Rungs *rungs, int trial, int rung, double *value) {
  const Prune *prune = &rungs->plan->prune;
  const Job *job = &rungs->jobs[trial];
  size_t at = (size_t)rung * (size_t)rungs->plan->count + (size_t)trial;
  if (rungs->known[at] == NOT_LOOKED_AT) {
    char path[CONFIG_PATH_MAX];
    RunRecord record;
    const char *folder = job->from ? job->from : job->folder;
    bool read = io_join(path, sizeof path, folder, "events.jsonl", NULL) &&
                record_read(&record, path, NULL);
    for (int r = rung; r < prune->count && (r == rung || prune->steps[r] <= job_reached(job));
         r++) {
      size_t to = (size_t)r * (size_t)rungs->plan->count + (size_t)trial;
      Number n =
          read ? score_at(&record, prune->metric, prune->steps[r]) : (Number){NAN, NUMBER_ABSENT};
      rungs->known[to] = n.kind == NUMBER_ABSENT ? NOT_RECORDED : RECORDED;
      rungs->values[to] = n.kind == NUMBER_FINITE ? n.value : NAN;
    }
    if (read) record_free(&record);
  }
  *value = rungs->values[at];
  return rungs->known[at] == RECORDED;
}

/* Deciding -------------------------------------------------------------------------------------*/

/* One setting at a step. */
typedef struct Entry {
  int setting;
  int seeds; /* that have a value */
  double sum;
  bool failed; /* one of its trials */
} Entry;

/* A mean over seeds, in the plan's order; none of a setting of which a trial failed, since those
 * that are left are not the same seeds as the others'. A setting without a value that has not
 * failed takes no part: its trials were recorded with other evaluations. */
static int compare_settings(Rungs *rungs, int rung, Entry *entries, PruneSetting *values) {
  int count = 0;
  Entry *all = need(calloc((size_t)rungs->settings + 1, sizeof *all));
  for (int i = 0; i < rungs->plan->count; i++) {
    Entry *entry = &all[rungs->setting[i]];
    double value;
    if (job_reached(&rungs->jobs[i]) < rungs->plan->prune.steps[rung]) {
      entry->failed = true; /* all others have come there */
    } else if (value_at(rungs, i, rung, &value)) {
      entry->sum += value;
      entry->seeds++;
    }
  }
  for (int s = 0; s < rungs->settings; s++) {
    if (rungs->stopped[s] || (!all[s].seeds && !all[s].failed)) continue;
    all[s].setting = s;
    entries[count] = all[s];
    values[count++] = (PruneSetting){.value = all[s].failed ? NAN : all[s].sum / all[s].seeds};
  }
  free(all);
  return count;
}

static void explain(PrunedRecord *record, const Prune *prune, int64_t step, const Entry *entry,
                    const PruneSetting *setting, int count) {
  const Metric *metric = metric_find(prune->metric);
  int digits = metric ? metric->digits : 4;
  char value[64] = "no number", seeds[48] = "", unit[16] = "";
  if (metric && *metric->unit) snprintf(unit, sizeof unit, " %s", metric->unit);
  if (isfinite(setting->value))
    snprintf(value, sizeof value, "%.*f%s", digits, setting->value, unit);
  if (entry->failed)
    snprintf(seeds, sizeof seeds, " (a trial failed)");
  else if (entry->seeds > 1)
    snprintf(seeds, sizeof seeds, " (mean of %d seeds)", entry->seeds);
  *record = (PrunedRecord){.step = step};
  snprintf(record->rule, sizeof record->rule, "%s", prune_rule_name(prune->rule));
  snprintf(record->metric, sizeof record->metric, "%s", prune->metric);
  int length = snprintf(record->reason, sizeof record->reason, "at step %lld by %s: %s %s%s ",
                        (long long)step, record->rule, prune->metric, value, seeds);
  char *rest = record->reason + length;
  size_t room = sizeof record->reason - (size_t)length;
  if (prune->rule == PRUNE_HALVING)
    snprintf(rest, room, "is place %d of %d, and %d go on", setting->place, count,
             prune_least(prune, count));
  else
    snprintf(rest, room, "is worse than %.*f%s, the median of the other %d", digits, setting->limit,
             unit, count - 1);
}

/* What is done stays done, and what failed stays failed. */
static void pause_setting(Rungs *rungs, int setting, const PrunedRecord *record) {
  for (int i = 0; i < rungs->plan->count; i++) {
    Job *job = &rungs->jobs[i];
    if (rungs->setting[i] != setting || job->action == JOB_SKIP) continue;
    job->action = JOB_PAUSED;
    job->until = 0;
    job->seconds = 0;
    if (job->status == TRIAL_FAILED) continue;
    job->status = TRIAL_PRUNED;
    job->pruned = *record;
    snprintf(job->error, sizeof job->error, "%s", record->reason);
  }
}

static void decide(Rungs *rungs, int rung) {
  const Prune *prune = &rungs->plan->prune;
  Entry *entries = need(calloc((size_t)rungs->settings + 1, sizeof *entries));
  PruneSetting *values = need(calloc((size_t)rungs->settings + 1, sizeof *values));
  int count = compare_settings(rungs, rung, entries, values);
  prune_decide(prune, values, count);
  for (int s = 0; s < count; s++) {
    int setting = entries[s].setting;
    PrunedRecord record;
    if (!values[s].stops || is_kept(rungs, setting)) continue;
    rungs->stopped[setting] = true;
    explain(&record, prune, prune->steps[rung], &entries[s], &values[s], count);
    pause_setting(rungs, setting, &record);
  }
  free(entries);
  free(values);
}

/* Rounds ---------------------------------------------------------------------------------------*/

/* Whether this run still tries it. */
static bool goes_on(const Rungs *rungs, int trial) {
  const Job *job = &rungs->jobs[trial];
  return !rungs->stopped[rungs->setting[trial]] && job->action != JOB_SKIP &&
         job->action != JOB_ELSEWHERE && !(rungs->tried[trial] && job->status == TRIAL_FAILED);
}

/* As job_look() would have it. */
static void unpause(Job *job) {
  if (job->action != JOB_PAUSED) return;
  job->action = job->status == TRIAL_FAILED ? JOB_RETRY
                : job->starts_at_checkpoint ? JOB_CONTINUE
                                            : JOB_START;
}

/* What an earlier run decided is decided anew. */
static void forget_fate(Job *job) {
  job->pruned = (PrunedRecord){0};
  if (job->status != TRIAL_PRUNED) return;
  job->status = TRIAL_INTERRUPTED;
  job->error[0] = 0;
}

/* Sets what is to run up to a step (0: the end); how many that is. */
static int aim(Rungs *rungs, int64_t until) {
  int count = 0;
  for (int i = 0; i < rungs->plan->count; i++) {
    Job *job = &rungs->jobs[i];
    if (!goes_on(rungs, i)) {
      if (job_is_to_run(job)) job->action = JOB_PAUSED;
      job->until = 0;
      continue;
    }
    unpause(job);
    forget_fate(job);
    bool waits = until > 0 && job_reached(job) >= until;
    job->until = until;
    if (waits) job->action = JOB_PAUSED;
    count += !waits;
  }
  return count;
}

/* To the next round with something to run, or past the last. */
static void advance(Rungs *rungs) {
  const Prune *prune = &rungs->plan->prune;
  for (; rungs->next < prune->count; rungs->next++) {
    if (aim(rungs, prune->steps[rungs->next])) return;
    decide(rungs, rungs->next);
  }
  aim(rungs, 0);
}

static bool check_steps(const Rungs *rungs, Error *e) {
  bool ok = true;
  for (int i = 0; ok && i < rungs->plan->count; i++) {
    const PlanTrial *trial = rungs->jobs[i].trial;
    char *values = plan_describe(trial);
    ok = prune_accepts(&rungs->plan->prune, &trial->config, rungs->jobs[i].steps, values, e);
    free(values);
  }
  return ok;
}

bool rungs_open(Rungs *rungs, const Plan *plan, Job *jobs, const JobBuild *build, Error *e) {
  *rungs = (Rungs){.plan = plan, .jobs = jobs, .build = build};
  for (int i = 0; i < plan->count; i++) forget_fate(&jobs[i]);
  if (plan->prune.rule == PRUNE_NONE) return true;
  if (!check_steps(rungs, e)) return false;
  size_t cells = (size_t)plan->count * (size_t)plan->prune.count;
  rungs->setting = need(calloc((size_t)plan->count + 1, sizeof *rungs->setting));
  rungs->stopped = need(calloc((size_t)plan->count + 1, sizeof *rungs->stopped));
  rungs->values = need(calloc(cells + 1, sizeof *rungs->values));
  rungs->known = need(calloc(cells + 1, 1));
  rungs->tried = need(calloc((size_t)plan->count + 1, sizeof *rungs->tried));
  rungs->settings = plan_settings(plan, rungs->setting);
  rungs_look(rungs);
  return true;
}

void rungs_look(Rungs *rungs) {
  if (rungs->plan->prune.rule == PRUNE_NONE) return;
  memset(rungs->known, NOT_LOOKED_AT,
         (size_t)rungs->plan->count * (size_t)rungs->plan->prune.count);
  memset(rungs->stopped, 0, (size_t)rungs->settings * sizeof *rungs->stopped);
  rungs->next = 0;
  advance(rungs);
}

void rungs_close(Rungs *rungs) {
  free(rungs->setting);
  free(rungs->stopped);
  free(rungs->values);
  free(rungs->known);
  free(rungs->tried);
  *rungs = (Rungs){0};
}

int rungs_pruned(const Rungs *rungs) {
  int count = 0;
  for (int i = 0; i < rungs->plan->count; i++) count += rungs->jobs[i].pruned.step > 0;
  return count;
}

/* Recording ------------------------------------------------------------------------------------*/

/* The folder's lock is ours. */
static bool write_fate(Job *job, const Launches *there, Error *e) {
  int next = there->count + 1;
  return (!there->open || lost_close(job, &next, e)) &&
         folder_append_pruned(job->folder, next - 1, &job->pruned, e);
}

static bool says_so(const Launches *there, const Job *job) {
  return there->pruned.step == job->pruned.step &&
         (!job->pruned.step || !strcmp(there->pruned.reason, job->pruned.reason));
}

/* A harness with another plan may have brought the trial to its end. The folder's lock is ours. */
static bool is_done_after_all(Job *job, const JobBuild *build) {
  Job seen = *job;
  job_look(&seen, build);
  if (seen.action != JOB_SKIP) return false;
  *job = seen;
  job->pruned = (PrunedRecord){0};
  return true;
}

/* *held: nothing was written, because another process works in the folder. */
static bool write_changed(Job *job, const JobBuild *build, bool *changed, bool *held, Error *e) {
  Launches there;
  char holder[FOLDER_HOLDER_MAX];
  int lock;
  *changed = *held = false;
  if (job->action == JOB_SKIP || job->action == JOB_ELSEWHERE) return true;
  folder_launches(&there, job->folder);
  if (says_so(&there, job)) return true;
  if (!folder_lock(&lock, job->folder, holder, e)) return false;
  *held = *holder != 0;
  if (*held) return true;
  folder_launches(&there, job->folder); /* nobody writes there any more */
  *changed = !says_so(&there, job) && !is_done_after_all(job, build);
  bool ok = !*changed || write_fate(job, &there, e);
  close(lock);
  return ok;
}

/* Another harness may have trained the trial, or written how it ended, and has told its own
 * database. What ours refuses is in the folder all the same. */
static void tell_database(Store *store, const Job *job, Progress *progress,
                          SuperviseResult *result) {
  Error e = {0};
  for (int f = 0; f < TRIAL_FILES; f++) {
    FileReport report;
    if (store_take_file(store, job->id, job->folder, trial_files[f], &report, &e)) continue;
    if (result->unrecorded++ > 0) return;
    snprintf(result->problem, sizeof result->problem, "%s", e.message);
    progress_say(progress, "warning: %s", e.message);
    return;
  }
}

/* Writes the decisions, or that there is none any more, into the folders and the database, where
 * they do not say so yet. Another harness with the same plan holds a folder for as long as it takes
 * to write the same line: it is waited for. Whoever holds one for longer trains the trial, by
 * another plan, or packs it, and it stays as it is until the next time. */
static bool record(Rungs *rungs, Store *store, Progress *progress, SuperviseResult *result,
                   Error *e) {
  enum { PATIENCE_SECONDS = 10, PAUSE_MICROSECONDS = 10000 }; /* for all trials together */
  double patient_until = clock_seconds() + PATIENCE_SECONDS;
  for (int i = 0; i < rungs->plan->count; i++) {
    Job *job = &rungs->jobs[i];
    bool ok, changed, held;
    while ((ok = write_changed(job, rungs->build, &changed, &held, e)) && held &&
           clock_seconds() < patient_until)
      usleep(PAUSE_MICROSECONDS);
    if (!ok) return error_prefix(e, "trial %lld (%s)", (long long)job->id, job->label);
    if (job->action != JOB_ELSEWHERE) tell_database(store, job, progress, result);
    if (changed && job->pruned.step)
      progress_say(progress, "trial %lld  %s  is pruned %s", (long long)job->id, job->label,
                   job->pruned.reason);
  }
  return true;
}

/* Running --------------------------------------------------------------------------------------*/

static void add_result(SuperviseResult *sum, const SuperviseResult *round) {
  SuperviseResult before = *sum;
  *sum = *round;
  sum->unrecorded += before.unrecorded;
  sum->wall_seconds += before.wall_seconds;
  if (before.unrecorded) memcpy(sum->problem, before.problem, sizeof sum->problem);
}

/* The folders say how each trial ended, and what is to be done with it next. One that waited for
 * the others may have been finished by another harness, by another plan. */
static void look_again(Rungs *rungs) {
  for (int i = 0; i < rungs->plan->count; i++) {
    Job *job = &rungs->jobs[i];
    bool waited = job->action == JOB_PAUSED && !job->pruned.step;
    rungs->tried[i] = rungs->tried[i] || job_is_to_run(job);
    if (waited || job_is_to_run(job)) job_look(job, rungs->build);
  }
}

bool rungs_supervise(Rungs *rungs, Store *store, const SuperviseOptions *options,
                     Progress *progress, SuperviseResult *result, Error *e) {
  const Prune *prune = &rungs->plan->prune;
  *result = (SuperviseResult){0};
  if (!record(rungs, store, progress, result, e)) return false;
  for (;;) {
    SuperviseResult round;
    int rung = rungs->next;
    if (prune->count > rung)
      progress_say(progress, "to step %lld, where the settings are compared",
                   (long long)prune->steps[rung]);
    supervise(rungs->jobs, rungs->plan->count, store, options, progress, &round);
    add_result(result, &round);
    if (round.signal || round.out_of_time || round.out_of_disk || round.gave_up) return true;
    /* Once more, for what somebody held when it was decided. */
    if (rung == prune->count)
      return prune->rule == PRUNE_NONE || record(rungs, store, progress, result, e);
    look_again(rungs);
    advance(rungs);
    if (rungs->next == rung) { /* somebody stopped a trial by hand */
      progress_say(progress,
                   "not all trials have come to step %lld, so nothing is decided there; the same "
                   "command continues",
                   (long long)prune->steps[rung]);
      return true;
    }
    if (!record(rungs, store, progress, result, e)) return false;
  }
}

/* Saying ---------------------------------------------------------------------------------------*/

static int downwards(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x < y) - (x > y);
}

/* GFLOP of each setting that goes on, from one step to another; sorted, the most first. */
static int work_between(const Rungs *rungs, int64_t from, int64_t to, double *work) {
  int count = 0, *place = need(calloc((size_t)rungs->settings + 1, sizeof *place));
  for (int i = 0; i < rungs->plan->count; i++) {
    const Job *job = &rungs->jobs[i];
    if (rungs->stopped[rungs->setting[i]]) continue;
    int *at = &place[rungs->setting[i]];
    if (!*at) work[(*at = ++count) - 1] = 0;
    if (job->action == JOB_SKIP) continue;
    int64_t reached = job_reached(job), begin = reached > from ? reached : from;
    work[*at - 1] += job_work(job, begin, to ? to : job->steps, to == 0);
  }
  free(place);
  qsort(work, (size_t)count, sizeof *work, downwards);
  return count;
}

/* The least and the most work that is left, whichever settings go on. */
static void bounds(const Rungs *rungs, double *least, double *most, double *all, FILE *out) {
  const Prune *prune = &rungs->plan->prune;
  double *work = need(calloc((size_t)rungs->settings + 1, sizeof *work));
  int low = -1, high = -1, kept = 0;
  for (int s = 0; s < rungs->settings; s++) kept += !rungs->stopped[s] && is_kept(rungs, s);
  *least = *most = *all = 0;
  for (int r = rungs->next; r <= prune->count; r++) {
    int64_t from = r > 0 ? prune->steps[r - 1] : 0, to = r < prune->count ? prune->steps[r] : 0;
    int count = work_between(rungs, from, to, work);
    if (low < 0) low = high = count;
    for (int i = 0; i < count; i++) {
      *all += work[i];
      *most += i < high ? work[i] : 0;
      *least += i >= count - low ? work[i] : 0;
    }
    if (r == prune->count) break;
    int before = high;
    low = prune_least(prune, low);
    if (low < kept) low = kept;
    high = prune_most(prune, high) + kept;
    if (high > before) high = before;
    fputs(r > rungs->next ? ", " : " ", out);
    if (low != high) fprintf(out, "%d to ", low);
    fprintf(out, "%d of %d%s at step %lld", high, before, r > rungs->next ? "" : " settings go on",
            (long long)prune->steps[r]);
  }
  free(work);
}

void rungs_say(FILE *out, const Rungs *rungs) {
  const Prune *prune = &rungs->plan->prune;
  double least, most, all, seconds = 0;
  char low[32], high[32], whole[32];
  if (prune->rule == PRUNE_NONE) return;
  for (int i = 0; i < rungs->plan->count; i++)
    if (goes_on(rungs, i)) seconds += rungs->jobs[i].seconds;
  int pruned = rungs_pruned(rungs);
  fprintf(out, "[prune] %s on %s:", prune_rule_name(prune->rule), prune->metric);
  if (pruned) fprintf(out, " %d trial%s pruned already;", pruned, pruned == 1 ? " is" : "s are");
  if (rungs->next == prune->count) fputs(" all is decided", out);
  bounds(rungs, &least, &most, &all, out);
  if (rungs->next < prune->count && all > 0) {
    double speed = seconds / all;
    format_duration(low, sizeof low, least * speed);
    format_duration(high, sizeof high, most * speed);
    format_duration(whole, sizeof whole, seconds);
    fprintf(out, "; saves up to %.0f%% of the work: %s to %s instead of %s",
            100 * (1 - least / all), low, high, whole);
  }
  fputc('\n', out);
}
