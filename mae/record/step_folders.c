/* step_folders.c - finds, names and removes the checkpoint folders of a run. */
#include "mae/record/step_folders.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "mae/base/io.h"

static bool checkpoints_path(char out[CONFIG_PATH_MAX], const char *run_folder, Error *e) {
  return io_join(out, CONFIG_PATH_MAX, run_folder, "checkpoints", e);
}

static bool step_path(char out[CONFIG_PATH_MAX], const char *run_folder, int64_t step,
                      const char *tail, Error *e) {
  char name[64];
  snprintf(name, sizeof name, "checkpoints/step-%lld%s", (long long)step, tail);
  return io_join(out, CONFIG_PATH_MAX, run_folder, name, e);
}

bool step_folder_path(char out[CONFIG_PATH_MAX], const char *run_folder, int64_t step, Error *e) {
  return step_path(out, run_folder, step, "", e);
}

bool step_folder_temporary(char out[CONFIG_PATH_MAX], const char *run_folder, int64_t step,
                           Error *e) {
  return step_path(out, run_folder, step, ".tmp", e);
}

static bool step_of(const char *name, int64_t *step) {
  if (strncmp(name, "step-", 5) || !name[5] || strlen(name) > 5 + 18) return false;
  if (strspn(name + 5, "0123456789") != strlen(name + 5)) return false;
  *step = strtoll(name + 5, NULL, 10);
  return true;
}

static int newest_first(const void *a, const void *b) {
  int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
  return (x < y) - (x > y);
}

bool step_folders_list(const char *run_folder, int64_t **steps, int *count, Error *e) {
  char folder[CONFIG_PATH_MAX];
  *steps = NULL;
  *count = 0;
  if (!checkpoints_path(folder, run_folder, e)) return false;
  DIR *dir = opendir(folder);
  if (!dir)
    return errno == ENOENT ||
           error_set(e, EXIT_DATA, "%s: cannot read: %s", folder, strerror(errno));
  int capacity = 0;
  bool ok = true;
  for (struct dirent *entry; ok && (entry = readdir(dir));) {
    int64_t step;
    if (!step_of(entry->d_name, &step)) continue;
    if (*count == capacity) {
      capacity = capacity ? 2 * capacity : 16;
      int64_t *more = realloc(*steps, (size_t)capacity * sizeof *more);
      if (!more) {
        ok = error_set(e, EXIT_DEVICE, "out of memory");
        break;
      }
      *steps = more;
    }
    (*steps)[(*count)++] = step;
  }
  closedir(dir);
  if (*count) qsort(*steps, (size_t)*count, sizeof **steps, newest_first);
  if (!ok) free(*steps);
  return ok;
}

bool step_folders_newest(const char *run_folder, int64_t *step, Error *e) {
  int64_t *steps;
  int count;
  *step = -1;
  if (!step_folders_list(run_folder, &steps, &count, e)) return false;
  if (count) *step = steps[0];
  free(steps);
  return true;
}

/* Removes a checkpoint under another name first: one that is only half removed must never look
 * like a damaged one. */
bool step_folder_remove(const char *run_folder, int64_t step, Error *e) {
  char path[CONFIG_PATH_MAX], gone[CONFIG_PATH_MAX];
  return step_folder_path(path, run_folder, step, e) &&
         step_folder_temporary(gone, run_folder, step, e) && io_remove(gone, e) &&
         io_rename(path, gone, e) && io_remove(gone, e);
}

bool step_folders_rotate(const char *run_folder, int64_t newest, int keep, Error *e) {
  int64_t *steps;
  int count, kept = 0;
  if (!step_folders_list(run_folder, &steps, &count, e)) return false;
  bool ok = true;
  for (int i = 0; ok && i < count; i++)
    if (steps[i] <= newest && ++kept > keep) ok = step_folder_remove(run_folder, steps[i], e);
  free(steps);
  return ok;
}

bool step_folders_clean(const char *run_folder, Error *e) {
  char folder[CONFIG_PATH_MAX];
  if (!checkpoints_path(folder, run_folder, e)) return false;
  DIR *dir = opendir(folder);
  bool ok = true;
  for (struct dirent *entry; ok && dir && (entry = readdir(dir));) {
    size_t length = strlen(entry->d_name);
    char path[CONFIG_PATH_MAX];
    if (!strncmp(entry->d_name, "step-", 5) && length > 4 &&
        !strcmp(entry->d_name + length - 4, ".tmp"))
      ok = io_join(path, sizeof path, folder, entry->d_name, e) && io_remove(path, e);
  }
  if (dir) closedir(dir);
  return ok;
}
