/* mae eval: the metric table of a checkpoint and of the trivial fills, by the protocol or under
 * every convention. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "mae/base/progress.h"
#include "mae/cmd/cmd.h"
#include "mae/evaluate/conventions.h"
#include "mae/model/device.h"
#include "mae/record/checkpoint.h"

static const char about[] =
    "Scores a checkpoint on the held-out images, and the trivial fills on the same\n"
    "images and masks. The configuration is the checkpoint's; --set changes it\n"
    "(eval.images, eval.seed, train.mask_ratio, data.path ...).";

/* What each scorer found, in the list's order; or the conventions. */
typedef struct Results {
  Metrics of[SCORERS_MAX];
  ConventionScores conventions;
} Results;

static bool run_scorers(Results *results, Evaluator *evaluator, Error *e) {
  for (int i = 0; i < scorer_count; i++) {
    results->of[i] = (Metrics){.images = 0};
    if (scorer_wanted(scorer_list[i], evaluator->config) &&
        !scorer_run(scorer_list[i], &results->of[i], evaluator, e))
      return false;
  }
  return true;
}

static bool score_all(Results *results, bool conventions, const Config *config, const char *weights,
                      Device *device, Error *e) {
  ProgressLine line = {.terminal = isatty(STDERR_FILENO)};
  const ProgressListener progress = progress_on(&line), briefly = progress_briefly_on(&line);
  Dataset dataset;
  Model model;
  if (!data_open(&dataset, config, &progress, e)) return false;
  Evaluator evaluator = {0};
  ImagePool pool = {0};
  bool ok = model_create(&model, config, device, false, e);
  if (ok) {
    ok = checkpoint_load_weights(weights, &model, e) &&
         evaluator_open(&evaluator, &model, &dataset, &pool, e) &&
         pool_open(&pool, device, &dataset, config, 1, e);
    evaluator.progress = &briefly;
    ok = ok && (conventions ? conventions_score(&results->conventions, &evaluator, e)
                            : run_scorers(results, &evaluator, e));
    pool_destroy(&pool);
    evaluator_destroy(&evaluator);
    model_destroy(&model);
  }
  data_close(&dataset);
  progress_clear(&line);
  return ok;
}

/* Whether one of the scorers that look at features, or of the others, has the metric. */
static bool is_told(const Results *results, int metric, bool probes) {
  for (int i = 0; i < scorer_count; i++)
    if (scorer_list[i]->probes == probes && metrics_has(&results->of[i], metric)) return true;
  return false;
}

/* The scorers that look at features, or those that look at reconstructions. */
static void print_scorers(const Results *results, bool probes) {
  int width = 22; /* of the longest name */
  for (int k = 0; k < metric_count; k++)
    if (is_told(results, k, probes) && (int)strlen(metric_list[k].name) > width)
      width = (int)strlen(metric_list[k].name);
  printf("%-*s", width, "");
  for (int i = 0; i < scorer_count; i++)
    if (scorer_list[i]->probes == probes) printf(" %14s", scorer_list[i]->name);
  putchar('\n');
  for (int k = 0; k < metric_count; k++) {
    if (!is_told(results, k, probes)) continue;
    printf("%-*s", width, metric_list[k].name);
    for (int i = 0; i < scorer_count; i++) {
      if (scorer_list[i]->probes != probes) continue;
      if (metrics_has(&results->of[i], k))
        printf(" %14.4f", results->of[i].values[k]);
      else
        printf(" %14s", "-");
    }
    putchar('\n');
  }
}

static void print_table(const Results *results) {
  print_scorers(results, false);
  printf("%d held-out images; PSNR in dB\n", results->of[0].images);
  for (int i = 0; i < scorer_count; i++) {
    const Metrics *metrics = &results->of[i];
    if (!scorer_list[i]->probes || scorer_list[i]->baseline) continue;
    if (metrics->images > 0) {
      putchar('\n');
      print_scorers(results, true);
      printf("classes told, in percent: %d held-out images of %d classes from %d training images\n",
             metrics->images, metrics->classes, metrics->train_images);
    }
    if (*metrics->note) printf("%s\n", metrics->note);
  }
}

static bool print_json(const Results *results, const char *weights, Error *e) {
  json_t *json = json_pack("{s:s, s:i}", "checkpoint", weights, "images", results->of[0].images);
  for (int i = 0; i < scorer_count; i++) {
    const Metrics *metrics = &results->of[i];
    const Metric *metric;
    double value;
    if (metrics->images == 0) continue;
    json_t *found = json_pack("{s:i}", "perfect", metrics->perfect);
    for (int k = 0; (metric = metrics_item(k, metrics, &value)); k++)
      json_object_set_new(found, metric->name, cmd_json_real(value));
    json_object_set_new(json, scorer_list[i]->name, found);
  }
  return cmd_print_json(json, 0, e);
}

/* The marks of a convention whose numbers no model may be praised for. */
static const char *marks(const Convention *c) {
  return c->leaky && c->training ? "LEAK, TRAINED ON"
         : c->leaky              ? "LEAK"
         : c->training           ? "TRAINED ON"
                                 : "";
}

static void print_block_heading(const Convention *c, const ConventionScores *scores) {
  printf("%d %s images, %s\n", scores->images[c->training], c->training ? "training" : "held-out",
         c->leaky ? "every patch with the target's mean and deviation" : "pictures as predicted");
  printf("%-45s", "");
  for (int s = 0; s < scorer_count; s++)
    if (!scorer_list[s]->probes) printf(" %13s", scorer_list[s]->name);
  putchar('\n');
}

/* The lowest and the highest of a scorer's numbers of one unit. */
static void print_range(const ConventionScores *scores, int scorer, bool db, bool marked) {
  double low = INFINITY, high = -INFINITY;
  for (int i = 0; i < CONVENTIONS; i++) {
    Convention c = convention_at(i);
    double value = scores->values[i][scorer];
    if (!convention_has(&c, scorer_list[scorer]) || !strcmp(c.unit, "dB") != db) continue;
    if (!marked && *marks(&c)) continue;
    low = fmin(low, value);
    high = fmax(high, value);
  }
  printf(db ? "  %6.2f to %6.2f dB" : "  %7.4f to %7.4f", low, high);
}

static void print_conventions(const ConventionScores *scores) {
  for (int i = 0; i < CONVENTIONS; i++) {
    Convention c = convention_at(i);
    if (i % (2 * CONVENTION_MEASURES) == 0) print_block_heading(&c, scores);
    printf("%-45s", c.name);
    for (int s = 0; s < scorer_count; s++)
      if (convention_has(&c, scorer_list[s]))
        printf(" %13.4f", scores->values[i][s]);
      else if (!scorer_list[s]->probes)
        printf(" %13s", "-");
    printf(*marks(&c) ? "  %s\n" : "%s\n", marks(&c));
    if ((i + 1) % (2 * CONVENTION_MEASURES) == 0) putchar('\n');
  }
  printf("%-13s  %-19s  %-18s  %-19s  %s\n", "", "PSNR", "SSIM", "PSNR, marked too",
         "SSIM, marked too");
  for (int s = 0; s < scorer_count; s++) {
    if (scorer_list[s]->probes) continue;
    printf("%-13s", scorer_list[s]->name);
    for (int marked = 0; marked < 2; marked++)
      for (int db = 1; db >= 0; db--) print_range(scores, s, db, marked);
    putchar('\n');
  }
}

static bool print_conventions_json(const ConventionScores *scores, const char *weights, Error *e) {
  json_t *list = json_array();
  for (int i = 0; i < CONVENTIONS; i++) {
    Convention c = convention_at(i);
    json_t *row = json_pack("{s:s, s:s, s:s, s:s, s:b, s:b, s:b}", "name", c.name, "measure",
                            c.measure, "meaning", c.what, "unit", c.unit, "clamped", !c.unclamped,
                            "leak", c.leaky, "training_images", c.training);
    for (int s = 0; s < scorer_count; s++)
      if (convention_has(&c, scorer_list[s]))
        json_object_set_new(row, scorer_list[s]->name, cmd_json_real(scores->values[i][s]));
    json_array_append_new(list, row);
  }
  json_t *json =
      json_pack("{s:s, s:i, s:i, s:o}", "checkpoint", weights, "images", scores->images[0],
                "training_images", scores->images[1], "conventions", list);
  return cmd_print_json(json, 0, e);
}

int cmd_eval(int argc, char **argv) {
  bool json = false, conventions = false;
  CheckpointChoice chosen = {0};
  const CmdOption options[] = {
      {"--checkpoint", CMD_TEXT, &chosen.path, "PATH", CHECKPOINT_HELP},
      {"--conventions", CMD_FLAG, &conventions, NULL,
       "score as public implementations do, each way by name"},
      {"--json", CMD_FLAG, &json, NULL, "print JSON"},
  };
  ConfigCommand command = {.line = {.name = "mae eval",
                                    .about = about,
                                    .options = options,
                                    .option_count = sizeof options / sizeof *options},
                           .base = cmd_checkpoint_config,
                           .user = &chosen};
  int code;
  Error e = {0};
  if (!cmd_parse(&command, argc, argv, &code)) return code;
  Results results;
  Device *device = device_open(&command.config, 0, 1, &e);
  bool ok = device && score_all(&results, conventions, &command.config, chosen.weights, device, &e);
  if (device) device->kernels->close(device);
  if (!ok) return command_fail(command.line.name, &e);
  if (json)
    ok = conventions ? print_conventions_json(&results.conventions, chosen.weights, &e)
                     : print_json(&results, chosen.weights, &e);
  else if (conventions)
    print_conventions(&results.conventions);
  else
    print_table(&results);
  return ok ? EXIT_OK : command_fail(command.line.name, &e);
}
