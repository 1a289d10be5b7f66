/* products.c - tables of products between files and the device. */
#include "mae/model/products.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mae/base/io.h"
#include "mae/base/sha256.h"
#include "mae/config/config.h"

enum { TABLE_MAX = 1 << 20 };

/* The file's bytes, to be freed. */
static char *read_table(const char *path, size_t *size, Error *e) {
  int fd = io_open(path, size, e);
  if (fd < 0) return NULL;
  char *text = NULL;
  bool ok = *size <= TABLE_MAX ||
            error_set(e, EXIT_DATA, "%s: larger than 1 MiB: this is no table of products", path);
  ok = ok && (text = io_buffer(*size, path, e)) && io_read(fd, path, text, *size, e);
  close(fd);
  if (ok) return text;
  free(text);
  return NULL;
}

static bool write_table(const char *path, const char *text, size_t size, Error *e) {
  char whole[CONFIG_PATH_MAX];
  if (snprintf(whole, sizeof whole, "%s.tmp", path) >= (int)sizeof whole)
    return error_set(e, EXIT_DATA, "%.64s...: path too long", path);
  int fd = io_create(whole, e);
  if (fd < 0) return false;
  bool ok = io_write(fd, whole, text, size, e);
  if (!io_finish(fd, whole, ok ? e : NULL)) ok = false;
  ok = ok && io_rename(whole, path, e);
  if (!ok) unlink(whole);
  return ok;
}

bool products_follow(Device *device, const char *path, const char *name, char sha256[65],
                     Error *e) {
  char message[1024];
  size_t size;
  char *text = read_table(path, &size, e);
  if (!text) return error_prefix(e, "run.products");
  bool ok = device->kernels->products_read(device, name, text, size, message, sizeof message);
  if (!ok) error_set(e, EXIT_DATA, "run.products: %s", message);
  if (sha256) sha256_bytes(sha256, text, size);
  free(text);
  return ok;
}

bool products_time(Device *device, Error *e) {
  char message[256];
  return device->kernels->products_time(device, message, sizeof message) ||
         error_set(e, EXIT_CONFIG, "--products: %s", message);
}

bool products_save(Device *device, const char *path, Error *e) {
  char *text = NULL;
  size_t size;
  FILE *memory = open_memstream(&text, &size);
  if (!memory) return error_set(e, EXIT_DEVICE, "out of memory for a table of products");
  device->kernels->products_write(device, memory);
  bool ok = !ferror(memory);
  if (fclose(memory)) ok = false;
  ok = ok ? write_table(path, text, size, e)
          : error_set(e, EXIT_DEVICE, "out of memory for a table of products");
  free(text);
  return ok;
}

bool products_copy(const char *from, const char *to, Error *e) {
  size_t size;
  char *text = read_table(from, &size, e);
  if (!text) return error_prefix(e, "run.products");
  bool ok = write_table(to, text, size, e);
  free(text);
  return ok;
}
