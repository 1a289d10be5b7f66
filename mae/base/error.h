/* error.h - the one error type of both programs, and the exit codes a user sees.
 * A function that can fail takes an Error * last, returns false (or NULL), and fills it once. Who
 * does not want to know why passes NULL. */
#ifndef MAE_BASE_ERROR_H
#define MAE_BASE_ERROR_H

#include <stdbool.h>

enum {
  EXIT_OK = 0,
  EXIT_CONFIG = 2,    /* usage or configuration */
  EXIT_DEVICE = 3,    /* device or memory (mae); verification mismatch (harness) */
  EXIT_DATA = 4,      /* data, files, missing resource */
  EXIT_NONFINITE = 5, /* the loss is not a finite number */
  EXIT_DISK = 73,     /* --disk-limit leaves no room; sysexits.h calls it EX_CANTCREAT */
  /* A time limit was reached: the same command continues. sysexits.h calls it EX_TEMPFAIL. */
  EXIT_TIME = 75,
};

typedef struct Error {
  int code;           /* one of the exit codes above; 0: no error */
  char message[1024]; /* one line, no control characters */
} Error;

/* Fills e, unless it is NULL, with a printf-style message and returns false. So do the other two.
 */
bool error_set(Error *e, int code, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* Puts "prefix: " in front of the message and returns false. */
bool error_prefix(Error *e, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Puts "; rest" behind the message, cutting the message when both do not fit; returns false. */
bool error_suffix(Error *e, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
