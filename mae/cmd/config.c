/* mae config: prints, hashes and explains configurations. */
#include <stdio.h>
#include <string.h>

#include "mae/cmd/cmd.h"

static const char about[] =
    "Prints every option, canonically, after reading the given files and settings.\n"
    "--help KEY explains one option (train.mask_ratio), --help SECTION a section's\n"
    "(train), --help alone all of them.";

/* --help takes an optional key here, which the shared command line does not know. */
static bool wants_help(int argc, char **argv, const char **key) {
  for (int i = 1; i < argc; i++) {
    if (!strncmp(argv[i], "--help=", 7)) {
      *key = argv[i] + 7;
      return true;
    }
    if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h")) {
      *key = i + 1 < argc ? argv[i + 1] : NULL;
      return true;
    }
  }
  return false;
}

int cmd_config(int argc, char **argv) {
  bool hash = false, hashed = false;
  const CmdOption options[] = {
      {"--hash", CMD_FLAG, &hash, NULL, "print the config hash instead"},
      {"--hashed", CMD_FLAG, &hashed, NULL, "print only what the hash is made from"},
  };
  CommandLine line = {
      .name = "config", .about = about, .no_data = true, .options = options, .option_count = 2};
  const char *key;
  int code;
  if (wants_help(argc, argv, &key)) {
    Error e;
    if (!key)
      printf("usage: mae config [FILE.ini] [--set KEY=VALUE]... [--hash | --hashed]\n\n%s\n\n",
             about);
    return config_help(stdout, key, &e) ? EXIT_OK : cmd_fail("config", &e);
  }
  if (!cmd_parse(&line, argc, argv, &code)) return code;
  if (hash) {
    char hex[65];
    config_hash(&line.config, hex);
    puts(hex);
  } else {
    config_dump(&line.config, stdout, hashed);
  }
  return EXIT_OK;
}
