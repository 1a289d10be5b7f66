/* paper.c - published numbers out of an INI file, checked as they are read. */
#include "harness/plan/paper.h"

#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

enum { SOURCE, KEY, COMPARE, OURS, FIRST_SERIES };
static const char *const key_names[PAPER_KEYS] = {"source", "key",       "compare",
                                                  "ours",   "finetuned", "linear"};
const char *const paper_series[PAPER_SERIES] = {"finetuned", "linear"};

bool paper_is_section(const char *section, const char *scale) {
  return !strcmp(section, "paper") ||
         (!strncmp(section, "paper.", 6) && !strcmp(section + 6, scale));
}

__attribute__((format(printf, 3, 4))) static bool refuse(Error *e, const IniEntry *entry,
                                                         const char *format, ...) {
  char problem[512];
  va_list args;
  va_start(args, format);
  vsnprintf(problem, sizeof problem, format, args);
  va_end(args);
  error_set(e, EXIT_CONFIG, "[%s] %s: %s", entry->section, entry->key, problem);
  if (entry->line > 0) return error_prefix(e, "%s:%d:%d", entry->file, entry->line, entry->column);
  return error_prefix(e, "%s", entry->file);
}

bool paper_take(PaperEntries *entries, const IniEntry *entry, Error *e) {
  for (int k = 0; k < PAPER_KEYS; k++) {
    if (strcmp(key_names[k], entry->key)) continue;
    entries->key[k] = *entry;
    return true;
  }
  return refuse(e, entry,
                "unknown key; there are source, key, compare, ours, and the series finetuned and "
                "linear");
}

static void split_words(StringList *words, const char *text, const char *separators) {
  StringList pieces = {0};
  strings_split(&pieces, text, separators);
  for (int i = 0; i < pieces.count; i++)
    if (*pieces.items[i]) strings_add(words, string_copy(pieces.items[i]));
  strings_free(&pieces);
}

/* The canonical values of the keys that a text gives, one for each between blanks. False with *e
 * saying which is none. */
static bool read_values(StringList *values, const StringList *keys, const char *text,
                        const Config *base, Error *e) {
  StringList words = {0};
  Config scratch = *base;
  ConfigOrigin nowhere = {NULL, 0, 0}; /* the caller says where */
  split_words(&words, text, " \t");
  bool ok = words.count == keys->count;
  if (!ok)
    error_set(e, EXIT_CONFIG, "%d value%s for %d key%s", words.count, words.count == 1 ? "" : "s",
              keys->count, keys->count == 1 ? "" : "s");
  for (int i = 0; ok && i < words.count; i++) {
    char canonical[CONFIG_PATH_MAX + 64];
    ok = config_set(&scratch, keys->items[i], words.items[i], &nowhere, e) &&
         config_get(&scratch, keys->items[i], canonical, sizeof canonical);
    if (ok) strings_add(values, string_copy(canonical));
  }
  if (!ok) strings_free(values);
  strings_free(&words);
  return ok;
}

static PaperSetting *find_setting(const Paper *paper, const char *name) {
  for (int i = 0; i < paper->count; i++)
    if (!strcmp(paper->settings[i].name, name)) return &paper->settings[i];
  return NULL;
}

static PaperSetting *add_setting(Paper *paper, const char *name) {
  size_t size = (size_t)(paper->count + 1) * sizeof *paper->settings;
  paper->settings = need(realloc(paper->settings, size));
  PaperSetting *setting = &paper->settings[paper->count++];
  *setting = (PaperSetting){.name = string_copy(name)};
  for (int s = 0; s < PAPER_SERIES; s++) setting->number[s] = NAN;
  return setting;
}

/* "SETTING: TEXT" in its two parts; the last colon parts them. False: it is not written so. */
static bool split_item(char *item, char **name, char **text) {
  char *colon = strrchr(item, ':');
  if (!colon || colon == item) return false;
  *text = colon + 1 + strspn(colon + 1, " \t");
  while (colon > item && strchr(" \t", colon[-1])) colon--;
  *colon = '\0';
  *name = item;
  return *item && **text;
}

static bool put_number(Paper *paper, int series, const char *name, const char *text,
                       const IniEntry *entry, Error *e) {
  char *end;
  double number = strtod(text, &end);
  if (*end || !(number >= 0 && number <= 100))
    return refuse(e, entry, "%.60s: \"%.60s\" is no number of percent", name, text);
  PaperSetting *setting = find_setting(paper, name);
  if (setting && !isnan(setting->number[series]))
    return refuse(e, entry, "%.60s is given twice", name);
  if (!setting && paper->count == PAPER_SETTINGS_MAX)
    return refuse(e, entry, "more than %d settings", PAPER_SETTINGS_MAX);
  if (!setting) setting = add_setting(paper, name);
  setting->number[series] = number;
  return true;
}

static bool put_ours(const Paper *paper, StringList *seen, const char *name, const char *text,
                     const IniEntry *entry, const Config *base, Error *e) {
  PaperSetting *setting = find_setting(paper, name);
  Error problem = {0};
  if (!setting) return refuse(e, entry, "%.60s: no series names this setting", name);
  if (strings_find(seen, name) >= 0) return refuse(e, entry, "%.60s is given twice", name);
  strings_add(seen, string_copy(name));
  strings_free(&setting->values);
  return !strcmp(text, "-") || read_values(&setting->values, &paper->keys, text, base, &problem) ||
         refuse(e, entry, "%.60s: %s", name, problem.message);
}

/* The items of a list between commas: numbers of a series, or `ours`. */
static bool read_items(Paper *paper, int key, const IniEntry *entry, const Config *base, Error *e) {
  StringList items = {0}, seen = {0};
  strings_split(&items, entry->value, ",");
  bool ok = true;
  for (int i = 0; ok && i < items.count; i++) {
    char *name, *text;
    if (!split_item(items.items[i], &name, &text))
      ok = refuse(e, entry, "\"%.60s\": is written SETTING: %s, ...", items.items[i],
                  key == OURS ? "VALUE" : "NUMBER");
    else if (key == OURS)
      ok = put_ours(paper, &seen, name, text, entry, base, e);
    else
      ok = put_number(paper, key - FIRST_SERIES, name, text, entry, e);
  }
  strings_free(&items);
  strings_free(&seen);
  return ok;
}

static bool read_keys(Paper *paper, const IniEntry *entry, const IniEntry *section,
                      const Config *base, const char *x, Error *e) {
  split_words(&paper->keys, entry->value ? entry->value : x, " \t,");
  if (!paper->keys.count)
    return refuse(e, section, "give key = section.name: [experiment] has no x to take it from");
  for (int i = 0; i < paper->keys.count; i++) {
    char value[CONFIG_PATH_MAX + 64];
    const char *key = paper->keys.items[i];
    if (config_get(base, key, value, sizeof value)) continue;
    const char *near = config_suggest(key);
    return refuse(e, entry, "unknown option %.60s%s%s%s", key, near ? "; did you mean " : "",
                  near ? near : "", near ? "?" : "");
  }
  return true;
}

static void take_own_names(Paper *paper, const Config *base) {
  for (int i = 0; i < paper->count; i++) {
    Error ignored;
    PaperSetting *setting = &paper->settings[i];
    read_values(&setting->values, &paper->keys, setting->name, base, &ignored);
  }
}

static bool read_all(Paper *paper, const PaperEntries *entries, const IniEntry *first,
                     const Config *base, const char *x, Error *e) {
  const IniEntry *compare = &entries->key[COMPARE];
  if (!entries->key[SOURCE].value || !*entries->key[SOURCE].value)
    return refuse(e, first, "the section needs a source: whose numbers these are");
  paper->source = string_copy(entries->key[SOURCE].value);
  if (!read_keys(paper, &entries->key[KEY], first, base, x, e)) return false;
  split_words(&paper->compare, compare->value ? compare->value : PAPER_COMPARE, " \t,");
  if (!paper->compare.count) return refuse(e, compare, "names no metric");
  for (int key = FIRST_SERIES; key < PAPER_KEYS; key++)
    if (entries->key[key].value && !read_items(paper, key, &entries->key[key], base, e))
      return false;
  if (!paper->count) return refuse(e, first, "the section has no series: finetuned or linear");
  take_own_names(paper, base);
  return !entries->key[OURS].value || read_items(paper, OURS, &entries->key[OURS], base, e);
}

bool paper_read(Paper *paper, const PaperEntries *entries, const Config *base, const char *x,
                Error *e) {
  const IniEntry *first = NULL;
  for (int k = PAPER_KEYS - 1; k >= 0; k--)
    if (entries->key[k].value) first = &entries->key[k];
  *paper = (Paper){0};
  if (!first || read_all(paper, entries, first, base, x, e)) return true;
  paper_free(paper);
  return false;
}

void paper_write(FILE *out, const PaperEntries *entries) {
  bool begun = false;
  for (int k = 0; k < PAPER_KEYS; k++) {
    if (!entries->key[k].value) continue;
    fprintf(out, "%s%s = ", begun ? "" : "\n[paper]\n", key_names[k]);
    ini_write_quoted(out, entries->key[k].value);
    fputc('\n', out);
    begun = true;
  }
}

void paper_free(Paper *paper) {
  for (int i = 0; i < paper->count; i++) {
    free(paper->settings[i].name);
    strings_free(&paper->settings[i].values);
  }
  free(paper->settings);
  free(paper->source);
  strings_free(&paper->keys);
  strings_free(&paper->compare);
  *paper = (Paper){0};
}
