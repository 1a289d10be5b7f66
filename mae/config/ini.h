/* ini.h - the strict INI reader shared by `mae` and `harness`.
 *
 *   include = ../scales/cpu.ini     ; before any section: read first, relative to this file
 *   [section]
 *   key = value                     ; comment; # too, after a blank or at the start of a line
 *   path = "a value; with # in it"  ; quotes around the whole value; \" and \\ inside them
 *   list = 1, 2,
 *     3, 4                          ; an indented line continues the value after one space
 *
 * Lines have no length limit; a blank line ends a value. A key is given once per file; a file that
 * includes another overrides it by coming later. Text outside a key, an unterminated quote, a
 * control character, an include that is circular or not at the top, a section without keys, and
 * sizes beyond the limits below are errors with file:line:column (columns count bytes from 1). */
#ifndef MAE_CONFIG_INI_H
#define MAE_CONFIG_INI_H

#include <stddef.h>
#include <stdio.h>

#include "mae/base/error.h"

enum {
  INI_BYTES_MAX = 16 << 20, /* of one file */
  INI_ENTRIES_MAX = 4096,   /* over all files */
  INI_FILES_MAX = 64,       /* files read, however often included */
};

typedef struct IniEntry {
  char *section, *key, *value; /* key without the section; value trimmed, continued lines joined */
  char *file;
  int line, column; /* of the value, from 1 */
} IniEntry;

typedef struct IniFile {
  IniEntry *entries; /* in order; an including file's entries come after what it includes */
  int count;
} IniFile;

/* On failure the IniFile is empty and there is nothing to free. */
bool ini_read(IniFile *, const char *path, Error *);
/* Parses text as if it came from a file called name (no includes); for tests and fuzzing. */
bool ini_parse(IniFile *, const char *name, const char *text, size_t size, Error *);
void ini_free(IniFile *);
/* Writes text as a quoted value, which the reader turns back into the same bytes. text holds no
 * control characters. */
void ini_write_quoted(FILE *, const char *text);

#endif
