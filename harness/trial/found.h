/* found.h - the experiments and trials that lie below a folder, by their files. */
#ifndef HARNESS_TRIAL_FOUND_H
#define HARNESS_TRIAL_FOUND_H

#include "harness/base/strings.h"
#include "mae/base/error.h"

/* The experiments' folders in OUT (those with a sweep.json), by name. */
void found_experiments(StringList *folders, const char *out);
/* Those with these names, with or without their scale; all when there are no names. A name that
 * none has is an error of code EXIT_CONFIG, and none at all one of code EXIT_DATA. */
bool found_named(StringList *folders, const char *out, const char *const *names, int count,
                 Error *);
/* The trials' folders of an experiment (those with a trial.json). */
void found_trials(StringList *folders, const char *sweep_folder);
/* Names in a folder that begin so; sorted. */
void found_entries(StringList *names, const char *folder, const char *start);

#endif
