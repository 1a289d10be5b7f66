/* unfinished.c - parts of packs that nobody works on. */
#include "mae/data/unfinished.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mae/base/io.h"
#include "mae/base/lock_file.h"
#include "mae/config/config.h"
#include "mae/data/names.h"

static const char pack_ending[] = ".pack";

/* How much of a file's name is its pack's; 0: it is not what a packing leaves. */
static size_t pack_length(const char *name) {
  static const char *const endings[] = {".part", ".part.state", ".part.state.tmp", ".files.tmp"};
  const char *at = strstr(name, pack_ending);
  for (size_t i = 0; at && i < sizeof endings / sizeof *endings; i++) {
    size_t length = strlen(name), ending = strlen(endings[i]);
    if (length > ending && !strcmp(name + length - ending, endings[i]))
      return (size_t)(at - name) + sizeof pack_ending - 1;
  }
  return 0;
}

static bool list(NameList *names, const char *cache, Error *e) {
  DIR *dir = opendir(cache);
  if (!dir) return errno == ENOENT || error_set(e, EXIT_DATA, "%s: %s", cache, strerror(errno));
  bool ok = true;
  for (const struct dirent *entry; ok && (entry = readdir(dir));)
    if (pack_length(entry->d_name)) ok = names_add(names, entry->d_name, e);
  closedir(dir);
  if (ok) names_sort(names);
  return ok;
}

static bool remove_one(const char *cache, const char *name, bool dry, int64_t *freed, Error *e) {
  char path[CONFIG_PATH_MAX];
  struct stat info;
  if (!io_join(path, sizeof path, cache, name, e)) return false;
  if (stat(path, &info)) return true; /* its packing was completed meanwhile */
  *freed += info.st_size;
  return dry || io_remove(path, e);
}

/* The files of one pack, under its lock; without a trace where nothing is to be removed. */
static bool remove_all(const char *cache, char *const *names, size_t count, size_t length, bool dry,
                       int64_t *freed, Error *e) {
  char lock[CONFIG_PATH_MAX + 8];
  int n = snprintf(lock, sizeof lock, "%s/%.*s.lock", cache, (int)length, names[0]);
  if (n < 0 || n >= (int)sizeof lock) return error_set(e, EXIT_DATA, "%s: path too long", cache);
  bool held = false, locks = !dry || access(lock, F_OK) == 0;
  int fd = locks ? lock_file_try(lock, &held, e) : -1;
  bool ok = held || !locks || fd >= 0;
  for (size_t i = 0; ok && !held && i < count; i++) ok = remove_one(cache, names[i], dry, freed, e);
  if (fd >= 0) lock_file_release(fd, lock);
  return ok;
}

bool unfinished_remove(const char *cache, bool dry, int64_t *freed, Error *e) {
  NameList names = {0};
  bool ok = list(&names, cache, e);
  for (size_t i = 0; ok && i < names.count;) {
    size_t next = i, length = pack_length(names.names[i]);
    while (next < names.count && pack_length(names.names[next]) == length &&
           !strncmp(names.names[next], names.names[i], length))
      next++;
    ok = remove_all(cache, names.names + i, next - i, length, dry, freed, e);
    i = next;
  }
  names_free(&names);
  return ok;
}
