/* The figures and tables: drawn from a database that a sweep filled, the same bytes when drawn
 * twice, and a clear message for everything that is no such database. */
#include "tests/scratch.h"
#include "tests/suite.h"

#define HARNESS PROGRAM_DIR "/harness"
#define FAKE PROGRAM_DIR "/../tests/fake_trainer"
#define DRAW "sh " SOURCE_DIR "/plots/draw.sh "
#define RUN_FAKE HARNESS " run exp.ini --scale none --db r.db --out out --mae " FAKE

static void setup(void) {
  scratch_setup();
  unsetenv("FAKE_TRAINER");
  unsetenv("MAE");
}

/* Runs a shell command with its output in `log`; the exit code. */
static int shell(const char *command) {
  const char *const argv[] = {"/bin/sh", "-c", command, NULL};
  return scratch_wait(scratch_start(argv, "log"));
}

static void expect_in_file(const char *name, const char *text, bool present) {
  char *content = scratch_read(name);
  ck_assert_msg((strstr(content, text) != NULL) == present, "%s '%s' in %s:\n%.4000s",
                present ? "expected" : "did not expect", text, name, content);
  free(content);
}

static void expect(const char *command, int code, const char *said) {
  int got = shell(command);
  char *log = scratch_read("log");
  ck_assert_msg(got == code, "%s: exit code %d, expected %d:\n%s", command, got, code, log);
  free(log);
  expect_in_file("log", said, true);
}

static void expect_file(const char *name, const char *text) {
  expect_in_file(name, text, true);
}

/* Figures that drew nothing, or warned, are faults too, and texts that touch. */
static void draw(const char *out) {
  char command[512];
  snprintf(command, sizeof command,
           DRAW "r.db %s && awk -f " SOURCE_DIR "/tests/texts_apart.awk %s/*/*.svg", out, out);
  expect(command, 0, "index.md");
  expect_in_file("log", "warning", false);
}

START_TEST(a_sweep_is_drawn_twice_alike) {
  scratch_write("exp.ini", "[experiment]\nname = mask_ratio\nquestion = Why?\n[train]\nbatch = 8\n"
                           "[sweep]\ntrain.mask_ratio = 0.5, 0.75\nseeds = 1, 2\n");
  expect(RUN_FAKE, 0, "done");
  draw("one");
  expect_file("log", "pos_embed: not in r.db; fill it with: harness run ablations/pos_embed.ini");
  expect_file(
      "one/mask_ratio/quality.tsv",
      "seed\tmodel\tpsnr_masked\t0.75\t17.01\t\t\tPSNR of the masked pixels (dB)\t\t\tmodel\n"
      "seed\tmodel\tpsnr_masked\t0.75\t17.02\t\t\tPSNR of the masked pixels (dB)\t\t\tmodel\n");
  expect_file("one/mask_ratio/quality.tsv", "baseline\tfill_mean\tssim_composite\t0.5\t0.4\t");
  expect_file("one/mask_ratio/throughput.tsv", "ideal\tmodel\t0.75\t1600.0");
  expect_file("one/mask_ratio/curves.tsv", "raw\t0.5\t1\t20.0\t");
  expect_file("one/mask_ratio/table.tsv",
              "0.75\t2\t17.02\t0.01\t+2.52\t-\t18.26\t0.7000\t0.0000\t1600\t");
  expect_file("one/mask_ratio/table.md", "| 17.02 ");
  expect_file("one/mask_ratio/quality.svg", "depend on the mask ratio?");
  expect_file("one/mask_ratio/quality.svg", "2 seeds, each shown");
  expect_file("one/mask_ratio/quality.pdf", "%PDF");
  expect_file("one/index.md", "](mask_ratio/throughput.svg)");
  sleep(1); /* a date in a file would change */
  draw("two");
  expect("diff -r one two && ls one/mask_ratio", 0,
         "curves-column.pdf\ncurves-column.svg\ncurves.pdf\ncurves.svg\ncurves.tsv\npareto-column."
         "pdf");
  expect_file("one/mask_ratio/quality-column.svg", "PSNR of the masked pixels (dB)");
  /* One other number changes the figure. */
  expect("sqlite3 r.db \"UPDATE metric SET value = 17.4 WHERE name = 'psnr_masked' AND trial = 2\"",
         0, "");
  draw("three");
  ck_assert_int_eq(shell("cmp -s one/mask_ratio/quality.svg three/mask_ratio/quality.svg"), 1);
  ck_assert_int_eq(shell("cmp -s one/mask_ratio/quality.pdf three/mask_ratio/quality.pdf"), 1);
}
END_TEST

/* The report states what the numbers say and leaves out what was not run. */
START_TEST(a_report_is_filled_in) {
  const char *build = "sh " SOURCE_DIR "/paper/build.sh r.db plots report";
  scratch_write("exp.ini", "[experiment]\nname = mask_ratio\nquestion = Why?\n[train]\nbatch = 8\n"
                           "[sweep]\ntrain.mask_ratio = 0.5, 0.75\nseeds = 1, 2\n");
  expect(RUN_FAKE, 0, "done");
  expect(build, 4, "plots/index.md: not there; make plots draws it");
  draw("plots");
  expect(build, 0, "the report is report/report.md");
  expect_file("report/report.md",
              "- Against fill_mean, psnr_masked is higher in 2 of 2 settings: by "
              "+2.52 to +3.52 dB.");
  expect_file("report/report.md",
              "Highest psnr_masked: 0.5 (18.02 dB); lowest: 0.75 (17.02 dB), 1.00");
  expect_file("report/report.md", "](mask_ratio/quality.svg)");
  expect_file("report/report.md", "## mask_ratio\n\n**Why?**\n");
  expect_file("report/report.md", "- `harness run ablations/pos_embed.ini`\n");
  expect_in_file("report/report.md", "ablations/mask_ratio.ini", false);
  expect_in_file("report/report.md", "\n@", false);
  ck_assert_int_eq(access("report/mask_ratio/quality.svg", R_OK), 0);
  expect("sh " SOURCE_DIR "/paper/build.sh none.db", 4, "none.db: there is no such database");
}
END_TEST

/* Changes rows of r.db as if the trainer had measured otherwise. */
static void change(const char *sql) {
  char command[1024];
  snprintf(command, sizeof command, "sqlite3 r.db \"%s\"", sql);
  expect(command, 0, "");
}

#define TRIAL_OF(settings) "(SELECT trial FROM trial WHERE swept LIKE '" settings "')"

/* A gain is a trial's own score less its own baseline's; then the mean over seeds. psnr_masked is
 * 17.01 and 17.02 for every setting. The fill, made to depend on the patch size and the seed's
 * masks: patch 4: 20 and 22, gains -2.99 and -4.98, mean -3.985; patch 8: 14.5 twice, mean +2.515.
 * Averaged over settings the fill would be 17.75 and both gains -0.735. */
START_TEST(a_gain_is_over_the_trials_own_baseline) {
  scratch_write("exp.ini", "[experiment]\nquestion = Why?\n[train]\nbatch = 8\n[model]\n"
                           "image_size = 32\n[sweep]\nmodel.patch_size = 4, 8\n"
                           "train.mask_ratio = 0.75, 0.9\nseeds = 1, 2\n");
  expect(RUN_FAKE, 0, "done");
  change(
      "UPDATE metric SET value = 18 + 2 * (SELECT seed FROM trial WHERE trial.trial = metric.trial)"
      " WHERE scorer = 'fill_mean' AND name = 'psnr_masked' AND trial IN " TRIAL_OF(
          "%patch_size=4%ratio=0.75%"));
  draw("one");
  expect("cut -f 1,3,5 one/exp/table.tsv", 0, "4/0.75\t17.02\t-3.99\n");
  expect_file("log", "8/0.75\t17.02\t+2.52\n");
  expect_file("log", "8/0.9\t16.4"); /* 16.415 and 1.915: rounded either way */
  expect_file("log", "\t+1.9");
  expect_file("one/exp/quality.tsv", "baseline\tfill_mean 4\tpsnr_masked\t0.75\t21.0\t");
  expect_file("one/exp/quality.tsv", "baseline\tfill_mean 8\tpsnr_masked\t0.75\t14.5\t");
  expect_file("one/exp/settings.svg", "On each setting's own masks: mean colour 14.50 to 21.00 dB");
  char command[1024];
  snprintf(command, sizeof command,
           "{ echo .parameter init; echo \"INSERT INTO temp.sqlite_parameters VALUES "
           "('@experiment', 'exp'), ('@figure', 'table');\"; cat %s/plots/common.sql "
           "%s/paper/verdict.sql; } | sqlite3 r.db",
           SOURCE_DIR, SOURCE_DIR);
  expect(command, 0,
         "Against fill_mean, psnr_masked is higher in 3 of 4 settings: by -3.99 to +2.52");
}
END_TEST

/* Numbers of a probe, which the fake trainer does not measure: linear_mean rises from 20 with the
 * mask ratio and by one a seed, pixels reach 15; and the harmonic fill, 2 dB above the mean's. */
static void add_probe(void) {
  change("INSERT OR REPLACE INTO metric_kind VALUES ('linear_mean', 90, '%', 1, 1, 'probe', 1, 1, "
         "'linear', 1, 'made up', 'linear probe'); INSERT OR REPLACE INTO scorer_kind VALUES "
         "('pixels', 90, 1, 'pixels'); "
         "INSERT INTO metric SELECT trial, 'model', 20, 'linear_mean', 1, 20 + 10 * mask_ratio + "
         "seed, 'finite' FROM trials; INSERT INTO metric SELECT trial, 'pixels', 0, 'linear_mean', "
         "1, 15, 'finite' FROM trials");
}

static void add_harmonic(void) {
  change("INSERT INTO metric SELECT trial, 'fill_harmonic', step, name, attempt, value + 2, kind "
         "FROM metric WHERE scorer = 'fill_mean' AND name = 'psnr_masked'");
}

#define QUESTION "[experiment]\nquestion = Why?\nx = train.mask_ratio\n[train]\nbatch = 8\n"
#define PUBLISHED                                                                                  \
  "[paper]\nsource = They 2022\ncompare = psnr_masked\nfinetuned = 0.5: 80, 0.75: 81\n"            \
  "linear = 0.4: 71, 0.5: 73, 0.75: 72, tokens: 59.6\n"

/* A panel per kind of number there is, the paper's beside the probe's, and the verdict in words. */
START_TEST(a_question_has_its_panels) {
  scratch_write("exp.ini",
                QUESTION PUBLISHED "[sweep]\ntrain.mask_ratio = 0.5, 0.75\nseeds = 1..3\n");
  expect(RUN_FAKE, 0, "beside the paper: finetuned: contradicts");
  draw("none");
  ck_assert_int_ne(access("none/exp/question.svg", F_OK), 0);
  expect_file("none/exp/table.tsv", "\tpublished_finetuned\tpublished_linear\t");
  expect_file("none/exp/table.md",
              "Our order of the settings beside They 2022: finetuned: contradicts "
              "(psnr_masked of 2 settings");
  expect_file("none/index.md", "; linear: agrees (psnr_masked of 2 settings");
  add_harmonic();
  draw("two");
  expect_file("two/exp/question.svg", "gain over the harmonic fill (dB)");
  expect_in_file("two/exp/question.svg", "accuracy of the probe", false);
  expect_in_file("two/exp/question.svg", "Published", false);
  /* psnr_masked is 17.02 and the fill 16.5; the interval is 4.3027 x 0.01 / sqrt 3 wide. */
  expect_file("two/exp/question.tsv", "mean\tgain\tPSNR of the masked pixels\t0.75\t0.5");
  add_probe();
  draw("three");
  /* 27.5, 28.5 and 29.5: 28.5 +- 4.30265 / sqrt 3. Two of the paper's settings have no trial. */
  expect_file("three/exp/question.tsv", "mean\tprobe\tlinear probe\t0.75\t29.5\t27.0158");
  expect_file("three/exp/question.tsv", "seed\tprobe\tlinear probe\t0.75\t30.5\t");
  expect_file("three/exp/question.tsv", "baseline\tprobe\tpixels (linear probe)\t0.5\t15.0\t");
  expect_file("three/exp/question.tsv",
              "paper\tprobe\tpublished: linear (right axis)\t0.4\t71.0\t");
  expect_in_file("three/exp/question.tsv", "59.6", false);
  expect_in_file("three/exp/table.tsv", "gain_pixels", false);
  expect_file("three/exp/table.tsv", "\t29.5\t81.0\t72.0\t");
  expect_file("three/exp/question.svg", "top-1 accuracy of the probe (%)");
  expect_file("three/exp/question.svg", "published: linear (right axis)");
  expect_file("three/exp/question.svg", "Published: They 2022, of another model and other images");
  expect_file("three/exp/question.svg", "Same order? finetuned: contradicts (psnr_masked");
  expect_file("three/exp/question.svg", "Published and not run here: 0.4, tokens.");
  draw("four");
  expect("diff -r three four", 0, "");
}
END_TEST

/* Values that are no numbers have a place each, named by all that is swept where x does not tell
 * them apart. */
START_TEST(a_question_of_words_has_categories) {
  scratch_write(
      "exp.ini",
      "[experiment]\nquestion = Why?\nx = train.mask\n[train]\nbatch = 8\n[paper]\n"
      "source = They\nkey = train.mask train.mask_ratio\nlinear = any: 73.5, half: 72.3\n"
      "ours = any: random 0.75, half: block 0.5\n[sweep]\ntrain.mask = random, block, block\n"
      "train.mask_ratio = 0.75, 0.5, 0.75\nzip = train.mask train.mask_ratio\nseeds = 1\n");
  expect(RUN_FAKE, 0, "no linear_mean and no knn_mean was recorded");
  add_probe();
  draw("one");
  expect_file("one/exp/question.tsv", "tick\t\tmask / mask ratio\t2\t0\t\t\tblock/0.5\n");
  expect_file("one/exp/question.tsv", "paper\tprobe\tpublished: linear (right axis)\t2\t72.3\t");
  expect_file("one/exp/question.svg", ">block/0.75<");
}
END_TEST

/* Names under the panels stay apart, however many and long: draw() looks at all texts. */
START_TEST(many_names_do_not_touch) {
  static const struct {
    const char *x, *first, *rest, *named; /* named: a text under the panels */
  } sweeps[] = {
      {"model.decoder", "16x1x1", ", 16x2x1, 16x4x1", ">16x4x1<"},
      {"model.decoder", "128x1x16", ", 128x2x16, 128x3x16, 128x4x16, 128x5x16, 128x6x16, 128x7x16",
       ">128x7x16<"},
      {"model.decoder", "16x1x1",
       ", 16x2x1, 16x3x1, 16x4x1, 16x5x1, 16x6x1, 16x7x1, 16x8x1, 16x9x1, 16x10x1, 16x11x1, "
       "16x12x1, 16x13x1, 16x14x1",
       ">16x1x1<"},
      {"train.steps", "10000", ", 20000, 30000", " 20000<"},
      {"train.steps", "225", ", 450, 900, 1800, 3600", ">1800<"}};
  char text[1024];
  snprintf(text, sizeof text,
           "[experiment]\nquestion = Why?\nx = %s\n[train]\nbatch = 8\n[paper]\nsource = They\n"
           "linear = one: 73.5\nours = one: %s\n[sweep]\n%s = %s%s\nseeds = 1\n",
           sweeps[_i].x, sweeps[_i].first, sweeps[_i].x, sweeps[_i].first, sweeps[_i].rest);
  scratch_write("exp.ini", text);
  expect(RUN_FAKE, 0, "done");
  add_harmonic();
  add_probe();
  draw("one");
  expect_file("one/exp/question.svg", "published: linear (right axis)");
  expect_file("one/exp/question.svg", sweeps[_i].named);
}
END_TEST

/* Of points on the front, whose names stand lower than the points: also at the bottom of a panel,
 * and where one evades another. */
START_TEST(names_of_points_stay_above_the_axis) {
  scratch_write("pareto.tsv", "kind\tsetting\tmetric\tx\tvalue\tfront\n"
                              "mean\t0.5\tm\t0.09\t20\t1\n"
                              "mean\t0.9\tm\t0.0601\t17.1\t1\n"
                              "mean\t0.95\tm\t0.06\t17\t1\n");
  expect("awk -F'\t' -v metric=m -v x_low=0.058 -v x_high=0.1 -v low=16.9 -v high=20.1 -v gap=0.08 "
         "-v inches=3 -f " SOURCE_DIR "/plots/beside.awk pareto.tsv | "
         "awk '{ for (i = 3; i <= NF; i += 3) if ($i < 0.04) exit 1; print NF / 3, \"names\" }'",
         0, "3 names");
}
END_TEST

/* Two data sets under one experiment: a row for each, never a mean of both. */
START_TEST(data_sets_are_not_averaged) {
  scratch_write("exp.ini", "[experiment]\nquestion = Why?\n[train]\nbatch = 8\n"
                           "[sweep]\nmodel.pos_embed = learned, none\nseeds = 1, 2\n");
  expect(RUN_FAKE, 0, "done");
  change("INSERT INTO dataset SELECT 'abcdef0123', 'folder', 1, 1, 0; UPDATE attempt SET dataset = "
         "'abcdef0123' WHERE trial = " TRIAL_OF("%seed=2 %learned%"));
  draw("one");
  expect("cut -f 1-4 one/exp/table.tsv", 0, "learned/abcdef01\tfolder abcdef01\t1\t17.02\n");
  expect_file("log", "\t1\t17.01\n");
  expect_file("log", "\t2\t17.02\n");
  expect_file("one/exp/settings.tsv", "mean\tlearned/abcdef01\tpsnr_masked\t");
  expect_file("one/exp/settings.svg", "folder (abcdef01), shapes (");
}
END_TEST

#define LEARNED TRIAL_OF("%l.pos_embed=learned%")
/* What has no score is named with its reason, in the figure and in the table; a leaky score is no
 * psnr_masked. */
START_TEST(what_is_missing_is_named) {
  scratch_write("exp.ini", "[experiment]\nquestion = Why?\n[train]\nbatch = 8\n[sweep]\n"
                           "model.pos_embed = learned, none, sincos2d\nmodel.decoder_pos_embed = "
                           "none, sincos2d\nseeds = 1, 2\n");
  setenv("FAKE_TRAINER", "exit:3", 1);
  setenv("FAKE_ONLY", "\npos_embed = none", 1);
  expect(RUN_FAKE "", 1, "");
  unsetenv("FAKE_TRAINER");
  unsetenv("FAKE_ONLY");
  change("UPDATE param SET value = 'true' WHERE key = 'train.norm_pix' AND trial IN " LEARNED);
  change("UPDATE metric SET value = 25, kind = 'finite' WHERE name = 'psnr_leaky' AND trial "
         "IN " LEARNED);
  change("UPDATE metric SET value = NULL, kind = 'absent' WHERE name = 'psnr_masked' AND "
         "scorer = 'model' AND trial IN " LEARNED);
  draw("one");
  expect_file("one/exp/settings.svg", "Not shown: 4 failed: ");
  expect_file("one/exp/settings.svg", "Not shown: 4 leaky (norm_pix): ");
  expect_file("one/exp/settings.svg", "exp: 4 of 12 planned trials");
  expect_file("one/exp/settings.svg", ">sincos2d/sincos2d<");
  expect_file("one/exp/settings.tsv", "row\tnone/learned\t\t");
  expect_file("one/exp/table.tsv", "\tpsnr_leaky\t");
  expect_file("one/exp/table.tsv", "\t2 leaky (norm_pix)\n");
  expect_file("one/exp/table.tsv", "\t2 failed\n");
  expect_file("one/exp/table.tsv", "\t25.00\t");
}
END_TEST

/* Seeds at 14 and 100 images/s are no "57": the spread stands beside the mean, and so does what is
 * known against a number. */
START_TEST(speeds_have_a_spread_and_notes) {
  scratch_write("exp.ini", "[experiment]\nquestion = Why?\n[train]\nbatch = 8\n"
                           "[sweep]\ntrain.mask_ratio = 0.5, 0.75\nseeds = 1, 2\n");
  expect(RUN_FAKE, 0, "done");
  change("UPDATE attempt SET images_per_second = 14, step_seconds_p90 = 0.032 WHERE trial "
         "= " TRIAL_OF("%seed=1 %=0.5") "; UPDATE attempt SET images_per_second = 100 WHERE trial "
                                        "= " TRIAL_OF("%seed=2 %=0.5"));
  draw("one");
  expect_file("one/exp/table.tsv", "images_per_second_sd\tgflops_per_image");
  change(
      "UPDATE attempt SET energy_source = 'rapl', energy_joules = 7200, energy_step_joules = 30, "
      "energy_images = 20, energy_own_share = 1 WHERE trial = " TRIAL_OF("%seed=1 %=0.5"));
  draw("one");
  expect_file("one/exp/table.tsv", "images_per_second_sd\tjoules_per_image\tenergy_kwh\tgflops");
  expect_file("one/exp/table.tsv", "\t1.500\t0.00200\t");
  /* 57 and sqrt(2) x 43 = 60.8 */
  expect_file("one/exp/table.tsv", "\t57\t61\t");
  expect_file("one/exp/table.tsv", "seed 1 busy: p90 of a step's time is 3.2 x its median");
  expect_file("one/exp/throughput.tsv", "noted\tmodel\t0.5\t14.0\t");
  expect_file("one/exp/throughput.svg", "Ringed: 1 trial, resumed, or on a busy machine");
}
END_TEST

/* Text of a database is never a command, a folder elsewhere, or markup. */
START_TEST(text_of_a_database_does_nothing) {
  scratch_write("exp.ini", "[experiment]\nquestion = <script>alert(1)</script> [a](b)\n[train]\n"
                           "batch = 8\n[sweep]\nmodel.pos_embed = learned, none\nseeds = 1\n");
  expect(RUN_FAKE, 0, "done");
  change("UPDATE sweep SET experiment = 'a blank'");
  change("UPDATE param SET value = 'a|' || char(9) || 'b' WHERE value = 'none'");
  draw("one");
  expect_file("one/a blank/table.md", "| a\\| b ");
  expect_file("one/a blank/table.tsv", "\na| b\t1\t");
  expect_file("one/index.md", "| a\\| b ");
  expect_file("one/index.md", "](a%20blank/settings.svg)");
  expect_file("one/index.md", "&lt;script&gt;alert(1)&lt;/script&gt; \\[a\\](b)");
  ck_assert_int_eq(access("one/a blank/settings.svg", R_OK), 0);
  change("UPDATE sweep SET experiment = '../outside'");
  expect(DRAW "r.db one", 4, "is no name of an experiment");
  change("UPDATE sweep SET experiment = 'x''||edit(''y'',''touch pwned'')||''z'");
  expect(DRAW "r.db one", 4, "is no name of an experiment");
  ck_assert_int_ne(access("pwned", F_OK), 0);
  ck_assert_int_ne(access("outside", F_OK), 0);
}
END_TEST

/* Up to five seeds are shown one by one; more as an interval, which the caption names. */
START_TEST(many_seeds_are_an_interval) {
  scratch_write("exp.ini", "[experiment]\nquestion = Is 'this' \"text\" `id` $(id)?\n"
                           "[train]\nbatch = 8\n[sweep]\nmodel.pos_embed = learned, none\n"
                           "seeds = 1..6\n");
  expect(RUN_FAKE, 0, "done");
  draw("one");
  /* psnr_masked = 17 + 0.01 seed: mean 17.035, half width 2.5706 x 0.018708 / sqrt 6. */
  expect_file("one/exp/settings.tsv", "mean\tnone\tpsnr_masked\t-1\t17.035\t17.01536");
  expect_in_file("one/exp/settings.tsv", "\nseed", false);
  expect_file("one/exp/settings.svg", "95% interval of the mean");
  expect_file("one/exp/settings.svg", "Is 'this' \"text\" `id` $(id)?");
}
END_TEST

/* The real trainer leaves a sheet; one that was changed since is not shown. */
START_TEST(a_sheet_is_taken_in) {
  scratch_write("exp.ini",
                "[model]\nimage_size = 16\npatch_size = 4\nencoder = 16x1x1\n"
                "[train]\nbatch = 4\nsteps = 2\nwarmup_steps = 1\n[eval]\nimages = 8\nbatch = 4\n"
                "[data]\ntrain_images = 16\n"
                "[sweep]\nmodel.decoder = 8x1x1, 16x1x1\nseeds = 1\n");
  expect(HARNESS " run exp.ini --scale none --db r.db --out out", 0, "done");
  draw("one");
  expect_file("one/exp/pareto.svg", "16x1x1");
  expect_file("one/exp/sheet.tsv", "8x1x1\t128\t2\tdecoder\t");
  expect_file("one/exp/sheet.svg", "data:image/png;base64");
  draw("two");
  expect("diff -r one two", 0, "");
  expect("for sheet in out/exp/*/sheet.png; do echo >> $sheet; done", 0, "");
  draw("three");
  expect_file("log", "sheet.png is not the picture that was recorded");
  ck_assert_int_ne(access("three/exp/sheet.svg", F_OK), 0);
  expect("rm out/exp/*/sheet.png", 0, "");
  draw("four");
  expect_file("log", "sheet.png is not there");
}
END_TEST

/* A norm_pix model's pictures are labelled, and its scores have a column of their own. */
START_TEST(a_leaky_sheet_is_labelled) {
  scratch_write("exp.ini",
                "[model]\nimage_size = 16\npatch_size = 4\nencoder = 16x1x1\ndecoder = 8x1x1\n"
                "[train]\nbatch = 4\nsteps = 2\nwarmup_steps = 1\n[eval]\nimages = 8\nbatch = 4\n"
                "[data]\ntrain_images = 16\n[sweep]\ntrain.norm_pix = false, true\nseeds = 1\n");
  expect(HARNESS " run exp.ini --scale none --db r.db --out out", 0, "done");
  draw("one");
  expect("cut -f 1,6 one/exp/sheet.tsv", 0, "false\t-\ntrue\tLEAKY\n");
  expect_file("one/exp/sheet.svg", ">LEAKY<");
  expect_file("one/exp/sheet.svg", "un-normalised with the hidden patches' own statistics");
  expect_file("one/exp/settings.svg", ">leaky (norm_pix)<");
  expect_file("one/exp/table.tsv", "\tpsnr_leaky\t");
}
END_TEST

static void write_program(const char *name, const char *text) {
  scratch_write(name, text);
  ck_assert_int_eq(chmod(name, 0755), 0);
}

/* A cairo that hides the time it writes takes a faketime that stops the clock. One that fails,
 * because a killed one of the same process number left what its processes share, is tried again;
 * failing for good it costs the dates, no figure. */
START_TEST(a_faketime_that_fails_costs_no_figure) {
  scratch_write("exp.ini", "[train]\nbatch = 8\n"
                           "[sweep]\ntrain.mask_ratio = 0.5, 0.75\nseeds = 1\n");
  expect(RUN_FAKE, 0, "done");
  ck_assert(!mkdir("bin", 0777) && !setenv("OLD_PATH", getenv("PATH"), 1));
  write_program("bin/gnuplot",
                "#!/bin/sh\nPATH=$OLD_PATH gnuplot \"$@\" || exit\n"
                "sed \"s/(D:[0-9]*/(${STOPPED-T:$(date +%N)}/\" \"$OUTPUT\" > \"$OUTPUT.dated\"\n"
                "mv \"$OUTPUT.dated\" \"$OUTPUT\"\n");
  write_program("bin/faketime", "#!/bin/sh\nshift 2\necho >> \"${0%/*}/calls\"\n"
                                "[ $(($(wc -l < \"${0%/*}/calls\") % 2)) = 0 ] || exit 1\n"
                                "STOPPED=D:19700101000000 \"$@\"\n");
  ck_assert_int_eq(shell("PATH=$PWD/bin:$PATH " DRAW "r.db one"), 0);
  expect_in_file("log", "PDFs", false);
  expect("PATH=$PWD/bin:$PATH " DRAW "r.db two", 0, "index.md");
  expect("diff -r one two", 0, "");
  write_program("bin/faketime", "#!/bin/sh\nexit 1\n");
  expect("PATH=$PWD/bin:$PATH " DRAW "r.db three", 0, "some PDFs tell when they were drawn");
  expect("ls one > 1; ls three | diff 1 - && diff -q one three", 0, "");
  expect("diff -rq one three", 1, "curves.pdf");
  expect_in_file("log", ".svg", false);
}
END_TEST

static const struct {
  const char *make, *words, *said;
  int code;
} refusals[] = {
    {":", "a b c", "usage: sh plots/draw.sh [DB [OUT]]", 2},
    {":", "none.db o", "none.db: there is no such database; fill it with: harness run", 4},
    {"mkdir d", "d o", "d: not a readable file", 4},
    {": > e.db", "e.db o", "e.db: an empty file; fill it with", 4},
    {"echo 'not a database, though long enough to be one' > t.db", "t.db o", "t.db: cannot be read",
     4},
    {"sqlite3 f.db 'CREATE TABLE t (a)'", "f.db o", "f.db: a database of another program", 4},
    {HARNESS " import --db n.db --out $(mkdir x; echo x)", "n.db o", "n.db: no trial is finished",
     4},
    {"mkdir bin; ln -s $(command -v dirname) bin; PATH=bin; export PATH", "none.db o",
     "sqlite3 is not installed", 4},
    {"mkdir bin; for p in dirname sqlite3; do ln -s $(command -v $p) bin; done; PATH=$PWD/bin",
     "none.db o", "gnuplot is not installed; make deps installs it", 4},
};

START_TEST(refuses) {
  char command[1024];
  snprintf(command, sizeof command, "SH=$(command -v sh); %s; $SH %s/plots/draw.sh %s",
           refusals[_i].make, SOURCE_DIR, refusals[_i].words);
  expect(command, refusals[_i].code, refusals[_i].said);
  ck_assert_int_ne(access("o/index.md", F_OK), 0);
}
END_TEST

int main(void) {
  if (system("command -v gnuplot && command -v sqlite3")) {
    puts("skipped: gnuplot or the program sqlite3 is not installed");
    return 77;
  }
  Suite *suite = suite_create("plots");
  TCase *cases = tcase_create("draw.sh");
  tcase_set_timeout(cases, 300);
  tcase_add_checked_fixture(cases, setup, scratch_teardown);
  tcase_add_test(cases, a_sweep_is_drawn_twice_alike);
  tcase_add_test(cases, a_faketime_that_fails_costs_no_figure);
  tcase_add_test(cases, a_report_is_filled_in);
  tcase_add_test(cases, a_gain_is_over_the_trials_own_baseline);
  tcase_add_test(cases, a_question_has_its_panels);
  tcase_add_test(cases, a_question_of_words_has_categories);
  tcase_add_loop_test(cases, many_names_do_not_touch, 0, 5);
  tcase_add_test(cases, names_of_points_stay_above_the_axis);
  tcase_add_test(cases, data_sets_are_not_averaged);
  tcase_add_test(cases, what_is_missing_is_named);
  tcase_add_test(cases, speeds_have_a_spread_and_notes);
  tcase_add_test(cases, text_of_a_database_does_nothing);
  tcase_add_test(cases, many_seeds_are_an_interval);
  tcase_add_test(cases, a_sheet_is_taken_in);
  tcase_add_test(cases, a_leaky_sheet_is_labelled);
  tcase_add_loop_test(cases, refuses, 0, sizeof refusals / sizeof *refusals);
  suite_add_tcase(suite, cases);
  return suite_run(suite);
}
