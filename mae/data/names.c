/* names.c - lists of the files below a folder, in a fixed order, and what is not on them. */
#include "mae/data/names.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "mae/base/io.h"
#include "mae/config/config.h"

/* ---- Lists ---- */

bool names_grow(void **list, size_t *capacity, size_t count, size_t element, Error *e) {
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
  if (!names_grow(&names, &list->capacity, list->count, sizeof *list->names, e)) return false;
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

/* By folder, then by name: a/z.png comes before a-b/c.png, and a-b/c.png before a/b/c.png. */
static int compare_paths(const void *a, const void *b) {
  const char *one = *(char *const *)a, *other = *(char *const *)b;
  size_t m = (size_t)(strrchr(one, '/') - one), n = (size_t)(strrchr(other, '/') - other);
  int order = memcmp(one, other, m < n ? m : n);
  if (order || m != n) return order ? order : m < n ? -1 : 1;
  return strcmp(one + m, other + n);
}

/* ---- What is passed over ---- */

static void pass_over(PassedOver *passed, const char *kind, size_t count) {
  int i = 0;
  passed->total += count;
  while (i < passed->kinds && strcmp(passed->of[i].name, kind)) i++;
  if (i == PASSED_KINDS) return;
  if (i == passed->kinds)
    snprintf(passed->of[passed->kinds++].name, sizeof passed->of->name, "%s", kind);
  passed->of[i].count += count;
}

static void pass_over_ending(PassedOver *passed, const char *name) {
  char kind[sizeof passed->of->name];
  const char *ending = strrchr(name, '.');
  size_t n = 0;
  if (!ending || !ending[1] || strlen(ending) >= sizeof kind) {
    pass_over(passed, "without an ending", 1);
    return;
  }
  for (; ending[n]; n++) {
    unsigned char c = (unsigned char)ending[n];
    kind[n] = (char)(iscntrl(c) ? '?' : tolower(c));
  }
  kind[n] = '\0';
  pass_over(passed, kind, 1);
}

void passed_describe(char text[PASSED_TEXT], const PassedOver *passed) {
  enum { SHOWN = 4 };
  bool told[PASSED_KINDS] = {0};
  size_t left = passed->total;
  *text = '\0';
  if (!left) return;
  int n = snprintf(text, PASSED_TEXT, "%zu file%s passed over:", left, left == 1 ? "" : "s");
  for (int shown = 0; shown < SHOWN && shown < passed->kinds; shown++) {
    int most = -1;
    for (int i = 0; i < passed->kinds; i++)
      if (!told[i] && (most < 0 || passed->of[i].count > passed->of[most].count)) most = i;
    told[most] = true;
    left -= passed->of[most].count;
    n += snprintf(text + n, PASSED_TEXT - (size_t)n, "%s %zu %s", shown ? "," : "",
                  passed->of[most].count, passed->of[most].name);
  }
  if (left) snprintf(text + n, PASSED_TEXT - (size_t)n, ", %zu others", left);
}

/* ---- Folders ---- */

static bool is_image_name(const char *name) {
  const char *ending = strrchr(name, '.');
  return ending && (!strcasecmp(ending, ".jpeg") || !strcasecmp(ending, ".jpg") ||
                    !strcasecmp(ending, ".png"));
}

typedef enum { ENTRY_FILE, ENTRY_FOLDER, ENTRY_DANGLING } EntryKind;

static void pass_over_entry(PassedOver *passed, const char *name, EntryKind kind) {
  if (kind == ENTRY_DANGLING)
    pass_over(passed, "dangling links", 1);
  else
    pass_over_ending(passed, name);
}

static EntryKind entry_kind(const char *path, const struct dirent *entry) {
  struct stat about;
  if (entry->d_type == DT_DIR) return ENTRY_FOLDER;
  if (entry->d_type != DT_LNK && entry->d_type != DT_UNKNOWN) return ENTRY_FILE;
  if (stat(path, &about)) return ENTRY_DANGLING;
  return S_ISDIR(about.st_mode) ? ENTRY_FOLDER : ENTRY_FILE;
}

typedef struct Listing {
  NameList *list;
  PassedOver *passed;
  const char *root, *folder; /* what was asked for; paths start at the root */
  const char *what;          /* is listed */
} Listing;

/* Called for each entry of a folder that is not hidden; `path` begins at the root. */
typedef bool (*TakeEntry)(Listing *, const char *path, const char *name, EntryKind, void *user,
                          Error *);

static bool for_each_entry(Listing *listing, const char *full, const char *folder, TakeEntry take,
                           void *user, Error *e) {
  char path[CONFIG_PATH_MAX], entry_path[2 * CONFIG_PATH_MAX];
  DIR *dir = opendir(full);
  if (!dir) return error_set(e, EXIT_DATA, "%s: cannot open: %s", full, strerror(errno));
  bool ok = true;
  errno = 0;
  for (struct dirent *entry; ok && (entry = readdir(dir)); errno = 0) {
    const char *name = entry->d_name;
    if (!strcmp(name, ".") || !strcmp(name, "..")) continue;
    if (*name == '.') {
      pass_over(listing->passed, "hidden", 1);
      continue;
    }
    ok = io_join(path, sizeof path, folder, name, e) &&
         io_join(entry_path, sizeof entry_path, full, name, e) &&
         take(listing, path, name, entry_kind(entry_path, entry), user, e);
  }
  if (ok && errno) ok = error_set(e, EXIT_DATA, "%s: cannot list: %s", full, strerror(errno));
  closedir(dir);
  return ok;
}

static void add_up(PassedOver *sum, const PassedOver *more) {
  size_t named = 0;
  for (int i = 0; i < more->kinds; i++) {
    pass_over(sum, more->of[i].name, more->of[i].count);
    named += more->of[i].count;
  }
  sum->total += more->total - named;
}

/* Ends a listing: its count goes into the caller's, and an empty one says what is there instead. */
static bool finish(Listing *listing, bool ok, PassedOver *passed, Error *e) {
  char text[PASSED_TEXT];
  passed_describe(text, listing->passed);
  if (ok && !listing->list->count)
    ok = error_set(e, EXIT_DATA, "%s%s%s: no %s in this folder%s%s%s", listing->root,
                   *listing->folder ? "/" : "", listing->folder, listing->what, *text ? " (" : "",
                   text, *text ? ")" : "");
  add_up(passed, listing->passed);
  if (!ok) names_free(listing->list);
  return ok;
}

static bool take_folder(Listing *listing, const char *path, const char *name, EntryKind kind,
                        void *user, Error *e) {
  (void)path;
  (void)user;
  if (kind == ENTRY_FOLDER) return names_add(listing->list, name, e);
  pass_over_entry(listing->passed, name, kind);
  return true;
}

bool names_list_folders(NameList *list, const char *folder, PassedOver *passed, Error *e) {
  PassedOver own = {0};
  Listing listing = {
      .list = list, .passed = &own, .root = folder, .folder = "", .what = "class folders"};
  *list = (NameList){0};
  bool ok = for_each_entry(&listing, folder, "", take_folder, NULL, e);
  ok = finish(&listing, ok, passed, e);
  if (ok) names_sort(list);
  return ok;
}

/* A folder that is being listed, and those it lies in. */
typedef struct Place {
  const struct Place *above;
  dev_t device;
  ino_t file;
} Place;

static bool list_folder(Listing *listing, const char *folder, const Place *above, Error *e);

static bool take_image(Listing *listing, const char *path, const char *name, EntryKind kind,
                       void *user, Error *e) {
  if (kind == ENTRY_FOLDER) return list_folder(listing, path, user, e);
  /* A dangling link with an image's name is an image that cannot be read. */
  if (is_image_name(name)) return names_add(listing->list, path, e);
  pass_over_entry(listing->passed, name, kind);
  return true;
}

static bool list_folder(Listing *listing, const char *folder, const Place *above, Error *e) {
  char full[2 * CONFIG_PATH_MAX];
  struct stat about;
  if (!io_join(full, sizeof full, listing->root, folder, e)) return false;
  if (stat(full, &about))
    return error_set(e, EXIT_DATA, "%s: cannot open: %s", full, strerror(errno));
  Place place = {above, about.st_dev, about.st_ino};
  for (; above; above = above->above)
    if (above->device == place.device && above->file == place.file) {
      pass_over(listing->passed, "links in a circle", 1);
      return true;
    }
  return for_each_entry(listing, full, folder, take_image, &place, e);
}

bool names_list_images(NameList *list, const char *root, const char *folder, PassedOver *passed,
                       Error *e) {
  PassedOver own = {0};
  Listing listing = {
      .list = list, .passed = &own, .root = root, .folder = folder, .what = "JPEG or PNG files"};
  *list = (NameList){0};
  bool ok = list_folder(&listing, folder, NULL, e);
  ok = finish(&listing, ok, passed, e);
  if (ok) qsort(list->names, list->count, sizeof *list->names, compare_paths);
  return ok;
}
