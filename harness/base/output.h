/* output.h - where a command writes what it makes: standard output, or a file that has the old
 * content or the new, never a part of it. */
#ifndef HARNESS_BASE_OUTPUT_H
#define HARNESS_BASE_OUTPUT_H

#include <stdio.h>

#include "mae/base/error.h"

typedef struct Output { /* all zero: not begun */
  FILE *file;
  const char *path; /* NULL: standard output */
  char *partial;    /* what is written until it is whole; NULL: path is written to at once */
} Output;

/* path: a file's, which must outlive the output, or that of a pipe or a device; NULL or "-" is
 * standard output. */
bool output_begin(Output *, const char *path, Error *);
/* ok: what was written is whole; else the file is left as it was. Returns whether all went well,
 * and fills e when it was not before. */
bool output_end(Output *, bool ok, Error *);

#endif
