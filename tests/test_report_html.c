/* The page of results: what it says of every kind of sweep, that nothing out of a database becomes
 * markup, and that it needs nothing else to be read. The real browser is test_browser's. */
#include <ctype.h>

#include "harness/page/html.h"
#include "mae/base/error.h"
#include "mae/base/sha256.h"
#include "mae/data/picture.h"
#include "tests/suite.h"
#include "tests/sweep.h"

#define REPORT "report --db r.db --out page.html"

static char *page; /* the last that was made */

static char *read_page(const char *name) {
  FILE *file = fopen(name, "r");
  ck_assert_ptr_nonnull(file);
  char *text = NULL;
  size_t size = 0;
  ck_assert_int_gt(getdelim(&text, &size, 0, file), 0);
  fclose(file);
  return text;
}

static void report(void) {
  expect_code(REPORT, 0, "page.html: open it in a browser");
  free(page);
  page = read_page("page.html");
}

static void end(void) {
  free(page);
  page = NULL;
  scratch_teardown();
}

static int count(const char *needle) {
  int n = 0;
  for (const char *at = page; (at = strstr(at, needle)); at++) n++;
  return n;
}

static void says(const char *text) {
  ck_assert_msg(count(text) > 0, "the page does not say '%s'", text);
}

static void change(const char *sql) {
  free(query_db("r.db", sql));
}

/* A picture of noise, which no compression makes very small, recorded as the sheet of every trial.
 */
static void record_sheets(int width, int height) {
  size_t size = (size_t)width * (size_t)height * 3;
  uint8_t *rgb = malloc(size);
  unsigned state = 1;
  char sql[512], hex[65];
  Error e = {0};
  for (size_t i = 0; i < size; i++)
    rgb[i] = (uint8_t)(96 + ((state = state * 1664525u + 1013904223u) >> 26));
  ck_assert_msg(picture_write_png("sheet.png", rgb, width, height, &e), "%s", e.message);
  free(rgb);
  ck_assert_msg(sha256_file(hex, "sheet.png", &e), "%s", e.message);
  snprintf(sql, sizeof sql,
           "INSERT OR REPLACE INTO artifact SELECT trial, 'sheet', '%s/sheet.png', 1, '%s', 9 FROM "
           "trial",
           scratch, hex);
  change(sql);
}

/* What it says ---------------------------------------------------------------------------------*/

START_TEST(a_sweep_is_a_page) {
  expect_code(RUN_FAKE, 0, "");
  report();
  says("<h2 id=\"e1q\">Does the harness work?</h2>");
  says("4 of 4 planned trials are done");
  says("No published order of the settings is recorded");
  says("<li>Highest psnr_masked: 0.5 (");
  says("<svg class=\"chart\"");
  says("PSNR of the masked pixels (dB)");
  says("<summary>The numbers of this figure</summary>");
  says("None: every planned trial is done, and none gave a warning.");
  says("harness verify 1 ");
  says("<th scope=\"row\">train.batch</th><td class=\"n\">8</td>"); /* what all share, once */
  ck_assert_int_eq(count("train.batch"), 1);
  /* The answer stands before the figures, and those before the tables. */
  ck_assert(strstr(page, "<dt>Verdict") < strstr(page, "<svg"));
  ck_assert(strstr(page, "<svg") < strstr(page, ">Every trial<"));
}
END_TEST

START_TEST(the_same_database_gives_the_same_bytes) {
  expect_code(RUN_FAKE, 0, "");
  report();
  char *once = page;
  page = NULL;
  report();
  ck_assert_str_eq(once, page);
  free(once);
}
END_TEST

/* Every figure is a picture with a name and a description, every heading follows from one above. */
START_TEST(it_can_be_heard) {
  expect_code(RUN_FAKE, 0, "");
  report();
  ck_assert_int_gt(count("<svg"), 3);
  ck_assert_int_eq(count("<svg"), count("role=\"img\" aria-labelledby="));
  ck_assert_int_eq(count("<svg"), count("<title id="));
  ck_assert_int_eq(count("<svg"), count("<desc id="));
  ck_assert_int_eq(count("<h1>"), 1);
  ck_assert_int_eq(count("<table"), count("<thead>"));
  says("<html lang=\"en\">");
  says("model: 18.0"); /* what a description tells of the figure */
  int level = 0;
  for (const char *at = page; (at = strstr(at, "<h")); at++)
    if (isdigit((unsigned char)at[2])) {
      ck_assert_int_le(at[2] - '0', level + 1);
      level = at[2] - '0';
    }
}
END_TEST

START_TEST(failed_and_pending_trials_are_told) {
  setenv("FAKE_TRAINER", "exit:5", 1);
  setenv("FAKE_ONLY", "mask_ratio = 0.75", 1);
  expect_code(RUN_FAKE " --part 1/3", 1, "");
  report();
  says("1 of 4 planned trials are done");
  says("<td>failed</td>");
  says("<td>pending</td>");
  says(">Failures and warnings<");
}
END_TEST

START_TEST(one_trial_is_enough) {
  scratch_write("exp.ini",
                "[experiment]\nquestion = One?\n[train]\nbatch = 8\n[sweep]\nseeds = 1\n");
  expect_code(RUN_FAKE, 0, "");
  report();
  says("1 of 1 planned trials are done");
  ck_assert_int_gt(count("<svg"), 0);
}
END_TEST

START_TEST(nothing_done_is_said) {
  setenv("FAKE_TRAINER", "crash", 1);
  expect_code(RUN_FAKE, 1, "");
  report();
  says("0 of 4 planned trials are done");
  says("Without psnr_masked, of 4 planned trials: 4 failed");
  ck_assert_int_eq(count("<svg"), 0);
}
END_TEST

START_TEST(a_published_order_is_the_verdict) {
  scratch_write("exp.ini",
                "[experiment]\nquestion = Why?\nexpected = So.\nx = train.mask_ratio\n[train]\n"
                "batch = 8\n[paper]\nsource = They 2022\ncompare = psnr_masked\n"
                "linear = 0.25: 80, 0.5: 70, 0.75: 60\n[sweep]\n"
                "train.mask_ratio = 0.25, 0.5, 0.75\nseeds = 1..3\n");
  expect_code(RUN_FAKE, 0, "");
  report();
  says("<dt>Expected</dt><dd>So.</dd>");
  says("<li>linear: agrees (psnr_masked of 3 settings");
  says(", beside They 2022</li>");
}
END_TEST

/* The colours that a name has as a label, a bit for each. */
static unsigned colours_of(const char *name) {
  static const char between[] = " mark\"/><text";
  unsigned colours = 0;
  for (const char *at = page; (at = strstr(at, between)); at++) {
    const char *text = strchr(at + sizeof between, '>') + 1;
    if (!strncmp(text, name, strlen(name)) && text[strlen(name)] == '<')
      colours |= 1u << (at[-1] - '0');
  }
  return colours;
}

/* Whatever order a figure lists them in: the costlier decoder comes first in the plan. */
START_TEST(a_setting_has_one_colour) {
  scratch_write("exp.ini", "[experiment]\nquestion = Which?\n[train]\nbatch = 8\n[sweep]\n"
                           "model.decoder = 64x1x2, 32x1x2\nseeds = 1, 2\n");
  expect_code(RUN_FAKE, 0, "");
  change("UPDATE attempt SET gflops_per_image = (SELECT CAST(value AS INTEGER) FROM param "
         "WHERE param.trial = attempt.trial AND key = 'model.decoder')");
  report();
  says("What does quality cost?");
  ck_assert_uint_eq(colours_of("64x1x2"), 1u << 1);
  ck_assert_uint_eq(colours_of("32x1x2"), 1u << 8);
}
END_TEST

/* Learning rates a factor of ten apart are as far from each other in the figure. */
START_TEST(a_wide_axis_is_spaced_by_ratios) {
  scratch_write("exp.ini", "[experiment]\nquestion = Which?\nx = train.blr\n[train]\nbatch = 8\n"
                           "[sweep]\ntrain.blr = 0.0001, 0.001, 0.01\nseeds = 1\n");
  expect_code(RUN_FAKE, 0, "");
  change("INSERT INTO metric SELECT trial, 'fill_harmonic', step, name, attempt, value, kind FROM "
         "metric WHERE scorer = 'fill_mean'");
  report();
  static const char tick[] = "<path class=\"tick\" d=\"M";
  double x[3] = {0};
  const char *at = strstr(page, "gain over the harmonic fill (dB)</p>");
  ck_assert_ptr_nonnull(at);
  for (int i = 0; i < 3; i++) {
    at = strstr(at, tick) + sizeof tick - 1;
    x[i] = strtod(at, NULL);
  }
  ck_assert_double_gt(x[1] - x[0], 50);
  ck_assert_double_eq_tol(x[2] - x[1], x[1] - x[0], 0.11);
}
END_TEST

/* Mask ratios of which two are near each other: the second of these has a mark and no name. */
START_TEST(names_of_an_axis_do_not_touch) {
  scratch_write("exp.ini", "[experiment]\nquestion = Which?\nx = train.mask_ratio\n[train]\n"
                           "batch = 8\n[sweep]\ntrain.mask_ratio = 0.25, 0.75, 0.77\nseeds = 1\n");
  expect_code(RUN_FAKE, 0, "");
  change("INSERT INTO metric SELECT trial, 'fill_harmonic', step, name, attempt, value, kind FROM "
         "metric WHERE scorer = 'fill_mean'");
  report();
  const char *panel = strstr(page, "gain over the harmonic fill (dB)</p>");
  ck_assert_ptr_nonnull(panel);
  const char *end = strstr(panel, "</svg>"), *first = strstr(panel, ">0.75</text>"),
             *second = strstr(panel, ">0.77</text>");
  ck_assert(end && first && first < end && (!second || second > end));
}
END_TEST

/* One trial was measured, one shared its processors; before that there is no column. */
START_TEST(energy_is_told_where_it_was_measured) {
  scratch_write("exp.ini", "[experiment]\nquestion = Which?\n[train]\nbatch = 8\n[sweep]\n"
                           "model.decoder = 64x1x2, 32x1x2\n");
  expect_code(RUN_FAKE, 0, "");
  report();
  ck_assert_int_eq(count(">joules_per_image<"), 0);
  change(
      "UPDATE attempt SET energy_source = 'rapl', energy_joules = 7200, energy_step_joules = 30, "
      "energy_images = 20, energy_own_share = iif(trial = 1, 1, 0.5)");
  report();
  says(">joules_per_image<");
  says(">1.5<");
  says("shared: 50% of the busy processor time was its own; the device took 0.002 kWh in all");
}
END_TEST

/* Messages -------------------------------------------------------------------------------------*/

START_TEST(what_cannot_be_done_is_said) {
  expect_code("report --db none.db", 4, "No such file");
  expect_code(RUN_FAKE, 0, "");
  expect_code("report ex --db r.db", 2, "did you mean exp?");
  expect_code("report --db r.db --out no/folder.html", 4, "no/folder.html.tmp");
  sqlite3 *db;
  scratch_write("keep.html", "kept");
  expect_code("import --db e.db --out out", 0, "");
  ck_assert_int_eq(sqlite3_open("e.db", &db), SQLITE_OK);
  ck_assert_int_eq(
      sqlite3_exec(db,
                   "PRAGMA foreign_keys = OFF; DELETE FROM planned; DELETE FROM trial; "
                   "DELETE FROM sweep",
                   NULL, NULL, NULL),
      SQLITE_OK);
  sqlite3_close(db);
  expect_code("report --db e.db --out keep.html", 4, "no experiment is in it yet");
  char *kept = scratch_read("keep.html");
  ck_assert_str_eq(kept, "kept");
  free(kept);
}
END_TEST

/* Nothing is markup ----------------------------------------------------------------------------*/

#define EVIL "<script>alert(1)</script>\"><img src=x onerror=alert(2)>'&\x01"

/* Every column of text of every table that is not a name the program itself goes by. */
START_TEST(what_a_database_says_is_never_markup) {
  expect_code(RUN_FAKE, 0, "");
  static const char *const places[] = {
      "sweep SET question = ?1, expected = ?1, source = ?1, ini = ?1, name = ?1, scale = ?1",
      "environment SET git_commit = ?1, compiler = ?1, cpu = ?1, gpu = ?1, hostname = ?1, "
      "json = json_object('a', ?1, ?1, 'b', 'git_dirty', 1, 'git_diff_sha256', ?1)",
      "dataset SET source = ?1",
      "param SET value = ?1 || trial WHERE swept = 1 AND key <> 'run.seed'",
      "param SET key = ?1 || key WHERE key GLOB 'eval.*'",
      "param SET value = ?1 WHERE swept = 0 AND key NOT IN ('train.mask_ratio')",
      "launch SET error = ?1, device = ?1",
      "trial SET folder = ?1, swept = ?1",
      "paper_verdict SET text = ?1",
      "metric_kind SET meaning = ?1",
      "message SET text = ?1",
      "verification SET detail = ?1",
      "paper_source SET source = ?1",
      "paper_number SET setting = ?1"};
  sqlite3 *db;
  ck_assert_int_eq(sqlite3_open("r.db", &db), SQLITE_OK);
  ck_assert_int_eq(
      sqlite3_exec(
          db,
          "PRAGMA foreign_keys = OFF;"
          "INSERT INTO message SELECT trial, 1, 1, 0, 'warning', 0, 'x' FROM trial;"
          "INSERT INTO verification SELECT trial, 'f', 1, 0, 'bitwise', '', 'mismatch', 1, "
          "1, 't', 'x' FROM trial; UPDATE launch SET status = 'failed' WHERE trial = 4;"
          "UPDATE attempt SET status = 'failed' WHERE trial = 4;"
          "INSERT INTO paper_source SELECT sweep, 'x', 'psnr_masked' FROM sweep;"
          "INSERT INTO paper_number SELECT sweep, 0, 'x', 'linear', 7 FROM sweep;"
          "INSERT INTO paper_verdict SELECT sweep, 'linear', NULL, 'agrees', NULL, NULL, "
          "NULL, 1, 'x' FROM sweep;",
          NULL, NULL, NULL),
      SQLITE_OK);
  for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
    char sql[400];
    sqlite3_stmt *statement = NULL;
    snprintf(sql, sizeof sql, "UPDATE %s", places[i]);
    ck_assert_msg(sqlite3_prepare_v2(db, sql, -1, &statement, NULL) == SQLITE_OK, "%s: %s", sql,
                  sqlite3_errmsg(db));
    sqlite3_bind_text(statement, 1, EVIL, -1, SQLITE_STATIC);
    ck_assert_msg(sqlite3_step(statement) == SQLITE_DONE, "%s: %s", sql, sqlite3_errmsg(db));
    sqlite3_finalize(statement);
  }
  sqlite3_close(db);
  report();
  ck_assert_int_eq(count("<script>"), 1);
  ck_assert_int_eq(count("<script>alert"), 0);
  ck_assert_int_eq(count("<img src=x"), 0);
  ck_assert_int_eq(count("\x01"), 0);
  ck_assert_int_gt(count("&lt;script&gt;alert(1)&lt;/script&gt;&quot;&gt;&lt;img"), 10);
}
END_TEST

START_TEST(text_is_escaped) {
  static const struct {
    const char *text, *html;
  } cases[] = {
      {"a<b>&\"'", "a&lt;b&gt;&amp;&quot;&#39;"},
      {"\xc3\xa9 \xe2\x80\x93 \xf0\x9f\x98\x80", "\xc3\xa9 \xe2\x80\x93 \xf0\x9f\x98\x80"},
      {"\xff\xc3(\xc0\xaf", "\xef\xbf\xbd\xef\xbf\xbd(\xef\xbf\xbd\xef\xbf\xbd"},
      {"\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"}, /* half of a surrogate pair */
      {"a\tb\nc\x1b\x7f", "a\tb\nc\xef\xbf\xbd\xef\xbf\xbd"},
      {"\xc2\x85", "\xef\xbf\xbd"},
      {"\xe2\x80", "\xef\xbf\xbd\xef\xbf\xbd"}, /* cut in the middle */
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    html_text(out, cases[i].text);
    fclose(out);
    ck_assert_str_eq(text, cases[i].html);
    free(text);
  }
}
END_TEST

START_TEST(base64_is_that_of_rfc_4648) {
  static const char *const cases[][2] = {{"", ""},
                                         {"f", "Zg=="},
                                         {"fo", "Zm8="},
                                         {"foo", "Zm9v"},
                                         {"foob", "Zm9vYg=="},
                                         {"\xff\xfe\xfd", "//79"},
                                         {"fooba", "Zm9vYmE="}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    html_base64(out, cases[i][0], strlen(cases[i][0]));
    fclose(out);
    ck_assert_str_eq(text, cases[i][1]);
    free(text);
  }
}
END_TEST

/* It needs nothing else ------------------------------------------------------------------------*/

/* No address but those within the page and in its pictures; and a browser that keeps to its policy
 * loads nothing. */
START_TEST(it_is_one_file) {
  static const char *const loading[] = {
      "src=",  "href=",  "url(",     "@import", "<link",  "<iframe", "<object",
      "<base", "style=", "onclick=", "http:",   "https:", "fetch(",  "XMLHttp"};
  expect_code(RUN_FAKE, 0, "");
  record_sheets(552, 162);
  report();
  says("content=\"default-src 'none'; img-src data:; style-src 'sha256-");
  for (size_t i = 0; i < sizeof loading / sizeof *loading; i++)
    for (const char *at = page; (at = strstr(at, loading[i])); at++)
      ck_assert_msg(!strncmp(at, "src=\"data:image/", 16) || !strncmp(at, "href=\"#", 7), "%.60s",
                    at);
}
END_TEST

/* Pictures -------------------------------------------------------------------------------------*/

START_TEST(sheets_are_in_the_page) {
  expect_code(RUN_FAKE, 0, "");
  record_sheets(552, 162);
  report();
  ck_assert_int_eq(count("src=\"data:image/png;base64,iVBOR"), 2); /* one of each setting */
  ck_assert_int_eq(count("<img"), count("alt=\"Held-out images of the setting"));
  FILE *file = fopen("sheet.png", "a"); /* no longer the picture that was recorded */
  fputc('x', file);
  fclose(file);
  report();
  ck_assert_int_eq(count("<img"), 0);
  ck_assert_int_eq(count("the file is not the one that was recorded"), 2);
  unlink("sheet.png");
  report();
  ck_assert_int_eq(count("its file is gone"), 2);
}
END_TEST

/* A hundred trials of long training, with pictures that are far too large. */
START_TEST(a_hundred_trials_are_below_five_megabytes) {
  scratch_write(
      "exp.ini",
      "[experiment]\nquestion = Many?\n[train]\nbatch = 8\n[sweep]\ntrain.mask_ratio = 0.25, "
      "0.5, 0.75, 0.9\nmodel.pos_embed = learned, sincos2d, none\nmodel.decoder = 32x1x2, "
      "64x1x2\nseeds = 1..4\n");
  expect_code(RUN_FAKE, 0, "");
  change("WITH RECURSIVE n (n) AS (SELECT 21 UNION ALL SELECT n + 1 FROM n WHERE n < 1500) "
         "INSERT INTO step SELECT trial, n, attempt, epoch, loss + abs(random() % 1000) / 1000.0, "
         "loss_kind, lr, grad_norm, grad_norm_kind, loss_scale, seconds, images_per_second "
         "FROM step, n WHERE step = 20");
  change("UPDATE attempt SET steps = 1500");
  record_sheets(936, 1917);
  report();
  says("96 of 96 planned trials are done");
  ck_assert_int_eq(count("src=\"data:image/jpeg;base64,"), 24);
  ck_assert_msg(strlen(page) < 5000000, "%zu bytes", strlen(page));
}
END_TEST

int main(void) {
  Suite *suite = suite_create("report_html");
  TCase *tests = tcase_create("report_html");
  tcase_set_timeout(tests, 300);
  tcase_add_checked_fixture(tests, setup, end);
  tcase_add_test(tests, a_sweep_is_a_page);
  tcase_add_test(tests, the_same_database_gives_the_same_bytes);
  tcase_add_test(tests, it_can_be_heard);
  tcase_add_test(tests, failed_and_pending_trials_are_told);
  tcase_add_test(tests, one_trial_is_enough);
  tcase_add_test(tests, nothing_done_is_said);
  tcase_add_test(tests, a_published_order_is_the_verdict);
  tcase_add_test(tests, a_setting_has_one_colour);
  tcase_add_test(tests, a_wide_axis_is_spaced_by_ratios);
  tcase_add_test(tests, names_of_an_axis_do_not_touch);
  tcase_add_test(tests, energy_is_told_where_it_was_measured);
  tcase_add_test(tests, what_cannot_be_done_is_said);
  tcase_add_test(tests, what_a_database_says_is_never_markup);
  tcase_add_test(tests, text_is_escaped);
  tcase_add_test(tests, base64_is_that_of_rfc_4648);
  tcase_add_test(tests, it_is_one_file);
  tcase_add_test(tests, sheets_are_in_the_page);
  tcase_add_test(tests, a_hundred_trials_are_below_five_megabytes);
  suite_add_tcase(suite, tests);
  return suite_run(suite);
}
