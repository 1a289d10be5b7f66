/* mae: trains and examines masked autoencoders. Each command is in mae/cmd_NAME.c. */
#include <stdio.h>
#include <string.h>

#include "mae/cmd.h"
#include "mae/suggest.h"

typedef struct Command {
  const char *name;
  int (*run)(int argc, char **argv);
  const char *help;
} Command;

static const Command commands[] = {
    {"train", cmd_train, "train a model into a run folder"},
    {"eval", cmd_eval, "score a checkpoint on the held-out images"},
    {"reconstruct", cmd_reconstruct, "draw what a checkpoint makes of images"},
    {"bench", cmd_bench, "time training steps and the matrix products that bound them"},
    {"config", cmd_config, "print, hash or explain a configuration"},
    {"import", cmd_import, "weights of the public reference into a weights file"},
    {"export", cmd_export, "weights as timm or Hugging Face load them"},
    {"data", cmd_data, "pack images, or say what a pack holds"},
};
enum { COMMAND_COUNT = sizeof commands / sizeof *commands };

static void print_usage(FILE *file) {
  fputs("usage: mae COMMAND [options]\n\n", file);
  for (int i = 0; i < COMMAND_COUNT; i++)
    fprintf(file, "  %-12s %s\n", commands[i].name, commands[i].help);
  fputs("\n`mae COMMAND --help` explains a command, `mae --version` prints the version.\n"
        "Exit codes: 0 done, 2 usage or configuration, 3 device or memory, 4 data or files,\n"
        "5 a loss that is not finite, 128+N stopped by signal N.\n",
        file);
}

static const Command *find_command(const char *name) {
  for (int i = 0; i < COMMAND_COUNT; i++)
    if (!strcmp(commands[i].name, name)) return &commands[i];
  return NULL;
}

static int unknown_command(const char *name) {
  const char *names[COMMAND_COUNT];
  for (int i = 0; i < COMMAND_COUNT; i++) names[i] = commands[i].name;
  int near = suggest_index(name, names, COMMAND_COUNT);
  if (near >= 0)
    fprintf(stderr, "mae: no command '%s'; did you mean %s?\n", name, names[near]);
  else
    fprintf(stderr, "mae: no command '%s'; `mae --help` lists them\n", name);
  return EXIT_CONFIG;
}

int main(int argc, char **argv) {
  if (argc < 2) {
    print_usage(stderr);
    return EXIT_CONFIG;
  }
  const char *name = argv[1];
  if (!strcmp(name, "--version")) {
    cmd_print_version();
    return EXIT_OK;
  }
  if (!strcmp(name, "--help") || !strcmp(name, "-h") || !strcmp(name, "help")) {
    print_usage(stdout);
    return EXIT_OK;
  }
  const Command *command = find_command(name);
  return command ? command->run(argc - 1, argv + 1) : unknown_command(name);
}
