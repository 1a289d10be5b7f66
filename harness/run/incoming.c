/* incoming.c - finds, judges and copies trials of earlier sessions. */
#include "harness/run/incoming.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "harness/run/bundle.h"
#include "harness/run/carried.h"
#include "harness/run/retain.h"
#include "harness/trial/found.h"
#include "mae/base/io.h"
#include "mae/record/step_folders.h"

/* Bundles are unpacked to OUT/.from-HOST-PID-N. */
static const char unpacked_start[] = ".from-";

/* Finding ---------------------------------------------------------------------------------------*/

static void find_experiments(StringList *folders, const char *path, int levels) {
  char *sweep = string_format("%s/sweep.json", path);
  bool is_one = access(sweep, R_OK) == 0;
  free(sweep);
  if (is_one) strings_add(folders, string_copy(path));
  if (is_one || levels == 0) return;
  StringList names = {0};
  found_entries(&names, path, "");
  for (int i = 0; i < names.count; i++) {
    char *below = string_format("%s/%s", path, names.items[i]);
    if (*names.items[i] != '.') find_experiments(folders, below, levels - 1);
    free(below);
  }
  strings_free(&names);
}

static bool make_unpacked(IncomingSource *source, const char *out, bool dry, int number, Error *e) {
  char host[HOST_NAME_MAX + 1] = "", holder[FOLDER_HOLDER_MAX];
  const char *temporary = getenv("TMPDIR");
  if (dry) {
    source->unpacked = string_format("%s/maebench-from-XXXXXX", temporary ? temporary : "/tmp");
    return mkdtemp(source->unpacked) ||
           error_set(e, EXIT_DATA, "%s: cannot create: %s", source->unpacked, strerror(errno));
  }
  gethostname(host, sizeof host - 1);
  source->unpacked =
      string_format("%s/%s%s-%d-%d", out, unpacked_start, host, (int)getpid(), number);
  return io_make_folders(source->unpacked, e) &&
         folder_lock(&source->lock, source->unpacked, holder, e);
}

static bool is_planned(const Plan *plans, int count, const char *experiment) {
  char folder[CONFIG_PATH_MAX];
  for (int i = 0; i < count; i++)
    if (folder_of_sweep(folder, ".", &plans[i], NULL) &&
        !strcmp(folder_experiment(folder), experiment))
      return true;
  return false;
}

static bool unpack(IncomingSource *source, const Plan *plans, int count, const char *out, bool dry,
                   int number, StringList *there, Error *e) {
  if (!bundle_list(there, source->given, e) || !make_unpacked(source, out, dry, number, e))
    return false;
  for (int i = 0; i < there->count; i++)
    if (is_planned(plans, count, there->items[i]) &&
        !bundle_unpack(source->given, there->items[i], source->unpacked, !dry, e))
      return false;
  find_experiments(&source->experiments, source->unpacked, 1);
  return true;
}

static bool nothing_there(const char *given, const Plan *plans, int count, const StringList *there,
                          Error *e) {
  char folder[CONFIG_PATH_MAX];
  if (!folder_of_sweep(folder, ".", &plans[0], e)) return false;
  if (!there->count)
    return error_set(e, EXIT_DATA,
                     "--from %s: there are no results in it (no EXPERIMENT/sweep.json, also not "
                     "three levels down)",
                     given);
  return error_set(e, EXIT_DATA, "--from %s holds nothing of %s%s; it has %s%s", given,
                   folder_experiment(folder), count > 1 ? " and the other experiments" : "",
                   folder_experiment(there->items[0]), there->count > 1 ? " and others" : "");
}

static bool open_source(IncomingSource *source, const Plan *plans, int count, const char *out,
                        bool dry, int number, Error *e) {
  struct stat info;
  StringList there = {0};
  if (stat(source->given, &info) != 0)
    return error_set(e, EXIT_DATA, "--from %s: %s", source->given, strerror(errno));
  bool ok = true, useful = false;
  if (S_ISDIR(info.st_mode)) {
    find_experiments(&source->experiments, source->given, 3);
    for (int i = 0; i < source->experiments.count; i++)
      strings_add(&there, string_copy(source->experiments.items[i]));
  } else {
    ok = unpack(source, plans, count, out, dry, number, &there, e);
  }
  for (int i = 0; i < source->experiments.count; i++)
    useful |= is_planned(plans, count, folder_experiment(source->experiments.items[i]));
  if (ok && !useful) ok = nothing_there(source->given, plans, count, &there, e);
  strings_free(&there);
  return ok;
}

bool incoming_open(Incoming *incoming, const CmdList *given, const Plan *plans, int count,
                   const char *out, bool dry, Error *e) {
  *incoming = (Incoming){0};
  incoming->sources = need(calloc((size_t)given->count + 1, sizeof *incoming->sources));
  for (int i = 0; i < given->count; i++) {
    IncomingSource *source = &incoming->sources[incoming->count++];
    *source = (IncomingSource){.given = given->items[i], .lock = -1};
    if (!open_source(source, plans, count, out, dry, i, e)) return false;
  }
  return true;
}

void incoming_close(Incoming *incoming) {
  for (int i = 0; i < incoming->count; i++) {
    IncomingSource *source = &incoming->sources[i];
    if (source->unpacked) io_remove(source->unpacked, NULL);
    if (source->lock >= 0) close(source->lock);
    free(source->unpacked);
    strings_free(&source->experiments);
  }
  free(incoming->sources);
  *incoming = (Incoming){0};
}

int64_t incoming_clean(const char *out) {
  StringList names = {0};
  double freed = 0;
  found_entries(&names, out, unpacked_start);
  for (int i = 0; i < names.count; i++) {
    char holder[FOLDER_HOLDER_MAX], *path = string_format("%s/%s", out, names.items[i]);
    int lock = -1;
    if (folder_lock(&lock, path, holder, NULL) && !*holder) {
      freed += disk_used(path);
      io_remove(path, NULL);
    }
    if (lock >= 0) close(lock);
    free(path);
  }
  strings_free(&names);
  return (int64_t)freed;
}

/* Judging ---------------------------------------------------------------------------------------*/

/* How far what is there leads: the step of its checkpoint, or all the way. */
static int64_t rank(const Job *job) {
  int64_t step = -1;
  if (job->action == JOB_SKIP) return INT64_MAX;
  if (job->action == JOB_REPLACE || !step_folders_newest(job->folder, &step, NULL)) return -1;
  return step;
}

typedef struct Found {
  int there, other_build;
} Found;

static bool look_at(Job *job, const char *folder, bool unpacked, const JobBuild *build,
                    Found *found, Error *e) {
  char events[CONFIG_PATH_MAX], holder[FOLDER_HOLDER_MAX];
  Job best = *job, seen = *job;
  int lock;
  if (job->from) snprintf(best.folder, sizeof best.folder, "%s", job->from);
  snprintf(seen.folder, sizeof seen.folder, "%s", folder);
  if (!io_join(events, sizeof events, folder, "events.jsonl", e)) return false;
  if (access(events, R_OK) != 0) return true;
  job_look_only(&seen, build);
  found->there++;
  found->other_build += job_is_of_other_build(&seen, build);
  if (rank(&seen) < 0) return true;
  if (rank(&seen) <= rank(&best)) return true;
  if (!folder_lock_shared(&lock, folder, holder, e)) return false;
  if (lock >= 0) close(lock);
  if (*holder)
    return error_set(e, EXIT_DATA,
                     "--from: %s is being written: %s works on it; wait until that has ended",
                     folder, holder);
  free(job->from);
  job->from = string_copy(folder);
  job->from_unpacked = unpacked;
  job->action = seen.action;
  job->status = seen.status;
  job->facts = seen.facts;
  job->starts_at_checkpoint = seen.starts_at_checkpoint;
  job->why_anew = NULL;
  return true;
}

static bool look_in(const IncomingSource *source, const char *experiment, const Plan *plan,
                    Job *jobs, const JobBuild *build, Error *e) {
  Found found = {0};
  for (int x = 0; x < source->experiments.count; x++) {
    const char *sweep_folder = source->experiments.items[x];
    if (strcmp(folder_experiment(sweep_folder), experiment) != 0) continue;
    for (int i = 0; i < plan->count; i++) {
      char folder[CONFIG_PATH_MAX];
      if (!folder_of_trial(folder, sweep_folder, &plan->trials[i], e) ||
          !look_at(&jobs[i], folder, source->unpacked, build, &found, e))
        return false;
    }
  }
  if (found.there > 0 && found.other_build == found.there)
    return error_set(e, EXIT_DATA,
                     "--from %s: all %d trials of %s in it were made by another build of mae; "
                     "--any-build takes them, and without --from they are trained anew",
                     source->given, found.there, experiment);
  if (!found.there)
    fprintf(stderr, "note: --from %s has none of these trials of %s\n", source->given, experiment);
  if (found.other_build)
    fprintf(stderr,
            "warning: %d of %d trials in %s were made by another build of mae and are not taken; "
            "--any-build takes them\n",
            found.other_build, found.there, source->given);
  return true;
}

bool incoming_look(const Incoming *incoming, const Plan *plan, Job *jobs, const JobBuild *build,
                   Error *e) {
  char folder[CONFIG_PATH_MAX];
  if (!folder_of_sweep(folder, ".", plan, e)) return false;
  for (int i = 0; i < incoming->count; i++)
    if (!look_in(&incoming->sources[i], folder_experiment(folder), plan, jobs, build, e))
      return false;
  return true;
}

/* Copying ---------------------------------------------------------------------------------------*/

static bool copy_bytes(int from, const char *from_path, int to, const char *to_path, Error *e) {
  enum { CHUNK = 1 << 20 };
  void *buffer = io_buffer(CHUNK, "copying", e);
  ssize_t n = 0;
  bool ok = buffer != NULL;
  while (ok && (n = read(from, buffer, CHUNK)) > 0)
    ok = io_write(to, to_path, buffer, (size_t)n, e);
  if (ok && n < 0) ok = error_set(e, EXIT_DATA, "%s: cannot read: %s", from_path, strerror(errno));
  free(buffer);
  return ok;
}

static bool copy_file(const char *from, const char *to, Error *e) {
  size_t size;
  int in = io_open(from, &size, e);
  if (in < 0) return false;
  int out = io_create(to, e);
  bool ok = out >= 0 && copy_bytes(in, from, out, to, e);
  if (out >= 0 && !io_finish(out, to, ok ? e : NULL)) ok = false;
  close(in);
  return ok;
}

/* Into the trial's INCOMING_FOLDER. */
static bool stage(const Job *job, const char *stage_folder, const StringList *files, Error *e) {
  bool ok = io_remove(stage_folder, e) && io_make_folders(stage_folder, e);
  for (int i = 0; ok && i < files->count; i++) {
    char from[CONFIG_PATH_MAX], to[CONFIG_PATH_MAX];
    struct stat info;
    ok = io_join(from, sizeof from, job->from, files->items[i], e) &&
         io_join(to, sizeof to, stage_folder, files->items[i], e);
    if (!ok) break;
    bool folder = lstat(from, &info) == 0 && S_ISDIR(info.st_mode);
    ok = folder               ? io_make_folders(to, e)
         : job->from_unpacked ? io_rename(from, to, e)
                              : copy_file(from, to, e);
  }
  return ok;
}

/* A number given here stays. */
static bool move_file(const Job *job, const char *stage_folder, const char *name, Error *e) {
  char from[CONFIG_PATH_MAX], to[CONFIG_PATH_MAX];
  if (!io_join(from, sizeof from, stage_folder, name, e) ||
      !io_join(to, sizeof to, job->folder, name, e))
    return false;
  if (!strcmp(name, "trial.json") && access(to, F_OK) == 0) return true;
  return io_rename(from, to, e);
}

/* The events come last: without them the rest is of no use (job_look), so that a process that is
 * killed here leaves no trial that seems to be finished and lacks what it kept. */
static bool move_in(const Job *job, const char *stage_folder, const StringList *files, Error *e) {
  const char *events = trial_files[TRIAL_FILES - 1];
  for (int i = 0; i < files->count; i++) {
    const char *name = files->items[i];
    bool waits = strchr(name, '/') || !strcmp(name, events); /* or moves with its folder */
    if (!waits && !move_file(job, stage_folder, name, e)) return false;
  }
  return move_file(job, stage_folder, events, e);
}

static bool take_locked(Job *job, Error *e) {
  char stage_folder[CONFIG_PATH_MAX];
  StringList files = {0};
  int64_t freed = 0;
  const Config *config = &job->trial->config;
  bool ok = io_join(stage_folder, sizeof stage_folder, job->folder, INCOMING_FOLDER, e) &&
            carried_files(&files, job->from, config, e) && stage(job, stage_folder, &files, e) &&
            folder_set_aside(job->folder, true, e) && move_in(job, stage_folder, &files, e) &&
            io_remove(stage_folder, e) &&
            (job->action != JOB_SKIP || retain_finished(job->folder, config, false, &freed, e));
  strings_free(&files);
  return ok;
}

bool incoming_take(Job *job, const JobBuild *build, Error *e) {
  int lock, reading;
  char writer[FOLDER_HOLDER_MAX];
  if (!job->from) return true;
  if (!io_make_folders(job->folder, e) || !folder_lock(&lock, job->folder, job->holder, e))
    return false;
  bool ok = true;
  if (!*job->holder) {
    ok = folder_lock_shared(&reading, job->from, writer, e) &&
         (!*writer || error_set(e, EXIT_DATA, "--from: %s is being written: %s works on it",
                                job->from, writer)) &&
         take_locked(job, e);
    if (reading >= 0) close(reading);
    close(lock);
  }
  *job->holder = 0; /* whoever holds it is told of when the trial is to start */
  if (!ok) return error_suffix(e, "nothing in %s was changed", job->from);
  free(job->from); /* from now on its own folder says how far it is */
  job->from = NULL;
  job_look(job, build);
  if (!job->id) job->id = folder_trial_id(job->folder);
  return true;
}
