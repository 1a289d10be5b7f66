/* supervise.c - slots, each with a trainer; one loop that starts, reads, records and ends them. */
#include "harness/run/supervise.h"

#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness/base/strings.h"
#include "harness/base/tail.h"
#include "harness/run/lost.h"
#include "harness/run/report.h"
#include "harness/run/retain.h"
#include "harness/run/runner.h"
#include "mae/base/clock.h"
#include "mae/base/io.h"

enum { STOP_GRACE_SECONDS = 300 };
static const double poll_seconds = 0.05, retry_seconds = 5, held_seconds = 0.5;

/* A place where one trial at a time runs. */
typedef struct Slot {
  struct Run *run;
  Trainer trainer; /* pid 0: free */
  Job *job;
  const Place *place;
  int lock, launch;
  int64_t step_was;
  bool stepped; /* has told a step since it was started */
  int refused;  /* lines that are no events */
} Slot;

typedef struct Run {
  Job *jobs;
  int count, next;
  Store *store;
  const SuperviseOptions *options;
  Progress *progress;
  SuperviseResult *result;
  Slot *slots;
  int slot_count;
  double started, work_done; /* GFLOP of trials that ended in this run */
  double stop_asked;         /* when the first stop signal came */
  double first_step;         /* the most seconds that a trial took from its start to a step */
  bool clock_stopped;        /* what runs was asked to stop for want of time */
  int64_t failed_in_row;
  int waiting;     /* unrecorded because the database itself failed */
  double retry_at; /* when it is tried again */
  double room_at;  /* when room on the disk is looked for again */
  double held_at;  /* when folders that others hold are tried again */
  bool waits;      /* said that there is nothing left but those */
} Run;

/* A line that the database refuses is in the trial's file all the same, so the sweep goes on. */
static void note_unrecorded(Run *run, const Error *e) {
  run->waiting += store_broken(run->store);
  if (run->result->unrecorded++ > 0) return;
  snprintf(run->result->problem, sizeof run->result->problem, "%s", e->message);
  run->retry_at = clock_seconds() + retry_seconds;
  progress_say(run->progress, "warning: %s", e->message);
}

/* A line of the event file that is no event, or not a complete one: reported once for a trial. */
static void take_event(void *user, const char *line, size_t length, uint64_t offset, bool taken) {
  Slot *slot = user;
  Run *run = slot->run;
  Error e = {0};
  if (!taken)
    error_set(&e, EXIT_DATA, "events.jsonl at byte %llu: not an event", (unsigned long long)offset);
  else
    store_ingest(run->store, slot->job->id, "events.jsonl", offset, line, length, &e);
  if (store_broken(run->store))
    note_unrecorded(run, &e);
  else if (e.code && slot->refused++ == 0)
    progress_say(run->progress, "warning: %s: %s; left out", slot->job->folder, e.message);
}

bool supervise_record(Store *store, int64_t sweep, Job *job, Error *e) {
  Error commit = {0};
  if (!store_begin(store, e)) return false;
  bool ok = store_add_trial(store, sweep, job->folder, &job->id, e) &&
            store_take_trial(store, job->id, job->folder, e);
  return store_commit(store, ok ? e : &commit) && ok;
}

static void record_launches(Run *run, const Job *job) {
  Error e = {0};
  FileReport report;
  for (int f = 0; f < TRIAL_LAUNCH_FILES; f++)
    if (!store_take_file(run->store, job->id, job->folder, trial_files[f], &report, &e) ||
        report.refused)
      note_unrecorded(run, e.code ? &e : &report.first);
}

/* Tries a database that failed once more, with every line of the trials of this run: those that it
 * has are passed over. */
static void catch_up(Run *run) {
  Error e = {0};
  if (!store_broken(run->store)) return;
  store_retry(run->store);
  run->retry_at = clock_seconds() + retry_seconds;
  for (int i = 0; i < run->next; i++) {
    FileReport report;
    for (int f = 0; job_is_to_run(&run->jobs[i]) && f < TRIAL_FILES; f++)
      store_take_file(run->store, run->jobs[i].id, run->jobs[i].folder, trial_files[f], &report,
                      &e);
  }
  if (store_broken(run->store)) return;
  run->result->unrecorded -= run->waiting;
  run->waiting = 0;
  progress_say(run->progress, "the database takes results again, and has all of them");
}

/* While the folder is still ours. What cannot be removed costs room, not results. */
static void keep_what_is_wanted(Run *run, const Job *job) {
  Error e = {0};
  int64_t freed = 0;
  if (!retain_finished(job->folder, &job->trial->config, false, &freed, &e))
    progress_say(run->progress, "warning: %s; `harness clean` tries again", e.message);
}

/* Another harness, or the trainer that an earlier one left behind, brought the trial to its end, or
 * as far as it is to go, while this one waited for the folder. */
static bool take_finished(Run *run, Slot *slot, Job *job, Error *e) {
  FileReport report;
  Error problem = {0};
  if (job->status == TRIAL_DONE) keep_what_is_wanted(run, job);
  if (!lost_close(job, &slot->launch, e)) return false;
  for (int f = 0; f < TRIAL_FILES; f++)
    if (!store_take_file(run->store, job->id, job->folder, trial_files[f], &report, &problem))
      note_unrecorded(run, &problem);
  progress_say(run->progress, "trial %lld  %s  was %s by another process meanwhile",
               (long long)job->id, job->label,
               job->status == TRIAL_DONE ? "finished" : "brought to its step of [prune]");
  return true;
}

/* What is in the folder is of no use, or gone, or another harness has begun the trial anew since
 * this one read its events: the database must not go on showing what was there before. */
static bool begin_anew(Run *run, Job *job, Error *e) {
  const char *events = trial_files[TRIAL_FILES - 1];
  FileReport report;
  Error problem = {0};
  if (job->action == JOB_REPLACE) {
    progress_say(run->progress, "trial %lld  %s  is trained anew: %s", (long long)job->id,
                 job->label, job->why_anew);
    if (!folder_set_aside(job->folder, false, e)) return false;
  }
  bool goes_on = job->action != JOB_REPLACE && job->facts.starts > 0;
  if (goes_on ? !store_take_file(run->store, job->id, job->folder, events, &report, &problem)
              : !store_forget_file(run->store, job->id, events, &problem))
    note_unrecorded(run, &problem);
  return true;
}

/* True as well when another process works in the folder: job->holder names it, and the job is tried
 * again later. After a failure the folder's lock is still held, if it could be had. */
static bool start_job(Run *run, Slot *slot, Job *job, Error *e) {
  bool known = *job->holder;
  slot->job = job;
  slot->refused = 0;
  if (!folder_lock(&slot->lock, job->folder, job->holder, e)) return false;
  if (*job->holder && !known)
    progress_say(run->progress, "trial %lld  %s  is left for later: %s works on it",
                 (long long)job->id, job->label, job->holder);
  if (*job->holder) return true;
  job_look(job, run->options->build); /* nobody writes there any more */
  if (job->action == JOB_SKIP || job_waits_for_others(job)) {
    if (!take_finished(run, slot, job, e)) return false;
    close(slot->lock);
    return true;
  }
  TrainerStart start = {.program = run->options->trainer,
                        .launcher = job->trial->config.resources.launcher,
                        .folder = job->folder,
                        .resume = true,
                        .threads = slot->place->threads,
                        .ranks = slot->place->ranks,
                        .cuda_devices = slot->place->gpus,
                        .stop_after = job->until,
                        .lock = slot->lock,
                        .timeout = run->options->timeout};
  if (!lost_close(job, &slot->launch, e) || !begin_anew(run, job, e) ||
      !trainer_start(&slot->trainer, &start, take_event, slot, e))
    return false;
  slot->step_was = folder_has_checkpoint(job->folder) ? job->facts.step : 0;
  slot->stepped = false;
  const char *gpus = slot->place->gpus, *device = gpus ? gpus : job->trial->config.run.device;
  Error writing = {0};
  if (!folder_append_launch(job->folder, slot->launch, (int)slot->trainer.pid, device, &writing))
    note_unrecorded(run, &writing);
  job->status = TRIAL_RUNNING;
  record_launches(run, job);
  char place[64] = "";
  if (gpus) snprintf(place, sizeof place, " on GPU %s", gpus);
  progress_say(run->progress, "trial %lld  %s  %s%s", (long long)job->id, job->label,
               job->action == JOB_CONTINUE ? "continues" : "starts", place);
  return true;
}

/* Outcome to the folder first, then to the database. */
static void record_outcome(Run *run, Slot *slot, const Outcome *outcome) {
  Error e = {0};
  if (!folder_append_exit(slot->job->folder, slot->launch, outcome, &e)) note_unrecorded(run, &e);
  record_launches(run, slot->job);
}

/* After so many failures in a row the next trial would fail for the same reason: a full disk, a
 * card that has gone. */
static void count_failures(Run *run, TrialStatus status) {
  int64_t most = run->options->keep_going;
  if (status != TRIAL_FAILED) run->failed_in_row = 0;
  if (status != TRIAL_FAILED || ++run->failed_in_row != most) return;
  run->result->gave_up = true;
  run->next = run->count;
  progress_say(run->progress, "%lld trial%s failed in a row (--keep-going): no more is started",
               (long long)most, most == 1 ? "" : "s");
}

static void end_job(Run *run, Slot *slot, Outcome *outcome) {
  Job *job = slot->job;
  job->status = outcome->status;
  job->facts = slot->trainer.facts;
  if (job->status == TRIAL_INTERRUPTED && job_waits_for_others(job))
    snprintf(outcome->error, sizeof outcome->error,
             "waits at step %lld for the other trials ([prune])", (long long)job->facts.step);
  snprintf(job->error, sizeof job->error, "%s", outcome->error);
  if (job->status == TRIAL_DONE) keep_what_is_wanted(run, job);
  record_outcome(run, slot, outcome);
  close(slot->lock);
  trainer_close(&slot->trainer);
  run->work_done += job_work(job, slot->step_was, job->facts.step, outcome->status == TRIAL_DONE);
  if (slot->refused > 1)
    progress_say(run->progress, "warning: %s/events.jsonl: %d lines were left out", job->folder,
                 slot->refused);
  report_outcome(run->progress, job);
  count_failures(run, job->status);
}

/* A trial that could not even be started. Its folder says so if it is ours: without the lock
 * another harness may be writing of a launch of its own there. */
static void fail_to_start(Run *run, Slot *slot, Job *job, const Error *e) {
  Outcome outcome = {.status = TRIAL_FAILED, .code = -1};
  Launches launches;
  snprintf(outcome.error, sizeof outcome.error, "%.1000s", e->message);
  folder_launches(&launches, job->folder);
  slot->job = job;
  slot->launch = launches.count + 1;
  if (slot->lock >= 0 && folder_append_launch(job->folder, slot->launch, 0, "", NULL))
    record_outcome(run, slot, &outcome);
  if (slot->lock >= 0) close(slot->lock);
  job->status = TRIAL_FAILED;
  snprintf(job->error, sizeof job->error, "%s", outcome.error);
  report_outcome(run->progress, job);
  count_failures(run, job->status);
}

static void try_job(Run *run, Slot *slot, Job *job) {
  Error e = {0};
  if (start_job(run, slot, job, &e)) return;
  *job->holder = 0;
  fail_to_start(run, slot, job, &e);
}

/* Another process works in its folder now. */
static bool is_held(const Job *job) {
  char holder[FOLDER_HOLDER_MAX];
  int lock;
  bool held = folder_lock_shared(&lock, job->folder, holder, NULL) && *holder;
  if (lock >= 0) close(lock);
  return held;
}

/* What a trial may still take. */
static double growth(const Job *job) {
  return fmax(0, job->disk.peak - disk_used(job->folder));
}

/* What others were found to work on, and still do; another than `job`. */
static bool is_of_others(const Run *run, int i, const Job *job) {
  return &run->jobs[i] != job && *run->jobs[i].holder && is_held(&run->jobs[i]);
}

/* With it, no more than the limit is on the disk at any time, with what other harnesses were found
 * to work on. */
static bool has_room(const Run *run, const Job *job) {
  double limit = run->options->disk_limit;
  if (isinf(limit)) return true;
  double used = disk_used(run->options->sweep_folder);
  used += growth(job);
  for (int s = 0; s < run->slot_count; s++)
    if (run->slots[s].trainer.pid) used += growth(run->slots[s].job);
  for (int i = 0; i < run->next; i++)
    if (is_of_others(run, i, job)) used += growth(&run->jobs[i]);
  return used <= limit;
}

/* What runs, here or elsewhere, frees room when it is done. When nothing runs, nothing will. */
static void lack_room(Run *run, const Job *job) {
  char peak[DISK_TEXT_MAX], used[DISK_TEXT_MAX], limit[DISK_TEXT_MAX];
  run->room_at = clock_seconds() + retry_seconds;
  for (int s = 0; s < run->slot_count; s++)
    if (run->slots[s].trainer.pid != 0) return;
  for (int i = 0; i < run->next; i++)
    if (is_of_others(run, i, job)) return;
  run->result->out_of_disk = true;
  run->next = run->count;
  progress_say(run->progress,
               "trial %lld  %s  is not started: it takes up to %s, and %s of --disk-limit %s are "
               "used",
               (long long)job->id, job->label, disk_text(peak, job->disk.peak),
               disk_text(used, disk_used(run->options->sweep_folder)),
               disk_text(limit, run->options->disk_limit));
}

/* One that others were found to work on, when there is no room to run it here: what they have
 * finished needs none, and what they still work on is theirs. */
static void try_without_room(Run *run, Slot *slot, Job *job) {
  Job seen = *job;
  if (is_held(job)) return;
  job_look_only(&seen, run->options->build);
  if (seen.action == JOB_SKIP || job_waits_for_others(&seen))
    try_job(run, slot, job);
  else
    lack_room(run, job);
}

/* What others were found to work on: they may have finished it, or left it. */
static void try_held(Run *run, Slot *slot) {
  int held = 0;
  for (int i = 0; i < run->next && slot->trainer.pid == 0 && !run->result->out_of_disk; i++) {
    Job *job = &run->jobs[i];
    if (!*job->holder) continue;
    if (has_room(run, job))
      try_job(run, slot, job);
    else
      try_without_room(run, slot, job);
    held += *job->holder != 0;
  }
  if (run->result->out_of_disk) return;
  if (slot->trainer.pid == 0) run->held_at = clock_seconds() + held_seconds;
  if (held && slot->trainer.pid == 0 && !run->waits)
    progress_say(run->progress, "waiting for %d trial%s that other processes work on", held,
                 held == 1 ? "" : "s");
  run->waits |= held && slot->trainer.pid == 0;
}

/* Whether nothing more is to be started, for another reason than that there is nothing. */
static bool stops(const Run *run) {
  const SuperviseResult *result = run->result;
  return result->signal || result->out_of_time || result->out_of_disk || result->gave_up;
}

/* Whether a job has still to be started. Where there is none there may be no place either. */
static bool job_waits(const Run *run) {
  if (stops(run)) return false;
  for (int i = 0; i < run->count; i++)
    if (i < run->next ? *run->jobs[i].holder != 0 : job_is_to_run(&run->jobs[i])) return true;
  return false;
}

/* No trial begins that has no time for a step, after which it can write a checkpoint. Before one
 * was seen to begin, a twentieth of the time is taken to be enough. */
static bool has_time_to_begin(const Run *run) {
  double stop_at = run->options->stop_at, left = stop_at - clock_seconds();
  double guess = fmin((stop_at - run->started) / 20, 30);
  return left > (run->first_step > 0 ? run->first_step : guess);
}

static void run_out_of_time(Run *run) {
  if (run->result->out_of_time || run->result->signal) return;
  run->result->out_of_time = true;
  run->next = run->count;
  progress_say(run->progress, "the time limit is near: what runs writes a checkpoint and stops");
}

static void fill_slots(Run *run) {
  if (job_waits(run) && !has_time_to_begin(run)) run_out_of_time(run);
  for (int s = 0; s < run->slot_count; s++) {
    Slot *slot = &run->slots[s];
    while (slot->trainer.pid == 0 && run->next < run->count && clock_seconds() >= run->room_at) {
      Job *job = &run->jobs[run->next];
      bool runs = job_is_to_run(job);
      if (runs && !has_room(run, job)) {
        lack_room(run, job);
        break;
      }
      run->next++;
      if (runs) try_job(run, slot, job);
    }
    if (slot->trainer.pid == 0 && !stops(run) && clock_seconds() >= run->held_at)
      try_held(run, slot);
  }
}

/* Reads what the trainers wrote; returns how many run. */
static int poll_slots(Run *run) {
  int running = 0;
  for (int s = 0; s < run->slot_count; s++) {
    Slot *slot = &run->slots[s];
    if (slot->trainer.pid == 0) continue;
    Outcome outcome;
    Error e = {0};
    bool broken = store_broken(run->store); /* that is noted with every line */
    bool begun = !broken && store_begin(run->store, &e);
    bool alive = trainer_poll(&slot->trainer, &outcome);
    if (!broken && (!begun || !store_commit(run->store, &e))) note_unrecorded(run, &e);
    if (!slot->stepped && slot->trainer.facts.step > slot->step_was) {
      slot->stepped = true;
      run->first_step = fmax(run->first_step, clock_seconds() - slot->trainer.started);
    }
    if (alive)
      running++;
    else
      end_job(run, slot, &outcome);
  }
  return running;
}

/* By its event file; what show() asks ten times a second is not looked up on the disk. */
static bool is_at_step(const Job *job) {
  return job->until > 0 && job->status == TRIAL_INTERRUPTED && job->facts.step >= job->until;
}

static void show(Run *run) {
  ProgressTrial *trials = need(calloc((size_t)run->slot_count, sizeof *trials));
  ProgressSweep sweep = {.total = run->count};
  double left = 0, done = run->work_done;
  int count = 0;
  for (int i = 0; i < run->count; i++) {
    bool waits = i >= run->next || *run->jobs[i].holder;
    bool settled = !job_is_to_run(&run->jobs[i]) || !waits;
    sweep.done += settled && run->jobs[i].status == TRIAL_DONE;
    sweep.paused += settled && (run->jobs[i].action == JOB_PAUSED || is_at_step(&run->jobs[i]));
    if (run->jobs[i].until) sweep.until = run->jobs[i].until;
    sweep.failed += settled && run->jobs[i].status == TRIAL_FAILED;
    if (waits) left += job_work_left(&run->jobs[i]);
  }
  for (int s = 0; s < run->slot_count; s++) {
    const Slot *slot = &run->slots[s];
    if (slot->trainer.pid == 0) continue;
    const Facts *facts = &slot->trainer.facts;
    trials[count++] =
        (ProgressTrial){slot->job->label, facts, slot->trainer.started, slot->step_was};
    done += job_work(slot->job, slot->step_was, facts->step, false);
    int64_t steps = facts->steps > 0 ? facts->steps : slot->job->steps, until = slot->job->until;
    left += job_work(slot->job, facts->step, until ? until : steps, until == 0);
  }
  sweep.seconds_left = done > 0 ? left * (clock_seconds() - run->started) / done : NAN;
  progress_show(run->progress, trials, count, &sweep);
  free(trials);
}

static void stop_all(Run *run, int signal, double grace) {
  for (int s = 0; s < run->slot_count; s++) trainer_stop(&run->slots[s].trainer, signal, grace);
}

/* Trainers are asked to stop in time for a checkpoint each, and killed when the time is over. */
static void obey_clock(Run *run) {
  double now = clock_seconds();
  if (now < run->options->stop_at || run->result->signal) return;
  run_out_of_time(run);
  if (run->clock_stopped) return;
  run->clock_stopped = true;
  stop_all(run, SIGINT, run->options->deadline - now);
}

/* Waits for a signal or the next look at the files. */
static void wait_and_obey(Run *run) {
  int signal = runner_wait_signal(poll_seconds);
  obey_clock(run);
  if (signal == 0) return;
  /* `timeout` and batch systems send a signal to the process and to its group: that is one. */
  bool again = run->result->signal != 0;
  if (again && clock_seconds() < run->stop_asked + 1) return;
  run->next = run->count;
  if (!again) {
    run->result->signal = signal;
    run->stop_asked = clock_seconds();
    progress_say(run->progress,
                 "stopping: the trials that run write a checkpoint (once more to kill them)");
    stop_all(run, SIGINT, STOP_GRACE_SECONDS);
  } else {
    stop_all(run, SIGKILL, 0);
  }
}

static void make_slots(Run *run) {
  const Places *places = run->options->places;
  run->slot_count = places->count;
  run->slots = need(calloc((size_t)places->count, sizeof *run->slots));
  for (int s = 0; s < places->count; s++)
    run->slots[s] = (Slot){.run = run, .place = &places->list[s]};
}

void supervise(Job *jobs, int count, Store *store, const SuperviseOptions *options,
               Progress *progress, SuperviseResult *result) {
  *result = (SuperviseResult){0};
  Run run = {.jobs = jobs,
             .count = count,
             .store = store,
             .options = options,
             .progress = progress,
             .result = result,
             .started = clock_seconds()};
  make_slots(&run);
  for (;;) {
    fill_slots(&run);
    if (poll_slots(&run) == 0 && !job_waits(&run)) break;
    if (clock_seconds() >= run.retry_at) catch_up(&run);
    show(&run);
    wait_and_obey(&run);
  }
  catch_up(&run);
  progress_close(progress);
  result->wall_seconds = clock_seconds() - run.started;
  free(run.slots);
}
