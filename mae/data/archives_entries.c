/* archives_entries.c - what is known of the files in archives, whoever listed them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "mae/base/io.h"
#include "mae/data/archives.h"

static int compare_entries(const void *a, const void *b) {
  const ArchivedFile *one = a, *other = b;
  int order = strcmp(one->path, other->path);
  if (order) return order;
  if (one->archive != other->archive) return one->archive < other->archive ? -1 : 1;
  return one->number < other->number ? -1 : one->number > other->number;
}

static void free_entry(ArchivedFile *entry) {
  free(entry->path);
  free(entry->text);
  free(entry->link);
}

void archives_sort(Archives *all) {
  size_t kept = 0;
  if (all->count) qsort(all->files, all->count, sizeof *all->files, compare_entries);
  for (size_t i = 0; i < all->count; i++) {
    bool again = i + 1 < all->count && !strcmp(all->files[i].path, all->files[i + 1].path);
    if (again)
      free_entry(&all->files[i]);
    else
      all->files[kept++] = all->files[i];
  }
  all->count = kept;
}

bool archives_resolve(Archives *all, Error *e) {
  for (size_t i = 0; i < all->count; i++) {
    ArchivedFile *file = &all->files[i];
    if (!file->link) continue;
    const ArchivedFile *other = archives_find(all, file->link);
    if (!other || other->link)
      return error_set(e, EXIT_DATA, "%s: %s: a link to %s, which is no file there",
                       all->names.names[file->archive], file->path, file->link);
    file->archive = other->archive;
    file->number = other->number;
    file->size = other->size;
    if (!other->text || other->size > ARCHIVED_TEXTS_MAX - all->text_bytes) continue;
    all->text_bytes += other->size;
    file->text = strdup(other->text);
    if (!file->text) return error_set(e, EXIT_DEVICE, "out of memory for a list of files");
  }
  return true;
}

void archives_free(Archives *all) {
  if (!all) return;
  for (size_t i = 0; i < all->count; i++) free_entry(&all->files[i]);
  free(all->files);
  names_free(&all->names);
  if (all->scratch >= 0) close(all->scratch);
  free(all);
}

static int compare_places(const void *a, const void *b) {
  const ArchivedFile *one = *(ArchivedFile *const *)a, *other = *(ArchivedFile *const *)b;
  if (one->archive != other->archive) return one->archive < other->archive ? -1 : 1;
  return one->number < other->number ? -1 : one->number > other->number;
}

ArchivedFile **archives_wanted(const Archives *all, size_t *count, Error *e) {
  ArchivedFile **wanted = io_buffer((all->count + 1) * sizeof *wanted, "a list of files", e);
  if (!wanted) return NULL;
  *count = 0;
  for (size_t i = 0; i < all->count; i++)
    if (all->files[i].wanted) wanted[(*count)++] = &all->files[i];
  if (*count) qsort(wanted, *count, sizeof *wanted, compare_places);
  return wanted;
}

size_t archives_at(const Archives *all, const char *path) {
  size_t low = 0, high = all->count;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    if (strcmp(all->files[middle].path, path) < 0)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

ArchivedFile *archives_find(const Archives *all, const char *path) {
  size_t at = archives_at(all, path);
  bool there = at < all->count && !strcmp(all->files[at].path, path);
  return there ? &all->files[at] : NULL;
}

size_t archives_mount_length(const char *base) {
  size_t length = strlen(base);
  return length > 4 && !strcasecmp(base + length - 4, ".tar") ? length - 4 : length;
}

void archives_name(char *out, size_t size, const Archives *all, const char *path) {
  size_t first = strcspn(path, "/");
  for (size_t i = 0; all->mounted && i < all->names.count; i++) {
    const char *slash = strrchr(all->names.names[i], '/');
    const char *base = slash ? slash + 1 : all->names.names[i];
    if (archives_mount_length(base) != first || strncmp(base, path, first)) continue;
    snprintf(out, size, "%s%s%s", all->names.names[i], path[first] ? ": " : "",
             path + first + (path[first] != 0));
    return;
  }
  snprintf(out, size, "%s%s%s", all->names.names[0], *path ? ": " : "", path);
}

bool archives_read(const Archives *all, const ArchivedFile *entry, void *out, size_t size,
                   size_t at) {
  uint8_t *to = out;
  if (at > entry->size || size > entry->size - at || all->scratch < 0) return false;
  for (size_t have = 0; have < size;) {
    ssize_t n = pread(all->scratch, to + have, size - have, (off_t)(entry->offset + at + have));
    if (n <= 0) return false;
    have += (size_t)n;
  }
  return true;
}
