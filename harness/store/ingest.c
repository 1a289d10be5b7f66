/* ingest.c - lines of events.jsonl, launches.jsonl and verify-*.jsonl into the tables. What
 * is read here may come from a crashed or hostile writer: every member is checked before use, and
 * a line is taken whole or not at all. */
#include "harness/store/internal.h"

#include <math.h>
#include <string.h>

#include "mae/base/sha256.h"
#include "mae/evaluate/scorers.h"

/* Events of the trainer -----------------------------------------------------------------------*/

typedef struct Line {
  Store *store;
  int64_t trial;
  const char *file;
  int64_t offset;
  const json_t *json;
  double time;
  int64_t attempt; /* the newest of the trial; 0: none yet */
} Line;

static bool add_environment(const Line *line, const json_t *provenance, char hash[65], Error *e) {
  char *text = json_dumps(provenance, JSON_SORT_KEYS | JSON_COMPACT);
  if (!text) return error_set(e, EXIT_DEVICE, "out of memory");
  sha256_bytes(hash, text, strlen(text));
  bool ok = store_run(
      line->store, e,
      "INSERT OR IGNORE INTO environment (environment, version, git_commit, compiler, libraries, "
      "cpu, gpu, hostname, json) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
      "ttttttttt", hash, member_text(provenance, "version"), member_text(provenance, "git_commit"),
      member_text(provenance, "compiler"), member_text(provenance, "libraries"),
      member_text(provenance, "cpu"), member_text(provenance, "gpu"),
      member_text(provenance, "hostname"), text);
  free(text);
  return ok;
}

static bool add_dataset(const Line *line, const json_t *dataset, const char **sha256, Error *e) {
  const char *source;
  int64_t train, eval, skipped;
  return member_need_text(dataset, "source", &source, e) &&
         member_need_text(dataset, "sha256", sha256, e) &&
         member_need_integer(dataset, "train_images", &train, e) &&
         member_need_integer(dataset, "eval_images", &eval, e) &&
         member_need_integer(dataset, "skipped", &skipped, e) &&
         store_run(line->store, e,
                   "INSERT OR IGNORE INTO dataset (dataset, source, train_images, eval_images, "
                   "skipped) VALUES (?, ?, ?, ?, ?)",
                   "ttiii", *sha256, source, train, eval, skipped);
}

/* What an earlier attempt did after the checkpoint that this one resumes from did not happen, as
 * far as the result is concerned. */
static bool forget_after(const Line *line, int64_t step, Error *e) {
  return store_run(line->store, e, "DELETE FROM step WHERE trial = ? AND step > ?", "ii",
                   line->trial, step) &&
         store_run(line->store, e, "DELETE FROM metric WHERE trial = ? AND step > ?", "ii",
                   line->trial, step) &&
         store_run(line->store, e, "DELETE FROM checkpoint WHERE trial = ? AND step > ?", "ii",
                   line->trial, step);
}

/* A file that came from another trial's folder is not this trial's result. */
static bool is_of_trial(const Line *line, const char *config_hash, Error *e) {
  int64_t same = 0;
  bool found = false;
  return store_int(line->store, e, &same, &found,
                   "SELECT 1 FROM trial WHERE trial = ? AND config_hash = ?", "it", line->trial,
                   config_hash) &&
         (found ||
          error_set(e, EXIT_DATA, "a start of configuration %.12s, which is another trial's",
                    config_hash));
}

static bool take_start(const Line *line, Error *e) {
  const json_t *j = line->json;
  int64_t format, attempt, pid, steps, resumed, encoder, decoder;
  double per_epoch, gflops;
  const char *config_hash, *binary, *dataset;
  char environment[65];
  if (!member_need_integer(j, "format", &format, e)) return false;
  if (format != 1)
    return error_set(e, EXIT_DATA, "event format %lld; this harness reads format 1",
                     (long long)format);
  if (!json_is_object(json_object_get(j, "provenance")))
    return member_bad("provenance", "an object", e);
  if (!json_is_object(json_object_get(j, "dataset"))) return member_bad("dataset", "an object", e);
  if (!member_need_integer(j, "attempt", &attempt, e) || !member_need_integer(j, "pid", &pid, e) ||
      !member_need_integer(j, "steps", &steps, e) ||
      !member_need_integer(j, "resumed_from", &resumed, e) ||
      !member_need_integer(j, "params_encoder", &encoder, e) ||
      !member_need_integer(j, "params_decoder", &decoder, e) ||
      !member_need_finite(j, "steps_per_epoch", &per_epoch, e) ||
      !member_need_finite(j, "gflops_per_image", &gflops, e) ||
      !member_need_text(j, "config_hash", &config_hash, e) ||
      !member_need_text(j, "binary_sha256", &binary, e))
    return false;
  if (!is_of_trial(line, config_hash, e)) return false;
  if (attempt <= line->attempt)
    return error_set(e, EXIT_DATA, "start of attempt %lld after attempt %lld", (long long)attempt,
                     (long long)line->attempt);
  return add_environment(line, json_object_get(j, "provenance"), environment, e) &&
         add_dataset(line, json_object_get(j, "dataset"), &dataset, e) &&
         forget_after(line, resumed, e) &&
         store_run(line->store, e,
                   "INSERT INTO attempt (trial, attempt, started, last_event, pid, environment, "
                   "dataset, config_hash, binary_sha256, steps, steps_per_epoch, resumed_from, "
                   "params_encoder, params_decoder, gflops_per_image, gflops_decoder_per_image, "
                   "memory_planned_bytes, energy_source) "
                   "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, CAST(? AS INTEGER), "
                   "?)",
                   "iirrittttiriiirvvt", line->trial, attempt, line->time, line->time, pid,
                   environment, dataset, config_hash, binary, steps, per_epoch, resumed, encoder,
                   decoder, gflops, member_number(j, "gflops_decoder_per_image"),
                   member_whole_number(j, "memory_planned_bytes"), member_text(j, "energy_source"));
}

static bool take_step(const Line *line, Error *e) {
  const json_t *j = line->json;
  int64_t step;
  Number loss = member_number(j, "loss"), norm = member_number(j, "grad_norm");
  if (!member_need_integer(j, "step", &step, e)) return false;
  if (loss.kind == NUMBER_INVALID || loss.kind == NUMBER_ABSENT)
    return member_bad("loss", "a number", e);
  if (norm.kind == NUMBER_INVALID) return member_bad("grad_norm", "a number", e);
  return store_run(line->store, e,
                   "INSERT OR REPLACE INTO step (trial, step, attempt, epoch, loss, loss_kind, lr, "
                   "grad_norm, grad_norm_kind, loss_scale, seconds, images_per_second) "
                   "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                   "iiivnvnvvv", line->trial, step, line->attempt, member_number(j, "epoch"), loss,
                   member_number(j, "lr"), norm, member_number(j, "loss_scale"),
                   member_number(j, "seconds"), member_number(j, "images_per_second"));
}

static bool add_metric(const Line *line, const char *scorer, int64_t step, const char *name,
                       Number value, Error *e) {
  if (value.kind == NUMBER_INVALID) return member_bad(name, "a number", e);
  return store_run(line->store, e,
                   "INSERT OR REPLACE INTO metric (trial, scorer, step, name, attempt, value, "
                   "kind) VALUES (?, ?, ?, ?, ?, ?, ?)",
                   "ititin", line->trial, scorer, step, name, line->attempt, value);
}

/* Every member of an evaluation that is not its head is a metric, known to this program or not. */
static bool take_metrics(const Line *line, const char *scorer, int64_t step, Error *e) {
  const char *name;
  json_t *member;
  json_object_foreach((json_t *)line->json, name, member) {
    static const char *const head[] = {"event",  "time",    "step", "name",
                                       "scorer", "seconds", "seal"};
    bool skip = false;
    for (size_t i = 0; i < sizeof head / sizeof *head; i++) skip |= !strcmp(name, head[i]);
    if (!skip && !add_metric(line, scorer, step, name, member_number(line->json, name), e))
      return false;
  }
  return true;
}

static const Scorer *find_baseline(const char *name) {
  for (int i = 0; i < scorer_count; i++)
    if (scorer_list[i]->baseline && !strcmp(scorer_list[i]->name, name)) return scorer_list[i];
  return NULL;
}

/* What a probe took, over all of an attempt's. */
static bool add_seconds(const Line *line, Error *e) {
  Number seconds = member_number(line->json, "seconds");
  if (seconds.kind == NUMBER_ABSENT) return true;
  if (seconds.kind != NUMBER_FINITE) return member_bad("seconds", "a number", e);
  return store_run(line->store, e,
                   "UPDATE attempt SET probe_seconds = coalesce(probe_seconds, 0) + ? "
                   "WHERE trial = ? AND attempt = ?",
                   "rii", seconds.value, line->trial, line->attempt);
}

static bool is_probe(const char *scorer) {
  for (int i = 0; i < scorer_count; i++)
    if (!strcmp(scorer_list[i]->name, scorer)) return scorer_list[i]->probes;
  return false;
}

/* Of the model, or of the scorer that the event names. Numbers of the protocol that have no meaning
 * there get a row that says so. */
static bool take_eval(const Line *line, Error *e) {
  int64_t step, images;
  const char *scorer = member_text(line->json, "scorer");
  if (!scorer) scorer = scorer_list[0]->name;
  if (find_baseline(scorer))
    return error_set(e, EXIT_DATA, "the baseline \"%s\" has no evaluation", scorer);
  if (!member_need_integer(line->json, "step", &step, e) ||
      !member_need_integer(line->json, "images", &images, e) ||
      !take_metrics(line, scorer, step, e) || !add_seconds(line, e))
    return false;
  for (int i = 0; i < metric_count; i++) {
    const char *name = metric_list[i].name;
    bool probe = metric_list[i].needs == OFFERS_PROBE;
    if (probe == is_probe(scorer) && !json_object_get(line->json, name) &&
        !add_metric(line, scorer, step, name, member_number(NULL, name), e))
      return false;
  }
  return true;
}

static bool take_baseline(const Line *line, Error *e) {
  const char *name;
  if (!member_need_text(line->json, "name", &name, e)) return false;
  if (!find_baseline(name)) return error_set(e, EXIT_DATA, "no baseline is called \"%s\"", name);
  return take_metrics(line, name, 0, e) && add_seconds(line, e);
}

static bool take_checkpoint(const Line *line, Error *e) {
  int64_t step;
  const char *path, *hash;
  return member_need_integer(line->json, "step", &step, e) &&
         member_need_text(line->json, "path", &path, e) &&
         member_need_text(line->json, "state_sha256", &hash, e) &&
         store_run(line->store, e,
                   "INSERT OR REPLACE INTO checkpoint (trial, step, attempt, path, state_sha256) "
                   "VALUES (?, ?, ?, ?, ?)",
                   "iiitt", line->trial, step, line->attempt, path, hash);
}

static bool take_artifact(const Line *line, Error *e) {
  int64_t bytes;
  const char *kind, *path, *hash;
  return member_need_text(line->json, "kind", &kind, e) &&
         member_need_text(line->json, "path", &path, e) &&
         member_need_text(line->json, "sha256", &hash, e) &&
         member_need_integer(line->json, "bytes", &bytes, e) &&
         store_run(line->store, e,
                   "INSERT OR REPLACE INTO artifact (trial, kind, path, attempt, sha256, bytes) "
                   "VALUES (?, ?, ?, ?, ?, ?)",
                   "ittiti", line->trial, kind, path, line->attempt, hash, bytes);
}

static bool take_throughput(const Line *line, Error *e) {
  const json_t *j = line->json;
  double rate;
  return member_need_finite(j, "images_per_second", &rate, e) &&
         store_run(line->store, e,
                   "UPDATE attempt SET images_per_second = ?, step_seconds_median = ?, "
                   "step_seconds_p10 = ?, step_seconds_p90 = ?, gflops_per_second = ?, "
                   "counted_steps = CAST(? AS INTEGER), warmup_steps = CAST(? AS INTEGER), "
                   "peak_memory_bytes = CAST(? AS INTEGER) WHERE trial = ? AND attempt = ?",
                   "rvvvvvvvii", rate, member_number(j, "step_seconds_median"),
                   member_number(j, "step_seconds_p10"), member_number(j, "step_seconds_p90"),
                   member_number(j, "gflops_per_second"), member_whole_number(j, "steps"),
                   member_whole_number(j, "warmup_steps"),
                   member_whole_number(j, "peak_memory_bytes"), line->trial, line->attempt);
}

/* Each of these events is of the whole attempt so far and takes the place of the one before. After
 * a problem nothing is known: not even that what was told before was all until then. */
static bool take_energy(const Line *line, Error *e) {
  const json_t *j = line->json;
  double joules;
  if (member_text(j, "problem"))
    return store_run(line->store, e,
                     "UPDATE attempt SET energy_source = NULL, energy_joules = NULL, "
                     "energy_step_joules = NULL, energy_images = NULL, energy_own_share = NULL, "
                     "energy_others = NULL WHERE trial = ? AND attempt = ?",
                     "ii", line->trial, line->attempt);
  return member_need_finite(j, "joules", &joules, e) &&
         store_run(line->store, e,
                   "UPDATE attempt SET energy_joules = ?, energy_step_joules = ?, "
                   "energy_images = CAST(? AS INTEGER), energy_own_share = ?, "
                   "energy_others = CAST(? AS INTEGER) WHERE trial = ? AND attempt = ?",
                   "rvvvvii", joules, member_number(j, "step_joules"),
                   member_whole_number(j, "images"), member_number(j, "own_share"),
                   member_whole_number(j, "others"), line->trial, line->attempt);
}

static bool add_message(const Line *line, const char *level, Error *e) {
  const char *text;
  return member_need_text(line->json, "message", &text, e) &&
         store_run(line->store, e,
                   "INSERT OR REPLACE INTO message (trial, offset, attempt, time, level, code, "
                   "text) VALUES (?, ?, ?, ?, ?, CAST(? AS INTEGER), ?)",
                   "iiirtvt", line->trial, line->offset, line->attempt, line->time, level,
                   member_whole_number(line->json, "code"), text);
}

static bool take_warning(const Line *line, Error *e) {
  return add_message(line, "warning", e);
}

static bool take_error(const Line *line, Error *e) {
  return add_message(line, "error", e);
}

/* How far the trainer was: of no use once it has gone on, so that it leaves no row, only the time
 * at which the attempt was last heard of. */
static bool take_work(const Line *line, Error *e) {
  const char *what;
  int64_t done;
  return member_need_text(line->json, "what", &what, e) &&
         member_need_integer(line->json, "done", &done, e);
}

static bool need_status(const json_t *j, const char **status, Error *e) {
  if (!member_need_text(j, "status", status, e)) return false;
  return !strcmp(*status, "done") || !strcmp(*status, "interrupted") ||
         !strcmp(*status, "failed") || member_bad("status", "done, interrupted or failed", e);
}

static bool take_end(const Line *line, Error *e) {
  const json_t *j = line->json;
  const char *status;
  return need_status(j, &status, e) &&
         store_run(line->store, e,
                   "UPDATE attempt SET status = ?, last_step = CAST(? AS INTEGER), "
                   "code = CAST(? AS INTEGER), wall_seconds = ?, state_sha256 = ? "
                   "WHERE trial = ? AND attempt = ?",
                   "tvvvtii", status, member_whole_number(j, "step"),
                   member_whole_number(j, "code"), member_number(j, "wall_seconds"),
                   member_text(j, "state_sha256"), line->trial, line->attempt);
}

/* Events of the harness -----------------------------------------------------------------------*/

static bool take_launch(const Line *line, Error *e) {
  const json_t *j = line->json;
  int64_t launch, pid;
  const char *device = member_text(j, "device"), *host = member_text(j, "host");
  return member_need_integer(j, "launch", &launch, e) && member_need_integer(j, "pid", &pid, e) &&
         store_run(line->store, e,
                   "INSERT INTO launch (trial, launch, time, pid, device, host) "
                   "VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
                   "iiritt", line->trial, launch, line->time, pid, device ? device : "",
                   host ? host : "");
}

static bool take_exit(const Line *line, Error *e) {
  const json_t *j = line->json;
  int64_t launch;
  const char *status, *error = member_text(j, "error");
  if (!member_need_integer(j, "launch", &launch, e) || !need_status(j, &status, e) ||
      !store_run(line->store, e,
                 "UPDATE launch SET ended = ?, code = CAST(? AS INTEGER), "
                 "signal = CAST(? AS INTEGER), status = ?, error = ? "
                 "WHERE trial = ? AND launch = ?",
                 "rvvttii", line->time, member_whole_number(j, "code"),
                 member_whole_number(j, "signal"), status, error ? error : "", line->trial, launch))
    return false;
  return sqlite3_changes(line->store->db) == 1 ||
         error_set(e, EXIT_DATA, "exit of launch %lld, which never began", (long long)launch);
}

/* What became of files is said by the folder alone. */
static bool take_kept(const Line *line, Error *e) {
  const char *keep;
  int64_t step;
  return member_need_text(line->json, "keep", &keep, e) &&
         member_need_integer(line->json, "step", &step, e);
}

static bool take_pruned(const Line *line, Error *e) {
  const json_t *j = line->json;
  int64_t launch, step;
  const char *rule, *metric, *reason;
  return member_need_integer(j, "launch", &launch, e) && member_need_integer(j, "step", &step, e) &&
         member_need_text(j, "rule", &rule, e) && member_need_text(j, "metric", &metric, e) &&
         member_need_text(j, "reason", &reason, e) &&
         store_run(line->store, e,
                   "INSERT OR REPLACE INTO pruning (trial, launch, time, step, rule, metric, "
                   "reason) VALUES (?, ?, ?, ?, ?, ?, ?)",
                   "iirittt", line->trial, launch, line->time, step, rule, metric, reason);
}

static bool take_unpruned(const Line *line, Error *e) {
  int64_t launch;
  return member_need_integer(line->json, "launch", &launch, e) &&
         store_run(line->store, e, "DELETE FROM pruning WHERE trial = ? AND launch = ?", "ii",
                   line->trial, launch);
}

static bool take_verification(const Line *line, Error *e) {
  const json_t *j = line->json;
  const char *asked, *class, *outcome, *detail = member_text(j, "detail");
  if (!member_need_text(j, "asked", &asked, e) || !member_need_text(j, "class", &class, e) ||
      !member_need_text(j, "outcome", &outcome, e))
    return false;
  if (strcmp(outcome, "match") && strcmp(outcome, "mismatch"))
    return member_bad("outcome", "match or mismatch", e);
  return store_run(line->store, e,
                   "INSERT OR REPLACE INTO verification (trial, file, offset, time, asked, class, "
                   "outcome, steps, first_step, first_tensor, detail) VALUES (?, ?, ?, ?, ?, ?, ?, "
                   "CAST(? AS INTEGER), CAST(? AS INTEGER), ?, ?)",
                   "itirtttvvtt", line->trial, line->file, line->offset, line->time, asked, class,
                   outcome, member_whole_number(j, "steps"), member_whole_number(j, "first_step"),
                   member_text(j, "first_tensor"), detail ? detail : "");
}

/* A line ---------------------------------------------------------------------------------------*/

typedef struct Taker {
  const char *event;
  bool (*take)(const Line *, Error *);
  bool one_statement; /* which the database does whole or not at all by itself */
} Taker;

static const Taker trainer_events[] = {{"start", take_start, false},
                                       {"step", take_step, true},
                                       {"eval", take_eval, false},
                                       {"baseline", take_baseline, false},
                                       {"checkpoint", take_checkpoint, false},
                                       {"artifact", take_artifact, false},
                                       {"throughput", take_throughput, false},
                                       {"energy", take_energy, true},
                                       {"work", take_work, true},
                                       {"warning", take_warning, false},
                                       {"error", take_error, false},
                                       {"end", take_end, false},
                                       {NULL, NULL, false}};
static const Taker harness_events[] = {
    {"launch", take_launch, false}, {"exit", take_exit, false},         {"kept", take_kept, false},
    {"pruned", take_pruned, false}, {"unpruned", take_unpruned, false}, {NULL, NULL, false}};
static const Taker verify_events[] = {{"verification", take_verification, false},
                                      {NULL, NULL, false}};

static const Taker *takers_of(const char *file) {
  for (int f = 0; f < TRIAL_FILES; f++)
    if (!strcmp(file, trial_files[f]))
      return f < TRIAL_LAUNCH_FILES ? harness_events : trainer_events;
  return verify_events;
}

/* A file ---------------------------------------------------------------------------------------*/

static bool find_attempt(Intake *intake, Error *e) {
  bool found;
  intake->last_event = -INFINITY;
  return store_int(intake->store, e, &intake->attempt, &found,
                   "SELECT coalesce(max(attempt), 0) FROM attempt WHERE trial = ?", "i",
                   intake->trial);
}

static bool touch_attempt(const Intake *intake, Error *e) {
  return intake->last_event == -INFINITY ||
         store_run(intake->store, e,
                   "UPDATE attempt SET last_event = max(last_event, ?) "
                   "WHERE trial = ? AND attempt = ?",
                   "rii", intake->last_event, intake->trial, intake->attempt);
}

bool intake_begin(Intake *intake, Store *store, int64_t trial, const char *file, Error *e) {
  bool found;
  *intake = (Intake){.store = store, .trial = trial, .file = file};
  if (store_broken(store)) {
    *e = store->trouble;
    return false;
  }
  if (!store_run(store, e, "SAVEPOINT intake", "")) return false;
  if (store_int(store, e, &intake->taken, &found,
                "SELECT taken FROM file_read WHERE trial = ? AND file = ?", "it", trial, file) &&
      find_attempt(intake, e))
    return true;
  store_run(store, NULL, "RELEASE intake", "");
  return false;
}

bool intake_end(Intake *intake, Error *e) {
  Store *store = intake->store;
  bool ok = !intake->changed ||
            (touch_attempt(intake, e) &&
             store_run(store, e,
                       "INSERT OR REPLACE INTO file_read (trial, file, taken, line_at, mark) "
                       "VALUES (?, ?, ?, ?, ?)",
                       "itiit", intake->trial, intake->file, intake->taken, intake->line_at,
                       intake->mark));
  if (!ok) sqlite3_exec(store->db, "ROLLBACK TO intake", NULL, NULL, NULL);
  return store_run(store, ok ? e : NULL, "RELEASE intake", "") && ok;
}

/* An attempt's first line has no attempt yet, and makes it the newest; work may come before it. */
static bool take_by(Intake *intake, Line *line, const Taker *taker, Error *e) {
  if (takers_of(line->file) != trainer_events) return taker->take(line, e);
  bool starts = taker->take == take_start;
  if (!intake->attempt && !starts && taker->take != take_work)
    return error_set(e, EXIT_DATA, "event \"%s\" before any start", taker->event);
  line->attempt = intake->attempt;
  if (!taker->take(line, e)) return false;
  if (starts) return touch_attempt(intake, e) && find_attempt(intake, e);
  intake->last_event = fmax(intake->last_event, line->time);
  return true;
}

static bool take_event(Intake *intake, Line *line, const EventLine *event, Error *e) {
  Store *store = intake->store;
  if (!member_need_finite(line->json, "time", &line->time, e)) return false;
  const Taker *taker = takers_of(line->file);
  while (taker->event && !event_line_is(event, taker->event)) taker++;
  if (!taker->event) return error_set(e, EXIT_DATA, "unknown event \"%.64s\"", event->name);
  if (taker->one_statement) return take_by(intake, line, taker, e);
  if (!store_run(store, e, "SAVEPOINT line", "")) return false;
  bool ok = take_by(intake, line, taker, e);
  if (!ok) sqlite3_exec(store->db, "ROLLBACK TO line", NULL, NULL, NULL);
  return store_run(store, ok ? e : NULL, "RELEASE line", "") && ok;
}

static bool take_line(Intake *intake, uint64_t offset, const char *text, size_t length, Error *e) {
  if (length > STORE_LINE_MAX || offset > INT64_MAX - STORE_LINE_MAX)
    return error_set(e, EXIT_DATA, "a line of %zu bytes is too long", length);
  EventLine event;
  if (!event_line_read(&event, text, length, e)) return false;
  Line line = {.store = intake->store,
               .trial = intake->trial,
               .file = intake->file,
               .offset = (int64_t)offset,
               .json = event.json};
  bool ok = take_event(intake, &line, &event, e);
  event_line_free(&event);
  return ok;
}

bool intake_line(Intake *intake, uint64_t offset, const char *text, size_t length, Error *e) {
  if (offset < (uint64_t)intake->taken) return true;
  if (!take_line(intake, offset, text, length, e))
    return error_prefix(e, "%s at byte %llu", intake->file, (unsigned long long)offset);
  intake->changed = true;
  intake->line_at = (int64_t)offset;
  intake->taken = (int64_t)(offset + (length ? length : 1));
  store_line_mark(intake->mark, text, length);
  return true;
}

bool store_ingest(Store *store, int64_t trial, const char *file, uint64_t offset, const char *text,
                  size_t length, Error *e) {
  Intake intake;
  if (!intake_begin(&intake, store, trial, file, e)) return false;
  bool ok = intake_line(&intake, offset, text, length, e);
  return intake_end(&intake, ok ? e : NULL) && ok;
}
