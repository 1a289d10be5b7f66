/* room.h - whether a plan fits on the disk, and on how much of it that it may use. */
#ifndef HARNESS_RUN_ROOM_H
#define HARNESS_RUN_ROOM_H

#include "harness/run/disk.h"

/* The folder of the trials is there, or is made, and can be written to. */
bool room_writable(const char *out, Error *);
/* What a plan needs with `at_once` trials at a time, and with one: near the limit no more run. */
typedef struct Room {
  DiskPlan plan;
  double least; /* the most on the way with one trial at a time */
  int at_once;
} Room;
void room_plan(Room *, const struct Job *, int count, const char *sweep_folder, int at_once);
/* "disk: ..." in a line: what is there, at most, and in the end. */
void room_say(FILE *, const Room *);
/* limit: of --disk-limit, 0: none. A plan that passes it even with one trial at a time is an error
 * of code EXIT_DISK. One that passes what is free is warned of. */
bool room_check(const Room *, const char *experiment, const char *out, double limit, Error *);

#endif
