/* mae eval: the metric table of a checkpoint and of the trivial fills. */
#include <stdio.h>
#include <unistd.h>

#include "mae/base/progress.h"
#include "mae/cmd/cmd.h"
#include "mae/evaluate/scorers.h"
#include "mae/model/device.h"
#include "mae/record/checkpoint.h"

static const char about[] =
    "Scores a checkpoint on the held-out images, and the trivial fills on the same\n"
    "images and masks. The configuration is the checkpoint's; --set changes it\n"
    "(eval.images, eval.seed, train.mask_ratio, data.path ...).";

enum { SCORERS_MAX = 32 };

/* What each scorer found, in the list's order. */
typedef struct Results {
  Metrics of[SCORERS_MAX];
} Results;

static bool score_all(Results *results, const Config *config, const char *weights, Device *device,
                      Error *e) {
  ProgressLine progress = {.terminal = isatty(STDERR_FILENO)};
  Dataset dataset;
  Model model;
  if (!data_open(&dataset, config, progress_show, &progress, e)) return false;
  Evaluator evaluator = {0};
  ImagePool pool = {0};
  bool ok = model_create(&model, config, device, false, e);
  if (ok) {
    ok = checkpoint_load_weights(weights, &model, e) &&
         evaluator_open(&evaluator, &model, &dataset, &pool, e) &&
         pool_open(&pool, device, &dataset, e);
    for (int i = 0; ok && i < scorer_count; i++) {
      results->of[i] = (Metrics){.images = 0};
      if (scorer_wanted(scorer_list[i], config))
        ok = scorer_list[i]->run(&results->of[i], &evaluator, e);
    }
    pool_destroy(&pool);
    evaluator_destroy(&evaluator);
    model_destroy(&model);
  }
  data_close(&dataset);
  return ok;
}

/* The scorers that look at features, or those that look at reconstructions. */
static void print_scorers(const Results *results, bool probes) {
  printf("%-22s", "");
  for (int i = 0; i < scorer_count; i++)
    if (scorer_list[i]->probes == probes) printf(" %14s", scorer_list[i]->name);
  putchar('\n');
  for (int k = 0; k < metric_count; k++) {
    bool any = false;
    for (int i = 0; i < scorer_count; i++)
      any |= scorer_list[i]->probes == probes && metrics_has(&results->of[i], k);
    if (!any) continue;
    printf("%-22s", metric_list[k].name);
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

int cmd_eval(int argc, char **argv) {
  bool json = false;
  CheckpointChoice chosen = {0};
  const CmdOption options[] = {
      {"--checkpoint", CMD_TEXT, &chosen.path, "PATH", CHECKPOINT_HELP},
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
  bool ok = device && score_all(&results, &command.config, chosen.weights, device, &e);
  if (device) device->kernels->close(device);
  if (!ok) return command_fail(command.line.name, &e);
  if (!json)
    print_table(&results);
  else if (!print_json(&results, chosen.weights, &e))
    return command_fail(command.line.name, &e);
  return EXIT_OK;
}
