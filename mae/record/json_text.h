/* json_text.h - JSON values as text for people and programs to read, with every number in the
 * fewest digits that read back as the same double: 19.67, where printf's 17 digits say
 * 19.670000000000002. */
#ifndef MAE_RECORD_JSON_TEXT_H
#define MAE_RECORD_JSON_TEXT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

/* The value as text, with jansson's flags, which choose indentation and order; NULL when there is
 * no memory. The caller frees. */
char *json_text(const json_t *, size_t flags);
/* The same and a newline into a file; false when there was no memory. */
bool json_print(FILE *, const json_t *, size_t flags);

#endif
