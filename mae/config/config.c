/* Values of options from text and back: parsing, messages, the canonical dump, its hash and the
 * help, all driven by the option table (table.c). */
#include "mae/config/config.h"

#include <ctype.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "mae/base/sha256.h"
#include "mae/base/suggest.h"
#include "mae/config/ini.h"
#include "mae/config/table.h"

enum { OPTION_COUNT_MAX = 256, ALLOWED_MAX = 256 };

static const Option *find_option(const char *key) {
  for (int i = 0; i < config_option_count; i++)
    if (!strcmp(config_options[i].key, key)) return &config_options[i];
  return NULL;
}

static const char *option_name(const Option *option) {
  return strchr(option->key, '.') + 1;
}

/* The shortest decimal text that reads back as the same double; whole numbers without exponent. */
static void format_number(char *buffer, size_t size, double value) {
  if (value == floor(value) && fabs(value) < 1e15) {
    snprintf(buffer, size, "%.0f", value);
    return;
  }
  for (int digits = 1; digits <= 17; digits++) {
    snprintf(buffer, size, "%.*g", digits, value);
    if (strtod(buffer, NULL) == value) return;
  }
}

/* What values an option takes, worded to follow "is not". */
static void describe_allowed(const Option *option, char *buffer, size_t size) {
  char min[32], max[32];
  size_t used = 0;
  switch (option->type) {
  case OPTION_INTEGER:
    snprintf(buffer, size, "a whole number from %.0f to %.0f", option->min, option->max);
    break;
  case OPTION_NUMBER:
    format_number(min, sizeof min, option->min);
    format_number(max, sizeof max, option->max);
    snprintf(buffer, size, "a number from %s to %s", min, max);
    break;
  case OPTION_BOOL:
    snprintf(buffer, size, "true or false");
    break;
  case OPTION_CHOICE:
    used = (size_t)snprintf(buffer, size, "one of %s", option->choices[0]);
    for (int i = 1; option->choices[i] && used < size; i++)
      used += (size_t)snprintf(buffer + used, size - used, ", %s", option->choices[i]);
    break;
  case OPTION_TOWER:
    used = (size_t)snprintf(buffer, size, "WIDTHxDEPTHxHEADS (at most %dx%dx%d) or one of",
                            TOWER_WIDTH_MAX, TOWER_DEPTH_MAX, TOWER_HEADS_MAX);
    for (int i = 0; i < config_preset_count && used < size; i++)
      used += (size_t)snprintf(buffer + used, size - used, "%s %s", i ? "," : "",
                               config_presets[i].name);
    break;
  case OPTION_TEXT:
    snprintf(buffer, size, "text of at most %zu bytes without control characters",
             option->size - 1);
    break;
  case OPTION_DEVICE:
    snprintf(buffer, size, "one of auto, cpu, cuda, cuda:N");
    break;
  }
}

__attribute__((format(printf, 4, 5))) static bool
set_error(Error *e, const ConfigOrigin *origin, const char *key, const char *format, ...) {
  char text[sizeof e->message];
  va_list args;
  va_start(args, format);
  vsnprintf(text, sizeof text, format, args);
  va_end(args);
  error_set(e, EXIT_CONFIG, "%s: %.*s", key, (int)sizeof e->message - 200, text);
  if (!origin || !origin->file) return false;
  if (origin->line > 0)
    return error_prefix(e, "%s:%d:%d", origin->file, origin->line, origin->column);
  return error_prefix(e, "%s", origin->file);
}

static void store_integer(const Option *option, void *field, int64_t value) {
  int32_t narrow = (int32_t)value;
  if (option->size == sizeof narrow)
    memcpy(field, &narrow, sizeof narrow);
  else
    memcpy(field, &value, sizeof value);
}

static int64_t load_integer(const Option *option, const void *field) {
  int32_t narrow;
  int64_t wide;
  if (option->size == sizeof narrow) {
    memcpy(&narrow, field, sizeof narrow);
    return narrow;
  }
  memcpy(&wide, field, sizeof wide);
  return wide;
}

static bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

/* Decimal digits only, at most 16 of them, so nothing overflows. Moves *text past them. */
static bool read_digits(const char **text, int64_t *value) {
  int digits = 0;
  *value = 0;
  for (; is_digit(**text); (*text)++) {
    if (++digits > 16) return false;
    *value = *value * 10 + (**text - '0');
  }
  return digits > 0;
}

static bool parse_integer(const Option *option, const char *text, int64_t *value) {
  bool negative = *text == '-';
  text += negative;
  if (!read_digits(&text, value) || *text) return false;
  if (negative) *value = -*value;
  return (double)*value >= option->min && (double)*value <= option->max;
}

/* strtod takes hexadecimal, "inf" and "nan" as well; only decimal numbers are meant here. */
static bool parse_number(const Option *option, const char *text, double *value) {
  if (!*text || text[strspn(text, "0123456789+-.eE")]) return false;
  char *end;
  *value = strtod(text, &end);
  if (*value == 0) *value = 0; /* -0 is 0: one canonical text */
  return !*end && *value >= option->min && *value <= option->max;
}

/* A preset's name or three sizes within their limits. */
static bool parse_tower(const char *text, Tower *tower) {
  for (int i = 0; i < config_preset_count; i++)
    if (!strcmp(text, config_presets[i].name)) {
      *tower = config_presets[i].tower;
      return true;
    }
  int64_t width, depth, heads;
  if (!read_digits(&text, &width) || *text++ != 'x') return false;
  if (!read_digits(&text, &depth) || *text++ != 'x') return false;
  if (!read_digits(&text, &heads) || *text) return false;
  if (width < 1 || width > TOWER_WIDTH_MAX || depth < 1 || depth > TOWER_DEPTH_MAX || heads < 1 ||
      heads > TOWER_HEADS_MAX)
    return false;
  *tower = (Tower){(int)width, (int)depth, (int)heads};
  return true;
}

static bool is_device(const char *text) {
  if (!strcmp(text, "auto") || !strcmp(text, "cpu") || !strcmp(text, "cuda")) return true;
  int64_t index;
  if (strncmp(text, "cuda:", 5)) return false;
  text += 5;
  return read_digits(&text, &index) && !*text && index < 1024;
}

static bool is_plain_text(const char *text) {
  for (; *text; text++)
    if ((unsigned char)*text < 0x20 || *text == 0x7f) return false;
  return true;
}

static bool parse_value(const Option *option, void *field, const char *text) {
  int64_t integer;
  double number;
  Tower tower;
  bool flag;
  switch (option->type) {
  case OPTION_INTEGER:
    if (!parse_integer(option, text, &integer)) return false;
    store_integer(option, field, integer);
    return true;
  case OPTION_NUMBER:
    if (!parse_number(option, text, &number)) return false;
    memcpy(field, &number, sizeof number);
    return true;
  case OPTION_BOOL:
    flag = !strcmp(text, "true");
    if (!flag && strcmp(text, "false")) return false;
    memcpy(field, &flag, sizeof flag);
    return true;
  case OPTION_CHOICE:
    for (int i = 0; option->choices[i]; i++)
      if (!strcmp(text, option->choices[i])) {
        store_integer(option, field, i);
        return true;
      }
    return false;
  case OPTION_TOWER:
    if (!parse_tower(text, &tower) || tower.width % tower.heads) return false;
    memcpy(field, &tower, sizeof tower);
    return true;
  case OPTION_TEXT:
  case OPTION_DEVICE:
    if (option->type == OPTION_DEVICE ? !is_device(text) : !is_plain_text(text)) return false;
    if (strlen(text) >= option->size) return false;
    memset(field, 0, option->size);
    memcpy(field, text, strlen(text));
    return true;
  }
  return false;
}

void config_init(Config *config) {
  /* Padding and the tails of strings are zero too: equal configurations are equal bytes. */
  memset(config, 0, sizeof *config);
  for (int i = 0; i < config_option_count; i++) {
    const Option *option = &config_options[i];
    if (!parse_value(option, (char *)config + option->offset, option->initial)) abort();
  }
}

static int choice_count(const Option *option) {
  int count = 0;
  while (option->choices[count]) count++;
  return count;
}

bool config_set(Config *config, const char *key, const char *value, const ConfigOrigin *origin,
                Error *e) {
  const Option *option = find_option(key);
  if (!option) {
    const char *near = config_suggest(key);
    if (near) return set_error(e, origin, key, "no such option; did you mean %s?", near);
    return set_error(e, origin, key, "no such option; `mae config --help` lists them all");
  }
  if (parse_value(option, (char *)config + option->offset, value)) return true;
  Tower tower;
  if (option->type == OPTION_TOWER && parse_tower(value, &tower))
    return set_error(e, origin, key, "width %d is not divisible by %d heads in '%.100s'",
                     tower.width, tower.heads, value);
  char allowed[ALLOWED_MAX];
  describe_allowed(option, allowed, sizeof allowed);
  int near = option->type == OPTION_CHOICE
                 ? suggest_index(value, option->choices, choice_count(option))
                 : -1;
  if (near >= 0)
    return set_error(e, origin, key, "'%.100s' is not %s; did you mean %s?", value, allowed,
                     option->choices[near]);
  return set_error(e, origin, key, "'%.100s' is not %s", value, allowed);
}

/* [sweep], [sweep.NAME]: what only the harness reads. */
static bool is_for_harness(const char *section) {
  static const char *const names[] = {"experiment", "sweep", "paper", "prune"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    size_t length = strlen(names[i]);
    if (!strncmp(section, names[i], length) && (!section[length] || (i && section[length] == '.')))
      return true;
  }
  return false;
}

bool config_load(Config *config, const char *path, Error *e) {
  IniFile ini;
  if (!ini_read(&ini, path, e)) return false;
  bool ok = true;
  for (int i = 0; i < ini.count && ok; i++) {
    const IniEntry *entry = &ini.entries[i];
    ConfigOrigin origin = {entry->file, entry->line, entry->column};
    char key[256];
    snprintf(key, sizeof key, "%.100s.%.100s", entry->section, entry->key);
    if (is_for_harness(entry->section))
      ok = set_error(e, &origin, key, "section [%s] is for `harness run`; a single run has none",
                     entry->section);
    else
      ok = config_set(config, key, entry->value, &origin, e);
  }
  ini_free(&ini);
  return ok;
}

bool config_mentions(const char *message, const char *key) {
  for (const char *at = strstr(message, key); at; at = strstr(at + 1, key)) {
    char after = at[strlen(key)];
    if (!isalnum((unsigned char)after) && after != '_') return true;
  }
  return false;
}

static void format_value(const Option *option, const Config *config, char *buffer, size_t size) {
  const void *field = (const char *)config + option->offset;
  double number;
  bool flag;
  Tower tower;
  switch (option->type) {
  case OPTION_INTEGER:
    snprintf(buffer, size, "%lld", (long long)load_integer(option, field));
    break;
  case OPTION_NUMBER:
    memcpy(&number, field, sizeof number);
    format_number(buffer, size, number);
    break;
  case OPTION_BOOL:
    memcpy(&flag, field, sizeof flag);
    snprintf(buffer, size, "%s", flag ? "true" : "false");
    break;
  case OPTION_CHOICE:
    snprintf(buffer, size, "%s", option->choices[load_integer(option, field)]);
    break;
  case OPTION_TOWER:
    memcpy(&tower, field, sizeof tower);
    snprintf(buffer, size, "%dx%dx%d", tower.width, tower.depth, tower.heads);
    break;
  case OPTION_TEXT:
  case OPTION_DEVICE:
    snprintf(buffer, size, "%s", (const char *)field);
    break;
  }
}

/* Whether `value`, in canonical form, is part of the hash. */
static bool counts(const Option *option, const char *value) {
  return option->hashed && !(option->younger && !strcmp(value, option->initial));
}

void config_dump(const Config *config, FILE *file, bool hashed_only) {
  const char *section = "";
  size_t section_length = 0;
  for (int i = 0; i < config_option_count; i++) {
    const Option *option = &config_options[i];
    char value[CONFIG_PATH_MAX];
    format_value(option, config, value, sizeof value);
    if (hashed_only && !counts(option, value)) continue;
    size_t length = (size_t)(option_name(option) - option->key);
    if (length != section_length || strncmp(section, option->key, length)) {
      fprintf(file, "%s[%.*s]\n", section_length ? "\n" : "", (int)length - 1, option->key);
      section = option->key;
      section_length = length;
    }
    fprintf(file, "%s = ", option_name(option));
    if (option->type == OPTION_TEXT)
      ini_write_quoted(file, value);
    else
      fputs(value, file);
    fputc('\n', file);
  }
}

void config_hash(const Config *config, char hex[65]) {
  char *text = NULL;
  size_t size = 0;
  FILE *file = open_memstream(&text, &size);
  if (!file) abort();
  config_dump(config, file, true);
  if (fclose(file)) abort();
  sha256_bytes(hex, text, size);
  free(text);
}

void config_hash_file(const IniFile *ini, char hex[65]) {
  const char *section = "";
  Sha256 *sha = sha256_new();
  for (int i = 0; i < ini->count; i++) {
    const IniEntry *entry = &ini->entries[i];
    char key[256];
    snprintf(key, sizeof key, "%s.%s", entry->section, entry->key);
    const Option *option = find_option(key);
    if (option && !counts(option, entry->value)) continue;
    char *text = NULL;
    size_t size = 0;
    FILE *file = open_memstream(&text, &size);
    if (!file) abort();
    if (strcmp(section, entry->section))
      fprintf(file, "%s[%s]\n", *section ? "\n" : "", entry->section);
    fprintf(file, "%s = ", entry->key);
    if (option && option->type == OPTION_TEXT)
      ini_write_quoted(file, entry->value);
    else
      fputs(entry->value, file);
    fputc('\n', file);
    if (fclose(file)) abort();
    sha256_add(sha, text, size);
    free(text);
    section = entry->section;
  }
  sha256_finish(sha, hex);
}

const char *config_get(const Config *config, const char *key, char *buffer, size_t size) {
  const Option *option = find_option(key);
  if (!option) return NULL;
  format_value(option, config, buffer, size);
  return buffer;
}

bool config_is_hashed(const char *key) {
  const Option *option = find_option(key);
  return option && option->hashed;
}

const char *config_suggest(const char *key) {
  const char *words[OPTION_COUNT_MAX];
  int count = config_option_count < OPTION_COUNT_MAX ? config_option_count : OPTION_COUNT_MAX;
  /* A right name in the wrong section, or in none, is the likeliest slip. */
  const char *dot = strchr(key, '.');
  const char *name = dot ? dot + 1 : key;
  for (int i = 0; i < count; i++) {
    words[i] = config_options[i].key;
    if (!strcmp(option_name(&config_options[i]), name)) return words[i];
  }
  int nearest;
  if (dot) {
    nearest = suggest_index(key, words, count);
  } else {
    for (int i = 0; i < count; i++) words[i] = option_name(&config_options[i]);
    nearest = suggest_index(key, words, count);
  }
  return nearest < 0 ? NULL : config_options[nearest].key;
}

/* Writes text in lines of at most 80 columns, indented by four. */
static void write_wrapped(FILE *file, const char *text) {
  enum { COLUMNS = 76 };
  while (*text) {
    size_t length = strlen(text), line = length;
    if (length > COLUMNS) {
      line = COLUMNS;
      while (line > 0 && text[line] != ' ') line--;
      if (line == 0) line = COLUMNS;
    }
    fprintf(file, "    %.*s\n", (int)line, text);
    text += line + strspn(text + line, " ");
  }
}

static void write_help(FILE *file, const Option *option) {
  char allowed[ALLOWED_MAX + 8];
  describe_allowed(option, allowed, ALLOWED_MAX);
  strcat(allowed, ".");
  fprintf(file, "%s = %s\n", option->key, *option->initial ? option->initial : "\"\"");
  write_wrapped(file, allowed);
  write_wrapped(file, option->help);
  write_wrapped(file, option->younger    ? "Part of the config hash where it is not the default."
                      : option->hashed   ? "Part of the config hash."
                      : option->recorded ? option->recorded
                                         : "Cannot change a result: not part of the config hash.");
}

bool config_help(FILE *file, const char *key, Error *e) {
  size_t length = key ? strlen(key) : 0;
  bool found = false;
  for (int i = 0; i < config_option_count; i++) {
    const Option *option = &config_options[i];
    bool section = key && !strncmp(option->key, key, length) && option->key[length] == '.';
    if (key && !section && strcmp(option->key, key)) continue;
    if (found) fputc('\n', file);
    write_help(file, option);
    found = true;
  }
  if (found) return true;
  const char *near = config_suggest(key);
  if (near) return error_set(e, EXIT_CONFIG, "%s: no such option; did you mean %s?", key, near);
  return error_set(e, EXIT_CONFIG, "%s: no such option or section", key);
}

const char *config_key(int index) {
  return index >= 0 && index < config_option_count ? config_options[index].key : NULL;
}
