/* tail.h - new lines of a growing file. Only complete lines are handed out; the rest is read again
 * when it has grown, since a restarted writer may cut a half line off. */
#ifndef HARNESS_BASE_TAIL_H
#define HARNESS_BASE_TAIL_H

#include <stddef.h>
#include <stdint.h>

typedef struct Tail {
  char *path;
  uint64_t offset; /* of the first byte not handed out */
  uint64_t seen;   /* size of the file at the last reading */
} Tail;

/* offset: of the line's first byte in the file. */
typedef void (*TailLine)(void *user, const char *line, size_t length, uint64_t offset);

void tail_open(Tail *, const char *path);
/* Number of lines handed out. A line longer than 4 MiB is handed out in pieces. */
int tail_read(Tail *, TailLine, void *user);
void tail_close(Tail *);

/* All complete lines that a file has now; one that is not there has none. */
void tail_read_file(const char *path, TailLine, void *user);

#endif
