/* command_line.h - the command line of one command, for every command of both programs.
 *
 * A command describes its words and options and where their values go:
 *
 *   const char *out = NULL;
 *   bool resume = false;
 *   const CmdOption options[] = {
 *       {"--out", CMD_TEXT, &out, "DIR", "run folder (required)"},
 *       {"--resume", CMD_FLAG, &resume, NULL, "continue from the newest checkpoint"},
 *   };
 *   CommandLine line = {.name = "mae train", .about = "...", .options = options, .option_count =
 * 2}; int code; if (!command_line_read(&line, argc, argv, &code)) return code;
 */
#ifndef MAE_BASE_COMMAND_LINE_H
#define MAE_BASE_COMMAND_LINE_H

#include <stdbool.h>
#include <stdint.h>

#include "mae/base/error.h"

/* What the target of an option points to. */
typedef enum CmdType {
  CMD_FLAG,   /* bool; the option takes no value */
  CMD_TEXT,   /* const char *, into argv */
  CMD_COUNT,  /* int64_t, 0 or more */
  CMD_NUMBER, /* double, 0 or more */
  CMD_TIME,   /* double, seconds above 0: "11h30m", "90m", "45s", or a number of seconds */
  CMD_LIST,   /* CmdList: the option may be repeated */
  CMD_REST,   /* CmdList: all arguments that follow, whatever they are; items is NULL without it */
} CmdType;

typedef struct CmdList { /* all zero is empty */
  const char **items;    /* point into argv */
  int count;
} CmdList;

typedef struct CmdOption {
  const char *name; /* "--out" */
  CmdType type;
  void *target;
  const char *argument; /* "DIR": what its value is; NULL for a flag */
  const char *help;     /* lines after the first are indented; NULL: not shown (an older name) */
} CmdOption;

typedef struct CommandLine {
  const char *name;         /* "mae train" */
  const char *usage;        /* the words it takes, for the usage line: "FILE..."; or NULL */
  const char *about;        /* a paragraph for --help, lines of at most 80 columns */
  const char *after;        /* a line below the options; or NULL */
  const CmdOption *options; /* beside --help and --version */
  int option_count;
  int words_min, words_max;
  /* Words with this ending (".ini") are no words of the command: they go to a list, that of an
   * option. Or NULL. */
  const char *ending;
  CmdList *ended;
  bool silent; /* says nothing of a wrong command line */
  /* --help explains single topics too (--help TOPIC, --help=TOPIC); without one, topic is NULL and
   * this writes what follows the usual help. Or NULL. */
  bool (*explain)(const char *topic, Error *);
  const char *const *words; /* filled in, as is the count */
  int word_count;
} CommandLine;

/* Options are --name VALUE or --name=VALUE; what follows "--" are words only. Brings the words to
 * the front of argv, where line->words points. False when help, the version or an error was
 * printed: *code is the exit code, and lists are freed. */
bool command_line_read(CommandLine *, int argc, char **argv, int *code);
/* While there is a visitor, command_line_read() hands it each command's description instead of
 * reading arguments, and returns false with EXIT_OK: how the manual and the completions get at the
 * options of commands, which describe themselves before they do anything. NULL ends it. */
typedef void (*CommandVisitor)(const CommandLine *, void *context);
void command_line_visit(CommandVisitor, void *context);
/* Frees the lists of all options. */
void command_line_free(const CommandLine *);
/* Prints "NAME: message" to standard error and returns the error's exit code. */
int command_fail(const char *name, const Error *);

#endif
