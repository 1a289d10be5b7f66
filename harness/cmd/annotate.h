/* annotate.h - changes the tags and notes of a trial or an experiment: in its folder, then in the
 * database. */
#ifndef HARNESS_CMD_ANNOTATE_H
#define HARNESS_CMD_ANNOTATE_H

#include "harness/store/store.h"
#include "harness/trial/notes.h"

/* Changes what is known; false with an error leaves all as it is. */
typedef bool (*NotesChange)(Notes *, const Target *, void *context, Error *);
/* word: a trial's number or an experiment. A database that another harness writes to takes it in
 * later, which is said. */
bool annotate(const char *db, const char *word, NotesChange, void *context, Error *);

#endif
