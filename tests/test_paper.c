/* An experiment beside published numbers: what is recorded of them, and whether the order of our
 * settings is said to be theirs. The fake trainer's psnr_masked falls as the mask ratio rises, and
 * rises by 0.01 dB a seed. */
#include <glob.h>
#include <jansson.h>

#include "mae/base/error.h"
#include "tests/suite.h"
#include "tests/sweep.h"

#define RISING "0.25: 60, 0.5: 70, 0.75: 80"
#define FALLING "0.25: 80, 0.5: 70, 0.75: 60"

static void write_experiment(const char *paper, const char *sweep) {
  char text[1024];
  snprintf(text, sizeof text,
           "[experiment]\nquestion = Why?\nx = train.mask_ratio\n[train]\nbatch = 8\n"
           "%s[sweep]\ntrain.mask_ratio = 0.25, 0.5, 0.75\n%s",
           paper, sweep);
  scratch_write("exp.ini", text);
}

#define OF_PSNR "[paper]\nsource = They 2022, table 1\ncompare = psnr_masked\n"

static const struct {
  const char *paper, *sweep, *said;
} verdicts[] = {
    {OF_PSNR "linear = " FALLING "\n", "seeds = 1..3\n",
     "linear: agrees (psnr_masked of 3 settings, 3 seeds: tau +1.00, 95% interval +1.00 to "
     "+1.00)\n"},
    {OF_PSNR "linear = " RISING "\n", "seeds = 1..3\n",
     "linear: contradicts (psnr_masked of 3 settings, 3 seeds: tau -1.00, 95% interval -1.00 to "
     "-1.00)\n"},
    {OF_PSNR "linear = " RISING "\n", "seeds = 1, 2\n",
     "linear: too few seeds to tell (psnr_masked of 3 settings, 2 seeds: tau -1.00, 95% interval "
     "-1.00 to -1.00)\n"},
    {OF_PSNR "linear = " FALLING "\n", "seeds = 1\n",
     "linear: too few seeds to tell (psnr_masked of 3 settings, 1 seed: tau +1.00 without an "
     "interval)\n"},
    /* Two series, each with its own verdict; a tie of the paper's leaves two pairs of three. */
    {OF_PSNR "finetuned = 0.25: 80, 0.5: 80, 0.75: 70\nlinear = " RISING "\n", "seeds = 1..3\n",
     "finetuned: agrees (psnr_masked of 3 settings, 3 seeds: tau +0.82, 95% interval +0.82 to "
     "+0.82)\nlinear: contradicts"},
    /* One pair of three the other way round, whatever the seed. */
    {OF_PSNR "linear = 0.25: 7, 0.5: 8, 0.75: 6\n", "seeds = 1..3\n",
     "linear: agrees in part (psnr_masked of 3 settings, 3 seeds: tau +0.33, 95% interval +0.33 to "
     "+0.33)\n"},
    {OF_PSNR "linear = 0.25: 7, 0.5: 7, 0.75: 7\n", "seeds = 1..3\n",
     "linear: nothing to compare (psnr_masked of 3 settings: one side's are all alike)"},
    /* A setting in the paper's words, one that is not swept and one that nothing stands for. */
    {OF_PSNR "linear = few: 80, 0.5: 70, 0.6: 1, tokens: 2\nours = few: .25\n", "seeds = 1..3\n",
     "linear: agrees (psnr_masked of 2 settings, 3 seeds: tau +1.00"},
    {OF_PSNR "linear = 0.25: 80, 0.6: 1\n", "seeds = 1..3\n",
     "linear: nothing to compare (psnr_masked of 1 setting that both have)"},
    {"[paper]\nsource = They\ncompare = knn_of_tomorrow, psnr_masked\nlinear = " FALLING "\n",
     "seeds = 1..3\n",
     "linear: agrees (psnr_masked of 3 settings, 3 seeds: tau +1.00, 95% interval +1.00 to "
     "+1.00; no knn_of_tomorrow was recorded)"},
    {"[paper]\nsource = They\ncompare = knn_of_tomorrow\nlinear = " FALLING "\n", "seeds = 1..3\n",
     "linear: nothing to compare (no knn_of_tomorrow was recorded)"},
    /* Of a loss the lower is the better: the same on all settings here, so no order. */
    {"[paper]\nsource = They\ncompare = loss\nlinear = " FALLING "\n", "seeds = 1..3\n",
     "linear: nothing to compare (loss of 3 settings: one side's are all alike)"},
    /* Two points under one setting have no mean that means anything. */
    {OF_PSNR "linear = " FALLING "\n", "model.pos_embed = learned, none\nseeds = 1..3\n",
     "linear: nothing to compare (psnr_masked of 0 settings that both have)"},
};

/* `run` says in its last line what `compare` says of each series, and the database holds it. */
START_TEST(orders_are_compared) {
  write_experiment(verdicts[_i].paper, verdicts[_i].sweep);
  expect_code(RUN_FAKE, 0, "\nbeside the paper: ");
  expect_code("compare exp --db r.db", 0, verdicts[_i].said);
  char *recorded = query_db("r.db", "SELECT text FROM paper_verdicts ORDER BY series");
  ck_assert_msg(strstr(recorded, verdicts[_i].said) != NULL, "%s", recorded);
  free(recorded);
}
END_TEST

/* Seeds that put two settings in another order than their means do. */
START_TEST(a_doubtful_order_is_no_verdict) {
  write_experiment(OF_PSNR "linear = " FALLING "\n", "seeds = 1..3\n");
  expect_code(RUN_FAKE, 0, "linear: agrees");
  free(query_db("r.db", "UPDATE metric SET value = 30 WHERE name = 'psnr_masked' AND trial IN "
                        "(SELECT trial FROM trial WHERE swept LIKE 'run.seed=2%ratio=0.75')"));
  expect_code("compare exp --db r.db", 0, "linear: too few seeds to tell");
  /* Lower is better: with the order of the losses turned, the same seeds contradict. */
  free(query_db("r.db", "UPDATE metric SET value = (SELECT mask_ratio FROM trials WHERE "
                        "trials.trial = metric.trial) WHERE name = 'loss'"));
  expect_code("compare exp --db r.db --metric loss", 0, "linear: agrees (loss of 3 settings");
}
END_TEST

START_TEST(numbers_stand_side_by_side) {
  write_experiment(OF_PSNR "finetuned = 0.25: 84.9\nlinear = " FALLING ", tokens: 59.6\n",
                   "seeds = 1..3\n");
  expect_code(RUN_FAKE, 0, "");
  expect_code("compare exp.ini --db r.db", 0, "exp beside They 2022, table 1\n");
  expect_code("compare exp --db r.db", 0,
              "\n0.25             train.mask_ratio=0.25      3             19.02  0.01           "
              "84.9        80.0\n");
  expect_code(
      "compare exp --db r.db", 0,
      "\ntokens           -                          0                 -     -              "
      "-        59.6\n");
  expect_code("compare exp --db r.db --json", 0, "\"verdict\": \"agrees\"");
  char *text = scratch_read("log");
  json_t *json = json_loads(text, 0, NULL);
  ck_assert_ptr_nonnull(json);
  ck_assert_int_eq((int)json_array_size(json_object_get(json, "settings")), 4);
  json_decref(json);
  free(text);
  expect_code("compare exp --db r.db --metric psnr", 2, "no metric \"psnr\"; there are: ");
  expect_code("compare ex --db r.db", 2, "did you mean exp?");
  expect_rows("SELECT setting, series, accuracy, ours, source, compare FROM paper "
              "WHERE position IN (0, 3)",
              "0.25|finetuned|84.9|train.mask_ratio=0.25|They 2022, table 1|psnr_masked\n"
              "0.25|linear|80.0|train.mask_ratio=0.25|They 2022, table 1|psnr_masked\n"
              "tokens|linear|59.6||They 2022, table 1|psnr_masked\n");
}
END_TEST

/* The folders hold all of it; one of before there were published numbers has none. */
START_TEST(an_import_gives_the_same) {
  static const char all[] = "SELECT * FROM paper_source, paper_number, paper_value, paper_verdict";
  write_experiment(OF_PSNR "linear = " FALLING "\n", "seeds = 1..3\n");
  expect_code(RUN_FAKE, 0, "");
  char *live = query_db("r.db", all);
  ck_assert(*live);
  expect_code("import --db new.db --out out", 0, "");
  char *rebuilt = query_db("new.db", all);
  ck_assert_str_eq(live, rebuilt);
  free(live);
  free(rebuilt);
  char *text = scratch_read("out/exp/sweep.json"), *member = strstr(text, ",\n  \"paper\"");
  ck_assert_ptr_nonnull(member);
  strcpy(member, "\n}\n");
  scratch_write("out/exp/sweep.json", text);
  free(text);
  expect_code("import --db r.db --out out", 0, "");
  expect_rows("SELECT * FROM paper", "");
  expect_rows("SELECT * FROM paper_verdicts", "");
  expect_rows("SELECT count(*) FROM trials WHERE status = 'done'", "9\n");
  expect_code("compare exp --db r.db", 0, "exp: psnr_masked of every two points");
}
END_TEST

static const struct {
  const char *what, *with, *said;
} damages[] = {
    {"\"psnr_masked\"\n", "7\n", "member \"compare\" is not a list of texts"},
    {"\"setting\": \"0.5\"", "\"setting\": 5", "member \"setting\" is not text"},
    {"\"linear\": 70.0", "\"linear\": \"x\"", "member \"linear\""},
    {"\"0.25\"\n", "\"0.25\", \"1\"\n", "member \"ours\" is not a value for each of the keys"},
};

/* What comes in a copied folder is refused with its reason, and nothing of it is taken. */
START_TEST(a_bad_description_is_left_out) {
  write_experiment(OF_PSNR "linear = " FALLING "\n", "seeds = 1..3\n");
  expect_code(RUN_FAKE, 0, "");
  char *text = scratch_read("out/exp/sweep.json"), *at = strstr(text, damages[_i].what);
  ck_assert_ptr_nonnull(at);
  size_t gone = strlen(damages[_i].what), size = strlen(text) + 64;
  char *changed = calloc(1, size);
  snprintf(changed, size, "%.*s%s%s", (int)(at - text), text, damages[_i].with, at + gone);
  scratch_write("out/exp/sweep.json", changed);
  free(text);
  free(changed);
  expect_code("import --db new.db --out out", EXIT_DATA, damages[_i].said);
  char *rows = query_db("new.db", "SELECT count(*) FROM sweep, paper_source");
  ck_assert_str_eq(rows, "0\n");
  free(rows);
}
END_TEST

/* Every ablation there is, as a user looks at it first: its plan, at each scale. */
START_TEST(every_ablation_has_a_plan) {
  static const char *const scales[] = {"cpu", "cpu-hour", "t4x2", "h200"};
  glob_t found;
  ck_assert_int_eq(glob(SOURCE_DIR "/experiments/ablations/*.ini", 0, NULL, &found), 0);
  for (size_t f = 0; f < found.gl_pathc; f++) {
    char words[1024];
    snprintf(words, sizeof words, "run %s --scale %s --set data.source=shapes --dry-run --out out",
             found.gl_pathv[f], scales[_i]);
    expect_code(words, 0, " trials, ");
  }
  globfree(&found);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("paper");
  TCase *cases = tcase_create("paper");
  tcase_set_timeout(cases, 120);
  tcase_add_checked_fixture(cases, setup, scratch_teardown);
  tcase_add_loop_test(cases, orders_are_compared, 0, sizeof verdicts / sizeof *verdicts);
  tcase_add_test(cases, a_doubtful_order_is_no_verdict);
  tcase_add_test(cases, numbers_stand_side_by_side);
  tcase_add_test(cases, an_import_gives_the_same);
  tcase_add_loop_test(cases, a_bad_description_is_left_out, 0, sizeof damages / sizeof *damages);
  tcase_add_loop_test(cases, every_ablation_has_a_plan, 0, 3);
  suite_add_tcase(suite, cases);
  return suite_run(suite);
}
