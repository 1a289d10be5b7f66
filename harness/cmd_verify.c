/* harness verify: trains a recorded trial again and compares. */
#include <glob.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "harness/cmd.h"
#include "harness/locate.h"
#include "harness/options.h"
#include "harness/place.h"
#include "harness/progress.h"
#include "harness/runner.h"
#include "harness/store.h"
#include "harness/verify.h"
#include "mae/base/io.h"
#include "mae/record/events.h"

enum { STOP_GRACE_SECONDS = 10 };

static const char about[] =
    "Trains the trial again from its recorded configuration and compares the loss of every step\n"
    "and the SHA-256 of the final training state. Prints the class that is proved:\n"
    "  bitwise      every loss and the whole state are equal in every bit\n"
    "  numerical    losses and score agree within a stated tolerance (another device or library)\n"
    "  statistical  the score is one that another seed could have given\n"
    "and otherwise the first step and tensor that differ and how the two provenances differ.\n"
    "Exit code 3 when the class asked for does not hold.";

typedef struct Verification {
  const char *db, *trainer_given;
  double steps, timeout;
  bool keep;
  Proof asked;
  int64_t trial;
  char folder[CONFIG_PATH_MAX], scratch[CONFIG_PATH_MAX], name[64];
  char trainer[CONFIG_PATH_MAX];
  Config config;
  RunRecord then, now;
  Comparison comparison;
  int signal;
} Verification;

static bool parse_class(const char *text, Proof *proof, Error *e) {
  for (Proof p = PROOF_STATISTICAL; p <= PROOF_BITWISE; p++) {
    if (strcmp(text, proof_name(p)) != 0) continue;
    *proof = p;
    return true;
  }
  return error_set(e, EXIT_CONFIG, "--class %.40s: expected bitwise, numerical or statistical",
                   text);
}

/* The folder of a trial, whose path in the database may be relative to the database's folder. */
static bool find_folder(Verification *v, Error *e) {
  Store *store;
  TrialInfo info;
  bool found = false;
  if (!store_open_readonly(&store, v->db, e)) return false;
  bool ok = store_get_trial(store, v->trial, &info, &found, e);
  store_close(store);
  if (!ok) return false;
  if (!found)
    return error_set(e, EXIT_DATA, "%s has no trial %lld; `harness status` lists experiments",
                     v->db, (long long)v->trial);
  const char *slash = strrchr(v->db, '/');
  int length = *info.folder == '/' || !slash ? 0 : (int)(slash - v->db + 1);
  int used = snprintf(v->folder, sizeof v->folder, "%.*s%s", length, v->db, info.folder);
  return used < (int)sizeof v->folder ||
         error_set(e, EXIT_DATA, "the path of trial %lld is too long", (long long)v->trial);
}

static bool read_recorded(Verification *v, Error *e) {
  char path[CONFIG_PATH_MAX];
  if (!io_join(path, sizeof path, v->folder, "events.jsonl", e) || !record_read(&v->then, path, e))
    return false;
  if (v->steps == 0 && strcmp(v->then.facts.end, "done") != 0)
    return error_set(
        e, EXIT_DATA,
        "trial %lld is not done: its newest attempt is at step %lld of %lld; --steps N "
        "verifies a prefix",
        (long long)v->trial, (long long)v->then.facts.step, (long long)v->then.facts.steps);
  if (v->steps > (double)v->then.count)
    return error_set(e, EXIT_CONFIG, "--steps %.0f: trial %lld has %lld recorded steps", v->steps,
                     (long long)v->trial, (long long)v->then.count);
  return true;
}

/* The scratch folder beside the recorded files, with the configuration that was recorded. */
static bool make_scratch(Verification *v, Error *e) {
  time_t now = time(NULL);
  struct tm utc;
  char path[CONFIG_PATH_MAX];
  /* Each in a folder of its own, should two begin within a second. */
  strftime(v->name, sizeof v->name, "verify-%Y%m%dT%H%M%SZ", gmtime_r(&now, &utc));
  size_t length = strlen(v->name);
  for (int n = 2; io_join(path, sizeof path, v->folder, v->name, NULL) && !access(path, F_OK); n++)
    snprintf(v->name + length, sizeof v->name - length, "-%d", n);
  const char *text = member_text(v->then.start, "config");
  if (!text)
    return error_set(e, EXIT_DATA, "%s/events.jsonl: the start event has no config", v->folder);
  if (!io_join(v->scratch, sizeof v->scratch, v->folder, v->name, e) ||
      !io_make_folders(v->scratch, e) || !io_join(path, sizeof path, v->scratch, "config.ini", e))
    return false;
  int fd = io_create(path, e);
  if (fd < 0) return false;
  bool ok = io_write(fd, path, text, strlen(text), e);
  if (!io_finish(fd, path, ok ? e : NULL)) ok = false;
  config_init(&v->config);
  return ok && config_load(&v->config, path, e);
}

static bool train_again(Verification *v, Error *e) {
  Places places;
  Config *config = &v->config;
  /* One GPU computes the bits of two. */
  if (config->train.shards <= 2) config->resources.gpus_per_trial = 1;
  config->resources.jobs_per_gpu = 1;
  if (!places_make(&places, config, 0, 1, gpus_find(), e)) return false;
  TrainerStart start = {.program = v->trainer,
                        .launcher = config->resources.launcher,
                        .folder = v->scratch,
                        .ranks = places.list[0].ranks,
                        .cuda_devices = places.list[0].gpus,
                        .stop_after = (int64_t)v->steps,
                        .lock = -1,
                        .timeout = v->timeout};
  Trainer trainer;
  Outcome outcome;
  Progress progress;
  char label[64];
  snprintf(label, sizeof label, "verify trial %lld", (long long)v->trial);
  bool started = trainer_start(&trainer, &start, NULL, NULL, e);
  places_free(&places);
  if (!started) return false;
  progress_open(&progress);
  while (trainer_poll(&trainer, &outcome)) {
    ProgressTrial line = {label, &trainer.facts, trainer.started, 0};
    ProgressSweep sweep = {.total = 1, .seconds_left = NAN};
    progress_show(&progress, &line, 1, &sweep);
    int signal = runner_wait_signal(0.05);
    if (!signal) continue;
    trainer_stop(&trainer, v->signal ? SIGKILL : SIGINT, STOP_GRACE_SECONDS);
    v->signal = signal;
  }
  progress_close(&progress);
  bool whole = v->steps == 0 || v->steps >= (double)v->then.facts.steps;
  bool ok =
      v->signal || outcome.status == TRIAL_DONE || (!whole && outcome.status == TRIAL_INTERRUPTED);
  if (!ok) error_set(e, EXIT_DATA, "training again failed: %s", outcome.error);
  trainer_close(&trainer);
  return ok;
}

/* The hash of everything but the seed: equal for repetitions of one point. */
static void point_of(const Config *config, char hash[65]) {
  Config point = *config;
  point.run.seed = 0;
  config_hash(&point, hash);
}

/* Final scores of the experiment's finished trials that differ in nothing but the seed. */
static int seed_scores(const Verification *v, double *scores, int max) {
  char own[65], other[65];
  int count = 0;
  char *pattern = string_format("%s/../*/config.ini", v->folder);
  glob_t found = {0};
  point_of(&v->config, own);
  if (glob(pattern, 0, NULL, &found) == 0) {
    for (size_t i = 0; i < found.gl_pathc && count < max; i++) {
      Config config;
      RunRecord record;
      if (!config_load(&config, found.gl_pathv[i], NULL)) continue;
      point_of(&config, other);
      if (strcmp(own, other) != 0) continue;
      char *folder = string_format("%s", found.gl_pathv[i]);
      *strrchr(folder, '/') = 0;
      char *events = string_format("%s/events.jsonl", folder);
      if (record_read(&record, events, NULL)) {
        if (!strcmp(record.facts.end, "done") && isfinite(record.evaluated))
          scores[count++] = record.evaluated;
        record_free(&record);
      }
      free(events);
      free(folder);
    }
    globfree(&found);
  }
  free(pattern);
  return count;
}

static bool compare(Verification *v, Error *e) {
  enum { SEEDS_MAX = 256 };
  double scores[SEEDS_MAX];
  char path[CONFIG_PATH_MAX];
  if (!io_join(path, sizeof path, v->scratch, "events.jsonl", e) || !record_read(&v->now, path, e))
    return false;
  int64_t steps = v->steps > 0 ? (int64_t)v->steps : v->then.facts.steps;
  compare_runs(&v->comparison, &v->then, &v->now, v->folder, v->scratch, steps,
               v->config.train.precision);
  if (v->comparison.proof == PROOF_NONE && v->steps == 0)
    compare_scores(&v->comparison, scores, seed_scores(v, scores, SEEDS_MAX));
  return true;
}

static const char *state_words(const Comparison *c) {
  if (c->state_compared) return " and the training state (weights, moments, counters)";
  return "; no state was recorded at that step to compare with";
}

static void print_outcome(const Verification *v) {
  const Comparison *c = &v->comparison;
  if (c->proof == PROOF_BITWISE) {
    printf("trial %lld: bitwise. The losses of %lld steps%s are equal in every bit",
           (long long)v->trial, (long long)c->steps, c->state_compared ? state_words(c) : "");
    if (c->state_compared)
      printf("; state %.16s\n", v->now.facts.state_sha256);
    else
      printf("%s\n", state_words(c));
    return;
  }
  printf("trial %lld: not bitwise; %s\n", (long long)v->trial,
         c->proof ? proof_name(c->proof) : "no class holds");
  printf("  %s\n", c->detail);
  if (!isnan(c->score_then))
    printf("  score %.6f dB recorded, %.6f dB now\n", c->score_then, c->score_now);
  if (*c->tensor)
    printf("  first tensor that differs in the checkpoints of step %lld: %s (%s)\n",
           (long long)c->steps, c->tensor, c->tensor_detail);
  puts("what differs in the two provenances (recorded -> now):");
  if (compare_provenance(stdout, &v->then, &v->now) == 0)
    puts(c->state_equal ? "  nothing"
                        : "  nothing: the same build on the same machine gave other bits");
}

/* To the trial's folder first, then to the database; a database in use takes it in later. */
static bool write_down(const Verification *v, Error *e) {
  const Comparison *c = &v->comparison;
  char file[80], path[CONFIG_PATH_MAX];
  EventLog log;
  snprintf(file, sizeof file, "%s.jsonl", v->name);
  if (!io_join(path, sizeof path, v->folder, file, e) || !events_open(&log, path, e)) return false;
  event_begin(&log, "verification");
  event_string(&log, "asked", proof_name(v->asked));
  event_string(&log, "class", proof_name(c->proof));
  event_string(&log, "outcome", c->proof >= v->asked ? "match" : "mismatch");
  event_int(&log, "steps", c->steps);
  if (c->first_step) event_int(&log, "first_step", c->first_step);
  if (*c->tensor) event_string(&log, "first_tensor", c->tensor);
  event_string(&log, "detail",
               c->proof == PROOF_BITWISE && !c->state_compared ? "losses only" : c->detail);
  bool ok = event_end(&log, e);
  if (!events_close(&log, ok ? e : NULL)) ok = false;
  return ok;
}

typedef struct Entering {
  Store *store;
  const Verification *v;
  Error *error;
} Entering;

static void record_line(void *user, const char *line, size_t length, uint64_t offset) {
  Entering *to = user;
  char file[80];
  snprintf(file, sizeof file, "%s.jsonl", to->v->name);
  store_ingest(to->store, to->v->trial, file, offset, line, length, to->error);
}

static void enter_database(const Verification *v) {
  Store *store;
  Error e = {0};
  if (store_open(&store, v->db, &e)) {
    Entering to = {store, v, &e};
    char *path = string_format("%s/%s.jsonl", v->folder, v->name);
    tail_read_file(path, record_line, &to);
    free(path);
    store_close(store);
  }
  if (e.code)
    fprintf(stderr,
            "harness verify: the outcome is in %s/%s.jsonl but not in the database: %s; `harness "
            "import` takes it in\n",
            v->folder, v->name, e.message);
}

static bool verify(Verification *v, Error *e) {
  if (!locate_trainer(v->trainer, v->trainer_given, e) || !find_folder(v, e) ||
      !read_recorded(v, e) || !make_scratch(v, e))
    return false;
  runner_block_signals();
  if (!train_again(v, e)) return error_suffix(e, "see %s", v->scratch);
  if (v->signal) return io_remove(v->scratch, e);
  if (!compare(v, e)) return false;
  print_outcome(v);
  if (!write_down(v, e)) return false;
  enter_database(v);
  if (v->comparison.proof == PROOF_BITWISE && !v->keep) return io_remove(v->scratch, e);
  printf("the second run is kept in %s\n", v->scratch);
  return true;
}

int cmd_verify(int argc, char **argv) {
  const char *class = "bitwise";
  Verification v = {.db = DEFAULT_DB, .timeout = 600};
  const CmdOption options[] = {
      {"--class", CMD_TEXT, &class, "NAME", "bitwise (default), numerical or statistical"},
      {"--steps", CMD_NUMBER, &v.steps, "N", "train and compare the first N steps only"},
      {"--db", CMD_TEXT, &v.db, "PATH", "database (" DEFAULT_DB ")"},
      {"--keep", CMD_FLAG, &v.keep, NULL, "keep the second run's folder although it matches"},
      {"--timeout", CMD_NUMBER, &v.timeout, "SECONDS", "silence that counts as a hang (600)"},
      {"--mae", CMD_TEXT, &v.trainer_given, "PATH", "the trainer program"},
  };
  CommandLine line = {.name = "harness verify",
                      .usage = "TRIAL",
                      .about = about,
                      .options = options,
                      .option_count = sizeof options / sizeof *options,
                      .words_min = 1,
                      .words_max = 1};
  int code;
  Error e = {0};
  if (command_line_read(&line, argc, argv, &code)) {
    bool ok = parse_class(class, &v.asked, &e) && parse_trial(line.words[0], &v.trial, &e) &&
              verify(&v, &e);
    code = !ok                             ? command_fail(line.name, &e)
           : v.signal                      ? 128 + v.signal
           : v.comparison.proof >= v.asked ? EXIT_OK
                                           : EXIT_MISMATCH;
    record_free(&v.then);
    record_free(&v.now);
  }
  return code;
}
