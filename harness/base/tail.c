/* tail.c - follows a file by its offset: what is appended is read once, a half line waits until its
 * end is there. */
#include "harness/base/tail.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "harness/base/strings.h"

enum { LINE_MAX_BYTES = 4 << 20 };

void tail_open(Tail *tail, const char *path) {
  *tail = (Tail){.path = string_copy(path)};
}

void tail_close(Tail *tail) {
  free(tail->path);
  *tail = (Tail){0};
}

/* Hands out the complete lines of bytes[0..length); returns how many bytes that was. */
static size_t hand_out(Tail *tail, const char *bytes, size_t length, TailLine take, void *user,
                       int *lines) {
  size_t at = 0;
  for (;;) {
    const char *end = memchr(bytes + at, '\n', length - at);
    if (!end) break;
    size_t size = (size_t)(end - bytes) - at;
    take(user, bytes + at, size, tail->offset + at);
    ++*lines;
    at += size + 1;
  }
  if (at == 0 && length == LINE_MAX_BYTES) {
    take(user, bytes, length, tail->offset);
    ++*lines;
    at = length;
  }
  return at;
}

int tail_read(Tail *tail, TailLine take, void *user) {
  int lines = 0;
  int fd = open(tail->path, O_RDONLY | O_NONBLOCK | O_CLOEXEC); /* a FIFO must not hang us */
  struct stat info;
  if (fd < 0 || fstat(fd, &info) != 0 || !S_ISREG(info.st_mode) ||
      (uint64_t)info.st_size == tail->seen)
    goto done;
  tail->seen = (uint64_t)info.st_size;
  char *bytes = need(malloc(LINE_MAX_BYTES));
  for (;;) {
    size_t length = 0;
    ssize_t n = 0;
    while (length < LINE_MAX_BYTES && (n = pread(fd, bytes + length, LINE_MAX_BYTES - length,
                                                 (off_t)(tail->offset + length))) > 0)
      length += (size_t)n;
    size_t taken = hand_out(tail, bytes, length, take, user, &lines);
    tail->offset += taken;
    if (taken == 0 || length < LINE_MAX_BYTES) break;
  }
  free(bytes);
done:
  if (fd >= 0) close(fd);
  return lines;
}

void tail_read_file(const char *path, TailLine take, void *user) {
  Tail tail;
  tail_open(&tail, path);
  tail_read(&tail, take, user);
  tail_close(&tail);
}
