/* fuzz.h - what the fuzz targets share. A target is one function that takes any bytes; libFuzzer
 * drives it in `make fuzz`, replay.c in every test run. */
#ifndef TESTS_FUZZ_H
#define TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "mae/base/error.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What a reader promises: success, or an error with a code and one line of text. */
static inline void fuzz_check(bool ok, const Error *e) {
  bool told = e->code != 0 && e->message[0] != 0;
  for (const char *c = e->message; !ok && *c; c++) told &= *c != '\n';
  if (ok || told) return;
  fprintf(stderr, "failed without saying why: code %d, \"%s\"\n", e->code, e->message);
  abort();
}

/* Reads every byte, so that a sanitizer sees one that is not there. */
static inline void fuzz_touch(const void *bytes, size_t size) {
  static volatile unsigned sink;
  unsigned sum = 0;
  for (size_t i = 0; i < size; i++) sum += ((const uint8_t *)bytes)[i];
  sink = sum;
  (void)sink;
}

#endif
