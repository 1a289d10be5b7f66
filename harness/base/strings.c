/* strings.c - text that the caller owns, lists of it, and aligned tables. */
#include "harness/base/strings.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "mae/base/error.h"

void *need(void *pointer) {
  if (!pointer) {
    fputs("harness: out of memory; running trials stop at a checkpoint and continue with the next "
          "run\n",
          stderr);
    exit(EXIT_DATA);
  }
  return pointer;
}

char *string_copy(const char *text) {
  return need(strdup(text));
}

char *string_format(const char *format, ...) {
  va_list args;
  va_start(args, format);
  char *text = NULL;
  int n = vasprintf(&text, format, args);
  va_end(args);
  return need(n < 0 ? NULL : text);
}

void strings_add(StringList *list, char *item) {
  /* Grows at powers of two, so that count alone says when the array is full. */
  if ((list->count & (list->count - 1)) == 0) {
    size_t capacity = list->count ? 2 * (size_t)list->count : 1;
    list->items = need(realloc(list->items, capacity * sizeof *list->items));
  }
  list->items[list->count++] = item;
}

int strings_find(const StringList *list, const char *item) {
  for (int i = 0; i < list->count; i++)
    if (!strcmp(list->items[i], item)) return i;
  return -1;
}

void strings_free(StringList *list) {
  for (int i = 0; i < list->count; i++) free(list->items[i]);
  free(list->items);
  *list = (StringList){0};
}

void strings_split(StringList *list, const char *text, const char *separators) {
  for (;;) {
    size_t length = strcspn(text, separators);
    const char *begin = text + strspn(text, " \t\r\n"), *end = text + length;
    if (begin > end) begin = end;
    while (end > begin && strchr(" \t\r\n", end[-1])) end--;
    strings_add(list, need(strndup(begin, (size_t)(end - begin))));
    if (!text[length]) break;
    text += length + 1;
  }
}

void format_duration(char *out, size_t size, double seconds) {
  if (!(seconds >= 0)) {
    snprintf(out, size, "?");
  } else if (seconds < 99.5) {
    snprintf(out, size, "%.0f s", seconds);
  } else if (seconds < 100 * 60) {
    snprintf(out, size, "%.0f min", seconds / 60);
  } else {
    long minutes = (long)(seconds / 60 + 0.5);
    snprintf(out, size, "%ld h %02ld min", minutes / 60, minutes % 60);
  }
}

void format_bytes(char *out, size_t size, double bytes) {
  static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
  int unit = 0;
  while (bytes >= 1000 && unit < 4) {
    bytes /= 1024;
    unit++;
  }
  snprintf(out, size, bytes < 10 && unit ? "%.1f %s" : "%.0f %s", bytes, units[unit]);
}

void table_cell(Table *table, const char *format, ...) {
  va_list args;
  va_start(args, format);
  char *cell = NULL;
  int n = vasprintf(&cell, format, args);
  va_end(args);
  strings_add(&table->cells, need(n < 0 ? NULL : cell));
}

/* A number, or one of the words that stand for a missing one. */
static bool looks_numeric(const char *cell) {
  if (!*cell || !strcmp(cell, "-") || !strcmp(cell, "?")) return true;
  char *end;
  strtod(cell, &end);
  if (end == cell) return false;
  return !*end || *end == ' ' || *end == '%';
}

/* The printf width of every column: its widest cell, negative for text, which is set flush left. */
static int *column_widths(const Table *table, int rows) {
  int *widths = need(calloc((size_t)table->columns, sizeof *widths));
  for (int c = 0; c < table->columns; c++) {
    bool numeric = rows > 1;
    for (int r = 0; r < rows; r++) {
      const char *cell = table->cells.items[r * table->columns + c];
      int length = (int)strlen(cell);
      if (length > widths[c]) widths[c] = length;
      if (r > 0 && !looks_numeric(cell)) numeric = false;
    }
    if (!numeric) widths[c] = c + 1 == table->columns ? 0 : -widths[c];
  }
  return widths;
}

void table_print(const Table *table, FILE *out) {
  if (!table->columns) return;
  int rows = table->cells.count / table->columns;
  int *widths = column_widths(table, rows);
  for (int i = 0; i < rows * table->columns; i++) {
    int c = i % table->columns;
    fprintf(out, "%*s%s", widths[c], table->cells.items[i], c + 1 == table->columns ? "\n" : "  ");
  }
  free(widths);
}

void table_free(Table *table) {
  strings_free(&table->cells);
}
