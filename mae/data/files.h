/* files.h - what the sources made of image files in folders have in common: listing,
 * fingerprint, loading. Internal to the data module. */
#ifndef MAE_DATA_FILES_H
#define MAE_DATA_FILES_H

#include <stddef.h>

#include "mae/data/source.h"

/* A growing list of owned strings. */
typedef struct NameList {
  char **names;
  size_t count, capacity;
} NameList;

bool names_add(NameList *, const char *name, Error *);
void names_free(NameList *);
void names_sort(NameList *);
/* Position in a sorted list, or -1. */
int names_find_sorted(const NameList *, const char *name);

/* Sorted names of the folders, or of the JPEG and PNG files (by their endings), in a folder.
 * Hidden ones are left out. An error when the folder is not there or has none. */
typedef enum { LIST_FOLDERS, LIST_IMAGES } ListKind;
bool names_list(NameList *, const char *folder, ListKind, Error *);

/* Image files below one root; the Source's state. */
typedef struct SourceFiles {
  char root[CONFIG_PATH_MAX];
  struct {
    NameList paths; /* relative to root */
    int32_t *labels;
    size_t label_capacity;
  } split[SPLIT_COUNT];
} SourceFiles;

SourceFiles *files_new(const Config *, Error *);
bool files_add(SourceFiles *, int split, const char *path, int32_t label, Error *);
/* Completes a source over the files: takes the files over, also when it fails. data.train_images
 * keeps that many training images, evenly spaced through the list, so that every class keeps its
 * share. The fingerprint covers every name, size and modification time. */
bool files_source(Source *, const char *name, SourceFiles *, const Config *, Error *);
void files_free(SourceFiles *);

/* Averages blocks of f x f pixels, f = shorter side / 512 rounded down, when that is 2 or more: a
 * photograph straight from a camera is not worth its memory at training sizes. What does not fill
 * a block at the right and bottom is dropped. */
void picture_reduce(Picture *);

#endif
