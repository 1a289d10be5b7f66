/* strings.h - strings and lists for the harness, and aligned tables.
 *
 * The harness's own structures are a few kilobytes. When even those cannot be had, need() ends the
 * program: the trainers receive SIGTERM (runner.h), write their checkpoints, and the next run
 * continues them, so nothing is lost by it. */
#ifndef HARNESS_BASE_STRINGS_H
#define HARNESS_BASE_STRINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* Returns the pointer, or ends the program with a message when it is NULL. */
void *need(void *pointer);
char *string_copy(const char *text);
char *string_format(const char *format, ...) __attribute__((format(printf, 1, 2)));

typedef struct StringList {
  char **items;
  int count;
} StringList;

/* Takes the ownership of item. */
void strings_add(StringList *, char *item);
int strings_find(const StringList *, const char *item); /* index or -1 */
void strings_free(StringList *);
/* Splits at any of the separators and trims each piece; empty pieces are kept. */
void strings_split(StringList *, const char *text, const char *separators);

/* "90 s", "12 min", "3 h 05 min". */
void format_duration(char *out, size_t size, double seconds);
/* "512 KiB", "3.2 GiB". */
void format_bytes(char *out, size_t size, double bytes);

/* A table of text cells; a column is set flush right when all its cells are numbers. */
typedef struct Table {
  int columns;
  StringList cells; /* row by row; the first row is the heading */
} Table;

/* Adds one cell; rows fill from left to right. */
void table_cell(Table *, const char *format, ...) __attribute__((format(printf, 2, 3)));
void table_print(const Table *, FILE *);
void table_free(Table *);

#endif
