/* locate.c - the places where files are looked for, in order, and the message that names them all.
 */
#include "harness/locate.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "harness/gpus.h"
#include "harness/strings.h"

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

/* Folders that hold experiments, nearest first. */
static StringList experiment_folders(void) {
  StringList folders = {0};
  char *program = program_folder();
  strings_add(&folders, string_copy("experiments"));
  strings_add(&folders, string_format("%s/../../experiments", program));
  strings_add(&folders, string_format("%s/../share/maebench/experiments", program));
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

/* Looks for name and name.ini in every folder; a NULL folder stands for the name as given. */
static bool search(char path[CONFIG_PATH_MAX], const char *what, const char *name, bool as_given,
                   const char *below, Error *e) {
  StringList tried = {0}, folders = experiment_folders();
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
