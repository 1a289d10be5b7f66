/* tensorboard.c - trials as runs of TensorBoard. */
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness/base/output.h"
#include "harness/export/export.h"
#include "harness/export/tfevents.h"
#include "harness/store/artifact.h"
#include "mae/base/io.h"

typedef struct Run {
  const Export *export;
  FILE *out;
  const char *const *bindings; /* "@trial" */
  const char *name;            /* "mask_ratio-cpu: trial 3" */
  double started, ended;
} Run;

/* A run's name is a folder's: letters, digits, . = _ - and no dot first. */
static char *folder_name(const char *text) {
  char *name = string_copy(text);
  for (char *c = name; *c; c++)
    if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.=-", *c) ||
        (c == name && *c == '.'))
      *c = '_';
  if (strlen(name) > 150) name[150] = 0;
  return name;
}

/* Numbers --------------------------------------------------------------------------------------*/

/* The database has no time of a step, but when its attempt began and what each step took. */
static const char numbers_sql[] =
    "WITH clock AS (SELECT step.step, attempt.started + sum(coalesce(step.seconds, 0)) OVER "
    "(PARTITION BY step.attempt ORDER BY step.step) AS time, loss, loss_kind, lr, grad_norm, "
    "grad_norm_kind, step.images_per_second AS speed FROM step JOIN attempt USING (trial, attempt) "
    "WHERE step.trial = CAST(@trial AS INTEGER)), "
    "mine AS (SELECT * FROM metric WHERE trial = CAST(@trial AS INTEGER)), "
    "scored AS (SELECT step, coalesce((SELECT max(time) FROM clock WHERE clock.step <= "
    "places.step), "
    "(SELECT min(started) FROM attempt WHERE trial = CAST(@trial AS INTEGER))) AS time "
    "FROM (SELECT DISTINCT step FROM mine) AS places) "
    "SELECT 'train/loss', time, step, loss, loss_kind FROM clock "
    "UNION ALL SELECT 'train/grad_norm', time, step, grad_norm, grad_norm_kind FROM clock "
    "UNION ALL SELECT 'train/lr', time, step, lr, iif(lr IS NULL, 'absent', 'finite') FROM clock "
    "UNION ALL SELECT 'train/images_per_second', time, step, speed, iif(speed IS NULL, 'absent', "
    "'finite') FROM clock "
    "UNION ALL SELECT iif(scorer = 'model', 'eval', scorer) || '/' || name, time, step, value, "
    "kind "
    "FROM mine JOIN scored USING (step) ORDER BY 1, 3";

static double finite_or(const char *kind, double value) {
  if (!strcmp(kind, "inf")) return INFINITY;
  if (!strcmp(kind, "-inf")) return -INFINITY;
  return strcmp(kind, "finite") ? NAN : value;
}

static bool write_numbers(const Run *run, Error *e) {
  Rows *rows = rows_open(run->export->store, numbers_sql, run->bindings);
  while (rows_next(rows)) {
    const char *kind = rows_text(rows, 4);
    if (strcmp(kind, "absent") != 0)
      tfevents_scalar(run->out, rows_real(rows, 1), rows_int(rows, 2), rows_text(rows, 0),
                      finite_or(kind, rows_real(rows, 3)));
  }
  return rows_close(rows, e);
}

/* Pictures and settings ------------------------------------------------------------------------*/

static bool write_sheets(const Run *run, Error *e) {
  static const char sql[] = "SELECT folder, path, sha256, (SELECT max(step) FROM step WHERE "
                            "step.trial = artifacts.trial) FROM artifacts WHERE trial = "
                            "CAST(@trial AS INTEGER) AND kind = 'sheet' ORDER BY path";
  Rows *rows = rows_open(run->export->store, sql, run->bindings);
  while (rows_next(rows)) {
    unsigned char *bytes = NULL;
    size_t size = 0;
    int width = 0, height = 0;
    Error why = {0};
    if (!artifact_read(&bytes, &size, run->export->store, rows_text(rows, 0), rows_text(rows, 1),
                       rows_text(rows, 2), &why)) {
      fprintf(stderr, "note: %s: without its picture %s/%s, because %s\n", run->name,
              rows_text(rows, 0), rows_text(rows, 1), why.message);
      continue;
    }
    if (png_sides(bytes, size, &width, &height))
      tfevents_image(run->out, run->ended, rows_int(rows, 3), "sheet", width, height, bytes, size);
    free(bytes);
  }
  return rows_close(rows, e);
}

/* hparams/plugin_data.proto and google.protobuf.Value. */
enum { PLUGIN_START = 3, PLUGIN_END = 4, START_HPARAMS = 1, START_GROUP = 4, START_TIME = 5 };
enum {
  VALUE_NUMBER = 2,
  VALUE_STRING = 3,
  STATUS_UNKNOWN = 0,
  STATUS_SUCCESS = 1,
  STATUS_FAILURE = 2,
  STATUS_RUNNING = 3
};

static void add_hparam(Text *start, const char *name, const char *text) {
  Text entry = {0}, value = {0};
  char *end;
  double number = strtod(text, &end);
  if (end > text && !*end)
    proto_double(&value, VALUE_NUMBER, number);
  else
    proto_string(&value, VALUE_STRING, text);
  proto_string(&entry, 1, name);
  proto_message(&entry, 2, &value);
  proto_message(start, START_HPARAMS, &entry);
}

static void write_session(const Run *run, int field, Text *session, const char *tag) {
  Text data = {0};
  proto_message(&data, field, session);
  tfevents_plugin(run->out, run->started, tag, "hparams", &data);
}

static bool write_hparams(const Run *run, const char *point, const char *status, Error *e) {
  static const char sql[] = "SELECT key, value FROM settings WHERE trial = CAST(@trial AS INTEGER) "
                            "AND swept = 1 ORDER BY key";
  Text start = {0}, end = {0};
  Rows *rows = rows_open(run->export->store, sql, run->bindings);
  while (rows_next(rows)) add_hparam(&start, rows_text(rows, 0), rows_text(rows, 1));
  proto_string(&start, START_GROUP, point); /* seeds of one setting are one group */
  proto_double(&start, START_TIME, run->started);
  write_session(run, PLUGIN_START, &start, "_hparams_/session_start_info");
  proto_int(&end, 1,
            !strcmp(status, "done")      ? STATUS_SUCCESS
            : !strcmp(status, "running") ? STATUS_RUNNING
            : !strcmp(status, "pruned")  ? STATUS_UNKNOWN
                                         : STATUS_FAILURE);
  proto_double(&end, 2, run->ended);
  write_session(run, PLUGIN_END, &end, "_hparams_/session_end_info");
  return rows_close(rows, e);
}

/* Runs -----------------------------------------------------------------------------------------*/

static char *file_of(const char *folder, const char *experiment, const char *trial,
                     const char *swept, double started, Error *e) {
  char *named = string_format("%s-%s", trial, swept);
  char *sweep = folder_name(experiment), *name = folder_name(named);
  char *below = string_format("%s/%s/%s", folder, sweep, name);
  char *path = string_format("%s/events.out.tfevents.%010.0f.maebench", below, started);
  bool ok = io_make_folders(below, e);
  free(named);
  free(sweep);
  free(name);
  free(below);
  if (ok) return path;
  free(path);
  return NULL;
}

static bool write_run(const Export *export, const char *folder, const Rows *trial, Error *e) {
  const char *number = rows_text(trial, 0), *experiment = rows_text(trial, 1);
  Run run = {.export = export,
             .bindings = (const char *const[]){"@trial", number, NULL},
             .started = rows_real(trial, 5),
             .ended = rows_real(trial, 6)};
  Output output = {0};
  char *path = file_of(folder, experiment, number, rows_text(trial, 2), run.started, e);
  if (!path) return false;
  bool ok = output_begin(&output, path, e);
  if (ok) {
    char *name = string_format("%s: trial %s", experiment, number);
    run.name = name;
    run.out = output.file;
    tfevents_version(run.out, run.started);
    ok = write_hparams(&run, rows_text(trial, 3), rows_text(trial, 4), e) &&
         write_numbers(&run, e) && write_sheets(&run, e);
    free(name);
  }
  ok = output_end(&output, ok, e);
  free(path);
  return ok;
}

bool export_tensorboard(const char *folder, const Export *export, int *files, Error *e) {
  static const char sql[] =
      "SELECT trial, experiment, swept, point, status, (SELECT min(started) FROM attempt WHERE "
      "attempt.trial = trials.trial) AS started, (SELECT max(last_event) FROM attempt WHERE "
      "attempt.trial = trials.trial) FROM trials WHERE experiment = @experiment AND started IS NOT "
      "NULL ORDER BY trial";
  bool ok = true;
  *files = 0;
  for (int i = 0; ok && i < export->experiments->count; i++) {
    Rows *rows =
        rows_open(export->store, sql,
                  (const char *const[]){"@experiment", export->experiments->items[i], NULL});
    for (; ok && rows_next(rows); ++*files) ok = write_run(export, folder, rows, e);
    ok = rows_close(rows, ok ? e : NULL) && ok;
  }
  return ok;
}
