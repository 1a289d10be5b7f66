/* rapl.h - what this machine's processors take, by the counters that Linux shows of Intel's and
 * AMD's RAPL (Documentation/power/powercap): joules of whole packages, with all that runs on them.
 * Of a package's parts the memory is counted too where it has a counter: it lies outside. */
#ifndef MAE_MACHINE_RAPL_H
#define MAE_MACHINE_RAPL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { RAPL_ZONES_MAX = 64, RAPL_PATH_MAX = 256 };

typedef struct RaplZone {
  char path[RAPL_PATH_MAX]; /* of its counter, in microjoules ... */
  uint64_t range, last;     /* ... which goes on from 0 behind `range` */
} RaplZone;

typedef struct Rapl {
  int count;
  double read; /* seconds: when `last` was read */
  RaplZone zones[RAPL_ZONES_MAX];
} Rapl;

/* root: /sys/class/powercap. now: seconds of any clock that is not set back. False and why when
 * there is no such counter or one that cannot be read, which is usual: most systems let only root
 * read them. */
bool rapl_open(Rapl *, const char *root, double now, char *problem, size_t size);
/* Joules since the counters were last read. They must be read more often than they begin anew,
 * which takes minutes. False and why when one cannot be read any more, or was reset. */
bool rapl_read(Rapl *, double now, double *joules, char *problem, size_t size);

#endif
