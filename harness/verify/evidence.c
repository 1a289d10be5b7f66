/* evidence.c - the recorded files of a trial against their hashes and against each other. */
#include "harness/verify/evidence.h"

#include <glob.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness/base/tail.h"
#include "harness/store/verify.h"
#include "harness/trial/folder.h"
#include "mae/base/io.h"
#include "mae/base/progress.h"
#include "mae/base/sha256.h"
#include "mae/data/pack.h"
#include "mae/record/checkpoint.h"
#include "mae/record/seal.h"
#include "mae/record/step_folders.h"

void evidence_free(Evidence *evidence) {
  strings_free(&evidence->faults);
  strings_free(&evidence->notes);
}

/* Seals -----------------------------------------------------------------------------------------*/

typedef struct Chain {
  Seal seal;
  int64_t lines, broken; /* the first that does not follow; 0: none */
  bool unsealed;
} Chain;

static void follow(void *user, const char *line, size_t length, uint64_t offset) {
  (void)offset;
  Chain *chain = user;
  SealState state = seal_check(&chain->seal, line, length);
  chain->lines++;
  chain->unsealed |= state == SEAL_NONE;
  if (state == SEAL_BROKEN && !chain->broken) chain->broken = chain->lines;
}

bool evidence_sealed(const char *path, int64_t *line, bool *unsealed) {
  Chain chain = {0};
  seal_begin(&chain.seal);
  tail_read_file(path, follow, &chain);
  seal_free(&chain.seal);
  *line = chain.broken;
  if (unsealed) *unsealed = chain.unsealed;
  return !chain.broken;
}

static void check_seal(Evidence *evidence, const char *path, bool *unsealed) {
  int64_t line;
  if (!evidence_sealed(path, &line, unsealed))
    strings_add(&evidence->faults,
                string_format("%s:%lld: the line does not follow from those before it: it was "
                              "changed, or one before it was changed, lost or put in",
                              path, (long long)line));
}

static void check_seals(Evidence *evidence, const char *folder) {
  for (int f = 0; f < TRIAL_FILES; f++) {
    bool unsealed = false;
    char *path = string_format("%s/%s", folder, trial_files[f]);
    check_seal(evidence, path, &unsealed);
    if (f >= TRIAL_LAUNCH_FILES) evidence->unsealed |= unsealed;
    free(path);
  }
  glob_t found = {0};
  char *here = string_format("%s/verify-*.jsonl", folder);
  if (glob(here, 0, NULL, &found) == 0) {
    for (size_t i = 0; i < found.gl_pathc; i++) check_seal(evidence, found.gl_pathv[i], NULL);
    globfree(&found);
  }
  free(here);
}

/* Stored files ----------------------------------------------------------------------------------*/

static void check_artifacts(Evidence *evidence, const EvidenceOf *of) {
  const char *name;
  json_t *event;
  json_object_foreach(of->record->artifacts, name, event) {
    const char *recorded = member_text(event, "sha256");
    char *path = *name == '/' ? string_copy(name) : string_format("%s/%s", of->folder, name);
    char hash[65];
    Error problem;
    if (access(path, F_OK) != 0) {
      /* Weights go with their checkpoint when newer ones take its place. */
      if (strncmp(name, "checkpoints/", 12) != 0)
        strings_add(&evidence->notes, string_format("%s is not there: not compared", path));
    } else if (!sha256_file(hash, path, &problem)) {
      strings_add(&evidence->faults, string_copy(problem.message));
    } else if (recorded && strcmp(hash, recorded) != 0) {
      strings_add(&evidence->faults,
                  string_format("%s: the file was changed: its SHA-256 is %.16s, and %.16s was "
                                "recorded when it was written",
                                path, hash, recorded));
    }
    free(path);
  }
}

/* The hash of the whole state that a checkpoint's last file ends with. */
static bool stored_state(char hash[65], const char *folder, Error *e) {
  char path[CONFIG_PATH_MAX];
  TensorFile file;
  if (!io_join(path, sizeof path, folder, "state.safetensors", e) ||
      !safetensors_open(&file, path, e))
    return false;
  const Tensor *tensor = safetensors_find(&file, "state_sha256");
  bool ok = tensor && tensor->bytes == 64;
  snprintf(hash, 65, "%.64s", ok ? (const char *)tensor->data : "");
  safetensors_close(&file);
  return ok || error_set(e, EXIT_DATA, "%s: holds no hash of the state", path);
}

static void check_state_hash(Evidence *evidence, const char *where, const char *hash,
                             const char *event, const char *recorded) {
  if (recorded && *recorded && strcmp(hash, recorded) != 0)
    strings_add(&evidence->faults,
                string_format("%s: its state has SHA-256 %.16s, and the %s event of events.jsonl "
                              "says %.16s",
                              where, hash, event, recorded));
}

/* A last checkpoint of which only a part was kept: that part against its recorded hash. */
static void check_kept(Evidence *evidence, const EvidenceOf *of, const KeptRecord *kept) {
  char folder[CONFIG_PATH_MAX], path[CONFIG_PATH_MAX], hash[65];
  Error problem = {0};
  strings_add(&evidence->notes,
              string_format("of the checkpoint of step %lld %s was kept (run.keep = %s): the state "
                            "is proved by its recorded hash alone",
                            (long long)kept->step, *kept->file ? kept->file : "nothing",
                            kept->keep));
  if (!*kept->file) return;
  if (!step_folder_path(folder, of->folder, kept->step, &problem) ||
      !io_join(path, sizeof path, folder, kept->file, &problem))
    strings_add(&evidence->faults, string_copy(problem.message));
  else if (access(path, F_OK) != 0)
    strings_add(&evidence->notes, string_format("%s is not there: not checked", path));
  else if (!sha256_file(hash, path, &problem))
    strings_add(&evidence->faults, string_copy(problem.message));
  else if (strcmp(hash, kept->sha256) != 0)
    strings_add(&evidence->faults,
                string_format("%s: the file was changed: its SHA-256 is %.16s, and %.16s was "
                              "recorded when it was kept",
                              path, hash, kept->sha256));
}

/* Whether launches.jsonl says that the rest of this checkpoint was removed, and it was. */
static bool was_thinned(const EvidenceOf *of, const KeptRecord *kept, int64_t step) {
  char folder[CONFIG_PATH_MAX], state[CONFIG_PATH_MAX];
  return kept->step == step && step_folder_path(folder, of->folder, step, NULL) &&
         io_join(state, sizeof state, folder, "state.safetensors", NULL) &&
         access(state, F_OK) != 0;
}

static void check_checkpoint(Evidence *evidence, const EvidenceOf *of, int64_t step) {
  char folder[CONFIG_PATH_MAX], hash[65], key[32];
  Error problem = {0};
  TensorFile weights;
  const Facts *facts = &of->record->facts;
  bool last = *facts->end && step == facts->step;
  snprintf(key, sizeof key, "%lld", (long long)step);
  const char *saved = member_text(of->record->saved, key);
  /* What lies behind the last recorded event was not recorded any more. */
  if (!saved && !last) return;
  if (!step_folder_path(folder, of->folder, step, &problem) ||
      !checkpoint_open_weights(&weights, folder, &problem)) {
    if (access(folder, F_OK) != 0) return; /* a trainer at work has removed it */
    strings_add(&evidence->faults, string_copy(problem.message));
    return;
  }
  safetensors_close(&weights);
  if (!stored_state(hash, folder, &problem)) {
    strings_add(&evidence->faults, string_copy(problem.message));
    return;
  }
  check_state_hash(evidence, folder, hash, "checkpoint", saved);
  if (last) check_state_hash(evidence, folder, hash, "end", facts->state_sha256);
}

static void check_checkpoints(Evidence *evidence, const EvidenceOf *of) {
  const Facts *facts = &of->record->facts;
  int64_t *steps = NULL;
  int count = 0;
  Error problem = {0};
  char key[32];
  if (!step_folders_list(of->folder, &steps, &count, &problem))
    strings_add(&evidence->faults, string_copy(problem.message));
  Launches launches;
  folder_launches(&launches, of->folder);
  bool thinned = was_thinned(of, &launches.kept, facts->step);
  if (thinned) check_kept(evidence, of, &launches.kept);
  for (int i = 0; i < count; i++)
    if (!thinned || steps[i] != facts->step) check_checkpoint(evidence, of, steps[i]);
  if (*facts->end && !thinned && (!count || steps[0] != facts->step))
    strings_add(&evidence->notes,
                string_format("%s/checkpoints/step-%lld is not there: not checked", of->folder,
                              (long long)facts->step));
  free(steps);
  /* The two events were written from one state. */
  snprintf(key, sizeof key, "%lld", (long long)facts->step);
  const char *saved = member_text(of->record->saved, key);
  if (saved && *facts->end && *facts->state_sha256 && strcmp(saved, facts->state_sha256) != 0)
    strings_add(&evidence->faults,
                string_format("%s/events.jsonl: the end event has state_sha256 %.16s, the "
                              "checkpoint event of the same step %lld has %.16s",
                              of->folder, facts->state_sha256, (long long)facts->step, saved));
}

/* Configuration ---------------------------------------------------------------------------------*/

static void check_config_file(Evidence *evidence, const EvidenceOf *of) {
  char *path = string_format("%s/config.ini", of->folder);
  Config config;
  Error problem = {0};
  const char *key;
  config_init(&config);
  if (!config_load(&config, path, &problem))
    strings_add(&evidence->faults, string_copy(problem.message));
  else
    for (int i = 0; (key = config_key(i)); i++) {
      char a[CONFIG_PATH_MAX], b[CONFIG_PATH_MAX];
      const char *is = config_get(&config, key, a, sizeof a);
      const char *was = config_get(of->config, key, b, sizeof b);
      if (config_is_hashed(key) && is && was && strcmp(is, was) != 0)
        strings_add(
            &evidence->faults,
            string_format("%s: %s = %.80s, the run was started with %.80s", path, key, is, was));
    }
  free(path);
}

static void check_swept(Evidence *evidence, const char *path, const json_t *trial,
                        const Config *config) {
  const char *key;
  json_t *value;
  json_object_foreach(json_object_get(trial, "swept"), key, value) {
    char text[CONFIG_PATH_MAX];
    const char *said = json_string_value(value), *is = config_get(config, key, text, sizeof text);
    if (!said || !is || strcmp(said, is) != 0)
      strings_add(&evidence->faults,
                  string_format("%s: swept \"%.80s\" is %.80s, the run was started with %.80s",
                                path, key, said ? said : "no text", is ? is : "no such key"));
  }
  int64_t seed = member_integer(trial, "seed", -1);
  if ((uint64_t)seed != config->run.seed)
    strings_add(&evidence->faults,
                string_format("%s: seed is %lld, the run was started with %llu", path,
                              (long long)seed, (unsigned long long)config->run.seed));
}

static void check_identity(Evidence *evidence, const EvidenceOf *of) {
  char hash[65], real[PATH_MAX];
  const char *recorded = member_text(of->record->start, "config_hash");
  char *path = string_format("%s/trial.json", of->folder);
  json_error_t where;
  json_t *trial = json_load_file(path, 0, &where);
  if (!recorded) recorded = "";
  const char *named = member_text(trial, "config_hash");
  if (!trial)
    strings_add(&evidence->faults, string_format("%s:%d: %s", path, where.line, where.text));
  else if (!named || strcmp(named, recorded) != 0)
    strings_add(&evidence->faults,
                string_format("%s: config_hash is %.16s, the start event of events.jsonl has %.16s",
                              path, named ? named : "absent", recorded));
  if (trial) check_swept(evidence, path, trial, of->config);
  const char *name = realpath(of->folder, real) ? strrchr(real, '/') + 1 : of->folder;
  if (strncmp(name, recorded, 12) != 0)
    strings_add(&evidence->faults,
                string_format("%s: the folder is named otherwise than its configuration's hash, "
                              "%.12s",
                              of->folder, recorded));
  config_hash(of->config, hash);
  if (strcmp(hash, recorded) != 0) {
    char *text = string_format("%s/events.jsonl: the start event's config has the hash %.16s and "
                               "not %.16s, which it records",
                               of->folder, hash, recorded);
    /* A sealed line was not changed: a program with other options wrote it. */
    strings_add(evidence->unsealed ? &evidence->faults : &evidence->notes, text);
  }
  json_decref(trial);
  free(path);
}

/* The images
 * --------------------------------------------------------------------------------------*/

static bool check_images(Evidence *evidence, const EvidenceOf *of, Error *e) {
  Source source;
  Dataset data;
  Error problem = {0};
  const char *recorded = of->record->facts.dataset_sha256;
  ProgressLine line = {.terminal = isatty(STDERR_FILENO)};
  const ProgressListener progress = progress_on(&line);
  bool there = source_open(&source, of->config, &progress, e);
  if (there) source_close(&source);
  bool opened = there && data_open(&data, of->config, &progress, &problem);
  bool sound = opened && (data.verified || pack_verify(&data, &progress, &problem));
  progress_clear(&line);
  if (!there) return false;
  if (!sound) strings_add(&evidence->faults, string_copy(problem.message));
  if (!opened) return true;
  if (strcmp(data.sha256, recorded) != 0)
    strings_add(&evidence->faults,
                string_format("%s: the images are others than those of the run: their SHA-256 is "
                              "%.16s, and %.16s was recorded",
                              *of->config->data.path ? of->config->data.path : data.pack_path,
                              data.sha256, recorded));
  data_close(&data);
  return true;
}

bool evidence_check(Evidence *evidence, const EvidenceOf *of, Error *e) {
  *evidence = (Evidence){0};
  check_seals(evidence, of->folder);
  check_artifacts(evidence, of);
  check_checkpoints(evidence, of);
  check_config_file(evidence, of);
  check_identity(evidence, of);
  if (!store_verify_trial(of->store, of->trial, of->folder, &evidence->faults, e)) return false;
  return evidence->faults.count > 0 || check_images(evidence, of, e);
}
