/* Reading INI files: sections, entries with their line and column, and included files. */
#include "mae/config/ini.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "mae/base/text.h"

/* A file being read, and the one that includes it. */
typedef struct Frame {
  const struct Frame *parent;
  dev_t device;
  ino_t inode;
} Frame;

typedef struct Parser {
  IniFile *ini;
  const char *name;   /* of the file, for messages */
  const Frame *frame; /* NULL: parsing text, without includes */
  int *files;         /* read so far */
  Error *error;
  int line;
  int first;                       /* this file's first entry */
  char *section;                   /* NULL before the first one */
  int section_line, section_first; /* its header; the entry that would be its first */
  /* The key whose value is being collected; NULL: none. */
  char *key;
  int key_line, value_line, value_column;
  Text value;
} Parser;

static bool fail(Parser *p, int line, int column, const char *what) {
  return error_set(p->error, EXIT_CONFIG, "%s:%d:%d: %s", p->name, line, column, what);
}

static bool out_of_memory(Error *e) {
  return error_set(e, EXIT_DEVICE, "out of memory while reading an INI file");
}

static bool is_blank(char c) {
  return c == ' ' || c == '\t';
}

static bool is_comment(char c) {
  return c == ';' || c == '#';
}

static bool is_name(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
         c == '-' || c == '.';
}

static bool read_file(Parser *parent, int *files, IniFile *ini, const char *path,
                      const Frame *parent_frame, Error *e);

/* Path as written in an include line, relative to the folder of the file that holds it. */
static char *resolve(const char *from, const char *path) {
  const char *slash = strrchr(from, '/');
  char *joined = NULL;
  int folder = slash && *path != '/' ? (int)(slash - from) + 1 : 0;
  if (asprintf(&joined, "%.*s%s", folder, from, path) < 0) return NULL;
  return joined;
}

static bool include(Parser *p) {
  if (!p->frame) return fail(p, p->key_line, 1, "include is not possible here");
  char *path = resolve(p->name, p->value.bytes);
  if (!path) return out_of_memory(p->error);
  bool ok = read_file(p, p->files, p->ini, path, p->frame, p->error);
  free(path);
  p->first = p->ini->count;
  return ok;
}

static bool check_duplicate(Parser *p) {
  for (int i = p->first; i < p->ini->count; i++) {
    const IniEntry *entry = &p->ini->entries[i];
    if (strcmp(entry->key, p->key) || strcmp(entry->section, p->section)) continue;
    return error_set(p->error, EXIT_CONFIG, "%s:%d:%d: %.100s.%.100s: already given on line %d",
                     p->name, p->key_line, 1, p->section, p->key, entry->line);
  }
  return true;
}

static bool add_entry(Parser *p) {
  IniFile *ini = p->ini;
  if (!check_duplicate(p)) return false;
  if (ini->count >= INI_ENTRIES_MAX) return fail(p, p->key_line, 1, "too many keys (over 4096)");
  if ((ini->count & (ini->count - 1)) == 0) { /* grow at each power of two */
    size_t capacity = ini->count ? 2 * (size_t)ini->count : 1;
    IniEntry *grown = realloc(ini->entries, capacity * sizeof *grown);
    if (!grown) return out_of_memory(p->error);
    ini->entries = grown;
  }
  IniEntry *entry = &ini->entries[ini->count++];
  *entry = (IniEntry){.section = strdup(p->section),
                      .key = strdup(p->key),
                      .value = strdup(p->value.bytes),
                      .file = strdup(p->name),
                      .line = p->value_line,
                      .column = p->value_column};
  if (!entry->section || !entry->key || !entry->value || !entry->file)
    return out_of_memory(p->error);
  return true;
}

/* Ends the value being collected, if any. */
static bool finish_value(Parser *p) {
  if (!p->key) return true;
  text_add(&p->value, "", 1);
  bool ok = p->value.failed ? out_of_memory(p->error) : p->section ? add_entry(p) : include(p);
  free(p->key);
  p->key = NULL;
  return ok;
}

/* Appends a quoted piece of a value; text[at] is the opening quote. */
static bool add_quoted(Parser *p, const char *text, size_t at, size_t end) {
  size_t open = at++;
  for (; at < end && text[at] != '"'; at++) {
    if (text[at] == '\\') {
      if (at + 1 >= end || (text[at + 1] != '"' && text[at + 1] != '\\'))
        return fail(p, p->line, (int)at + 1,
                    "a backslash inside quotes stands before \" or \\ only");
      at++;
    }
    text_add(&p->value, text + at, 1);
  }
  if (at == end) return fail(p, p->line, (int)open + 1, "this quote is not closed on its line");
  at++;
  size_t after = at;
  while (at < end && is_blank(text[at])) at++;
  if (at == end || (at > after && is_comment(text[at]))) return true;
  return fail(p, p->line, (int)at + 1,
              "text after the closing quote; quotes go around the whole value");
}

/* Appends what one line adds to the value: text[at .. end), up to a comment. */
static bool add_piece(Parser *p, const char *text, size_t at, size_t end) {
  if (p->value.length) text_add(&p->value, " ", 1);
  if (at < end && text[at] == '"') return add_quoted(p, text, at, end);
  size_t stop = at;
  while (stop < end && !(is_comment(text[stop]) && (stop == at || is_blank(text[stop - 1]))))
    stop++;
  while (stop > at && is_blank(text[stop - 1])) stop--;
  text_add(&p->value, text + at, stop - at);
  return true;
}

/* Ends the present section. A section without keys is an error: somebody forgot to write them. */
static bool finish_section(Parser *p) {
  if (!finish_value(p)) return false;
  if (!p->section || p->ini->count > p->section_first) return true;
  return error_set(p->error, EXIT_CONFIG, "%s:%d:1: [%.100s] has no keys", p->name, p->section_line,
                   p->section);
}

static bool parse_section(Parser *p, const char *text, size_t end) {
  if (!finish_section(p)) return false;
  size_t stop = 1;
  while (stop < end && is_name(text[stop])) stop++;
  if (stop == 1 || stop == end || text[stop] != ']')
    return fail(p, p->line, (int)stop + 1,
                "expected [section]: letters, digits, '_', '-' or '.' in brackets");
  size_t after = stop + 1;
  while (after < end && is_blank(text[after])) after++;
  if (after < end && !is_comment(text[after]))
    return fail(p, p->line, (int)after + 1, "text after the section's closing bracket");
  free(p->section);
  p->section = strndup(text + 1, stop - 1);
  p->section_line = p->line;
  p->section_first = p->ini->count;
  return p->section || out_of_memory(p->error);
}

static bool parse_key(Parser *p, const char *text, size_t end) {
  if (!finish_value(p)) return false;
  size_t stop = 0;
  while (stop < end && is_name(text[stop])) stop++;
  size_t at = stop;
  while (at < end && is_blank(text[at])) at++;
  if (stop == 0 || at == end || text[at] != '=')
    return fail(p, p->line, (int)at + 1, "expected key = value, [section] or a ; comment");
  at++;
  while (at < end && is_blank(text[at])) at++;
  if (!p->section && (stop != strlen("include") || strncmp(text, "include", stop)))
    return fail(p, p->line, 1, "a key before the first [section]; only include may stand here");
  if (p->section && stop == strlen("include") && !strncmp(text, "include", stop))
    return fail(p, p->line, 1, "include stands before the first [section]");
  p->key = strndup(text, stop);
  if (!p->key) return out_of_memory(p->error);
  p->key_line = p->value_line = p->line;
  p->value_column = (int)at + 1;
  p->value.length = 0;
  return add_piece(p, text, at, end);
}

static bool parse_indented(Parser *p, const char *text, size_t end) {
  size_t at = 0;
  while (at < end && is_blank(text[at])) at++;
  if (at == end) return finish_value(p);
  if (is_comment(text[at])) return true;
  if (!p->key)
    return fail(p, p->line, (int)at + 1,
                "an indented line continues a value, and there is none to continue");
  if (!p->value.length) { /* a list that starts on the line after its key */
    p->value_line = p->line;
    p->value_column = (int)at + 1;
  }
  return add_piece(p, text, at, end);
}

static bool parse_line(Parser *p, const char *text, size_t end) {
  for (size_t i = 0; i < end; i++)
    if (((unsigned char)text[i] < 0x20 && text[i] != '\t') || text[i] == 0x7f)
      return fail(p, p->line, (int)i + 1, "a control character; this is not a text file");
  if (end == 0) return finish_value(p);
  if (is_blank(text[0])) return parse_indented(p, text, end);
  if (is_comment(text[0])) return true;
  if (text[0] == '[') return parse_section(p, text, end);
  return parse_key(p, text, end);
}

static bool parse_text(Parser *p, const char *text, size_t size) {
  static const char byte_order_mark[] = "\xEF\xBB\xBF";
  bool ok = true;
  size_t at = size >= 3 && !memcmp(text, byte_order_mark, 3) ? 3 : 0;
  while (ok && at < size) {
    const char *newline = memchr(text + at, '\n', size - at);
    size_t next = newline ? (size_t)(newline - text) : size;
    size_t end = next > at && text[next - 1] == '\r' ? next - 1 : next;
    p->line++;
    ok = parse_line(p, text + at, end - at);
    at = next + 1;
  }
  ok = ok && finish_section(p);
  free(p->section);
  free(p->key);
  text_free(&p->value);
  return ok;
}

/* Where an include line stands, in front of the message. */
static bool blame(const Parser *parent, Error *e) {
  if (!parent) return false;
  return error_prefix(e, "%s:%d:%d: include", parent->name, parent->value_line,
                      parent->value_column);
}

static bool load(FILE *file, const char *path, Text *text, Error *e) {
  char block[16384];
  size_t got;
  while ((got = fread(block, 1, sizeof block, file)) > 0) {
    if (text->length + got > INI_BYTES_MAX)
      return error_set(e, EXIT_CONFIG, "%s: larger than 16 MiB; this is not an INI file", path);
    text_add(text, block, got);
  }
  if (ferror(file)) return error_set(e, EXIT_CONFIG, "%s: %s", path, strerror(errno));
  return !text->failed || out_of_memory(e);
}

static bool parse_file(FILE *file, int *files, IniFile *ini, const char *path,
                       const Frame *parent_frame, Error *e) {
  struct stat status;
  if (fstat(fileno(file), &status))
    return error_set(e, EXIT_CONFIG, "%s: %s", path, strerror(errno));
  for (const Frame *frame = parent_frame; frame; frame = frame->parent)
    if (frame->device == status.st_dev && frame->inode == status.st_ino)
      return error_set(e, EXIT_CONFIG, "%s: circular include", path);
  Text text = {0};
  Frame frame = {parent_frame, status.st_dev, status.st_ino};
  Parser parser = {
      .ini = ini, .name = path, .frame = &frame, .files = files, .error = e, .first = ini->count};
  bool ok = load(file, path, &text, e) && parse_text(&parser, text.bytes, text.length);
  text_free(&text);
  return ok;
}

static bool read_file(Parser *parent, int *files, IniFile *ini, const char *path,
                      const Frame *parent_frame, Error *e) {
  if (++*files > INI_FILES_MAX) {
    error_set(e, EXIT_CONFIG, "%s: more than %d files are included", path, INI_FILES_MAX);
    return blame(parent, e);
  }
  FILE *file = fopen(path, "r");
  if (!file) {
    error_set(e, EXIT_CONFIG, "cannot open %s: %s", path, strerror(errno));
    return blame(parent, e);
  }
  bool ok = parse_file(file, files, ini, path, parent_frame, e);
  fclose(file);
  return ok || blame(parent, e);
}

bool ini_read(IniFile *ini, const char *path, Error *e) {
  int files = 0;
  *ini = (IniFile){0};
  bool ok = read_file(NULL, &files, ini, path, NULL, e);
  if (!ok) ini_free(ini);
  return ok;
}

bool ini_parse(IniFile *ini, const char *name, const char *text, size_t size, Error *e) {
  *ini = (IniFile){0};
  if (size > INI_BYTES_MAX)
    return error_set(e, EXIT_CONFIG, "%s: larger than 16 MiB; this is not an INI file", name);
  Parser parser = {.ini = ini, .name = name, .error = e};
  bool ok = parse_text(&parser, text, size);
  if (!ok) ini_free(ini);
  return ok;
}

void ini_free(IniFile *ini) {
  for (int i = 0; i < ini->count; i++) {
    free(ini->entries[i].section);
    free(ini->entries[i].key);
    free(ini->entries[i].value);
    free(ini->entries[i].file);
  }
  free(ini->entries);
  *ini = (IniFile){0};
}

void ini_write_quoted(FILE *file, const char *text) {
  fputc('"', file);
  for (; *text; text++) {
    if (*text == '"' || *text == '\\') fputc('\\', file);
    fputc(*text, file);
  }
  fputc('"', file);
}
