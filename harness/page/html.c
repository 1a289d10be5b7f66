/* html.c - escaping, markup with values, base64. */
#include "harness/page/html.h"

#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include "mae/base/text.h"

/* What stands in HTML for a character of one byte; NULL: itself. */
static const char *entity(unsigned char c) {
  switch (c) {
  case '&':
    return "&amp;";
  case '<':
    return "&lt;";
  case '>':
    return "&gt;";
  case '"':
    return "&quot;";
  case '\'':
    return "&#39;";
  default:
    return (c < 0x20 && c != '\n' && c != '\t') || c == 0x7f ? "\xef\xbf\xbd" : NULL;
  }
}

/* C1 controls and the non-characters that end each plane are no text in HTML either. */
static int is_control(const unsigned char *at, int length) {
  if (length == 2) return at[0] == 0xc2 && at[1] < 0xa0;
  if (length == 3)
    return at[0] == 0xef &&
           ((at[1] == 0xbf && at[2] >= 0xbe) || (at[1] == 0xb7 && at[2] >= 0x90 && at[2] <= 0xaf));
  return length == 4 && (at[1] & 0x0f) == 0x0f && at[2] == 0xbf && at[3] >= 0xbe;
}

void html_text(FILE *out, const char *text) {
  for (const unsigned char *at = (const unsigned char *)text; *at;) {
    int length = text_utf8_length((const char *)at);
    const char *instead = length == 1                             ? entity(*at)
                          : length == 0 || is_control(at, length) ? "\xef\xbf\xbd"
                                                                  : NULL;
    if (instead)
      fputs(instead, out);
    else
      fwrite(at, 1, (size_t)length, out);
    at += length ? length : 1;
  }
}

void html_put(FILE *out, const char *format, ...) {
  va_list args;
  va_start(args, format);
  for (const char *percent; (percent = strchr(format, '%')); format = percent + 2) {
    fwrite(format, 1, (size_t)(percent - format), out);
    if (percent[1] == 's')
      html_text(out, va_arg(args, const char *));
    else if (percent[1] == 'd')
      fprintf(out, "%d", va_arg(args, int));
    else
      fputc('%', out);
  }
  fputs(format, out);
  va_end(args);
}

void html_base64(FILE *out, const void *bytes, size_t size) {
  static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  const unsigned char *at = bytes;
  for (size_t i = 0; i < size; i += 3) {
    size_t left = size - i;
    uint32_t three = (uint32_t)at[i] << 16 | (left > 1 ? (uint32_t)at[i + 1] << 8 : 0) |
                     (left > 2 ? at[i + 2] : 0);
    fputc(digits[three >> 18], out);
    fputc(digits[three >> 12 & 63], out);
    fputc(left > 1 ? digits[three >> 6 & 63] : '=', out);
    fputc(left > 2 ? digits[three & 63] : '=', out);
  }
}
