/* The manual pages and completions, made by the programs themselves from their help. */
#include "tests/scratch.h"
#include "tests/suite.h"

static const char *const programs[] = {"mae", "harness"};
enum { PROGRAMS = 2 };

/* Runs a shell command with PROGRAM_DIR on the PATH and its output in `log`. */
static char *run(const char *command, int code) {
  char text[4096];
  snprintf(text, sizeof text, "PATH=%s:$PATH; %s", PROGRAM_DIR, command);
  const char *const argv[] = {"/bin/bash", "-c", text, NULL};
  int got = scratch_wait(scratch_start(argv, "log"));
  char *log = scratch_read("log");
  ck_assert_msg(got == code, "%s: exit code %d, expected %d:\n%s", command, got, code, log);
  return log;
}

static void expect(const char *command, int code, const char *text) {
  char *log = run(command, code);
  bool found = strstr(log, text) != NULL;
  ck_assert_msg(found, "%s: expected '%s' in:\n%.3000s", command, text, log);
  free(log);
}

/* Every command of the list and every option of every command's help is in the page. */
START_TEST(the_page_has_every_option) {
  char command[2048];
  snprintf(
      command, sizeof command,
      "p=%s; $p manual | sed 's/\\\\-/-/g; s/\\\\f.//g' > page && "
      "for c in $($p --help | sed -n 's/^  \\([a-z]*\\)  .*/\\1/p'); do "
      "case $c in manual | completion) continue ;; esac; "
      "grep -q \"^.SS \\\"$c\\\"\" page || { echo no command $c; exit 1; }; "
      "for o in $($p $c --help | sed -n 's/^  \\(--[a-z-]*\\) .*/\\1/p'); do case $o in "
      "--help | --version) ;; *) grep -q -e \"^$o\" page || { echo $c: no option $o; exit 1; } "
      ";; esac; done; done; wc -l < page",
      programs[_i]);
  char *log = run(command, 0);
  ck_assert_int_gt(atoi(log), 100);
  free(log);
}
END_TEST

/* Nothing is listed twice: each command's help stands once in the list and once in the page. */
START_TEST(every_command_is_listed_once) {
  char command[512];
  snprintf(command, sizeof command,
           "{ %s --help | sed -n 's/^  \\([a-z]*\\)  .*/\\1/p'; } > names && "
           "%s manual | grep '^.SS' > sections; sort names sections | uniq -d; wc -l < names",
           programs[_i], programs[_i]);
  char *log = run(command, 0);
  ck_assert_msg(atoi(log) > 8, "listed twice, or nothing: %s", log);
  free(log);
}
END_TEST

/* The page as roff's own reader sees it, where there is one. */
START_TEST(the_page_is_roff) {
  char command[512];
  snprintf(
      command, sizeof command,
      "if command -v groff >/dev/null; then %s manual | groff -man -ww -Tascii >page 2>problems; "
      "test -s page && test ! -s problems || { cat problems; exit 1; }; fi; echo fine",
      programs[_i]);
  expect(command, 0, "fine");
}
END_TEST

/* What bash offers after the words of a command line, the last of them unfinished. */
static void expect_offer(const char *words, const char *offer) {
  char command[1024];
  snprintf(command, sizeof command,
           "set -u; COMP_WORDS=(%s); source <(${COMP_WORDS[0]} completion bash); "
           "COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _${COMP_WORDS[0]}; echo \"<${COMPREPLY[*]-}>\"",
           words);
  expect(command, 0, offer);
}

START_TEST(bash_completes) {
  expect_offer("mae tr", "<train>");
  expect_offer("harness st", "<status>");
  expect_offer("mae train --res", "<--resume>");
  expect_offer("harness run --time", "<--timeout --time-limit>");
  expect_offer("mae train --set train.mask_r", "<train.mask_ratio=>");
  expect_offer("mae completion f", "<fish>");
  scratch_write("photo1.jpg", "");
  expect_offer("mae reconstruct pho", "<photo1.jpg>");
}
END_TEST

START_TEST(every_shell_reads_its_script) {
  static const char *const checks[] = {"bash -n", "zsh -n", "fish --no-execute"};
  static const char *const shells[] = {"bash", "zsh", "fish"};
  char command[512];
  for (int shell = 0; shell < 3; shell++) {
    snprintf(command, sizeof command,
             "%s completion %s > script && grep -q time-limit script || exit 1; "
             "! command -v %s >/dev/null || %s script || exit 1; echo fine",
             programs[_i], shells[shell], shells[shell], checks[shell]);
    expect(command, 0, "fine");
  }
}
END_TEST

START_TEST(refuses) {
  expect("mae completion", 2, "mae completion: which shell? bash, zsh or fish");
  expect("harness completion tcsh", 2, "which shell? bash, zsh or fish");
  expect("mae manuel", 2, "did you mean manual?");
}
END_TEST

int main(void) {
  Suite *suite = suite_create("manual");
  TCase *cases = tcase_create("programs");
  tcase_set_timeout(cases, 120);
  tcase_add_checked_fixture(cases, scratch_setup, scratch_teardown);
  tcase_add_loop_test(cases, the_page_has_every_option, 0, PROGRAMS);
  tcase_add_loop_test(cases, every_command_is_listed_once, 0, PROGRAMS);
  tcase_add_loop_test(cases, the_page_is_roff, 0, PROGRAMS);
  tcase_add_test(cases, bash_completes);
  tcase_add_loop_test(cases, every_shell_reads_its_script, 0, PROGRAMS);
  tcase_add_test(cases, refuses);
  suite_add_tcase(suite, cases);
  return suite_run(suite);
}
