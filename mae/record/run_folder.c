/* run_folder.c - what a run folder holds already, and where the weights of one are. */
#include "mae/record/run_folder.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "mae/base/io.h"
#include "mae/base/sha256.h"
#include "mae/config/ini.h"
#include "mae/model/products.h"
#include "mae/model/weights.h"
#include "mae/record/event_line.h"
#include "mae/record/kept.h"
#include "mae/record/step_folders.h"

static bool keep_text(char **text, const char *string) {
  if (!string) return true;
  free(*text);
  *text = strdup(string);
  return *text != NULL;
}

/* Only start and end events matter, and a line that is no event does not. */
static bool take_line(RunFolder *run, const char *line, size_t length) {
  EventLine event;
  bool ok = true;
  if (!event_line_read(&event, line, length, NULL)) return true;
  if (event_line_is(&event, "start")) {
    const char *hash = member_text(event.json, "config_hash");
    const char *images = member_text(json_object_get(event.json, "dataset"), "sha256");
    const char *products =
        member_text(json_object_get(event.json, "provenance"), "products_sha256");
    run->started = true;
    snprintf(run->dataset_sha256, sizeof run->dataset_sha256, "%s", images ? images : "");
    snprintf(run->config_hash, sizeof run->config_hash, "%s", hash ? hash : "");
    /* A start on a CPU in between follows none. */
    if (products) snprintf(run->products_sha256, sizeof run->products_sha256, "%s", products);
    ok = keep_text(&run->config, member_text(event.json, "config"));
  } else if (event_line_is(&event, "end")) {
    const char *status = member_text(event.json, "status");
    if (status && !strcmp(status, "done")) run->finished = true;
  }
  event_line_free(&event);
  return ok;
}

bool run_folder_read(RunFolder *run, const char *folder, Error *e) {
  *run = (RunFolder){0};
  char path[CONFIG_PATH_MAX];
  if (!io_join(path, sizeof path, folder, "events.jsonl", e)) return false;
  FILE *file = fopen(path, "r");
  if (!file && errno == ENOENT) return true;
  if (!file) return error_set(e, EXIT_DATA, "%s: %s", path, strerror(errno));
  char *line = NULL;
  size_t capacity = 0;
  ssize_t length;
  bool ok = true;
  while (ok && (length = getline(&line, &capacity, file)) > 0)
    ok = take_line(run, line, (size_t)length);
  if (!ok) error_set(e, EXIT_DEVICE, "%s: out of memory", path);
  if (ok && ferror(file)) ok = error_set(e, EXIT_DATA, "%s: %s", path, strerror(errno));
  free(line);
  fclose(file);
  if (!ok) run_folder_free(run);
  return ok;
}

void run_folder_free(RunFolder *run) {
  free(run->config);
  *run = (RunFolder){0};
}

static bool file_exists(const char *path) {
  struct stat status;
  return stat(path, &status) == 0 && S_ISREG(status.st_mode);
}

/* model.safetensors of a folder, or the encoder where only that was kept. */
static bool weights_in(char *weights, const char *folder, Error *e) {
  char encoder[CONFIG_PATH_MAX];
  if (!io_join(weights, CONFIG_PATH_MAX, folder, "model.safetensors", e) ||
      !io_join(encoder, sizeof encoder, folder, KEPT_ENCODER, e))
    return false;
  if (!file_exists(weights) && file_exists(encoder)) strcpy(weights, encoder);
  return true;
}

static bool is_finished(const char *folder) {
  RunFolder run;
  if (!run_folder_read(&run, folder, NULL)) return false;
  bool finished = run.finished;
  run_folder_free(&run);
  return finished;
}

static bool locate_weights(char *weights, const char *checkpoint, Error *e) {
  struct stat status;
  char path[CONFIG_PATH_MAX];
  int64_t step;
  if (stat(checkpoint, &status) != 0)
    return error_set(e, EXIT_DATA, "%s: %s", checkpoint, strerror(errno));
  if (!S_ISDIR(status.st_mode))
    return snprintf(weights, CONFIG_PATH_MAX, "%s", checkpoint) < CONFIG_PATH_MAX ||
           error_set(e, EXIT_DATA, "%.64s...: path too long", checkpoint);
  if (!weights_in(weights, checkpoint, e)) return false;
  if (file_exists(weights)) return true;
  if (!step_folders_newest(checkpoint, &step, e)) return false;
  if (step < 0 && is_finished(checkpoint))
    return error_set(e, EXIT_DATA,
                     "%s: the run is done and its weights were not kept (run.keep): `harness "
                     "verify TRIAL --keep` trains them again, or run it anew with run.keep = "
                     "weights",
                     checkpoint);
  if (step < 0)
    return error_set(e, EXIT_DATA,
                     "%s: no checkpoint there (no model.safetensors and no %s/checkpoints/step-N)",
                     checkpoint, checkpoint);
  return step_folder_path(path, checkpoint, step, e) && weights_in(weights, path, e);
}

static bool parse_config(Config *config, const char *name, const char *text, Error *e) {
  IniFile ini;
  config_init(config);
  if (!ini_parse(&ini, name, text, strlen(text), e)) return false;
  bool ok = true;
  for (int i = 0; ok && i < ini.count; i++) {
    char key[256];
    const IniEntry *entry = &ini.entries[i];
    snprintf(key, sizeof key, "%s.%s", entry->section, entry->key);
    ok = config_set(config, key, entry->value,
                    &(ConfigOrigin){entry->file, entry->line, entry->column}, e);
  }
  ini_free(&ini);
  return ok;
}

/* ": KEY was VALUE and is VALUE now", for the first key that matters; empty when the recorded
 * configuration cannot be read by this version. */
static void find_difference(char *text, size_t size, const RunFolder *run, const Config *config) {
  Config recorded;
  const char *key;
  *text = '\0';
  if (!run->config || !parse_config(&recorded, "events.jsonl", run->config, NULL)) return;
  for (int i = 0; (key = config_key(i)); i++) {
    char was[64] = "", is[64] = "";
    if (!config_is_hashed(key) || !config_get(&recorded, key, was, sizeof was) ||
        !config_get(config, key, is, sizeof is) || !strcmp(was, is))
      continue;
    snprintf(text, size, ": %s was %s and is %s now", key, was, is);
    return;
  }
}

bool run_folder_admit(const RunFolder *run, const char *folder, const Config *config, bool resume,
                      Error *e) {
  char hash[65];
  if (!run->started) return true;
  config_hash(config, hash);
  if (strcmp(hash, run->config_hash)) {
    char difference[256];
    find_difference(difference, sizeof difference, run, config);
    return error_set(
        e, EXIT_CONFIG,
        "%s: holds a run of another configuration (%.12s, this one is %.12s)%s; choose "
        "another --out folder",
        folder, run->config_hash, hash, difference);
  }
  if (run->finished)
    return error_set(e, EXIT_CONFIG,
                     "%s: this run is finished already; choose another --out folder, or remove "
                     "this one to run again",
                     folder);
  if (!resume)
    return error_set(e, EXIT_CONFIG,
                     "%s: holds an unfinished run of this configuration; continue it with "
                     "--resume, or choose another --out folder",
                     folder);
  return true;
}

bool run_folder_admit_images(const RunFolder *run, const char *folder, const char *sha256,
                             const char *path, Error *e) {
  if (!run->started || !*run->dataset_sha256 || !strcmp(run->dataset_sha256, sha256)) return true;
  return error_set(e, EXIT_DATA,
                   "%s: the run there was started on other images: their sha256 was %.12s, and %s "
                   "holds %.12s now; give it the old images back, or choose another --out folder",
                   folder, run->dataset_sha256, *path ? path : "data.source", sha256);
}

/* The hash of a table, which must be the one that the run began with. */
static bool same_products(const RunFolder *run, const char *path, const char *advice, Error *e) {
  char hash[65];
  if (!sha256_file(hash, path, e)) return error_suffix(e, "%s", advice);
  if (!strcmp(hash, run->products_sha256)) return true;
  return error_set(e, EXIT_DATA,
                   "%s: the run was started with another table of products: its sha256 was %.12s, "
                   "this one's is %.12s; %s",
                   path, run->products_sha256, hash, advice);
}

bool run_folder_admit_products(const RunFolder *run, const char *folder, const char *table,
                               bool *follows, Error *e) {
  char copy[CONFIG_PATH_MAX];
  *follows = run->started ? *run->products_sha256 : *table;
  if (!io_join(copy, sizeof copy, folder, PRODUCTS_FILE, e)) return false;
  if (!run->started) return !*table || products_copy(table, copy, e);
  if (!*run->products_sha256)
    return !*table || error_set(e, EXIT_CONFIG,
                                "%s: the run there was started without run.products, whose table "
                                "would change its bits; leave it out, or choose another --out "
                                "folder",
                                folder);
  return same_products(run, copy, "put the old one back, or choose another --out folder", e) &&
         (!*table ||
          same_products(run, table, "leave run.products out: the run folder has a copy", e));
}

static bool metadata_config(Config *config, const char *weights, Error *e) {
  TensorFile file;
  if (!safetensors_open(&file, weights, e)) return false;
  bool ok = weights_config(&file, config, e);
  if (!ok) error_prefix(e, "%s", weights);
  safetensors_close(&file);
  return ok;
}

bool run_folder_locate(char weights[CONFIG_PATH_MAX], Config *config, const char *checkpoint,
                       Error *e) {
  if (!locate_weights(weights, checkpoint, e)) return false;
  /* RUN/checkpoints/step-N/model.safetensors: the run folder is three names up. */
  char folder[CONFIG_PATH_MAX];
  snprintf(folder, sizeof folder, "%s", weights);
  for (int up = 0; up < 3; up++) {
    char *slash = strrchr(folder, '/');
    if (slash)
      *slash = '\0';
    else
      snprintf(folder, sizeof folder, up == 0 ? "." : "..");
  }
  RunFolder run;
  if (!run_folder_read(&run, folder, e)) return false;
  bool ok = run.config ? parse_config(config, checkpoint, run.config, e)
                       : metadata_config(config, weights, e);
  /* The file that the run was given may lie elsewhere now, or be another. */
  *config->run.products = '\0';
  if (ok && *run.products_sha256)
    ok = io_join(config->run.products, sizeof config->run.products, folder, PRODUCTS_FILE, e);
  run_folder_free(&run);
  return ok;
}
