/* describe.c - what a sweep and its trials are, from sweep.json, trial.json and config.ini into the
 * tables. */
#include "harness/store/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "harness/base/strings.h"
#include "mae/base/io.h"
#include "mae/base/sha256.h"
#include "mae/config/config.h"
#include "mae/config/ini.h"

enum { FILE_SIZE_MAX = 1 << 30, TRIAL_ID_MAX = 1000000000 };

bool store_read_file(char **text, size_t *size, const char *path, Error *e) {
  struct stat status;
  *text = NULL;
  int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC); /* a FIFO must not hang us */
  FILE *file = fd < 0 ? NULL : fdopen(fd, "rb");
  if (!file) return error_set(e, EXIT_DATA, "%s: %s", path, strerror(errno));
  bool ok = !fstat(fileno(file), &status) && S_ISREG(status.st_mode);
  if (!ok) error_set(e, EXIT_DATA, "%s: not a file", path);
  if (ok && status.st_size > FILE_SIZE_MAX)
    ok = error_set(e, EXIT_DATA, "%s: larger than 1 GiB", path);
  if (ok && !(*text = malloc((size_t)status.st_size + 1)))
    ok = error_set(e, EXIT_DEVICE, "%s: out of memory", path);
  if (ok) {
    *size = fread(*text, 1, (size_t)status.st_size, file); /* shorter when it shrank meanwhile */
    (*text)[*size] = '\0';
    ok = !ferror(file) || error_set(e, EXIT_DATA, "%s: %s", path, strerror(errno));
  }
  if (!ok) {
    free(*text);
    *text = NULL;
  }
  fclose(file);
  return ok;
}

json_t *store_read_json(const char *folder, const char *name, Error *e) {
  char path[PATH_MAX], *text = NULL;
  size_t size = 0;
  json_error_t where;
  if (!io_join(path, sizeof path, folder, name, e) || !store_read_file(&text, &size, path, e))
    return NULL;
  json_t *json = json_loadb(text, size, JSON_REJECT_DUPLICATES, &where);
  free(text);
  int64_t format = 0;
  if (!json)
    error_set(e, EXIT_DATA, "%s:%d: not JSON: %s", path, where.line, where.text);
  else if (!member_need_integer(json, "format", &format, e))
    error_prefix(e, "%s", path);
  else if (format != 1)
    error_set(e, EXIT_DATA, "%s: format %lld; this harness reads format 1", path,
              (long long)format);
  if (json && format != 1) {
    json_decref(json);
    json = NULL;
  }
  return json;
}

/* Runs `part` so that the database has all of it or nothing, inside an open transaction or not. */
typedef bool (*Part)(Store *, void *context, Error *);

static bool whole(Store *store, Part part, void *context, Error *e) {
  if (!store_run(store, e, "SAVEPOINT part", "")) return false;
  bool ok = part(store, context, e);
  if (!ok) sqlite3_exec(store->db, "ROLLBACK TO part", NULL, NULL, NULL);
  bool released = store_run(store, ok ? e : NULL, "RELEASE part", "");
  return ok && released;
}

/* Sweeps --------------------------------------------------------------------------------------*/

typedef struct SweepPart {
  const json_t *json;
  int64_t sweep;
} SweepPart;

static bool put_sweep(Store *store, void *context, Error *e) {
  SweepPart *part = context;
  const json_t *j = part->json, *trials = json_object_get(j, "trials");
  const char *experiment, *name, *scale, *question, *expected, *source, *x, *ini;
  double created;
  bool found = false;
  if (!member_need_text(j, "experiment", &experiment, e) ||
      !member_need_text(j, "name", &name, e) || !member_need_text(j, "scale", &scale, e) ||
      !member_need_text(j, "question", &question, e) ||
      !member_need_text(j, "expected", &expected, e) ||
      !member_need_text(j, "source", &source, e) || !member_need_text(j, "x", &x, e) ||
      !member_need_text(j, "ini", &ini, e) || !member_need_finite(j, "created", &created, e))
    return false;
  if (!json_is_array(trials)) return error_set(e, EXIT_DATA, "member \"trials\" is not a list");
  if (!store_run(store, e,
                 "INSERT INTO sweep (experiment, name, scale, question, expected, source, x, ini, "
                 "created) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (experiment) DO UPDATE "
                 "SET name = excluded.name, scale = excluded.scale, question = excluded.question, "
                 "expected = excluded.expected, source = excluded.source, x = excluded.x, "
                 "ini = excluded.ini, created = excluded.created",
                 "ttttttttr", experiment, name, scale, question, expected, source, x, ini,
                 created) ||
      !store_int(store, e, &part->sweep, &found, "SELECT sweep FROM sweep WHERE experiment = ?",
                 "t", experiment) ||
      !store_run(store, e, "DELETE FROM planned WHERE sweep = ?", "i", part->sweep) ||
      !store_run(store, e, "DELETE FROM point_iqm WHERE sweep = ?", "i", part->sweep))
    return false;
  for (size_t i = 0; i < json_array_size(trials); i++) {
    const char *hash = json_string_value(json_array_get(trials, i));
    if (!hash) return error_set(e, EXIT_DATA, "\"trials\" lists something that is not text");
    if (!store_run(store, e, "INSERT INTO planned (sweep, position, config_hash) VALUES (?, ?, ?)",
                   "iit", part->sweep, (int64_t)i, hash))
      return false;
  }
  return store_put_paper(store, part->sweep, json_object_get(j, "paper"), e);
}

/* The name is the folder's, and is one that can be a folder's, a file's and a figure's: what comes
 * in a copied folder must not be able to point elsewhere. */
static bool check_experiment(const json_t *sweep, const char *folder, Error *e) {
  static const char allowed[] =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._- ";
  const char *experiment;
  if (!member_need_text(sweep, "experiment", &experiment, e)) return false;
  if (!*experiment || *experiment == '.' || experiment[strspn(experiment, allowed)])
    return error_set(e, EXIT_DATA,
                     "experiment \"%.100s\": a name has letters, digits, '.', '_', '-' and blanks "
                     "only, and does not begin with '.'",
                     experiment);
  return !strcmp(experiment, store_folder_name(folder)) ||
         error_set(e, EXIT_DATA, "it is of experiment %.100s, which is not the folder's name",
                   experiment);
}

bool store_add_sweep(Store *store, const char *folder, int64_t *sweep, Error *e) {
  json_t *json = store_read_json(folder, "sweep.json", e);
  if (!json) return false;
  SweepPart part = {.json = json};
  bool ok = (check_experiment(json, folder, e) && whole(store, put_sweep, &part, e)) ||
            error_prefix(e, "%s/sweep.json", folder);
  *sweep = part.sweep;
  ok = ok && store_take_notes(store, part.sweep, 0, folder, e);
  json_decref(json);
  return ok;
}

/* Trials --------------------------------------------------------------------------------------*/

typedef struct TrialPart {
  int64_t sweep, trial;
  const char *folder;
  const json_t *json;
  IniFile config;
} TrialPart;

/* Below the database's folder a trial is named relative to it, so that both can move together. */
static bool folder_name(const Store *store, const char *folder, char *out, Error *e) {
  char real[PATH_MAX];
  if (!realpath(folder, real)) return error_set(e, EXIT_DATA, "%s: %s", folder, strerror(errno));
  size_t base = strlen(store->folder);
  bool below = !strncmp(real, store->folder, base) && real[base] == '/';
  snprintf(out, PATH_MAX, "%s", below ? real + base + 1 : real);
  return true;
}

static int compare_entries(const void *a, const void *b) {
  const IniEntry *x = a, *y = b;
  int order = strcmp(x->section, y->section);
  return order ? order : strcmp(x->key, y->key);
}

/* Stores every value and hashes those that make a result, but for the seed: what trials that
 * repeat each other have in common. */
static bool put_params(Store *store, TrialPart *part, char point[65], Error *e) {
  IniFile *ini = &part->config;
  const json_t *swept = json_object_get(part->json, "swept");
  Sha256 *sha = sha256_new();
  bool ok = true;
  qsort(ini->entries, (size_t)ini->count, sizeof *ini->entries, compare_entries);
  for (int i = 0; ok && i < ini->count; i++) {
    const IniEntry *entry = &ini->entries[i];
    char key[256];
    snprintf(key, sizeof key, "%s.%s", entry->section, entry->key);
    if (config_is_hashed(key) && strcmp(key, "run.seed")) {
      sha256_add(sha, key, strlen(key));
      sha256_add(sha, "=", 1);
      sha256_add(sha, entry->value, strlen(entry->value));
      sha256_add(sha, "\n", 1);
    }
    if (part->trial)
      ok = store_run(
          store, e,
          "INSERT INTO param (trial, key, value, swept) VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE "
          "SET value = excluded.value, swept = excluded.swept "
          "WHERE value <> excluded.value OR swept <> excluded.swept",
          "itti", part->trial, key, entry->value, (int64_t)(json_object_get(swept, key) != NULL));
  }
  sha256_finish(sha, point);
  return ok;
}

/* "key=value key=value" in the order of the sweep. */
static char *swept_text(const json_t *swept, Error *e) {
  char *text = NULL;
  size_t size = 0;
  const char *key;
  json_t *value;
  FILE *out = open_memstream(&text, &size);
  if (!out) {
    error_set(e, EXIT_DEVICE, "out of memory");
    return NULL;
  }
  bool ok = true;
  json_object_foreach((json_t *)swept, key, value) {
    if (!json_is_string(value))
      ok = error_set(e, EXIT_DATA, "swept value of \"%s\" is not text", key);
    if (ok) fprintf(out, "%s%s=%s", ftell(out) > 0 ? " " : "", key, json_string_value(value));
  }
  if (fclose(out)) ok = error_set(e, EXIT_DEVICE, "out of memory");
  if (ok) return text;
  free(text);
  return NULL;
}

/* The trial's own id when nobody has it; otherwise the next free one, said on standard error. */
static bool choose_id(Store *store, const TrialPart *part, int64_t *id, Error *e) {
  int64_t wanted = 0, taken = 0;
  bool found = false;
  if (!member_need_integer(part->json, "id", &wanted, e)) return false;
  if (wanted < 1 || wanted > TRIAL_ID_MAX)
    return error_set(e, EXIT_DATA, "trial id %lld is not one from 1 to %d", (long long)wanted,
                     TRIAL_ID_MAX);
  if (!store_int(store, e, &taken, &found, "SELECT trial FROM trial WHERE trial = ?", "i", wanted))
    return false;
  *id = wanted;
  if (!found) return true;
  if (!store_next_trial_id(store, id, e)) return false;
  fprintf(stderr, "%s: its trial id %lld is taken; it becomes trial %lld\n", part->folder,
          (long long)wanted, (long long)*id);
  return true;
}

static bool put_trial(Store *store, void *context, Error *e) {
  TrialPart *part = context;
  const json_t *j = part->json, *swept = json_object_get(j, "swept");
  const char *hash;
  int64_t seed;
  double created;
  bool found = false;
  char folder[PATH_MAX], point[65];
  if (!json_is_object(swept)) return error_set(e, EXIT_DATA, "member \"swept\" is not an object");
  if (!member_need_text(j, "config_hash", &hash, e) || !member_need_integer(j, "seed", &seed, e) ||
      !member_need_finite(j, "created", &created, e) ||
      !store_int(store, e, &part->trial, &found,
                 "SELECT trial FROM trial WHERE sweep = ? AND config_hash = ?", "it", part->sweep,
                 hash) ||
      !folder_name(store, part->folder, folder, e))
    return false;
  char *text = swept_text(swept, e);
  if (!text) return false;
  bool ok = true;
  if (found) { /* an edited plan may sweep other keys over the same configuration */
    ok = store_run(store, e, "UPDATE trial SET swept = ?, folder = ? WHERE trial = ?", "tti", text,
                   folder, part->trial) &&
         put_params(store, part, point, e);
  } else {
    ok =
        put_params(store, part, point, e) && choose_id(store, part, &part->trial, e) &&
        store_run(store, e,
                  "INSERT INTO trial (trial, sweep, config_hash, point, seed, swept, folder, "
                  "created) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                  "iittittr", part->trial, part->sweep, hash, point, seed, text, folder, created) &&
        put_params(store, part, point, e);
  }
  free(text);
  return ok;
}

const char *store_folder_name(const char *folder) {
  const char *slash = strrchr(folder, '/');
  return slash ? slash + 1 : folder;
}

/* Twelve hex digits are a folder's name that the harness gave; others a person gave. */
static bool name_agrees(const char *folder, const char *hash) {
  const char *name = store_folder_name(folder);
  return strlen(name) != 12 || strspn(name, "0123456789abcdef") != 12 || !strncmp(name, hash, 12);
}

/* What the folder, trial.json and config.ini say of the configuration is one thing. */
static bool check_identity(const TrialPart *part, Error *e) {
  const char *hash;
  char own[65];
  if (!member_need_text(part->json, "config_hash", &hash, e)) return false;
  config_hash_file(&part->config, own);
  if (strcmp(own, hash))
    return error_set(
        e, EXIT_DATA,
        "%s: config.ini is of configuration %.12s and trial.json of %.12s: one of them "
        "was changed",
        part->folder, own, hash);
  return name_agrees(part->folder, hash) ||
         error_set(e, EXIT_DATA, "%s: holds configuration %.12s: it is another trial's folder",
                   part->folder, hash);
}

bool store_add_trial(Store *store, int64_t sweep, const char *folder, int64_t *trial, Error *e) {
  char path[PATH_MAX];
  TrialPart part = {.sweep = sweep, .folder = folder};
  json_t *json = store_read_json(folder, "trial.json", e);
  if (!json) return false;
  part.json = json;
  bool ok = io_join(path, sizeof path, folder, "config.ini", e) && ini_read(&part.config, path, e);
  if (ok) {
    ok = check_identity(&part, e) &&
         (whole(store, put_trial, &part, e) || error_prefix(e, "%s/trial.json", folder)) &&
         store_take_notes(store, sweep, part.trial, folder, e);
    ini_free(&part.config);
  }
  *trial = part.trial;
  json_decref(json);
  return ok;
}
