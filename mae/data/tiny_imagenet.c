/* tiny_imagenet.c - the folder layout of TinyImageNet: wnids.txt,
 * train/WNID/images/NAME.JPEG, val/images/NAME.JPEG with val/val_annotations.txt (name, WNID, box;
 * separated by tabs). */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mae/base/io.h"
#include "mae/data/files.h"

/* Calls `take` for every line that is not empty, without its end; `take` may change the line. */
typedef bool (*TakeLine)(void *user, const char *path, int number, char *line, Error *);

static bool read_lines(const char *path, TakeLine take, void *user, Error *e) {
  size_t size;
  int fd = io_open(path, &size, e);
  FILE *file = fd < 0 ? NULL : fdopen(fd, "r");
  if (fd < 0) return false;
  if (!file) {
    close(fd);
    return error_set(e, EXIT_DATA, "%s: cannot open: %s", path, strerror(errno));
  }
  char *line = NULL;
  size_t capacity = 0;
  bool ok = true;
  for (int number = 1; ok && getline(&line, &capacity, file) >= 0; number++) {
    line[strcspn(line, "\r\n")] = 0;
    if (*line) ok = take(user, path, number, line, e);
  }
  if (ok && ferror(file)) ok = error_set(e, EXIT_DATA, "%s: cannot read", path);
  free(line);
  fclose(file);
  return ok;
}

typedef struct Reader {
  SourceFiles *files;
  NameList wnids; /* sorted: a label is the place in this list */
} Reader;

static bool take_wnid(void *user, const char *path, int number, char *line, Error *e) {
  Reader *reader = user;
  if (strchr(line, '/') || *line == '.')
    return error_set(e, EXIT_DATA, "%s:%d: '%.64s' is not a WNID", path, number, line);
  return names_add(&reader->wnids, line, e);
}

static bool take_annotation(void *user, const char *path, int number, char *line, Error *e) {
  Reader *reader = user;
  char *rest = line, *name = strsep(&rest, "\t"), *wnid = strsep(&rest, "\t");
  if (!*name || strchr(name, '/') || !wnid)
    return error_set(e, EXIT_DATA, "%s:%d: not an image name, a tab and a WNID", path, number);
  int label = names_find_sorted(&reader->wnids, wnid);
  if (label < 0)
    return error_set(e, EXIT_DATA, "%s:%d: '%.64s' is not in wnids.txt", path, number, wnid);
  char relative[CONFIG_PATH_MAX];
  return io_join(relative, sizeof relative, "val/images", name, e) &&
         files_add(reader->files, SPLIT_EVAL, relative, label, e);
}

static bool add_class(Reader *reader, int label, Error *e) {
  char folder[CONFIG_PATH_MAX];
  int n = snprintf(folder, sizeof folder, "train/%s/images", reader->wnids.names[label]);
  if (n < 0 || (size_t)n >= sizeof folder)
    return error_set(e, EXIT_DATA, "%s/wnids.txt: a WNID is too long", reader->files->root);
  return files_add_folder(reader->files, SPLIT_TRAIN, folder, label, e);
}

static bool read_layout(Reader *reader, Error *e) {
  char wnids[CONFIG_PATH_MAX], annotations[CONFIG_PATH_MAX];
  if (!io_join(wnids, sizeof wnids, reader->files->root, "wnids.txt", e) ||
      !io_join(annotations, sizeof annotations, reader->files->root, "val/val_annotations.txt",
               e) ||
      !read_lines(wnids, take_wnid, reader, e))
    return false;
  NameList *list = &reader->wnids;
  if (!list->count) return error_set(e, EXIT_DATA, "%s: names no class", wnids);
  names_sort(list);
  for (size_t c = 1; c < list->count; c++)
    if (!strcmp(list->names[c - 1], list->names[c]))
      return error_set(e, EXIT_DATA, "%s: '%.64s' is there twice", wnids, list->names[c]);
  for (size_t c = 0; c < list->count; c++)
    if (!add_class(reader, (int)c, e)) return false;
  if (!read_lines(annotations, take_annotation, reader, e)) return false;
  if (!reader->files->split[SPLIT_EVAL].paths.count)
    return error_set(e, EXIT_DATA, "%s: names no image", annotations);
  return true;
}

bool source_tiny_imagenet_open(Source *source, const Config *config, Error *e) {
  Reader reader = {.files = files_new(config, e)};
  bool ok = reader.files && read_layout(&reader, e);
  names_free(&reader.wnids);
  if (ok) return files_source(source, "tiny-imagenet", reader.files, config, e);
  files_free(reader.files);
  return false;
}
