/* tree.h - files below a folder or in archives, read in the same way: a source that finds its
 * images in a tree need not know which. Internal to the data module.
 *
 * Paths are relative to the tree's top, parts divided by '/'. What an archive holds is listed when
 * the tree is opened; its pictures and batches can be read only after tree_unpack. */
#ifndef MAE_DATA_TREE_H
#define MAE_DATA_TREE_H

#include "mae/base/progress.h"
#include "mae/config/config.h"
#include "mae/data/archives.h"
#include "mae/data/picture.h"

typedef struct Tree {
  char root[CONFIG_PATH_MAX];   /* the folder, or data.path of an archive */
  char inside[CONFIG_PATH_MAX]; /* the top, in archives; "": all that they hold */
  Archives *archives;           /* NULL: a folder */
} Tree;

typedef enum { ENTRY_NONE, ENTRY_FILE, ENTRY_FOLDER, ENTRY_DANGLING } EntryKind;

/* The archives that data.path stands for, sorted: itself when it is a file, and for data.source =
 * webdataset the *.tar in a folder. None: a folder of files. */
bool tree_archives(NameList *files, const Config *, Error *);
/* Changes when any of the archives may have changed. named: their names count, as those of shards,
 * which say what they are for; not the folders that they lie in. */
bool tree_identify(char hex[65], const NameList *archives, bool named, Error *);

/* Opens data.path. What an archive holds beside files is counted in PassedOver. */
bool tree_open(Tree *, const Config *, PassedOver *, const ProgressListener *, Error *);
void tree_close(Tree *);
/* Paths start at this folder from now on. */
bool tree_enter(Tree *, const char *folder, Error *);

/* A path as messages name it: "images/a.png", "images.zip: a.png". */
enum { TREE_NAME_MAX = 2 * CONFIG_PATH_MAX };
void tree_name(char out[TREE_NAME_MAX], const Tree *, const char *path);
EntryKind tree_kind(const Tree *, const char *path);
/* Calls `take` for each entry of a folder, in any order; false ends it. */
typedef bool (*TreeTake)(void *user, const char *path, const char *name, EntryKind, Error *);
bool tree_each(const Tree *, const char *folder, TreeTake, void *user, Error *);
/* The whole of a small text file, NUL-terminated, to be freed; NULL on failure. */
char *tree_text(const Tree *, const char *path, Error *);

/* Marks a file of an archive as one that is going to be read. */
void tree_want(const Tree *, const char *path);
/* Makes the marked files of archives readable, through the file `scratch`, which is removed before
 * this returns and whose room comes back with tree_close. Nothing to do for a folder. */
bool tree_unpack(const Tree *, const char *scratch, const ProgressListener *, Error *);
bool tree_picture(const Tree *, const char *path, const PictureOptions *, Picture *, Error *);

/* A file that is read in pieces, from many threads. */
typedef struct TreeFile {
  int fd;                       /* of a folder's file; -1 */
  const Archives *archives;     /* where it is not in a folder, with */
  const ArchivedFile *archived; /* what it is there */
  size_t size;
} TreeFile;
bool tree_file_open(TreeFile *, const Tree *, const char *path, Error *);
bool tree_file_read(const TreeFile *, void *out, size_t size, size_t at);
void tree_file_close(TreeFile *);

#endif
