/* output.c - a file written beside its place and then moved there. */
#include "harness/base/output.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness/base/strings.h"
#include "mae/base/io.h"

bool output_begin(Output *output, const char *path, Error *e) {
  *output = (Output){0};
  if (!path || !strcmp(path, "-")) {
    output->file = stdout;
    return true;
  }
  output->path = path;
  if (!io_is_stream(path)) output->partial = string_format("%s.tmp", path);
  int fd = io_create(output->partial ? output->partial : path, e);
  output->file = fd < 0 ? NULL : need(fdopen(fd, "w"));
  if (fd >= 0) return true;
  free(output->partial);
  output->partial = NULL;
  return false;
}

bool output_end(Output *output, bool ok, Error *e) {
  if (!output->file) return ok;
  const char *name = output->path ? output->path : "standard output";
  bool whole = fflush(output->file) == 0 && !ferror(output->file);
  if (ok && !whole)
    ok = error_set(e, EXIT_DATA, "%s: cannot be written: %s", name, strerror(errno));
  if (output->path) {
    ok = ok && (!output->partial || io_sync(fileno(output->file), output->partial, e));
    if (fclose(output->file) && ok)
      ok = error_set(e, EXIT_DATA, "%s: cannot be written: %s", name, strerror(errno));
  }
  if (output->partial) {
    ok = ok && io_rename(output->partial, output->path, e);
    if (!ok) unlink(output->partial);
    free(output->partial);
  }
  *output = (Output){0};
  return ok;
}
