/* harness best: the best point by a metric. */
#include "harness/cmd/cmd.h"
#include "harness/cmd/options.h"
#include "harness/store/store.h"

static const char about[] =
    "The best point by a metric (the view `metrics` says whether higher or lower is better) with\n"
    "its 95% interval over seeds, and the points whose intervals overlap it, which may be as "
    "good.\n"
    "Points of all experiments, or of one; those of other images are ranked apart:\n"
    "  harness best psnr_masked\n"
    "  harness best linear_mean mask_ratio";

int cmd_best(int argc, char **argv) {
  static const char *const usual[] = {DEFAULT_DB};
  CmdList databases = {0};
  bool json = false;
  const CmdOption options[] = {
      {"--json", CMD_FLAG, &json, NULL, "print JSON"},
      {"--db", CMD_LIST, &databases, "PATH", "database (" DEFAULT_DB "); repeat it for several"},
  };
  CommandLine line = {.name = "harness best",
                      .usage = "METRIC [EXPERIMENT]",
                      .about = about,
                      .options = options,
                      .option_count = sizeof options / sizeof *options,
                      .words_min = 1,
                      .words_max = 2};
  int code;
  Error e = {0};
  Store *store = NULL;
  if (command_line_read(&line, argc, argv, &code)) {
    bool ok = store_open_several(&store, databases.count ? databases.items : usual,
                                 databases.count ? databases.count : 1, &e) &&
              store_best(store, stdout, line.words[0], line.word_count > 1 ? line.words[1] : NULL,
                         json, &e);
    store_close(store);
    code = ok ? EXIT_OK : command_fail(line.name, &e);
  }
  command_line_free(&line);
  return code;
}
