/* Writing files so that a crash leaves the old content or the new. Each system call first asks the
 * fault hook, through which tests make it fail. */
#include "mae/base/io.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

static IoFault fault_hook;
static void *fault_user;

void io_set_fault(IoFault hook, void *user) {
  fault_hook = hook;
  fault_user = user;
}

/* True when a test wants this call to fail; errno is set then. */
static bool fault(IoCall call, const char *path, size_t *size) {
  if (!fault_hook) return false;
  int code = fault_hook(fault_user, call, path, size);
  if (code) errno = code;
  return code != 0;
}

bool io_room(const char *path, size_t *bytes) {
  char folder[4096];
  snprintf(folder, sizeof folder, "%s", path);
  struct statvfs fs;
  while (statvfs(folder, &fs)) {
    char *slash = strrchr(folder, '/');
    if (!strcmp(folder, ".") || !strcmp(folder, "/")) return false;
    if (slash)
      *(slash == folder ? slash + 1 : slash) = 0;
    else
      strcpy(folder, ".");
  }
  *bytes = (size_t)fs.f_bavail * (size_t)fs.f_frsize;
  return fs.f_blocks > 0 && !fault(IO_ROOM, path, bytes);
}

static bool fail(const char *path, const char *what, Error *e) {
  int code = errno;
  size_t room;
  if ((code == ENOSPC || code == EDQUOT) && io_room(path, &room))
    return error_set(e, EXIT_DATA, "%s: cannot %s: %s (%.1f MB left there)", path, what,
                     strerror(code), (double)room / 1e6);
  return error_set(e, EXIT_DATA, "%s: cannot %s: %s", path, what, strerror(code));
}

int io_create(const char *path, Error *e) {
  size_t none = 0;
  int fd =
      fault(IO_OPEN, path, &none) ? -1 : open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (fd < 0) fail(path, "create", e);
  return fd;
}

int io_open(const char *path, size_t *size, Error *e) {
  struct stat about;
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0 || fstat(fd, &about)) {
    fail(path, "open", e);
  } else if (!S_ISREG(about.st_mode)) {
    error_set(e, EXIT_DATA, "%s: cannot open: not a file", path);
  } else {
    *size = (size_t)about.st_size;
    return fd;
  }
  if (fd >= 0) close(fd);
  return -1;
}

bool io_write(int fd, const char *path, const void *bytes, size_t size, Error *e) {
  const char *from = bytes;
  while (size) {
    size_t part = size;
    ssize_t done = fault(IO_WRITE, path, &part) ? -1 : write(fd, from, part);
    if (done < 0 && errno == EINTR) continue;
    if (done < 0) return fail(path, "write", e);
    from += done;
    size -= (size_t)done;
  }
  return true;
}

bool io_sync(int fd, const char *path, Error *e) {
  size_t none = 0;
  return (!fault(IO_FSYNC, path, &none) && !fsync(fd)) || fail(path, "fsync", e);
}

bool io_finish(int fd, const char *path, Error *e) {
  bool ok = io_sync(fd, path, e);
  if (close(fd) && ok) ok = fail(path, "close", e);
  return ok;
}

bool io_sync_folder(const char *path, Error *e) {
  int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return fail(path, "open", e);
  return io_finish(fd, path, e);
}

/* rename(2) refuses to replace a folder that is not empty: the two change places, and the old one
 * is removed under the new one's former name. */
static bool replace_folder(const char *from, const char *to, Error *e) {
  if (renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_EXCHANGE))
    return fail(to, "rename into place", e);
  return io_remove(from, e);
}

bool io_is_stream(const char *path) {
  struct stat st;
  return !stat(path, &st) && !S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode);
}

bool io_rename(const char *from, const char *to, Error *e) {
  size_t none = 0;
  if (io_is_stream(to)) /* a file as /dev/null would keep what all programs write to it */
    return error_set(e, EXIT_DATA, "%s: neither a file nor a folder; it is not replaced", to);
  if (fault(IO_RENAME, to, &none)) return fail(to, "rename into place", e);
  if (rename(from, to)) {
    if (errno != ENOTEMPTY && errno != EEXIST) return fail(to, "rename into place", e);
    if (!replace_folder(from, to, e)) return false;
  }
  char folder[4096];
  snprintf(folder, sizeof folder, "%s", to);
  char *slash = strrchr(folder, '/');
  if (!slash) return io_sync_folder(".", e);
  *(slash == folder ? slash + 1 : slash) = 0;
  return io_sync_folder(folder, e);
}

static bool make_folder(const char *path, Error *e) {
  size_t none = 0;
  struct stat st;
  if (!stat(path, &st) && S_ISDIR(st.st_mode)) return true;
  if (!fault(IO_MKDIR, path, &none) && !mkdir(path, 0755)) return true;
  if (errno == EEXIST && !stat(path, &st) && S_ISDIR(st.st_mode)) return true; /* another process */
  return fail(path, "make folder", e);
}

bool io_make_folders(const char *path, Error *e) {
  char part[4096];
  size_t length = strlen(path);
  if (length >= sizeof part) return error_set(e, EXIT_DATA, "%.64s...: path too long", path);
  for (size_t i = 1; i <= length; i++) {
    if (path[i] && path[i] != '/') continue;
    memcpy(part, path, i);
    part[i] = 0;
    if (!make_folder(part, e)) return false;
  }
  return true;
}

bool io_remove(const char *path, Error *e) {
  struct stat st;
  if (lstat(path, &st)) return errno == ENOENT || fail(path, "remove", e);
  if (!S_ISDIR(st.st_mode)) return !unlink(path) || errno == ENOENT || fail(path, "remove", e);
  DIR *dir = opendir(path);
  if (!dir) return fail(path, "open", e);
  bool ok = true;
  for (struct dirent *entry; ok && (entry = readdir(dir));) {
    if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..")) continue;
    char child[4096];
    ok = io_join(child, sizeof child, path, entry->d_name, e) && io_remove(child, e);
  }
  closedir(dir);
  if (ok && rmdir(path)) ok = fail(path, "remove", e);
  return ok;
}

bool io_read(int fd, const char *path, void *bytes, size_t size, Error *e) {
  for (size_t have = 0; have < size;) {
    ssize_t n = read(fd, (char *)bytes + have, size - have);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0)
      return error_set(e, EXIT_DATA, "%s: cannot read: %s", path,
                       n ? strerror(errno) : "it became shorter");
    have += (size_t)n;
  }
  return true;
}

void *io_buffer(size_t size, const char *purpose, Error *e) {
  void *buffer = fault(IO_MALLOC, purpose, &size) ? NULL : malloc(size ? size : 1);
  if (!buffer)
    error_set(e, EXIT_DEVICE, "out of memory: %.1f MB for %s", (double)size / 1e6, purpose);
  return buffer;
}

void io_identity(char text[IO_IDENTITY_MAX], const struct stat *st) {
  snprintf(text, IO_IDENTITY_MAX, "%lld bytes, file %llu, written %lld.%09ld, changed %lld.%09ld",
           (long long)st->st_size, (unsigned long long)st->st_ino, (long long)st->st_mtim.tv_sec,
           st->st_mtim.tv_nsec, (long long)st->st_ctim.tv_sec, st->st_ctim.tv_nsec);
}

bool io_join(char *out, size_t size, const char *folder, const char *name, Error *e) {
  int n = snprintf(out, size, "%s/%s", folder, name);
  if (n >= 0 && (size_t)n < size) return true;
  return error_set(e, EXIT_DATA, "%.64s.../%.64s: path too long", folder, name);
}
