/* html.h - text into HTML, so that nothing out of a database is ever read as markup. */
#ifndef HARNESS_PAGE_HTML_H
#define HARNESS_PAGE_HTML_H

#include <stddef.h>
#include <stdio.h>

/* Escapes & < > " '; bytes that are not UTF-8, and control characters that HTML does not have,
 * become U+FFFD. */
void html_text(FILE *, const char *text);
/* Markup with values: %s is a text, escaped as above, %d an int, %% a per cent sign. The format is
 * written as it stands, so it must be a literal. */
void html_put(FILE *, const char *format, ...) __attribute__((format(printf, 2, 3)));
void html_base64(FILE *, const void *bytes, size_t size);

#endif
