/* seal.c - a chain of hashes through the lines of a file. */
#include "mae/record/seal.h"

#include <string.h>

static const char member[] = ",\"seal\":\""; /* 16 digits, then "} */
enum { MEMBER = sizeof member - 1, TAIL = MEMBER + SEAL_DIGITS + 2 };

void seal_begin(Seal *seal) {
  *seal = (Seal){.unsealed = NULL};
}

void seal_free(Seal *seal) {
  char unused[65];
  if (seal->unsealed) sha256_finish(seal->unsealed, unused);
  seal_begin(seal);
}

/* The digits that a line's seal must have, given the line up to it. Lines without a seal that came
 * before count once, as if their hash were the seal of the last. */
static void compute(Seal *seal, char digits[SEAL_DIGITS + 1], const char *line, size_t length) {
  char hex[65];
  if (seal->unsealed) {
    sha256_finish(seal->unsealed, hex);
    seal->unsealed = NULL;
    memcpy(seal->last, hex, SEAL_DIGITS);
  }
  Sha256 *hash = sha256_new();
  sha256_add(hash, seal->last, strlen(seal->last));
  sha256_add(hash, line, length);
  sha256_finish(hash, hex);
  memcpy(digits, hex, SEAL_DIGITS);
  digits[SEAL_DIGITS] = 0;
}

static void advance(Seal *seal, const char *digits) {
  memcpy(seal->last, digits, SEAL_DIGITS);
  seal->last[SEAL_DIGITS] = 0;
  seal->sealed = true;
}

void seal_make(Seal *seal, char digits[SEAL_DIGITS + 1], const char *line, size_t length) {
  compute(seal, digits, line, length);
  advance(seal, digits);
}

/* Where the digits stand in a line that has a seal; NULL in others. */
static const char *find_digits(const char *line, size_t length) {
  if (length < TAIL || memcmp(line + length - 2, "\"}", 2)) return NULL;
  const char *at = line + length - TAIL;
  return memcmp(at, member, MEMBER) ? NULL : at + MEMBER;
}

SealState seal_check(Seal *seal, const char *line, size_t length) {
  const char *digits = find_digits(line, length);
  char wanted[SEAL_DIGITS + 1];
  if (!digits) {
    if (seal->sealed) return SEAL_BROKEN;
    if (!seal->unsealed) seal->unsealed = sha256_new();
    sha256_add(seal->unsealed, line, length);
    sha256_add(seal->unsealed, "\n", 1);
    return SEAL_NONE;
  }
  compute(seal, wanted, line, length - TAIL);
  bool good = !memcmp(wanted, digits, SEAL_DIGITS);
  advance(seal, digits);
  return good ? SEAL_GOOD : SEAL_BROKEN;
}

bool seal_continue(Seal *seal, const char *line, size_t length) {
  const char *digits = find_digits(line, length);
  seal_free(seal);
  if (digits) advance(seal, digits);
  return digits != NULL;
}
