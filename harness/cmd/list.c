/* harness list: trials by a condition. */
#include "harness/cmd/cmd.h"
#include "harness/cmd/options.h"
#include "harness/store/store.h"

static const char about[] =
    "A line per trial of the view `trials`:\n"
    "  harness list --where \"mask_ratio > 0.5 and status = 'done'\" --sort -psnr_masked\n"
    "  harness list --columns trial,seed,wall_seconds,notes\n"
    "The condition is an SQL expression over its columns; it can only read. Of several databases\n"
    "each trial is listed with its database.";

int cmd_list(int argc, char **argv) {
  static const char *const usual[] = {DEFAULT_DB};
  CmdList databases = {0};
  ListOptions list = {0};
  const CmdOption options[] = {
      {"--where", CMD_TEXT, &list.where, "CONDITION", "only trials for which it holds"},
      {"--sort", CMD_TEXT, &list.sort, "COLUMN,...",
       "in this order; -COLUMN for the highest first"},
      {"--columns", CMD_TEXT, &list.columns, "COLUMN,...", "these columns, or all"},
      {"--json", CMD_FLAG, &list.json, NULL, "print JSON"},
      {"--db", CMD_LIST, &databases, "PATH", "database (" DEFAULT_DB "); repeat it for several"},
  };
  CommandLine line = {.name = "harness list",
                      .about = about,
                      .options = options,
                      .option_count = sizeof options / sizeof *options};
  int code;
  Error e = {0};
  Store *store = NULL;
  if (command_line_read(&line, argc, argv, &code)) {
    bool ok = store_open_several(&store, databases.count ? databases.items : usual,
                                 databases.count ? databases.count : 1, &e) &&
              store_list(store, stdout, &list, &e);
    store_close(store);
    code = ok ? EXIT_OK : command_fail(line.name, &e);
  }
  command_line_free(&line);
  return code;
}
