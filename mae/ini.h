/* ini.h - the strict INI reader shared by `mae` and `harness`.
 *
 *   include = ../scales/cpu.ini     ; before any section: read first, relative to this file
 *   [section]
 *   key = value                     ; comment; # too; a value may be "quoted" to keep ; and #
 *     continued                     ; an indented line continues the value (long sweep lists)
 *
 * Lines have no length limit. Duplicate keys within one file, text outside a key, an unterminated
 * quote, a NUL byte and a circular include are errors with file:line:column.
 */
#ifndef MAE_INI_H
#define MAE_INI_H

#include <stddef.h>

#include "mae/error.h"

typedef struct IniEntry {
  char *section, *key, *value; /* key without the section; value trimmed, continued lines joined */
  char *file;
  int line, column; /* of the value, from 1 */
} IniEntry;

typedef struct IniFile {
  IniEntry *entries; /* in order; an including file's entries come after what it includes */
  int count;
} IniFile;

bool ini_read(IniFile *, const char *path, Error *);
/* Parses text as if it came from a file called name (no includes); for tests and fuzzing. */
bool ini_parse(IniFile *, const char *name, const char *text, size_t size, Error *);
void ini_free(IniFile *);

#endif
