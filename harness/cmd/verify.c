/* harness verify: trains a recorded trial again and compares. */
#include <errno.h>
#include <glob.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "harness/cmd/cmd.h"
#include "harness/cmd/options.h"
#include "harness/plan/locate.h"
#include "harness/run/place.h"
#include "harness/run/progress.h"
#include "harness/run/runner.h"
#include "harness/store/store.h"
#include "harness/verify/evidence.h"
#include "harness/verify/verify.h"
#include "mae/base/io.h"
#include "mae/model/products.h"
#include "mae/record/events.h"

enum { STOP_GRACE_SECONDS = 10 };

static const char about[] =
    "First checks what was recorded: the seals of the event files, stored files and checkpoints\n"
    "against their hashes, config.ini and trial.json against the start event, the database's rows\n"
    "against the files, the packed images against their hash. Then trains the trial again from\n"
    "its recorded configuration and compares every number but times and speeds, every score of\n"
    "the model and the baselines, and the SHA-256 of the final training state. Prints the class\n"
    "that is proved:\n"
    "  bitwise      every number and the whole state are equal in every bit\n"
    "  numerical    each of the first 100 steps, the means of later hundreds and the scores agree\n"
    "               within what another device's or library's rounding makes of them\n"
    "  statistical  the score is one that another seed could have given, as far as at least 3\n"
    "               other finished seeds of its point can say\n"
    "and otherwise what is damaged, or the first step, score and tensor that differ and how the\n"
    "two provenances differ. Exit code 3 when the class asked for does not hold, 2 when the\n"
    "seeds are too few to say.";

typedef struct Verification {
  const char *db, *trainer_given;
  double steps, timeout;
  bool keep, said_done; /* said_done: the database calls the trial done */
  Proof asked;
  int64_t trial;
  char folder[CONFIG_PATH_MAX], scratch[CONFIG_PATH_MAX], name[64];
  char trainer[CONFIG_PATH_MAX];
  Config config;
  Evidence evidence;
  RunRecord then, now;
  Comparison comparison;
  int signal, lock; /* lock: of scratch, so that `harness clean` leaves it alone */
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
  v->said_done = found && info.status == TRIAL_DONE;
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

/* A name that no earlier verification has, by the time and, within one second, a number; make: and
 * the scratch folder, of two at once each its own. */
static bool choose_name(Verification *v, bool make, Error *e) {
  time_t now = time(NULL);
  struct tm utc;
  char stamp[32], line[CONFIG_PATH_MAX + 8];
  strftime(stamp, sizeof stamp, "%Y%m%dT%H%M%SZ", gmtime_r(&now, &utc));
  for (int number = 1;; number++) {
    if (number == 1)
      snprintf(v->name, sizeof v->name, "verify-%s", stamp);
    else
      snprintf(v->name, sizeof v->name, "verify-%s-%d", stamp, number);
    if (!io_join(v->scratch, sizeof v->scratch, v->folder, v->name, e)) return false;
    snprintf(line, sizeof line, "%s.jsonl", v->scratch);
    if (access(line, F_OK) == 0) continue;
    if (make ? mkdir(v->scratch, 0777) == 0 : access(v->scratch, F_OK) != 0) return true;
    if (make && errno != EEXIST)
      return error_set(e, EXIT_DATA, "%s: cannot be made: %s", v->scratch, strerror(errno));
  }
}

static bool write_config(const char *path, const char *text, Error *e) {
  int fd = io_create(path, e);
  if (fd < 0) return false;
  bool ok = io_write(fd, path, text, strlen(text), e);
  if (!io_finish(fd, path, ok ? e : NULL)) ok = false;
  return ok;
}

/* A run that followed a table of products follows its own copy again, wherever the table lies now.
 */
static bool follow_products(Verification *v, const char *path, Error *e) {
  Config *config = &v->config;
  if (!member_text(json_object_get(v->then.start, "provenance"), "products_sha256")) return true;
  if (!io_join(config->run.products, sizeof config->run.products, v->folder, PRODUCTS_FILE, e))
    return false;
  char *text = NULL;
  size_t size;
  FILE *memory = need(open_memstream(&text, &size));
  config_dump(config, memory, false);
  fclose(memory);
  bool ok = write_config(path, need(text), e);
  free(text);
  return ok;
}

/* The scratch folder beside the recorded files, with the configuration that was recorded. */
static bool make_scratch(Verification *v, Error *e) {
  char path[CONFIG_PATH_MAX], holder[FOLDER_HOLDER_MAX];
  const char *text = member_text(v->then.start, "config");
  if (!text)
    return error_set(e, EXIT_DATA, "%s/events.jsonl: the start event has no config", v->folder);
  if (!choose_name(v, true, e) || !folder_lock(&v->lock, v->scratch, holder, e) ||
      !io_join(path, sizeof path, v->scratch, "config.ini", e))
    return false;
  config_init(&v->config);
  return write_config(path, text, e) && config_load(&v->config, path, e) &&
         follow_products(v, path, e);
}

static bool check_evidence(Verification *v, Error *e) {
  Store *store;
  if (!store_open_readonly(&store, v->db, e)) return false;
  EvidenceOf of = {store, v->trial, v->folder, &v->then, &v->config};
  bool ok = evidence_check(&v->evidence, &of, e);
  store_close(store);
  return ok;
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
                        .lock = v->lock,
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

/* The final score of one finished run of the same point and images, by its intact event file. */
static bool score_of(const Verification *v, const char *folder, double *score) {
  RunRecord record;
  int64_t line;
  char *events = string_format("%s/events.jsonl", folder);
  bool ok = evidence_sealed(events, &line, NULL) && record_read(&record, events, NULL);
  free(events);
  if (!ok) return false;
  ok = !strcmp(record.facts.end, "done") && isfinite(record.evaluated) &&
       !strcmp(record.facts.dataset_sha256, v->then.facts.dataset_sha256);
  *score = record.evaluated;
  record_free(&record);
  return ok;
}

enum { SEEDS_MAX = 256 };

/* Final scores of the experiment's other finished trials that differ in nothing but the seed. */
static int seed_scores(const Verification *v, double scores[SEEDS_MAX]) {
  char own[65], other[65];
  int count = 0;
  char *pattern = string_format("%s/../*/config.ini", v->folder);
  glob_t found = {0};
  point_of(&v->config, own);
  if (glob(pattern, 0, NULL, &found) == 0) {
    for (size_t i = 0; i < found.gl_pathc && count < SEEDS_MAX; i++) {
      Config config;
      if (!config_load(&config, found.gl_pathv[i], NULL)) continue;
      point_of(&config, other);
      if (strcmp(own, other) != 0 || config.run.seed == v->config.run.seed) continue;
      char *folder = string_copy(found.gl_pathv[i]);
      *strrchr(folder, '/') = 0;
      count += score_of(v, folder, &scores[count]);
      free(folder);
    }
    globfree(&found);
  }
  free(pattern);
  return count;
}

/* Asked for what the seeds cannot support: said before hours are spent on it. */
static bool enough_seeds(const Verification *v, Error *e) {
  double scores[SEEDS_MAX];
  if (v->asked != PROOF_STATISTICAL) return true;
  if (v->steps > 0)
    return error_set(e, EXIT_CONFIG,
                     "--class statistical compares final scores: it needs the "
                     "whole run, without --steps");
  int count = seed_scores(v, scores);
  return count >= SEEDS_NEEDED ||
         error_set(e, EXIT_CONFIG,
                   "--class statistical needs at least %d other finished seeds of this point to "
                   "know how far seeds lie apart, and there are %d: two say next to nothing of "
                   "it, and the trial itself is no reference for itself; run %d more (harness run "
                   "with a longer sweep.seeds)",
                   SEEDS_NEEDED, count, SEEDS_NEEDED - count);
}

static bool compare(Verification *v, Error *e) {
  double scores[SEEDS_MAX];
  char path[CONFIG_PATH_MAX];
  if (!io_join(path, sizeof path, v->scratch, "events.jsonl", e) || !record_read(&v->now, path, e))
    return false;
  int64_t steps = v->steps > 0 ? (int64_t)v->steps : v->then.facts.steps;
  compare_runs(&v->comparison, &v->then, &v->now, v->folder, v->scratch, steps,
               v->config.train.precision);
  if (v->comparison.proof == PROOF_NONE && v->steps == 0)
    compare_scores(&v->comparison, scores, seed_scores(v, scores));
  return true;
}

static void print_notes(const Verification *v) {
  for (int i = 0; i < v->evidence.notes.count; i++) printf("  %s\n", v->evidence.notes.items[i]);
  if (v->evidence.unsealed)
    puts("  the event file is unsealed: an earlier version wrote it, and a change of a number in "
         "it shows only where that number is computed again");
}

static void print_damage(const Verification *v) {
  printf("trial %lld: no class holds: what was recorded is damaged, and it was not trained again\n",
         (long long)v->trial);
  for (int i = 0; i < v->evidence.faults.count; i++) printf("  %s\n", v->evidence.faults.items[i]);
  print_notes(v);
}

static void print_outcome(const Verification *v) {
  const Comparison *c = &v->comparison;
  if (c->proof == PROOF_BITWISE) {
    printf("trial %lld: bitwise. The numbers of %lld steps", (long long)v->trial,
           (long long)c->steps);
    if (c->scores) printf(", %d scores", c->scores);
    printf("%s are equal in every bit",
           c->state_compared ? " and the training state (weights, moments, counters)" : "");
    if (c->state_compared)
      printf("; state %.16s\n", v->now.facts.state_sha256);
    else
      puts("; no state was recorded at that step to compare with");
    print_notes(v);
    return;
  }
  printf("trial %lld: not bitwise; %s. What was recorded %s; training again gave other numbers\n",
         (long long)v->trial, c->proof ? proof_name(c->proof) : "no class holds",
         v->evidence.unsealed ? "fits together" : "is intact");
  for (const char *line = c->detail; *line;) {
    int length = (int)strcspn(line, "\n");
    printf("  %.*s\n", length, line);
    line += length + (line[length] == '\n');
  }
  if (!isnan(c->score_then))
    printf("  score %.6f dB recorded, %.6f dB now\n", c->score_then, c->score_now);
  if (*c->tensor)
    printf("  first tensor that differs in the checkpoints of step %lld: %s (%s)\n",
           (long long)c->steps, c->tensor, c->tensor_detail);
  print_notes(v);
  puts("what differs in the two provenances (recorded -> now):");
  if (compare_provenance(stdout, &v->then, &v->now) == 0)
    puts(c->state_equal ? "  nothing"
                        : "  nothing: the same build on the same machine gave other bits");
}

/* What the record says beside the class: what differs or is damaged, and what was not checked. */
static char *detail_of(const Verification *v) {
  const Evidence *evidence = &v->evidence;
  char *text = NULL;
  size_t size;
  FILE *out = need(open_memstream(&text, &size));
  for (int i = 0; i < evidence->faults.count; i++)
    fprintf(out, "%s%s", i ? "; " : "damaged: ", evidence->faults.items[i]);
  if (!evidence->faults.count) {
    for (const char *c = v->comparison.detail; *c; c++)
      fputs(*c == '\n' ? "; " : (char[]){*c, 0}, out);
    if (v->comparison.proof == PROOF_BITWISE && !v->comparison.state_compared)
      fputs("no state to compare", out);
  }
  for (int i = 0; i < evidence->notes.count; i++)
    fprintf(out, "%s%s", ftell(out) ? "; " : "", evidence->notes.items[i]);
  if (evidence->unsealed) fprintf(out, "%sunsealed event file", ftell(out) ? "; " : "");
  fclose(out);
  return need(text);
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
  char *detail = detail_of(v);
  event_string(&log, "detail", detail);
  free(detail);
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

static bool record_outcome(const Verification *v, Error *e) {
  if (!write_down(v, e)) return false;
  enter_database(v);
  return true;
}

/* The event file of a trial that is done cannot be used: it was cut, emptied or lost. */
static bool report_cut(Verification *v, Error *e) {
  if (!v->said_done || e->code != EXIT_DATA) return false;
  strings_add(&v->evidence.faults,
              string_format("%s/events.jsonl was cut, emptied or lost: %s says that the trial is "
                            "done, but %s",
                            v->folder, v->db, e->message));
  *e = (Error){0};
  print_damage(v);
  return choose_name(v, false, e) && record_outcome(v, e);
}

static bool verify(Verification *v, Error *e) {
  if (!locate_trainer(v->trainer, v->trainer_given, e) || !find_folder(v, e)) return false;
  if (!read_recorded(v, e)) return report_cut(v, e);
  if (!make_scratch(v, e)) return false;
  bool checked = check_evidence(v, e);
  if (!checked || v->evidence.faults.count || !enough_seeds(v, e)) {
    bool removed = io_remove(v->scratch, NULL);
    if (!checked || !v->evidence.faults.count) return false;
    print_damage(v);
    return record_outcome(v, e) &&
           (removed || error_set(e, EXIT_DATA, "%s: cannot be removed", v->scratch));
  }
  trainer_check_timeout(v->timeout);
  runner_block_signals();
  if (!train_again(v, e)) return error_suffix(e, "see %s", v->scratch);
  if (v->signal) return io_remove(v->scratch, e);
  if (!compare(v, e)) return false;
  print_outcome(v);
  if (!record_outcome(v, e)) return false;
  if (v->comparison.proof == PROOF_BITWISE && !v->keep) return io_remove(v->scratch, e);
  printf("the second run is kept in %s\n", v->scratch);
  return true;
}

int cmd_verify(int argc, char **argv) {
  const char *class = "bitwise";
  Verification v = {.db = DEFAULT_DB, .timeout = 600, .lock = -1};
  const CmdOption options[] = {
      {"--class", CMD_TEXT, &class, "NAME", "bitwise (default), numerical or statistical"},
      {"--steps", CMD_NUMBER, &v.steps, "N", "train and compare the first N steps only"},
      OPTION_DB(&v.db),
      {"--keep", CMD_FLAG, &v.keep, NULL, "keep the second run's folder although it matches"},
      {"--timeout", CMD_NUMBER, &v.timeout, "SECONDS",
       "silence that counts as a hang (600; at least 60)"},
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
    if (v.lock >= 0) close(v.lock);
    evidence_free(&v.evidence);
    record_free(&v.then);
    record_free(&v.now);
  }
  return code;
}
