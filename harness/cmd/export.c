/* harness export: results in the forms of other programs. */
#include <stdlib.h>
#include <string.h>

#include "harness/base/output.h"
#include "harness/cmd/cmd.h"
#include "harness/cmd/options.h"
#include "harness/export/export.h"
#include "harness/run/bundle.h"
#include "harness/run/disk.h"
#include "harness/trial/found.h"
#include "mae/base/suggest.h"

static const char about[] =
    "Results of each EXPERIMENT (as in `harness status`; all of them when none is given):\n"
    "  csv, jsonl       the view `trials`, a row per trial; --curves and --points: those views.\n"
    "                   Every number reads back as the same double\n"
    "  latex, markdown  a table per experiment, a row per setting: mean and standard deviation\n"
    "                   over seeds, the best mean in bold (latex: with booktabs)\n"
    "  tensorboard      a folder (--out) of event files, a run per trial: curves, sheet.png, "
    "swept\n"
    "                   settings as hparams\n\n"
    "--bundle FILE packs the sweep itself into one file: every trial's events, configuration\n"
    "and pictures, its newest checkpoint or what was kept of it. `harness run ...\n"
    "--from FILE` goes on from there, on this machine or another. The file is a tar archive,\n"
    "not compressed; unpacked with tar it is an --out of its own, for `harness import`.";

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

static bool export_format(Export *export, const CommandLine *line, const char *db, const char *path,
                          Error *e) {
  int format = find_format(line->words[0], e);
  if (format < 0) return false;
  if (export->what != EXPORT_TRIALS && !formats[format].views)
    return error_set(e, EXIT_CONFIG, "--curves and --points are for csv and jsonl");
  StringList experiments = {0};
  export->experiments = &experiments;
  bool ok =
      store_open_readonly(&export->store, db, e) &&
      store_name_experiments(export->store, &experiments, line->words + 1, line->word_count - 1, e);
  if (ok)
    ok =
        formats[format].write ? write_file(path, format, export, e) : write_folder(path, export, e);
  store_close(export->store);
  strings_free(&experiments);
  return ok;
}

static bool export_bundle(const char *file, const char *out, const CommandLine *line, Error *e) {
  StringList experiments = {0};
  char text[DISK_TEXT_MAX];
  double bytes = 0;
  bool ok = found_named(&experiments, out, line->words, line->word_count, e) &&
            bundle_write(file, out, &experiments, &bytes, e);
  if (ok)
    printf("%s: %d experiment%s, %s\n", file, experiments.count, experiments.count == 1 ? "" : "s",
           disk_text(text, bytes));
  strings_free(&experiments);
  return ok;
}

int cmd_export(int argc, char **argv) {
  const char *db = DEFAULT_DB, *path = NULL, *bundle = NULL, *results = DEFAULT_OUT;
  bool curves = false, points = false;
  const CmdOption options[] = {
      OPTION_DB(&db),
      {"--out", CMD_TEXT, &path, "FILE", "file or folder that is written (standard output)"},
      {"--curves", CMD_FLAG, &curves, NULL, "every number with a step"},
      {"--points", CMD_FLAG, &points, NULL, "means and intervals over seeds"},
      {"--bundle", CMD_TEXT, &bundle, "FILE", "pack the sweep itself into this file"},
      {"--results", CMD_TEXT, &results, "DIR",
       "folder of the trials that are packed (" DEFAULT_OUT ")"},
  };
  CommandLine line = {.name = "harness export",
                      .usage = "FORMAT [EXPERIMENT...] | --bundle FILE [EXPERIMENT...]",
                      .about = about,
                      .options = options,
                      .option_count = sizeof options / sizeof *options,
                      .words_max = 1000};
  int code;
  Error e = {0};
  if (!command_line_read(&line, argc, argv, &code)) return code;
  Export export = {.what = curves ? EXPORT_CURVES : points ? EXPORT_POINTS : EXPORT_TRIALS};
  bool ok;
  if (curves && points)
    ok = error_set(&e, EXIT_CONFIG, "--curves and --points: one of them");
  else if (bundle)
    ok = path || curves || points
             ? error_set(&e, EXIT_CONFIG,
                         "--bundle packs the trials' folders: no --out, --curves "
                         "or --points goes with it")
             : export_bundle(bundle, results, &line, &e);
  else if (!line.word_count)
    ok = error_set(&e, EXIT_CONFIG,
                   "which format? csv, jsonl, latex, markdown or tensorboard; or "
                   "--bundle FILE");
  else
    ok = export_format(&export, &line, db, path, &e);
  return command_end(&line, NULL, ok, &e);
}
