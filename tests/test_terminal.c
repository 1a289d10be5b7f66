/* What only a terminal sees: the picture of `harness status --watch` and the question of `harness
 * delete`. */
#include <poll.h>
#include <pty.h>
#include <signal.h>

#include "tests/suite.h"
#include "tests/sweep.h"

typedef struct Terminal {
  int fd;
  pid_t child;
  char *text; /* all that was written so far */
  size_t size;
} Terminal;

enum { TEXT_MAX = 1 << 20, PATIENCE_MS = 120000 };

/* `harness` with words separated by spaces, on a terminal of its own. */
static Terminal open_terminal(const char *words, int rows) {
  Terminal terminal = {.text = calloc(1, TEXT_MAX)};
  struct winsize size = {.ws_row = (unsigned short)rows, .ws_col = 80};
  char *copy = strdup(words), *argv[32] = {HARNESS};
  int count = 1;
  for (char *word = strtok(copy, " "); word && count < 31; word = strtok(NULL, " "))
    argv[count++] = word;
  ck_assert_ptr_nonnull(terminal.text);
  terminal.child = forkpty(&terminal.fd, NULL, NULL, &size);
  if (terminal.child == 0) {
    execv(argv[0], argv);
    _exit(127);
  }
  ck_assert_int_gt(terminal.child, 0);
  free(copy);
  return terminal;
}

/* Reads more of it; false when nobody has the other side any more. */
static bool read_more(Terminal *terminal) {
  struct pollfd ready = {.fd = terminal->fd, .events = POLLIN};
  ck_assert_msg(poll(&ready, 1, PATIENCE_MS) == 1, "nothing comes after: %s", terminal->text);
  ssize_t n = read(terminal->fd, terminal->text + terminal->size, TEXT_MAX - 1 - terminal->size);
  terminal->size += n > 0 ? (size_t)n : 0;
  return n > 0;
}

static int count_of(const char *text, const char *what) {
  int count = 0;
  for (; (text = strstr(text, what)) != NULL; text += strlen(what)) count++;
  return count;
}

/* Reads until `what` has been written so many times, and returns the text up to there, which the
 * caller frees: on a busy machine more may have come already. */
static char *read_until(Terminal *terminal, const char *what, int times) {
  while (count_of(terminal->text, what) < times)
    ck_assert_msg(read_more(terminal), "no '%s' in: %s", what, terminal->text);
  const char *end = terminal->text;
  for (int i = 0; i < times; i++) end = strstr(end, what) + strlen(what);
  return strndup(terminal->text, (size_t)(end - terminal->text));
}

static void type(const Terminal *terminal, const char *keys) {
  ck_assert_int_eq(write(terminal->fd, keys, strlen(keys)), (ssize_t)strlen(keys));
}

static void expect_end(Terminal *terminal, int code) {
  while (read_more(terminal)) {
  }
  int got = scratch_wait(terminal->child);
  ck_assert_msg(got == code, "exit code %d, expected %d:\n%s", got, code, terminal->text);
}

static void close_terminal(Terminal *terminal) {
  close(terminal->fd);
  free(terminal->text);
}

static const char picture_end[] = "Ctrl-C ends it";

/* A head and four trials, twice; Ctrl-C ends it and gives the first screen back. */
START_TEST(watch_draws_again_until_it_is_ended) {
  expect_code(RUN_FAKE, 0, "done");
  Terminal terminal = open_terminal("status exp --watch --db r.db", 24);
  char *pictures = read_until(&terminal, picture_end, 2);
  ck_assert_int_eq(count_of(pictures, "\033[H"), 2);
  ck_assert_int_eq(count_of(pictures, "done"), 8);
  ck_assert_int_eq(count_of(pictures, "\033[?1049l"), 0);
  free(pictures);
  type(&terminal, "\003");
  expect_end(&terminal, 0);
  ck_assert_int_eq(count_of(terminal.text, "\033[?1049l"), 1);
  ck_assert_int_eq(count_of(terminal.text, "more"), 0);
  close_terminal(&terminal);
}
END_TEST

/* Of six lines, head and rule among them, a screen of six rows has room for three, and says so. */
START_TEST(watch_draws_what_the_screen_has_room_for) {
  expect_code(RUN_FAKE, 0, "done");
  Terminal terminal = open_terminal("status exp --watch --db r.db", 6);
  char *picture = read_until(&terminal, picture_end, 1);
  ck_assert_int_eq(count_of(picture, "\r\n"), 5);
  ck_assert_int_eq(count_of(picture, "lines more"), 1);
  free(picture);
  ck_assert_int_eq(kill(terminal.child, SIGTERM), 0);
  expect_end(&terminal, 0);
  close_terminal(&terminal);
}
END_TEST

static const struct {
  const char *keys, *said, *left;
} answers[] = {
    {"n\n", "nothing was changed", "4\n"},
    {"\n", "nothing was changed", "4\n"},
    {"\004", "nothing was changed", "4\n"}, /* the end of what is typed */
    {"y\n", "deleted trial 2", "3\n"},
};

START_TEST(delete_asks_first) {
  expect_code(RUN_FAKE, 0, "done");
  Terminal terminal = open_terminal("delete 2 --db r.db --out out", 24);
  char *question = read_until(&terminal, "? [y/N] ", 1);
  ck_assert_msg(strstr(question, "delete trial 2") != NULL, "%s", question);
  free(question);
  type(&terminal, answers[_i].keys);
  expect_end(&terminal, 0);
  ck_assert_msg(strstr(terminal.text, answers[_i].said) != NULL, "%s", terminal.text);
  expect_rows("SELECT count(*) FROM trials", answers[_i].left);
  close_terminal(&terminal);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("terminal");
  TCase *tcase = tcase_create("terminal");
  tcase_add_checked_fixture(tcase, setup, scratch_teardown);
  tcase_set_timeout(tcase, 300);
  tcase_add_test(tcase, watch_draws_again_until_it_is_ended);
  tcase_add_test(tcase, watch_draws_what_the_screen_has_room_for);
  tcase_add_loop_test(tcase, delete_asks_first, 0, sizeof answers / sizeof *answers);
  suite_add_tcase(suite, tcase);
  return suite_run(suite);
}
