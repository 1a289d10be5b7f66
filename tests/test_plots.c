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

/* Figures that drew nothing, or warned, are faults too. */
static void draw(const char *out) {
  char command[256];
  snprintf(command, sizeof command, DRAW "r.db %s", out);
  expect(command, 0, "index.md");
  expect_in_file("log", "warning", false);
}

START_TEST(a_sweep_is_drawn_twice_alike) {
  scratch_write("exp.ini", "[experiment]\nname = mask_ratio\nquestion = Why?\n[train]\nbatch = 8\n"
                           "[sweep]\ntrain.mask_ratio = 0.5, 0.75\nseeds = 1, 2\n");
  expect(RUN_FAKE, 0, "done");
  draw("one");
  expect_file("log", "pos_embed: not in r.db; fill it with: harness run ablations/pos_embed.ini");
  expect_file("one/mask_ratio/quality.tsv",
              "seed\tmodel\tpsnr_masked\t0.75\t17.01\t\t\tpsnr_masked (dB)\n"
              "seed\tmodel\tpsnr_masked\t0.75\t17.02\t\t\tpsnr_masked (dB)\n");
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
         "curves.pdf\ncurves.svg\ncurves.tsv\nquality.pdf");
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
  expect_file("report/report.md", "Not run yet: `harness run ablations/pos_embed.ini`.");
  expect_in_file("report/report.md", "\n@", false);
  ck_assert_int_eq(access("report/mask_ratio/quality.svg", R_OK), 0);
  expect("sh " SOURCE_DIR "/paper/build.sh none.db", 4, "none.db: there is no such database");
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
  expect_file("one/exp/decoder.svg", "16x1x1");
  expect_file("one/exp/sheet.tsv", "8x1x1\t128\t2\tmodel.decoder\t");
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
  Suite *suite = suite_create("plots");
  TCase *cases = tcase_create("draw.sh");
  tcase_set_timeout(cases, 300);
  tcase_add_checked_fixture(cases, setup, scratch_teardown);
  tcase_add_test(cases, a_sweep_is_drawn_twice_alike);
  tcase_add_test(cases, a_report_is_filled_in);
  tcase_add_test(cases, many_seeds_are_an_interval);
  tcase_add_test(cases, a_sheet_is_taken_in);
  tcase_add_loop_test(cases, refuses, 0, sizeof refusals / sizeof *refusals);
  suite_add_tcase(suite, cases);
  return suite_run(suite);
}
