/* Finding the command that a command line names, and the list of commands for --help. */
#include "mae/base/commands.h"

#include <stdio.h>
#include <string.h>

#include "mae/base/error.h"
#include "mae/base/suggest.h"

enum { COMMANDS_MAX = 32 };

void commands_print_version(void) {
  puts("maebench " MAEBENCH_VERSION);
}

static int unknown_command(const char *program, const Command *commands, int count,
                           const char *name) {
  const char *names[COMMANDS_MAX];
  for (int i = 0; i < count; i++) names[i] = commands[i].name;
  int near = suggest_index(name, names, count);
  if (near >= 0)
    fprintf(stderr, "%s: no command '%s'; did you mean %s?\n", program, name, names[near]);
  else
    fprintf(stderr, "%s: no command '%s'; `%s --help` lists them\n", program, name, program);
  return EXIT_CONFIG;
}

static void print_usage(FILE *file, const char *program, const Command *commands, int count,
                        const char *after_list) {
  fprintf(file, "usage: %s COMMAND [options]\n\n", program);
  for (int i = 0; i < count; i++) fprintf(file, "  %-12s %s\n", commands[i].name, commands[i].help);
  fprintf(file, "\n%s", after_list);
}

int commands_run(const char *program, const Command *commands, int count, const char *after_list,
                 int argc, char **argv) {
  if (argc < 2) {
    print_usage(stderr, program, commands, count, after_list);
    return EXIT_CONFIG;
  }
  const char *name = argv[1];
  if (!strcmp(name, "--version")) {
    commands_print_version();
    return EXIT_OK;
  }
  if (!strcmp(name, "--help") || !strcmp(name, "-h") || !strcmp(name, "help")) {
    print_usage(stdout, program, commands, count, after_list);
    return EXIT_OK;
  }
  for (int i = 0; i < count; i++)
    if (!strcmp(commands[i].name, name)) return commands[i].run(argc - 1, argv + 1);
  return unknown_command(program, commands, count, name);
}
