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
  CmdList databases = {0};
  bool json = false;
  const CmdOption options[] = {
      OPTION_JSON(&json),
      OPTION_DBS(&databases),
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
  if (!command_line_read(&line, argc, argv, &code)) return code;
  bool ok = open_databases(&store, &databases, &e) &&
            store_best(store, stdout, line.words[0], line.word_count > 1 ? line.words[1] : NULL,
                       json, &e);
  return command_end(&line, store, ok, &e);
}
