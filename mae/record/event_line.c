/* event_line.c - lines of event files and members of JSON objects, checked as they are read: the
 * writer may have crashed, and the file may not be ours. */
#include "mae/record/event_line.h"

#include <math.h>
#include <string.h>

static const struct {
  const char *name;
  double value;
} kinds[] = {[NUMBER_FINITE] = {"finite", 0},   [NUMBER_NAN] = {"nan", NAN},
             [NUMBER_INF] = {"inf", INFINITY},  [NUMBER_MINUS_INF] = {"-inf", -INFINITY},
             [NUMBER_ABSENT] = {"absent", NAN}, [NUMBER_INVALID] = {NULL, NAN}};

bool event_line_read(EventLine *event, const char *line, size_t length, Error *e) {
  json_error_t where;
  *event = (EventLine){.json = json_loadb(line, length, JSON_REJECT_DUPLICATES, &where)};
  bool ok = event->json != NULL;
  if (!ok) error_set(e, EXIT_DATA, "not JSON: %s", where.text);
  if (ok && !json_is_object(event->json)) ok = error_set(e, EXIT_DATA, "not a JSON object");
  ok = ok && member_need_text(event->json, "event", &event->name, e);
  if (!ok) event_line_free(event);
  return ok;
}

void event_line_free(EventLine *event) {
  json_decref(event->json);
  *event = (EventLine){0};
}

bool event_line_is(const EventLine *event, const char *name) {
  return !strcmp(event->name, name);
}

const char *number_kind_name(NumberKind kind) {
  return kinds[kind].name;
}

static Number number_of(NumberKind kind) {
  return (Number){kinds[kind].value, kind};
}

const char *member_text(const json_t *object, const char *key) {
  return json_string_value(json_object_get(object, key));
}

int64_t member_integer(const json_t *object, const char *key, int64_t missing) {
  const json_t *member = json_object_get(object, key);
  return json_is_integer(member) ? json_integer_value(member) : missing;
}

Number member_number(const json_t *object, const char *key) {
  const json_t *member = json_object_get(object, key);
  if (!member || json_is_null(member)) return number_of(NUMBER_ABSENT);
  if (json_is_number(member)) return (Number){json_number_value(member), NUMBER_FINITE};
  const char *text = json_string_value(member);
  for (NumberKind kind = NUMBER_NAN; text && kind <= NUMBER_MINUS_INF; kind++)
    if (!strcmp(text, kinds[kind].name)) return number_of(kind);
  return number_of(NUMBER_INVALID);
}

Number member_whole_number(const json_t *object, const char *key) {
  const json_t *member = json_object_get(object, key);
  if (!json_is_integer(member)) return number_of(NUMBER_ABSENT);
  return (Number){(double)json_integer_value(member), NUMBER_FINITE};
}

bool member_bad(const char *key, const char *what, Error *e) {
  return error_set(e, EXIT_DATA, "member \"%s\" is not %s", key, what);
}

bool member_need_text(const json_t *object, const char *key, const char **value, Error *e) {
  *value = member_text(object, key);
  return *value || member_bad(key, "text", e);
}

bool member_need_integer(const json_t *object, const char *key, int64_t *value, Error *e) {
  *value = member_integer(object, key, 0);
  return json_is_integer(json_object_get(object, key)) || member_bad(key, "a whole number", e);
}

bool member_need_finite(const json_t *object, const char *key, double *value, Error *e) {
  Number number = member_number(object, key);
  *value = number.value;
  return number.kind == NUMBER_FINITE || member_bad(key, "a finite number", e);
}
