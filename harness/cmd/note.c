/* harness note: a sentence about a trial or an experiment. */
#include <stdlib.h>

#include "harness/cmd/annotate.h"
#include "harness/cmd/cmd.h"
#include "harness/cmd/options.h"
#include "mae/base/clock.h"

static const char about[] =
    "Adds a note to a trial or an experiment. Notes are in its folder (notes.json) and in the\n"
    "column `notes` of the views `trials` and `experiments`:\n"
    "  harness note 3 'the disk was slow that night'";

typedef struct Change {
  const char *text; /* NULL: forget all notes */
} Change;

static bool change_notes(Notes *notes, const Target *target, void *context, Error *e) {
  const Change *change = context;
  (void)target;
  if (change->text) return notes_add(notes, change->text, clock_now(), e);
  for (int i = 0; i < notes->count; i++) free(notes->notes[i].text);
  notes->count = 0;
  return true;
}

int cmd_note(int argc, char **argv) {
  const char *db = DEFAULT_DB;
  bool remove = false;
  const CmdOption options[] = {
      {"--remove", CMD_FLAG, &remove, NULL, "take all its notes back (without TEXT)"},
      OPTION_DB(&db),
  };
  CommandLine line = {.name = "harness note",
                      .usage = "TRIAL|EXPERIMENT TEXT",
                      .about = about,
                      .options = options,
                      .option_count = sizeof options / sizeof *options,
                      .words_min = 1,
                      .words_max = 2};
  int code;
  Error e = {0};
  if (!command_line_read(&line, argc, argv, &code)) return code;
  bool ok = remove != (line.word_count == 2) ||
            error_set(&e, EXIT_CONFIG,
                      remove ? "--remove takes all notes back and no TEXT"
                             : "missing TEXT; --remove takes notes back");
  Change change = {line.word_count == 2 ? line.words[1] : NULL};
  ok = ok && annotate(db, line.words[0], change_notes, &change, &e);
  return command_end(&line, NULL, ok, &e);
}
