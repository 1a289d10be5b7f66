/* notes.c - reads and writes notes.json. */
#include "harness/trial/notes.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness/trial/folder.h"
#include "mae/base/io.h"
#include "mae/base/lock_file.h"
#include "mae/record/event_line.h"

#define LOCK_FILE NOTES_FILE ".lock"

enum { NOTE_MAX = 10000, TAG_MAX = 64 };

static void append(Notes *notes, const char *text, double time) {
  notes->notes = need(realloc(notes->notes, ((size_t)notes->count + 1) * sizeof *notes->notes));
  notes->notes[notes->count++] = (Note){time, string_copy(text)};
}

static bool take(Notes *notes, const json_t *json) {
  size_t i;
  json_t *item;
  if (member_integer(json, "format", 0) != 1) return false;
  json_array_foreach(json_object_get(json, "tags"), i, item) {
    if (!json_is_string(item) || !notes_add_tag(notes, json_string_value(item), NULL)) return false;
  }
  json_array_foreach(json_object_get(json, "notes"), i, item) {
    const char *text = member_text(item, "text");
    Number time = member_number(item, "time");
    if (!text || time.kind != NUMBER_FINITE || !notes_add(notes, text, time.value, NULL))
      return false;
  }
  return true;
}

int notes_lock(const char *folder, Error *e) {
  char path[CONFIG_PATH_MAX];
  return io_join(path, sizeof path, folder, LOCK_FILE, e)
             ? lock_file_take(path, "waiting for another note, seconds", NULL, e)
             : -1;
}

void notes_unlock(int lock, const char *folder) {
  char path[CONFIG_PATH_MAX];
  if (io_join(path, sizeof path, folder, LOCK_FILE, NULL)) lock_file_release(lock, path);
}

bool notes_read(Notes *notes, const char *folder, Error *e) {
  char path[CONFIG_PATH_MAX];
  *notes = (Notes){0};
  if (!io_join(path, sizeof path, folder, NOTES_FILE, e)) return false;
  if (access(path, F_OK)) return true;
  json_t *json = folder_read_json(folder, NOTES_FILE);
  bool ok = json && take(notes, json);
  json_decref(json);
  if (ok) return true;
  notes_free(notes);
  return error_set(e, EXIT_DATA, "%s: not a file of tags and notes (format 1)", path);
}

bool notes_write(const Notes *notes, const char *folder, Error *e) {
  char path[CONFIG_PATH_MAX];
  if (!notes->count && !notes->tags.count)
    return io_join(path, sizeof path, folder, NOTES_FILE, e) && io_remove(path, e);
  json_t *tags = json_array(), *list = json_array();
  for (int i = 0; i < notes->tags.count; i++)
    json_array_append_new(tags, json_string(notes->tags.items[i]));
  for (int i = 0; i < notes->count; i++)
    json_array_append_new(
        list, json_pack("{s:f,s:s}", "time", notes->notes[i].time, "text", notes->notes[i].text));
  json_t *json = json_pack("{s:i,s:o,s:o}", "format", 1, "tags", tags, "notes", list);
  return folder_write_json(folder, NOTES_FILE, json, e);
}

void notes_free(Notes *notes) {
  strings_free(&notes->tags);
  for (int i = 0; i < notes->count; i++) free(notes->notes[i].text);
  free(notes->notes);
  *notes = (Notes){0};
}

static bool check_tag(const char *tag, Error *e) {
  static const char allowed[] =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-+:/";
  return (*tag && !tag[strspn(tag, allowed)] && strlen(tag) <= TAG_MAX) ||
         error_set(e, EXIT_CONFIG,
                   "tag \"%.100s\": a word of at most %d letters, digits and . _ - + : / "
                   "(`harness note` takes sentences)",
                   tag, TAG_MAX);
}

bool notes_add_tag(Notes *notes, const char *tag, Error *e) {
  if (!check_tag(tag, e)) return false;
  if (strings_find(&notes->tags, tag) < 0) strings_add(&notes->tags, string_copy(tag));
  return true;
}

bool notes_remove_tag(Notes *notes, const char *tag, Error *e) {
  int at = strings_find(&notes->tags, tag);
  if (at < 0) return error_set(e, EXIT_CONFIG, "it has no tag \"%.100s\"", tag);
  free(notes->tags.items[at]);
  notes->tags.items[at] = notes->tags.items[--notes->tags.count];
  return true;
}

bool notes_add(Notes *notes, const char *text, double time, Error *e) {
  json_t *utf8 = json_string(text); /* NULL for what is not UTF-8 */
  bool ok = utf8 && *text && strlen(text) <= NOTE_MAX;
  json_decref(utf8);
  for (const char *c = text; ok && *c; c++)
    ok = ((unsigned char)*c >= 0x20 || *c == '\n') && *c != 0x7f;
  if (!ok)
    return error_set(e, EXIT_CONFIG,
                     "a note is text of at most %d bytes of UTF-8, without control characters",
                     NOTE_MAX);
  append(notes, text, time);
  return true;
}
