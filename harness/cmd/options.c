/* Settings of a plan and trials' numbers, as they stand on a command line. */
#include "harness/cmd/options.h"

#include <stdlib.h>
#include <string.h>

void overrides_add(Overrides *overrides, const char *key, const char *value) {
  char *key_copy = string_copy(key), *value_copy = string_copy(value);
  strings_add(&overrides->texts, key_copy);
  strings_add(&overrides->texts, value_copy);
  size_t size = (size_t)(overrides->count + 1) * sizeof *overrides->items;
  overrides->items = need(realloc(overrides->items, size));
  overrides->items[overrides->count++] = (PlanOverride){key_copy, value_copy};
}

static bool read_setting(Overrides *overrides, const char *text, Error *e) {
  const char *equals = strchr(text, '=');
  if (!equals || equals == text || !memchr(text, '.', (size_t)(equals - text)))
    return error_set(e, EXIT_CONFIG, "--set %.100s: expected section.key=value%s", text,
                     strncmp(text, "seeds=", 6) ? ""
                                                : "; seeds are in [sweep]: --set sweep.seeds=");
  char *key = string_format("%.*s", (int)(equals - text), text);
  overrides_add(overrides, key, equals + 1);
  free(key);
  return true;
}

bool overrides_read(Overrides *overrides, const CmdList *settings, Error *e) {
  for (int i = 0; i < settings->count; i++)
    if (!read_setting(overrides, settings->items[i], e)) return false;
  return true;
}

void overrides_free(Overrides *overrides) {
  strings_free(&overrides->texts);
  free(overrides->items);
  *overrides = (Overrides){0};
}

bool parse_trial(const char *text, int64_t *trial, Error *e) {
  char *end;
  long long number = strtoll(text, &end, 10);
  if (end == text || *end || number < 1)
    return error_set(e, EXIT_CONFIG,
                     "%.100s is no trial's number; `harness status EXPERIMENT` lists them", text);
  *trial = number;
  return true;
}

bool open_databases(Store **store, const CmdList *databases, Error *e) {
  static const char *const usual[] = {DEFAULT_DB};
  bool given = databases->count > 0;
  return store_open_several(store, given ? databases->items : usual, given ? databases->count : 1,
                            e);
}

int command_end(const CommandLine *line, Store *store, bool ok, const Error *e) {
  store_close(store);
  command_line_free(line);
  return ok ? EXIT_OK : command_fail(line->name, e);
}
