/* store_ingest.c - lines of events.jsonl, attempts.jsonl and verify-*.jsonl into the tables. What
 * is read here may come from a crashed or hostile writer: every member is checked before use, and
 * a line is taken whole or not at all. */
#include "harness/store_internal.h"

#include <math.h>
#include <string.h>

#include "mae/base/sha256.h"

/* JSON members ---------------------------------------------------------------------------------*/

static const Number absent = {0, "absent"};

Number json_number(const json_t *object, const char *key) {
  const json_t *member = json_object_get(object, key);
  if (!member || json_is_null(member)) return absent;
  if (json_is_number(member)) return (Number){json_number_value(member), "finite"};
  static const char *const kinds[] = {"nan", "inf", "-inf"};
  const char *text = json_string_value(member);
  for (int i = 0; text && i < 3; i++)
    if (!strcmp(text, kinds[i])) return (Number){0, kinds[i]};
  return (Number){0, NULL};
}

static bool bad_member(const char *key, const char *what, Error *e) {
  return error_set(e, EXIT_DATA, "member \"%s\" is not %s", key, what);
}

bool json_need_int(const json_t *object, const char *key, int64_t *value, Error *e) {
  const json_t *member = json_object_get(object, key);
  *value = json_integer_value(member); /* 0 when it is none */
  return json_is_integer(member) || bad_member(key, "a whole number", e);
}

bool json_need_real(const json_t *object, const char *key, double *value, Error *e) {
  const json_t *member = json_object_get(object, key);
  *value = json_number_value(member);
  return json_is_number(member) || bad_member(key, "a finite number", e);
}

bool json_need_text(const json_t *object, const char *key, const char **value, Error *e) {
  *value = json_string_value(json_object_get(object, key));
  return *value || bad_member(key, "text", e);
}

const char *json_text(const json_t *object, const char *key) {
  return json_string_value(json_object_get(object, key));
}

Number json_optional_int(const json_t *object, const char *key) {
  const json_t *member = json_object_get(object, key);
  return json_is_integer(member) ? (Number){(double)json_integer_value(member), "finite"} : absent;
}

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
      "ttttttttt", hash, json_text(provenance, "version"), json_text(provenance, "git_commit"),
      json_text(provenance, "compiler"), json_text(provenance, "libraries"),
      json_text(provenance, "cpu"), json_text(provenance, "gpu"), json_text(provenance, "hostname"),
      text);
  free(text);
  return ok;
}

static bool add_dataset(const Line *line, const json_t *dataset, const char **sha256, Error *e) {
  const char *source;
  int64_t train, eval, skipped;
  return json_need_text(dataset, "source", &source, e) &&
         json_need_text(dataset, "sha256", sha256, e) &&
         json_need_int(dataset, "train_images", &train, e) &&
         json_need_int(dataset, "eval_images", &eval, e) &&
         json_need_int(dataset, "skipped", &skipped, e) &&
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
         store_run(line->store, e,
                   "DELETE FROM metric WHERE trial = ? AND source = 'model' AND step > ?", "ii",
                   line->trial, step) &&
         store_run(line->store, e, "DELETE FROM checkpoint WHERE trial = ? AND step > ?", "ii",
                   line->trial, step);
}

static bool take_start(const Line *line, Error *e) {
  const json_t *j = line->json;
  int64_t format, attempt, pid, steps, resumed, encoder, decoder;
  double per_epoch, gflops;
  const char *config_hash, *binary, *dataset;
  char environment[65];
  if (!json_need_int(j, "format", &format, e)) return false;
  if (format != 1)
    return error_set(e, EXIT_DATA, "event format %lld; this harness reads format 1",
                     (long long)format);
  if (!json_is_object(json_object_get(j, "provenance")))
    return bad_member("provenance", "an object", e);
  if (!json_is_object(json_object_get(j, "dataset"))) return bad_member("dataset", "an object", e);
  if (!json_need_int(j, "attempt", &attempt, e) || !json_need_int(j, "pid", &pid, e) ||
      !json_need_int(j, "steps", &steps, e) || !json_need_int(j, "resumed_from", &resumed, e) ||
      !json_need_int(j, "params_encoder", &encoder, e) ||
      !json_need_int(j, "params_decoder", &decoder, e) ||
      !json_need_real(j, "steps_per_epoch", &per_epoch, e) ||
      !json_need_real(j, "gflops_per_image", &gflops, e) ||
      !json_need_text(j, "config_hash", &config_hash, e) ||
      !json_need_text(j, "binary_sha256", &binary, e))
    return false;
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
                   "memory_planned_bytes) "
                   "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, CAST(? AS INTEGER))",
                   "iirrittttiriiirvv", line->trial, attempt, line->time, line->time, pid,
                   environment, dataset, config_hash, binary, steps, per_epoch, resumed, encoder,
                   decoder, gflops, json_number(j, "gflops_decoder_per_image"),
                   json_optional_int(j, "memory_planned_bytes"));
}

static bool take_step(const Line *line, Error *e) {
  const json_t *j = line->json;
  int64_t step;
  Number loss = json_number(j, "loss"), norm = json_number(j, "grad_norm");
  if (!json_need_int(j, "step", &step, e)) return false;
  if (!loss.kind || !strcmp(loss.kind, "absent")) return bad_member("loss", "a number", e);
  if (!norm.kind) return bad_member("grad_norm", "a number", e);
  return store_run(line->store, e,
                   "INSERT OR REPLACE INTO step (trial, step, attempt, epoch, loss, loss_kind, lr, "
                   "grad_norm, grad_norm_kind, loss_scale, seconds, images_per_second) "
                   "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                   "iiivnvnvvv", line->trial, step, line->attempt, json_number(j, "epoch"), loss,
                   json_number(j, "lr"), norm, json_number(j, "loss_scale"),
                   json_number(j, "seconds"), json_number(j, "images_per_second"));
}

/* The numbers that every evaluation of the model has a row for, there or absent. */
static const char *const protocol[] = {
    "loss",      "psnr_masked",      "psnr_masked_pooled", "psnr_composite",
    "psnr_full", "psnr_full_pooled", "ssim_composite",     "psnr_composite_pooled",
    "ssim_full", "psnr_leaky",       "ssim_leaky"};

static bool add_metric(const Line *line, const char *source, int64_t step, const char *name,
                       Number value, Error *e) {
  if (!value.kind) return bad_member(name, "a number", e);
  return store_run(line->store, e,
                   "INSERT OR REPLACE INTO metric (trial, source, step, name, attempt, value, "
                   "kind) VALUES (?, ?, ?, ?, ?, ?, ?)",
                   "ititin", line->trial, source, step, name, line->attempt, value);
}

/* Every member of an evaluation that is not its head is a metric. */
static bool take_metrics(const Line *line, const char *source, int64_t step, Error *e) {
  const char *name;
  json_t *member;
  json_object_foreach((json_t *)line->json, name, member) {
    static const char *const head[] = {"event", "time", "step", "name"};
    bool skip = false;
    for (size_t i = 0; i < sizeof head / sizeof *head; i++) skip |= !strcmp(name, head[i]);
    if (!skip && !add_metric(line, source, step, name, json_number(line->json, name), e))
      return false;
  }
  return true;
}

static bool take_eval(const Line *line, Error *e) {
  int64_t step, images;
  if (!json_need_int(line->json, "step", &step, e) ||
      !json_need_int(line->json, "images", &images, e) || !take_metrics(line, "model", step, e))
    return false;
  for (size_t i = 0; i < sizeof protocol / sizeof *protocol; i++)
    if (!json_object_get(line->json, protocol[i]) &&
        !add_metric(line, "model", step, protocol[i], absent, e))
      return false;
  return true;
}

static bool take_baseline(const Line *line, Error *e) {
  const char *name;
  if (!json_need_text(line->json, "name", &name, e)) return false;
  if (strcmp(name, "fill_mean") && strcmp(name, "fill_harmonic"))
    return error_set(e, EXIT_DATA, "no baseline is called \"%s\"", name);
  return take_metrics(line, name, 0, e);
}

static bool take_checkpoint(const Line *line, Error *e) {
  int64_t step;
  const char *path, *hash;
  return json_need_int(line->json, "step", &step, e) &&
         json_need_text(line->json, "path", &path, e) &&
         json_need_text(line->json, "state_sha256", &hash, e) &&
         store_run(line->store, e,
                   "INSERT OR REPLACE INTO checkpoint (trial, step, attempt, path, state_sha256) "
                   "VALUES (?, ?, ?, ?, ?)",
                   "iiitt", line->trial, step, line->attempt, path, hash);
}

static bool take_artifact(const Line *line, Error *e) {
  int64_t bytes;
  const char *kind, *path, *hash;
  return json_need_text(line->json, "kind", &kind, e) &&
         json_need_text(line->json, "path", &path, e) &&
         json_need_text(line->json, "sha256", &hash, e) &&
         json_need_int(line->json, "bytes", &bytes, e) &&
         store_run(line->store, e,
                   "INSERT OR REPLACE INTO artifact (trial, kind, path, attempt, sha256, bytes) "
                   "VALUES (?, ?, ?, ?, ?, ?)",
                   "ittiti", line->trial, kind, path, line->attempt, hash, bytes);
}

static bool take_throughput(const Line *line, Error *e) {
  const json_t *j = line->json;
  double rate;
  return json_need_real(j, "images_per_second", &rate, e) &&
         store_run(line->store, e,
                   "UPDATE attempt SET images_per_second = ?, step_seconds_median = ?, "
                   "step_seconds_p10 = ?, step_seconds_p90 = ?, gflops_per_second = ?, "
                   "counted_steps = CAST(? AS INTEGER), warmup_steps = CAST(? AS INTEGER), "
                   "peak_memory_bytes = CAST(? AS INTEGER) WHERE trial = ? AND attempt = ?",
                   "rvvvvvvvii", rate, json_number(j, "step_seconds_median"),
                   json_number(j, "step_seconds_p10"), json_number(j, "step_seconds_p90"),
                   json_number(j, "gflops_per_second"), json_optional_int(j, "steps"),
                   json_optional_int(j, "warmup_steps"), json_optional_int(j, "peak_memory_bytes"),
                   line->trial, line->attempt);
}

static bool add_message(const Line *line, const char *level, Error *e) {
  const char *text;
  return json_need_text(line->json, "message", &text, e) &&
         store_run(line->store, e,
                   "INSERT OR REPLACE INTO message (trial, offset, attempt, time, level, code, "
                   "text) VALUES (?, ?, ?, ?, ?, CAST(? AS INTEGER), ?)",
                   "iiirtvt", line->trial, line->offset, line->attempt, line->time, level,
                   json_optional_int(line->json, "code"), text);
}

static bool take_warning(const Line *line, Error *e) {
  return add_message(line, "warning", e);
}

static bool take_error(const Line *line, Error *e) {
  return add_message(line, "error", e);
}

static bool need_status(const json_t *j, const char **status, Error *e) {
  if (!json_need_text(j, "status", status, e)) return false;
  return !strcmp(*status, "done") || !strcmp(*status, "interrupted") ||
         !strcmp(*status, "failed") || bad_member("status", "done, interrupted or failed", e);
}

static bool take_end(const Line *line, Error *e) {
  const json_t *j = line->json;
  const char *status;
  return need_status(j, &status, e) &&
         store_run(line->store, e,
                   "UPDATE attempt SET status = ?, last_step = CAST(? AS INTEGER), "
                   "code = CAST(? AS INTEGER), wall_seconds = ?, state_sha256 = ? "
                   "WHERE trial = ? AND attempt = ?",
                   "tvvvtii", status, json_optional_int(j, "step"), json_optional_int(j, "code"),
                   json_number(j, "wall_seconds"), json_text(j, "state_sha256"), line->trial,
                   line->attempt);
}

/* Events of the harness -----------------------------------------------------------------------*/

static bool take_launch(const Line *line, Error *e) {
  const json_t *j = line->json;
  int64_t launch, pid;
  const char *device = json_text(j, "device"), *host = json_text(j, "host");
  return json_need_int(j, "launch", &launch, e) && json_need_int(j, "pid", &pid, e) &&
         store_run(line->store, e,
                   "INSERT INTO launch (trial, launch, time, pid, device, host) "
                   "VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
                   "iiritt", line->trial, launch, line->time, pid, device ? device : "",
                   host ? host : "");
}

static bool take_exit(const Line *line, Error *e) {
  const json_t *j = line->json;
  int64_t launch;
  const char *status, *error = json_text(j, "error");
  if (!json_need_int(j, "launch", &launch, e) || !need_status(j, &status, e) ||
      !store_run(line->store, e,
                 "UPDATE launch SET ended = ?, code = CAST(? AS INTEGER), "
                 "signal = CAST(? AS INTEGER), status = ?, error = ? "
                 "WHERE trial = ? AND launch = ?",
                 "rvvttii", line->time, json_optional_int(j, "code"),
                 json_optional_int(j, "signal"), status, error ? error : "", line->trial, launch))
    return false;
  return sqlite3_changes(line->store->db) == 1 ||
         error_set(e, EXIT_DATA, "exit of launch %lld, which never began", (long long)launch);
}

static bool take_verification(const Line *line, Error *e) {
  const json_t *j = line->json;
  const char *asked, *class, *outcome, *detail = json_text(j, "detail");
  if (!json_need_text(j, "asked", &asked, e) || !json_need_text(j, "class", &class, e) ||
      !json_need_text(j, "outcome", &outcome, e))
    return false;
  if (strcmp(outcome, "match") && strcmp(outcome, "mismatch"))
    return bad_member("outcome", "match or mismatch", e);
  return store_run(line->store, e,
                   "INSERT OR REPLACE INTO verification (trial, file, offset, time, asked, class, "
                   "outcome, steps, first_step, first_tensor, detail) VALUES (?, ?, ?, ?, ?, ?, ?, "
                   "CAST(? AS INTEGER), CAST(? AS INTEGER), ?, ?)",
                   "itirtttvvtt", line->trial, line->file, line->offset, line->time, asked, class,
                   outcome, json_optional_int(j, "steps"), json_optional_int(j, "first_step"),
                   json_text(j, "first_tensor"), detail ? detail : "");
}

/* A line ---------------------------------------------------------------------------------------*/

typedef struct Taker {
  const char *event;
  bool (*take)(const Line *, Error *);
} Taker;

static const Taker trainer_events[] = {{"start", take_start},
                                       {"step", take_step},
                                       {"eval", take_eval},
                                       {"baseline", take_baseline},
                                       {"checkpoint", take_checkpoint},
                                       {"artifact", take_artifact},
                                       {"throughput", take_throughput},
                                       {"warning", take_warning},
                                       {"error", take_error},
                                       {"end", take_end},
                                       {NULL, NULL}};
static const Taker harness_events[] = {{"launch", take_launch}, {"exit", take_exit}, {NULL, NULL}};
static const Taker verify_events[] = {{"verification", take_verification}, {NULL, NULL}};

static bool take_trainer_event(Line *line, const Taker *taker, Error *e) {
  bool found = false;
  if (!store_int(line->store, e, &line->attempt, &found,
                 "SELECT max(attempt) FROM attempt WHERE trial = ? HAVING count(*) > 0", "i",
                 line->trial))
    return false;
  if (!found && taker->take != take_start)
    return error_set(e, EXIT_DATA, "event \"%s\" before any start", taker->event);
  if (!taker->take(line, e)) return false;
  return taker->take == take_start ||
         store_run(line->store, e,
                   "UPDATE attempt SET last_event = max(last_event, ?) "
                   "WHERE trial = ? AND attempt = ?",
                   "rii", line->time, line->trial, line->attempt);
}

static bool take_line(Line *line, Error *e) {
  const char *event;
  if (!json_is_object(line->json)) return error_set(e, EXIT_DATA, "not a JSON object");
  if (!json_need_text(line->json, "event", &event, e) ||
      !json_need_real(line->json, "time", &line->time, e))
    return false;
  const Taker *taker = !strcmp(line->file, "events.jsonl")     ? trainer_events
                       : !strcmp(line->file, "attempts.jsonl") ? harness_events
                                                               : verify_events;
  bool trainer = taker == trainer_events;
  while (taker->event && strcmp(taker->event, event)) taker++;
  if (!taker->event) return error_set(e, EXIT_DATA, "unknown event \"%.64s\"", event);
  return trainer ? take_trainer_event(line, taker, e) : taker->take(line, e);
}

bool store_ingest(Store *store, int64_t trial, const char *file, uint64_t offset, const char *text,
                  size_t length, Error *e) {
  int64_t taken = 0;
  bool found = false;
  if (store_broken(store)) {
    *e = store->trouble;
    return false;
  }
  if (!store_int(store, e, &taken, &found, "SELECT taken FROM source WHERE trial = ? AND file = ?",
                 "it", trial, file))
    return false;
  if (found && offset < (uint64_t)taken) return true;
  if (length > STORE_LINE_MAX || offset > INT64_MAX - STORE_LINE_MAX)
    return error_set(e, EXIT_DATA, "%s at byte %llu: a line of %zu bytes is too long", file,
                     (unsigned long long)offset, length);
  json_error_t where;
  json_t *json = json_loadb(text, length, JSON_REJECT_DUPLICATES, &where);
  if (!json)
    return error_set(e, EXIT_DATA, "%s at byte %llu: not JSON: %s", file,
                     (unsigned long long)offset, where.text);
  Line line = {
      .store = store, .trial = trial, .file = file, .offset = (int64_t)offset, .json = json};
  bool ok = store_run(store, e, "SAVEPOINT line", "");
  if (ok) {
    ok = take_line(&line, e) &&
         store_run(store, e, "INSERT OR REPLACE INTO source (trial, file, taken) VALUES (?, ?, ?)",
                   "iti", trial, file, (int64_t)(offset + (length ? length : 1)));
    if (!ok) {
      error_prefix(e, "%s at byte %llu", file, (unsigned long long)offset);
      sqlite3_exec(store->db, "ROLLBACK TO line", NULL, NULL, NULL);
    }
    Error ignored;
    bool released = store_run(store, ok ? e : &ignored, "RELEASE line", "");
    ok = ok && released;
  }
  json_decref(json);
  return ok;
}
