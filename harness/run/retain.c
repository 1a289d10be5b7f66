/* retain.c - takes from a trial's checkpoints what its policy does not keep. */
#include "harness/run/retain.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness/base/strings.h"
#include "harness/run/disk.h"
#include "harness/trial/folder.h"
#include "harness/trial/record.h"
#include "mae/base/io.h"
#include "mae/base/sha256.h"
#include "mae/record/kept.h"
#include "mae/record/step_folders.h"

static const char *const checkpoint_files[] = {"state.safetensors", "model.safetensors",
                                               KEPT_ENCODER};
enum { FILES = sizeof checkpoint_files / sizeof *checkpoint_files };

static bool has(const char *folder, const char *name) {
  char path[CONFIG_PATH_MAX];
  return io_join(path, sizeof path, folder, name, NULL) && access(path, F_OK) == 0;
}

static int64_t bytes_of(const char *folder, const char *name) {
  char path[CONFIG_PATH_MAX];
  return io_join(path, sizeof path, folder, name, NULL) ? (int64_t)disk_used(path) : 0;
}

/* All but the newest `keep` of the checkpoints, and what interrupted writes left. */
static bool remove_older(const char *folder, const int64_t *steps, int count, int keep, bool dry,
                         int64_t *freed, Error *e) {
  char path[CONFIG_PATH_MAX];
  if (!io_join(path, sizeof path, folder, "checkpoints", e)) return false;
  int64_t before = (int64_t)disk_used(path), stays = 0;
  for (int i = 0; i < count && i < keep; i++) {
    if (!step_folder_path(path, folder, steps[i], e)) return false;
    stays += (int64_t)disk_used(path);
  }
  *freed += before - stays;
  if (dry) return true;
  for (int i = keep; i < count; i++)
    if (!step_folder_remove(folder, steps[i], e)) return false;
  return step_folders_clean(folder, e);
}

/* The one file that stays of the last checkpoint; "": none. Where what was asked for has gone
 * before, what is left of it stays. */
static const char *choose_file(const char *step_folder, Keep keep) {
  bool whole = has(step_folder, "model.safetensors"), encoder = has(step_folder, KEPT_ENCODER);
  if (keep == KEEP_NONE || (!whole && !encoder)) return "";
  return whole && keep == KEEP_WEIGHTS ? "model.safetensors" : KEPT_ENCODER;
}

static bool record(const char *folder, const char *step_folder, KeptRecord *kept, int64_t freed,
                   Error *e) {
  char path[CONFIG_PATH_MAX];
  if (*kept->file && (!io_join(path, sizeof path, step_folder, kept->file, e) ||
                      !sha256_file(kept->sha256, path, e)))
    return false;
  return folder_append_kept(folder, kept, freed, e);
}

static bool remove_files(const char *step_folder, const char *but, Error *e) {
  for (int f = 0; f < FILES; f++) {
    char path[CONFIG_PATH_MAX];
    if (!strcmp(checkpoint_files[f], but)) continue;
    if (!io_join(path, sizeof path, step_folder, checkpoint_files[f], e) || !io_remove(path, e))
      return false;
  }
  return io_sync_folder(step_folder, e);
}

/* Against the hash of the event that told of them. */
static bool check_weights(const char *folder, const char *step_folder, int64_t step, Error *e) {
  char path[CONFIG_PATH_MAX], hash[65];
  RunRecord run;
  if (!io_join(path, sizeof path, folder, "events.jsonl", e) || !record_read(&run, path, e))
    return false;
  char *name = string_format("checkpoints/step-%lld/model.safetensors", (long long)step);
  const char *recorded = member_text(json_object_get(run.artifacts, name), "sha256");
  bool ok =
      io_join(path, sizeof path, step_folder, "model.safetensors", e) && sha256_file(hash, path, e);
  if (ok && recorded && strcmp(hash, recorded) != 0)
    ok = error_set(e, EXIT_DATA, "%s is damaged: its SHA-256 is not the recorded one", path);
  record_free(&run);
  free(name);
  return ok;
}

/* The encoder is made of the weights as they were recorded, or not at all. */
static bool make_encoder(const char *folder, const char *step_folder, const Config *config,
                         int64_t step, Error *e) {
  return check_weights(folder, step_folder, step, e) &&
         kept_write_encoder(step_folder, config, step, e);
}

static bool thin_last(const char *folder, int64_t step, const Config *config, Keep keep, bool dry,
                      int64_t *freed, Error *e) {
  char step_folder[CONFIG_PATH_MAX];
  if (!step_folder_path(step_folder, folder, step, e)) return false;
  KeptRecord kept = {.step = step};
  int64_t goes = 0;
  snprintf(kept.keep, sizeof kept.keep, "%s", kept_name(keep));
  snprintf(kept.file, sizeof kept.file, "%s", choose_file(step_folder, keep));
  for (int f = 0; f < FILES; f++)
    if (strcmp(checkpoint_files[f], kept.file) != 0)
      goes += bytes_of(step_folder, checkpoint_files[f]);
  if (goes == 0) return true;
  bool makes = !strcmp(kept.file, KEPT_ENCODER) && !has(step_folder, KEPT_ENCODER);
  if (makes && dry) {
    KeptSizes sizes;
    if (!kept_sizes(&sizes, config, e)) return false;
    goes -= (int64_t)sizes.encoder;
  } else if (makes) {
    if (!make_encoder(folder, step_folder, config, step, e)) return false;
    goes -= bytes_of(step_folder, KEPT_ENCODER);
  }
  *freed += goes;
  if (dry) return true;
  return record(folder, step_folder, &kept, goes, e) && remove_files(step_folder, kept.file, e) &&
         (*kept.file || step_folder_remove(folder, step, e));
}

bool retain_finished(const char *trial_folder, const Config *config, bool dry, int64_t *freed,
                     Error *e) {
  KeptSizes sizes;
  int64_t *steps;
  int count;
  if (!kept_sizes(&sizes, config, e) || !step_folders_list(trial_folder, &steps, &count, e))
    return false;
  Keep keep = kept_choice(config, &sizes);
  bool whole = kept_state(keep);
  int most = whole ? config->run.keep_checkpoints : 1;
  bool ok = remove_older(trial_folder, steps, count, most, dry, freed, e);
  if (ok && !whole && count) ok = thin_last(trial_folder, steps[0], config, keep, dry, freed, e);
  free(steps);
  return ok;
}

bool retain_unfinished(const char *trial_folder, bool dry, int64_t *freed, Error *e) {
  int64_t *steps;
  int count;
  if (!step_folders_list(trial_folder, &steps, &count, e)) return false;
  bool ok = remove_older(trial_folder, steps, count, 1, dry, freed, e);
  free(steps);
  return ok;
}
