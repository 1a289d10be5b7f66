/* capture.h - runs another program and takes what it prints. */
#ifndef HARNESS_BASE_CAPTURE_H
#define HARNESS_BASE_CAPTURE_H

#include "mae/base/error.h"

typedef struct Captured {
  int code;    /* its exit code; 128 + N when it died of signal N */
  char *out;   /* standard output, whole */
  char *error; /* standard error, in one line: its lines with "; " between them */
} Captured;

/* Looks for the program on the PATH and waits for its end; it reads nothing. False, with EXIT_DATA,
 * when it cannot be started: what it says of itself is in *captured. */
bool capture(Captured *, const char *const *argv, Error *);
void captured_free(Captured *);

#endif
