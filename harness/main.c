/* harness: sweeps of trials, each trained by a `mae` process, recorded in SQLite. Each command is
 * in harness/cmd_NAME.c. */
#include <stdio.h>
#include <string.h>

#include "harness/cmd.h"
#include "mae/error.h"
#include "mae/suggest.h"

typedef struct Command {
  const char *name;
  int (*run)(int argc, char **argv);
  const char *help;
} Command;

static const Command commands[] = {
    {"run", cmd_run, "run the trials of an experiment; continue where it stopped"},
    {"status", cmd_status, "how far every experiment is"},
    {"show", cmd_show, "one trial: configuration, results, attempts, provenance"},
    {"compare", cmd_compare, "the difference between two points, and whether the seeds support it"},
    {"verify", cmd_verify, "train a recorded trial again and compare, bit for bit"},
    {"import", cmd_import, "rebuild the database from the trial folders"},
};
enum { COMMAND_COUNT = sizeof commands / sizeof *commands };

static void print_usage(FILE *file) {
  fputs("usage: harness COMMAND [options]\n\n", file);
  for (int i = 0; i < COMMAND_COUNT; i++)
    fprintf(file, "  %-10s %s\n", commands[i].name, commands[i].help);
  fputs("\n`harness COMMAND --help` explains a command. To begin:\n\n"
        "  harness run ablations/mask_ratio.ini --dry-run\n\n"
        "Exit codes: 0 all trials done, 1 some failed, 2 usage or configuration, 3 a verification\n"
        "that does not match, 4 something is missing, 128+N stopped by signal N.\n",
        file);
}

static int unknown_command(const char *name) {
  const char *names[COMMAND_COUNT];
  for (int i = 0; i < COMMAND_COUNT; i++) names[i] = commands[i].name;
  int near = suggest_index(name, names, COMMAND_COUNT);
  if (near >= 0)
    fprintf(stderr, "harness: no command '%s'; did you mean %s?\n", name, names[near]);
  else
    fprintf(stderr, "harness: no command '%s'; `harness --help` lists them\n", name);
  return EXIT_CONFIG;
}

int main(int argc, char **argv) {
  if (argc < 2) {
    print_usage(stderr);
    return EXIT_CONFIG;
  }
  const char *name = argv[1];
  if (!strcmp(name, "--version")) {
    puts("maebench " MAEBENCH_VERSION);
    return EXIT_OK;
  }
  if (!strcmp(name, "--help") || !strcmp(name, "-h") || !strcmp(name, "help")) {
    print_usage(stdout);
    return EXIT_OK;
  }
  for (int i = 0; i < COMMAND_COUNT; i++)
    if (!strcmp(commands[i].name, name)) return commands[i].run(argc - 1, argv + 1);
  return unknown_command(name);
}
