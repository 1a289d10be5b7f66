/* harness diff: what differs between two trials, points, experiments or databases. */
#include "harness/cmd/cmd.h"
#include "harness/cmd/options.h"
#include "harness/store/store.h"

static const char about[] =
    "A and B are each a trial's number, the settings of a point as `harness compare` takes them, "
    "or\n"
    "an experiment. Trials of the same settings and seed are paired:\n"
    "  harness diff 3 7\n"
    "  harness diff mask_ratio-cpu mask_ratio-h200\n"
    "  harness diff mask_ratio-cpu mask_ratio-cpu --db ours.db --db theirs.db\n"
    "  harness diff --db ours.db --db theirs.db\n"
    "Of two databases, A is looked for in the first and B in the second; without A and B all that\n"
    "both have is compared. Prints what differs in the configuration, build, machine and data, "
    "the\n"
    "paired differences of every metric, and where the training parts.";

int cmd_diff(int argc, char **argv) {
  CmdList databases = {0};
  bool json = false;
  const CmdOption options[] = {
      OPTION_JSON(&json),
      {"--db", CMD_LIST, &databases, "PATH", "database (" DEFAULT_DB "); twice for two"},
  };
  CommandLine line = {.name = "harness diff",
                      .usage = "A B",
                      .about = about,
                      .options = options,
                      .option_count = sizeof options / sizeof *options,
                      .words_max = 2};
  int code;
  Error e = {0};
  Store *a = NULL, *b = NULL;
  if (!command_line_read(&line, argc, argv, &code)) return code;
  bool two = databases.count == 2;
  bool ok = databases.count <= 2 || error_set(&e, EXIT_CONFIG, "--db: one or two databases");
  if (ok && line.word_count != 2 && !(two && !line.word_count))
    ok = error_set(&e, EXIT_CONFIG,
                   "it takes A and B, or two databases (--db twice) and neither; "
                   "`harness diff --help` shows both");
  ok = ok && store_open_readonly(&a, databases.count ? databases.items[0] : DEFAULT_DB, &e) &&
       (!two || store_open_readonly(&b, databases.items[1], &e)) &&
       store_diff(a, two ? b : a, stdout, line.word_count ? line.words[0] : NULL,
                  line.word_count ? line.words[1] : NULL, json, &e);
  store_close(b);
  return command_end(&line, a, ok, &e);
}
