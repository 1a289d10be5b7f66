/* cifar.c - the binary versions of CIFAR-10 (data_batch_1.bin to _5.bin and test_batch.bin) and
 * CIFAR-100 (train.bin and test.bin): rows of records of one label byte, or two of which the second
 * is the fine one, and 32x32 pixels, first all red values, then green, then blue. They are in
 * data.path or in a folder below it, or in an archive. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "mae/base/io.h"
#include "mae/base/sha256.h"
#include "mae/data/layout.h"
#include "mae/data/source.h"

enum { SIDE = 32, PLANE = SIDE * SIDE, LABELS_MAX = 2, BATCHES_MAX = 6 };

/* The last of its files is the test's. */
typedef struct Kind {
  const char *name, *title;
  int label_bytes, classes, batches;
  const char *files[BATCHES_MAX];
} Kind;

static const Kind cifar10 = {"cifar10",
                             "CIFAR-10",
                             1,
                             10,
                             6,
                             {"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin",
                              "data_batch_4.bin", "data_batch_5.bin", "test_batch.bin"}};
static const Kind cifar100 = {"cifar100", "CIFAR-100", 2, 100, 2, {"train.bin", "test.bin"}};

typedef struct Cifar {
  const Kind *kind;
  Tree tree;
  PassedOver passed;
  TreeFile file[BATCHES_MAX];
  size_t records[BATCHES_MAX];
  size_t train_total; /* of all batches but the test's */
  /* With data.holdout: training records, in their order, and held-out ones; else NULL. */
  int32_t *chosen[SPLIT_COUNT];
  size_t train_found; /* before data.train_images takes its part */
} Cifar;

static size_t record_bytes(const Cifar *cifar) {
  return (size_t)cifar->kind->label_bytes + 3 * PLANE;
}

/* The folder is known by its last file. */
static bool is_top10(const Tree *tree, const char *folder) {
  char path[CONFIG_PATH_MAX];
  int n = snprintf(path, sizeof path, "%s%stest_batch.bin", folder, *folder ? "/" : "");
  return n > 0 && n < CONFIG_PATH_MAX && tree_kind(tree, path) == ENTRY_FILE;
}

static bool is_top100(const Tree *tree, const char *folder) {
  char path[CONFIG_PATH_MAX];
  int n = snprintf(path, sizeof path, "%s%strain.bin", folder, *folder ? "/" : "");
  return n > 0 && n < CONFIG_PATH_MAX && tree_kind(tree, path) == ENTRY_FILE;
}

static void batch_name(char name[TREE_NAME_MAX], const Cifar *cifar, int batch) {
  tree_name(name, &cifar->tree, cifar->kind->files[batch]);
}

static bool add_identity(Sha256 *hash, const char *name, int batch, size_t size, Error *e) {
  struct stat st;
  char text[128];
  if (stat(name, &st))
    return error_set(e, EXIT_DATA, "%.600s: cannot open: %s", name, strerror(errno));
  int n = snprintf(text, sizeof text, "%d %zu %lld.%09ld %lld.%09ld", batch, size,
                   (long long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec, (long long)st.st_ctim.tv_sec,
                   st.st_ctim.tv_nsec);
  sha256_add(hash, text, (size_t)n + 1);
  return true;
}

static bool open_batch(Cifar *cifar, int batch, Sha256 *hash, Error *e) {
  char name[TREE_NAME_MAX];
  TreeFile *file = &cifar->file[batch];
  batch_name(name, cifar, batch);
  if (!tree_file_open(file, &cifar->tree, cifar->kind->files[batch], e)) return false;
  if (!file->size || file->size % record_bytes(cifar))
    return error_set(e, EXIT_DATA,
                     "%.600s: %zu bytes are not a whole number of %s records of %zu bytes", name,
                     file->size, cifar->kind->title, record_bytes(cifar));
  cifar->records[batch] = file->size / record_bytes(cifar);
  if (batch < cifar->kind->batches - 1) cifar->train_total += cifar->records[batch];
  return cifar->tree.archives || add_identity(hash, name, batch, file->size, e);
}

static bool cifar_load(const Source *source, int split, int index, const PictureRoom *room,
                       Picture *p, int32_t *label, Error *e) {
  room->take(room->user, 3 * PLANE);
  const Cifar *cifar = source->state;
  const Kind *kind = cifar->kind;
  bool from_test = split == SPLIT_EVAL && !cifar->chosen[SPLIT_EVAL];
  int batch = from_test ? kind->batches - 1 : 0;
  size_t record = (size_t)index;
  if (split == SPLIT_TRAIN)
    record = source_pick(record, (size_t)source->count[SPLIT_TRAIN], cifar->train_found);
  if (cifar->chosen[split]) record = (size_t)cifar->chosen[split][record];
  while (!from_test && record >= cifar->records[batch]) record -= cifar->records[batch++];
  uint8_t bytes[LABELS_MAX + 3 * PLANE];
  char name[TREE_NAME_MAX];
  batch_name(name, cifar, batch);
  if (!tree_file_read(&cifar->file[batch], bytes, record_bytes(cifar),
                      record * record_bytes(cifar)))
    return error_set(e, EXIT_DATA, "%.600s: cannot read record %zu", name, record);
  const uint8_t *pixels = bytes + kind->label_bytes;
  *label = pixels[-1];
  if (*label >= kind->classes)
    return error_set(e, EXIT_DATA, "%.600s: record %zu has label %d, there are %d classes", name,
                     record, *label, kind->classes);
  *p = (Picture){.width = SIDE, .height = SIDE, .rgb = io_buffer(3 * PLANE, "an image", e)};
  if (!p->rgb) return false;
  for (int i = 0; i < 3 * PLANE; i++) p->rgb[i] = pixels[i % 3 * PLANE + i / 3];
  return true;
}

static bool cifar_prepare(Source *source, const char *scratch, const ProgressListener *progress,
                          Error *e) {
  const Cifar *cifar = source->state;
  for (int batch = 0; batch < cifar->kind->batches; batch++)
    tree_want(&cifar->tree, cifar->kind->files[batch]);
  return tree_unpack(&cifar->tree, scratch, progress, e);
}

static void cifar_close(Source *source) {
  Cifar *cifar = source->state;
  for (int i = 0; i < BATCHES_MAX; i++) tree_file_close(&cifar->file[i]);
  for (int split = 0; split < SPLIT_COUNT; split++) free(cifar->chosen[split]);
  tree_close(&cifar->tree);
  free(cifar);
}

static bool choose(Cifar *cifar, double share, size_t *held, Error *e) {
  SourceDraw draw;
  int total = (int)cifar->train_total;
  int32_t *left = io_buffer((size_t)total * sizeof *left, "an order of images", e);
  cifar->chosen[SPLIT_TRAIN] = left;
  if (!left || !source_hold_out(&draw, total, share, e)) return false;
  for (int i = 0; i < total; i++)
    if (!draw.is_held[i]) *left++ = i;
  cifar->chosen[SPLIT_EVAL] = draw.order;
  draw.order = NULL;
  *held = (size_t)draw.held;
  source_draw_free(&draw);
  return true;
}

static bool count_images(Source *source, Cifar *cifar, const Config *config, Error *e) {
  size_t wanted = (size_t)config->data.train_images,
         held = cifar->records[cifar->kind->batches - 1];
  cifar->train_found = cifar->train_total;
  if (config->data.holdout > 0) {
    if (!choose(cifar, config->data.holdout, &held, e)) return false;
    cifar->train_found -= held;
  }
  source->found[SPLIT_TRAIN] = (int)cifar->train_found;
  source->found[SPLIT_EVAL] = source->count[SPLIT_EVAL] = (int)held;
  source->count[SPLIT_TRAIN] =
      (int)(wanted && wanted < cifar->train_found ? wanted : cifar->train_found);
  return true;
}

static bool open_files(Source *source, Cifar *cifar, const Config *config,
                       const ProgressListener *progress, Error *e) {
  Sha256 *hash = sha256_new();
  bool ok = (hash || error_set(e, EXIT_DEVICE, "out of memory for hashing")) &&
            tree_open(&cifar->tree, config, &cifar->passed, progress, e) &&
            layout_enter(&cifar->tree, cifar->kind == &cifar10 ? is_top10 : is_top100, e);
  for (int batch = 0; ok && batch < cifar->kind->batches; batch++)
    ok = open_batch(cifar, batch, hash, e);
  ok = ok && count_images(source, cifar, config, e);
  if (ok) sha256_add(hash, &source->count[SPLIT_TRAIN], sizeof source->count[SPLIT_TRAIN]);
  if (ok && config->data.holdout > 0)
    sha256_add(hash, &config->data.holdout, sizeof config->data.holdout);
  if (hash) sha256_finish(hash, source->fingerprint);
  return ok;
}

static bool cifar_open(Source *source, const Kind *kind, const Config *config,
                       const ProgressListener *progress, Error *e) {
  Cifar *cifar = io_buffer(sizeof *cifar, "the source", e);
  if (!cifar) return false;
  *cifar = (Cifar){.kind = kind};
  for (int i = 0; i < BATCHES_MAX; i++) cifar->file[i].fd = -1;
  *source = (Source){.name = kind->name,
                     .load = cifar_load,
                     .close = cifar_close,
                     .state = cifar,
                     .classes = kind->classes};
  if (!open_files(source, cifar, config, progress, e)) {
    cifar_close(source);
    return false;
  }
  if (cifar->tree.archives) source->prepare = cifar_prepare;
  return true;
}

bool source_cifar10_open(Source *source, const Config *config, const ProgressListener *progress,
                         Error *e) {
  return cifar_open(source, &cifar10, config, progress, e);
}

bool source_cifar100_open(Source *source, const Config *config, const ProgressListener *progress,
                          Error *e) {
  return cifar_open(source, &cifar100, config, progress, e);
}
