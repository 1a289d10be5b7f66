/* json_text.c - shortens the numbers in what jansson writes: it has one number of digits for all.
 */
#include "mae/record/json_text.h"

#include <stdlib.h>
#include <string.h>

#include "mae/base/text.h"

enum { DIGITS_MAX = 17 }; /* enough for every double */

/* Bytes up to the end of a string that begins with its quote. */
static size_t string_length(const char *text) {
  size_t length = 1;
  while (text[length] != '"') length += text[length] == '\\' ? 2 : 1;
  return length + 1;
}

/* Fewest digits first. A number that was real stays one to a reader that tells 1.0 from 1. */
static void add_real(Text *out, double value) {
  for (int digits = 1; digits <= DIGITS_MAX; digits++) {
    Text number = {0};
    text_json_number(&number, value, digits);
    text_add(&number, "", 1);
    bool same = !number.failed && (digits == DIGITS_MAX || strtod(number.bytes, NULL) == value);
    if (same) {
      text_add(out, number.bytes, number.length - 1);
      if (!strpbrk(number.bytes, ".e")) text_add(out, ".0", 2);
    }
    out->failed |= number.failed;
    text_free(&number);
    if (same || out->failed) return;
  }
}

char *json_text(const json_t *value, size_t flags) {
  char *whole = json_dumps(value, flags | JSON_REAL_PRECISION(DIGITS_MAX));
  if (!whole) return NULL;
  Text out = {0};
  for (const char *at = whole; *at;) {
    size_t length = strcspn(at, "\"-0123456789");
    if (*at == '"') {
      length = string_length(at);
    } else if (length == 0) {
      length = strspn(at, "+-.eE0123456789");
      if (strcspn(at, ".eE") < length) {
        add_real(&out, strtod(at, NULL));
        at += length;
        continue;
      }
    }
    text_add(&out, at, length);
    at += length;
  }
  text_add(&out, "", 1);
  free(whole);
  if (!out.failed) return out.bytes;
  text_free(&out);
  return NULL;
}

bool json_print(FILE *out, const json_t *value, size_t flags) {
  char *text = json_text(value, flags);
  if (text) fprintf(out, "%s\n", text);
  free(text);
  return text != NULL;
}
