/* facts.c - events into what the harness must know of a trial while it runs and when it is done. */
#include "harness/trial/facts.h"

#include <math.h>
#include <string.h>

#include "harness/base/tail.h"
#include "mae/base/text.h"
#include "mae/evaluate/scorers.h"
#include "mae/record/seal.h"

void facts_init(Facts *facts) {
  *facts = (Facts){.loss = NAN,
                   .epoch = NAN,
                   .speed = NAN,
                   .gflops_per_image = NAN,
                   .gflops_per_second = NAN,
                   .images_per_second = NAN};
  for (int i = 0; i < METRICS_MAX; i++) facts->metrics[i] = NAN;
  for (int i = 0; i < FACTS_BASELINES_MAX; i++) facts->baselines[i] = NAN;
}

static double number(const json_t *event, const char *key) {
  return member_number(event, key).value;
}

static void copy_text(char *out, size_t size, const json_t *event, const char *key) {
  const char *text = member_text(event, key);
  snprintf(out, size, "%s", text ? text : "");
}

static void take_start(Facts *facts, const json_t *event) {
  facts->starts++;
  facts->steps = member_integer(event, "steps", 0);
  facts->step = member_integer(event, "resumed_from", 0);
  facts->gflops_per_image = number(event, "gflops_per_image");
  copy_text(facts->binary_sha256, sizeof facts->binary_sha256, event, "binary_sha256");
  copy_text(facts->config_hash, sizeof facts->config_hash, event, "config_hash");
  copy_text(facts->dataset_sha256, sizeof facts->dataset_sha256, json_object_get(event, "dataset"),
            "sha256");
  facts->end[0] = facts->error[0] = facts->warning[0] = facts->state_sha256[0] = 0;
  facts->end_code = 0;
}

/* The model's reconstructions, or the probe of its features. An evaluation of another scorer says
 * nothing of the model. */
static void take_eval(Facts *facts, const json_t *event) {
  const char *scorer = member_text(event, "scorer");
  bool probe = scorer && !strcmp(scorer, scorer_probe.name);
  if (scorer && !probe && strcmp(scorer, scorer_model.name) != 0) return;
  for (int i = 0; i < metric_count; i++)
    if ((metric_list[i].needs == OFFERS_PROBE) == probe)
      facts->metrics[i] = number(event, metric_list[i].name);
}

const char *facts_baseline_name(int index) {
  for (int i = 0; i < scorer_count && index < FACTS_BASELINES_MAX; i++)
    if (scorer_list[i]->baseline && !scorer_list[i]->probes && index-- == 0)
      return scorer_list[i]->name;
  return NULL;
}

static void take_baseline(Facts *facts, const json_t *event) {
  const char *name = member_text(event, "name"), *known;
  for (int i = 0; name && (known = facts_baseline_name(i)); i++)
    if (!strcmp(name, known)) facts->baselines[i] = number(event, "psnr_masked");
}

static void take_end(Facts *facts, const json_t *event) {
  copy_text(facts->end, sizeof facts->end, event, "status");
  copy_text(facts->state_sha256, sizeof facts->state_sha256, event, "state_sha256");
  facts->step = member_integer(event, "step", facts->step);
  facts->end_code = (int)member_integer(event, "code", 0);
}

static void take_work(Facts *facts, const json_t *event) {
  char what[PROGRESS_WHAT_MAX];
  copy_text(what, sizeof what, event, "what");
  int64_t done = member_integer(event, "done", 0), total = member_integer(event, "total", 0);
  progress_text(facts->work, sizeof facts->work, what, (size_t)done,
                total > 0 ? (size_t)total : PROGRESS_UNKNOWN);
}

void facts_take_event(Facts *facts, const EventLine *line) {
  const json_t *event = line->json;
  facts->work[0] = 0;
  if (event_line_is(line, "start")) {
    take_start(facts, event);
  } else if (event_line_is(line, "step")) {
    facts->step = member_integer(event, "step", facts->step);
    facts->epoch = number(event, "epoch");
    facts->loss = number(event, "loss");
    facts->speed = number(event, "images_per_second");
  } else if (event_line_is(line, "eval")) {
    take_eval(facts, event);
  } else if (event_line_is(line, "baseline")) {
    take_baseline(facts, event);
  } else if (event_line_is(line, "throughput")) {
    facts->images_per_second = number(event, "images_per_second");
    facts->gflops_per_second = number(event, "gflops_per_second");
  } else if (event_line_is(line, "work")) {
    take_work(facts, event);
  } else if (event_line_is(line, "warning")) {
    copy_text(facts->warning, sizeof facts->warning, event, "message");
  } else if (event_line_is(line, "error")) {
    copy_text(facts->error, sizeof facts->error, event, "message");
  } else if (event_line_is(line, "end")) {
    take_end(facts, event);
  }
}

bool facts_take(Facts *facts, const char *line, size_t length) {
  EventLine event;
  if (!event_line_read(&event, line, length, NULL)) return false;
  facts_take_event(facts, &event);
  event_line_free(&event);
  return true;
}

/* Reading a whole file. A million steps take seconds to parse and say nothing that the last of them
 * does not, so the newest line of a step is kept as it is until something else comes. */
typedef struct Reading {
  Facts *facts;
  Seal seal;
  int64_t line;
  Text step;
} Reading;

static void take_kept_step(Reading *reading) {
  if (reading->step.length) facts_take(reading->facts, reading->step.bytes, reading->step.length);
  reading->step.length = 0;
}

static void take_line(void *user, const char *line, size_t length, uint64_t offset) {
  static const char step[] = "{\"event\":\"step\",";
  Reading *reading = user;
  (void)offset;
  reading->line++;
  if (reading->facts->broken_line) return;
  if (seal_check(&reading->seal, line, length) == SEAL_BROKEN) {
    reading->facts->broken_line = reading->line;
    return;
  }
  if (length > sizeof step && !memcmp(line, step, sizeof step - 1)) {
    reading->step.length = 0;
    text_add(&reading->step, line, length);
    return;
  }
  take_kept_step(reading);
  facts_take(reading->facts, line, length);
}

void facts_read(Facts *facts, const char *path) {
  Reading reading = {.facts = facts};
  facts_init(facts);
  seal_begin(&reading.seal);
  tail_read_file(path, take_line, &reading);
  take_kept_step(&reading);
  seal_free(&reading.seal);
  text_free(&reading.step);
}

bool facts_finished(const Facts *facts) {
  return !facts->broken_line && !strcmp(facts->end, "done");
}

double facts_metric(const Facts *facts, const char *name) {
  const Metric *metric = metric_find(name);
  return metric ? facts->metrics[metric - metric_list] : NAN;
}

const char *facts_score_name(const Facts *facts) {
  return isnan(facts_metric(facts, "psnr_masked")) ? "psnr_leaky" : "psnr_masked";
}

double facts_score(const Facts *facts) {
  return facts_metric(facts, facts_score_name(facts));
}
