/* artifact.c - reading a trial's files by what the database knows of them. */
#include "harness/store/artifact.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mae/base/io.h"
#include "mae/base/sha256.h"

/* "/..." as it is, else below `folder`, that below the database's folder. */
static char *path_of(const Store *store, const char *folder, const char *path) {
  if (*path == '/') return string_copy(path);
  if (*folder == '/') return string_format("%s/%s", folder, path);
  return string_format("%s/%s/%s", store_folder(store), folder, path);
}

static unsigned char *read_all(const char *path, size_t *size) {
  int fd = io_open(path, size, NULL);
  if (fd < 0) return NULL;
  unsigned char *bytes = malloc(*size + 1);
  size_t have = 0;
  for (ssize_t n; bytes && have < *size && (n = read(fd, bytes + have, *size - have)) > 0;)
    have += (size_t)n;
  close(fd);
  if (bytes && have == *size) return bytes;
  free(bytes);
  return NULL;
}

bool artifact_read(unsigned char **bytes, size_t *size, const Store *store, const char *folder,
                   const char *path, const char *sha256, Error *e) {
  char *whole = path_of(store, folder, path), hex[65];
  bool gone = access(whole, F_OK) != 0;
  *bytes = gone ? NULL : read_all(whole, size);
  free(whole);
  if (gone) return error_set(e, EXIT_DATA, "its file is gone");
  if (!*bytes) return error_set(e, EXIT_DATA, "its file cannot be read");
  sha256_bytes(hex, *bytes, *size);
  if (!strcmp(hex, sha256)) return true;
  free(*bytes);
  return error_set(e, EXIT_DATA, "the file is not the one that was recorded");
}

bool png_sides(const unsigned char *bytes, size_t size, int *width, int *height) {
  static const unsigned char begin[16] = "\x89PNG\r\n\x1a\n\0\0\0\rIHDR";
  if (size < 24 || memcmp(bytes, begin, sizeof begin) != 0) return false;
  *width = bytes[18] << 8 | bytes[19]; /* sides above 65535 pixels are nobody's sheet */
  *height = bytes[22] << 8 | bytes[23];
  return bytes[16] == 0 && bytes[17] == 0 && bytes[20] == 0 && bytes[21] == 0;
}
