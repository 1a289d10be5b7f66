/* seal.h - the seals of an event file. Every line ends with a member "seal": the first 64 bits, as
 * 16 hex digits, of the SHA-256 over the seal of the line before and the line itself up to that
 * member. A line that was changed, lost, put in or moved breaks the chain where it stands; a file
 * that was cut ends without the event `end`.
 *
 * Lines of versions before this one have no seal. The first seal behind such lines stands on the
 * hash of all of them; behind a sealed line none may be missing. */
#ifndef MAE_RECORD_SEAL_H
#define MAE_RECORD_SEAL_H

#include <stdbool.h>
#include <stddef.h>

#include "mae/base/sha256.h"

enum { SEAL_DIGITS = 16 };

typedef struct Seal {
  char last[SEAL_DIGITS + 1]; /* of the newest line; "" at the beginning of a file */
  bool sealed;                /* a line with a seal has come */
  Sha256 *unsealed;           /* over the lines without one; NULL: none */
} Seal;

void seal_begin(Seal *);
void seal_free(Seal *);
/* Writing: the seal of a line, given without its closing brace. */
void seal_make(Seal *, char digits[SEAL_DIGITS + 1], const char *line, size_t length);

/* Reading: a whole line without its newline. SEAL_BROKEN: it does not follow from those before. */
typedef enum SealState { SEAL_GOOD, SEAL_NONE, SEAL_BROKEN } SealState;
SealState seal_check(Seal *, const char *line, size_t length);
/* Goes on behind a line that was checked before. False when it has no seal. */
bool seal_continue(Seal *, const char *line, size_t length);

#endif
