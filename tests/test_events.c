/* The event file: what is written can be read back exactly, whatever the bytes, the locale and the
 * moment the process is killed. */
#include <check.h>
#include <fcntl.h>
#include <jansson.h>
#include <locale.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mae/base/io.h"
#include "mae/record/event_line.h"
#include "mae/record/events.h"
#include "tests/suite.h"

static char folder[64], path[128];

static void setup(void) {
  strcpy(folder, "/tmp/test_events-XXXXXX");
  ck_assert_ptr_nonnull(mkdtemp(folder));
  snprintf(path, sizeof path, "%s/events.jsonl", folder);
}

static void teardown(void) {
  Error e;
  ck_assert(io_remove(folder, &e));
}

static void open_log(EventLog *log) {
  Error e = {0};
  ck_assert_msg(events_open(log, path, &e), "%s", e.message);
}

static void close_log(EventLog *log) {
  Error e = {0};
  ck_assert_msg(events_close(log, &e), "%s", e.message);
}

static void end(EventLog *log) {
  Error e = {0};
  ck_assert_msg(event_end(log, &e), "%s", e.message);
}

static void step(EventLog *log, int number) {
  event_begin(log, "step");
  event_int(log, "step", number);
  event_float(log, "loss", 1.0f / (float)number);
  end(log);
}

static void put_file(const char *text, size_t size) {
  FILE *f = fopen(path, "wb");
  ck_assert(fwrite(text, 1, size, f) == size);
  fclose(f);
}

/* All lines, parsed; every one must be a complete JSON object. */
static json_t *read_events(void) {
  FILE *f = fopen(path, "rb");
  ck_assert_ptr_nonnull(f);
  json_t *all = json_array();
  char *line = NULL;
  size_t capacity = 0;
  ssize_t size;
  while ((size = getline(&line, &capacity, f)) > 0) {
    ck_assert_int_eq(line[size - 1], '\n');
    json_error_t error;
    json_t *event = json_loadb(line, (size_t)size, JSON_REJECT_DUPLICATES, &error);
    ck_assert_msg(event != NULL, "%s: %s", error.text, line);
    json_array_append_new(all, event);
  }
  free(line);
  fclose(f);
  return all;
}

START_TEST(values_survive) {
  static const float floats[] = {0.1f, 1.0f / 3, 16777216.0f, 1.17549435e-38f, 3.4e38f, -2.5f, 0};
  static const double doubles[] = {0.1, 1.0 / 3, 1e308, 5e-324, -1234567890.123456789, 1e15, 0};
  enum { COUNT = sizeof floats / sizeof *floats };
  EventLog log;
  open_log(&log);
  event_begin(&log, "test");
  for (int i = 0; i < COUNT; i++) {
    char key[16];
    snprintf(key, sizeof key, "f%d", i);
    event_float(&log, key, floats[i]);
    key[0] = 'd';
    event_double(&log, key, doubles[i]);
  }
  event_int(&log, "least", INT64_MIN);
  event_bool(&log, "yes", true);
  event_object(&log, "nested");
  event_object(&log, "empty");
  event_object_end(&log);
  event_int(&log, "x", 1);
  event_object_end(&log);
  event_bool(&log, "no", false);
  end(&log);
  close_log(&log);

  json_t *all = read_events(), *event = json_array_get(all, 0);
  ck_assert_str_eq(json_string_value(json_object_get(event, "event")), "test");
  ck_assert(json_real_value(json_object_get(event, "time")) > 1.6e9);
  for (int i = 0; i < COUNT; i++) {
    char key[16];
    snprintf(key, sizeof key, "f%d", i);
    float f = (float)json_number_value(json_object_get(event, key));
    ck_assert(!memcmp(&f, &floats[i], sizeof f));
    key[0] = 'd';
    double d = json_number_value(json_object_get(event, key));
    ck_assert(!memcmp(&d, &doubles[i], sizeof d));
  }
  ck_assert(json_integer_value(json_object_get(event, "least")) == INT64_MIN);
  ck_assert(json_is_true(json_object_get(event, "yes")));
  ck_assert(json_is_false(json_object_get(event, "no")));
  json_t *nested = json_object_get(event, "nested");
  ck_assert_int_eq(json_integer_value(json_object_get(nested, "x")), 1);
  ck_assert(json_is_object(json_object_get(nested, "empty")));
  json_decref(all);
}
END_TEST

START_TEST(non_finite_values_are_strings) {
  EventLog log;
  open_log(&log);
  event_begin(&log, "test");
  event_float(&log, "a", NAN);
  event_double(&log, "b", INFINITY);
  event_double(&log, "c", -INFINITY);
  end(&log);
  close_log(&log);
  json_t *all = read_events(), *event = json_array_get(all, 0);
  ck_assert_str_eq(json_string_value(json_object_get(event, "a")), "nan");
  ck_assert_str_eq(json_string_value(json_object_get(event, "b")), "inf");
  ck_assert_str_eq(json_string_value(json_object_get(event, "c")), "-inf");
  json_decref(all);
}
END_TEST

/* Each input and the UTF-8 that a reader gets; every byte that is not UTF-8 is one U+FFFD. */
#define BAD "\xEF\xBF\xBD"
static const struct {
  const char *in, *out;
} texts[] = {
    {"", ""},
    {"quote\" back\\slash /", "quote\" back\\slash /"},
    {"line\nfeed\ttab\r\x01\x1f\x7f", "line\nfeed\ttab\r\x01\x1f\x7f"},
    {"caf\xC3\xA9 \xE2\x82\xAC \xF0\x9F\x90\x88", "caf\xC3\xA9 \xE2\x82\xAC \xF0\x9F\x90\x88"},
    {"\x80stray", BAD "stray"},
    {"cut \xE2\x82", "cut " BAD BAD},
    {"overlong \xC0\xAF", "overlong " BAD BAD},
    {"overlong \xE0\x80\xAF", "overlong " BAD BAD BAD},
    {"surrogate \xED\xA0\x80", "surrogate " BAD BAD BAD},
    {"too large \xF4\x90\x80\x80", "too large " BAD BAD BAD BAD},
    {"\xFF\xFE", BAD BAD},
};

/* The same numbers through the reader, each by its kind. */
START_TEST(the_reader_knows_every_kind_of_number) {
  static const char line[] =
      "{\"event\":\"x\",\"finite\":2.5,\"nan\":\"nan\",\"inf\":\"inf\",\"-inf\":\"-inf\","
      "\"null\":null,\"text\":\"1\",\"whole\":3}";
  EventLine event;
  Error e = {0};
  ck_assert_msg(event_line_read(&event, line, strlen(line), &e), "%s", e.message);
  ck_assert(event_line_is(&event, "x") && !event_line_is(&event, "y"));
  ck_assert(member_number(event.json, "finite").value == 2.5);
  ck_assert_double_nan(member_number(event.json, "nan").value);
  ck_assert(member_number(event.json, "inf").value == INFINITY);
  ck_assert(member_number(event.json, "-inf").value == -INFINITY);
  for (NumberKind kind = NUMBER_FINITE; kind <= NUMBER_MINUS_INF; kind++)
    ck_assert_int_eq(member_number(event.json, number_kind_name(kind)).kind, kind);
  ck_assert_int_eq(member_number(event.json, "null").kind, NUMBER_ABSENT);
  ck_assert_int_eq(member_number(event.json, "missing").kind, NUMBER_ABSENT);
  ck_assert_int_eq(member_number(event.json, "text").kind, NUMBER_INVALID);
  ck_assert_int_eq(member_integer(event.json, "whole", 7), 3);
  ck_assert_int_eq(member_integer(event.json, "finite", 7), 7);
  ck_assert_int_eq(member_whole_number(event.json, "finite").kind, NUMBER_ABSENT);
  double value;
  ck_assert(!member_need_finite(event.json, "nan", &value, &e));
  ck_assert_str_eq(e.message, "member \"nan\" is not a finite number");
  event_line_free(&event);
  ck_assert(!event_line_read(&event, "{}", 2, &e));
  ck_assert_str_eq(e.message, "member \"event\" is not text");
}
END_TEST

START_TEST(any_bytes_make_valid_json) {
  EventLog log;
  open_log(&log);
  event_begin(&log, "test");
  event_string(&log, "text", texts[_i].in);
  event_string(&log, texts[_i].in, "as a key");
  end(&log);
  close_log(&log);
  json_t *all = read_events(), *event = json_array_get(all, 0);
  ck_assert_str_eq(json_string_value(json_object_get(event, "text")), texts[_i].out);
  ck_assert_str_eq(json_string_value(json_object_get(event, texts[_i].out)), "as a key");
  json_decref(all);
}
END_TEST

START_TEST(a_locale_changes_nothing) {
  static const char *const locales[] = {"de_DE.UTF-8", "fr_FR.UTF-8", "de_DE", "fr_FR"};
  const char *got = NULL;
  for (int i = 0; i < 4 && !got; i++) got = setlocale(LC_ALL, locales[i]);
  EventLog log;
  open_log(&log);
  event_begin(&log, "test");
  event_double(&log, "x", -1.5e-7);
  end(&log);
  close_log(&log);
  setlocale(LC_ALL, "C");
  json_t *all = read_events();
  ck_assert(json_number_value(json_object_get(json_array_get(all, 0), "x")) == -1.5e-7);
  json_decref(all);
}
END_TEST

START_TEST(a_half_written_line_is_cut_off) {
  static const char text[] = "{\"event\":\"start\",\"time\":1}\n{\"event\":\"step\",\"ti";
  put_file(text, sizeof text - 1);
  EventLog log;
  open_log(&log);
  ck_assert_int_eq(log.attempt, 2);
  step(&log, 7);
  close_log(&log);
  json_t *all = read_events();
  ck_assert_int_eq(json_array_size(all), 2);
  ck_assert_int_eq(json_integer_value(json_object_get(json_array_get(all, 1), "step")), 7);
  json_decref(all);
}
END_TEST

/* The scan reads in chunks of 64 KiB: line ends and start events on either side of the border. */
START_TEST(long_files_are_scanned_whole) {
  size_t size = 3 << 16;
  char *text = malloc(size + 64);
  memset(text, ' ', size);
  static const char start[] = "{\"event\":\"start\",\"time\":1}\n";
  size_t at = (1 << 16) - (size_t)(_i);
  text[at - 1] = '\n';
  memcpy(text + at, start, sizeof start - 1);
  size_t half = at + sizeof start - 1;
  put_file(text, size);
  EventLog log;
  open_log(&log);
  ck_assert_int_eq(log.attempt, 2);
  close_log(&log);
  struct stat st;
  ck_assert(!stat(path, &st));
  ck_assert_int_eq(st.st_size, half);
  free(text);
}
END_TEST

START_TEST(a_second_writer_is_refused) {
  EventLog first, second;
  open_log(&first);
  Error e = {0};
  ck_assert(!events_open(&second, path, &e));
  ck_assert_int_eq(e.code, EXIT_DATA);
  ck_assert_ptr_nonnull(strstr(e.message, "another training process"));
  close_log(&first);
  open_log(&second);
  close_log(&second);
}
END_TEST

/* A process killed while it writes leaves complete lines and at most one half. */
START_TEST(kill_leaves_complete_lines) {
  pid_t child = fork();
  if (child == 0) {
    EventLog log;
    Error e;
    if (!events_open(&log, path, &e)) _exit(1);
    for (int i = 1;; i++) {
      event_begin(&log, "step");
      event_int(&log, "step", i);
      event_end(&log, &e);
    }
  }
  struct stat st = {0};
  while (stat(path, &st) || st.st_size < 20000) usleep(1000);
  kill(child, SIGKILL);
  waitpid(child, NULL, 0);

  EventLog log;
  open_log(&log);
  close_log(&log);
  json_t *all = read_events();
  size_t index;
  json_t *event;
  json_array_foreach(all, index, event)
      ck_assert_int_eq(json_integer_value(json_object_get(event, "step")), (int)index + 1);
  ck_assert(index > 100);
  json_decref(all);
}
END_TEST

START_TEST(a_folder_is_an_error_that_names_it) {
  EventLog log;
  Error e = {0};
  ck_assert(!events_open(&log, folder, &e));
  ck_assert_int_eq(e.code, EXIT_DATA);
  ck_assert_ptr_nonnull(strstr(e.message, folder));
}
END_TEST

/* Seals ---------------------------------------------------------------------------------------*/

enum { SEALED_LINES = 6, FILE_MAX = 8192 };

static size_t get_file(char text[FILE_MAX]) {
  FILE *f = fopen(path, "rb");
  size_t size = fread(text, 1, FILE_MAX, f);
  fclose(f);
  return size;
}

/* The first line of the file that does not follow, from 1; 0: all do; -1: unsealed ones came. */
static int first_broken(void) {
  char text[FILE_MAX];
  size_t size = get_file(text);
  Seal seal;
  int number = 1, unsealed = 0;
  seal_begin(&seal);
  for (size_t at = 0; at < size; number++) {
    char *end = memchr(text + at, '\n', size - at);
    if (!end) break;
    SealState state = seal_check(&seal, text + at, (size_t)(end - text) - at);
    if (state == SEAL_BROKEN) {
      seal_free(&seal);
      return number;
    }
    unsealed |= state == SEAL_NONE;
    at = (size_t)(end - text) + 1;
  }
  seal_free(&seal);
  return unsealed ? -1 : 0;
}

static void write_sealed(void) {
  EventLog log;
  open_log(&log);
  for (int i = 1; i <= SEALED_LINES; i++) step(&log, i);
  close_log(&log);
}

static void want_refusal(int line) {
  EventLog log;
  Error e = {0};
  char where[32];
  snprintf(where, sizeof where, "events.jsonl:%d:", line);
  ck_assert(!events_open(&log, path, &e));
  ck_assert_int_eq(e.code, EXIT_DATA);
  ck_assert_msg(strstr(e.message, where) != NULL, "%s", e.message);
}

/* One bit of every byte of the file, each by itself. */
START_TEST(a_flipped_bit_breaks_the_chain_where_it_is) {
  char text[FILE_MAX], damaged[FILE_MAX];
  write_sealed();
  ck_assert_int_eq(first_broken(), 0);
  size_t size = get_file(text);
  int line = 1;
  for (size_t i = 0; i < size; i++) {
    if (text[i] == '\n') { /* two lines become one */
      line++;
      continue;
    }
    memcpy(damaged, text, size);
    damaged[i] ^= (char)(1 << i % 7);
    if (damaged[i] == '\n') continue;
    put_file(damaged, size);
    int broken = first_broken();
    /* A line whose seal's own name is hit has none: known by the next one, or by the first that has
     * one. The last line's is known to be missing because the others have theirs. */
    ck_assert_msg(broken == line || (line == 1 && broken == 2), "byte %zu of line %d: %d", i, line,
                  broken);
  }
  put_file(damaged, size);
}
END_TEST

START_TEST(lines_lost_moved_or_put_in_are_noticed) {
  char text[FILE_MAX], damaged[FILE_MAX], *line[SEALED_LINES + 1];
  write_sealed();
  size_t size = get_file(text), length = 0;
  line[0] = text;
  for (int i = 0; i < SEALED_LINES; i++) line[i + 1] = strchr(line[i], '\n') + 1;
  /* Orders of lines: without the third; third and fourth changed over; the third twice. */
  static const int orders[][7] = {
      {0, 1, 3, 4, 5, -1}, {0, 1, 3, 2, 4, 5, -1}, {0, 1, 2, 2, 3, 4, 5}, {1, 2, 3, 4, 5, -1}};
  static const int broken[] = {3, 3, 4, 1};
  for (int i = 0; i < 7 && orders[_i][i] >= 0; i++) {
    int k = orders[_i][i];
    memcpy(damaged + length, line[k], (size_t)(line[k + 1] - line[k]));
    length += (size_t)(line[k + 1] - line[k]);
  }
  (void)size;
  put_file(damaged, length);
  ck_assert_int_eq(first_broken(), broken[_i]);
  want_refusal(broken[_i]);
}
END_TEST

START_TEST(a_line_without_a_seal_behind_one_with) {
  write_sealed();
  FILE *f = fopen(path, "ab");
  fputs("{\"event\":\"end\",\"time\":1,\"status\":\"done\"}\n", f);
  fclose(f);
  ck_assert_int_eq(first_broken(), SEALED_LINES + 1);
  want_refusal(SEALED_LINES + 1);
}
END_TEST

/* A file of an earlier version goes on; from then on what was there is sealed too. */
START_TEST(old_lines_are_sealed_by_the_first_new_one) {
  static const char old[] = "{\"event\":\"step\",\"time\":1}\n{\"event\":\"step\",\"time\":2}\n";
  EventLog log;
  char text[FILE_MAX];
  put_file(old, strlen(old));
  open_log(&log);
  step(&log, 3);
  close_log(&log);
  ck_assert_int_eq(first_broken(), -1);
  open_log(&log);
  step(&log, 4);
  close_log(&log);
  size_t size = get_file(text);
  text[strlen(old) - 3] = '9';
  put_file(text, size);
  ck_assert_int_eq(first_broken(), 3);
  want_refusal(3);
}
END_TEST

/* Continuing in the middle, as a reader does that knows its place. */
START_TEST(a_reader_goes_on_behind_a_line) {
  char text[FILE_MAX];
  write_sealed();
  get_file(text);
  char *second = strchr(text, '\n') + 1, *third = strchr(second, '\n') + 1;
  char *fourth = strchr(third, '\n') + 1;
  Seal seal;
  seal_begin(&seal);
  ck_assert(seal_continue(&seal, second, (size_t)(third - second) - 1));
  ck_assert_int_eq(seal_check(&seal, third, (size_t)(fourth - third) - 1), SEAL_GOOD);
  ck_assert(!seal_continue(&seal, "{}", 2));
  seal_free(&seal);
}
END_TEST

int main(void) {
  TCase *tc = tcase_create("events");
  tcase_add_checked_fixture(tc, setup, teardown);
  tcase_add_test(tc, values_survive);
  tcase_add_test(tc, non_finite_values_are_strings);
  tcase_add_test(tc, the_reader_knows_every_kind_of_number);
  tcase_add_loop_test(tc, any_bytes_make_valid_json, 0, sizeof texts / sizeof *texts);
  tcase_add_test(tc, a_locale_changes_nothing);
  tcase_add_test(tc, a_half_written_line_is_cut_off);
  tcase_add_loop_test(tc, long_files_are_scanned_whole, 0, 32);
  tcase_add_test(tc, a_second_writer_is_refused);
  tcase_add_test(tc, kill_leaves_complete_lines);
  tcase_add_test(tc, a_folder_is_an_error_that_names_it);
  tcase_add_test(tc, a_flipped_bit_breaks_the_chain_where_it_is);
  tcase_add_loop_test(tc, lines_lost_moved_or_put_in_are_noticed, 0, 4);
  tcase_add_test(tc, a_line_without_a_seal_behind_one_with);
  tcase_add_test(tc, old_lines_are_sealed_by_the_first_new_one);
  tcase_add_test(tc, a_reader_goes_on_behind_a_line);
  Suite *suite = suite_create("events");
  suite_add_tcase(suite, tc);
  return suite_run(suite);
}
