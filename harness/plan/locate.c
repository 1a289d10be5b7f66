/* locate.c - the places where files are looked for, in order, and the message that names them all.
 */
#include "harness/plan/locate.h"

#include <glob.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "harness/base/strings.h"
#include "harness/plan/gpus.h"
#include "mae/base/suggest.h"

static bool is_file(const char *path) {
  struct stat info;
  return stat(path, &info) == 0 && S_ISREG(info.st_mode);
}

/* The folder of the running program, without a slash at the end. */
static char *program_folder(void) {
  char path[CONFIG_PATH_MAX];
  ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);
  path[length > 0 ? length : 0] = 0;
  char *slash = strrchr(path, '/');
  if (slash) *slash = 0;
  return string_copy(slash ? path : ".");
}

/* Where a folder that comes with the program may lie, nearest first. */
static StringList shipped_folders(const char *name) {
  StringList folders = {0};
  char *program = program_folder();
  strings_add(&folders, string_copy(name));
  strings_add(&folders, string_format("%s/../../%s", program, name));
  strings_add(&folders, string_format("%s/../share/maebench/%s", program, name));
  free(program);
  return folders;
}

static bool try_path(char path[CONFIG_PATH_MAX], char *candidate, StringList *tried) {
  bool found = is_file(candidate) && strlen(candidate) < CONFIG_PATH_MAX;
  if (found) strcpy(path, candidate);
  strings_add(tried, candidate);
  return found;
}

static bool ends_with_ini(const char *name) {
  size_t length = strlen(name);
  return length > 4 && !strcmp(name + length - 4, ".ini");
}

/* A name without its folders and without ".ini". */
static char *bare_name(const char *path) {
  const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
  return need(strndup(name, strlen(name) - (ends_with_ini(name) ? 4 : 0)));
}

/* The experiments, or the scales, that come with the program: their files, seen from their folder,
 * and their bare names. */
static void list_shipped(const StringList *folders, bool scales, StringList *files,
                         StringList *names) {
  for (int i = 0; i < folders->count; i++) {
    glob_t found;
    char *here = string_format("%s/*.ini", folders->items[i]);
    char *below = string_format("%s/*/*.ini", folders->items[i]);
    glob(here, 0, NULL, &found);
    glob(below, GLOB_APPEND, NULL, &found);
    for (size_t j = 0; j < found.gl_pathc; j++) {
      const char *file = found.gl_pathv[j] + strlen(folders->items[i]) + 1;
      if (scales != !strncmp(file, "scales/", 7)) continue;
      strings_add(files, string_copy(file));
      strings_add(names, bare_name(file));
    }
    globfree(&found);
    free(here);
    free(below);
  }
}

/* Of experiments "mask_ratio" or "mask_ration" -> "ablations/mask_ratio.ini", as `harness run`
 * takes it; of scales "cpux" -> "cpu". */
static void suggest_shipped(const char *name, bool scales, const StringList *folders, Error *e) {
  StringList files = {0}, names = {0};
  list_shipped(folders, scales, &files, &names);
  char *bare = bare_name(name);
  int near = suggest_index(bare, (const char *const *)names.items, names.count);
  if (near >= 0)
    error_suffix(e, "did you mean %s?", scales ? names.items[near] : files.items[near]);
  free(bare);
  strings_free(&files);
  strings_free(&names);
}

/* Looks for name and name.ini in every folder; a NULL folder stands for the name as given. */
static bool search(char path[CONFIG_PATH_MAX], const char *what, const char *name, bool as_given,
                   const char *below, Error *e) {
  StringList tried = {0}, folders = shipped_folders("experiments");
  bool found = false;
  for (int i = as_given ? -1 : 0; !found && i < folders.count && (i < 0 || *name != '/'); i++) {
    char *base =
        i < 0 ? string_copy(name) : string_format("%s/%s%s", folders.items[i], below, name);
    if (!ends_with_ini(name)) {
      found = try_path(path, string_format("%s.ini", base), &tried);
    } else {
      found = try_path(path, string_copy(base), &tried);
    }
    free(base);
  }
  if (!found) {
    error_set(e, EXIT_CONFIG, "there is no %s %s; looked for", what, name);
    for (int i = 0; i < tried.count; i++) {
      size_t used = strlen(e->message);
      snprintf(e->message + used, sizeof e->message - used, "%s %s", i ? "," : "", tried.items[i]);
    }
    suggest_shipped(name, !strcmp(what, "scale"), &folders, e);
  }
  strings_free(&tried);
  strings_free(&folders);
  return found;
}

bool locate_experiment(char path[CONFIG_PATH_MAX], const char *file, Error *e) {
  if (is_file(file) && strlen(file) < CONFIG_PATH_MAX) {
    strcpy(path, file);
    return true;
  }
  return search(path, "experiment", file, true, "", e);
}

bool locate_scale(char path[CONFIG_PATH_MAX], const char *name, Error *e) {
  if (strchr(name, '/') || ends_with_ini(name)) return search(path, "scale", name, true, "", e);
  return search(path, "scale", name, false, "scales/", e);
}

char *locate_near_scale(const char *name) {
  StringList files = {0}, names = {0}, folders = shipped_folders("experiments");
  list_shipped(&folders, true, &files, &names);
  int near = -1;
  if (strings_find(&names, name) < 0)
    near = suggest_index(name, (const char *const *)names.items, names.count);
  char *meant = near < 0 ? NULL : string_copy(names.items[near]);
  strings_free(&files);
  strings_free(&names);
  strings_free(&folders);
  return meant;
}

void locate_plots(char path[CONFIG_PATH_MAX]) {
  StringList tried = {0}, folders = shipped_folders("plots");
  bool found = false;
  for (int i = 0; !found && i < folders.count; i++)
    found = try_path(path, string_format("%s/draw.sh", folders.items[i]), &tried);
  if (!found) *path = 0;
  strings_free(&tried);
  strings_free(&folders);
}

bool locate_trainer(char path[CONFIG_PATH_MAX], const char *given, Error *e) {
  const char *environment = getenv("MAE");
  char *program = program_folder();
  char *wanted = given                         ? string_copy(given)
                 : environment && *environment ? string_copy(environment)
                                               : string_format("%s/mae", program);
  free(program);
  char real[PATH_MAX];
  bool ok = realpath(wanted, real) && access(real, X_OK) == 0 && is_file(real);
  if (!ok) {
    error_set(e, EXIT_DATA, "there is no trainer program %s%s", wanted,
              given         ? " (--mae)"
              : environment ? " (from $MAE)"
                            : "; name it with --mae PATH or the environment variable MAE");
  } else if (strlen(real) >= CONFIG_PATH_MAX) {
    ok = error_set(e, EXIT_DATA, "the path of the trainer %s is too long", wanted);
  } else {
    strcpy(path, real);
  }
  free(wanted);
  return ok;
}

const char *locate_default_scale(char *reason, size_t size) {
  const Gpus *gpus = gpus_find();
  if (gpus->count == 0 || *gpus->problem) {
    snprintf(reason, size, "%s", *gpus->problem ? gpus->problem : "no usable CUDA device here");
    return "cpu";
  }
  snprintf(reason, size, "%d x %s", gpus->count, gpus->name);
  return gpus->memory_total >= (size_t)40 << 30 ? "h200" : "t4x2";
}
