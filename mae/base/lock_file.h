/* lock_file.h - a lock that one process at a time holds, as a file that is there only while it is
 * held or waited for. The kernel releases it when its holder dies. */
#ifndef MAE_BASE_LOCK_FILE_H
#define MAE_BASE_LOCK_FILE_H

#include "mae/base/error.h"
#include "mae/base/progress.h"

/* Takes the lock: its descriptor, or -1 with an error of code EXIT_DATA. While another process has
 * it the listener hears for how many seconds that has been, under the name `waiting`: whoever
 * watches this process must not take it for one that hangs. */
int lock_file_take(const char *path, const char *waiting, const ProgressListener *, Error *);
/* Without waiting: *held, and -1 without an error, when another process has it. */
int lock_file_try(const char *path, bool *held, Error *);
void lock_file_release(int fd, const char *path);

#endif
