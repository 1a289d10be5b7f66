/* The growing buffer, and JSON strings and numbers written into it. */
#include "mae/base/text.h"

#include <math.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mae/base/io.h"

/* Room for `more` bytes. */
static bool reserve(Text *text, size_t more) {
  if (text->failed) return false;
  if (more <= text->capacity - text->length) return true;
  size_t capacity = text->capacity ? text->capacity : 1024;
  while (capacity - text->length < more) capacity *= 2;
  char *bytes = io_buffer(capacity, "text", NULL);
  if (!bytes) {
    text->failed = true;
    return false;
  }
  if (text->length) memcpy(bytes, text->bytes, text->length);
  free(text->bytes);
  text->bytes = bytes;
  text->capacity = capacity;
  return true;
}

void text_add(Text *text, const char *bytes, size_t size) {
  if (!size || !reserve(text, size)) return;
  memcpy(text->bytes + text->length, bytes, size);
  text->length += size;
}

void text_format(Text *text, const char *format, ...) {
  va_list args;
  va_start(args, format);
  int size = vsnprintf(NULL, 0, format, args);
  va_end(args);
  if (size < 0 || !reserve(text, (size_t)size + 1)) return;
  va_start(args, format);
  vsnprintf(text->bytes + text->length, (size_t)size + 1, format, args);
  va_end(args);
  text->length += (size_t)size;
}

/* Unicode 15, table 3-7: no stray or missing continuation byte, no overlong form, no surrogate, and
 * nothing past U+10FFFF. */
int text_utf8_length(const char *at) {
  const unsigned char *s = (const unsigned char *)at;
  if (s[0] < 0x80) return 1;
  if (s[0] < 0xC2 || s[0] > 0xF4) return 0;
  int length = s[0] < 0xE0 ? 2 : s[0] < 0xF0 ? 3 : 4;
  unsigned char low = s[0] == 0xE0 ? 0xA0 : s[0] == 0xF0 ? 0x90 : 0x80;
  unsigned char high = s[0] == 0xED ? 0x9F : s[0] == 0xF4 ? 0x8F : 0xBF;
  if (s[1] < low || s[1] > high) return 0;
  for (int i = 2; i < length; i++)
    if ((s[i] & 0xC0) != 0x80) return 0;
  return length;
}

bool text_is_utf8(const char *value) {
  for (int length; *value; value += length)
    if ((length = text_utf8_length(value)) == 0) return false;
  return true;
}

void text_json_string(Text *text, const char *value) {
  const unsigned char *s = (const unsigned char *)value;
  text_add(text, "\"", 1);
  while (*s) {
    int length = text_utf8_length((const char *)s);
    if (length == 0)
      text_add(text, "\xEF\xBF\xBD", 3);
    else if (*s == '"' || *s == '\\')
      text_format(text, "\\%c", *s);
    else if (*s == '\n')
      text_add(text, "\\n", 2);
    else if (*s < 0x20 || *s == 0x7F)
      text_format(text, "\\u%04x", *s);
    else
      text_add(text, (const char *)s, (size_t)length);
    s += length ? length : 1;
  }
  text_add(text, "\"", 1);
}

void text_json_number(Text *text, double value, int digits) {
  if (isnan(value)) {
    text_add(text, "\"nan\"", 5);
    return;
  }
  if (isinf(value)) {
    text_format(text, value > 0 ? "\"inf\"" : "\"-inf\"");
    return;
  }
  /* A locale's decimal point may be several bytes: whatever is no digit, sign or exponent. */
  char local[64], plain[64];
  snprintf(local, sizeof local, "%.*g", digits, value);
  size_t n = 0;
  for (const char *c = local; *c; c++) {
    if (strchr("0123456789+-e", *c))
      plain[n++] = *c;
    else if (n && plain[n - 1] != '.')
      plain[n++] = '.';
  }
  text_add(text, plain, n);
}

void text_free(Text *text) {
  free(text->bytes);
  *text = (Text){0};
}
