/* archives.h - zip and tar archives as sources of files, by libarchive; without it (no_archives.c)
 * there is one error that says so. Internal to the data module.
 *
 * Listing reads every header, and the small text files. Unpacking reads the archives once more, in
 * their order, and copies the files that are wanted into one scratch file, since training wants
 * them in another order. Names that lead out of the archive, a file of more than
 * ARCHIVED_FILE_MAX, and an archive that is cut short are errors (EXIT_DATA). Of two files of one
 * name the later counts, as when unpacked into a folder; a hard link is the file that it names, and
 * symbolic links are passed over. */
#ifndef MAE_DATA_ARCHIVES_H
#define MAE_DATA_ARCHIVES_H

#include <stddef.h>
#include <stdint.h>

#include "mae/base/error.h"
#include "mae/base/progress.h"
#include "mae/data/names.h"

/* Bytes of one file, of one text, and of all texts, which stay in memory. */
enum { ARCHIVED_FILE_MAX = 256 << 20, ARCHIVED_TEXT_MAX = 1 << 20, ARCHIVED_TEXTS_MAX = 256 << 20 };

/* "libarchive 3.6.2"; "" where it is not there. */
const char *archives_library(void);

typedef struct ArchivedFile {
  char *path;
  size_t size;
  int archive;     /* which of them */
  size_t number;   /* its place in that archive */
  bool wanted;     /* to be unpacked */
  uint64_t offset; /* in the scratch file */
  char *link;      /* a hard link: the path of the file that it is; NULL */
  char *text;      /* of .txt and .cls up to those limits: the content, NUL-terminated; NULL */
} ArchivedFile;

typedef struct Archives {
  NameList names;      /* of the archives */
  bool mounted;        /* paths begin with the archive's name, less ".tar" */
  ArchivedFile *files; /* [count], sorted by path */
  size_t count;
  size_t text_bytes; /* of all texts that were read */
  int scratch;       /* the unpacked files; -1: not unpacked */
} Archives;

/* Takes the list of archives over, also when it fails; NULL then. */
Archives *archives_list(NameList *names, bool mounted, PassedOver *, const ProgressListener *,
                        Error *);
bool archives_unpack(Archives *, const char *scratch, const ProgressListener *, Error *);
void archives_free(Archives *);

/* For archives.c: sorts the files and drops those that come again later; what is wanted, in the
 * order of the archives (to be freed); the part of an archive's name that paths begin with. */
void archives_sort(Archives *);
bool archives_resolve(Archives *, Error *); /* hard links, once sorted */
ArchivedFile **archives_wanted(const Archives *, size_t *count, Error *);
size_t archives_mount_length(const char *base);

/* The first file whose path is not before `path`. */
size_t archives_at(const Archives *, const char *path);
ArchivedFile *archives_find(const Archives *, const char *path); /* NULL: none */
/* "a.zip: images/x.png". */
void archives_name(char *out, size_t size, const Archives *, const char *path);
/* Of an unpacked file; from any thread. */
bool archives_read(const Archives *, const ArchivedFile *, void *out, size_t size, size_t at);

#endif
