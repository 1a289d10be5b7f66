/* versions.h - what `--version` tells of a program's parts, for reports of errors and of results:
 * its source and compiler, the libraries that are loaded, and the GPUs. */
#ifndef MAE_RECORD_VERSIONS_H
#define MAE_RECORD_VERSIONS_H

/* Three lines on standard output. more: libraries that only the program at hand has, "SQLite
 * 3.40.1", or "". */
void versions_print(const char *more);

#endif
