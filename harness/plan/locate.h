/* locate.h - where experiments, scales and the trainer are found. */
#ifndef HARNESS_PLAN_LOCATE_H
#define HARNESS_PLAN_LOCATE_H

#include <stdbool.h>
#include <stddef.h>

#include "mae/config/config.h"

/* FILE as given, under experiments/ here, beside the program's build folder
 * (PROGRAM/../../experiments) or in the installed share folder; with or without ".ini". The message
 * of a failure says where it looked. */
bool locate_experiment(char path[CONFIG_PATH_MAX], const char *file, Error *);
/* scales/NAME.ini in the same places; a NAME with a slash or ".ini" is a path. */
bool locate_scale(char path[CONFIG_PATH_MAX], const char *name, Error *);
/* The scale of those places that was meant by the name of one that is in none of them, or NULL; the
 * caller frees. */
char *locate_near_scale(const char *name);
/* plots/draw.sh in the same places; "" where it is in none. */
void locate_plots(char path[CONFIG_PATH_MAX]);
/* The trainer: given (--mae), $MAE, or `mae` beside this program. */
bool locate_trainer(char path[CONFIG_PATH_MAX], const char *given, Error *);
/* The scale for what this machine has: "cpu", "t4x2" or "h200"; reason says why. */
const char *locate_default_scale(char *reason, size_t size);

#endif
