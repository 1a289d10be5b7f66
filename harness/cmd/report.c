/* harness report: the results as one HTML file. */
#include <stdlib.h>
#include <string.h>

#include "harness/base/output.h"
#include "harness/cmd/cmd.h"
#include "harness/cmd/options.h"
#include "harness/page/page.h"
#include "harness/store/rows.h"
#include "harness/store/store.h"

static const char about[] =
    "One HTML file that opens in any browser, without a network: of each EXPERIMENT (as in\n"
    "`harness status`; all of them when none is given) the question and its answer, figures, "
    "tables,\n"
    "reconstructions, settings, provenance, failures, and how to reproduce it.";

int cmd_report(int argc, char **argv) {
  const char *db = DEFAULT_DB, *path = "report.html";
  const CmdOption options[] = {
      OPTION_DB(&db),
      {"--out", CMD_TEXT, &path, "FILE",
       "file that is written (report.html); - is standard output"},
  };
  CommandLine line = {.name = "harness report",
                      .usage = "[EXPERIMENT...]",
                      .about = about,
                      .options = options,
                      .option_count = sizeof options / sizeof *options,
                      .words_max = 1000};
  int code;
  Error e = {0};
  Store *store = NULL;
  StringList experiments = {0};
  Output output = {0};
  if (!command_line_read(&line, argc, argv, &code)) return code;
  bool ok = store_open_readonly(&store, db, &e) &&
            store_name_experiments(store, &experiments, line.words, line.word_count, &e) &&
            output_begin(&output, path, &e) && page_write(output.file, store, &experiments, &e);
  ok = output_end(&output, ok, &e);
  if (ok && strcmp(path, "-")) printf("%s: open it in a browser\n", path);
  strings_free(&experiments);
  return command_end(&line, store, ok, &e);
}
