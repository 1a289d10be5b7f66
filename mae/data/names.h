/* names.h - lists of the files below a folder, and the count of what is not taken from there.
 * Internal to the data module. */
#ifndef MAE_DATA_NAMES_H
#define MAE_DATA_NAMES_H

#include <stddef.h>

#include "mae/base/error.h"

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
/* Makes room for one more element in an array that grows. */
bool names_grow(void **list, size_t *capacity, size_t count, size_t element, Error *);

/* What was passed over in folders of images, by kind: an ending in lower case, or "hidden",
 * "without an ending", "dangling links", "links in a circle". */
enum { PASSED_KINDS = 24, PASSED_TEXT = 160 };
typedef struct PassedOver {
  size_t total;
  int kinds;
  struct {
    char name[20];
    size_t count;
  } of[PASSED_KINDS]; /* kinds beyond these are only in the total */
} PassedOver;

/* "37 files passed over: 30 .webp, 7 .txt", the most frequent first; "" when there are none. */
void passed_describe(char text[PASSED_TEXT], const PassedOver *);

/* Both make a list, count what they pass over, and fail when the folder is not there or has none.
 * The folders in a folder, sorted; those whose name begins with a dot are hidden. */
bool names_list_folders(NameList *, const char *folder, PassedOver *, Error *);
/* The JPEG and PNG files, by their endings, in ROOT/FOLDER and the folders below it, as paths from
 * ROOT, in the order of torchvision's ImageFolder: by folder, then by name. Links are followed,
 * unless they lead to a folder that they lie in. */
bool names_list_images(NameList *, const char *root, const char *folder, PassedOver *, Error *);

#endif
