/* names.c - lists of names, and what is not on them. */
#include "mae/data/names.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

/* ---- What is passed over ---- */

void passed_count(PassedOver *passed, const char *kind, size_t count) {
  int i = 0;
  passed->total += count;
  while (i < passed->kinds && strcmp(passed->of[i].name, kind)) i++;
  if (i == PASSED_KINDS) return;
  if (i == passed->kinds)
    snprintf(passed->of[passed->kinds++].name, sizeof passed->of->name, "%s", kind);
  passed->of[i].count += count;
}

void passed_count_name(PassedOver *passed, const char *name) {
  char kind[sizeof passed->of->name];
  const char *ending = strrchr(name, '.');
  size_t n = 0;
  if (!ending || !ending[1] || strlen(ending) >= sizeof kind) {
    passed_count(passed, "without an ending", 1);
    return;
  }
  for (; ending[n]; n++) {
    unsigned char c = (unsigned char)ending[n];
    kind[n] = (char)(iscntrl(c) ? '?' : tolower(c));
  }
  kind[n] = '\0';
  passed_count(passed, kind, 1);
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

void passed_add_up(PassedOver *sum, const PassedOver *more) {
  size_t named = 0;
  for (int i = 0; i < more->kinds; i++) {
    passed_count(sum, more->of[i].name, more->of[i].count);
    named += more->of[i].count;
  }
  sum->total += more->total - named;
}
