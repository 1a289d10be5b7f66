/* Checking a pack that is there; pack.h gives the format, and pack_write.c writes it. */
#include "mae/data/pack.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mae/base/io.h"
#include "mae/base/sha256.h"

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "packs are mapped as they are and are little-endian"
#endif

size_t pack_index_offset(size_t pixel_bytes) {
  return (PACK_PIXELS_AT + pixel_bytes + PACK_ALIGN - 1) / PACK_ALIGN * PACK_ALIGN;
}

void pack_hash_field(char field[64], const void *bytes, size_t size) {
  char hex[65];
  sha256_bytes(hex, bytes, size);
  memcpy(field, hex, 64);
}

void pack_seal(PackHeader *header) {
  pack_hash_field(header->header_sha256, header, offsetof(PackHeader, header_sha256));
}

/* ---- Reading ---- */

static bool damaged(Error *e, const char *name, const char *what) {
  return error_set(e, EXIT_DATA, "%s: damaged pack: %s; delete the file and it is packed again",
                   name, what);
}

static bool hash_matches(const char field[64], const void *bytes, size_t size) {
  char now[64];
  pack_hash_field(now, bytes, size);
  return !memcmp(now, field, sizeof now);
}

static bool check_header(const PackHeader *h, const char *name, size_t size, Error *e) {
  if (memcmp(h->magic, PACK_MAGIC, sizeof h->magic))
    return error_set(e, EXIT_DATA, "%s: not a pack of this program", name);
  if (h->version < PACK_OF_PIXELS || h->version > PACK_OF_FILES || h->header_bytes != sizeof *h)
    return error_set(e, EXIT_DATA,
                     "%s: a pack of format %u, this program reads %d and %d; delete it and it is "
                     "packed again",
                     name, h->version, PACK_OF_PIXELS, PACK_OF_FILES);
  if (!hash_matches(h->header_sha256, h, offsetof(PackHeader, header_sha256)))
    return damaged(e, name, "the header does not match its checksum");
  if (h->file_bytes != size) return damaged(e, name, "the file is not as long as its header says");
  if (!memchr(h->source, 0, sizeof h->source)) return damaged(e, name, "its source has no end");
  if (!h->train_count || !h->eval_count || h->train_count > INT32_MAX ||
      h->eval_count > INT32_MAX || h->skipped > INT32_MAX || h->odd > INT32_MAX)
    return damaged(e, name, "impossible image counts");
  size_t index_bytes = ((size_t)h->train_count + h->eval_count) * sizeof(PackImage);
  if (h->pixel_bytes > size || index_bytes > size ||
      h->index_offset != pack_index_offset(h->pixel_bytes) ||
      h->file_bytes != h->index_offset + index_bytes)
    return damaged(e, name, "its parts do not fit together");
  return true;
}

/* Images must follow each other without gap or overlap, which also bounds every offset. */
static bool check_index(const PackImage *index, size_t count, const PackHeader *header,
                        const char *name, Error *e) {
  size_t at = 0, pixel_bytes = header->pixel_bytes;
  for (size_t i = 0; i < count; i++) {
    const PackImage *image = index + i;
    if (image->width < 1 || image->height < 1 || image->width > PICTURE_SIDE_MAX ||
        image->height > PICTURE_SIDE_MAX)
      return damaged(e, name, "an image of impossible size");
    size_t bytes = (size_t)image->width * (size_t)image->height * 3;
    if (header->version == PACK_OF_FILES) bytes = image->bytes > 0 ? (size_t)image->bytes : 0;
    if (image->offset != at || !bytes || bytes > pixel_bytes - at)
      return damaged(e, name, "an image outside its place");
    at += bytes;
  }
  return at == pixel_bytes || damaged(e, name, "bytes that belong to no image");
}

bool pack_parse(Dataset *data, const char *name, const void *bytes, size_t size, Error *e) {
  *data = (Dataset){0};
  if (size < PACK_PIXELS_AT) return damaged(e, name, "shorter than a header");
  const PackHeader *header = bytes;
  if (!check_header(header, name, size, e)) return false;
  const PackImage *index = (const PackImage *)((const char *)bytes + header->index_offset);
  size_t count = (size_t)header->train_count + header->eval_count;
  if (!hash_matches(header->index_sha256, index, count * sizeof *index))
    return damaged(e, name, "the index does not match its checksum");
  if (!check_index(index, count, header, name, e)) return false;

  snprintf(data->pack_path, sizeof data->pack_path, "%s", name);
  snprintf(data->source, sizeof data->source, "%s", header->source);
  memcpy(data->sha256, header->content_sha256, 64);
  memcpy(data->content_sha256, header->content_sha256, 64);
  data->encoded = header->version == PACK_OF_FILES;
  data->train_count = (int)header->train_count;
  data->eval_count = (int)header->eval_count;
  data->skipped = (int)header->skipped;
  data->odd = (int)header->odd;
  data->train = index;
  data->eval = index + header->train_count;
  data->pixels = (const uint8_t *)bytes + PACK_PIXELS_AT;
  data->pixel_bytes = header->pixel_bytes;
  return true;
}

bool data_open_pack(Dataset *data, const char *path, Error *e) {
  *data = (Dataset){0};
  size_t size;
  struct stat st;
  int fd = io_open(path, &size, e);
  if (fd < 0) return false;
  void *map = NULL;
  bool ok = !fstat(fd, &st) || error_set(e, EXIT_DATA, "%s: %s", path, strerror(errno));
  if (ok && size < PACK_PIXELS_AT) {
    ok = damaged(e, path, "shorter than a header");
  } else if (ok) {
    map = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (map == MAP_FAILED)
      ok = error_set(e, EXIT_DATA, "%s: cannot map: %s", path, strerror(errno));
  }
  close(fd);
  if (!ok) return false;
  ok = pack_parse(data, path, map, size, e);
  if (ok) {
    data->map = map;
    data->map_size = size;
    io_identity(data->identity, &st);
  } else {
    munmap(map, size);
  }
  return ok;
}

bool pack_verify(const Dataset *data, const ProgressListener *progress, Error *e) {
  Sha256 *content = sha256_new();
  if (!content) return error_set(e, EXIT_DEVICE, "out of memory for hashing");
  const size_t step = (size_t)64 << 20;
  for (size_t at = 0; at < data->pixel_bytes; at += step) {
    size_t left = data->pixel_bytes - at;
    sha256_add(content, data->pixels + at, left < step ? left : step);
    progress_tell(progress, "verifying", at + (left < step ? left : step), data->pixel_bytes);
  }
  uint32_t counts[2] = {(uint32_t)data->train_count, (uint32_t)data->eval_count};
  size_t images = (size_t)data->train_count + (size_t)data->eval_count;
  sha256_add(content, data->train, images * sizeof *data->train);
  sha256_add(content, counts, sizeof counts);
  char hex[65];
  sha256_finish(content, hex);
  return !strcmp(hex, data->content_sha256) ||
         damaged(e, data->pack_path, "its images do not match their SHA-256");
}

/* ---- Verifying once ---- */

static bool note_path(char *path, size_t size, const Dataset *data) {
  int n = snprintf(path, size, "%s.verified", data->pack_path);
  return n >= 0 && (size_t)n < size;
}

static size_t note_text(char text[IO_IDENTITY_MAX + 80], const Dataset *data) {
  return (size_t)snprintf(text, IO_IDENTITY_MAX + 80, "%s, sha256 %s\n", data->identity,
                          data->content_sha256);
}

void pack_note_verified(const Dataset *data) {
  char path[CONFIG_PATH_MAX + 16], text[IO_IDENTITY_MAX + 80];
  /* Without the note, the next to open the pack reads it again. */
  int fd = note_path(path, sizeof path, data) ? io_create(path, NULL) : -1;
  if (fd < 0) return;
  bool ok = io_write(fd, path, text, note_text(text, data), NULL);
  if (!io_finish(fd, path, NULL) || !ok) io_remove(path, NULL);
}

static bool is_noted(const Dataset *data) {
  char path[CONFIG_PATH_MAX + 16], text[IO_IDENTITY_MAX + 80], found[sizeof text];
  size_t size, length = note_text(text, data);
  int fd = note_path(path, sizeof path, data) ? io_open(path, &size, NULL) : -1;
  if (fd < 0) return false;
  bool same = read(fd, found, sizeof found) == (ssize_t)length && !memcmp(found, text, length);
  close(fd);
  return same;
}

bool pack_verify_once(Dataset *data, const ProgressListener *progress, Error *e) {
  if (is_noted(data)) return true;
  data->verified = pack_verify(data, progress, e);
  if (data->verified) pack_note_verified(data);
  return data->verified;
}
