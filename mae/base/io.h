/* io.h - writing files so that a full disk, a crash or a power cut leaves the old content or the
 * new, never a mixture. Everything the trainer must not lose goes through these few calls, and
 * every one of them can be made to fail by a test (io_set_fault).
 *
 * The usual sequence: io_create NAME.tmp, io_write..., io_finish (fsync and close), io_rename. */
#ifndef MAE_BASE_IO_H
#define MAE_BASE_IO_H

#include <stddef.h>
#include <stdint.h>

#include "mae/base/error.h"

/* Errors are EXIT_DATA and name the file. For a full disk they also say how much room is left
 * there. */
int io_create(const char *path, Error *); /* new or emptied, for writing; -1 on failure */
bool io_write(int fd, const char *path, const void *bytes, size_t size, Error *); /* all of it */
bool io_sync(int fd, const char *path, Error *);
bool io_finish(int fd, const char *path, Error *); /* fsync and close; closes on failure too */
bool io_sync_folder(const char *path, Error *);
/* A device, a pipe or the like, or a link to one. */
bool io_is_stream(const char *path);
/* Renames within a folder, over an existing file or folder, and fsyncs the folder. A device or a
 * pipe in that place is an error. */
bool io_rename(const char *from, const char *to, Error *);
/* Creates a folder and those above it; an existing one is fine. */
bool io_make_folders(const char *path, Error *);
/* Removes a file, or a folder and everything below it; nothing there is fine. */
bool io_remove(const char *path, Error *);
/* Opens a regular file for reading; -1 on failure. A FIFO or a device is an error at once, not a
 * wait for somebody who writes into it. */
int io_open(const char *path, size_t *size, Error *);
/* So many bytes; fewer are an error. */
bool io_read(int fd, const char *path, void *bytes, size_t size, Error *);
/* What a file's content cannot be changed without, short of writing to the disk below it: its size,
 * its times and its number on the disk, as text. A later write may leave the same text only within
 * one tick of the file system's clock. */
enum { IO_IDENTITY_MAX = 160 };
struct stat;
void io_identity(char text[IO_IDENTITY_MAX], const struct stat *);
/* Bytes that a user may still write where a path lies, which need not be there yet; false when the
 * file system does not say. */
bool io_room(const char *path, size_t *bytes);
/* malloc for large staging buffers; NULL and EXIT_DEVICE with the size when there is no memory. */
void *io_buffer(size_t size, const char *purpose, Error *);

/* "path/name" into a buffer of CONFIG_PATH_MAX bytes or more; false when it does not fit. */
bool io_join(char *out, size_t size, const char *folder, const char *name, Error *);

/* For tests: consulted before each system call. Returns 0 to let it happen, or the errno it shall
 * fail with; may lower *size to make a write short, or room scarce. NULL ends it. */
typedef enum IoCall { IO_OPEN, IO_WRITE, IO_FSYNC, IO_RENAME, IO_MKDIR, IO_MALLOC, IO_ROOM } IoCall;
typedef int (*IoFault)(void *user, IoCall call, const char *path, size_t *size);
void io_set_fault(IoFault, void *user);

#endif
