/* cmd.h - the commands of the `mae` program, and what their command lines have in common: a
 * configuration, put together from files and settings.
 *
 * A new command is a file mae/cmd/NAME.c with cmd_NAME(), a prototype below and a line in the table
 * of main.c. A command describes its own options and lets cmd_parse do the rest:
 *
 *   const CmdOption options[] = {...};          (see base/command_line.h)
 *   ConfigCommand command = {
 *       .line = {.name = "mae train", .about = "...", .options = options, .option_count = 2}};
 *   int code;
 *   if (!cmd_parse(&command, argc, argv, &code)) return code;
 *   ... command.config is read, checked and ready.
 */
#ifndef MAE_CMD_CMD_H
#define MAE_CMD_CMD_H

#include <jansson.h>

#include "mae/base/command_line.h"
#include "mae/config/config.h"

/* argv[0] is the command's name; each returns the process's exit code. */
int cmd_config(int argc, char **argv);
int cmd_eval(int argc, char **argv);
int cmd_features(int argc, char **argv);
int cmd_reconstruct(int argc, char **argv);
int cmd_train(int argc, char **argv);
int cmd_bench(int argc, char **argv);
int cmd_import(int argc, char **argv);
int cmd_export(int argc, char **argv);
int cmd_data(int argc, char **argv);

typedef struct ConfigCommand {
  CommandLine line; /* its options stand beside --config and --set */
  bool no_data;     /* the command reads no images: data.path may be missing */
  /* Puts a configuration other than the defaults into command->config, over which files and
   * settings are then read: a checkpoint's. Called when options and words are known. NULL: the
   * defaults. */
  bool (*base)(struct ConfigCommand *, Error *);
  void *user;    /* for base */
  Config config; /* filled in by cmd_parse */
} ConfigCommand;

/* Reads the command line: --config FILE or a word ending in .ini (in order, later over earlier),
 * then every --set section.key=value. The configuration is validated. False: help, the version or
 * an error was printed, and *code is the exit code. */
bool cmd_parse(ConfigCommand *, int argc, char **argv, int *code);

/* A real number, or what JSON has no number for as the strings "nan", "inf" and "-inf". */
json_t *cmd_json_real(double);
/* Writes a value (NULL: there was no memory for it) to standard output and frees it. indent: blanks
 * per level; 0: all in one line. */
bool cmd_print_json(json_t *, size_t indent, Error *);

/* --checkpoint of the commands that read one. */
typedef struct CheckpointChoice {
  const char *path; /* as given: a run folder, a checkpoint's folder or a weights file */
  char weights[CONFIG_PATH_MAX]; /* the weights file found there */
} CheckpointChoice;
#define CHECKPOINT_HELP "run folder, checkpoint folder or weights file (required)"
/* A `base`, whose user is a CheckpointChoice: the configuration of that checkpoint. */
bool cmd_checkpoint_config(ConfigCommand *, Error *);

#endif
