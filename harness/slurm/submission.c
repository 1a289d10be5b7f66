/* submission.c - writes a submission's folder and hands it to Slurm. */
#include "harness/slurm/submission.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "harness/slurm/slurm.h"
#include "harness/trial/folder.h"
#include "mae/base/clock.h"
#include "mae/base/io.h"

bool submission_folder(char path[CONFIG_PATH_MAX], const char *out, bool make, Error *e) {
  char above[CONFIG_PATH_MAX], name[32];
  char *real = realpath(out, NULL), *here = getcwd(NULL, 0);
  char *whole = real            ? string_copy(real)
                : out[0] == '/' ? string_copy(out)
                                : string_format("%s/%s", here ? here : ".", out);
  free(real);
  free(here);
  bool ok = io_join(above, sizeof above, whole, "slurm", e) && (!make || io_make_folders(above, e));
  free(whole);
  for (int n = 1; ok; n++) {
    struct stat info;
    snprintf(name, sizeof name, "%d", n);
    ok = io_join(path, CONFIG_PATH_MAX, above, name, e);
    if (!ok) break;
    if (!make && stat(path, &info) != 0) break;
    if (make && mkdir(path, 0777) == 0) break; /* of two at once each gets its own */
    if (make && errno != EEXIST)
      ok = error_set(e, EXIT_DATA, "%s: cannot be made: %s", path, strerror(errno));
  }
  return ok;
}

char *submission_copy_name(const char *folder, const char *file, bool scale) {
  const char *slash = strrchr(file, '/');
  return string_format("%s/%s%s", folder, scale ? "scales/" : "", slash ? slash + 1 : file);
}

char *submission_array(const bool *busy, int parts, int at_once) {
  char *text = NULL;
  size_t size;
  FILE *out = need(open_memstream(&text, &size));
  const char *comma = "";
  for (int k = 0; k < parts; k++) {
    int first = k;
    if (!busy[k]) continue;
    while (k + 1 < parts && busy[k + 1]) k++;
    fprintf(out, k > first ? "%s%d-%d" : "%s%d", comma, first + 1, k + 1);
    comma = ",";
  }
  if (at_once) fprintf(out, "%%%d", at_once);
  fclose(out);
  return need(text);
}

static bool write_text(const char *folder, const char *name, const char *text, Error *e) {
  char path[CONFIG_PATH_MAX];
  if (!io_join(path, sizeof path, folder, name, e)) return false;
  int fd = io_create(path, e);
  if (fd < 0) return false;
  bool ok = io_write(fd, path, text, strlen(text), e);
  return io_finish(fd, path, ok ? e : NULL) && ok;
}

static bool copy_file(const char *from, const char *to, Error *e) {
  size_t size;
  int in = io_open(from, &size, e);
  if (in < 0) return false;
  char *bytes = io_buffer(size + 1, "a copy of an experiment", e);
  bool ok = bytes != NULL;
  if (ok && read(in, bytes, size) != (ssize_t)size)
    ok = error_set(e, EXIT_DATA, "%s: cannot be read: %s", from, strerror(errno));
  close(in);
  int fd = ok ? io_create(to, e) : -1;
  if (fd >= 0) {
    ok = io_write(fd, to, bytes, size, e);
    ok = io_finish(fd, to, ok ? e : NULL) && ok;
  }
  free(bytes);
  return ok && fd >= 0;
}

static bool copy_files(const Submission *submission, const char *folder, Error *e) {
  bool ok = true;
  for (int i = 0; ok && i < submission->files.count; i++) {
    char *to = submission_copy_name(folder, submission->files.items[i], false);
    ok = access(to, F_OK) != 0 || error_set(e, EXIT_CONFIG,
                                            "--slurm: two of the FILEs are called %s; submit one "
                                            "after the other",
                                            strrchr(to, '/') + 1);
    ok = ok && copy_file(submission->files.items[i], to, e);
    free(to);
  }
  if (!ok || !submission->scale) return ok;
  char *to = submission_copy_name(folder, submission->scale, true);
  *strrchr(to, '/') = 0;
  ok = io_make_folders(to, e);
  free(to);
  to = submission_copy_name(folder, submission->scale, true);
  ok = ok && copy_file(submission->scale, to, e);
  free(to);
  return ok;
}

static json_t *number_of(const char *id) {
  return *id ? json_string(id) : json_null();
}

static bool write_record(const Submission *submission, const SlurmScript *script, const char *array,
                         const char *import, Error *e) {
  json_t *experiments = json_array(), *tasks = json_array();
  for (int i = 0; i < submission->experiments.count; i++)
    json_array_append_new(experiments, json_string(submission->experiments.items[i]));
  for (int k = 0; k < script->parts; k++)
    if (submission->busy[k]) json_array_append_new(tasks, json_integer(k + 1));
  return folder_write_json(script->folder, "submission.json",
                           json_pack("{s:f, s:o, s:i, s:o, s:o, s:o}", "created", clock_now(),
                                     "experiments", experiments, "parts", script->parts, "tasks",
                                     tasks, "array", number_of(array), "import", number_of(import)),
                           e);
}

static bool write_scripts(const SlurmScript *script, const SlurmOptions *options, Error *e) {
  char *job = slurm_script_text(script, options), *import = slurm_import_text(script, options);
  bool ok = write_text(script->folder, "job.sh", job, e) &&
            write_text(script->folder, "import.sh", import, e);
  free(job);
  free(import);
  return ok;
}

static bool submit(char id[SLURM_ID_MAX], const SlurmScript *script, StringList *options,
                   const char *name, Error *e) {
  char path[CONFIG_PATH_MAX];
  bool ok =
      io_join(path, sizeof path, script->folder, name, e) && slurm_submit(id, options, path, e);
  strings_free(options);
  return ok;
}

bool submission_submit(const Submission *submission, const SlurmScript *script,
                       const SlurmOptions *options, Error *e) {
  char array[SLURM_ID_MAX] = "", import[SLURM_ID_MAX] = "";
  StringList words = {0};
  slurm_script_options(&words, script, options);
  bool ok = copy_files(submission, script->folder, e) && write_scripts(script, options, e) &&
            write_record(submission, script, "", "", e) &&
            submit(array, script, &words, "job.sh", e);
  strings_free(&words);
  if (!ok) {
    io_remove(script->folder, NULL);
    return false;
  }
  /* It is needed also of a sweep of which some trials failed. */
  slurm_import_options(&words, script, options);
  strings_add(&words, string_format("--dependency=afterany:%s", array));
  Error refused = {0};
  bool imports = submit(import, script, &words, "import.sh", &refused);
  ok = write_record(submission, script, array, import, e);
  if (ok && !imports)
    ok = error_set(e, EXIT_DATA,
                   "the array is submitted as job %s, but the import after it is not: %s; when the "
                   "array is done: harness import --out %s --db %s",
                   array, refused.message, script->out, script->db);
  if (ok)
    printf(
        "submitted: job %s, tasks %s; then job %s, the import\nscripts and logs: %s\n"
        "`harness status` tells how far it is; `scancel %s` stops it: what was done is imported, "
        "and\nthe same command goes on\n",
        array, script->array, import, script->folder, array);
  return ok;
}
