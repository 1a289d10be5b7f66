/* mae eval: the metric table of a checkpoint and of the trivial fills. */
#include <stdio.h>
#include <string.h>

#include "mae/base/text.h"
#include "mae/cmd/cmd.h"
#include "mae/evaluate/evaluate.h"
#include "mae/model/device.h"
#include "mae/record/checkpoint.h"
#include "mae/record/run_folder.h"

static const char about[] =
    "Scores a checkpoint on the held-out images, and the trivial fills on the same\n"
    "images and masks. The configuration is the checkpoint's; --set changes it\n"
    "(eval.images, eval.seed, train.mask_ratio, data.path ...).";

enum { MODEL, FILL_MEAN, FILL_HARMONIC, SCORERS };

typedef struct Scorer {
  const char *name;
  MetricsKind kind;
  Metrics metrics;
} Scorer;

typedef struct EvalLine {
  const char *checkpoint;
  char weights[CONFIG_PATH_MAX];
} EvalLine;

static EvalLine eval_line;

static bool checkpoint_config(CommandLine *line, Error *e) {
  if (!eval_line.checkpoint)
    return error_set(e, EXIT_CONFIG, "--checkpoint is missing: a run folder or a weights file");
  return run_folder_locate(eval_line.weights, &line->config, eval_line.checkpoint, e);
}

static bool score_all(Scorer *scorers, const Config *config, Device *device, Error *e) {
  Dataset dataset;
  Model model;
  if (!data_open(&dataset, config, NULL, NULL, e)) return false;
  Evaluator evaluator = {0};
  ImagePool pool = {0};
  bool ok = model_create(&model, config, device, false, e);
  if (ok) {
    ok = checkpoint_load_weights(eval_line.weights, &model, e) &&
         evaluator_open(&evaluator, &model, e) && pool_open(&pool, device, &dataset, e) &&
         evaluate(&scorers[MODEL].metrics, &evaluator, &dataset, &pool, e);
    for (int i = FILL_MEAN; ok && i < SCORERS; i++)
      ok = evaluate_baseline(&scorers[i].metrics, scorers[i].name, &evaluator, &dataset, &pool, e);
    pool_destroy(&pool);
    evaluator_destroy(&evaluator);
    model_destroy(&model);
  }
  data_close(&dataset);
  return ok;
}

/* The published value called `name`; false when this scorer has none. */
static bool find_value(const Scorer *scorer, const char *name, double *value) {
  const char *found;
  for (int i = 0; (found = metrics_item(i, scorer->kind, &scorer->metrics, value)); i++)
    if (!strcmp(found, name)) return true;
  return false;
}

static void print_row(const Scorer *scorers, const char *name) {
  double value;
  printf("%-22s", name);
  for (int i = 0; i < SCORERS; i++)
    if (find_value(&scorers[i], name, &value))
      printf(" %14.4f", value);
    else
      printf(" %14s", "-");
  putchar('\n');
}

static void print_table(const Scorer *scorers) {
  const char *name;
  double value;
  printf("%-22s", "");
  for (int i = 0; i < SCORERS; i++) printf(" %14s", scorers[i].name);
  putchar('\n');
  for (int i = 0; (name = metrics_item(i, scorers[0].kind, &scorers[0].metrics, &value)); i++)
    print_row(scorers, name);
  /* A leaky model shares no name with the fills. */
  for (int i = 0; (name = metrics_item(i, METRICS_FILL, &scorers[1].metrics, &value)); i++)
    if (!find_value(&scorers[0], name, &value)) print_row(scorers, name);
  printf("%d held-out images; PSNR in dB\n", scorers[0].metrics.images);
}

static void print_json(const Scorer *scorers) {
  Text text = {0};
  text_format(&text, "{\"checkpoint\": ");
  text_json_string(&text, eval_line.weights);
  text_format(&text, ", \"images\": %d", scorers[0].metrics.images);
  for (int i = 0; i < SCORERS; i++) {
    const char *name;
    double value;
    text_format(&text, ", \"%s\": {\"perfect\": %d", scorers[i].name, scorers[i].metrics.perfect);
    for (int k = 0; (name = metrics_item(k, scorers[i].kind, &scorers[i].metrics, &value)); k++) {
      text_format(&text, ", \"%s\": ", name);
      text_json_number(&text, value, 17);
    }
    text_format(&text, "}");
  }
  printf("%.*s}\n", (int)text.length, text.bytes);
  text_free(&text);
}

int cmd_eval(int argc, char **argv) {
  bool json = false;
  const CmdOption options[] = {
      {"--checkpoint", CMD_TEXT, &eval_line.checkpoint, "PATH",
       "run folder, checkpoint folder or weights file (required)"},
      {"--json", CMD_FLAG, &json, NULL, "print JSON"},
  };
  CommandLine line = {.name = "eval",
                      .about = about,
                      .options = options,
                      .option_count = sizeof options / sizeof *options,
                      .base = checkpoint_config};
  int code;
  Error e = {0};
  if (!cmd_parse(&line, argc, argv, &code)) return code;
  Scorer scorers[SCORERS] = {
      {.name = "model", .kind = line.config.train.norm_pix ? METRICS_LEAKY : METRICS_MODEL},
      {.name = "fill_mean", .kind = METRICS_FILL},
      {.name = "fill_harmonic", .kind = METRICS_FILL}};
  Device *device = device_open(&line.config, 0, 1, &e);
  bool ok = device && score_all(scorers, &line.config, device, &e);
  if (device) device->kernels->close(device);
  if (!ok) return cmd_fail(line.name, &e);
  if (json)
    print_json(scorers);
  else
    print_table(scorers);
  return EXIT_OK;
}
