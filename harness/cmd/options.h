/* options.h - what command lines of the `harness` program have beside base/command_line.h: settings
 * of a plan, and trials' numbers. */
#ifndef HARNESS_CMD_OPTIONS_H
#define HARNESS_CMD_OPTIONS_H

#include "harness/base/strings.h"
#include "harness/plan/plan.h"
#include "mae/base/command_line.h"

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

#endif
