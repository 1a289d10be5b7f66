/* carried.c - picks files of a trial's folder. */
#include "harness/run/carried.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "harness/trial/facts.h"
#include "harness/trial/files.h"
#include "harness/trial/found.h"
#include "mae/base/io.h"
#include "mae/model/products.h"
#include "mae/record/kept.h"
#include "mae/record/step_folders.h"

static bool is_file(const char *folder, const char *name) {
  char path[CONFIG_PATH_MAX];
  struct stat info;
  return io_join(path, sizeof path, folder, name, NULL) && lstat(path, &info) == 0 &&
         S_ISREG(info.st_mode);
}

static bool ends(const char *name, const char *ending) {
  size_t length = strlen(name), rest = strlen(ending);
  return length > rest && !strcmp(name + length - rest, ending);
}

static bool is_carried(const char *name) {
  static const char *const names[] = {"trial.json", "config.ini", "stderr.log"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    if (!strcmp(name, names[i])) return true;
  for (int f = 0; f < TRIAL_FILES; f++)
    if (!strcmp(name, trial_files[f])) return true;
  return ends(name, ".png") || (!strncmp(name, "verify-", 7) && ends(name, ".jsonl"));
}

/* Of a finished trial's checkpoint. */
static bool is_kept(const char *step_folder, const char *name, Keep keep) {
  bool encoder = is_file(step_folder, KEPT_ENCODER);
  if (keep == KEEP_NONE) return false;
  if (keep == KEEP_CHECKPOINTS) return true;
  if (keep == KEEP_ENCODER && encoder) return !strcmp(name, KEPT_ENCODER);
  return !strcmp(name,
                 is_file(step_folder, "model.safetensors") ? "model.safetensors" : KEPT_ENCODER);
}

static bool add_checkpoint(StringList *files, const char *folder, Keep keep, Error *e) {
  static const char *const names[] = {"model.safetensors", "state.safetensors", KEPT_ENCODER};
  char step_folder[CONFIG_PATH_MAX];
  int64_t step;
  if (!step_folders_newest(folder, &step, e)) return false;
  if (step < 0 || keep == KEEP_NONE) return true;
  if (!step_folder_path(step_folder, folder, step, e)) return false;
  strings_add(files, string_copy("checkpoints"));
  strings_add(files, string_format("checkpoints/step-%lld", (long long)step));
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    if (is_file(step_folder, names[i]) && is_kept(step_folder, names[i], keep))
      strings_add(files, string_format("checkpoints/step-%lld/%s", (long long)step, names[i]));
  return true;
}

bool carried_files(StringList *files, const char *trial_folder, const Config *config, Error *e) {
  StringList names = {0};
  Keep keep = KEEP_CHECKPOINTS;
  char events[CONFIG_PATH_MAX];
  Facts facts;
  KeptSizes sizes;
  if (!io_join(events, sizeof events, trial_folder, "events.jsonl", e)) return false;
  if (config) {
    facts_read(&facts, events);
    if (!kept_sizes(&sizes, config, e)) return false;
    if (facts_finished(&facts)) keep = kept_choice(config, &sizes);
  }
  /* Before the events that name it: a run does not go on without it. */
  if (is_file(trial_folder, PRODUCTS_FILE)) strings_add(files, string_copy(PRODUCTS_FILE));
  found_entries(&names, trial_folder, "");
  for (int i = 0; i < names.count; i++)
    if (is_carried(names.items[i]) && is_file(trial_folder, names.items[i]))
      strings_add(files, string_copy(names.items[i]));
  strings_free(&names);
  return add_checkpoint(files, trial_folder, keep, e);
}
