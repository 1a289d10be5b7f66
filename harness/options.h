/* options.h - the command lines of the `harness` program. */
#ifndef HARNESS_OPTIONS_H
#define HARNESS_OPTIONS_H

#include "harness/plan.h"
#include "harness/strings.h"

typedef enum {
  OPTION_FLAG,
  OPTION_TEXT,
  OPTION_NUMBER
} OptionType; /* bool, const char *, double */

typedef struct Option {
  const char *name; /* "--out" */
  OptionType type;
  void *target;
  const char *argument, *help; /* "FILE", what its value is; NULL for a flag */
} Option;

typedef struct Arguments {
  const char *command, *usage, *about; /* usage: the words it takes */
  const Option *options;
  int option_count;
  int words_min, words_max;
  bool takes_settings; /* --set KEY=VALUE, repeated */
  StringList words;
  PlanOverride *settings; /* point into texts */
  StringList texts;
  int setting_count;
} Arguments;

/* Options as --name VALUE or --name=VALUE. False when help or an error was printed: *code is the
 * exit code. An unknown option brings a suggestion. */
bool arguments_read(Arguments *, int argc, char **argv, int *code);
void arguments_free(Arguments *);
/* A trial's number. */
bool parse_trial(const char *text, int64_t *trial, Error *);
/* "harness COMMAND: message" on standard error; returns the error's code. */
int command_fail(const char *command, const Error *);

#endif
