/* harness clean: frees what trials no longer need. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness/cmd/cmd.h"
#include "harness/cmd/options.h"
#include "harness/run/disk.h"
#include "harness/run/incoming.h"
#include "harness/run/retain.h"
#include "harness/store/store.h"
#include "harness/trial/facts.h"
#include "harness/trial/folder.h"
#include "harness/trial/found.h"
#include "mae/base/io.h"
#include "mae/data/dataset.h"
#include "mae/data/unfinished.h"
#include "mae/record/event_line.h"

static const char about[] =
    "Frees what is not needed any more and says how much: of trials that are done,\n"
    "all that run.keep does not keep (optimiser state, older checkpoints; see `mae\n"
    "config --help run.keep`); of others, all but the newest checkpoint; what a\n"
    "verification or a copy that was killed left. Trials that run are left alone.\n"
    "Numbers, hashes and pictures always stay, and with them `harness verify` still\n"
    "proves a trial. EXPERIMENT: those only; else all of --out.";

typedef struct Clean {
  const char *db, *out, *keep;
  bool dry, superseded, second_runs, packs;
  int64_t freed;
  int trials, held, failed;
  StringList changed; /* folders of trials whose launches.jsonl has a new line */
  StringList caches;  /* folders of packs that the trials name */
} Clean;

static bool remove_counted(Clean *clean, const char *path, Error *e) {
  clean->freed += (int64_t)disk_used(path);
  return clean->dry || io_remove(path, e);
}

/* Without a trace where nothing is to be changed. */
static bool hold(const Clean *clean, int *lock, const char *folder, char holder[FOLDER_HOLDER_MAX],
                 Error *e) {
  return clean->dry ? folder_lock_shared(lock, folder, holder, e)
                    : folder_lock(lock, folder, holder, e);
}

/* verify-STAMP/ is a second run; with verify-STAMP.jsonl beside it its outcome is known, and it
 * was kept on purpose. Without, its process was killed, or holds it. */
static bool clean_second_run(Clean *clean, const char *path, Error *e) {
  char holder[FOLDER_HOLDER_MAX];
  char *outcome = string_format("%s.jsonl", path);
  bool known = access(outcome, F_OK) == 0;
  int lock;
  free(outcome);
  if (known && !clean->second_runs) return true;
  int64_t bytes = (int64_t)disk_used(path);
  if (!hold(clean, &lock, path, holder, e)) return false;
  if (*holder) return true;
  clean->freed += bytes;
  bool ok = clean->dry || io_remove(path, e);
  if (lock >= 0) close(lock);
  return ok;
}

static bool is_folder(const char *path) {
  char *inside = string_format("%s/.", path);
  bool folder = access(inside, F_OK) == 0;
  free(inside);
  return folder;
}

static bool clean_beside(Clean *clean, const char *folder, Error *e) {
  StringList names = {0};
  found_entries(&names, folder, "");
  bool ok = true;
  for (int i = 0; ok && i < names.count; i++) {
    const char *name = names.items[i];
    char *path = string_format("%s/%s", folder, name);
    if (!strcmp(name, INCOMING_FOLDER) ||
        (clean->superseded && !strncmp(name, "superseded-", 11) && is_folder(path)))
      ok = remove_counted(clean, path, e);
    else if (!strncmp(name, "verify-", 7) && is_folder(path))
      ok = clean_second_run(clean, path, e);
    free(path);
  }
  strings_free(&names);
  return ok;
}

static bool load_config(const Clean *clean, Config *config, const char *folder, Error *e) {
  char path[CONFIG_PATH_MAX];
  config_init(config);
  return io_join(path, sizeof path, folder, "config.ini", e) && config_load(config, path, e) &&
         (!clean->keep ||
          config_set(config, "run.keep", clean->keep, &(ConfigOrigin){.file = "--keep"}, e));
}

/* The folder is ours. An event file that is damaged is evidence: nothing is taken from beside it.
 */
static bool clean_held(Clean *clean, const char *folder, Error *e) {
  char events[CONFIG_PATH_MAX];
  Facts facts;
  Config config;
  if (!io_join(events, sizeof events, folder, "events.jsonl", e)) return false;
  facts_read(&facts, events);
  if (facts.broken_line) return true;
  int64_t before = clean->freed;
  bool ok = facts_finished(&facts)
                ? load_config(clean, &config, folder, e) &&
                      retain_finished(folder, &config, clean->dry, &clean->freed, e)
                : retain_unfinished(folder, clean->dry, &clean->freed, e);
  if (clean->freed > before && !clean->dry) strings_add(&clean->changed, string_copy(folder));
  return ok && clean_beside(clean, folder, e);
}

/* Where the trial's images are packed. */
static void note_cache(Clean *clean, const char *folder) {
  char cache[CONFIG_PATH_MAX];
  Config config;
  if (load_config(clean, &config, folder, NULL) &&
      data_cache_folder(cache, sizeof cache, &config, NULL) &&
      strings_find(&clean->caches, cache) < 0)
    strings_add(&clean->caches, string_copy(cache));
}

static bool clean_caches(Clean *clean, Error *e) {
  char text[DISK_TEXT_MAX];
  bool ok = true;
  for (int i = 0; ok && i < clean->caches.count; i++) {
    int64_t freed = 0;
    ok = unfinished_remove(clean->caches.items[i], clean->dry, &freed, e);
    if (ok)
      printf("%s: %s of unfinished packs %s\n", clean->caches.items[i],
             disk_text(text, (double)freed), clean->dry ? "would be freed" : "freed");
    clean->freed += freed;
  }
  return ok;
}

/* What is wrong with one trial does not keep the others' room. */
static void clean_trial(Clean *clean, const char *folder) {
  char holder[FOLDER_HOLDER_MAX];
  Error e = {0};
  int lock;
  clean->trials++;
  if (clean->packs) note_cache(clean, folder);
  bool ok = hold(clean, &lock, folder, holder, &e) && (*holder || clean_held(clean, folder, &e));
  if (!ok) fprintf(stderr, "warning: %s: %s\n", folder, e.message);
  clean->failed += !ok;
  if (*holder) fprintf(stderr, "%s: left alone: %s works on it\n", folder, holder);
  clean->held += *holder != 0;
  if (lock >= 0) close(lock);
}

/* The database has every line of launches.jsonl, where it can be had. */
static void enter_database(const Clean *clean, const char *sweep_folder) {
  Store *store = NULL;
  Error e = {0};
  if (!clean->changed.count || access(clean->db, F_OK) != 0) return;
  bool ok = store_open(&store, clean->db, &e);
  for (int i = 0; ok && i < clean->changed.count; i++) {
    char *path = string_format("%s/trial.json", clean->changed.items[i]);
    json_error_t problem;
    json_t *trial = json_load_file(path, 0, &problem);
    const char *hash = member_text(trial, "config_hash");
    TrialInfo info;
    bool found = false;
    ok = !hash || store_find_trial(store, folder_experiment(sweep_folder), hash, &info, &found, &e);
    if (ok && found) ok = store_take_trial(store, info.id, clean->changed.items[i], &e);
    json_decref(trial);
    free(path);
  }
  store_close(store);
  if (!ok)
    fprintf(stderr, "note: %s; `harness import` tells the database what was removed\n", e.message);
}

static void clean_experiment(Clean *clean, const char *sweep_folder) {
  StringList trials = {0};
  char text[DISK_TEXT_MAX];
  Clean one = *clean;
  one.freed = one.trials = one.held = 0;
  found_trials(&trials, sweep_folder);
  for (int i = 0; i < trials.count; i++) clean_trial(&one, trials.items[i]);
  enter_database(&one, sweep_folder);
  printf("%s: %s %s, %d trial%s%s\n", folder_experiment(sweep_folder),
         disk_text(text, (double)one.freed), clean->dry ? "would be freed" : "freed", one.trials,
         one.trials == 1 ? "" : "s", one.held ? ", some of them left alone" : "");
  clean->freed += one.freed;
  clean->failed = one.failed;
  clean->caches = one.caches;
  strings_free(&one.changed);
  strings_free(&trials);
}

static bool clean_all(Clean *clean, const CommandLine *line, Error *e) {
  StringList folders = {0};
  char text[DISK_TEXT_MAX];
  Config check;
  config_init(&check);
  if (clean->keep &&
      !config_set(&check, "run.keep", clean->keep, &(ConfigOrigin){.file = "--keep"}, e))
    return false;
  bool ok = found_named(&folders, clean->out, line->words, line->word_count, e);
  for (int i = 0; ok && i < folders.count; i++) clean_experiment(clean, folders.items[i]);
  if (ok && !clean->dry) clean->freed += incoming_clean(clean->out);
  ok = ok && clean_caches(clean, e);
  if (ok && folders.count > 1)
    printf("%s %s in all\n", disk_text(text, (double)clean->freed),
           clean->dry ? "would be freed" : "freed");
  strings_free(&clean->caches);
  strings_free(&folders);
  return ok;
}

int cmd_clean(int argc, char **argv) {
  Clean clean = {.db = DEFAULT_DB, .out = DEFAULT_OUT};
  const CmdOption options[] = {
      {"--dry-run", CMD_FLAG, &clean.dry, NULL, "remove nothing, say how much it would be"},
      {"--keep", CMD_TEXT, &clean.keep, "POLICY", "instead of the trials' run.keep"},
      {"--superseded", CMD_FLAG, &clean.superseded, NULL,
       "also what was set aside when trials were trained anew (superseded-N/)"},
      {"--second-runs", CMD_FLAG, &clean.second_runs, NULL,
       "also the second runs that `harness verify` left on purpose (verify-*/)"},
      {"--unfinished-packs", CMD_FLAG, &clean.packs, NULL,
       "also packs of images in their data.cache that were begun and not finished, and that\n"
       "nobody works on"},
      OPTION_DB(&clean.db),
      OPTION_OUT(&clean.out),
  };
  CommandLine line = {.name = "harness clean",
                      .usage = "[EXPERIMENT...]",
                      .about = about,
                      .options = options,
                      .option_count = sizeof options / sizeof *options,
                      .words_max = 1000};
  int code;
  Error e = {0};
  if (command_line_read(&line, argc, argv, &code))
    code = !clean_all(&clean, &line, &e) ? command_fail(line.name, &e)
           : clean.failed                ? EXIT_SOME_FAILED
                                         : EXIT_OK;
  return code;
}
