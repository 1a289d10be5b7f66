/* found.c - looks for experiments and trials. */
#include "harness/trial/found.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness/trial/folder.h"
#include "mae/record/event_line.h"

static int by_name(const void *a, const void *b) {
  return strcmp(*(char *const *)a, *(char *const *)b);
}

void found_entries(StringList *names, const char *folder, const char *start) {
  DIR *dir = opendir(folder);
  for (const struct dirent *entry; dir && (entry = readdir(dir));)
    if (!strncmp(entry->d_name, start, strlen(start)) && strcmp(entry->d_name, ".") != 0 &&
        strcmp(entry->d_name, "..") != 0)
      strings_add(names, string_copy(entry->d_name));
  if (dir) closedir(dir);
  if (names->count) qsort(names->items, (size_t)names->count, sizeof *names->items, by_name);
}

/* Folders in `folder` that hold a file of this name. */
static void found_with(StringList *folders, const char *folder, const char *file) {
  StringList names = {0};
  found_entries(&names, folder, "");
  for (int i = 0; i < names.count; i++) {
    char *path = string_format("%s/%s/%s", folder, names.items[i], file);
    if (*names.items[i] != '.' && access(path, R_OK) == 0)
      strings_add(folders, string_format("%s/%s", folder, names.items[i]));
    free(path);
  }
  strings_free(&names);
}

void found_experiments(StringList *folders, const char *out) {
  found_with(folders, out, "sweep.json");
}

void found_trials(StringList *folders, const char *sweep_folder) {
  found_with(folders, sweep_folder, "trial.json");
}

/* The folder's name, or the one that the INI file gave. */
static bool is_named(const char *sweep_folder, const char *name) {
  if (!strcmp(folder_experiment(sweep_folder), name)) return true;
  json_error_t problem;
  char *path = string_format("%s/sweep.json", sweep_folder);
  json_t *sweep = json_load_file(path, 0, &problem);
  const char *given = member_text(sweep, "name");
  bool same = given && !strcmp(given, name);
  json_decref(sweep);
  free(path);
  return same;
}

bool found_named(StringList *folders, const char *out, const char *const *names, int count,
                 Error *e) {
  StringList all = {0};
  found_experiments(&all, out);
  bool ok = all.count > 0 || error_set(e, EXIT_DATA, "%s: there is no experiment in it", out);
  for (int n = 0; ok && n < count; n++) {
    bool found = false;
    for (int i = 0; i < all.count; i++) {
      if (!is_named(all.items[i], names[n])) continue;
      found = true;
      if (strings_find(folders, all.items[i]) < 0) strings_add(folders, string_copy(all.items[i]));
    }
    if (!found)
      ok = error_set(e, EXIT_CONFIG, "%s has no experiment %.100s; it has %s%s", out, names[n],
                     folder_experiment(all.items[0]), all.count > 1 ? " and others" : "");
  }
  for (int i = 0; ok && !count && i < all.count; i++)
    strings_add(folders, string_copy(all.items[i]));
  strings_free(&all);
  return ok;
}
