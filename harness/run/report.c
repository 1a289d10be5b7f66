/* report.c - the plan and the results of a sweep as tables or JSON, and a line for each trial. */
#include "harness/run/report.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness/base/strings.h"
#include "mae/record/json_text.h"

/* NULL where there is no number: JSON has no NaN. */
static json_t *real(double value) {
  return isfinite(value) ? json_real(value) : json_null();
}

static json_t *swept_object(const PlanTrial *trial) {
  json_t *swept = json_object();
  for (int i = 0; i < trial->swept_count; i++)
    json_object_set_new(swept, trial->swept[i].key, json_string(trial->swept[i].value));
  return swept;
}

static json_t *plan_object(const Plan *plan) {
  return json_pack("{s:s, s:s, s:s}", "experiment", plan->name, "scale", plan->scale, "question",
                   plan->question);
}

static void print_json(FILE *out, json_t *object, json_t *trials) {
  json_object_set_new(object, "trials", trials);
  need(json_print(out, object, JSON_INDENT(2)) ? out : NULL);
  json_decref(object);
}

/* Of a plan's trial; text: where it may be made. */
static const char *state_text(char text[64], const Job *job) {
  if (job->action != JOB_PAUSED) return job_action_text(job->action);
  if (job->status == TRIAL_FAILED) return "failed, not run again under [prune]";
  if (job->pruned.step)
    snprintf(text, 64, "pruned at step %lld", (long long)job->pruned.step);
  else
    snprintf(text, 64, "waits at step %lld", (long long)job->until);
  return text;
}

static void plan_json(FILE *out, const Plan *plan, const Job *jobs) {
  json_t *trials = json_array(), *object = plan_object(plan);
  char text[64];
  for (int i = 0; i < plan->count; i++) {
    const Job *job = &jobs[i];
    json_t *trial = json_pack(
        "{s:s, s:o, s:s, s:I, s:I, s:I, s:o, s:I, s:o, s:I, s:I}", "config_hash", job->trial->hash,
        "swept", swept_object(job->trial), "state", state_text(text, job), "params_encoder",
        (json_int_t)job->params_encoder, "params_decoder", (json_int_t)job->params_decoder,
        "memory_bytes", (json_int_t)job->memory, "gflops_per_image", real(job->gflops_per_image),
        "steps", (json_int_t)job->steps, "seconds", real(job->seconds), "disk_peak_bytes",
        (json_int_t)job->disk.peak, "disk_kept_bytes", (json_int_t)job->disk.kept);
    json_array_append_new(trials, trial);
  }
  print_json(out, object, trials);
}

/* Headings of the swept columns, without the section where that is enough. */
static void swept_headings(Table *table, const PlanTrial *trial) {
  for (int i = 0; i < trial->swept_count; i++) {
    const char *key = strchr(trial->swept[i].key, '.') + 1;
    for (int j = 0; j < trial->swept_count; j++)
      if (j != i && !strcmp(strchr(trial->swept[j].key, '.') + 1, key)) key = trial->swept[i].key;
    table_cell(table, "%s", key);
  }
}

static void swept_cells(Table *table, const PlanTrial *trial) {
  for (int i = 0; i < trial->swept_count; i++) table_cell(table, "%s", trial->swept[i].value);
}

static void plan_table(FILE *out, const Plan *plan, const Job *jobs) {
  Table table = {.columns = 10 + jobs[0].trial->swept_count};
  char text[64];
  double total = 0;
  table_cell(&table, "trial");
  swept_headings(&table, jobs[0].trial);
  static const char *const headings[] = {"encoder", "decoder", "GFLOP/image", "memory", "disk",
                                         "kept",    "steps",   "time",        "state"};
  for (size_t i = 0; i < sizeof headings / sizeof *headings; i++)
    table_cell(&table, "%s", headings[i]);
  for (int i = 0; i < plan->count; i++) {
    const Job *job = &jobs[i];
    if (job->id)
      table_cell(&table, "%lld", (long long)job->id);
    else
      table_cell(&table, "%s", "-");
    swept_cells(&table, job->trial);
    table_cell(&table, "%.2f M", 1e-6 * (double)job->params_encoder);
    table_cell(&table, "%.2f M", 1e-6 * (double)job->params_decoder);
    table_cell(&table, "%.3g", job->gflops_per_image);
    format_bytes(text, sizeof text, (double)job->memory);
    table_cell(&table, "%s", text);
    table_cell(&table, "%s", disk_text(text, job->disk.peak));
    table_cell(&table, "%s", disk_text(text, job->disk.kept));
    if (job->steps)
      table_cell(&table, "%lld", (long long)job->steps);
    else
      table_cell(&table, "%s", "?");
    format_duration(text, sizeof text, job->seconds);
    bool waits = job->action == JOB_PAUSED && !job->pruned.step;
    table_cell(&table, "%s", job_is_to_run(job) || waits ? text : "-");
    table_cell(&table, "%s%s", state_text(text, job), job->from ? " (--from)" : "");
    total += job->seconds;
  }
  table_print(&table, out);
  table_free(&table);
  format_duration(text, sizeof text, total);
  fprintf(out, "\n%d trial%s, %s in all", plan->count, plan->count == 1 ? "" : "s", text);
}

void report_plan(FILE *out, const Plan *plan, const Job *jobs, bool json) {
  if (json)
    plan_json(out, plan, jobs);
  else
    plan_table(out, plan, jobs);
}

static void results_json(FILE *out, const Plan *plan, const Job *jobs) {
  json_t *trials = json_array();
  const char *name;
  for (int i = 0; i < plan->count; i++) {
    const Facts *facts = &jobs[i].facts;
    json_t *trial =
        json_pack("{s:I, s:s, s:o, s:s, s:s, s:s, s:o}", "trial", (json_int_t)jobs[i].id,
                  "config_hash", jobs[i].trial->hash, "swept", swept_object(jobs[i].trial),
                  "status", trial_status_name(jobs[i].status), "error", jobs[i].error, "folder",
                  jobs[i].folder, "images_per_second", real(facts->images_per_second));
    for (int m = 0; m < metric_count; m++)
      if (metric_list[m].headline)
        json_object_set_new(trial, metric_list[m].name,
                            real(jobs[i].status == TRIAL_DONE ? facts->metrics[m] : NAN));
    for (int f = 0; (name = facts_baseline_name(f)); f++)
      json_object_set_new(trial, name, real(facts->baselines[f]));
    json_array_append_new(trials, trial);
  }
  print_json(out, plan_object(plan), trials);
}

static void number_cell(Table *table, int digits, double value) {
  if (isnan(value))
    table_cell(table, "%s", "-");
  else
    table_cell(table, "%.*f", digits, value);
}

/* Headline metrics; the leaky ones and a probe's where there are any. */
static void choose_columns(bool shown[METRICS_MAX], const Plan *plan, const Job *jobs) {
  for (int m = 0; m < metric_count; m++) {
    shown[m] = (metric_list[m].needs & (OFFERS_LEAKY | OFFERS_PROBE)) == 0;
    for (int i = 0; i < plan->count; i++) shown[m] |= !isnan(jobs[i].facts.metrics[m]);
    shown[m] &= metric_list[m].headline;
  }
}

static void results_heading(Table *table, const Job *jobs, const bool shown[METRICS_MAX]) {
  const char *name;
  table_cell(table, "trial");
  swept_headings(table, jobs[0].trial);
  table_cell(table, "status");
  for (int m = 0; m < metric_count; m++)
    if (shown[m]) table_cell(table, "%s", metric_list[m].name);
  for (int f = 0; (name = facts_baseline_name(f)); f++) table_cell(table, "%s", name);
  table_cell(table, "images/s");
}

static void results_row(Table *table, const Job *job, const bool shown[METRICS_MAX]) {
  const Facts *facts = &job->facts;
  table_cell(table, "%lld", (long long)job->id);
  swept_cells(table, job->trial);
  table_cell(table, "%s", trial_status_name(job->status));
  bool done = job->status == TRIAL_DONE; /* a score of the way is none of the end */
  for (int m = 0; m < metric_count; m++)
    if (shown[m]) number_cell(table, metric_list[m].digits, done ? facts->metrics[m] : NAN);
  for (int f = 0; facts_baseline_name(f); f++)
    number_cell(table, metric_find("psnr_masked")->digits, facts->baselines[f]);
  number_cell(table, 0, facts->images_per_second);
}

void report_results(FILE *out, const Plan *plan, const Job *jobs, bool json) {
  if (json) {
    results_json(out, plan, jobs);
    return;
  }
  Table table = {0};
  bool shown[METRICS_MAX] = {0};
  choose_columns(shown, plan, jobs);
  results_heading(&table, jobs, shown);
  table.columns = table.cells.count;
  for (int i = 0; i < plan->count; i++) results_row(&table, &jobs[i], shown);
  table_print(&table, out);
  table_free(&table);
  for (int i = 0, pruned = 0; i < plan->count; i++)
    if (jobs[i].status == TRIAL_PRUNED)
      fprintf(out, "%strial %lld (%s) pruned: %s\n", pruned++ ? "" : "\n", (long long)jobs[i].id,
              jobs[i].label, jobs[i].error);
  for (int i = 0; i < plan->count; i++)
    if (jobs[i].status == TRIAL_FAILED)
      fprintf(out, "\ntrial %lld (%s) failed: %s\n  %s/stderr.log\n", (long long)jobs[i].id,
              jobs[i].label, jobs[i].error, jobs[i].folder);
}

/* "psnr_masked 18.25 dB, ..." of the headline metrics that have a value; the caller frees. */
static char *describe_metrics(const Facts *facts) {
  char *text = string_copy("");
  for (int i = 0; i < metric_count; i++) {
    const Metric *metric = &metric_list[i];
    if (!metric->headline || isnan(facts->metrics[i])) continue;
    char *longer = string_format("%s%s %.*f%s%s, ", text, metric->name, metric->digits,
                                 facts->metrics[i], *metric->unit ? " " : "", metric->unit);
    free(text);
    text = longer;
  }
  return text;
}

void report_outcome(Progress *progress, const Job *job) {
  char *line;
  if (job->status == TRIAL_INTERRUPTED && job_waits_for_others(job)) {
    char *metrics = describe_metrics(&job->facts);
    line = string_format("trial %lld  %s  is at step %lld: %s%.0f images/s", (long long)job->id,
                         job->label, (long long)job->facts.step, metrics, job->facts.speed);
    free(metrics);
  } else if (job->status == TRIAL_DONE) {
    char *metrics = describe_metrics(&job->facts);
    line = string_format("trial %lld  %s  done: %s%.0f images/s", (long long)job->id, job->label,
                         metrics, job->facts.images_per_second);
    free(metrics);
  } else {
    line = string_format("trial %lld  %s  %s: %s", (long long)job->id, job->label,
                         trial_status_name(job->status), job->error);
  }
  progress_say_outcome(progress, job->status != TRIAL_FAILED, line);
  free(line);
}
