/* record.c - reads an event file into a RunRecord. */
#include "harness/trial/record.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness/base/strings.h"
#include "harness/base/tail.h"
#include "mae/evaluate/scorers.h"

const char *const step_numbers[STEP_NUMBERS] = {"loss", "lr", "grad_norm", "loss_scale", "epoch"};

static void take_step(RunRecord *record, const json_t *event) {
  enum { STEPS_MAX = 1 << 28 }; /* against a damaged file */
  int64_t step = member_integer(event, "step", 0);
  if (step < 1 || step > STEPS_MAX) return;
  if (step > record->count) {
    record->steps = need(realloc(record->steps, ((size_t)step + 1) * sizeof *record->steps));
    for (int64_t s = record->count + 1; s <= step; s++) record->steps[s] = (StepRecord){0};
    record->count = step;
  }
  StepRecord *to = &record->steps[step];
  to->known = true;
  for (int i = 0; i < STEP_NUMBERS; i++) to->numbers[i] = member_number(event, step_numbers[i]);
}

static void take_checkpoint(RunRecord *record, const json_t *event) {
  char step[32];
  snprintf(step, sizeof step, "%lld", (long long)member_integer(event, "step", 0));
  json_object_set(record->saved, step, json_object_get(event, "state_sha256"));
}

static void take_scores(RunRecord *record, json_t *event, const char *scorer) {
  char *key =
      json_object_get(event, "step")
          ? string_format("%s at step %lld", scorer, (long long)member_integer(event, "step", 0))
          : string_copy(scorer);
  json_object_set(record->scores, key, event);
  free(key);
}

/* What came after the checkpoint that an attempt goes on from is not part of the result. */
static void forget_after(json_t *events, int64_t step) {
  const char *key;
  void *next;
  json_t *event;
  json_object_foreach_safe(events, next, key, event) {
    int64_t at = json_is_object(event) ? member_integer(event, "step", 0) : atoll(key);
    if (at > step) json_object_del(events, key);
  }
}

static void take_start(RunRecord *record, json_t *event) {
  int64_t step = record->facts.step; /* that it resumes from */
  json_decref(record->start);
  record->start = json_incref(event);
  if (record->count > step) record->count = step < 0 ? 0 : step;
  forget_after(record->scores, step);
  forget_after(record->saved, step);
  if (step == 0) json_object_clear(record->artifacts);
}

static void take_line(void *user, const char *line, size_t length, uint64_t offset) {
  (void)offset;
  RunRecord *record = user;
  EventLine event;
  if (!event_line_read(&event, line, length, NULL)) return;
  facts_take_event(&record->facts, &event);
  const char *name = NULL;
  if (event_line_is(&event, "start")) {
    take_start(record, event.json);
  } else if (event_line_is(&event, "step")) {
    take_step(record, event.json);
  } else if (event_line_is(&event, "checkpoint")) {
    take_checkpoint(record, event.json);
  } else if (event_line_is(&event, "eval")) {
    name = member_text(event.json, "scorer");
    take_scores(record, event.json, name ? name : scorer_list[0]->name);
  } else if (event_line_is(&event, "baseline") && (name = member_text(event.json, "name"))) {
    take_scores(record, event.json, name);
  } else if (event_line_is(&event, "artifact") && (name = member_text(event.json, "path"))) {
    json_object_set(record->artifacts, name, event.json);
  }
  event_line_free(&event);
}

bool record_read(RunRecord *record, const char *events_path, Error *e) {
  *record = (RunRecord){.saved = need(json_object()),
                        .scores = need(json_object()),
                        .artifacts = need(json_object())};
  facts_init(&record->facts);
  tail_read_file(events_path, take_line, record);
  record->evaluated = facts_score(&record->facts);
  if (record->start) return true;
  record_free(record);
  return error_set(e, EXIT_DATA, "%s: holds no start event", events_path);
}

void record_free(RunRecord *record) {
  free(record->steps);
  json_decref(record->start);
  json_decref(record->saved);
  json_decref(record->scores);
  json_decref(record->artifacts);
  *record = (RunRecord){0};
}

Number record_number(const RunRecord *record, int number, int64_t step) {
  bool known = step <= record->count && record->steps[step].known;
  return known ? record->steps[step].numbers[number] : (Number){NAN, NUMBER_ABSENT};
}

bool record_is_score(const char *member) {
  static const char *const head[] = {"event", "time", "step", "name", "scorer", "seconds", "seal"};
  for (size_t i = 0; i < sizeof head / sizeof *head; i++)
    if (!strcmp(member, head[i])) return false;
  return true;
}
