/* Lists of image files below a folder, which the sources that read folders of files share: listing,
 * thinning out, fingerprint and loading. */
#include "mae/data/files.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "mae/base/io.h"
#include "mae/base/sha256.h"

enum { REDUCED_SIDE = 512 };

/* ---- Lists of names ---- */

static bool grow(void **list, size_t *capacity, size_t count, size_t element, Error *e) {
  if (count < *capacity) return true;
  size_t wanted = *capacity ? *capacity * 2 : 256;
  void *bigger = realloc(*list, wanted * element);
  if (!bigger) return error_set(e, EXIT_DEVICE, "out of memory for a list of %zu files", wanted);
  *list = bigger;
  *capacity = wanted;
  return true;
}

bool names_add(NameList *list, const char *name, Error *e) {
  void *names = list->names;
  if (!grow(&names, &list->capacity, list->count, sizeof *list->names, e)) return false;
  list->names = names;
  char *copy = strdup(name);
  if (!copy) return error_set(e, EXIT_DEVICE, "out of memory for a list of files");
  list->names[list->count++] = copy;
  return true;
}

void names_free(NameList *list) {
  for (size_t i = 0; i < list->count; i++) free(list->names[i]);
  free(list->names);
  *list = (NameList){0};
}

static int compare_names(const void *a, const void *b) {
  return strcmp(*(char *const *)a, *(char *const *)b);
}

void names_sort(NameList *list) {
  if (list->count) qsort(list->names, list->count, sizeof *list->names, compare_names);
}

int names_find_sorted(const NameList *list, const char *name) {
  if (!list->count) return -1;
  char **found = bsearch(&name, list->names, list->count, sizeof *list->names, compare_names);
  return found ? (int)(found - list->names) : -1;
}

static bool is_image_name(const char *name) {
  const char *ending = strrchr(name, '.');
  return ending && (!strcasecmp(ending, ".jpeg") || !strcasecmp(ending, ".jpg") ||
                    !strcasecmp(ending, ".png"));
}

static bool is_wanted(const char *folder, const struct dirent *entry, ListKind kind) {
  if (entry->d_name[0] == '.') return false;
  if (kind == LIST_IMAGES) return is_image_name(entry->d_name);
  if (entry->d_type == DT_DIR) return true;
  if (entry->d_type != DT_LNK && entry->d_type != DT_UNKNOWN) return false;
  char path[2 * CONFIG_PATH_MAX];
  struct stat st;
  return io_join(path, sizeof path, folder, entry->d_name, NULL) && !stat(path, &st) &&
         S_ISDIR(st.st_mode);
}

bool names_list(NameList *list, const char *folder, ListKind kind, Error *e) {
  *list = (NameList){0};
  DIR *dir = opendir(folder);
  if (!dir) return error_set(e, EXIT_DATA, "%s: cannot open: %s", folder, strerror(errno));
  bool ok = true;
  errno = 0;
  for (struct dirent *entry; ok && (entry = readdir(dir)); errno = 0)
    if (is_wanted(folder, entry, kind)) ok = names_add(list, entry->d_name, e);
  if (ok && errno) ok = error_set(e, EXIT_DATA, "%s: cannot list: %s", folder, strerror(errno));
  closedir(dir);
  if (ok && !list->count)
    ok = error_set(e, EXIT_DATA, "%s: no %s in this folder", folder,
                   kind == LIST_FOLDERS ? "class folders" : "JPEG or PNG files");
  if (ok) names_sort(list);
  if (!ok) names_free(list);
  return ok;
}

/* ---- Files as a source ---- */

SourceFiles *files_new(const Config *config, Error *e) {
  SourceFiles *files = calloc(1, sizeof *files);
  if (!files) {
    error_set(e, EXIT_DEVICE, "out of memory for a list of files");
    return NULL;
  }
  snprintf(files->root, sizeof files->root, "%s", config->data.path);
  return files;
}

void files_free(SourceFiles *files) {
  if (!files) return;
  for (int split = 0; split < SPLIT_COUNT; split++) {
    names_free(&files->split[split].paths);
    free(files->split[split].labels);
  }
  free(files);
}

bool files_add(SourceFiles *files, int split, const char *path, int32_t label, Error *e) {
  size_t count = files->split[split].paths.count;
  void *labels = files->split[split].labels;
  bool ok = grow(&labels, &files->split[split].label_capacity, count, sizeof label, e);
  files->split[split].labels = labels;
  if (!ok || !names_add(&files->split[split].paths, path, e)) return false;
  files->split[split].labels[count] = label;
  return true;
}

static void keep_evenly(SourceFiles *files, size_t wanted) {
  NameList *paths = &files->split[SPLIT_TRAIN].paths;
  int32_t *labels = files->split[SPLIT_TRAIN].labels;
  size_t total = paths->count, kept = 0;
  if (!wanted || wanted >= total) return;
  for (size_t i = 0; i < total; i++) {
    if (kept < wanted && i == source_pick(kept, wanted, total)) {
      paths->names[kept] = paths->names[i];
      labels[kept++] = labels[i];
    } else {
      free(paths->names[i]);
    }
  }
  paths->count = kept;
}

void picture_reduce(Picture *p) {
  int shorter = p->width < p->height ? p->width : p->height, f = shorter / REDUCED_SIDE;
  if (f < 2) return;
  size_t width = (size_t)(p->width / f), height = (size_t)(p->height / f), row = (size_t)p->width;
  unsigned area = (unsigned)(f * f);
  for (size_t y = 0; y < height; y++)
    for (size_t i = 0; i < width * 3; i++) {
      size_t x = i / 3, c = i % 3;
      unsigned sum = area / 2;
      for (size_t dy = 0; dy < (size_t)f; dy++)
        for (size_t dx = 0; dx < (size_t)f; dx++)
          sum += p->rgb[((y * (size_t)f + dy) * row + x * (size_t)f + dx) * 3 + c];
      /* Written over the list that is read: the place written to is never ahead of the one read. */
      p->rgb[y * width * 3 + i] = (uint8_t)(sum / area);
    }
  p->width = (int)width;
  p->height = (int)height;
}

static bool files_load(const Source *source, int split, int index, Picture *p, int32_t *label,
                       Error *e) {
  const SourceFiles *files = source->state;
  char path[2 * CONFIG_PATH_MAX];
  *p = (Picture){0};
  if (!io_join(path, sizeof path, files->root, files->split[split].paths.names[index], e) ||
      !picture_read(p, path, e))
    return false;
  picture_reduce(p);
  *label = files->split[split].labels[index];
  return true;
}

static void files_close(Source *source) {
  files_free(source->state);
}

/* What is known of a file without reading it. Filled in parallel: on a network file system each
 * call may take a millisecond. */
static void describe_file(struct stat *st, const SourceFiles *files, const char *name) {
  char path[2 * CONFIG_PATH_MAX];
  memset(st, 0, sizeof *st); /* a file that vanished is reported when it is loaded */
  if (!io_join(path, sizeof path, files->root, name, NULL) || stat(path, st))
    memset(st, 0, sizeof *st);
}

static bool fingerprint_split(Sha256 *hash, const SourceFiles *files, int split, Error *e) {
  const NameList *paths = &files->split[split].paths;
  struct stat *stats = io_buffer(paths->count * sizeof *stats, "the state of every file", e);
  if (!stats) return false;
#pragma omp parallel for schedule(dynamic, 64)
  for (size_t i = 0; i < paths->count; i++) describe_file(stats + i, files, paths->names[i]);
  for (size_t i = 0; i < paths->count; i++) {
    char text[96];
    int n = snprintf(text, sizeof text, "%lld %lld.%09ld %d", (long long)stats[i].st_size,
                     (long long)stats[i].st_mtim.tv_sec, stats[i].st_mtim.tv_nsec,
                     files->split[split].labels[i]);
    sha256_add(hash, paths->names[i], strlen(paths->names[i]) + 1);
    sha256_add(hash, text, (size_t)n + 1);
  }
  sha256_add(hash, "", 1);
  free(stats);
  return true;
}

bool files_source(Source *source, const char *name, SourceFiles *files, const Config *config,
                  Error *e) {
  keep_evenly(files, (size_t)config->data.train_images);
  *source = (Source){.name = name,
                     .count = {(int)files->split[SPLIT_TRAIN].paths.count,
                               (int)files->split[SPLIT_EVAL].paths.count},
                     .load = files_load,
                     .close = files_close,
                     .state = files};
  Sha256 *hash = sha256_new();
  bool ok = hash || error_set(e, EXIT_DEVICE, "out of memory for hashing");
  if (ok) sha256_add(hash, name, strlen(name) + 1);
  for (int split = 0; ok && split < SPLIT_COUNT; split++)
    ok = fingerprint_split(hash, files, split, e);
  if (hash) sha256_finish(hash, source->fingerprint);
  if (!ok) files_free(files);
  return ok;
}
