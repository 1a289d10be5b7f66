/* The page of results in a real browser without a network: it says nothing on the console, its
 * figures are seen in light and in dark, its script has run.
 * Skipped, with a word, where Debian's chromium is not installed. */
#include <sys/stat.h>

#include "mae/data/picture.h"
#include "tests/suite.h"
#include "tests/sweep.h"

/* page.css: --c1 and --paper, in light and in dark. */
static const uint8_t light_line[3] = {0x00, 0x72, 0xb2}, dark_line[3] = {0x4d, 0xa6, 0xdd},
                     white[3] = {0xff, 0xff, 0xff}, black[3] = {0x14, 0x17, 0x1a};

static bool installed(const char *program) {
  char command[100];
  snprintf(command, sizeof command, "command -v %s", program);
  const char *const argv[] = {"/bin/sh", "-c", command, NULL};
  if (scratch_wait(scratch_start(argv, "has")) == 0) return true;
  printf("%s is not installed: this is not tested\n", program);
  return false;
}

/* Opens a page; standard output goes to `dom`, what the browser says to `said`. A browser that is
 * root has no sandbox. */
static void browse(const char *file, const char *options) {
  char command[1000];
  snprintf(command, sizeof command,
           "timeout 150 chromium --headless=new %s --disable-gpu --hide-scrollbars --no-first-run "
           "--user-data-dir=$PWD/profile --host-resolver-rules='MAP * ~NOTFOUND' "
           "--enable-logging=stderr %s file://$PWD/%s >dom 2>said",
           geteuid() ? "" : "--no-sandbox", options, file);
  const char *const argv[] = {"/bin/sh", "-c", command, NULL};
  int code = scratch_wait(scratch_start(argv, "log"));
  char *said = scratch_read("said");
  ck_assert_msg(code == 0, "chromium ends with %d:\n%s", code, said);
  free(said);
}

/* What a page said on the console, errors of its policy among it. */
static bool console(void) {
  char *said = scratch_read("said");
  bool spoke = strstr(said, "CONSOLE") != NULL;
  free(said);
  return spoke;
}

/* Pixels of a colour in shot.png; the first one's must be the background's. */
static int pixels(const uint8_t colour[3], const uint8_t background[3]) {
  Picture picture = {0};
  Error e = {0};
  int count = 0;
  ck_assert_msg(picture_read(&picture, "shot.png", NULL, &e), "%s", e.message);
  ck_assert_mem_eq(picture.rgb, background, 3);
  for (int i = 0; i < picture.width * picture.height; i++)
    count += !memcmp(picture.rgb + 3 * i, colour, 3);
  picture_free(&picture);
  return count;
}

static void make_page(void) {
  expect_code(RUN_FAKE, 0, "");
  expect_code("report --db r.db --out page.html", 0, "");
}

START_TEST(a_browser_shows_it) {
  if (!installed("chromium")) return;
  make_page();
  browse("page.html", "--screenshot=shot.png --window-size=1200,2400");
  ck_assert(!console());
  ck_assert_int_gt(pixels(light_line, white), 500);
  browse("page.html", "--screenshot=shot.png --window-size=1200,2400 "
                      "--blink-settings=preferredColorScheme=0");
  ck_assert(!console());
  ck_assert_int_gt(pixels(dark_line, black), 500);
  ck_assert_int_eq(pixels(light_line, black), 0);
  browse("page.html", "--dump-dom");
  char *dom = scratch_read("dom");
  ck_assert_msg(strstr(dom, "<button type=\"button\">trial</button>") != NULL,
                "no table is sortable");
  free(dom);
}
END_TEST

/* One click sorts upwards, the next downwards; what has no number is last both times. */
START_TEST(a_click_sorts_a_table) {
  if (!installed("chromium")) return;
  char *script = scratch_read(SOURCE_DIR "/harness/page/page.js"), page[8192];
  int n = snprintf(
      page, sizeof page,
      "<!DOCTYPE html><meta charset=\"utf-8\"><title>x</title><table class=\"sortable\"><thead><tr>"
      "<th>n</th></tr></thead><tbody><tr><td>3</td></tr><tr><td>none</td></tr><tr><td>20</td></tr>"
      "<tr><td>-1</td></tr></tbody></table><script>%s</script><script>function order() {"
      "document.querySelector('button').click(); return Array.from(document.querySelectorAll('td'),"
      "function (cell) { return cell.textContent; }).join(' '); }"
      "document.title = order() + '; ' + order();</script>",
      script);
  ck_assert_int_lt(n, (int)sizeof page);
  free(script);
  scratch_write("page.html", page);
  browse("page.html", "--dump-dom");
  char *dom = scratch_read("dom");
  ck_assert_msg(strstr(dom, "<title>-1 3 20 none; 20 3 -1 none</title>") != NULL, "%s", dom);
  free(dom);
}
END_TEST

/* What a_browser_shows_it relies on: the console is heard, a policy's refusal too. */
START_TEST(a_browser_that_complains_is_heard) {
  if (!installed("chromium")) return;
  scratch_write("page.html", "<!DOCTYPE html><meta http-equiv=\"Content-Security-Policy\" "
                             "content=\"default-src 'none'\"><title>x</title><script>1</script>");
  browse("page.html", "--dump-dom");
  ck_assert(console());
}
END_TEST

/* tidy knows HTML but not that SVG's title may have an id. */
START_TEST(the_markup_is_sound) {
  if (!installed("tidy")) return;
  make_page();
  const char *const argv[] = {"/bin/sh", "-c",
                              "tidy -q -e page.html 2>&1 | grep -v '<title> proprietary attribute "
                              "\"id\"'",
                              NULL};
  scratch_wait(scratch_start(argv, "log"));
  char *log = scratch_read("log");
  ck_assert_str_eq(log, "");
  free(log);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("browser");
  TCase *tests = tcase_create("browser");
  tcase_set_timeout(tests, 580);
  tcase_add_checked_fixture(tests, setup, scratch_teardown);
  tcase_add_test(tests, a_browser_shows_it);
  tcase_add_test(tests, a_click_sorts_a_table);
  tcase_add_test(tests, a_browser_that_complains_is_heard);
  tcase_add_test(tests, the_markup_is_sound);
  suite_add_tcase(suite, tests);
  return suite_run(suite);
}
