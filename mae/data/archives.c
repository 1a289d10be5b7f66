/* archives.c - listing and unpacking zip and tar archives by libarchive. What is not its business
 * is in archives_entries.c. */
#include "mae/data/archives.h"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mae/base/io.h"
#include "mae/config/config.h"

enum { BLOCK = 1 << 18, TAR_BLOCK = 512 };

/* An archive that is being read. */
typedef struct Reading {
  const Archives *all;
  const char *file;
  int which;
  struct archive *handle;
  struct archive_entry *entry;
  size_t number;              /* of the entry */
  char path[CONFIG_PATH_MAX]; /* of the entry, as Archives has it */
  int64_t bytes;              /* read when the entry was over */
  locale_t locale, before;    /* libarchive converts names into that of the thread */
} Reading;

static bool fail(const Reading *r, const char *entry, const char *what, Error *e) {
  if (*entry) return error_set(e, EXIT_DATA, "%s: %s: %s", r->file, entry, what);
  return error_set(e, EXIT_DATA, "%s: %s", r->file, what);
}

static const char *reason(const Reading *r) {
  const char *text = archive_error_string(r->handle);
  return text ? text : "cannot be read";
}

static bool begin(Reading *r, const Archives *all, int which, Error *e) {
  *r = (Reading){.all = all, .file = all->names.names[which], .which = which};
  r->locale = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
  if (r->locale) r->before = uselocale(r->locale);
  struct archive *a = r->handle = archive_read_new();
  if (!a) return error_set(e, EXIT_DEVICE, "out of memory for reading an archive");
  archive_read_support_filter_gzip(a);
  archive_read_support_filter_bzip2(a);
  archive_read_support_filter_xz(a);
  archive_read_support_filter_zstd(a);
  archive_read_support_format_tar(a);
  /* Not the zip reader that goes without the directory at the end: a zip is whole or refused. */
  archive_read_support_format_zip_seekable(a);
  if (archive_read_open_filename(a, r->file, BLOCK) == ARCHIVE_OK) return true;
  const char *dot = strrchr(r->file, '.');
  if (dot && !strcasecmp(dot, ".parquet"))
    return fail(r, "",
                "parquet files are read as the shards that parquet_to_shards.py makes of "
                "them",
                e);
  return fail(r, "", reason(r), e) ||
         error_suffix(e, "zip and tar archives are read, the latter also as .gz, .bz2, .xz and "
                         ".zst; a download that was cut short may look like this");
}

static void end(Reading *r) {
  if (r->handle) archive_read_free(r->handle);
  if (!r->locale) return;
  uselocale(r->before);
  freelocale(r->locale);
}

/* Copies a name without "." and doubled '/'. False for one that leads out of the archive. */
static bool clean_path(char out[CONFIG_PATH_MAX], const char *name, bool *fits) {
  size_t used = strlen(out);
  *fits = true;
  if (*name == '/') return false;
  while (*name) {
    size_t length = strcspn(name, "/");
    if (length == 2 && !strncmp(name, "..", 2)) return false;
    if (length && !(length == 1 && *name == '.')) {
      bool divide = used && out[used - 1] != '/';
      *fits = used + divide + length < CONFIG_PATH_MAX;
      if (!*fits) return true;
      if (divide) out[used++] = '/';
      memcpy(out + used, name, length);
      used += length;
      out[used] = '\0';
    }
    name += length + (name[length] == '/');
  }
  return true;
}

/* A name as a path of Archives: a mounted archive's name begins it. */
static bool entry_path(char path[CONFIG_PATH_MAX], const Reading *r, const char *name, Error *e) {
  bool fits = true;
  *path = '\0';
  if (r->all->mounted) {
    const char *slash = strrchr(r->file, '/'), *base = slash ? slash + 1 : r->file;
    snprintf(path, CONFIG_PATH_MAX, "%.*s/", (int)archives_mount_length(base), base);
  }
  if (!clean_path(path, name, &fits))
    return fail(r, name, "a name that leads out of the archive; nothing is taken from it", e);
  return fits || fail(r, name, "the name is too long", e);
}

/* Goes on to the next entry; *more says whether there is one. */
static bool next(Reading *r, bool *more, Error *e) {
  char last[CONFIG_PATH_MAX];
  snprintf(last, sizeof last, "%s", r->path);
  int code = archive_read_next_header(r->handle, &r->entry);
  *more = code == ARCHIVE_OK || code == ARCHIVE_WARN;
  if (code == ARCHIVE_EOF) {
    bool tar = (archive_format(r->handle) & ARCHIVE_FORMAT_BASE_MASK) == ARCHIVE_FORMAT_TAR;
    if (tar && archive_filter_bytes(r->handle, 0) - r->bytes < TAR_BLOCK)
      return fail(r, "", "cut short: the zeros that end a tar archive are not there", e);
    return true;
  }
  if (!*more) {
    error_set(e, EXIT_DATA, "%s: %s", r->file, reason(r));
    return *last ? error_suffix(e, "the entry before is %s", last) : false;
  }
  r->number++;
  /* UTF-8 where the archive says what its names are; else their bytes, as a folder has them. */
  const char *name = archive_entry_pathname(r->entry);
  if (!name) name = archive_entry_pathname_utf8(r->entry);
  if (!name) return fail(r, "", "an entry whose name cannot be read", e);
  return entry_path(r->path, r, name, e);
}

/* Ends an entry whose content is not wanted. */
static bool skip(Reading *r, Error *e) {
  int code = archive_read_data_skip(r->handle);
  if (code != ARCHIVE_OK && code != ARCHIVE_WARN && code != ARCHIVE_EOF)
    return fail(r, r->path, reason(r), e);
  r->bytes = archive_filter_bytes(r->handle, 0);
  struct stat about;
  bool plain = archive_filter_count(r->handle) == 1; /* else the decompressor notices */
  if (plain && !stat(r->file, &about) && r->bytes > (int64_t)about.st_size)
    return fail(r, r->path, "cut short: the file ends before this entry does", e);
  return true;
}

/* ---- Listing ---- */

static bool has_ending(const char *path, const char *const *endings) {
  const char *ending = strrchr(path, '.');
  for (; ending && *endings; endings++)
    if (!strcasecmp(ending, *endings)) return true;
  return false;
}

static bool is_text(const Archives *all, const char *path, int64_t size) {
  static const char *const endings[] = {".txt", ".cls", NULL};
  return has_ending(path, endings) && size <= ARCHIVED_TEXT_MAX &&
         (size_t)size <= ARCHIVED_TEXTS_MAX - all->text_bytes;
}

static bool read_text(Reading *r, ArchivedFile *entry, Error *e) {
  entry->text = io_buffer(entry->size + 1, "a text file of an archive", e);
  if (!entry->text) return false;
  la_ssize_t n = archive_read_data(r->handle, entry->text, entry->size);
  if (n < 0) return fail(r, r->path, reason(r), e);
  entry->text[n] = '\0';
  return true;
}

static bool add_link(const Reading *r, ArchivedFile *entry, Error *e) {
  char path[CONFIG_PATH_MAX];
  if (!entry_path(path, r, archive_entry_hardlink(r->entry), e)) return false;
  entry->link = strdup(path);
  return entry->link || error_set(e, EXIT_DEVICE, "out of memory for a list of files");
}

static bool add_file(Archives *all, Reading *r, size_t *capacity, Error *e) {
  static const char *const kept[] = {".txt", ".cls", ".bin", ".jpg", ".jpeg", ".png", NULL};
  int64_t size = archive_entry_size(r->entry);
  if (has_ending(r->path, kept) && (size < 0 || size > ARCHIVED_FILE_MAX)) {
    char what[96];
    snprintf(what, sizeof what, "%.0f MiB unpacked; at most %d are taken of one file",
             (double)size / (1 << 20), ARCHIVED_FILE_MAX >> 20);
    return fail(r, r->path, what, e);
  }
  void *files = all->files;
  bool ok = names_grow(&files, capacity, all->count, sizeof *all->files, e);
  all->files = files;
  if (!ok) return false;
  ArchivedFile *entry = &all->files[all->count];
  *entry = (ArchivedFile){
      .path = strdup(r->path), .size = (size_t)size, .archive = r->which, .number = r->number};
  if (!entry->path) return error_set(e, EXIT_DEVICE, "out of memory for a list of files");
  all->count++;
  if (archive_entry_hardlink(r->entry)) return add_link(r, entry, e);
  if (!is_text(all, r->path, size)) return true;
  all->text_bytes += (size_t)size;
  return read_text(r, entry, e);
}

/* How far it is, in bytes of the archives. */
typedef struct Listing {
  const ProgressListener *progress;
  size_t before, total; /* bytes of those that are listed, of all */
} Listing;

static size_t bytes_of(const char *file) {
  struct stat about;
  return stat(file, &about) ? 0 : (size_t)about.st_size;
}

/* To find the names in a compressed archive all of it is read. A zip is read from its end, so that
 * its first entry may come when all has been. */
static void tell_listed(const Listing *listing, const Reading *r) {
  int64_t read = archive_filter_bytes(r->handle, -1);
  size_t done = listing->before + (read > 0 ? (size_t)read : 0);
  if (done >= listing->total) done = listing->total ? listing->total - 1 : 0;
  progress_tell(listing->progress, "listing archives, bytes", done, listing->total);
}

static bool list_one(Archives *all, int which, size_t *capacity, PassedOver *passed,
                     const Listing *listing, Error *e) {
  Reading r;
  bool more = true, ok = begin(&r, all, which, e);
  while (ok && (ok = next(&r, &more, e)) && more) {
    if (archive_entry_symlink(r.entry))
      passed_count(passed, "links in an archive", 1);
    else if (archive_entry_filetype(r.entry) == AE_IFREG || archive_entry_hardlink(r.entry))
      ok = add_file(all, &r, capacity, e);
    ok = ok && skip(&r, e);
    tell_listed(listing, &r);
  }
  end(&r);
  return ok;
}

const char *archives_library(void) {
  return archive_version_string();
}

Archives *archives_list(NameList *names, bool mounted, PassedOver *passed,
                        const ProgressListener *progress, Error *e) {
  Archives *all = calloc(1, sizeof *all);
  if (!all) {
    names_free(names);
    error_set(e, EXIT_DEVICE, "out of memory for a list of files");
    return NULL;
  }
  *all = (Archives){.names = *names, .mounted = mounted, .scratch = -1};
  *names = (NameList){0};
  size_t capacity = 0;
  bool ok = true;
  Listing listing = {.progress = progress};
  for (size_t i = 0; i < all->names.count; i++) listing.total += bytes_of(all->names.names[i]);
  for (size_t i = 0; ok && i < all->names.count; i++) {
    ok = list_one(all, (int)i, &capacity, passed, &listing, e);
    listing.before += bytes_of(all->names.names[i]);
  }
  if (ok) archives_sort(all);
  if (ok && archives_resolve(all, e)) return all;
  archives_free(all);
  return NULL;
}

/* ---- Unpacking ---- */

typedef struct Unpacking {
  const char *scratch;
  int fd;
  uint64_t written;
  uint8_t *block;
  size_t done, total; /* files */
  const ProgressListener *progress;
} Unpacking;

static const char room_advice[] =
    "the files of an archive are unpacked there while they are packed: "
    "make room or set data.cache to another folder";

static bool copy_entry(Unpacking *u, Reading *r, ArchivedFile *entry, Error *e) {
  size_t size = 0;
  entry->offset = u->written;
  for (la_ssize_t n; (n = archive_read_data(r->handle, u->block, BLOCK)) != 0;) {
    if (n < 0) return fail(r, r->path, reason(r), e);
    size += (size_t)n;
    if (size > entry->size) break;
    if (!io_write(u->fd, u->scratch, u->block, (size_t)n, e))
      return error_suffix(e, "%s", room_advice);
    u->written += (uint64_t)n;
  }
  if (size != entry->size) return fail(r, r->path, "not as long as the archive says", e);
  progress_tell(u->progress, "unpacking", ++u->done, u->total);
  return true;
}

/* `wanted` are the entries of this archive that are wanted, in its order. */
static bool unpack_one(Unpacking *u, const Archives *all, int which, ArchivedFile **wanted,
                       size_t count, Error *e) {
  Reading r;
  size_t at = 0;
  bool more = true, ok = begin(&r, all, which, e);
  while (ok && at < count && (ok = next(&r, &more, e)) && more) {
    progress_tell(u->progress, "unpacking", u->done, u->total); /* past what is not wanted, too */
    if (r.number == wanted[at]->number) {
      ok = copy_entry(u, &r, wanted[at++], e);
      for (; at < count && wanted[at]->number == r.number; at++, u->done++) /* links to it */
        wanted[at]->offset = wanted[at - 1]->offset;
    }
  }
  if (ok && at < count) ok = fail(&r, wanted[at]->path, "it was there before, and is not now", e);
  end(&r);
  return ok;
}

/* Whether the wanted files fit where they are unpacked. */
static bool check_room(const char *scratch, ArchivedFile **wanted, size_t count, Error *e) {
  size_t room;
  double bytes = 0;
  for (size_t i = 0; i < count; i++) { /* links take none */
    const ArchivedFile *file = wanted[i], *last = i ? wanted[i - 1] : NULL;
    if (!last || last->archive != file->archive || last->number != file->number)
      bytes += (double)file->size;
  }
  if (!io_room(scratch, &room) || bytes <= (double)room) return true;
  error_set(e, EXIT_DATA, "%s: %.3g GB are needed, and %.3g GB are free there", scratch,
            bytes / 1e9, (double)room / 1e9);
  return error_suffix(e, "%s", room_advice);
}

static bool unpack_all(Unpacking *u, Archives *all, Error *e) {
  size_t count = 0;
  ArchivedFile **wanted = archives_wanted(all, &count, e);
  u->block = wanted ? io_buffer(BLOCK, "unpacking", e) : NULL;
  bool ok = u->block && check_room(u->scratch, wanted, count, e);
  u->total = count;
  for (size_t i = 0; ok && i < count;) {
    size_t same = i;
    while (same < count && wanted[same]->archive == wanted[i]->archive) same++;
    ok = unpack_one(u, all, wanted[i]->archive, wanted + i, same - i, e);
    i = same;
  }
  free(u->block);
  free(wanted);
  return ok;
}

bool archives_unpack(Archives *all, const char *scratch, const ProgressListener *progress,
                     Error *e) {
  size_t size;
  Unpacking u = {.scratch = scratch, .fd = io_create(scratch, e), .progress = progress};
  if (u.fd < 0) return false;
  bool ok = unpack_all(&u, all, e);
  close(u.fd); /* nothing of it must outlive this process, so it is not synced */
  if (ok) all->scratch = io_open(scratch, &size, e);
  unlink(scratch);
  return ok && all->scratch >= 0;
}
