/* harness delete: trials and experiments into the bin, out of it, and for good. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness/base/strings.h"
#include "harness/cmd/bin.h"
#include "harness/cmd/cmd.h"
#include "harness/cmd/options.h"
#include "mae/base/io.h"

static const char about[] =
    "Moves the folder of a trial or an experiment into OUT/.bin and takes it out of the database.\n"
    "Neither a run nor an import brings it back; a run whose plan names the trial trains it anew.\n"
    "  harness delete 3                  one trial; asks first\n"
    "  harness delete --list             what is in the bin\n"
    "  harness delete --restore 3        back again: the newest that was trial 3\n"
    "  harness delete --empty            for good\n"
    "A trial that is being trained is not deleted.";

typedef struct DeleteCommand {
  CommandLine line;
  const char *db, *out;
  bool yes, list, restore, empty;
} DeleteCommand;

static bool agreed(const DeleteCommand *command, bool *yes, const char *question, Error *e) {
  char answer[16] = "";
  *yes = command->yes;
  if (command->yes) return true;
  if (!isatty(STDIN_FILENO))
    return error_set(e, EXIT_CONFIG, "%s: nobody can be asked here; --yes agrees", question);
  fprintf(stderr, "%s? [y/N] ", question);
  *yes = fgets(answer, sizeof answer, stdin) && (*answer == 'y' || *answer == 'Y');
  if (!*yes) fputs("nothing was changed\n", stderr);
  return true;
}

/* " --db PATH --out DIR" of the command that takes back what was deleted: the bin is where the
 * folder was, wherever --out points. */
static char *bin_options(const DeleteCommand *command, const Target *target) {
  char *out = string_copy(target->folder), *slash;
  for (int up = target->trial ? 2 : 1; up > 0 && (slash = strrchr(out, '/')); up--) *slash = 0;
  char *given = realpath(command->out, NULL);
  const char *path = given && !strcmp(given, out) ? command->out : out;
  bool usual_db = !strcmp(command->db, DEFAULT_DB), usual_out = !strcmp(path, DEFAULT_OUT);
  char *options = string_format("%s%s%s%s", usual_db ? "" : " --db ", usual_db ? "" : command->db,
                                usual_out ? "" : " --out ", usual_out ? "" : path);
  free(given);
  free(out);
  return options;
}

/* Of an experiment whose trials were deleted one by one the folder is looked for in --out. */
static bool find_folder(const DeleteCommand *command, Target *target, Error *e) {
  if (*target->folder) return true;
  char *out = realpath(command->out, NULL);
  char *sweep = string_format("%s/%s/sweep.json", out ? out : "", target->experiment);
  bool ok = out && access(sweep, F_OK) == 0 &&
            io_join(target->folder, sizeof target->folder, out, target->experiment, e);
  if (!ok)
    error_set(e, EXIT_DATA,
              "%s has no trials, so that its folder is not known, and %s does not hold it; --out "
              "says where it is",
              target->experiment, command->out);
  free(sweep);
  free(out);
  return ok;
}

static bool delete_one(const DeleteCommand *command, Store *store, const char *word, Error *e) {
  Target target;
  bool yes = false;
  if (!store_find_target(store, word, &target, e) || !find_folder(command, &target, e))
    return false;
  char *question = string_format("delete %s", target.what);
  bool ok = agreed(command, &yes, question, e);
  free(question);
  if (!ok || !yes) return ok;
  /* The folder first: should this end here, an import finds that it has gone. */
  ok = bin_put(&target, e) && store_remove(store, &target, e);
  char *options = bin_options(command, &target);
  if (ok)
    printf("deleted %s; `harness delete --restore %s%s` takes it back\n", target.what, word,
           options);
  free(options);
  return ok;
}

static bool delete_all(const DeleteCommand *command, Error *e) {
  Store *store = NULL;
  bool ok = store_open(&store, command->db, e);
  for (int i = 0; ok && i < command->line.word_count; i++)
    ok = delete_one(command, store, command->line.words[i], e);
  store_close(store);
  return ok;
}

static bool is_number(const char *word) {
  return *word && !word[strspn(word, "0123456789")];
}

static bool is_meant(const BinEntry *entry, const char *word) {
  return is_number(word) ? entry->trial && entry->id == atoll(word)
                         : !strcmp(entry->experiment, word);
}

/* Of a trial that was deleted more than once the newest counts; they are listed first. */
static bool is_older_copy(const Bin *bin, int entry) {
  const BinEntry *of = &bin->entries[entry];
  for (int i = 0; of->trial && i < entry; i++)
    if (bin->entries[i].trial && !strcmp(bin->entries[i].trial, of->trial) &&
        !strcmp(bin->entries[i].experiment, of->experiment))
      return true;
  return false;
}

/* A trial: the newest of that number. An experiment: it, or, when it was not deleted as a whole,
 * each of its trials. */
static bool restore_word(const DeleteCommand *command, Store *store, const char *word, Error *e) {
  Bin bin;
  int restored = 0;
  bool ok = bin_list(&bin, command->out, e), whole = false;
  for (int i = 0; ok && i < bin.count; i++) {
    const BinEntry *entry = &bin.entries[i];
    if (!is_meant(entry, word) || (!is_number(word) && is_older_copy(&bin, i)) ||
        (restored && (whole || is_number(word) || !entry->trial)))
      continue;
    char *sweep = string_format("%s/%s", command->out, entry->experiment);
    ok = bin_restore(entry, command->out, e) && store_import_sweep(store, sweep, e);
    if (ok)
      printf("restored %s%s%s\n", sweep, entry->trial ? "/" : "", entry->trial ? entry->trial : "");
    whole = !entry->trial;
    restored++;
    free(sweep);
  }
  bin_free(&bin);
  return ok && (restored || error_set(e, EXIT_DATA,
                                      "%s/" BIN_FOLDER " has no %.200s; --list shows "
                                      "what it has",
                                      command->out, word));
}

static bool restore_all(const DeleteCommand *command, Error *e) {
  Store *store = NULL;
  bool ok = store_open(&store, command->db, e);
  for (int i = 0; ok && i < command->line.word_count; i++)
    ok = restore_word(command, store, command->line.words[i], e);
  store_close(store);
  return ok;
}

static bool list_bin(const DeleteCommand *command, Error *e) {
  Bin bin;
  Table table = {.columns = 3};
  if (!bin_list(&bin, command->out, e)) return false;
  table_cell(&table, "experiment");
  table_cell(&table, "trial");
  table_cell(&table, "folder");
  for (int i = 0; i < bin.count; i++) {
    table_cell(&table, "%s", bin.entries[i].experiment);
    if (bin.entries[i].trial)
      table_cell(&table, "%lld", (long long)bin.entries[i].id);
    else
      table_cell(&table, "all");
    table_cell(&table, "%s", bin.entries[i].folder);
  }
  table_print(&table, stdout);
  table_free(&table);
  bin_free(&bin);
  return true;
}

static bool empty_bin(const DeleteCommand *command, Error *e) {
  Bin bin;
  bool yes = false;
  if (!bin_list(&bin, command->out, e)) return false;
  char *question = string_format("remove %d deleted trials and experiments from %s for good",
                                 bin.count, command->out);
  bool ok = !bin.count || agreed(command, &yes, question, e);
  if (ok && !bin.count) printf("%s/" BIN_FOLDER " is empty\n", command->out);
  if (ok && yes) ok = bin_empty(command->out, e);
  free(question);
  bin_free(&bin);
  return ok;
}

static bool check(const DeleteCommand *command, Error *e) {
  int modes = command->list + command->restore + command->empty;
  bool words = command->line.word_count > 0, wants_words = !command->list && !command->empty;
  if (modes > 1) return error_set(e, EXIT_CONFIG, "only one of --list, --restore and --empty");
  return words == wants_words || error_set(e, EXIT_CONFIG,
                                           words ? "--list and --empty take no TRIAL or EXPERIMENT"
                                                 : "missing TRIAL or EXPERIMENT");
}

int cmd_delete(int argc, char **argv) {
  DeleteCommand command = {.db = DEFAULT_DB, .out = DEFAULT_OUT};
  const CmdOption options[] = {
      {"--yes", CMD_FLAG, &command.yes, NULL, "do not ask"},
      {"--list", CMD_FLAG, &command.list, NULL, "what is in the bin"},
      {"--restore", CMD_FLAG, &command.restore, NULL, "take a trial or an experiment out of it"},
      {"--empty", CMD_FLAG, &command.empty, NULL, "remove all of it for good; asks first"},
      {"--out", CMD_TEXT, &command.out, "DIR",
       "folder of the trials (" DEFAULT_OUT "), for the bin"},
      OPTION_DB(&command.db),
  };
  command.line = (CommandLine){.name = "harness delete",
                               .usage = "TRIAL|EXPERIMENT...",
                               .about = about,
                               .options = options,
                               .option_count = sizeof options / sizeof *options,
                               .words_max = 1000};
  int code;
  Error e = {0};
  if (!command_line_read(&command.line, argc, argv, &code)) return code;
  bool ok = check(&command, &e);
  if (ok)
    ok = command.list      ? list_bin(&command, &e)
         : command.empty   ? empty_bin(&command, &e)
         : command.restore ? restore_all(&command, &e)
                           : delete_all(&command, &e);
  return command_end(&command.line, NULL, ok, &e);
}
