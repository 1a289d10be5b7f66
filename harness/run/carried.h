/* carried.h - what of a trial's folder is needed to go on or to import it elsewhere. */
#ifndef HARNESS_RUN_CARRIED_H
#define HARNESS_RUN_CARRIED_H

#include "harness/base/strings.h"
#include "mae/config/config.h"

/* Files, and folders of checkpoints before what is in them, relative to the trial's folder: events,
 * launches, verifications, pictures, configuration, the table of products, and of the newest
 * checkpoint all, or, of a trial that is done, what run.keep of `config` keeps (NULL: what is
 * there). */
bool carried_files(StringList *files, const char *trial_folder, const Config *config, Error *);

#endif
