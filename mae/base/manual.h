/* manual.h - the manual page and the shells' completions of a program made of commands, from the
 * same descriptions that --help prints. */
#ifndef MAE_BASE_MANUAL_H
#define MAE_BASE_MANUAL_H

#include <stdbool.h>

#include "mae/base/commands.h"

/* The page of section 1 in roff, on standard output: `mae manual | man -l -`. */
void manual_print(const Program *);
/* A completion script for bash, zsh or fish on standard output; false: no such shell. */
bool completion_print(const Program *, const char *shell);

#endif
