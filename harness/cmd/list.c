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
  CmdList databases = {0};
  ListOptions list = {0};
  const CmdOption options[] = {
      {"--where", CMD_TEXT, &list.where, "CONDITION", "only trials for which it holds"},
      {"--sort", CMD_TEXT, &list.sort, "COLUMN,...",
       "in this order; -COLUMN for the highest first"},
      {"--columns", CMD_TEXT, &list.columns, "COLUMN,...", "these columns, or all"},
      OPTION_JSON(&list.json),
      OPTION_DBS(&databases),
  };
  CommandLine line = {.name = "harness list",
                      .about = about,
                      .options = options,
                      .option_count = sizeof options / sizeof *options};
  int code;
  Error e = {0};
  Store *store = NULL;
  if (!command_line_read(&line, argc, argv, &code)) return code;
  bool ok = open_databases(&store, &databases, &e) && store_list(store, stdout, &list, &e);
  return command_end(&line, store, ok, &e);
}
