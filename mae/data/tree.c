/* tree.c - a folder, or archives, as one tree of files. */
#include "mae/data/tree.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mae/base/io.h"
#include "mae/base/sha256.h"

/* ---- Which archives ---- */

static bool is_folder(const char *path) {
  struct stat about;
  return !stat(path, &about) && S_ISDIR(about.st_mode);
}

bool tree_archives(NameList *files, const Config *config, Error *e) {
  const char *path = config->data.path;
  *files = (NameList){0};
  if (!is_folder(path)) return names_add(files, path, e);
  if (config->data.source != SOURCE_WEBDATASET) return true;
  DIR *dir = opendir(path);
  if (!dir) return error_set(e, EXIT_DATA, "%s: cannot open: %s", path, strerror(errno));
  bool ok = true;
  for (struct dirent *entry; ok && (entry = readdir(dir));) {
    char file[CONFIG_PATH_MAX];
    const char *ending = strrchr(entry->d_name, '.');
    if (*entry->d_name == '.' || !ending || strcasecmp(ending, ".tar")) continue;
    ok = io_join(file, sizeof file, path, entry->d_name, e) &&
         (is_folder(file) || names_add(files, file, e));
  }
  closedir(dir);
  if (ok)
    names_sort(files);
  else
    names_free(files);
  return ok;
}

bool tree_identify(char hex[65], const NameList *archives, bool named, Error *e) {
  Sha256 *hash = sha256_new();
  if (!hash) return error_set(e, EXIT_DEVICE, "out of memory for hashing");
  bool ok = true;
  for (size_t i = 0; ok && i < archives->count; i++) {
    char text[128];
    struct stat st;
    const char *path = archives->names[i], *slash = strrchr(path, '/');
    if (stat(path, &st)) {
      ok = error_set(e, EXIT_DATA, "%s: cannot open: %s", path, strerror(errno));
      break;
    }
    const char *name = slash ? slash + 1 : path;
    if (named) sha256_add(hash, name, strlen(name) + 1);
    int n = snprintf(text, sizeof text, "%lld %lld.%09ld %lld.%09ld", (long long)st.st_size,
                     (long long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec, (long long)st.st_ctim.tv_sec,
                     st.st_ctim.tv_nsec);
    sha256_add(hash, text, (size_t)n + 1);
  }
  sha256_finish(hash, hex);
  return ok;
}

/* ---- Opening ---- */

bool tree_open(Tree *tree, const Config *config, PassedOver *passed,
               const ProgressListener *progress, Error *e) {
  NameList archives;
  *tree = (Tree){0};
  snprintf(tree->root, sizeof tree->root, "%s", config->data.path);
  if (!tree_archives(&archives, config, e)) return false;
  if (!archives.count) return true;
  bool mounted = config->data.source == SOURCE_WEBDATASET;
  tree->archives = archives_list(&archives, mounted, passed, progress, e);
  return tree->archives != NULL;
}

void tree_close(Tree *tree) {
  archives_free(tree->archives);
  tree->archives = NULL;
}

bool tree_enter(Tree *tree, const char *folder, Error *e) {
  char *top = tree->archives ? tree->inside : tree->root, joined[CONFIG_PATH_MAX];
  if (!*folder) return true;
  if (!*top)
    snprintf(joined, sizeof joined, "%s", folder);
  else if (!io_join(joined, sizeof joined, top, folder, e))
    return false;
  memcpy(top, joined, sizeof joined);
  return true;
}

/* ---- Paths ---- */

/* From an archive's top, or of a file below the folder. */
static bool whole_path(char out[TREE_NAME_MAX], const Tree *tree, const char *path, Error *e) {
  const char *top = tree->archives ? tree->inside : tree->root;
  if (*top && *path) return io_join(out, TREE_NAME_MAX, top, path, e);
  snprintf(out, TREE_NAME_MAX, "%s", *top ? top : path);
  return true;
}

void tree_name(char out[TREE_NAME_MAX], const Tree *tree, const char *path) {
  char whole[TREE_NAME_MAX];
  if (!whole_path(whole, tree, path, NULL)) *whole = '\0';
  if (tree->archives)
    archives_name(out, TREE_NAME_MAX, tree->archives, whole);
  else
    memcpy(out, whole, sizeof whole);
}

static EntryKind kind_of_stat(const char *path) {
  struct stat about, link;
  if (!stat(path, &about)) return S_ISDIR(about.st_mode) ? ENTRY_FOLDER : ENTRY_FILE;
  return lstat(path, &link) ? ENTRY_NONE : ENTRY_DANGLING;
}

EntryKind tree_kind(const Tree *tree, const char *path) {
  char whole[TREE_NAME_MAX];
  if (!whole_path(whole, tree, path, NULL)) return ENTRY_NONE;
  const Archives *archives = tree->archives;
  if (!archives) return kind_of_stat(whole);
  if (!*whole) return ENTRY_FOLDER;
  if (archives_find(archives, whole)) return ENTRY_FILE;
  size_t length = strlen(whole);
  if (length + 2 > sizeof whole) return ENTRY_NONE;
  memcpy(whole + length, "/", 2);
  size_t at = archives_at(archives, whole);
  bool below = at < archives->count && !strncmp(archives->files[at].path, whole, length + 1);
  return below ? ENTRY_FOLDER : ENTRY_NONE;
}

/* ---- Folders ---- */

static bool child(const char *folder, const char *name, EntryKind kind, TreeTake take, void *user,
                  Error *e) {
  char path[CONFIG_PATH_MAX];
  if (!*folder) return take(user, name, name, kind, e);
  return io_join(path, sizeof path, folder, name, e) && take(user, path, name, kind, e);
}

static bool each_archived(const Tree *tree, const char *folder, TreeTake take, void *user,
                          Error *e) {
  char prefix[TREE_NAME_MAX], name[CONFIG_PATH_MAX];
  const Archives *archives = tree->archives;
  if (!whole_path(prefix, tree, folder, e)) return false;
  size_t length = strlen(prefix);
  if (length && length + 1 < sizeof prefix) memcpy(prefix + length++, "/", 2);
  bool ok = true;
  size_t at = archives_at(archives, prefix);
  for (; ok && at < archives->count; at++) {
    const char *path = archives->files[at].path, *rest = path + length;
    if (strncmp(path, prefix, length)) break;
    size_t part = strcspn(rest, "/");
    bool is_file = !rest[part];
    snprintf(name, sizeof name, "%.*s", (int)part, rest);
    ok = child(folder, name, is_file ? ENTRY_FILE : ENTRY_FOLDER, take, user, e);
    /* The rest of a folder follows it at once. */
    while (!is_file && at + 1 < archives->count &&
           !strncmp(archives->files[at + 1].path, path, length + part + 1))
      at++;
  }
  return ok;
}

static EntryKind kind_of_entry(const char *path, const struct dirent *entry) {
  if (entry->d_type == DT_DIR) return ENTRY_FOLDER;
  if (entry->d_type != DT_LNK && entry->d_type != DT_UNKNOWN) return ENTRY_FILE;
  return kind_of_stat(path);
}

bool tree_each(const Tree *tree, const char *folder, TreeTake take, void *user, Error *e) {
  char full[TREE_NAME_MAX], entry_path[TREE_NAME_MAX];
  if (tree->archives) return each_archived(tree, folder, take, user, e);
  if (!whole_path(full, tree, folder, e)) return false;
  DIR *dir = opendir(full);
  if (!dir) return error_set(e, EXIT_DATA, "%s: cannot open: %s", full, strerror(errno));
  bool ok = true;
  errno = 0;
  for (struct dirent *entry; ok && (entry = readdir(dir)); errno = 0) {
    const char *name = entry->d_name;
    if (!strcmp(name, ".") || !strcmp(name, "..")) continue;
    ok = io_join(entry_path, sizeof entry_path, full, name, e) &&
         child(folder, name, kind_of_entry(entry_path, entry), take, user, e);
  }
  if (ok && errno) ok = error_set(e, EXIT_DATA, "%s: cannot list: %s", full, strerror(errno));
  closedir(dir);
  return ok;
}

/* ---- Files ---- */

static ArchivedFile *archived(const Tree *tree, const char *path, Error *e) {
  char whole[TREE_NAME_MAX], name[TREE_NAME_MAX];
  if (!whole_path(whole, tree, path, e)) return NULL;
  ArchivedFile *file = archives_find(tree->archives, whole);
  if (file) return file;
  tree_name(name, tree, path);
  error_set(e, EXIT_DATA, "%s: there is no such file", name);
  return NULL;
}

/* What follows a zero byte would be lost without a word. */
static char *whole_text(char *text, size_t size, const char *name, Error *e) {
  if (!text || strlen(text) == size) return text;
  error_set(e, EXIT_DATA, "%s: damaged: a text file with a byte 0 at %zu", name, strlen(text));
  free(text);
  return NULL;
}

static char *read_text(const char *path, Error *e) {
  size_t size, have = 0;
  ssize_t n = 1;
  int fd = io_open(path, &size, e);
  if (fd < 0) return NULL;
  char *text = io_buffer(size + 1, path, e);
  for (; text && n > 0 && have < size; have += (size_t)(n > 0 ? n : 0))
    n = read(fd, text + have, size - have);
  int code = errno;
  close(fd);
  if (!text) return NULL;
  text[have] = '\0';
  if (n > 0) return whole_text(text, size, path, e);
  error_set(e, EXIT_DATA, "%s: cannot read: %s", path, n ? strerror(code) : "it became shorter");
  free(text);
  return NULL;
}

char *tree_text(const Tree *tree, const char *path, Error *e) {
  char whole[TREE_NAME_MAX];
  if (!tree->archives) return whole_path(whole, tree, path, e) ? read_text(whole, e) : NULL;
  const ArchivedFile *file = archived(tree, path, e);
  if (!file) return NULL;
  tree_name(whole, tree, path);
  if (!file->text) {
    error_set(e, EXIT_DATA,
              "%s: larger than a text file may be, %d KiB, or more than %d MiB with those before "
              "it",
              whole, ARCHIVED_TEXT_MAX >> 10, ARCHIVED_TEXTS_MAX >> 20);
    return NULL;
  }
  char *text = strdup(file->text);
  if (!text) error_set(e, EXIT_DEVICE, "%s: out of memory", whole);
  return whole_text(text, file->size, whole, e);
}

void tree_want(const Tree *tree, const char *path) {
  ArchivedFile *file = tree->archives ? archived(tree, path, NULL) : NULL;
  if (file) file->wanted = true;
}

bool tree_unpack(const Tree *tree, const char *scratch, const ProgressListener *progress,
                 Error *e) {
  return !tree->archives || archives_unpack(tree->archives, scratch, progress, e);
}

bool tree_picture(const Tree *tree, const char *path, const PictureOptions *options, Picture *p,
                  Error *e) {
  char name[TREE_NAME_MAX];
  *p = (Picture){0};
  if (!tree->archives) return whole_path(name, tree, path, e) && picture_read(p, name, options, e);
  tree_name(name, tree, path);
  const ArchivedFile *file = archived(tree, path, e);
  if (!file) return false;
  if (options->room) options->room->take(options->room->user, file->size);
  uint8_t *bytes = io_buffer(file->size + 1, name, e);
  if (!bytes) return false;
  bool ok = (archives_read(tree->archives, file, bytes, file->size, 0) ||
             error_set(e, EXIT_DATA, "%s: cannot be read where it was unpacked", name)) &&
            picture_decode(p, name, bytes, file->size, options, e);
  free(bytes);
  return ok;
}

bool tree_file_open(TreeFile *file, const Tree *tree, const char *path, Error *e) {
  char whole[TREE_NAME_MAX];
  *file = (TreeFile){.fd = -1};
  if (!whole_path(whole, tree, path, e)) return false;
  if (!tree->archives) {
    file->fd = io_open(whole, &file->size, e);
    return file->fd >= 0;
  }
  file->archives = tree->archives;
  file->archived = archived(tree, path, e);
  if (!file->archived) return false;
  file->size = file->archived->size;
  return true;
}

bool tree_file_read(const TreeFile *file, void *out, size_t size, size_t at) {
  if (file->archived) return archives_read(file->archives, file->archived, out, size, at);
  return pread(file->fd, out, size, (off_t)at) == (ssize_t)size;
}

void tree_file_close(TreeFile *file) {
  if (file->fd >= 0) close(file->fd);
  file->fd = -1;
}
