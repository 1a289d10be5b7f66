/* state.c - the ground that the ways of joining ranks stand on: one place for the first failure,
 * and one way to a meeting. */
#include <stdarg.h>

#include "mae/ranks/parts.h"

bool ranks_gather(Ranks *ranks, void *all, const void *own, size_t bytes, Error *e) {
  ranks->meetings++;
  return ranks->link->gather(ranks, all, own, bytes, e);
}

bool ranks_fail(Ranks *ranks, const char *format, ...) {
  char why[512];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(why, sizeof why, format, arguments);
  va_end(arguments);
  pthread_mutex_lock(&ranks->lock);
  if (!ranks->failed)
    error_set(&ranks->error, EXIT_DEVICE, "%s; the last checkpoint is good, continue with --resume",
              why);
  ranks->failed = true;
  pthread_mutex_unlock(&ranks->lock);
  return false;
}

bool ranks_check(Ranks *ranks, Error *e) {
  if (!ranks->failed) return true;
  *e = ranks->error;
  return false;
}
