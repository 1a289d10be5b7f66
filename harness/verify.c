#include "harness/verify.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness/stats.h"
#include "harness/strings.h"
#include "mae/model/safetensors.h"

/* What `numerical` promises: the losses of every step within this relative difference, and the
 * final score within so many dB. Rounding differences of another device or library grow over
 * hundreds of steps; 16-bit products start from larger ones. */
static const double loss_tolerance_fp32 = 1e-3, loss_tolerance_16 = 2e-2, score_tolerance = 0.05;

const char *proof_name(Proof proof) {
  static const char *const names[] = {"", "statistical", "numerical", "bitwise"};
  return names[proof];
}

static double number(const json_t *event, const char *key) {
  const json_t *value = json_object_get(event, key);
  const char *word = json_string_value(value);
  if (word && !strcmp(word, "inf")) return INFINITY;
  if (word && !strcmp(word, "-inf")) return -INFINITY;
  return json_is_number(value) ? json_number_value(value) : NAN;
}

static void take_step(RunRecord *record, const json_t *event) {
  enum { STEPS_MAX = 1 << 28 }; /* against a damaged file */
  int64_t step = json_integer_value(json_object_get(event, "step"));
  if (step < 1 || step > STEPS_MAX) return;
  if (step > record->count) {
    size_t size = (size_t)step + 1;
    record->losses = need(realloc(record->losses, size * sizeof *record->losses));
    record->known = need(realloc(record->known, size * sizeof *record->known));
    for (int64_t s = record->count + 1; s <= step; s++) record->known[s] = false;
    record->count = step;
  }
  record->losses[step] = number(event, "loss");
  record->known[step] = true;
}

static void take_line(void *user, const char *line, size_t length, uint64_t offset) {
  (void)offset;
  RunRecord *record = user;
  json_error_t problem;
  if (!facts_take(&record->facts, line, length)) return;
  json_t *event = json_loadb(line, length, 0, &problem);
  const char *name = json_string_value(json_object_get(event, "event"));
  if (!strcmp(name, "step")) take_step(record, event);
  if (!strcmp(name, "start")) {
    json_decref(record->start);
    record->start = json_incref(event);
    if (record->facts.step == 0) record->count = 0; /* begun anew: what came before is not its */
  }
  if (!strcmp(name, "checkpoint")) {
    char step[32];
    snprintf(step, sizeof step, "%lld",
             (long long)json_integer_value(json_object_get(event, "step")));
    json_object_set(record->saved, step, json_object_get(event, "state_sha256"));
  }
  json_decref(event);
}

bool record_read(RunRecord *record, const char *events_path, Error *e) {
  *record = (RunRecord){.saved = need(json_object())};
  Tail tail;
  facts_init(&record->facts);
  tail_open(&tail, events_path);
  tail_read(&tail, take_line, record);
  tail_close(&tail);
  bool leaky = isnan(record->facts.psnr_masked);
  record->evaluated = leaky ? record->facts.psnr_leaky : record->facts.psnr_masked;
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

/* Names the first tensor that differs in the checkpoints of the last compared step. */
static void compare_tensors(Comparison *c, const char *then_folder, const char *now_folder) {
  static const char *const names[] = {"model.safetensors", "state.safetensors"};
  for (int f = 0; f < 2 && !*c->tensor; f++) {
    char *paths[2];
    const char *const folders[] = {then_folder, now_folder};
    for (int i = 0; i < 2; i++)
      paths[i] =
          string_format("%s/checkpoints/step-%lld/%s", folders[i], (long long)c->steps, names[f]);
    TensorFile then, now;
    Error ignored;
    bool first = safetensors_open(&then, paths[0], &ignored);
    if (first && safetensors_open(&now, paths[1], &ignored)) {
      for (int i = 0; i < then.count && !*c->tensor; i++) {
        const Tensor *a = &then.tensors[i], *b = safetensors_find(&now, a->name);
        if (!b || b->bytes != a->bytes || memcmp(a->data, b->data, a->bytes) != 0)
          describe_tensor(c, a, b);
      }
      safetensors_close(&now);
    }
    if (first) safetensors_close(&then);
    free(paths[0]);
    free(paths[1]);
  }
}

static void compare_states(Comparison *c, const RunRecord *then, const RunRecord *now) {
  char step[32];
  snprintf(step, sizeof step, "%lld", (long long)c->steps);
  bool whole = then->facts.step == c->steps && *then->facts.end;
  const char *saved = json_string_value(json_object_get(then->saved, step));
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

static char *member_text(const json_t *value) {
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
    char *before = member_text(a), *after = member_text(b);
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
    char *before = member_text(a), *after = member_text(b);
    fprintf(out, "  %s: %s -> %s\n", key, before, after);
    free(before);
    free(after);
    count++;
  }
  return count;
}
