/* mae config: prints, hashes and explains configurations. */
#include <stdio.h>
#include <string.h>

#include "mae/cmd/cmd.h"

static const char about[] =
    "Prints every option, canonically, after reading the given files and settings.\n"
    "--help KEY explains one option (train.mask_ratio), --help SECTION a section's\n"
    "(train), --help alone all of them.";

static bool explain(const char *key, Error *e) {
  if (!key) putchar('\n');
  return config_help(stdout, key, e);
}

int cmd_config(int argc, char **argv) {
  bool hash = false, hashed = false;
  const CmdOption options[] = {
      {"--hash", CMD_FLAG, &hash, NULL, "print the config hash instead"},
      {"--hashed", CMD_FLAG, &hashed, NULL, "print only what the hash is made from"},
  };
  ConfigCommand command = {.line = {.name = "mae config",
                                    .about = about,
                                    .options = options,
                                    .option_count = 2,
                                    .explain = explain},
                           .no_data = true};
  int code;
  if (!cmd_parse(&command, argc, argv, &code)) return code;
  if (hash) {
    char hex[65];
    config_hash(&command.config, hex);
    puts(hex);
  } else {
    config_dump(&command.config, stdout, hashed);
  }
  return EXIT_OK;
}
