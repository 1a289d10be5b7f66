/* names.h - lists of names, and the count of files that are not taken. Internal to the data
 * module. */
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
 * "without an ending", "dangling links", "links in a circle", "links in an archive". */
enum { PASSED_KINDS = 24, PASSED_TEXT = 160 };
typedef struct PassedOver {
  size_t total;
  int kinds;
  struct {
    char name[20];
    size_t count;
  } of[PASSED_KINDS]; /* kinds beyond these are only in the total */
} PassedOver;

void passed_count(PassedOver *, const char *kind, size_t count);
/* By its ending. */
void passed_count_name(PassedOver *, const char *name);
void passed_add_up(PassedOver *sum, const PassedOver *more);
/* "37 files passed over: 30 .webp, 7 .txt", the most frequent first; "" when there are none. */
void passed_describe(char text[PASSED_TEXT], const PassedOver *);

#endif
