/* The command line that both programs share: options, words, lists, help and refusals. */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "mae/base/command_line.h"
#include "tests/suite.h"

enum { ARGUMENTS_MAX = 16 };

static struct Given {
  bool flag, explained;
  const char *text;
  int64_t count;
  double number, time;
  CmdList list, rest;
} given;
static CommandLine line;
static int code;
static char words[512], printed[4096];

static const CmdOption options[] = {
    {"--flag", CMD_FLAG, &given.flag, NULL, "a switch"},
    {"--text", CMD_TEXT, &given.text, "WORD", "a word\nof two lines"},
    {"--count", CMD_COUNT, &given.count, "N", "a whole number"},
    {"--number", CMD_NUMBER, &given.number, "X", "a number"},
    {"--time", CMD_TIME, &given.time, "TIME", "a duration"},
    {"--list", CMD_LIST, &given.list, "ITEM", "many"},
    {"--rest", CMD_REST, &given.rest, "ANYTHING", "all that follows"},
    {"--old", CMD_TEXT, &given.text, "WORD", NULL},
};

static void setup(void) {
  given = (struct Given){0};
  line = (CommandLine){.name = "program command",
                       .usage = "WORD",
                       .about = "What it does.",
                       .options = options,
                       .option_count = sizeof options / sizeof *options,
                       .words_max = 3};
}

/* Reads the arguments, which blanks separate; what that prints is in `printed`. */
static bool read_line(const char *text) {
  char *argv[ARGUMENTS_MAX] = {(char *)"command"};
  int argc = 1;
  snprintf(words, sizeof words, "%s", text);
  for (char *word = strtok(words, " "); word; word = strtok(NULL, " ")) argv[argc++] = word;
  fflush(stdout);
  FILE *file = tmpfile(), *out = stdout, *err = stderr;
  stdout = stderr = file;
  bool ok = command_line_read(&line, argc, argv, &code);
  stdout = out;
  stderr = err;
  rewind(file);
  printed[fread(printed, 1, sizeof printed - 1, file)] = 0;
  fclose(file);
  /* Words lie in argv, which ends here. */
  static const char *kept[ARGUMENTS_MAX];
  memcpy(kept, line.words, (size_t)line.word_count * sizeof *kept);
  line.words = kept;
  return ok;
}

START_TEST(values_go_where_they_belong) {
  ck_assert(read_line("--flag a --text=x=y --count 12 b --number 2.5 --text z -"));
  ck_assert(given.flag);
  ck_assert_str_eq(given.text, "z");
  ck_assert_int_eq(given.count, 12);
  ck_assert_double_eq(given.number, 2.5);
  ck_assert_int_eq(line.word_count, 3);
  ck_assert_str_eq(line.words[0], "a");
  ck_assert_str_eq(line.words[1], "b");
  ck_assert_str_eq(line.words[2], "-");
  ck_assert_str_eq(printed, "");
}
END_TEST

static const struct {
  const char *text;
  double seconds;
} times[] = {{"11h30m", 41400}, {"90m", 5400},   {"45s", 45},
             {"3600", 3600},    {"1d2h", 93600}, {"1h0m5s", 3605}};

START_TEST(times_are_seconds) {
  char text[64];
  snprintf(text, sizeof text, "--time %s", times[_i].text);
  ck_assert_msg(read_line(text), "%s", printed);
  ck_assert_double_eq(given.time, times[_i].seconds);
}
END_TEST

START_TEST(lists_keep_every_value_in_order) {
  line.ending = ".ini";
  line.ended = &given.list;
  ck_assert(read_line("--list 1 a.ini --list=2 .ini b.ini"));
  static const char *const expected[] = {"1", "a.ini", "2", "b.ini"};
  ck_assert_int_eq(given.list.count, 4);
  for (int i = 0; i < 4; i++) ck_assert_str_eq(given.list.items[i], expected[i]);
  ck_assert_int_eq(line.word_count, 1); /* ".ini" is no name */
  command_line_free(&line);
  ck_assert(given.list.items == NULL && given.list.count == 0);
}
END_TEST

START_TEST(the_rest_is_taken_as_it_is) {
  ck_assert(read_line("a --flag b --rest --text -x --help"));
  ck_assert(given.flag && given.text == NULL);
  ck_assert_int_eq(line.word_count, 2);
  ck_assert_int_eq(given.rest.count, 3);
  ck_assert(read_line("a --rest"));
  ck_assert(given.rest.items != NULL && given.rest.count == 0);
  command_line_free(&line); /* frees no part of argv */
  ck_assert(!read_line("--rest=x"));
  ck_assert(strstr(printed, "--rest takes no value"));
  line.words_min = 1;
  ck_assert(!read_line("--rest a"));
  ck_assert(strstr(printed, "usage: program command WORD; all that follows --rest is ANYTHING"));
}
END_TEST

START_TEST(two_dashes_end_the_options) {
  ck_assert(read_line("--flag -- --text --help"));
  ck_assert(given.flag && given.text == NULL);
  ck_assert_int_eq(line.word_count, 2);
  ck_assert_str_eq(line.words[0], "--text");
  ck_assert_str_eq(line.words[1], "--help");
}
END_TEST

START_TEST(older_names_work_and_are_not_shown) {
  ck_assert(read_line("--old x"));
  ck_assert_str_eq(given.text, "x");
  ck_assert(!read_line("--help"));
  ck_assert_int_eq(code, EXIT_OK);
  ck_assert(strstr(printed, "--old") == NULL);
  ck_assert(!read_line("--odl x"));
  ck_assert(strstr(printed, "mean --old") == NULL);
}
END_TEST

START_TEST(help_shows_the_usage_and_every_option) {
  line.after = "More elsewhere.";
  ck_assert(!read_line(_i ? "-h" : "a b --help"));
  ck_assert_int_eq(code, EXIT_OK);
  ck_assert_str_eq(printed,
                   "usage: program command WORD [--list ITEM]... [options] [--rest ANYTHING]\n\n"
                   "What it does.\n\n"
                   "  --flag                   a switch\n"
                   "  --text WORD              a word\n"
                   "                           of two lines\n"
                   "  --count N                a whole number\n"
                   "  --number X               a number\n"
                   "  --time TIME              a duration\n"
                   "  --list ITEM              many\n"
                   "  --rest ANYTHING          all that follows\n"
                   "  --help                   print this help\n"
                   "  --version                print version, build, libraries and GPUs\n\n"
                   "More elsewhere.\n");
}
END_TEST

static bool explain(const char *topic, Error *e) {
  given.explained = true;
  if (topic) printf("about %s\n", topic);
  return !topic || strcmp(topic, "none") || error_set(e, EXIT_CONFIG, "none: no such topic");
}

START_TEST(help_explains_topics) {
  line.explain = explain;
  ck_assert(!read_line("--help=this"));
  ck_assert_str_eq(printed, "about this\n");
  ck_assert(!read_line("--help this"));
  ck_assert_str_eq(printed, "about this\n");
  ck_assert(!read_line("--help"));
  ck_assert(given.explained && !strncmp(printed, "usage: ", 7));
  ck_assert_int_eq(code, EXIT_OK);
  ck_assert(!read_line("--help none"));
  ck_assert_int_eq(code, EXIT_CONFIG);
  ck_assert(strstr(printed, "program command: none: no such topic\n"));
}
END_TEST

static const struct {
  const char *arguments, *said;
} refusals[] = {
    {"", "missing argument; usage: program command WORD"},
    {"a b c d", "unexpected argument 'd'; `program command --help` shows the usage"},
    {"a --txt x", "no option --txt; did you mean --text?"},
    {"a --txt=x", "no option --txt; did you mean --text?"},
    {"a --qqqqqqqq", "no option --qqqqqqqq; `program command --help` lists them"},
    {"a -x", "no option -x; `program command --help` lists them"},
    {"a --flag=1", "--flag takes no value"},
    {"a --help=1", "--help takes no value"},
    {"a --text", "--text needs a value: --text WORD"},
    {"a --count 1.5", "--count 1.5: expected a whole number from 0"},
    {"a --count -1", "--count -1: expected a whole number from 0"},
    {"a --count=", "--count : expected a whole number from 0"},
    {"a --count 1000000000001", "expected a whole number from 0"},
    {"a --number -1", "--number -1: expected a number from 0"},
    {"a --number nan", "--number nan: expected a number from 0"},
    {"a --number 1x", "--number 1x: expected a number from 0"},
#define TIME ": expected a time such as 11h30m, 90m or 45s"
    {"a --time 0", "--time 0" TIME},
    {"a --time 5x", "--time 5x" TIME},
    {"a --time 5m3h", "--time 5m3h" TIME},
    {"a --time 5m3m", "--time 5m3m" TIME},
    {"a --time 5m3", "--time 5m3" TIME},
    {"a --time 1.5h", "--time 1.5h" TIME},
    {"a --time -5", "--time -5" TIME},
    {"a --time 99999999999999999999d", TIME},
#undef TIME
};

START_TEST(what_is_wrong_is_said) {
  char expected[256];
  line.words_min = 1;
  ck_assert(!read_line(refusals[_i].arguments));
  ck_assert_int_eq(code, EXIT_CONFIG);
  snprintf(expected, sizeof expected, "%s\n", refusals[_i].said);
  ck_assert_msg(!strncmp(printed, "program command: ", 17) && strstr(printed, expected), "%s",
                printed);
  line.silent = true;
  ck_assert(!read_line(refusals[_i].arguments));
  ck_assert_int_eq(code, EXIT_CONFIG);
  ck_assert_str_eq(printed, "");
}
END_TEST

/* Who does not want to know why something failed passes NULL. */
START_TEST(errors_may_be_unwanted) {
  ck_assert(!error_set(NULL, EXIT_DATA, "%s", "x"));
  ck_assert(!error_prefix(NULL, "%s", "x"));
  ck_assert(!error_suffix(NULL, "%s", "x"));
}
END_TEST

int main(void) {
  Suite *suite = suite_create("command line");
  TCase *tc = tcase_create("command line");
  tcase_add_checked_fixture(tc, setup, NULL);
  tcase_add_test(tc, values_go_where_they_belong);
  tcase_add_loop_test(tc, times_are_seconds, 0, sizeof times / sizeof *times);
  tcase_add_test(tc, lists_keep_every_value_in_order);
  tcase_add_test(tc, the_rest_is_taken_as_it_is);
  tcase_add_test(tc, two_dashes_end_the_options);
  tcase_add_test(tc, older_names_work_and_are_not_shown);
  tcase_add_loop_test(tc, help_shows_the_usage_and_every_option, 0, 2);
  tcase_add_test(tc, help_explains_topics);
  tcase_add_loop_test(tc, what_is_wrong_is_said, 0, sizeof refusals / sizeof *refusals);
  tcase_add_test(tc, errors_may_be_unwanted);
  suite_add_tcase(suite, tc);
  return suite_run(suite);
}
