/* events.c - builds one line of JSON and appends it with one write. */
#include "mae/record/events.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "mae/base/clock.h"
#include "mae/base/io.h"

static const char start_line[] = "{\"event\":\"start\",";
enum { START_LENGTH = sizeof start_line - 1 };

/* Reads through the file up to the end of its last complete line, `*end`: counts start events and
 * follows the seals, so that the next line goes on with them. */
static bool scan_lines(EventLog *log, off_t *end, Error *e) {
  int copy = dup(log->fd);
  FILE *file = copy < 0 ? NULL : fdopen(copy, "r");
  char *line = NULL;
  size_t capacity = 0;
  ssize_t length = -1;
  bool ok = file != NULL;
  *end = 0;
  log->attempt = 1;
  while (ok && (length = getline(&line, &capacity, file)) > 0 && line[length - 1] == '\n') {
    *end += length;
    log->lines++;
    log->attempt += length > START_LENGTH && !memcmp(line, start_line, START_LENGTH);
    if (seal_check(&log->seal, line, (size_t)length - 1) == SEAL_BROKEN) {
      ok = error_set(e, EXIT_DATA,
                     "%s:%lld: the line does not follow from those before it: one was changed or "
                     "lost; this run cannot be continued: train it again in another folder",
                     log->path, (long long)log->lines);
      break;
    }
  }
  if (ok && ferror(file)) ok = false;
  if (!ok && (!e || !e->code))
    error_set(e, EXIT_DATA, "%s: cannot read: %s", log->path, strerror(errno));
  if (file)
    fclose(file);
  else if (copy >= 0)
    close(copy);
  free(line);
  return ok;
}

bool events_open(EventLog *log, const char *path, Error *e) {
  *log = (EventLog){.fd = -1, .newest = clock_seconds()};
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
  seal_begin(&log->seal);
  if (!scan_lines(log, &end, e)) goto fail;
  if (ftruncate(log->fd, end)) {
    error_set(e, EXIT_DATA, "%s: cannot cut off the half-written last line: %s", path,
              strerror(errno));
    goto fail;
  }
  return true;

fail:
  seal_free(&log->seal);
  if (log->fd >= 0) close(log->fd);
  free(log->path);
  *log = (EventLog){.fd = -1};
  return false;
}

bool events_close(EventLog *log, Error *e) {
  if (log->fd < 0) return true;
  bool ok = io_finish(log->fd, log->path, e);
  if (log->failed) {
    if (e) *e = log->error;
    ok = false;
  }
  seal_free(&log->seal);
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
  log->durable = strcmp(name, "step") != 0 && strcmp(name, "work") != 0;
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

/* The line's last member; see seal.h. A line that cannot be written breaks nothing: no other
 * follows it. */
static void add_seal(EventLog *log) {
  char digits[SEAL_DIGITS + 1] = "";
  if (!log->line.failed) seal_make(&log->seal, digits, log->line.bytes, log->line.length);
  event_string(log, "seal", digits);
  text_add(&log->line, "}\n", 2);
}

bool event_end(EventLog *log, Error *e) {
  add_seal(log);
  if (!log->failed && !append_line(log, &log->error)) {
    log->failed = true;
    error_suffix(&log->error, "what was recorded before is intact: make room, then continue "
                              "(mae train --resume; harness run: the same command)");
  }
  if (log->failed && e) *e = log->error;
  log->lines += !log->failed;
  log->newest = clock_seconds();
  return !log->failed;
}
