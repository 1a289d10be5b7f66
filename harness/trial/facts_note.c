/* facts_note.c - what was found in an event file, noted beside it: a file that has stayed as it is
 * need not be read whole at every start. The note names the file by what its content cannot be
 * changed without; where it does not fit, or is not whole, it says nothing. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "harness/base/strings.h"
#include "harness/trial/facts.h"
#include "mae/base/io.h"
#include "mae/base/text.h"
#include "mae/config/config.h"
#include "mae/evaluate/scorers.h"
#include "mae/record/seal.h"

/* Two writes within one tick of a file system's clock leave the same times. No clock ticks slower
 * than every 2 s (FAT's), so a file that was written to in the 3 s before it was read is not noted.
 */
enum { FORMAT = 1, NOTE_MAX = 16384, SETTLED_SECONDS = 3 };

/* Before the names of scores, some of which fields have too. */
#define METRIC "model."
#define BASELINE "baseline."

typedef enum Kind { TEXT, INTEGER, WHOLE, REAL } Kind;

static const struct Field {
  const char *name;
  Kind kind;
  size_t at, size;
} fields[] = {
#define FIELD(kind, name)                                                                          \
  { #name, kind, offsetof(Facts, name), sizeof(((Facts *)0)->name) }
    FIELD(INTEGER, starts),
    FIELD(TEXT, binary_sha256),
    FIELD(TEXT, config_hash),
    FIELD(TEXT, dataset_sha256),
    FIELD(WHOLE, broken_line),
    FIELD(WHOLE, steps),
    FIELD(WHOLE, step),
    FIELD(REAL, epoch),
    FIELD(REAL, loss),
    FIELD(REAL, speed),
    FIELD(REAL, gflops_per_image),
    FIELD(REAL, gflops_per_second),
    FIELD(REAL, images_per_second),
    FIELD(TEXT, end),
    FIELD(INTEGER, end_code),
    FIELD(TEXT, state_sha256),
    FIELD(TEXT, error),
    FIELD(TEXT, warning)};
enum { FIELDS = sizeof fields / sizeof *fields };

/* Writing ---------------------------------------------------------------------------------------*/

static void add_field(Text *text, const Facts *facts, const struct Field *field) {
  const void *value = (const char *)facts + field->at;
  text_format(text, ",\"%s\":", field->name);
  if (field->kind == TEXT) text_json_string(text, value);
  if (field->kind == INTEGER) text_format(text, "%d", *(const int *)value);
  if (field->kind == WHOLE) text_format(text, "%lld", (long long)*(const int64_t *)value);
  if (field->kind == REAL) text_json_number(text, *(const double *)value, 17);
}

static void add_note(Text *text, const Facts *facts, const char *identity) {
  char digits[SEAL_DIGITS + 1];
  Seal seal;
  text_format(text, "{\"format\":%d,\"file\":\"%s\"", FORMAT, identity);
  for (int i = 0; i < FIELDS; i++) add_field(text, facts, &fields[i]);
  for (int i = 0; i < metric_count; i++) {
    text_format(text, ",\"" METRIC "%s\":", metric_list[i].name);
    text_json_number(text, facts->metrics[i], 17);
  }
  for (int i = 0; facts_baseline_name(i); i++) {
    text_format(text, ",\"" BASELINE "%s\":", facts_baseline_name(i));
    text_json_number(text, facts->baselines[i], 17);
  }
  if (text->failed) return;
  seal_begin(&seal);
  seal_make(&seal, digits, text->bytes, text->length);
  text_format(text, ",\"seal\":\"%s\"}\n", digits);
}

/* Reading ---------------------------------------------------------------------------------------*/

static bool take_real(double *out, const json_t *note, const char *prefix, const char *name) {
  char key[96];
  snprintf(key, sizeof key, "%s%s", prefix, name);
  Number number = member_number(note, key);
  *out = number.value;
  return number.kind != NUMBER_ABSENT && number.kind != NUMBER_INVALID;
}

static bool take_field(Facts *facts, const json_t *note, const struct Field *field) {
  void *out = (char *)facts + field->at;
  const char *text;
  int64_t whole;
  switch (field->kind) {
  case TEXT:
    if (!member_need_text(note, field->name, &text, NULL)) return false;
    snprintf(out, field->size, "%s", text);
    return true;
  case INTEGER:
    if (!member_need_integer(note, field->name, &whole, NULL)) return false;
    *(int *)out = (int)whole;
    return true;
  case WHOLE:
    return member_need_integer(note, field->name, out, NULL);
  case REAL:
    return take_real(out, note, "", field->name);
  }
  return false;
}

/* A member that is missing was not known to the harness that wrote the note. */
static bool take_members(Facts *facts, const json_t *note, const char *identity) {
  const char *file = member_text(note, "file");
  bool ok = member_integer(note, "format", 0) == FORMAT && file && !strcmp(file, identity);
  for (int i = 0; ok && i < FIELDS; i++) ok = take_field(facts, note, &fields[i]);
  for (int i = 0; ok && i < metric_count; i++)
    ok = take_real(&facts->metrics[i], note, METRIC, metric_list[i].name);
  for (int i = 0; ok && facts_baseline_name(i); i++)
    ok = take_real(&facts->baselines[i], note, BASELINE, facts_baseline_name(i));
  return ok;
}

static bool take_note(Facts *facts, const char *path, const char *identity) {
  char text[NOTE_MAX];
  size_t size;
  Seal seal;
  int fd = io_open(path, &size, NULL);
  if (fd < 0) return false;
  ssize_t length = read(fd, text, sizeof text);
  close(fd);
  if (length < 1 || length == sizeof text || text[length - 1] != '\n') return false;
  seal_begin(&seal);
  bool whole = seal_check(&seal, text, (size_t)length - 1) == SEAL_GOOD;
  seal_free(&seal);
  json_t *note = whole ? json_loadb(text, (size_t)length, 0, NULL) : NULL;
  facts_init(facts);
  bool taken = note && take_members(facts, note, identity);
  json_decref(note);
  return taken;
}

/* The file --------------------------------------------------------------------------------------*/

/* By opening it: over NFS only that asks the server. */
static bool identify(char identity[IO_IDENTITY_MAX], struct stat *info, const char *path) {
  size_t size;
  int fd = io_open(path, &size, NULL);
  if (fd < 0) return false;
  bool ok = fstat(fd, info) == 0;
  close(fd);
  if (ok) io_identity(identity, info);
  return ok;
}

/* Whether a file, as it was before it is read, has been left alone for long enough. The time is
 * that of a file made just now, by the clock that the file's own times are from. */
static bool is_settled(const struct stat *info, int made_now) {
  struct stat now;
  return fstat(made_now, &now) == 0 &&
         now.st_mtim.tv_sec >= info->st_mtim.tv_sec + SETTLED_SECONDS &&
         now.st_mtim.tv_sec >= info->st_ctim.tv_sec + SETTLED_SECONDS;
}

/* Not synced: a note that a power cut took or cut is read as none. */
static bool write_note(int fd, const char *temporary, const char *path, const Facts *facts,
                       const char *identity) {
  Text text = {0};
  add_note(&text, facts, identity);
  bool ok = !text.failed && text.length < NOTE_MAX &&
            io_write(fd, temporary, text.bytes, text.length, NULL) && rename(temporary, path) == 0;
  text_free(&text);
  return ok;
}

void facts_read_noted(Facts *facts, const char *trial_folder) {
  char path[CONFIG_PATH_MAX], note[CONFIG_PATH_MAX],
      temporary[CONFIG_PATH_MAX + HOST_NAME_MAX + 32];
  char identity[IO_IDENTITY_MAX], after[IO_IDENTITY_MAX], host[HOST_NAME_MAX + 1] = "";
  struct stat info;
  facts_init(facts);
  if (!io_join(path, sizeof path, trial_folder, "events.jsonl", NULL) ||
      !io_join(note, sizeof note, trial_folder, FACTS_NOTE, NULL) ||
      !identify(identity, &info, path) || take_note(facts, note, identity))
    return;
  gethostname(host, sizeof host - 1);
  snprintf(temporary, sizeof temporary, "%s.%s-%d.tmp", note, host, (int)getpid());
  int fd = io_create(temporary, NULL);
  bool settled = fd >= 0 && is_settled(&info, fd);
  facts_read(facts, path);
  bool written = settled && identify(after, &info, path) && !strcmp(after, identity) &&
                 write_note(fd, temporary, note, facts, identity);
  if (fd >= 0) close(fd);
  if (fd >= 0 && !written) unlink(temporary);
}
