/* text.h - a growing byte buffer and the JSON that this project writes into it. Independent of the
 * process's locale. */
#ifndef MAE_BASE_TEXT_H
#define MAE_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>

typedef struct Text { /* all zero is an empty text */
  char *bytes;        /* not terminated; NULL while nothing was added */
  size_t length, capacity;
  bool failed; /* there was no memory; what follows is dropped */
} Text;

void text_add(Text *, const char *bytes, size_t size);
void text_format(Text *, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Bytes of the UTF-8 character that begins here, 0 when none does. */
int text_utf8_length(const char *at);
/* Whether all of it is UTF-8. */
bool text_is_utf8(const char *value);
/* A JSON string with its quotes. Bytes that are not UTF-8 become U+FFFD each. */
void text_json_string(Text *, const char *value);
/* A JSON number with so many significant digits; "nan", "inf" and "-inf" as strings. */
void text_json_number(Text *, double value, int digits);
void text_free(Text *);

#endif
