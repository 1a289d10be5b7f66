/* verify.c - two recorded runs side by side: steps, scores, files, states, tensors, provenance. */
#include "harness/verify/verify.h"

#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "harness/base/stats.h"
#include "harness/base/strings.h"
#include "harness/verify/allowed.h"
#include "mae/base/io.h"
#include "mae/model/safetensors.h"
#include "mae/record/step_folders.h"

const char *proof_name(Proof proof) {
  static const char *const names[] = {"", "statistical", "numerical", "bitwise"};
  return names[proof];
}

static void add_reason(Comparison *c, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void add_reason(Comparison *c, const char *format, ...) {
  size_t used = strlen(c->detail);
  va_list args;
  if (c->reasons++) used += (size_t)snprintf(c->detail + used, sizeof c->detail - used, "\n");
  if (used >= sizeof c->detail) return;
  va_start(args, format);
  vsnprintf(c->detail + used, sizeof c->detail - used, format, args);
  va_end(args);
}

/* Steps -----------------------------------------------------------------------------------------*/

static bool same_number(Number a, Number b) {
  return a.kind == b.kind && (a.kind != NUMBER_FINITE || a.value == b.value);
}

/* As events have it: as many digits as tell it from every other number. */
static const char *number_text(char out[40], Number number) {
  if (number.kind != NUMBER_FINITE) {
    snprintf(out, 40, "%s",
             number.kind == NUMBER_INVALID ? "no number" : number_kind_name(number.kind));
    return out;
  }
  for (int digits = 9; digits <= 17; digits++) {
    snprintf(out, 40, "%.*g", digits, number.value);
    if (strtod(out, NULL) == number.value) break;
  }
  return out;
}

typedef struct StepDifference {
  int64_t first, count;
} StepDifference;

/* One of the numbers over all steps. */
static StepDifference compare_number(const Comparison *c, const RunRecord *then,
                                     const RunRecord *now, int number) {
  StepDifference found = {0};
  for (int64_t s = 1; s <= c->steps; s++) {
    Number a = record_number(then, number, s), b = record_number(now, number, s);
    if (same_number(a, b) && (a.kind != NUMBER_ABSENT || number != STEP_LOSS)) continue;
    if (!found.count++) found.first = s;
  }
  return found;
}

static void compare_steps(Comparison *c, const RunRecord *then, const RunRecord *now,
                          Precision precision) {
  StepDifference found[STEP_NUMBERS];
  for (int i = 0; i < STEP_NUMBERS; i++) {
    found[i] = compare_number(c, then, now, i);
    if (found[i].count && (!c->first_step || found[i].first < c->first_step))
      c->first_step = found[i].first;
  }
  if (c->first_step) add_reason(c, "step %lld is the first that differs", (long long)c->first_step);
  for (int i = 0; i < STEP_NUMBERS; i++) {
    if (!found[i].count) continue;
    char before[40], after[40];
    StepSpread spread = steps_spread(then, now, i, c->steps, precision);
    StepSpread allowed = steps_allowed(i, precision);
    if (!(spread.early <= allowed.early && spread.later <= allowed.later)) c->near = false;
    add_reason(c,
               "%s of step %lld: %s recorded, %s now; %lld steps differ in it, relatively one of "
               "the first %d by at most %.2g (numerical allows %g)",
               step_numbers[i], (long long)found[i].first,
               number_text(before, record_number(then, i, found[i].first)),
               number_text(after, record_number(now, i, found[i].first)), (long long)found[i].count,
               EARLY_STEPS, spread.early, allowed.early);
    if (c->steps > EARLY_STEPS)
      add_reason(c, "the mean of a hundred later ones by at most %.2g (%g)", spread.later,
                 allowed.later);
  }
}

/* Scores ----------------------------------------------------------------------------------------*/

/* The scores of one evaluation; those that an older program did not record are not compared. */
static int compare_evaluation(Comparison *c, const char *of, json_t *then, json_t *now, int told) {
  enum { TOLD_MAX = 4 };
  const char *name;
  json_t *value;
  int differ = 0;
  double images = member_number(then, "images").value;
  bool trained = json_object_get(then, "step") != NULL; /* baselines have none */
  json_object_foreach(then, name, value) {
    if (!record_is_score(name)) continue;
    c->scores++;
    if (json_equal(value, json_object_get(now, name))) continue;
    Number a = member_number(then, name), b = member_number(now, name);
    double allowed = score_allowed(name, a.value, images, trained);
    bool near = a.kind == b.kind && (a.kind != NUMBER_FINITE || fabs(a.value - b.value) <= allowed);
    if (!near) c->near = false;
    char before[40], after[40];
    if (told + differ++ < TOLD_MAX)
      add_reason(c, "%s of %s: %s recorded, %s now", name, of, number_text(before, a),
                 number_text(after, b));
  }
  return differ;
}

static void compare_all_scores(Comparison *c, const RunRecord *then, const RunRecord *now,
                               bool whole) {
  const char *of;
  json_t *event;
  int differ = 0;
  json_object_foreach(then->scores, of, event) {
    int64_t step = member_integer(event, "step", 0);
    json_t *again = json_object_get(now->scores, of);
    if (!whole && (step == 0 || step > c->steps)) continue;
    /* A run that is stopped earlier does not evaluate at its end. */
    if (!whole && step == c->steps && !again) continue;
    differ += compare_evaluation(c, of, event, again, differ);
  }
  if (differ > 1) add_reason(c, "%d of %d scores differ", differ, c->scores);
}

/* Files and states ------------------------------------------------------------------------------*/

static void compare_artifacts(Comparison *c, const RunRecord *then, const RunRecord *now) {
  const char *path;
  json_t *event;
  json_object_foreach(then->artifacts, path, event) {
    const char *before = member_text(event, "sha256");
    const char *after = member_text(json_object_get(now->artifacts, path), "sha256");
    if (!before || (after && !strcmp(before, after))) continue;
    /* A run that was interrupted has weights of where it stopped. */
    if (!after && !strncmp(path, "checkpoints/", 12)) continue;
    add_reason(c, "%s has SHA-256 %.16s recorded, %.16s now", path, before,
               after ? after : "(no such file)");
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

/* One of the two files of the checkpoints of the last compared step; false when one is missing. */
static bool compare_file(Comparison *c, const char *then_folder, const char *now_folder,
                         const char *name) {
  char step[CONFIG_PATH_MAX], path[CONFIG_PATH_MAX];
  TensorFile then, now;
  if (!step_folder_path(step, then_folder, c->steps, NULL) ||
      !io_join(path, sizeof path, step, name, NULL) || !safetensors_open(&then, path, NULL))
    return false;
  bool both = step_folder_path(step, now_folder, c->steps, NULL) &&
              io_join(path, sizeof path, step, name, NULL) && safetensors_open(&now, path, NULL);
  if (both) {
    for (int i = 0; i < then.count && !*c->tensor; i++) {
      const Tensor *a = &then.tensors[i], *b = safetensors_find(&now, a->name);
      if (!b || b->bytes != a->bytes || memcmp(a->data, b->data, a->bytes) != 0)
        describe_tensor(c, a, b);
    }
    safetensors_close(&now);
  }
  safetensors_close(&then);
  return both;
}

/* Names the first tensor that differs; false when there is nothing to compare. */
static bool compare_tensors(Comparison *c, const char *then_folder, const char *now_folder) {
  bool both = compare_file(c, then_folder, now_folder, "model.safetensors");
  return (both && *c->tensor) ||
         (compare_file(c, then_folder, now_folder, "state.safetensors") && both);
}

static void compare_states(Comparison *c, const RunRecord *then, const RunRecord *now,
                           const char *then_folder, const char *now_folder) {
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
  if (!c->state_compared || c->state_equal) {
    if (c->reasons && c->state_equal)
      add_reason(c, "but the training states are equal in every bit: the numbers were changed "
                    "after they were recorded, or the reporting of them was");
    return;
  }
  bool both = compare_tensors(c, then_folder, now_folder);
  add_reason(c,
             "the training state (weights, moments, counters) has SHA-256 %.16s recorded, "
             "%.16s now%s",
             recorded, now->facts.state_sha256,
             both && !*c->tensor ? ", though no tensor differs: the recorded hash was changed"
                                 : "");
}

void compare_runs(Comparison *c, const RunRecord *then, const RunRecord *now,
                  const char *then_folder, const char *now_folder, int64_t steps,
                  Precision precision) {
  bool whole = then->facts.step == steps && !strcmp(then->facts.end, "done");
  *c = (Comparison){.steps = steps, .near = true};
  c->same_data = !strcmp(then->facts.dataset_sha256, now->facts.dataset_sha256);
  if (!c->same_data)
    add_reason(c, "the images are others: SHA-256 %.16s recorded, %.16s now",
               then->facts.dataset_sha256, now->facts.dataset_sha256);
  compare_steps(c, then, now, precision);
  compare_all_scores(c, then, now, whole);
  if (whole) compare_artifacts(c, then, now);
  compare_states(c, then, now, then_folder, now_folder);
  c->proof = !c->reasons ? PROOF_BITWISE : c->near && c->same_data ? PROOF_NUMERICAL : PROOF_NONE;
}

void compare_scores(Comparison *c, const double *scores, int count) {
  if (isnan(c->score_now) || !c->same_data) return;
  if (count < SEEDS_NEEDED) {
    add_reason(c,
               "whether another seed could have given its score cannot be said: that takes %d "
               "other finished seeds, and there are %d",
               SEEDS_NEEDED, count);
    return;
  }
  Summary seeds = stats_summary(scores, (size_t)count);
  /* Where one more observation falls, with 95%. */
  double reach = stats_t_quantile(0.975, count - 1) * seeds.sd * sqrt(1 + 1.0 / count);
  bool then = fabs(c->score_then - seeds.mean) <= reach;
  bool now = fabs(c->score_now - seeds.mean) <= reach;
  add_reason(c,
             "its score of %.3f dB (%.3f dB recorded) lies %s %.3f +- %.3f dB, where 95%% of "
             "further seeds fall after the %d others recorded",
             c->score_now, c->score_then, then && now ? "within" : "outside", seeds.mean, reach,
             count);
  if (then && now && c->proof < PROOF_STATISTICAL) c->proof = PROOF_STATISTICAL;
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
