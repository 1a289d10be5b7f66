/* events.c - builds one line of JSON and appends it with one write. */
#include "mae/record/events.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "mae/base/io.h"

static const char start_line[] = "{\"event\":\"start\",";
enum { START_LENGTH = sizeof start_line - 1 };

/* Reads through the file: *end is where its last complete line ends, *starts how many of its
 * complete lines are start events. */
static bool scan_lines(int fd, off_t *end, int *starts) {
  char chunk[1 << 16], head[START_LENGTH];
  size_t column = 0; /* bytes of the present line so far */
  bool is_start = false;
  off_t at = 0;
  ssize_t got;
  *end = *starts = 0;
  while ((got = pread(fd, chunk, sizeof chunk, at)) > 0) {
    for (ssize_t i = 0; i < got; i++) {
      if (chunk[i] == '\n') {
        *end = at + i + 1;
        *starts += is_start;
        column = 0;
        is_start = false;
        continue;
      }
      if (column < START_LENGTH) head[column] = chunk[i];
      if (++column == START_LENGTH) is_start = !memcmp(head, start_line, START_LENGTH);
    }
    at += got;
  }
  return got == 0;
}

bool events_open(EventLog *log, const char *path, Error *e) {
  *log = (EventLog){.fd = -1};
  log->path = strdup(path);
  if (!log->path) return error_set(e, EXIT_DEVICE, "%s: out of memory", path);
  log->fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (log->fd < 0) {
    error_set(e, EXIT_DATA, "%s: cannot open for writing: %s", path, strerror(errno));
    goto fail;
  }
  if (flock(log->fd, LOCK_EX | LOCK_NB) && errno == EWOULDBLOCK) {
    error_set(e, EXIT_DATA, "%s: another training process is writing to this run", path);
    goto fail;
  }
  off_t end;
  int starts;
  if (!scan_lines(log->fd, &end, &starts)) {
    error_set(e, EXIT_DATA, "%s: cannot read: %s", path, strerror(errno));
    goto fail;
  }
  if (ftruncate(log->fd, end)) {
    error_set(e, EXIT_DATA, "%s: cannot cut off the half-written last line: %s", path,
              strerror(errno));
    goto fail;
  }
  log->attempt = starts + 1;
  return true;

fail:
  if (log->fd >= 0) close(log->fd);
  free(log->path);
  *log = (EventLog){.fd = -1};
  return false;
}

bool events_close(EventLog *log, Error *e) {
  if (log->fd < 0) return true;
  bool ok = io_finish(log->fd, log->path, e);
  if (log->failed) {
    *e = log->error;
    ok = false;
  }
  text_free(&log->line);
  free(log->path);
  *log = (EventLog){.fd = -1};
  return ok;
}

static void write_key(EventLog *log, const char *key) {
  if (!log->first) text_add(&log->line, ",", 1);
  log->first = false;
  text_json_string(&log->line, key);
  text_add(&log->line, ":", 1);
}

void event_begin(EventLog *log, const char *name) {
  log->line.length = 0;
  log->first = true;
  log->durable = strcmp(name, "step") != 0;
  text_add(&log->line, "{", 1);
  event_string(log, "event", name);
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  write_key(log, "time");
  text_format(&log->line, "%lld.%06ld", (long long)now.tv_sec, now.tv_nsec / 1000);
}

void event_string(EventLog *log, const char *key, const char *value) {
  write_key(log, key);
  text_json_string(&log->line, value);
}

void event_int(EventLog *log, const char *key, int64_t value) {
  write_key(log, key);
  text_format(&log->line, "%lld", (long long)value);
}

void event_bool(EventLog *log, const char *key, bool value) {
  write_key(log, key);
  text_format(&log->line, value ? "true" : "false");
}

void event_float(EventLog *log, const char *key, float value) {
  write_key(log, key);
  text_json_number(&log->line, value, 9);
}

void event_double(EventLog *log, const char *key, double value) {
  write_key(log, key);
  text_json_number(&log->line, value, 17);
}

void event_object(EventLog *log, const char *key) {
  write_key(log, key);
  text_add(&log->line, "{", 1);
  log->first = true;
}

void event_object_end(EventLog *log) {
  text_add(&log->line, "}", 1);
  log->first = false;
}

/* Appends the line; on failure the file is as long as before, so that no half line stays between
 * two events. */
static bool append_line(EventLog *log, Error *e) {
  if (log->line.failed) return error_set(e, EXIT_DEVICE, "%s: out of memory", log->path);
  struct stat before;
  bool known = !fstat(log->fd, &before);
  bool ok = io_write(log->fd, log->path, log->line.bytes, log->line.length, e);
  if (ok) return !log->durable || io_sync(log->fd, log->path, e);
  if (known && ftruncate(log->fd, before.st_size))
    return error_prefix(e, "%s: a half-written line stays at the end", log->path);
  return false;
}

bool event_end(EventLog *log, Error *e) {
  text_add(&log->line, "}\n", 2);
  if (!log->failed && !append_line(log, &log->error)) {
    log->failed = true;
    error_suffix(&log->error, "what was recorded before is intact: make room, then continue with "
                              "the same command");
  }
  if (log->failed) *e = log->error;
  return !log->failed;
}
