/* cmd.h - the commands of the `mae` program and the command line they share.
 *
 * A new command is a file mae/cmd/NAME.c with cmd_NAME(), a prototype below and a line in the table
 * of main.c. A command describes its own options and lets cmd_parse do the rest:
 *
 *   bool resume = false;
 *   const char *out = NULL;
 *   const CmdOption options[] = {
 *       {"--out", CMD_TEXT, &out, "DIR", "run folder (default: run)"},
 *       {"--resume", CMD_FLAG, &resume, NULL, "continue from the newest checkpoint"},
 *   };
 *   CommandLine line = {.name = "train", .about = "...", .options = options, .option_count = 2};
 *   int code;
 *   if (!cmd_parse(&line, argc, argv, &code)) return code;
 *   ... line.config is read, checked and ready.
 */
#ifndef MAE_CMD_CMD_H
#define MAE_CMD_CMD_H

#include "mae/config/config.h"

/* argv[0] is the command's name; each returns the process's exit code. */
int cmd_config(int argc, char **argv);
int cmd_eval(int argc, char **argv);
int cmd_reconstruct(int argc, char **argv);
int cmd_train(int argc, char **argv);
int cmd_bench(int argc, char **argv);
int cmd_import(int argc, char **argv);
int cmd_export(int argc, char **argv);
int cmd_data(int argc, char **argv);

typedef enum { CMD_FLAG, CMD_TEXT, CMD_COUNT } CmdType; /* bool, const char *, int64_t >= 0 */

typedef struct CmdOption {
  const char *name; /* "--out" */
  CmdType type;
  void *target;
  const char *argument; /* "FILE": what its value is; NULL for a flag */
  const char *help;
} CmdOption;

enum { CMD_WORDS_MAX = 64 };

typedef struct CommandLine {
  /* Filled in by the command. */
  const char *name, *about; /* about: a paragraph for --help, lines of at most 80 columns */
  const char *words_help;   /* words the command takes, as in its usage line: "FILE"; or NULL */
  int words_min, words_max; /* of them */
  bool no_data;             /* the command reads no images: data.path may be missing */
  bool silent;              /* says nothing of a wrong command line or configuration */
  const CmdOption *options; /* beside --config, --set, --help and --version */
  int option_count;
  /* Puts a configuration other than the defaults into line->config, over which files and settings
   * are then read: a checkpoint's. Called when options and words are known. NULL: the defaults. */
  bool (*base)(struct CommandLine *, Error *);
  /* Filled in by cmd_parse. */
  Config config;
  const char *words[CMD_WORDS_MAX];
  int word_count;
} CommandLine;

/* Reads the command line: --config FILE or a word ending in .ini (in order, later over earlier),
 * then every --set section.key=value; options also as --name=value. The configuration is validated.
 * False: help, the version or an error was printed, and *code is the exit code. */
bool cmd_parse(CommandLine *, int argc, char **argv, int *code);
/* Prints "mae NAME: message" to standard error and returns the error's exit code. */
int cmd_fail(const char *name, const Error *);

#endif
