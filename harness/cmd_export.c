/* harness export: results in the forms of other programs. */
#include <stdlib.h>
#include <string.h>

#include "harness/cmd.h"
#include "harness/export.h"
#include "harness/options.h"
#include "harness/output.h"
#include "mae/base/suggest.h"

static const char about[] =
    "Results of each EXPERIMENT (as in `harness status`; all of them when none is given):\n"
    "  csv, jsonl       the view `trials`, a row per trial; --curves and --points: those views.\n"
    "                   Every number reads back as the same double\n"
    "  latex, markdown  a table per experiment, a row per setting: mean and standard deviation\n"
    "                   over seeds, the best mean in bold (latex: with booktabs)\n"
    "  tensorboard      a folder (--out) of event files, a run per trial: curves, sheet.png, "
    "swept\n"
    "                   settings as hparams";

static const struct {
  const char *name;
  bool (*write)(FILE *, const Export *, Error *); /* NULL: a folder */
  bool views;                                     /* takes --curves and --points */
} formats[] = {{"csv", export_csv, true},
               {"jsonl", export_jsonl, true},
               {"latex", export_latex, false},
               {"markdown", export_markdown, false},
               {"tensorboard", NULL, false}};
enum { FORMATS = sizeof formats / sizeof *formats };

static int find_format(const char *name, Error *e) {
  const char *names[FORMATS];
  for (int i = 0; i < FORMATS; i++) {
    names[i] = formats[i].name;
    if (!strcmp(names[i], name)) return i;
  }
  error_set(e, EXIT_CONFIG, "no format \"%.100s\"", name);
  int near = suggest_index(name, names, FORMATS);
  if (near >= 0)
    error_suffix(e, "did you mean %s?", names[near]);
  else
    error_suffix(e, "there are csv, jsonl, latex, markdown, tensorboard");
  return -1;
}

static bool write_folder(const char *path, const Export *export, Error *e) {
  int files = 0;
  if (!path)
    return error_set(e, EXIT_CONFIG, "tensorboard: --out names the folder it is written to");
  if (!export_tensorboard(path, export, &files, e)) return false;
  fprintf(stderr, "%d runs in %s; look at them with: tensorboard --logdir %s\n", files, path, path);
  return true;
}

static bool write_file(const char *path, int format, const Export *export, Error *e) {
  Output output;
  if (!output_begin(&output, path, e)) return false;
  return output_end(&output, formats[format].write(output.file, export, e), e);
}

int cmd_export(int argc, char **argv) {
  const char *db = DEFAULT_DB, *path = NULL;
  bool curves = false, points = false;
  const CmdOption options[] = {
      {"--db", CMD_TEXT, &db, "PATH", "database (" DEFAULT_DB ")"},
      {"--out", CMD_TEXT, &path, "FILE", "file or folder that is written (standard output)"},
      {"--curves", CMD_FLAG, &curves, NULL, "every number with a step"},
      {"--points", CMD_FLAG, &points, NULL, "means and intervals over seeds"},
  };
  CommandLine line = {.name = "harness export",
                      .usage = "FORMAT [EXPERIMENT...]",
                      .about = about,
                      .options = options,
                      .option_count = sizeof options / sizeof *options,
                      .words_min = 1,
                      .words_max = 1000};
  int code, format;
  Error e = {0};
  StringList experiments = {0};
  Export export = {.experiments = &experiments};
  if (command_line_read(&line, argc, argv, &code)) {
    export.what = curves ? EXPORT_CURVES : points ? EXPORT_POINTS : EXPORT_TRIALS;
    bool ok = (format = find_format(line.words[0], &e)) >= 0;
    if (ok && curves && points)
      ok = error_set(&e, EXIT_CONFIG, "--curves and --points: one of them");
    if (ok && (curves || points) && !formats[format].views)
      ok = error_set(&e, EXIT_CONFIG, "--curves and --points are for csv and jsonl");
    ok =
        ok && store_open_readonly(&export.store, db, &e) &&
        store_name_experiments(export.store, &experiments, line.words + 1, line.word_count - 1, &e);
    if (ok)
      ok = formats[format].write ? write_file(path, format, &export, &e)
                                 : write_folder(path, &export, &e);
    store_close(export.store);
    strings_free(&experiments);
    code = ok ? EXIT_OK : command_fail(line.name, &e);
  }
  return code;
}
