/* tiny_imagenet.c - TinyImageNet as it is published and as it is passed on.
 *
 * Published: wnids.txt, train/WNID/images/NAME.JPEG, val/images/NAME.JPEG and
 * val/val_annotations.txt (name, WNID, box; separated by tabs). Read as well: train/WNID/NAME.JPEG;
 * no wnids.txt; held-out images in val/WNID or val/WNID/images, with or without the annotations;
 * valid, validation or test in place of val. Whatever the layout, the same images come in the same
 * order: training images by class and name, held-out ones as the annotations list them, and that is
 * by the number in their names. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mae/base/io.h"
#include "mae/data/files.h"
#include "mae/data/layout.h"

static const char annotations_name[] = "val_annotations.txt";

typedef struct Reader {
  SourceFiles *files;
  bool listed;        /* wnids.txt names the classes; else the folders in train/ do */
  const char *folder; /* of the held-out images */
  int place;          /* a Place: of the last image found in it */
} Reader;

/* Calls `take` for every line that is not empty, without its end; `take` may change the line.
 * `name` is the file's for messages. */
typedef bool (*TakeLine)(Reader *, const char *name, int number, char *line, Error *);

static bool read_lines(Reader *reader, const char *path, TakeLine take, Error *e) {
  char name[TREE_NAME_MAX];
  tree_name(name, &reader->files->tree, path);
  char *text = tree_text(&reader->files->tree, path, e), *rest = text;
  bool ok = text != NULL;
  for (int number = 1; ok && rest; number++) {
    char *line = strsep(&rest, "\n");
    line[strcspn(line, "\r")] = 0;
    if (*line) ok = take(reader, name, number, line, e);
  }
  free(text);
  return ok;
}

/* ---- Classes ---- */

static bool take_wnid(Reader *reader, const char *name, int number, char *line, Error *e) {
  if (strchr(line, '/') || *line == '.')
    return error_set(e, EXIT_DATA, "%.600s:%d: '%.64s' is not a WNID", name, number, line);
  return names_add(&reader->files->classes, line, e);
}

/* Classes that are left out because wnids.txt does not list them are told. */
static bool count_unlisted(void *user, const char *path, const char *name, EntryKind kind,
                           Error *e) {
  SourceFiles *files = user;
  (void)path;
  (void)e;
  if (kind == ENTRY_FOLDER && *name != '.' && names_find_sorted(&files->classes, name) < 0)
    passed_count(&files->passed, "unlisted folders", 1);
  return true;
}

static bool list_classes(Reader *reader, Error *e) {
  static const char file[] = "wnids.txt";
  SourceFiles *files = reader->files;
  NameList *classes = &files->classes;
  char name[TREE_NAME_MAX];
  reader->listed = tree_kind(&files->tree, file) != ENTRY_NONE;
  if (!reader->listed)
    return layout_folders(classes, &files->tree, "train", "class folders", &files->passed, e);
  tree_name(name, &files->tree, file);
  if (!read_lines(reader, file, take_wnid, e)) return false;
  if (!classes->count) return error_set(e, EXIT_DATA, "%.600s: names no class", name);
  names_sort(classes);
  for (size_t c = 1; c < classes->count; c++)
    if (!strcmp(classes->names[c - 1], classes->names[c]))
      return error_set(e, EXIT_DATA, "%.600s: '%.64s' is there twice", name, classes->names[c]);
  return tree_each(&files->tree, "train", count_unlisted, files, e);
}

/* The images of train/WNID/images, or where there is no such folder of train/WNID. */
static bool add_class(Reader *reader, int label, Error *e) {
  char folder[CONFIG_PATH_MAX];
  SourceFiles *files = reader->files;
  if (!io_join(folder, sizeof folder, "train", files->classes.names[label], e)) return false;
  size_t length = strlen(folder);
  if (length + sizeof "/images" <= sizeof folder) memcpy(folder + length, "/images", 8);
  if (tree_kind(&files->tree, folder) != ENTRY_FOLDER) folder[length] = '\0';
  return files_add_folder(files, SPLIT_TRAIN, folder, label, e);
}

/* ---- Held-out images with annotations ---- */

/* Where copies have a held-out image. */
typedef enum { IN_IMAGES, IN_CLASS, IN_CLASS_IMAGES, IN_FOLDER, PLACES } Place;

/* False: it is not there, or the path is too long. */
static bool image_path(char path[CONFIG_PATH_MAX], const Reader *reader, Place place,
                       const char *name, const char *wnid) {
  bool by_class = place == IN_CLASS || place == IN_CLASS_IMAGES;
  bool in_images = place == IN_IMAGES || place == IN_CLASS_IMAGES;
  int n = snprintf(path, CONFIG_PATH_MAX, "%s%s%s%s/%s", reader->folder, by_class ? "/" : "",
                   by_class ? wnid : "", in_images ? "/images" : "", name);
  return n >= 0 && n < CONFIG_PATH_MAX && tree_kind(&reader->files->tree, path) != ENTRY_NONE;
}

static bool take_annotation(Reader *reader, const char *file, int number, char *line, Error *e) {
  char *rest = line, *name = strsep(&rest, "\t"), *wnid = strsep(&rest, "\t");
  if (!*name || strchr(name, '/') || !wnid)
    return error_set(e, EXIT_DATA, "%.600s:%d: not an image name, a tab and a WNID", file, number);
  int label = names_find_sorted(&reader->files->classes, wnid);
  if (label < 0)
    return error_set(e, EXIT_DATA, "%.600s:%d: '%.64s' is %s", file, number, wnid,
                     reader->listed ? "not in wnids.txt" : "no folder in train");
  char path[CONFIG_PATH_MAX];
  for (int i = 0; i < PLACES; i++) {
    Place place = (Place)((reader->place + i) % PLACES);
    if (!image_path(path, reader, place, name, wnid)) continue;
    reader->place = (int)place;
    return files_add(reader->files, SPLIT_EVAL, path, label, e);
  }
  /* One that is nowhere is reported when it is loaded. */
  image_path(path, reader, (Place)reader->place, name, wnid);
  return files_add(reader->files, SPLIT_EVAL, path, label, e);
}

/* ---- Held-out images in class folders ---- */

typedef struct HeldOut {
  char *path;
  int32_t label;
} HeldOut;

static const char *base_name(const char *path) {
  const char *slash = strrchr(path, '/');
  return slash ? slash + 1 : path;
}

/* val_2.JPEG comes before val_10.JPEG. */
static int compare_numbers(const void *a, const void *b) {
  const HeldOut *one = a, *other = b;
  int order = strverscmp(base_name(one->path), base_name(other->path));
  return order ? order : strcmp(one->path, other->path);
}

static bool sort_by_number(SourceFiles *files, Error *e) {
  NameList *paths = &files->split[SPLIT_EVAL].paths;
  int32_t *labels = files->split[SPLIT_EVAL].labels;
  HeldOut *images = io_buffer((paths->count + 1) * sizeof *images, "an order of images", e);
  if (!images) return false;
  for (size_t i = 0; i < paths->count; i++) images[i] = (HeldOut){paths->names[i], labels[i]};
  qsort(images, paths->count, sizeof *images, compare_numbers);
  for (size_t i = 0; i < paths->count; i++) {
    paths->names[i] = images[i].path;
    labels[i] = images[i].label;
  }
  free(images);
  return true;
}

static bool add_sorted(Reader *reader, Error *e) {
  SourceFiles *files = reader->files;
  NameList found = {0};
  if (!layout_has_classes(&files->tree, reader->folder)) {
    char name[TREE_NAME_MAX];
    tree_name(name, &files->tree, reader->folder);
    return error_set(e, EXIT_DATA,
                     "%.600s: neither %s is there nor a folder for each class: what the images "
                     "show is not known",
                     name, annotations_name);
  }
  bool ok =
      layout_folders(&found, &files->tree, reader->folder, "class folders", &files->passed, e);
  for (size_t i = 0; ok && i < found.count; i++) {
    char folder[CONFIG_PATH_MAX], name[TREE_NAME_MAX];
    int label = names_find_sorted(&files->classes, found.names[i]);
    if (!io_join(folder, sizeof folder, reader->folder, found.names[i], e)) {
      ok = false;
    } else if (label < 0) {
      tree_name(name, &files->tree, folder);
      ok = error_set(e, EXIT_DATA, "%.600s: this class is %s", name,
                     reader->listed ? "not in wnids.txt" : "no folder in train");
    } else {
      ok = files_add_folder(files, SPLIT_EVAL, folder, label, e);
    }
  }
  names_free(&found);
  return ok && sort_by_number(files, e);
}

static bool add_held_out(Reader *reader, Error *e) {
  SourceFiles *files = reader->files;
  char path[CONFIG_PATH_MAX], name[TREE_NAME_MAX];
  reader->folder = layout_held_out(&files->tree, annotations_name, e);
  if (!reader->folder || !io_join(path, sizeof path, reader->folder, annotations_name, e))
    return false;
  if (tree_kind(&files->tree, path) != ENTRY_FILE) return add_sorted(reader, e);
  if (!read_lines(reader, path, take_annotation, e)) return false;
  tree_name(name, &files->tree, path);
  return files->split[SPLIT_EVAL].paths.count > 0 ||
         error_set(e, EXIT_DATA, "%.600s: names no image", name);
}

/* ---- The source ---- */

static bool take_wnid_folder(void *user, const char *path, const char *name, EntryKind kind,
                             Error *e) {
  (void)path;
  (void)e;
  bool is_wnid = kind == ENTRY_FOLDER && *name == 'n' && strspn(name + 1, "0123456789") > 0;
  if (is_wnid) *(bool *)user = true;
  return true;
}

static bool is_top(const Tree *tree, const char *folder) {
  char path[CONFIG_PATH_MAX];
  bool found = false;
  if (!layout_has_folder(tree, folder, "train")) return false;
  snprintf(path, sizeof path, "%s%swnids.txt", folder, *folder ? "/" : "");
  if (tree_kind(tree, path) == ENTRY_FILE) return true;
  snprintf(path, sizeof path, "%s%strain", folder, *folder ? "/" : "");
  tree_each(tree, path, take_wnid_folder, &found, NULL);
  return found;
}

bool source_tiny_imagenet_open(Source *source, const Config *config,
                               const ProgressListener *progress, Error *e) {
  Reader reader = {.files = files_new(config, progress, e)};
  bool ok =
      reader.files && layout_enter(&reader.files->tree, is_top, e) && list_classes(&reader, e);
  for (size_t c = 0; ok && c < reader.files->classes.count; c++) ok = add_class(&reader, (int)c, e);
  ok = ok && (config->data.holdout > 0 || add_held_out(&reader, e));
  if (ok) return files_source(source, "tiny-imagenet", reader.files, config, e);
  files_free(reader.files);
  return false;
}
