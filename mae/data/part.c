/* part.c - the state of a pack that is being written. */
#include "mae/data/part.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mae/base/clock.h"
#include "mae/base/io.h"

/* Between two states pass so many times what writing one took, and at least so many seconds. */
#define SAVE_TIMES 50.0
#define SAVE_PERIOD 1.0

/* Says what to do about a disk that does not take the pack. */
static bool advise(bool written, Error *e) {
  return written || error_suffix(e, "nothing half-made is kept: make room there or set data.cache "
                                    "to another folder, then run again");
}

bool part_put(PackPart *part, const void *bytes, size_t size, Error *e) {
  return advise(io_write(part->fd, part->path, bytes, size, e), e);
}

bool part_append(PackPart *part, const PackImage *image, const void *bytes, size_t size, Error *e) {
  PackImage *placed = part->index + part->state.count;
  if (!part_put(part, bytes, size, e)) return false;
  sha256_add(part->content, bytes, size);
  *placed = *image;
  placed->offset = part->state.pixel_bytes;
  part->state.count++;
  part->state.pixel_bytes += size;
  return true;
}

/* ---- Saving ---- */

static bool write_state(const PackPart *part, int fd, const char *path, Error *e) {
  size_t index_bytes = part->state.count * sizeof *part->index;
  Sha256 *hash = sha256_new();
  char hex[65];
  sha256_add(hash, &part->state, sizeof part->state);
  sha256_add(hash, part->index, index_bytes);
  sha256_finish(hash, hex);
  return io_write(fd, path, &part->state, sizeof part->state, e) &&
         io_write(fd, path, part->index, index_bytes, e) && io_write(fd, path, hex, 64, e);
}

static bool save(PackPart *part, Error *e) {
  char temporary[sizeof part->state_path + 8], hex[65];
  snprintf(temporary, sizeof temporary, "%s.tmp", part->state_path);
  sha256_so_far(part->content, hex);
  memcpy(part->state.content_sha256, hex, sizeof part->state.content_sha256);
  part->state.saved++;
  if (!io_sync(part->fd, part->path, e)) return false;
  int fd = io_create(temporary, e);
  if (fd < 0) return false;
  bool ok = write_state(part, fd, temporary, e);
  ok = io_finish(fd, temporary, ok ? e : NULL) && ok && io_rename(temporary, part->state_path, e);
  if (!ok) io_remove(temporary, NULL);
  return ok;
}

bool part_save(PackPart *part, Error *e) {
  double began = clock_seconds();
  bool ok = advise(save(part, e), e);
  part->saved_at = clock_seconds();
  part->save_took = part->saved_at - began;
  return ok;
}

bool part_save_sometimes(PackPart *part, Error *e) {
  double wait = SAVE_TIMES * part->save_took;
  if (clock_seconds() - part->saved_at < (wait > SAVE_PERIOD ? wait : SAVE_PERIOD)) return true;
  return part_save(part, e);
}

/* ---- Going on ---- */

static bool read_all(int fd, void *out, size_t size) {
  for (size_t have = 0; have < size;) {
    ssize_t n = read(fd, (char *)out + have, size - have);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    have += (size_t)n;
  }
  return true;
}

/* Whether the state is one of this source, and whole. */
static bool read_state(PackPart *part, const Source *source, int fd, size_t size) {
  PartState state;
  uint64_t offered = (uint64_t)source->count[SPLIT_TRAIN] + (uint64_t)source->count[SPLIT_EVAL];
  if (!read_all(fd, &state, sizeof state) || memcmp(state.magic, PART_MAGIC, sizeof state.magic) ||
      memcmp(state.fingerprint, source->fingerprint, sizeof state.fingerprint) ||
      state.loaded > offered || state.count > state.loaded || state.train_count > state.count)
    return false;
  size_t index_bytes = state.count * sizeof *part->index;
  char found[64], hex[65];
  if (size != sizeof state + index_bytes + sizeof found ||
      !read_all(fd, part->index, index_bytes) || !read_all(fd, found, sizeof found))
    return false;
  part->state = state;
  Sha256 *hash = sha256_new();
  sha256_add(hash, &state, sizeof state);
  sha256_add(hash, part->index, index_bytes);
  sha256_finish(hash, hex);
  return !memcmp(hex, found, sizeof found);
}

/* Reads the images that are there into the hash of the content, which must be what the state says
 * that it was. */
static bool read_content(PackPart *part, const ProgressListener *progress) {
  size_t total = part->state.pixel_bytes, piece = (size_t)4 << 20;
  char hex[65], *bytes = malloc(piece);
  bool ok = bytes && lseek(part->fd, PACK_PIXELS_AT, SEEK_SET) == PACK_PIXELS_AT;
  for (size_t at = 0; ok && at < total; at += piece) {
    size_t size = total - at < piece ? total - at : piece;
    ok = read_all(part->fd, bytes, size);
    if (ok) sha256_add(part->content, bytes, size);
    progress_tell(progress, "reading what was packed before", at + size, total);
  }
  free(bytes);
  if (!ok) return false;
  sha256_so_far(part->content, hex);
  return !memcmp(hex, part->state.content_sha256, sizeof part->state.content_sha256);
}

static bool go_on(PackPart *part, const Source *source, bool skip_bad,
                  const ProgressListener *progress) {
  size_t size;
  int fd = io_open(part->state_path, &size, NULL);
  if (fd < 0) return false;
  bool ok = read_state(part, source, fd, size) && (skip_bad || !part->state.skipped);
  close(fd);
  part->fd = ok ? open(part->path, O_RDWR | O_CLOEXEC) : -1;
  off_t end = (off_t)(PACK_PIXELS_AT + part->state.pixel_bytes);
  ok = part->fd >= 0 && read_content(part, progress) && !ftruncate(part->fd, end) &&
       lseek(part->fd, end, SEEK_SET) == end;
  if (!ok && part->fd >= 0) close(part->fd);
  return ok;
}

static bool begin(PackPart *part, const Source *source, Error *e) {
  static const char zeros[PACK_PIXELS_AT];
  char hex[65];
  sha256_finish(part->content, hex); /* with what another packing left */
  part->content = sha256_new();
  part->state = (PartState){.magic = PART_MAGIC};
  memcpy(part->state.fingerprint, source->fingerprint, sizeof part->state.fingerprint);
  io_remove(part->state_path, NULL);
  part->fd = io_create(part->path, e);
  return advise(part->fd >= 0, e) && part_put(part, zeros, sizeof zeros, e);
}

bool part_open(PackPart *part, const char *path, const Source *source, bool skip_bad,
               const ProgressListener *progress, Error *e) {
  size_t offered = (size_t)source->count[SPLIT_TRAIN] + (size_t)source->count[SPLIT_EVAL];
  *part = (PackPart){.fd = -1, .saved_at = clock_seconds()};
  snprintf(part->path, sizeof part->path, "%s", path);
  snprintf(part->state_path, sizeof part->state_path, "%s.state", path);
  part->index = io_buffer((offered + 1) * sizeof *part->index, "the index of a pack", e);
  if (!part->index) return false;
  part->content = sha256_new();
  if (!go_on(part, source, skip_bad, progress)) return begin(part, source, e);
  char text[128];
  snprintf(text, sizeof text,
           "going on with a packing that was interrupted after %llu of %zu images",
           (unsigned long long)part->state.loaded, offered);
  progress_tell(progress, text, 0, 0);
  return true;
}

bool part_close(PackPart *part, Error *e) {
  char hex[65];
  bool ok = part->fd < 0 || advise(io_finish(part->fd, part->path, e), e);
  if (part->content) sha256_finish(part->content, hex);
  free(part->index);
  part->fd = -1;
  part->content = NULL;
  part->index = NULL;
  return ok;
}

void part_remove_state(const char *path) {
  char state[PART_PATH_MAX + 8];
  snprintf(state, sizeof state, "%s.state", path);
  io_remove(state, NULL);
}

void part_remove(const char *path) {
  io_remove(path, NULL);
  part_remove_state(path);
}
