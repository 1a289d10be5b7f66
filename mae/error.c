#include "mae/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

bool error_set(Error *e, int code, const char *format, ...) {
  va_list args;
  va_start(args, format);
  e->code = code;
  vsnprintf(e->message, sizeof e->message, format, args);
  va_end(args);
  return false;
}

bool error_prefix(Error *e, const char *format, ...) {
  char rest[sizeof e->message];
  memcpy(rest, e->message, sizeof rest);
  va_list args;
  va_start(args, format);
  int n = vsnprintf(e->message, sizeof e->message, format, args);
  va_end(args);
  if (n >= 0 && (size_t)n < sizeof e->message)
    snprintf(e->message + n, sizeof e->message - (size_t)n, ": %s", rest);
  return false;
}

bool error_suffix(Error *e, const char *format, ...) {
  char rest[sizeof e->message / 2];
  va_list args;
  va_start(args, format);
  vsnprintf(rest, sizeof rest, format, args);
  va_end(args);
  size_t room = sizeof e->message - strlen(rest) - 3, length = strlen(e->message);
  if (length > room) length = room;
  snprintf(e->message + length, sizeof e->message - length, "; %s", rest);
  return false;
}
