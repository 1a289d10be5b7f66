/* bundle.h - a sweep in one file: a plain tar archive of what continuing and importing need, made
 * and read by the program `tar`, which every Debian and Ubuntu has. It is not compressed: most of
 * it is weights, which no general compressor shortens by more than a tenth. */
#ifndef HARNESS_RUN_BUNDLE_H
#define HARNESS_RUN_BUNDLE_H

#include "harness/base/strings.h"
#include "mae/base/error.h"

/* Packs trials of these experiments' folders, all of one OUT: the files that folder_carried names.
 * A trial that another process works on is an error. *bytes: of the file. The file is the old one
 * or the complete new one. */
bool bundle_write(const char *file, const char *out, const StringList *experiments, double *bytes,
                  Error *);
/* The experiments in a bundle. One that is cut short, or no bundle, is an error of code EXIT_DATA.
 */
bool bundle_list(StringList *names, const char *file, Error *);
/* Unpacks one experiment below a folder. weights: with the tensors' files. */
bool bundle_unpack(const char *file, const char *experiment, const char *into, bool weights,
                   Error *);

#endif
