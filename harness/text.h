/* text.h - strings and lists for the harness, and aligned tables.
 *
 * The harness's own structures are a few kilobytes. When even those cannot be had, need() ends the
 * program: the trainers receive SIGTERM (runner.h), write their checkpoints, and the next run
 * continues them, so nothing is lost by it. */
#ifndef HARNESS_TEXT_H
#define HARNESS_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* Returns the pointer, or ends the program with a message when it is NULL. */
void *need(void *pointer);
char *text_copy(const char *text);
char *text_format(const char *format, ...) __attribute__((format(printf, 1, 2)));

typedef struct TextList {
  char **items;
  int count;
} TextList;

/* Takes the ownership of item. */
void text_list_add(TextList *, char *item);
int text_list_find(const TextList *, const char *item); /* index or -1 */
void text_list_free(TextList *);
/* Splits at any of the separators and trims each piece; empty pieces are kept. */
void text_split(TextList *, const char *text, const char *separators);

/* "90 s", "12 min", "3 h 05 min". */
void text_duration(char *out, size_t size, double seconds);
/* "512 KiB", "3.2 GiB". */
void text_bytes(char *out, size_t size, double bytes);

/* A table of text cells; a column is set flush right when all its cells are numbers. */
typedef struct Table {
  int columns;
  TextList cells; /* row by row; the first row is the heading */
} Table;

/* Adds one cell; rows fill from left to right. */
void table_cell(Table *, const char *format, ...) __attribute__((format(printf, 2, 3)));
void table_print(const Table *, FILE *);
void table_free(Table *);

#endif
