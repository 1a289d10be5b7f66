/* harness tag: words that mark trials, to find them again. */
#include "harness/cmd/annotate.h"
#include "harness/cmd/cmd.h"
#include "harness/cmd/options.h"

static const char about[] =
    "Gives a trial tags: words such as `baseline` or `figure-2`. They are in its folder\n"
    "(notes.json) and in the column `tags` of the view `trials`:\n"
    "  harness list --where \"tags like '%baseline%'\"";

typedef struct Change {
  const char *const *tags;
  int count;
  bool remove;
} Change;

static bool change_tags(Notes *notes, const Target *target, void *context, Error *e) {
  const Change *change = context;
  bool ok = target->trial || error_set(e, EXIT_CONFIG,
                                       "only trials have tags; `harness note` says "
                                       "something of an experiment");
  for (int i = 0; ok && i < change->count; i++)
    ok = (change->remove ? notes_remove_tag : notes_add_tag)(notes, change->tags[i], e);
  return ok;
}

int cmd_tag(int argc, char **argv) {
  const char *db = DEFAULT_DB;
  Change change = {0};
  const CmdOption options[] = {
      {"--remove", CMD_FLAG, &change.remove, NULL, "take these tags off it"},
      OPTION_DB(&db),
  };
  CommandLine line = {.name = "harness tag",
                      .usage = "TRIAL TAG...",
                      .about = about,
                      .options = options,
                      .option_count = sizeof options / sizeof *options,
                      .words_min = 2,
                      .words_max = 1000};
  int code;
  Error e = {0};
  if (!command_line_read(&line, argc, argv, &code)) return code;
  change.tags = line.words + 1;
  change.count = line.word_count - 1;
  bool ok = annotate(db, line.words[0], change_tags, &change, &e);
  return command_end(&line, NULL, ok, &e);
}
