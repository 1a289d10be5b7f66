/* Sweep expansion: by table what must come out, and by table what must be refused and how. */
#include <check.h>
#include <ftw.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness/base/strings.h"
#include "harness/plan/plan.h"
#include "harness/plan/sweep.h"
#include "tests/suite.h"

static char folder[] = "/tmp/test_plan_XXXXXX";
static char path[256], scale_path[256];

static int remove_entry(const char *name, const struct stat *info, int type, struct FTW *ftw) {
  (void)info, (void)type, (void)ftw;
  return remove(name);
}

static void setup(void) {
  strcpy(folder + strlen(folder) - 6, "XXXXXX");
  ck_assert_ptr_nonnull(mkdtemp(folder));
  snprintf(path, sizeof path, "%s/exp.ini", folder);
  snprintf(scale_path, sizeof scale_path, "%s/tiny.ini", folder);
}

static void teardown(void) {
  nftw(folder, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

static void write_text(const char *name, const char *text) {
  FILE *file = fopen(name, "w");
  ck_assert_ptr_nonnull(file);
  ck_assert_int_ge(fputs(text, file), 0);
  ck_assert_int_eq(fclose(file), 0);
}

/* All trials, one per line, as plan_describe says them. */
static char *describe_all(const Plan *plan) {
  char *text = NULL;
  size_t size;
  FILE *out = open_memstream(&text, &size);
  for (int i = 0; i < plan->count; i++) {
    char *line = plan_describe(&plan->trials[i]);
    fprintf(out, "%s%s", i ? "\n" : "", line);
    free(line);
  }
  fclose(out);
  return text;
}

#define RATIO "train.mask_ratio"
#define BATCH "train.batch"

static const struct {
  const char *text, *trials;
  int excluded, duplicates;
} expansions[] = {
    {"[train]\nbatch = 8\n", "(no sweep)", 0, 0},
    {"[sweep]\ntrain.mask_ratio = .5, 0.75\n", RATIO "=0.5\n" RATIO "=0.75", 0, 0},
    /* The last key varies fastest, seeds slowest wherever they stand. */
    {"[sweep]\ntrain.mask_ratio = .5, .75\ntrain.batch = 8, 16\n",
     RATIO "=0.5 " BATCH "=8\n" RATIO "=0.5 " BATCH "=16\n" RATIO "=0.75 " BATCH "=8\n" RATIO
           "=0.75 " BATCH "=16",
     0, 0},
    {"[sweep]\ntrain.mask_ratio = .5, .75\nseeds = 1..2\n",
     "run.seed=1 " RATIO "=0.5\nrun.seed=1 " RATIO "=0.75\nrun.seed=2 " RATIO
     "=0.5\nrun.seed=2 " RATIO "=0.75",
     0, 0},
    {"[sweep]\nseeds = 7, 1..2\n", "run.seed=7\nrun.seed=1\nrun.seed=2", 0, 0},
    /* Keys that vary together, in the place of the first. */
    {"[sweep]\nmodel.pos_embed = learned, none\ntrain.batch = 8, 16\n"
     "model.decoder_pos_embed = none, learned\nzip = model.pos_embed model.decoder_pos_embed\n",
     "model.pos_embed=learned " BATCH "=8 model.decoder_pos_embed=none\n"
     "model.pos_embed=learned " BATCH "=16 model.decoder_pos_embed=none\n"
     "model.pos_embed=none " BATCH "=8 model.decoder_pos_embed=learned\n"
     "model.pos_embed=none " BATCH "=16 model.decoder_pos_embed=learned",
     0, 0},
    {"[sweep]\ntrain.mask_ratio = .5, .75\ntrain.batch = 8, 16\n"
     "exclude = train.mask_ratio=0.50 train.batch=8, train.batch=16 train.mask_ratio=.75\n",
     RATIO "=0.5 " BATCH "=16\n" RATIO "=0.75 " BATCH "=8", 2, 0},
    /* Equal configurations run once, however they are written; threads change no result. */
    {"[sweep]\ntrain.mask_ratio = .5, 0.50, .75\n", RATIO "=0.5\n" RATIO "=0.75", 0, 1},
    {"[sweep]\nrun.threads = 1, 2\n", "run.threads=1", 0, 1},
    {"[sweep]\nmodel.encoder = vit_tiny, 192x12x3\n", "model.encoder=192x12x3", 0, 1},
    /* A section of one scale counts with that scale only. */
    {"[sweep]\ntrain.batch = 8\n[sweep.tiny]\ntrain.batch = 4\n[sweep.huge]\ntrain.batch = 64\n",
     BATCH "=8", 0, 0},
};

START_TEST(expands) {
  Plan plan;
  Error error = {0};
  write_text(path, expansions[_i].text);
  ck_assert_msg(plan_load(&plan, path, NULL, NULL, 0, &error), "%s", error.message);
  char *trials = describe_all(&plan);
  ck_assert_str_eq(trials, expansions[_i].trials);
  ck_assert_int_eq(plan.excluded, expansions[_i].excluded);
  ck_assert_int_eq(plan.duplicates, expansions[_i].duplicates);
  ck_assert_str_eq(plan.name, "exp");
  /* What the plan says it was gives the same plan again. */
  Plan again;
  write_text(path, plan.text);
  ck_assert_msg(plan_load(&again, path, NULL, NULL, 0, &error), "%s", error.message);
  ck_assert_int_eq(again.count, plan.count);
  for (int i = 0; i < plan.count; i++) ck_assert_str_eq(again.trials[i].hash, plan.trials[i].hash);
  free(trials);
  plan_free(&again);
  plan_free(&plan);
}
END_TEST

#define PAPER "[experiment]\nquestion = Why?\nx = train.mask_ratio\n[paper]\nsource = They\n"

/* What is refused: the message begins with where and holds why. */
static const struct {
  const char *text, *where, *why;
} refusals[] = {
    {"[train]\nmask_ration = 1\n", ":2:", "did you mean train.mask_ratio"},
    {"[sweep]\ntrain.mask_ration = 1\n", ":2:", "did you mean train.mask_ratio"},
    {"[sweep]\ntrain.mask_ratio = .5, x\n", ":2:20", "train.mask_ratio"},
    {"[sweep]\ntrain.mask_ratio = .5, 1.5\n", ":2:20", "train.mask_ratio"},
    {"[sweep]\ntrain.mask_ratio =\n", ":2:", "empty"},
    {"[sweep]\ntrain.mask_ratio = .5,,.6\n", ":2:20", "empty value"},
    {"[sweep]\nseeds = 3..1\n", ":2:9", "end is before"},
    {"[sweep]\nseeds = 1..\n", ":2:9", "FIRST..LAST"},
    {"[sweep]\nseeds = 1..99999999\n", ":2:9", "too many"},
    {"[sweep]\nseeds = 1-3\n", ":2:9", "whole number from 0 to 9007199254740991; a range is"},
    {"[sweep]\nseed = 1..3\n", ":2:8: [sweep] seed:", "no such key; did you mean seeds?"},
    {"[sweep]\nSeeds = 1\n", ":2:9: [sweep] Seeds:", "did you mean seeds?"},
    {"[swep]\nseeds = 1\n", ":2:", "there is no section [swep]; did you mean [sweep]?"},
    {"[Sweep.cpu]\ntrain.batch = 8\n", ":2:", "[Sweep.cpu]; did you mean [sweep.cpu]?"},
    {"[experiment.cpu]\nname = a\n", ":2:", "[experiment.cpu]; did you mean [experiment]?"},
    {"[run]\nsed = 1\n", ":2:", "did you mean run.seed?"},
    {"[sweep]\nseeds = 1..1000\ntrain.batch = 2, 4\ntrain.mask_ratio = .1, .2, .3, .4, .5, .6\n"
     "train.blr = 1, 2, 3, 4, 5, 6, 7, 8, 9\n",
     "exp.ini", "more than 100000"},
    {"[sweep]\ntrain.batch = 8, 16\nrun.seed = 1, 2\nzip = train.batch run.sed\n",
     ":4:", "run.sed has no list"},
    {"[sweep]\ntrain.batch = 8, 16\nrun.seed = 1, 2, 3\nzip = train.batch run.seed\n",
     ":4:", "train.batch has 2 values and run.seed has 3"},
    {"[sweep]\ntrain.batch = 8, 16\nzip = train.batch\n", ":3:", "two keys"},
    {"[sweep]\ntrain.batch = 8, 16\nrun.seed = 1, 2\nzip = train.batch, run.seed\n",
     ":4:", "with blanks between them"},
    {"[sweep]\ntrain.batch = 8\nexclude = train.batch=8\n", "exp.ini", "[sweep] is empty"},
    {"[sweep]\ntrain.batch = 8\nexclude = train.batch=9\n", ":3:", "9 is not in the list"},
    {"[sweep]\ntrain.batch = 8\nexclude = train.mask_ratio=.5\n", ":3:", "has no list"},
    {"[sweep]\ntrain.batch = 8\nexclude = train.batch\n", ":3:", "key=value"},
    {"[experiment]\nnam = x\n", ":2:", "unknown key"},
    {"[experiment]\nname = a/b\n", ":2:", "names a folder"},
    {"[experiment]\nx = train.mask_ration\n", ":2:", "did you mean train.mask_ratio"},
    {"[train]\nbatch = 8\n[experiment]\nquestion = Gr\xf6\xdf"
     "e?\n",
     ":4:12: [experiment] question", "not UTF-8"},
    {PAPER "table = 1\n", ":6:9: [paper] table", "unknown key; there are source"},
    {PAPER "linear = .5: 70, .75: good\n", ":6:10: [paper] linear", "\"good\" is no number"},
    {PAPER "linear = .5: 700\n", ":6:10: [paper] linear", "\"700\" is no number of percent"},
    {PAPER "linear = .5: nan\n", ":6:10: [paper] linear", "\"nan\" is no number of percent"},
    {PAPER "linear = .5: 70, .75: 71, .5: 72\n", ":6:10: [paper] linear", ".5 is given twice"},
    {PAPER "linear = .5 70\n", ":6:10: [paper] linear", "is written SETTING: NUMBER"},
    {PAPER "linear = .5: 70,\n", ":6:10: [paper] linear", "is written SETTING: NUMBER"},
    {PAPER "linear = a: 70\nours = a: 1.5\n", ":7:8: [paper] ours", "a: train.mask_ratio: '1.5'"},
    {PAPER "linear = a: 70\nours = a: .5 .6\n", ":7:8: [paper] ours", "2 values for 1 key"},
    {PAPER "linear = a: 70\nours = b: .5\n", ":7:8: [paper] ours", "b: no series names"},
    {PAPER "linear = a: 70\nours = a: .5, a: .6\n", ":7:8: [paper] ours", "a is given twice"},
    {PAPER "linear = a: 70\nkey = train.mask_ration\n", ":7:7: [paper] key", "did you mean"},
    {PAPER "linear = a: 70\ncompare = ,\n", ":7:11: [paper] compare", "names no metric"},
    {PAPER "compare = a\n", ":5:10: [paper] source", "no series: finetuned or linear"},
    {"[paper]\nlinear = .5: 70\n", ":2:10: [paper] linear", "needs a source"},
    {"[paper]\nsource = They\nlinear = .5: 70\n", ":2:10: [paper] source", "has no x"},
    /* Between options: the line of the value that is wrong, and the trial. */
    {"[model]\nencoder = 64x2x2\n[sweep]\nmodel.decoder = 32x1x1, 34x1x1\n", ":4:17",
     "trial model.decoder=34x1x1"},
    {"[sweep]\ntrain.mask_ratio = .5, .999\n", ":2:20", "trial train.mask_ratio=0.999"},
    {"[model]\nimage_size = 65\n", ":2:", "patch"},
    {"", "exp.ini", "no setting in it"},
    {"; nothing but a comment\n", "exp.ini", "no setting in it"},
};

/* A section for a scale that was misspelt would change nothing; one for somebody's own scale is
 * none of that kind. */
START_TEST(a_misspelt_scale_is_noted) {
  static const char right[] = "[sweep]\ntrain.batch = 8\n[sweep.cpu]\nseeds = 1\n"
                              "[sweep.laboratory]\nseeds = 1..2\n";
  char text[256];
  Plan plan;
  Error error = {0};
  write_text(path, right);
  ck_assert_msg(plan_load(&plan, path, NULL, NULL, 0, &error), "%s", error.message);
  ck_assert_ptr_null(plan.note);
  plan_free(&plan);
  snprintf(text, sizeof text, "%s[sweep.cpuhour]\nseeds = 1..3\n", right);
  write_text(path, text);
  ck_assert_msg(plan_load(&plan, path, NULL, NULL, 0, &error), "%s", error.message);
  ck_assert_ptr_nonnull(plan.note);
  ck_assert_msg(strstr(plan.note, "exp.ini:8: [sweep.cpuhour] is passed over: there is no scale "
                                  "cpuhour; did you mean [sweep.cpu-hour]?") != NULL,
                "%s", plan.note);
  plan_free(&plan);
}
END_TEST

START_TEST(a_path_that_is_not_read_is_noted) {
  static const char *const texts[] = {"[data]\npath = /tmp\n[sweep]\nseeds = 1, 2\n",
                                      "[data]\npath = /tmp\n[sweep]\n"
                                      "data.source = shapes, imagefolder\n"};
  for (int i = 0; i < 2; i++) {
    Plan plan;
    Error error = {0};
    write_text(path, texts[i]);
    ck_assert_msg(plan_load(&plan, path, NULL, NULL, 0, &error), "%s", error.message);
    ck_assert_int_eq(plan.note && strstr(plan.note, "data.path is set and not read"), i == 0);
    plan_free(&plan);
  }
}
END_TEST

START_TEST(refuses) {
  Plan plan;
  Error error = {0};
  write_text(path, refusals[_i].text);
  ck_assert(!plan_load(&plan, path, NULL, NULL, 0, &error));
  ck_assert_int_eq(error.code, EXIT_CONFIG);
  ck_assert_msg(!strncmp(error.message, path, strlen(path)) &&
                    strstr(error.message, refusals[_i].where),
                "where: %s", error.message);
  ck_assert_msg(strstr(error.message, refusals[_i].why) != NULL, "why: %s", error.message);
}
END_TEST

static void load_with(Plan *plan, const char *key, const char *value) {
  Error error = {0};
  PlanOverride set = {key, value};
  ck_assert_msg(plan_load(plan, path, scale_path, &set, 1, &error), "%s", error.message);
}

START_TEST(later_wins) {
  Plan plan;
  write_text(scale_path, "[train]\nbatch = 8\nblr = 0.5\nsteps = 3\n");
  write_text(path, "[train]\nblr = 0.25\nsteps = 4\n[sweep]\nrun.seed = 1, 2\n"
                   "[sweep.tiny]\nrun.seed = 5, 6\n");
  load_with(&plan, "train.steps", "9");
  const Config *config = &plan.trials[0].config;
  ck_assert_int_eq(config->train.batch, 8);
  ck_assert_double_eq(config->train.blr, 0.25);
  ck_assert_int_eq(config->train.steps, 9);
  ck_assert_str_eq(plan.scale, "tiny");
  char *trials = describe_all(&plan);
  ck_assert_str_eq(trials, "run.seed=5\nrun.seed=6");
  free(trials);
  plan_free(&plan);
}
END_TEST

/* A setting of the paper as "name [our values] finetuned linear"; NaN: none. */
static char *describe_paper(const Paper *paper) {
  char *text = NULL;
  size_t size;
  FILE *out = open_memstream(&text, &size);
  for (int i = 0; i < paper->count; i++) {
    const PaperSetting *setting = &paper->settings[i];
    fprintf(out, "%s%s [", i ? "\n" : "", setting->name);
    for (int v = 0; v < setting->values.count; v++)
      fprintf(out, "%s%s", v ? " " : "", setting->values.items[v]);
    fprintf(out, "] %g %g", setting->number[0], setting->number[1]);
  }
  fclose(out);
  return text;
}

static void expect_paper(const Plan *plan, const char *wanted) {
  char *got = describe_paper(&plan->paper);
  ck_assert_str_eq(got, wanted);
  free(got);
}

/* A setting stands for itself where it can, and a scale's names replace the general ones. */
START_TEST(reads_published_numbers) {
  Plan plan, again;
  Error error = {0};
  write_text(scale_path, "");
  write_text(path, PAPER "finetuned = .50: 84.9, PCA: 84.6\nlinear = .50: 69.9, 75 %: 73.5\n"
                         "ours = 75 %: .75\n[paper.tiny]\nours = 75 %: .8, .50: -\n"
                         "[paper.huge]\nours = 75 %: .9\n");
  ck_assert_msg(plan_load(&plan, path, NULL, NULL, 0, &error), "%s", error.message);
  ck_assert_str_eq(plan.paper.source, "They");
  ck_assert_str_eq(plan.paper.compare.items[0], "linear_mean");
  ck_assert_str_eq(plan.paper.compare.items[1], "knn_mean");
  expect_paper(&plan, ".50 [0.5] 84.9 69.9\nPCA [] 84.6 nan\n75 % [0.75] nan 73.5");
  write_text(path, plan.text); /* what the plan says it was says the same of the paper */
  ck_assert_msg(plan_load(&again, path, NULL, NULL, 0, &error), "%s", error.message);
  expect_paper(&again, ".50 [0.5] 84.9 69.9\nPCA [] 84.6 nan\n75 % [0.75] nan 73.5");
  plan_free(&again);
  plan_free(&plan);
  write_text(path, PAPER "linear = .50: 69.9, 75 %: 73.5\n[paper.tiny]\nours = 75 %: .8, "
                         ".50: -\nkey = train.mask train.mask_ratio\n");
  ck_assert(!plan_load(&plan, path, scale_path, NULL, 0, &error));
  ck_assert_msg(strstr(error.message, ":8:8: [paper.tiny] ours: 75 %: 1 value for 2 keys") != NULL,
                "%s", error.message);
}
END_TEST

/* Metrics are names: one that only another program records is no error. */
START_TEST(a_scale_and_set_change_published_numbers) {
  Plan plan;
  write_text(scale_path, "");
  write_text(path, PAPER "linear = a: 69.9, b: 73.5\nkey = train.mask train.mask_ratio\n"
                         "[paper.tiny]\nours = a: block .50, b: random .75\n");
  load_with(&plan, "paper.compare", "metric_of_tomorrow");
  expect_paper(&plan, "a [block 0.5] nan 69.9\nb [random 0.75] nan 73.5");
  ck_assert_int_eq(plan.paper.compare.count, 1);
  ck_assert_str_eq(plan.paper.compare.items[0], "metric_of_tomorrow");
  plan_free(&plan);
}
END_TEST

static const struct {
  const char *key, *value, *trials;
} overrides[] = {
    {"run.seed", "7", "run.seed=7 " BATCH "=4\nrun.seed=7 " BATCH "=8"},
    {"sweep.seeds", "3..4",
     "run.seed=3 " BATCH "=4\nrun.seed=3 " BATCH "=8\nrun.seed=4 " BATCH "=4\nrun.seed=4 " BATCH
     "=8"},
    {"sweep.train.mask_ratio", ".5", /* not swept before */
     "run.seed=1 " BATCH "=4 " RATIO "=0.5\nrun.seed=1 " BATCH "=8 " RATIO "=0.5"},
    {"sweep.exclude", "train.batch=4", "run.seed=1 " BATCH "=8"},
    {"train.batch", "2,6", "run.seed=1 " BATCH "=2\nrun.seed=1 " BATCH "=6"},
};

START_TEST(set_replaces_lists) {
  Plan plan;
  write_text(scale_path, "");
  write_text(path, "[sweep]\nseeds = 1\ntrain.batch = 4, 8\n");
  load_with(&plan, overrides[_i].key, overrides[_i].value);
  char *trials = describe_all(&plan);
  ck_assert_str_eq(trials, overrides[_i].trials);
  free(trials);
  plan_free(&plan);
}
END_TEST

START_TEST(set_of_one_value_leaves_its_zip) {
  Plan plan;
  write_text(scale_path, "");
  write_text(path, "[sweep]\nmodel.pos_embed = learned, none\nmodel.decoder_pos_embed = none, "
                   "learned\nzip = model.pos_embed model.decoder_pos_embed\n");
  load_with(&plan, "model.pos_embed", "sincos2d");
  char *trials = describe_all(&plan);
  ck_assert_str_eq(trials, "model.pos_embed=sincos2d model.decoder_pos_embed=none\n"
                           "model.pos_embed=sincos2d model.decoder_pos_embed=learned");
  free(trials);
  plan_free(&plan);
}
END_TEST

START_TEST(set_errors_name_the_option) {
  static const struct {
    const char *key, *value, *why;
  } cases[] = {{"train.batch", "8,16", "--set sweep.train.batch=8,16"},
               {"train.bach", "8", "did you mean train.batch"},
               {"train.mask_ratio", "0.999", "--set: trial"},
               {"experiment.name", "a b", "names a folder"},
               {"paper.table", "1", "--set: [paper] table: unknown key"},
               {"sweep.zip", "a b", "a has no list"}};
  write_text(path, "[train]\nepochs = 1\n");
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    Plan plan;
    Error error = {0};
    PlanOverride set = {cases[i].key, cases[i].value};
    ck_assert(!plan_load(&plan, path, NULL, &set, 1, &error));
    ck_assert_int_eq(error.code, EXIT_CONFIG);
    ck_assert_msg(strstr(error.message, "--set") && strstr(error.message, cases[i].why), "%s",
                  error.message);
  }
}
END_TEST

START_TEST(missing_files) {
  Plan plan;
  Error error = {0};
  ck_assert(!plan_load(&plan, "/nowhere/exp.ini", NULL, NULL, 0, &error));
  ck_assert_ptr_nonnull(strstr(error.message, "/nowhere/exp.ini"));
  write_text(path, "include = exp.ini\n");
  ck_assert(!plan_load(&plan, path, NULL, NULL, 0, &error));
  ck_assert_int_eq(error.code, EXIT_CONFIG);
  ck_assert_ptr_nonnull(strstr(error.message, "circular"));
}
END_TEST

static const char *swept_value(const PlanTrial *trial, const char *key) {
  for (int i = 0; i < trial->swept_count; i++)
    if (!strcmp(trial->swept[i].key, key)) return trial->swept[i].value;
  return "";
}

static bool stands_for(const PlanTrial *trial, const Paper *paper, const PaperSetting *setting) {
  for (int v = 0; v < setting->values.count; v++)
    if (strcmp(swept_value(trial, paper->keys.items[v]), setting->values.items[v])) return false;
  return setting->values.count > 0;
}

/* Settings of the paper that trials of the plan stand for. */
static int settings_run(const Plan *plan) {
  int run = 0;
  for (int s = 0; s < plan->paper.count; s++) {
    bool found = false;
    for (int t = 0; t < plan->count && !found; t++)
      found = stands_for(&plan->trials[t], &plan->paper, &plan->paper.settings[s]);
    run += found;
  }
  return run;
}

static void check_shipped(const char *file, const char *scale, const PlanOverride *sets,
                          int count) {
  Plan plan;
  Error error = {0};
  ck_assert_msg(plan_load(&plan, file, scale, sets, count, &error), "%s", error.message);
  ck_assert_int_ge(plan.count, 2);
  ck_assert_msg(*plan.question && *plan.expected && *plan.source, "%s", file);
  if (plan.paper.source)
    ck_assert_msg(settings_run(&plan) >= 2, "%s, %s: %d settings of the paper are run", file, scale,
                  settings_run(&plan));
  plan_free(&plan);
}

/* The experiments that come with the program, at every scale: valid, what they say they are, and
 * with something to hold beside the published numbers they have. */
START_TEST(shipped_experiments) {
  static const char *const scales[] = {"cpu", "cpu-hour", "t4x2", "h200"};
  PlanOverride data[] = {{"data.source", "tiny-imagenet"}, {"data.path", "/tmp"}};
  glob_t found;
  ck_assert_int_eq(glob(SOURCE_DIR "/experiments/ablations/*.ini", 0, NULL, &found), 0);
  ck_assert_int_eq(glob(SOURCE_DIR "/experiments/*.ini", GLOB_APPEND, NULL, &found), 0);
  ck_assert_uint_ge(found.gl_pathc, 11);
  for (size_t f = 0; f < found.gl_pathc; f++) {
    for (int s = 0; s < 3; s++) {
      char scale[512];
      snprintf(scale, sizeof scale, SOURCE_DIR "/experiments/scales/%s.ini", scales[s]);
      check_shipped(found.gl_pathv[f], scale, data, s ? 2 : 0);
    }
  }
  globfree(&found);
}
END_TEST

/* As many trials as are allowed. No time is measured: a search through all earlier trials for each,
 * or through all rows for each cell, takes minutes where this takes a second or two, and runs into
 * the case's limit. */
START_TEST(most_trials_allowed) {
  Plan plan;
  Error error = {0};
  char text[64];
  snprintf(text, sizeof text, "[sweep]\nseeds = 1..%d\n", SWEEP_TRIALS_MAX);
  write_text(path, text);
  ck_assert_msg(plan_load(&plan, path, NULL, NULL, 0, &error), "%s", error.message);
  ck_assert_int_eq(plan.count, SWEEP_TRIALS_MAX);
  plan_free(&plan);
}
END_TEST

START_TEST(table_of_the_most_rows_allowed) {
  Table table = {.columns = 4};
  char *text = NULL;
  size_t size;
  FILE *out = open_memstream(&text, &size);
  for (int i = 0; i < 4; i++) table_cell(&table, "%c", 'a' + i);
  for (int r = 0; r < SWEEP_TRIALS_MAX; r++) {
    table_cell(&table, "%d", r);
    table_cell(&table, "%s", r ? "x" : "word");
    table_cell(&table, "%s", r ? "-" : "1.5 MiB");
    table_cell(&table, "end");
  }
  table_print(&table, out);
  table_free(&table);
  fclose(out);
  ck_assert_msg(!strncmp(text,
                         "    a  b           c  d\n    0  word  1.5 MiB  end\n"
                         "    1  x           -  end\n",
                         70),
                "%.80s", text);
  ck_assert_uint_eq(size, 24 + (size_t)SWEEP_TRIALS_MAX * 26);
  free(text);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("plan");
  TCase *cases = tcase_create("plan");
  tcase_add_checked_fixture(cases, setup, teardown);
  tcase_add_loop_test(cases, expands, 0, sizeof expansions / sizeof *expansions);
  tcase_add_loop_test(cases, refuses, 0, sizeof refusals / sizeof *refusals);
  tcase_add_test(cases, a_misspelt_scale_is_noted);
  tcase_add_test(cases, a_path_that_is_not_read_is_noted);
  tcase_add_loop_test(cases, set_replaces_lists, 0, sizeof overrides / sizeof *overrides);
  tcase_add_test(cases, later_wins);
  tcase_add_test(cases, reads_published_numbers);
  tcase_add_test(cases, a_scale_and_set_change_published_numbers);
  tcase_add_test(cases, set_of_one_value_leaves_its_zip);
  tcase_add_test(cases, set_errors_name_the_option);
  tcase_add_test(cases, missing_files);
  tcase_add_test(cases, shipped_experiments);
  suite_add_tcase(suite, cases);
  TCase *large = tcase_create("large");
  tcase_add_checked_fixture(large, setup, teardown);
  tcase_set_timeout(large, 120);
  tcase_add_test(large, most_trials_allowed);
  tcase_add_test(large, table_of_the_most_rows_allowed);
  suite_add_tcase(suite, large);
  return suite_run(suite);
}
