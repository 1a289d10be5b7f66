/* options.h - what command lines of the `harness` program have beside base/command_line.h: options
 * that many commands have, settings of a plan, trials' numbers, and how a command ends. */
#ifndef HARNESS_CMD_OPTIONS_H
#define HARNESS_CMD_OPTIONS_H

#include "harness/base/strings.h"
#include "harness/cmd/cmd.h"
#include "harness/plan/plan.h"
#include "harness/store/store.h"
#include "mae/base/command_line.h"

/* Rows of a command's table; `target` as in CmdOption. */
#define OPTION_DB(target)                                                                          \
  { "--db", CMD_TEXT, target, "PATH", "database (" DEFAULT_DB ")" }
#define OPTION_DBS(target)                                                                         \
  { "--db", CMD_LIST, target, "PATH", "database (" DEFAULT_DB "); repeat it for several" }
#define OPTION_OUT(target)                                                                         \
  { "--out", CMD_TEXT, target, "DIR", "folder of the trials (" DEFAULT_OUT ")" }
#define OPTION_JSON(target)                                                                        \
  { "--json", CMD_FLAG, target, NULL, "print JSON" }

typedef struct Overrides { /* all zero is none */
  PlanOverride *items;     /* point into texts */
  int count;
  StringList texts;
} Overrides;

void overrides_add(Overrides *, const char *key, const char *value);
/* Adds every "section.key=value" of --set. False: one is not written so. */
bool overrides_read(Overrides *, const CmdList *settings, Error *);
void overrides_free(Overrides *);
/* A trial's number. */
bool parse_trial(const char *text, int64_t *trial, Error *);

/* Those of OPTION_DBS as one, or the usual one. */
bool open_databases(Store **, const CmdList *databases, Error *);
/* Closes the store, which may be NULL, frees the command line's lists, and says what went wrong
 * when not ok; the exit code. */
int command_end(const CommandLine *, Store *, bool ok, const Error *);

#endif
