/* notes.h - what people say of a trial or an experiment: OUT/EXPERIMENT/notes.json and
 * OUT/EXPERIMENT/TRIAL/notes.json, the source of truth for the tables `tag` and `note`:
 * {"format":1,"tags":[text],"notes":[{"time":seconds,"text":text}]}. */
#ifndef HARNESS_TRIAL_NOTES_H
#define HARNESS_TRIAL_NOTES_H

#include "harness/base/strings.h"
#include "mae/base/error.h"

#define NOTES_FILE "notes.json"

typedef struct Note {
  double time; /* seconds since 1970 */
  char *text;
} Note;

typedef struct Notes { /* all zero is none */
  StringList tags;
  Note *notes;
  int count;
} Notes;

/* Whoever changes notes.json holds its lock from before reading it to after writing it, so that of
 * two who change it at once none loses the other's words. -1: an error of code EXIT_DATA. */
int notes_lock(const char *folder, Error *);
void notes_unlock(int lock, const char *folder);
/* No file is no notes. One that is damaged is an error of code EXIT_DATA that names it. */
bool notes_read(Notes *, const char *folder, Error *);
/* Nothing to say leaves no file. */
bool notes_write(const Notes *, const char *folder, Error *);
void notes_free(Notes *);

/* A tag is one word of letters, digits and . _ - + : /, so that a list of them can be read back; an
 * error of code EXIT_CONFIG for others. One that is there is fine; a tag to remove must be. */
bool notes_add_tag(Notes *, const char *tag, Error *);
bool notes_remove_tag(Notes *, const char *tag, Error *);
/* At most 10,000 bytes of UTF-8 without control characters but line ends. */
bool notes_add(Notes *, const char *text, double time, Error *);

#endif
