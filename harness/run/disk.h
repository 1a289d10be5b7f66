/* disk.h - how much room trials take on a disk: what is there, what a plan needs, and what was
 * allowed (--disk-limit). Bytes are those of the files; sizes are told in decimal units, as disks
 * are sold. */
#ifndef HARNESS_RUN_DISK_H
#define HARNESS_RUN_DISK_H

#include "mae/config/config.h"

struct Job;

enum { DISK_TEXT_MAX = 32 };

/* "20GB", "1.5TB", "500 MB", "18GiB", or bytes. */
bool disk_parse(const char *text, double *bytes, Error *);
/* "17.2 GB". */
const char *disk_text(char out[DISK_TEXT_MAX], double bytes);
/* Of a file, or of all files below a folder; 0 when it is not there. */
double disk_used(const char *path);
/* Free for us on the file system where the path is or would be; NAN: not known. */
double disk_free(const char *path);

/* A trial by its configuration: while it runs, once it is done, and paused by [prune], which leaves
 * its checkpoints. stops: how often [prune] may stop it, each time with a checkpoint more. */
typedef struct DiskSizes {
  double peak, kept, paused;
} DiskSizes;
bool disk_sizes(DiskSizes *, const Config *, int64_t steps, int stops, Error *);

/* A plan, with so many trials at a time. With [prune] all trials may be paused together, and stay
 * so. */
typedef struct DiskPlan {
  double there; /* in the experiment's folder now */
  double kept;  /* there when all is done; with [prune] the most that can be */
  double peak;  /* the most on the way */
} DiskPlan;
void disk_plan(DiskPlan *, const struct Job *, int count, const char *sweep_folder, int at_once);

#endif
