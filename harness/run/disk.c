/* disk.c - sizes of folders, of trials and of plans. */
#include "harness/run/disk.h"

#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "harness/base/strings.h"
#include "harness/run/job.h"
#include "mae/base/io.h"
#include "mae/record/kept.h"

static const struct {
  const char *name;
  double bytes;
} units[] = {{"TB", 1e12},    {"GB", 1e9},     {"MB", 1e6},     {"kB", 1e3}, {"TiB", 0x1p40},
             {"GiB", 0x1p30}, {"MiB", 0x1p20}, {"KiB", 0x1p10}, {"T", 1e12}, {"G", 1e9},
             {"M", 1e6},      {"B", 1},        {"", 1}};
enum { UNITS = sizeof units / sizeof *units, TOLD_UNITS = 4 };

bool disk_parse(const char *text, double *bytes, Error *e) {
  char *end;
  double value = *text >= '0' && *text <= '9' ? strtod(text, &end) : NAN;
  if (value > 0 && isfinite(value)) {
    while (*end == ' ') end++;
    for (int u = 0; u < UNITS; u++) {
      if (strcasecmp(end, units[u].name) != 0) continue;
      *bytes = value * units[u].bytes;
      return true;
    }
  }
  return error_set(e, EXIT_CONFIG, "--disk-limit %.50s: expected a size such as 20GB or 500MB",
                   text);
}

const char *disk_text(char out[DISK_TEXT_MAX], double bytes) {
  int u = 0;
  if (bytes < units[TOLD_UNITS - 1].bytes) {
    snprintf(out, DISK_TEXT_MAX, "%.0f B", bytes);
    return out;
  }
  while (u < TOLD_UNITS - 1 && bytes < units[u].bytes) u++;
  double value = bytes / units[u].bytes;
  snprintf(out, DISK_TEXT_MAX, "%.*f %s",
           value < 10    ? 2
           : value < 100 ? 1
                         : 0,
           value, units[u].name);
  return out;
}

double disk_used(const char *path) {
  struct stat info;
  if (lstat(path, &info) != 0) return 0;
  if (!S_ISDIR(info.st_mode)) return S_ISREG(info.st_mode) ? (double)info.st_size : 0;
  DIR *dir = opendir(path);
  double sum = 0;
  for (const struct dirent *entry; dir && (entry = readdir(dir));) {
    char below[CONFIG_PATH_MAX];
    if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 &&
        io_join(below, sizeof below, path, entry->d_name, NULL))
      sum += disk_used(below);
  }
  if (dir) closedir(dir);
  return sum;
}

double disk_free(const char *path) {
  char above[CONFIG_PATH_MAX];
  struct statvfs info;
  snprintf(above, sizeof above, "%s", path);
  while (statvfs(above, &info) != 0) {
    char *slash = strrchr(above, '/');
    if (errno != ENOENT || !strcmp(above, ".") || slash == above) return NAN;
    snprintf(slash ? slash : above, 2, "%s", slash ? "" : ".");
  }
  return (double)info.f_bavail * (double)info.f_frsize;
}

/* A step's line, and all else that a trial has: scores, provenance, the contact sheet. */
static const double line_bytes = 300, rest_bytes = 500e3;

bool disk_sizes(DiskSizes *sizes, const Config *config, int64_t steps, int stops, Error *e) {
  KeptSizes files;
  if (!kept_sizes(&files, config, e)) return false;
  double beside = line_bytes * (double)steps + rest_bytes, one = (double)files.checkpoint;
  double saves = 1, keep = config->run.keep_checkpoints;
  if (config->run.checkpoint_every > 0)
    saves = fmax(1, ceil((double)steps / (double)config->run.checkpoint_every));
  saves += stops;
  double kept[KEEP_COUNT] = {[KEEP_ENCODER] = (double)files.encoder,
                             [KEEP_WEIGHTS] = (double)files.weights,
                             [KEEP_CHECKPOINTS] = fmin(keep, saves) * one};
  /* One that was interrupted has a checkpoint more than planned. */
  sizes->peak = beside + fmin(keep + 1, saves + 1) * one;
  sizes->kept = beside + kept[kept_choice(config, &files)];
  sizes->paused = beside + keep * one;
  return true;
}

void disk_plan(DiskPlan *plan, const Job *jobs, int count, const char *sweep_folder, int at_once) {
  typedef struct Left {
    double there, running, kept;
  } Left;
  Left *left = need(calloc((size_t)count + 1, sizeof *left));
  int n = 0;
  *plan = (DiskPlan){.there = disk_used(sweep_folder)};
  double sum = plan->there;
  plan->kept = plan->there;
  for (int i = 0; i < count; i++) {
    const Job *job = &jobs[i];
    bool pruned = job->pruned.step > 0;
    double kept = pruned ? job->disk.paused : job->disk.kept;
    /* Of an earlier session: still to be copied. */
    if (job->from && (job->action == JOB_SKIP || pruned)) {
      plan->kept += kept;
      sum += kept;
    }
    bool waits = job->action == JOB_PAUSED && job->status != TRIAL_FAILED && !pruned;
    if (!job_is_to_run(job) && !waits) continue;
    double there = disk_used(job->folder);
    if (job->until > 0) kept = fmax(kept, job->disk.paused); /* nobody knows yet who goes on */
    left[n++] = (Left){there, fmax(job->disk.peak, there), kept};
    plan->kept += kept - there;
  }
  plan->peak = fmax(plan->there, plan->kept);
  /* They run in order: before those that run lies what is kept, behind them what is there now. */
  for (int i = 0; i < n; i++) {
    sum += left[i].running - left[i].there;
    if (i >= at_once) sum += left[i - at_once].kept - left[i - at_once].running;
    plan->peak = fmax(plan->peak, sum);
  }
  free(left);
}
