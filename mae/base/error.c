/* Filling in the one error type. */
#include "mae/base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* What a file holds may be quoted in a message: control characters must neither break its line nor
 * reach a terminal. */
static void clean(Error *e) {
  for (char *c = e->message; *c; c++)
    if ((unsigned char)*c < ' ' || *c == 127) *c = '?';
}

bool error_set(Error *e, int code, const char *format, ...) {
  if (!e) return false;
  va_list args;
  va_start(args, format);
  e->code = code;
  vsnprintf(e->message, sizeof e->message, format, args);
  va_end(args);
  clean(e);
  return false;
}

bool error_prefix(Error *e, const char *format, ...) {
  if (!e) return false;
  char rest[sizeof e->message];
  memcpy(rest, e->message, sizeof rest);
  va_list args;
  va_start(args, format);
  int n = vsnprintf(e->message, sizeof e->message, format, args);
  va_end(args);
  int room = (int)sizeof e->message - n - 3; /* beside ": " and the end */
  if (n >= 0 && room > 0) snprintf(e->message + n, (size_t)room + 3, ": %.*s", room, rest);
  clean(e);
  return false;
}

bool error_suffix(Error *e, const char *format, ...) {
  if (!e) return false;
  char rest[sizeof e->message / 2];
  va_list args;
  va_start(args, format);
  vsnprintf(rest, sizeof rest, format, args);
  va_end(args);
  size_t room = sizeof e->message - strlen(rest) - 3, length = strlen(e->message);
  if (length > room) length = room;
  snprintf(e->message + length, sizeof e->message - length, "; %s", rest);
  clean(e);
  return false;
}
