/* lock_file.c - flock on a file that its holder removes. */
#include "mae/base/lock_file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "mae/base/clock.h"

/* The former holder removed the file when it was done: what was locked may be that removed file,
 * while another process locks a new one. Only a lock on the file that is there now counts. */
static bool is_there(int fd, const char *path) {
  struct stat locked, there;
  return !fstat(fd, &locked) && !stat(path, &there) && locked.st_ino == there.st_ino &&
         locked.st_dev == there.st_dev;
}

int lock_file_try(const char *path, bool *held, Error *e) {
  *held = false;
  for (;;) {
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    bool locked = fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0;
    if (locked && is_there(fd, path)) return fd;
    int problem = errno;
    if (fd >= 0) close(fd);
    if (locked || (fd >= 0 && problem == EINTR)) continue;
    *held = fd >= 0 && problem == EWOULDBLOCK;
    if (!*held) error_set(e, EXIT_DATA, "%s: cannot lock: %s", path, strerror(problem));
    return -1;
  }
}

int lock_file_take(const char *path, const char *waiting, const ProgressListener *progress,
                   Error *e) {
  const struct timespec between = {.tv_nsec = 50 * 1000 * 1000};
  double began = clock_seconds();
  for (;;) {
    bool held;
    int fd = lock_file_try(path, &held, e);
    if (!held) return fd;
    progress_tell(progress, waiting, (size_t)(clock_seconds() - began), PROGRESS_UNKNOWN);
    nanosleep(&between, NULL);
  }
}

void lock_file_release(int fd, const char *path) {
  unlink(path);
  close(fd);
}
