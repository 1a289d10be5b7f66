/* layout.c - finding the folders of classes and images, and what is in them in a fixed order. */
#include "mae/data/layout.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "mae/base/io.h"

/* ---- Folders and images ---- */

static bool is_image_name(const char *name) {
  const char *ending = strrchr(name, '.');
  return ending && (!strcasecmp(ending, ".jpeg") || !strcasecmp(ending, ".jpg") ||
                    !strcasecmp(ending, ".png"));
}

/* By folder, then by name: a/z.png comes before a-b/c.png, and a-b/c.png before a/b/c.png. */
static int compare_paths(const void *a, const void *b) {
  const char *one = *(char *const *)a, *other = *(char *const *)b;
  const char *one_name = strrchr(one, '/'), *other_name = strrchr(other, '/');
  size_t m = one_name ? (size_t)(one_name - one) : 0,
         n = other_name ? (size_t)(other_name - other) : 0;
  int order = memcmp(one, other, m < n ? m : n);
  if (order || m != n) return order ? order : m < n ? -1 : 1;
  return strcmp(one + m, other + n);
}

/* A folder that is being listed, and those it lies in. */
typedef struct Place {
  const struct Place *above;
  dev_t device;
  ino_t file;
} Place;

typedef struct Listing {
  NameList *list;
  PassedOver *passed;
  const Tree *tree;
  const char *what;   /* is listed */
  const Place *place; /* of the folder that is being listed */
} Listing;

static void pass_over(Listing *listing, const char *name, EntryKind kind) {
  if (kind == ENTRY_DANGLING)
    passed_count(listing->passed, "dangling links", 1);
  else
    passed_count_name(listing->passed, name);
}

static bool is_hidden(Listing *listing, const char *name) {
  if (*name == '.') passed_count(listing->passed, "hidden", 1);
  return *name == '.';
}

/* Ends a listing: its count goes into the caller's, and an empty one says what is there instead. */
static bool finish(Listing *listing, const char *folder, bool ok, PassedOver *passed, Error *e) {
  char text[PASSED_TEXT], name[TREE_NAME_MAX];
  passed_describe(text, listing->passed);
  tree_name(name, listing->tree, folder);
  if (ok && !listing->list->count)
    ok = error_set(e, EXIT_DATA, "%.600s: no %s in this folder%s%s%s", name, listing->what,
                   *text ? " (" : "", text, *text ? ")" : "");
  passed_add_up(passed, listing->passed);
  if (!ok) names_free(listing->list);
  return ok;
}

static bool take_folder(void *user, const char *path, const char *name, EntryKind kind, Error *e) {
  Listing *listing = user;
  (void)path;
  if (is_hidden(listing, name)) return true;
  if (kind == ENTRY_FOLDER) return names_add(listing->list, name, e);
  pass_over(listing, name, kind);
  return true;
}

bool layout_folders(NameList *list, const Tree *tree, const char *folder, const char *what,
                    PassedOver *passed, Error *e) {
  PassedOver own = {0};
  Listing listing = {.list = list, .passed = &own, .tree = tree, .what = what};
  *list = (NameList){0};
  bool ok = tree_each(tree, folder, take_folder, &listing, e);
  ok = finish(&listing, folder, ok, passed, e);
  if (ok) names_sort(list);
  return ok;
}

static bool list_images(Listing *listing, const char *folder, Error *e);

static bool take_image(void *user, const char *path, const char *name, EntryKind kind, Error *e) {
  Listing *listing = user;
  if (is_hidden(listing, name)) return true;
  if (kind == ENTRY_FOLDER) return list_images(listing, path, e);
  /* A dangling link with an image's name is an image that cannot be read. */
  if (is_image_name(name)) return names_add(listing->list, path, e);
  pass_over(listing, name, kind);
  return true;
}

static bool list_images(Listing *listing, const char *folder, Error *e) {
  char full[TREE_NAME_MAX];
  struct stat about;
  if (listing->tree->archives) return tree_each(listing->tree, folder, take_image, listing, e);
  tree_name(full, listing->tree, folder);
  if (stat(full, &about)) return tree_each(listing->tree, folder, take_image, listing, e);
  const Place *above = listing->place;
  Place place = {above, about.st_dev, about.st_ino};
  for (const Place *p = above; p; p = p->above)
    if (p->device == place.device && p->file == place.file) {
      passed_count(listing->passed, "links in a circle", 1);
      return true;
    }
  listing->place = &place;
  bool ok = tree_each(listing->tree, folder, take_image, listing, e);
  listing->place = above;
  return ok;
}

bool layout_images(NameList *list, const Tree *tree, const char *folder, PassedOver *passed,
                   Error *e) {
  PassedOver own = {0};
  Listing listing = {.list = list, .passed = &own, .tree = tree, .what = "JPEG or PNG files"};
  *list = (NameList){0};
  bool ok = list_images(&listing, folder, e);
  ok = finish(&listing, folder, ok, passed, e);
  if (ok && list->count) qsort(list->names, list->count, sizeof *list->names, compare_paths);
  return ok;
}

/* ---- The top ---- */

bool layout_has_folder(const Tree *tree, const char *folder, const char *name) {
  char path[CONFIG_PATH_MAX];
  if (!*folder) return tree_kind(tree, name) == ENTRY_FOLDER;
  return io_join(path, sizeof path, folder, name, NULL) && tree_kind(tree, path) == ENTRY_FOLDER;
}

static bool take_inner(void *user, const char *path, const char *name, EntryKind kind, Error *e) {
  /* Archives made on a Mac have a second tree of attributes. */
  bool enter = kind == ENTRY_FOLDER && *name != '.' && strcmp(name, "__MACOSX") != 0;
  return !enter || names_add(user, path, e);
}

/* The next level; a folder that cannot be opened is one that holds nothing. */
static bool descend(NameList *level, const Tree *tree, Error *e) {
  enum { FOLDERS_MAX = 4096 };
  NameList inner = {0};
  bool ok = true;
  for (size_t i = 0; ok && i < level->count && inner.count < FOLDERS_MAX; i++) {
    Error problem = {0};
    ok =
        tree_each(tree, level->names[i], take_inner, &inner, &problem) || problem.code == EXIT_DATA;
    if (!ok && e) *e = problem;
  }
  names_free(level);
  *level = inner;
  names_sort(level);
  return ok;
}

bool layout_enter(Tree *tree, LayoutIsTop is_top, Error *e) {
  NameList level = {0};
  const char *top = NULL;
  bool ok = names_add(&level, "", e);
  for (int depth = 0; ok && !top && depth <= LAYOUT_DEPTH && level.count; depth++) {
    if (depth && !(ok = descend(&level, tree, e))) break;
    for (size_t i = 0; ok && i < level.count; i++) {
      if (!is_top(tree, level.names[i])) continue;
      if (top) {
        char one[TREE_NAME_MAX], other[TREE_NAME_MAX];
        tree_name(one, tree, top);
        tree_name(other, tree, level.names[i]);
        ok = error_set(e, EXIT_DATA,
                       "%.400s and %.400s are both data sets: set data.path to one of them", one,
                       other);
      }
      top = level.names[i];
    }
  }
  ok = ok && (!top || tree_enter(tree, top, e));
  names_free(&level);
  return ok;
}

/* ---- The held-out images ---- */

static bool take_class(void *user, const char *path, const char *name, EntryKind kind, Error *e) {
  (void)path;
  (void)e;
  if (kind == ENTRY_FOLDER && *name != '.' && strcmp(name, "images") != 0) *(bool *)user = true;
  return true;
}

bool layout_has_classes(const Tree *tree, const char *folder) {
  bool found = false;
  tree_each(tree, folder, take_class, &found, NULL);
  return found;
}

static bool holds_labels(const Tree *tree, const char *folder, const char *annotations) {
  char path[CONFIG_PATH_MAX];
  bool annotated = annotations && io_join(path, sizeof path, folder, annotations, NULL) &&
                   tree_kind(tree, path) == ENTRY_FILE;
  return annotated || layout_has_classes(tree, folder);
}

const char *layout_held_out(const Tree *tree, const char *annotations, Error *e) {
  static const char *const names[] = {"val", "valid", "validation", "test", NULL};
  char top[TREE_NAME_MAX];
  for (int i = 0; names[i]; i++)
    if (layout_has_folder(tree, "", names[i]) && holds_labels(tree, names[i], annotations))
      return names[i];
  if (layout_has_folder(tree, "", "val")) return "val";
  tree_name(top, tree, "");
  error_set(e, EXIT_DATA,
            "%.600s: no held-out images: none of val, valid, validation and test is a folder of "
            "classes there; data.holdout = 0.1 draws a tenth of the training images instead",
            top);
  return NULL;
}
