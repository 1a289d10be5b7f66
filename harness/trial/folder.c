/* folder.c - writes and reads the files of a sweep and its trials. */
#include "harness/trial/folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "harness/base/strings.h"
#include "harness/base/tail.h"
#include "harness/trial/facts.h"
#include "mae/base/clock.h"
#include "mae/base/io.h"
#include "mae/model/products.h"
#include "mae/record/event_line.h"
#include "mae/record/events.h"
#include "mae/record/step_folders.h"

bool folder_of_sweep(char path[CONFIG_PATH_MAX], const char *out, const Plan *plan, Error *e) {
  char *name = string_format("%s%s%s", plan->name, *plan->scale ? "-" : "", plan->scale);
  bool ok = io_join(path, CONFIG_PATH_MAX, out, name, e);
  free(name);
  return ok;
}

bool folder_of_trial(char path[CONFIG_PATH_MAX], const char *sweep_folder, const PlanTrial *trial,
                     Error *e) {
  char name[13];
  snprintf(name, sizeof name, "%.12s", trial->hash);
  return io_join(path, CONFIG_PATH_MAX, sweep_folder, name, e);
}

const char *folder_experiment(const char *sweep_folder) {
  const char *slash = strrchr(sweep_folder, '/');
  return slash ? slash + 1 : sweep_folder;
}

static bool holds(const char *path, const char *bytes, size_t size) {
  size_t length;
  int fd = io_open(path, &length, NULL);
  if (fd < 0) return false;
  char *found = length == size ? need(malloc(size + 1)) : NULL;
  bool same = found && read(fd, found, size + 1) == (ssize_t)size && !memcmp(found, bytes, size);
  close(fd);
  free(found);
  return same;
}

/* Replaces folder/name by bytes, all or nothing. One that holds them is left as it is: syncing
 * thousands of files to the disk takes a minute. Harnesses of other machines may be writing the
 * same file at the same time (--part), so the temporary file's name is this process's own. */
static bool write_file(const char *folder, const char *name, const char *bytes, size_t size,
                       Error *e) {
  char path[CONFIG_PATH_MAX], temporary[CONFIG_PATH_MAX + HOST_NAME_MAX + 32];
  char host[HOST_NAME_MAX + 1] = "";
  if (!io_join(path, sizeof path, folder, name, e)) return false;
  if (holds(path, bytes, size)) return true;
  gethostname(host, sizeof host - 1);
  snprintf(temporary, sizeof temporary, "%s.%s-%d.tmp", path, host, (int)getpid());
  int fd = io_create(temporary, e);
  if (fd < 0) return false;
  bool ok = io_write(fd, temporary, bytes, size, e);
  if (!io_finish(fd, temporary, ok ? e : NULL)) ok = false;
  return ok && io_rename(temporary, path, e);
}

bool folder_write_json(const char *folder, const char *name, json_t *object, Error *e) {
  char *text = json_dumps(object, JSON_INDENT(2) | JSON_REAL_PRECISION(17));
  json_decref(object);
  if (!text) return error_set(e, EXIT_DATA, "%s/%s: not UTF-8 text", folder, name);
  char *line = string_format("%s\n", text);
  bool ok = write_file(folder, name, line, strlen(line), e);
  free(line);
  free(text);
  return ok;
}

json_t *folder_read_json(const char *folder, const char *name) {
  char path[CONFIG_PATH_MAX];
  if (!io_join(path, sizeof path, folder, name, NULL)) return NULL;
  json_error_t problem;
  return json_load_file(path, 0, &problem);
}

/* `created` of an existing file, so that writing it again does not make it younger. */
static double created_before(const char *folder, const char *name) {
  json_t *old = folder_read_json(folder, name);
  Number created = member_number(old, "created");
  double time = created.kind == NUMBER_FINITE ? created.value : clock_now();
  json_decref(old);
  return time;
}

/* Removes what writers of this machine that were killed left: NAME.HOST-PID.tmp of write_file. */
static void remove_leftovers(const char *folder) {
  char host[HOST_NAME_MAX + 1] = "";
  gethostname(host, sizeof host - 1);
  DIR *dir = opendir(folder);
  for (const struct dirent *entry; dir && (entry = readdir(dir));) {
    const char *by = strstr(entry->d_name, host), *dash = strrchr(entry->d_name, '-');
    int pid, end = 0;
    if (!*host || !by || by == entry->d_name || by[-1] != '.' || dash != by + strlen(host) ||
        sscanf(dash, "-%d.tmp%n", &pid, &end) != 1 || !end || dash[end] || pid < 1)
      continue;
    if (kill(pid, 0) == 0 || errno != ESRCH) continue; /* it is still writing */
    char *path = string_format("%s/%s", folder, entry->d_name);
    unlink(path);
    free(path);
  }
  if (dir) closedir(dir);
}

/* The member "paper" of sweep.json (files.h). */
static json_t *paper_json(const Paper *paper) {
  json_t *settings = json_array(), *keys = json_array(), *compare = json_array();
  for (int i = 0; i < paper->keys.count; i++)
    json_array_append_new(keys, json_string(paper->keys.items[i]));
  for (int i = 0; i < paper->compare.count; i++)
    json_array_append_new(compare, json_string(paper->compare.items[i]));
  for (int i = 0; i < paper->count; i++) {
    const PaperSetting *setting = &paper->settings[i];
    json_t *values = json_array(), *json = json_pack("{s:s}", "setting", setting->name);
    for (int v = 0; v < setting->values.count; v++)
      json_array_append_new(values, json_string(setting->values.items[v]));
    json_object_set_new(json, "ours", values);
    for (int s = 0; s < PAPER_SERIES; s++)
      if (!isnan(setting->number[s]))
        json_object_set_new(json, paper_series[s], json_real(setting->number[s]));
    json_array_append_new(settings, json);
  }
  return json_pack("{s:s, s:o, s:o, s:o}", "source", paper->source, "keys", keys, "compare",
                   compare, "settings", settings);
}

bool folder_write_sweep(const char *sweep_folder, const Plan *plan, Error *e) {
  if (!io_make_folders(sweep_folder, e)) return false;
  remove_leftovers(sweep_folder);
  json_t *trials = json_array();
  for (int i = 0; i < plan->count; i++)
    json_array_append_new(trials, json_string(plan->trials[i].hash));
  json_t *sweep = json_pack(
      "{s:i, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:f, s:o}", "format", 1, "experiment",
      folder_experiment(sweep_folder), "name", plan->name, "scale", plan->scale, "question",
      plan->question, "expected", plan->expected, "source", plan->source, "x", plan->x, "ini",
      plan->text, "created", created_before(sweep_folder, "sweep.json"), "trials", trials);
  if (plan->paper.source) json_object_set_new(sweep, "paper", paper_json(&plan->paper));
  return folder_write_json(sweep_folder, "sweep.json", sweep, e);
}

int64_t folder_trial_id(const char *trial_folder) {
  json_t *trial = folder_read_json(trial_folder, "trial.json");
  int64_t id = member_integer(trial, "id", 0);
  json_decref(trial);
  return id;
}

bool folder_write_trial(const char *trial_folder, const char *experiment, const PlanTrial *plan,
                        int64_t id, Error *e) {
  if (!io_make_folders(trial_folder, e)) return false;
  json_t *swept = json_object();
  for (int i = 0; i < plan->swept_count; i++)
    json_object_set_new(swept, plan->swept[i].key, json_string(plan->swept[i].value));
  json_t *trial = json_pack("{s:i, s:I, s:s, s:s, s:I, s:f, s:o}", "format", 1, "id",
                            (json_int_t)id, "experiment", experiment, "config_hash", plan->hash,
                            "seed", (json_int_t)plan->config.run.seed, "created",
                            created_before(trial_folder, "trial.json"), "swept", swept);
  return folder_write_json(trial_folder, "trial.json", trial, e);
}

bool folder_write_config(const char *trial_folder, const Config *config, Error *e) {
  char *text = NULL;
  size_t size;
  FILE *out = need(open_memstream(&text, &size));
  config_dump(config, out, false);
  fclose(out);
  bool ok = write_file(trial_folder, "config.ini", need(text), size, e);
  free(text);
  return ok;
}

/* The lock's file holds whose it is: "process N of HOST". */
static void name_holder(int fd) {
  char host[HOST_NAME_MAX + 1] = "", text[FOLDER_HOLDER_MAX];
  gethostname(host, sizeof host - 1);
  int n = snprintf(text, sizeof text, "process %d of %.200s\n", (int)getpid(), host);
  /* Only for people: a full disk keeps no trial from running. */
  if (ftruncate(fd, 0) == 0 && pwrite(fd, text, (size_t)n, 0) < 0) return;
}

static void read_holder(int fd, char holder[FOLDER_HOLDER_MAX]) {
  ssize_t n = pread(fd, holder, FOLDER_HOLDER_MAX - 1, 0);
  holder[n > 0 ? n : 0] = 0;
  holder[strcspn(holder, "\n")] = 0;
  if (!*holder) snprintf(holder, FOLDER_HOLDER_MAX, "another process");
}

bool folder_lock(int *fd, const char *trial_folder, char holder[FOLDER_HOLDER_MAX], Error *e) {
  char path[CONFIG_PATH_MAX];
  *holder = 0;
  *fd = -1;
  if (!io_join(path, sizeof path, trial_folder, "lock", e)) return false;
  *fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (*fd < 0) return error_set(e, EXIT_DATA, "%s: cannot open: %s", path, strerror(errno));
  if (flock(*fd, LOCK_EX | LOCK_NB) == 0) {
    name_holder(*fd);
    remove_leftovers(trial_folder);
    return true;
  }
  bool held = errno == EWOULDBLOCK;
  if (held) read_holder(*fd, holder);
  if (!held) error_set(e, EXIT_DATA, "%s: cannot be locked: %s", path, strerror(errno));
  close(*fd);
  *fd = -1;
  return held;
}

bool folder_lock_shared(int *fd, const char *trial_folder, char holder[FOLDER_HOLDER_MAX],
                        Error *e) {
  char path[CONFIG_PATH_MAX];
  *holder = 0;
  *fd = -1;
  if (!io_join(path, sizeof path, trial_folder, "lock", e)) return false;
  *fd = open(path, O_RDONLY | O_CLOEXEC);
  if (*fd < 0 && errno == ENOENT) return true;
  if (*fd < 0) return error_set(e, EXIT_DATA, "%s: cannot open: %s", path, strerror(errno));
  if (flock(*fd, LOCK_SH | LOCK_NB) == 0) return true;
  if (errno == EWOULDBLOCK) read_holder(*fd, holder);
  close(*fd); /* a file system without locks has no writers that hold one */
  *fd = -1;
  return true;
}

bool folder_has_checkpoint(const char *trial_folder) {
  int64_t step;
  return step_folders_newest(trial_folder, &step, NULL) && step >= 0;
}

/* What an attempt leaves. */
static bool is_of_attempt(const char *name) {
  static const char *const names[] = {"checkpoints", "events.jsonl", FACTS_NOTE, "stderr.log",
                                      PRODUCTS_FILE};
  size_t length = strlen(name);
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    if (!strcmp(name, names[i])) return true;
  return (length > 4 && !strcmp(name + length - 4, ".png")) || !strncmp(name, "verify-", 7);
}

static bool is_of_launches(const char *name) {
  for (int f = 0; f < TRIAL_LAUNCH_FILES; f++)
    if (!strcmp(name, trial_files[f])) return true;
  return false;
}

/* The names of an attempt's files, and the number of the next superseded-N. */
static bool list_attempt(StringList *names, int *number, const char *trial_folder, bool launches,
                         Error *e) {
  DIR *dir = opendir(trial_folder);
  if (!dir)
    return errno == ENOENT || error_set(e, EXIT_DATA, "%s: %s", trial_folder, strerror(errno));
  for (const struct dirent *entry; (entry = readdir(dir));) {
    int n;
    if (is_of_attempt(entry->d_name) || (launches && is_of_launches(entry->d_name)))
      strings_add(names, string_copy(entry->d_name));
    if (sscanf(entry->d_name, "superseded-%d", &n) == 1 && n >= *number) *number = n + 1;
  }
  closedir(dir);
  return true;
}

static bool move_file(const char *from, const char *to, const char *name) {
  char *old = string_format("%s/%s", from, name), *new = string_format("%s/%s", to, name);
  bool ok = rename(old, new) == 0;
  free(old);
  free(new);
  return ok;
}

bool folder_set_aside(const char *trial_folder, bool launches, Error *e) {
  StringList names = {0};
  int number = 1, moved = 0;
  bool ok = list_attempt(&names, &number, trial_folder, launches, e);
  char *to = string_format("%s/superseded-%d", trial_folder, number);
  if (ok && names.count) {
    ok = io_make_folders(to, e);
    while (ok && moved < names.count) {
      if (move_file(trial_folder, to, names.items[moved])) {
        moved++;
        continue;
      }
      ok = error_set(e, EXIT_DATA, "%s: cannot move %s to %s: %s", trial_folder, names.items[moved],
                     to, strerror(errno));
      while (moved > 0) move_file(to, trial_folder, names.items[--moved]); /* all or nothing */
    }
  }
  free(to);
  strings_free(&names);
  return ok;
}

static void take_exit(Outcome *outcome, const json_t *event) {
  const char *status = member_text(event, "status"), *error = member_text(event, "error");
  outcome->status = TRIAL_FAILED;
  for (int s = TRIAL_INTERRUPTED; status && s <= TRIAL_DONE; s++)
    if (!strcmp(status, trial_status_name((TrialStatus)s))) outcome->status = (TrialStatus)s;
  outcome->code = (int)member_integer(event, "code", -1);
  outcome->signal = (int)member_integer(event, "signal", 0);
  snprintf(outcome->error, sizeof outcome->error, "%s", error ? error : "");
}

static void take_kept(KeptRecord *kept, const json_t *event) {
  const char *keep = member_text(event, "keep"), *file = member_text(event, "file");
  const char *sha256 = member_text(event, "sha256");
  kept->step = member_integer(event, "step", -1);
  snprintf(kept->keep, sizeof kept->keep, "%s", keep ? keep : "");
  snprintf(kept->file, sizeof kept->file, "%s", file && !strchr(file, '/') ? file : "");
  snprintf(kept->sha256, sizeof kept->sha256, "%s", sha256 ? sha256 : "");
}

static void copy_member(char *out, size_t size, const json_t *event, const char *key) {
  const char *text = member_text(event, key);
  snprintf(out, size, "%s", text ? text : "");
}

static void take_pruned(PrunedRecord *pruned, const json_t *event) {
  pruned->step = member_integer(event, "step", 0);
  copy_member(pruned->rule, sizeof pruned->rule, event, "rule");
  copy_member(pruned->metric, sizeof pruned->metric, event, "metric");
  copy_member(pruned->reason, sizeof pruned->reason, event, "reason");
}

enum { LAUNCHES_MAX = 1000000 };

static void take_launch_line(void *user, const char *line, size_t length, uint64_t offset) {
  (void)offset;
  Launches *launches = user;
  EventLine event;
  if (!event_line_read(&event, line, length, NULL)) return;
  int64_t number = member_integer(event.json, "launch", 0);
  int launch = number >= 1 && number <= LAUNCHES_MAX ? (int)number : 0;
  if (launch && event_line_is(&event, "launch")) {
    launches->count = launch;
    launches->open = true;
    launches->kept.step = -1; /* it may write checkpoints */
    launches->pruned.step = 0;
  }
  if (event_line_is(&event, "pruned")) take_pruned(&launches->pruned, event.json);
  if (event_line_is(&event, "unpruned")) launches->pruned.step = 0;
  if (event_line_is(&event, "kept")) take_kept(&launches->kept, event.json);
  if (launch && event_line_is(&event, "exit") && launch == launches->count) {
    launches->open = false;
    take_exit(&launches->last, event.json);
  }
  event_line_free(&event);
}

void folder_launches(Launches *launches, const char *trial_folder) {
  *launches = (Launches){.kept.step = -1};
  for (int f = 0; f < TRIAL_LAUNCH_FILES; f++) {
    char *path = string_format("%s/%s", trial_folder, trial_files[f]);
    tail_read_file(path, take_launch_line, launches);
    free(path);
  }
}

static bool open_launches(EventLog *log, const char *trial_folder, Error *e) {
  char path[CONFIG_PATH_MAX];
  return io_join(path, sizeof path, trial_folder, trial_files[TRIAL_LAUNCH_FILES - 1], e) &&
         events_open(log, path, e);
}

static bool close_launches(EventLog *log, Error *e) {
  bool ok = event_end(log, e);
  return events_close(log, ok ? e : NULL) && ok;
}

bool folder_append_launch(const char *trial_folder, int launch, int pid, const char *device,
                          Error *e) {
  EventLog log;
  char host[HOST_NAME_MAX + 1] = "";
  gethostname(host, sizeof host - 1);
  if (!open_launches(&log, trial_folder, e)) return false;
  event_begin(&log, "launch");
  event_int(&log, "launch", launch);
  event_int(&log, "pid", pid);
  event_string(&log, "device", device);
  event_string(&log, "host", host);
  return close_launches(&log, e);
}

bool folder_append_exit(const char *trial_folder, int launch, const Outcome *outcome, Error *e) {
  EventLog log;
  if (!open_launches(&log, trial_folder, e)) return false;
  event_begin(&log, "exit");
  event_int(&log, "launch", launch);
  /* Left out rather than made up: a process has an exit code or a signal, and one whose harness
   * died has neither. */
  if (outcome->code >= 0) event_int(&log, "code", outcome->code);
  if (outcome->signal) event_int(&log, "signal", outcome->signal);
  event_string(&log, "status", trial_status_name(outcome->status));
  event_string(&log, "error", outcome->error);
  return close_launches(&log, e);
}

bool folder_append_kept(const char *trial_folder, const KeptRecord *kept, int64_t freed, Error *e) {
  EventLog log;
  if (!open_launches(&log, trial_folder, e)) return false;
  event_begin(&log, "kept");
  event_int(&log, "step", kept->step);
  event_string(&log, "keep", kept->keep);
  event_string(&log, "file", kept->file);
  event_string(&log, "sha256", kept->sha256);
  event_int(&log, "freed", freed);
  return close_launches(&log, e);
}

bool folder_append_pruned(const char *trial_folder, int launch, const PrunedRecord *pruned,
                          Error *e) {
  EventLog log;
  if (!open_launches(&log, trial_folder, e)) return false;
  event_begin(&log, pruned->step ? "pruned" : "unpruned");
  event_int(&log, "launch", launch);
  if (pruned->step) {
    event_int(&log, "step", pruned->step);
    event_string(&log, "rule", pruned->rule);
    event_string(&log, "metric", pruned->metric);
    event_string(&log, "reason", pruned->reason);
  }
  return close_launches(&log, e);
}
