/* harness compare: the difference between two points of a sweep. */
#include "harness/cmd.h"
#include "harness/options.h"
#include "harness/store.h"

static const char about[] =
    "A and B are each a trial's number or the settings of a point, within an experiment or not:\n"
    "  harness compare train.mask_ratio=0.5 train.mask_ratio=0.75\n"
    "  harness compare 'decoder_size-cpu:model.decoder=96x2x3' "
    "'decoder_size-cpu:model.decoder=48x1x3'\n"
    "Prints A - B with a 95% interval, paired by seed, and says when the seeds cannot support it.";

int cmd_compare(int argc, char **argv) {
  const char *db = DEFAULT_DB, *metric = NULL;
  bool json = false;
  const CmdOption options[] = {
      {"--db", CMD_TEXT, &db, "PATH", "database (" DEFAULT_DB ")"},
      {"--metric", CMD_TEXT, &metric, "NAME", "column of `trials` (psnr_masked)"},
      {"--json", CMD_FLAG, &json, NULL, "print JSON"},
  };
  CommandLine line = {.name = "harness compare",
                      .usage = "A B",
                      .about = about,
                      .options = options,
                      .option_count = sizeof options / sizeof *options,
                      .words_min = 2,
                      .words_max = 2};
  int code;
  Error e = {0};
  Store *store = NULL;
  if (command_line_read(&line, argc, argv, &code)) {
    bool ok = store_open_readonly(&store, db, &e) &&
              store_compare(store, stdout, line.words[0], line.words[1], metric, json, &e);
    store_close(store);
    code = ok ? EXIT_OK : command_fail(line.name, &e);
  }
  return code;
}
