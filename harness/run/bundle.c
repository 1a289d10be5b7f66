/* bundle.c - runs tar. */
#include "harness/run/bundle.h"

#include <errno.h>
#include <ftw.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness/run/carried.h"
#include "harness/run/disk.h"
#include "harness/trial/folder.h"
#include "harness/trial/found.h"
#include "mae/base/io.h"

extern char **environ;

/* The first line of what tar said. */
static void read_complaint(FILE *said, char *out, size_t size) {
  rewind(said);
  if (!fgets(out, (int)size, said)) snprintf(out, size, "tar failed without a word");
  out[strcspn(out, "\n")] = 0;
}

/* input and output: files, -1: none. */
static bool run_tar(const char *const *argv, int input, int output, const char *file, Error *e) {
  FILE *said = tmpfile();
  posix_spawn_file_actions_t actions;
  pid_t child;
  int status = 0;
  if (!said) return error_set(e, EXIT_DATA, "no temporary file for tar: %s", strerror(errno));
  posix_spawn_file_actions_init(&actions);
  if (input >= 0) posix_spawn_file_actions_adddup2(&actions, input, 0);
  if (output >= 0) posix_spawn_file_actions_adddup2(&actions, output, 1);
  posix_spawn_file_actions_adddup2(&actions, fileno(said), 2);
  int failed = posix_spawnp(&child, "tar", &actions, NULL, (char *const *)argv, environ);
  posix_spawn_file_actions_destroy(&actions);
  while (!failed && waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  bool ok = !failed && WIFEXITED(status) && WEXITSTATUS(status) == 0;
  if (failed)
    error_set(e, EXIT_DATA, "the program tar cannot be started: %s", strerror(failed));
  else if (!ok) {
    char complaint[512];
    read_complaint(said, complaint, sizeof complaint);
    error_set(e, EXIT_DATA, "%s: %s", file, complaint);
  }
  fclose(said);
  return ok;
}

/* Writing ---------------------------------------------------------------------------------------*/

typedef struct Packing {
  const char *out;
  FILE *list; /* names relative to out, each with its NUL */
  int *locks, lock_count;
} Packing;

static void add_name(Packing *packing, const char *path) {
  fwrite(path, 1, strlen(path) + 1, packing->list);
}

static bool add_trial(Packing *packing, const char *experiment, const char *folder, Error *e) {
  char holder[FOLDER_HOLDER_MAX];
  StringList files = {0};
  int lock;
  if (!folder_lock_shared(&lock, folder, holder, e)) return false;
  if (*holder)
    return error_set(e, EXIT_DATA, "%s is being written: %s works on it; stop that first", folder,
                     holder);
  packing->locks =
      need(realloc(packing->locks, ((size_t)packing->lock_count + 1) * sizeof *packing->locks));
  packing->locks[packing->lock_count++] = lock;
  bool ok = carried_files(&files, folder, NULL, e);
  for (int i = 0; ok && i < files.count; i++) {
    char *name = string_format("%s/%s/%s", experiment, folder_experiment(folder), files.items[i]);
    add_name(packing, name);
    free(name);
  }
  strings_free(&files);
  return ok;
}

static bool add_experiment(Packing *packing, const char *sweep_folder, Error *e) {
  StringList trials = {0};
  const char *experiment = folder_experiment(sweep_folder);
  char *sweep = string_format("%s/sweep.json", experiment);
  found_trials(&trials, sweep_folder);
  add_name(packing, sweep);
  bool ok = true;
  for (int i = 0; ok && i < trials.count; i++)
    ok = add_trial(packing, experiment, trials.items[i], e);
  strings_free(&trials);
  free(sweep);
  return ok;
}

static bool pack(const Packing *packing, const char *file, Error *e) {
  char *temporary = string_format("%s.tmp", file);
  const char *const argv[] = {"tar",
                              "--create",
                              "--format=pax",
                              "--owner=0",
                              "--group=0",
                              "--numeric-owner",
                              "--directory",
                              packing->out,
                              "--no-recursion",
                              "--null",
                              "--verbatim-files-from",
                              "--files-from=-",
                              "--file=-",
                              NULL};
  int output = io_create(temporary, e);
  rewind(packing->list);
  bool ok = output >= 0 && run_tar(argv, fileno(packing->list), output, file, e);
  if (output >= 0 && !io_finish(output, temporary, ok ? e : NULL)) ok = false;
  ok = ok && io_rename(temporary, file, e);
  if (!ok) io_remove(temporary, NULL);
  free(temporary);
  return ok;
}

bool bundle_write(const char *file, const char *out, const StringList *experiments, double *bytes,
                  Error *e) {
  Packing packing = {.out = out, .list = tmpfile()};
  if (!packing.list) return error_set(e, EXIT_DATA, "no temporary file: %s", strerror(errno));
  bool ok = true;
  for (int i = 0; ok && i < experiments->count; i++)
    ok = add_experiment(&packing, experiments->items[i], e);
  ok = ok && fflush(packing.list) == 0 && pack(&packing, file, e);
  *bytes = disk_used(file);
  for (int i = 0; i < packing.lock_count; i++)
    if (packing.locks[i] >= 0) close(packing.locks[i]);
  free(packing.locks);
  fclose(packing.list);
  return ok;
}

/* Reading ---------------------------------------------------------------------------------------*/

/* "EXPERIMENT/sweep.json". */
static void take_member(StringList *names, char *line) {
  line[strcspn(line, "\n")] = 0;
  char *slash = strchr(line, '/');
  if (!slash || strcmp(slash, "/sweep.json") != 0 || *line == '.') return;
  *slash = 0;
  strings_add(names, string_copy(line));
}

/* An archive ends with 1024 zeros. tar itself takes one for whole that was cut between files. */
static bool is_whole(const char *file, Error *e) {
  enum { END = 1024 };
  char end[END];
  size_t size;
  int fd = io_open(file, &size, e);
  if (fd < 0) return false;
  bool whole = size >= END && pread(fd, end, END, (off_t)size - END) == END;
  for (int i = 0; whole && i < END; i++) whole = !end[i];
  close(fd);
  return whole || error_set(e, EXIT_DATA, "%s: there is no end of an archive in it", file);
}

bool bundle_list(StringList *names, const char *file, Error *e) {
  char *named = string_format("--file=%s", file);
  const char *const argv[] = {"tar", "--list", "--force-local", "--quoting-style=literal",
                              named, NULL};
  FILE *output = tmpfile();
  bool ok = output != NULL;
  if (!ok) error_set(e, EXIT_DATA, "no temporary file: %s", strerror(errno));
  ok = ok && ((is_whole(file, e) && run_tar(argv, -1, fileno(output), file, e)) ||
              error_suffix(e, "it is cut short, or no bundle of `harness export --bundle`"));
  char *line = NULL;
  size_t capacity = 0;
  if (ok) rewind(output);
  while (ok && getline(&line, &capacity, output) > 0) take_member(names, line);
  if (ok && !names->count)
    ok =
        error_set(e, EXIT_DATA,
                  "%s: no bundle of `harness export --bundle`: there is no experiment in it", file);
  free(line);
  free(named);
  if (output) fclose(output);
  return ok;
}

/* A link could lead out of the folder. */
static int refuse_links(const char *path, const struct stat *info, int type, struct FTW *at) {
  (void)path, (void)type, (void)at;
  return !S_ISREG(info->st_mode) && !S_ISDIR(info->st_mode);
}

/* tar leaves out names with ".." and takes the "/" off those that begin with one; only what lies
 * below the experiment's name is asked for. */
bool bundle_unpack(const char *file, const char *experiment, const char *into, bool weights,
                   Error *e) {
  char *named = string_format("--file=%s", file);
  const char *argv[] = {"tar",
                        "--extract",
                        "--force-local",
                        "--no-same-owner",
                        named,
                        "--directory",
                        into,
                        "--no-wildcards",
                        "--",
                        experiment,
                        NULL,
                        NULL};
  if (!weights) {
    argv[8] = "--exclude=*.safetensors";
    argv[9] = "--";
    argv[10] = experiment;
  }
  bool ok = io_make_folders(into, e) && run_tar(argv, -1, -1, file, e);
  free(named);
  if (!ok || nftw(into, refuse_links, 16, FTW_PHYS) == 0) return ok;
  return error_set(e, EXIT_DATA, "%s: there is something in it that is no file and no folder",
                   file);
}
