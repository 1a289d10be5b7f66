/* harness import: rebuilds the database from the trial folders. */
#include <string.h>
#include <sys/stat.h>

#include "harness/cmd/cmd.h"
#include "harness/cmd/options.h"
#include "harness/store/store.h"
#include "mae/base/io.h"

static const char about[] =
    "Takes in every sweep found in the trials' folder, from this machine or copied from others.\n"
    "The event files are the source of truth; importing twice changes nothing.";

int cmd_import(int argc, char **argv) {
  const char *db = DEFAULT_DB, *out = DEFAULT_OUT;
  const CmdOption options[] = {
      OPTION_DB(&db),
      OPTION_OUT(&out),
  };
  CommandLine line = {.name = "harness import",
                      .about = about,
                      .options = options,
                      .option_count = sizeof options / sizeof *options};
  int code, trials = 0;
  Error e = {0};
  struct stat info;
  Store *store = NULL;
  if (!command_line_read(&line, argc, argv, &code)) return code;
  const char *slash = strrchr(db, '/');
  char folder[CONFIG_PATH_MAX];
  snprintf(folder, sizeof folder, "%.*s", slash ? (int)(slash - db) : 0, db);
  bool ok = stat(out, &info) == 0 && S_ISDIR(info.st_mode);
  if (!ok) error_set(&e, EXIT_DATA, "%s: there is no such folder; --out names another", out);
  ok = ok && (!*folder || io_make_folders(folder, &e)) && store_open(&store, db, &e) &&
       store_import(store, out, &trials, &e);
  if (ok && !trials) ok = error_set(&e, EXIT_DATA, "%s: no trials below it", out);
  if (ok) printf("%d trials of %s are in %s\n", trials, out, db);
  return command_end(&line, store, ok, &e);
}
