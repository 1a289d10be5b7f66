/* bin.c - moves the folders of trials and experiments away and back. */
#include "harness/cmd/bin.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "harness/base/strings.h"
#include "harness/trial/folder.h"
#include "mae/base/io.h"

/* Names in a folder that do not begin with a dot; none when there is no folder. */
static void names_in(StringList *names, const char *folder) {
  DIR *dir = opendir(folder);
  for (const struct dirent *entry; dir && (entry = readdir(dir));)
    if (entry->d_name[0] != '.') strings_add(names, string_copy(entry->d_name));
  if (dir) closedir(dir);
}

static bool has_file(const char *folder, const char *name) {
  char *path = string_format("%s/%s", folder, name);
  bool there = access(path, F_OK) == 0;
  free(path);
  return there;
}

/* Locks ----------------------------------------------------------------------------------------*/

typedef struct Locks {
  int *fds;
  int count;
} Locks;

static bool lock_trial(Locks *locks, const char *folder, Error *e) {
  char holder[FOLDER_HOLDER_MAX];
  int fd;
  if (!folder_lock(&fd, folder, holder, e)) return false;
  if (*holder)
    return error_set(e, EXIT_DATA, "%s: %s works on it; stop that first", folder, holder);
  locks->fds = need(realloc(locks->fds, ((size_t)locks->count + 1) * sizeof *locks->fds));
  locks->fds[locks->count++] = fd;
  return true;
}

/* Of the trial, or of every trial of the experiment: nobody trains them while they move. */
static bool lock_target(Locks *locks, const Target *target, Error *e) {
  if (target->trial) return lock_trial(locks, target->folder, e);
  StringList names = {0};
  bool ok = true;
  names_in(&names, target->folder);
  for (int i = 0; ok && i < names.count; i++) {
    char *folder = string_format("%s/%s", target->folder, names.items[i]);
    if (has_file(folder, "trial.json")) ok = lock_trial(locks, folder, e);
    free(folder);
  }
  strings_free(&names);
  return ok;
}

static void unlock(Locks *locks) {
  for (int i = 0; i < locks->count; i++) close(locks->fds[i]);
  free(locks->fds);
}

/* Moving ---------------------------------------------------------------------------------------*/

static int next_number(const char *bin) {
  StringList names = {0};
  int next = 1;
  names_in(&names, bin);
  for (int i = 0; i < names.count; i++)
    if (atoi(names.items[i]) >= next) next = atoi(names.items[i]) + 1;
  strings_free(&names);
  return next;
}

/* Below the same folder, so that it is one rename on one disk. */
static bool move_to_bin(const Target *target, Error *e) {
  char *out = string_copy(target->folder), *rest = NULL, *slash;
  for (int up = target->trial ? 2 : 1; up > 0 && (slash = strrchr(out, '/')); up--) *slash = 0;
  rest = string_copy(target->folder + strlen(out) + 1); /* EXPERIMENT or EXPERIMENT/TRIAL */
  char *bin = string_format("%s/" BIN_FOLDER, out);
  char *to = string_format("%s/%d/%s", bin, next_number(bin), rest);
  char *parent = string_copy(to);
  *strrchr(parent, '/') = 0;
  bool ok = io_make_folders(parent, e) && io_rename(target->folder, to, e);
  free(out);
  free(rest);
  free(bin);
  free(to);
  free(parent);
  return ok;
}

bool bin_put(const Target *target, Error *e) {
  Locks locks = {0};
  if (access(target->folder, F_OK) && errno == ENOENT) return true;
  /* What the database says of a folder may come from elsewhere: only what is one is moved. */
  bool ok = has_file(target->folder, target->trial ? "trial.json" : "sweep.json") ||
            error_set(e, EXIT_DATA, "%s: not the folder of %s", target->folder,
                      target->trial ? "a trial" : "an experiment");
  ok = ok && lock_target(&locks, target, e) && move_to_bin(target, e);
  unlock(&locks);
  return ok;
}

static void add_entry(Bin *bin, BinEntry entry) {
  bin->entries = need(realloc(bin->entries, ((size_t)bin->count + 1) * sizeof *bin->entries));
  bin->entries[bin->count++] = entry;
}

static void list_experiment(Bin *bin, const char *folder, const char *experiment, int number) {
  if (has_file(folder, "sweep.json")) {
    add_entry(bin, (BinEntry){.folder = string_copy(folder),
                              .experiment = string_copy(experiment),
                              .number = number});
    return;
  }
  StringList names = {0};
  names_in(&names, folder);
  for (int i = 0; i < names.count; i++) {
    char *trial = string_format("%s/%s", folder, names.items[i]);
    add_entry(bin, (BinEntry){.folder = trial,
                              .experiment = string_copy(experiment),
                              .trial = string_copy(names.items[i]),
                              .id = folder_trial_id(trial),
                              .number = number});
  }
  strings_free(&names);
}

static int compare_entries(const void *a, const void *b) {
  const BinEntry *x = a, *y = b;
  return x->number != y->number ? y->number - x->number : strcmp(x->folder, y->folder);
}

bool bin_list(Bin *bin, const char *out, Error *e) {
  StringList numbers = {0};
  char root[CONFIG_PATH_MAX];
  *bin = (Bin){0};
  if (!io_join(root, sizeof root, out, BIN_FOLDER, e)) return false;
  names_in(&numbers, root);
  for (int i = 0; i < numbers.count; i++) {
    StringList names = {0};
    char *folder = string_format("%s/%s", root, numbers.items[i]);
    names_in(&names, folder);
    for (int n = 0; n < names.count; n++) {
      char *experiment = string_format("%s/%s", folder, names.items[n]);
      list_experiment(bin, experiment, names.items[n], atoi(numbers.items[i]));
      free(experiment);
    }
    strings_free(&names);
    free(folder);
  }
  strings_free(&numbers);
  if (bin->count) qsort(bin->entries, (size_t)bin->count, sizeof *bin->entries, compare_entries);
  return true;
}

void bin_free(Bin *bin) {
  for (int i = 0; i < bin->count; i++) {
    free(bin->entries[i].folder);
    free(bin->entries[i].experiment);
    free(bin->entries[i].trial);
  }
  free(bin->entries);
  *bin = (Bin){0};
}

bool bin_restore(const BinEntry *entry, const char *out, Error *e) {
  char *sweep = string_format("%s/%s", out, entry->experiment);
  char *to =
      string_format("%s%s%s", sweep, entry->trial ? "/" : "", entry->trial ? entry->trial : "");
  bool ok = true;
  if (access(to, F_OK) == 0)
    ok = error_set(e, EXIT_DATA, "%s is there again; delete that first", to);
  else if (entry->trial && !has_file(sweep, "sweep.json"))
    ok = error_set(e, EXIT_DATA, "%s has gone too; restore the experiment first", sweep);
  ok = ok && io_rename(entry->folder, to, e);
  if (ok) { /* the folders around it that are empty now */
    char *parent = string_copy(entry->folder);
    for (int up = entry->trial ? 2 : 1; up > 0; up--) {
      *strrchr(parent, '/') = 0;
      if (rmdir(parent)) break;
    }
    free(parent);
  }
  free(sweep);
  free(to);
  return ok;
}

bool bin_empty(const char *out, Error *e) {
  char root[CONFIG_PATH_MAX];
  return io_join(root, sizeof root, out, BIN_FOLDER, e) && io_remove(root, e);
}
