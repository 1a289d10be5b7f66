/* cifar10.c - CIFAR-10's binary version: data_batch_1.bin to _5.bin and test_batch.bin, each
 * a row of records of one label byte and 32x32 pixels, first all red values, then green, then blue.
 * data.path is the folder that holds them, or the one that holds cifar-10-batches-bin. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mae/base/io.h"
#include "mae/base/sha256.h"
#include "mae/data/source.h"

enum { SIDE = 32, PLANE = SIDE * SIDE, RECORD = 1 + 3 * PLANE, BATCHES = 6, TEST_BATCH = 5 };

typedef struct Cifar {
  char path[BATCHES][CONFIG_PATH_MAX + 32];
  int fd[BATCHES];
  size_t records[BATCHES];
  size_t train_total;
} Cifar;

static bool open_batch(Cifar *cifar, int batch, const char *folder, Sha256 *hash, Error *e) {
  char *path = cifar->path[batch];
  size_t room = sizeof cifar->path[batch];
  if (batch == TEST_BATCH)
    snprintf(path, room, "%s/test_batch.bin", folder);
  else
    snprintf(path, room, "%s/data_batch_%d.bin", folder, batch + 1);
  struct stat st;
  size_t size;
  cifar->fd[batch] = io_open(path, &size, e);
  if (cifar->fd[batch] < 0) return false;
  if (!size || size % RECORD)
    return error_set(e, EXIT_DATA,
                     "%s: %zu bytes are not a whole number of CIFAR-10 records of %d bytes", path,
                     size, RECORD);
  if (fstat(cifar->fd[batch], &st))
    return error_set(e, EXIT_DATA, "%s: cannot open: %s", path, strerror(errno));
  cifar->records[batch] = size / RECORD;
  if (batch != TEST_BATCH) cifar->train_total += cifar->records[batch];
  char text[128];
  int n = snprintf(text, sizeof text, "%d %zu %lld.%09ld %lld.%09ld", batch, size,
                   (long long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec, (long long)st.st_ctim.tv_sec,
                   st.st_ctim.tv_nsec);
  sha256_add(hash, text, (size_t)n + 1);
  return true;
}

static bool cifar_load(const Source *source, int split, int index, const PictureRoom *room,
                       Picture *p, int32_t *label, Error *e) {
  room->take(room->user, 3 * PLANE);
  const Cifar *cifar = source->state;
  int batch = split == SPLIT_EVAL ? TEST_BATCH : 0;
  size_t record = (size_t)index;
  if (split == SPLIT_TRAIN) {
    record = source_pick(record, (size_t)source->count[SPLIT_TRAIN], cifar->train_total);
    while (record >= cifar->records[batch]) record -= cifar->records[batch++];
  }
  uint8_t bytes[RECORD];
  if (pread(cifar->fd[batch], bytes, RECORD, (off_t)(record * RECORD)) != RECORD)
    return error_set(e, EXIT_DATA, "%s: cannot read record %zu", cifar->path[batch], record);
  if (bytes[0] > 9)
    return error_set(e, EXIT_DATA, "%s: record %zu has label %d, there are 10 classes",
                     cifar->path[batch], record, bytes[0]);
  *p = (Picture){.width = SIDE, .height = SIDE, .rgb = io_buffer(3 * PLANE, "an image", e)};
  if (!p->rgb) return false;
  for (int i = 0; i < 3 * PLANE; i++) p->rgb[i] = bytes[1 + i % 3 * PLANE + i / 3];
  *label = bytes[0];
  return true;
}

static void cifar_close(Source *source) {
  Cifar *cifar = source->state;
  for (int i = 0; i < BATCHES; i++)
    if (cifar->fd[i] >= 0) close(cifar->fd[i]);
  free(cifar);
}

bool source_cifar10_open(Source *source, const Config *config, Error *e) {
  char folder[CONFIG_PATH_MAX];
  if (!io_join(folder, sizeof folder, config->data.path, "cifar-10-batches-bin", e)) return false;
  if (access(folder, F_OK)) snprintf(folder, sizeof folder, "%s", config->data.path);

  Cifar *cifar = io_buffer(sizeof *cifar, "the source", e);
  if (!cifar) return false;
  *cifar = (Cifar){.fd = {-1, -1, -1, -1, -1, -1}};
  *source = (Source){
      .name = "cifar10", .load = cifar_load, .close = cifar_close, .state = cifar, .classes = 10};
  Sha256 *hash = sha256_new();
  bool ok = hash || error_set(e, EXIT_DEVICE, "out of memory for hashing");
  for (int batch = 0; ok && batch < BATCHES; batch++)
    ok = open_batch(cifar, batch, folder, hash, e);
  size_t wanted = (size_t)config->data.train_images;
  source->count[SPLIT_TRAIN] =
      (int)(wanted && wanted < cifar->train_total ? wanted : cifar->train_total);
  source->count[SPLIT_EVAL] = (int)cifar->records[TEST_BATCH];
  if (ok) sha256_add(hash, &source->count[SPLIT_TRAIN], sizeof source->count[SPLIT_TRAIN]);
  if (hash) sha256_finish(hash, source->fingerprint);
  if (!ok) cifar_close(source);
  return ok;
}
