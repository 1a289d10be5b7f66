/* event_line.h - reading what events.h writes, a line at a time, and the members of any JSON object
 * by their type. The only place that knows how a number that is not finite stands in a file. */
#ifndef MAE_RECORD_EVENT_LINE_H
#define MAE_RECORD_EVENT_LINE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mae/base/error.h"

typedef struct EventLine {
  json_t *json;     /* the object; owned */
  const char *name; /* its member "event" */
} EventLine;

/* False, with what is wrong, when the line is not one JSON object that names its event. */
bool event_line_read(EventLine *, const char *line, size_t length, Error *);
void event_line_free(EventLine *);
bool event_line_is(const EventLine *, const char *name);

typedef enum NumberKind {
  NUMBER_FINITE,
  NUMBER_NAN,
  NUMBER_INF,
  NUMBER_MINUS_INF,
  NUMBER_ABSENT, /* no such member, or null */
  NUMBER_INVALID /* a member that stands for no number */
} NumberKind;

typedef struct Number {
  double value; /* NAN, INFINITY and -INFINITY too; NAN when absent or invalid */
  NumberKind kind;
} Number;

/* "finite", "nan", "inf", "-inf", "absent"; NULL for NUMBER_INVALID. */
const char *number_kind_name(NumberKind);

/* What a member says; the object may be NULL and has no members then. */
const char *member_text(const json_t *, const char *key); /* NULL: absent, or not text */
int64_t member_integer(const json_t *, const char *key, int64_t missing);
Number member_number(const json_t *, const char *key);
/* The same, where anything but a whole number counts as absent. */
Number member_whole_number(const json_t *, const char *key);

/* Members that must be there: false with a message that names the key. */
bool member_need_text(const json_t *, const char *key, const char **, Error *);
bool member_need_integer(const json_t *, const char *key, int64_t *, Error *);
bool member_need_finite(const json_t *, const char *key, double *, Error *);
/* "member "key" is not WHAT"; false. */
bool member_bad(const char *key, const char *what, Error *);

#endif
