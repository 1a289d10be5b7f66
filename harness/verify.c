/* verify.c - two recorded runs side by side: losses, states, tensors, scores, provenance. */
#include "harness/verify.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness/stats.h"
#include "harness/strings.h"
#include "harness/tail.h"
#include "mae/base/io.h"
#include "mae/model/safetensors.h"
#include "mae/record/step_folders.h"

/* What `numerical` promises: the losses of every step within this relative difference, and the
 * final score within so many dB. Rounding differences of another device or library grow over
 * hundreds of steps; 16-bit products start from larger ones. */
static const double loss_tolerance_fp32 = 1e-3, loss_tolerance_16 = 2e-2, score_tolerance = 0.05;

const char *proof_name(Proof proof) {
  static const char *const names[] = {"", "statistical", "numerical", "bitwise"};
  return names[proof];
}

static void take_step(RunRecord *record, const json_t *event) {
  enum { STEPS_MAX = 1 << 28 }; /* against a damaged file */
  int64_t step = member_integer(event, "step", 0);
  if (step < 1 || step > STEPS_MAX) return;
  if (step > record->count) {
    size_t size = (size_t)step + 1;
    record->losses = need(realloc(record->losses, size * sizeof *record->losses));
    record->known = need(realloc(record->known, size * sizeof *record->known));
    for (int64_t s = record->count + 1; s <= step; s++) record->known[s] = false;
    record->count = step;
  }
  record->losses[step] = member_number(event, "loss").value;
  record->known[step] = true;
}

static void take_checkpoint(RunRecord *record, const json_t *event) {
  char step[32];
  snprintf(step, sizeof step, "%lld", (long long)member_integer(event, "step", 0));
  json_object_set(record->saved, step, json_object_get(event, "state_sha256"));
}

static void take_line(void *user, const char *line, size_t length, uint64_t offset) {
  (void)offset;
  RunRecord *record = user;
  EventLine event;
  if (!event_line_read(&event, line, length, NULL)) return;
  facts_take_event(&record->facts, &event);
  if (event_line_is(&event, "step")) take_step(record, event.json);
  if (event_line_is(&event, "checkpoint")) take_checkpoint(record, event.json);
  if (event_line_is(&event, "start")) {
    json_decref(record->start);
    record->start = json_incref(event.json);
    if (record->facts.step == 0) record->count = 0; /* begun anew: what came before is not its */
  }
  event_line_free(&event);
}

bool record_read(RunRecord *record, const char *events_path, Error *e) {
  *record = (RunRecord){.saved = need(json_object())};
  facts_init(&record->facts);
  tail_read_file(events_path, take_line, record);
  record->evaluated = facts_score(&record->facts);
  if (record->start) return true;
  record_free(record);
  return error_set(e, EXIT_DATA, "%s: holds no start event", events_path);
}

void record_free(RunRecord *record) {
  free(record->losses);
  free(record->known);
  json_decref(record->start);
  json_decref(record->saved);
  *record = (RunRecord){0};
}

static bool same_number(double a, double b) {
  return a == b || (isnan(a) && isnan(b));
}

static void compare_losses(Comparison *c, const RunRecord *then, const RunRecord *now) {
  for (int64_t s = 1; s <= c->steps; s++) {
    bool both = s <= then->count && s <= now->count && then->known[s] && now->known[s];
    double a = both ? then->losses[s] : NAN, b = both ? now->losses[s] : NAN;
    if (both && same_number(a, b)) continue;
    double difference = fabs(a - b) / fmax(fabs(a), 1e-12);
    if (!(difference <= c->worst)) c->worst = isnan(difference) ? INFINITY : difference;
    if (c->first_step) continue;
    c->first_step = s;
    c->loss_then = s <= then->count && then->known[s] ? then->losses[s] : NAN;
    c->loss_now = s <= now->count && now->known[s] ? now->losses[s] : NAN;
  }
}

/* Bytes that differ, and for fp32 the largest difference. */
static void describe_tensor(Comparison *c, const Tensor *then, const Tensor *now) {
  snprintf(c->tensor, sizeof c->tensor, "%.120s", then->name);
  if (!now || now->bytes != then->bytes || strcmp(now->dtype, then->dtype)) {
    snprintf(c->tensor_detail, sizeof c->tensor_detail, "%s", now ? "another shape" : "missing");
    return;
  }
  if (strcmp(then->dtype, "F32") != 0) {
    snprintf(c->tensor_detail, sizeof c->tensor_detail, "%s values differ", then->dtype);
    return;
  }
  size_t count = then->bytes / sizeof(float), differ = 0;
  double worst = 0;
  for (size_t i = 0; i < count; i++) {
    float a, b;
    memcpy(&a, (const char *)then->data + i * sizeof a, sizeof a);
    memcpy(&b, (const char *)now->data + i * sizeof b, sizeof b);
    differ += memcmp(&a, &b, sizeof a) != 0;
    worst = fmax(worst, fabs((double)a - (double)b));
  }
  snprintf(c->tensor_detail, sizeof c->tensor_detail, "%zu of %zu values differ, by at most %.3g",
           differ, count, worst);
}

/* One of the two files of the checkpoints of the last compared step. */
static void compare_file(Comparison *c, const char *then_folder, const char *now_folder,
                         const char *name) {
  char step[CONFIG_PATH_MAX], path[CONFIG_PATH_MAX];
  TensorFile then, now;
  if (!step_folder_path(step, then_folder, c->steps, NULL) ||
      !io_join(path, sizeof path, step, name, NULL) || !safetensors_open(&then, path, NULL))
    return;
  if (step_folder_path(step, now_folder, c->steps, NULL) &&
      io_join(path, sizeof path, step, name, NULL) && safetensors_open(&now, path, NULL)) {
    for (int i = 0; i < then.count && !*c->tensor; i++) {
      const Tensor *a = &then.tensors[i], *b = safetensors_find(&now, a->name);
      if (!b || b->bytes != a->bytes || memcmp(a->data, b->data, a->bytes) != 0)
        describe_tensor(c, a, b);
    }
    safetensors_close(&now);
  }
  safetensors_close(&then);
}

/* Names the first tensor that differs. */
static void compare_tensors(Comparison *c, const char *then_folder, const char *now_folder) {
  compare_file(c, then_folder, now_folder, "model.safetensors");
  if (!*c->tensor) compare_file(c, then_folder, now_folder, "state.safetensors");
}

static void compare_states(Comparison *c, const RunRecord *then, const RunRecord *now) {
  char step[32];
  snprintf(step, sizeof step, "%lld", (long long)c->steps);
  bool whole = then->facts.step == c->steps && *then->facts.end;
  const char *saved = member_text(then->saved, step);
  const char *recorded = whole ? then->facts.state_sha256 : saved;
  c->state_compared = recorded && *recorded && *now->facts.state_sha256;
  c->state_equal = c->state_compared && !strcmp(recorded, now->facts.state_sha256);
  bool scored = whole && !strcmp(then->facts.end, "done");
  c->score_then = scored ? then->evaluated : NAN;
  c->score_now = scored ? now->evaluated : NAN;
}

void compare_runs(Comparison *c, const RunRecord *then, const RunRecord *now,
                  const char *then_folder, const char *now_folder, int64_t steps,
                  Precision precision) {
  *c = (Comparison){.steps = steps};
  compare_losses(c, then, now);
  compare_states(c, then, now);
  bool bitwise = c->first_step == 0 && (c->state_equal || !c->state_compared) &&
                 same_number(c->score_then, c->score_now);
  if (!bitwise) compare_tensors(c, then_folder, now_folder);
  double tolerance = precision == PRECISION_FP32 ? loss_tolerance_fp32 : loss_tolerance_16;
  bool near = c->worst <= tolerance && !(fabs(c->score_then - c->score_now) > score_tolerance);
  c->proof = bitwise ? PROOF_BITWISE : near ? PROOF_NUMERICAL : PROOF_NONE;
  if (bitwise) return;
  if (c->first_step)
    snprintf(c->detail, sizeof c->detail,
             "step %lld is the first that differs: loss %.9g recorded, %.9g now; the largest "
             "relative difference of a loss is %.3g (numerical allows %.3g)%s",
             (long long)c->first_step, c->loss_then, c->loss_now, c->worst, tolerance,
             c->state_equal ? "; but the training states are equal in every bit: the losses were "
                              "changed after they were recorded"
                            : "");
  else
    snprintf(c->detail, sizeof c->detail, "every loss is equal, but the final %s differ",
             c->state_compared && !c->state_equal ? "weights or moments" : "scores");
}

bool compare_scores(Comparison *c, const double *scores, int count) {
  if (count < 2 || isnan(c->score_now)) return false;
  Summary seeds = stats_summary(scores, (size_t)count);
  /* Where one more observation falls, with 95%. */
  double reach = stats_t_quantile(0.975, count - 1) * seeds.sd * sqrt(1 + 1.0 / count);
  bool inside = fabs(c->score_now - seeds.mean) <= reach;
  size_t used = strlen(c->detail);
  snprintf(c->detail + used, sizeof c->detail - used,
           "; its score of %.3f dB lies %s %.3f +- %.3f dB, where 95%% of further seeds fall after "
           "the %d recorded",
           c->score_now, inside ? "within" : "outside", seeds.mean, reach, count);
  if (inside && c->proof < PROOF_STATISTICAL) c->proof = PROOF_STATISTICAL;
  return inside;
}

static char *text_of(const json_t *value) {
  if (!value) return string_copy("(absent)");
  if (json_is_string(value)) return string_copy(json_string_value(value));
  char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT | JSON_SORT_KEYS);
  return need(text);
}

static int compare_members(FILE *out, const char *prefix, json_t *then, json_t *now) {
  int count = 0;
  const char *key;
  json_t *value;
  json_t *all = need(json_object());
  json_object_update(all, then);
  json_object_update(all, now);
  json_object_foreach(all, key, value) {
    json_t *a = json_object_get(then, key), *b = json_object_get(now, key);
    if (json_equal(a, b)) continue;
    char *before = text_of(a), *after = text_of(b);
    fprintf(out, "  %s%s: %s -> %s\n", prefix, key, before, after);
    free(before);
    free(after);
    count++;
  }
  json_decref(all);
  return count;
}

int compare_provenance(FILE *out, const RunRecord *then, const RunRecord *now) {
  static const char *const objects[] = {"provenance", "dataset"};
  int count = 0;
  for (int i = 0; i < 2; i++)
    count += compare_members(out, i ? "dataset." : "", json_object_get(then->start, objects[i]),
                             json_object_get(now->start, objects[i]));
  for (int i = 0; i < 2; i++) {
    const char *key = (const char *[]){"binary_sha256", "config_hash"}[i];
    json_t *a = json_object_get(then->start, key), *b = json_object_get(now->start, key);
    if (json_equal(a, b)) continue;
    char *before = text_of(a), *after = text_of(b);
    fprintf(out, "  %s: %s -> %s\n", key, before, after);
    free(before);
    free(after);
    count++;
  }
  return count;
}
