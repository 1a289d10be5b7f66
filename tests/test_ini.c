/* The INI reader: what it accepts, and where it says a mistake is. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mae/config/ini.h"
#include "tests/suite.h"

/* Text and the entries it gives, each as "section|key|value|line|column\n". */
static const struct {
  const char *text, *entries;
} accepted[] = {
    {"", ""},
    {"\n\n; only comments\n# here\n", ""},
    {"[a]\nb = c\n", "a|b|c|2|5\n"},
    {"[a]\nb=c", "a|b|c|2|3\n"},
    {"\xEF\xBB\xBF[a]\r\nb = c\r\n", "a|b|c|2|5\n"},
    {"[a] ; comment\nb = c ; comment\n", "a|b|c|2|5\n"},
    {"[a]\nb = c # comment\n", "a|b|c|2|5\n"},
    {"[a]\nb = c;d#e\n", "a|b|c;d#e|2|5\n"},
    {"[a]\nexclude = x=1 y=2; x=3 y=4\n", "a|exclude|x=1 y=2; x=3 y=4|2|11\n"},
    {"[a]\nb = \"c ; d # e\" ; f\n", "a|b|c ; d # e|2|5\n"},
    {"[a]\nb = \" c \"\n", "a|b| c |2|5\n"},
    {"[a]\nb = \"\\\"c\\\\\"\n", "a|b|\"c\\|2|5\n"},
    {"[a]\nb = it \"is\" 5\n", "a|b|it \"is\" 5|2|5\n"},
    {"[a]\nb =\nc = \"\"\n", "a|b||2|4\na|c||3|5\n"},
    {"[a]\nb = ; nothing\n", "a|b||2|5\n"},
    {"[a]\nb = 1,\n  2,\n\t3\nc = 4\n", "a|b|1, 2, 3|2|5\na|c|4|5|5\n"},
    {"[a]\nb = 1, ; one\n  ; not this\n  2 # two\n", "a|b|1, 2|2|5\n"},
    {"[a]\nb =\n  1,\n  2\n", "a|b|1, 2|3|3\n"},
    {"[a]\nb = 1\n\n[c]\nb = 2\n[a]\nd = 3\n", "a|b|1|2|5\nc|b|2|5|5\na|d|3|7|5\n"},
    {"[sweep]\ntrain.mask_ratio = 0.5\n", "sweep|train.mask_ratio|0.5|2|20\n"},
};

START_TEST(accepts) {
  IniFile ini;
  Error e = {0};
  const char *text = accepted[_i].text;
  ck_assert_msg(ini_parse(&ini, "t", text, strlen(text), &e), "%s", e.message);
  char *found = NULL;
  size_t size;
  FILE *file = open_memstream(&found, &size);
  for (int i = 0; i < ini.count; i++) {
    const IniEntry *entry = &ini.entries[i];
    fprintf(file, "%s|%s|%s|%d|%d\n", entry->section, entry->key, entry->value, entry->line,
            entry->column);
    ck_assert_str_eq(entry->file, "t");
  }
  fclose(file);
  ck_assert_str_eq(found, accepted[_i].entries);
  free(found);
  ini_free(&ini);
}
END_TEST

static const struct {
  const char *text, *message;
} refused[] = {
    {"a = b\n", "t:1:1: a key before the first [section]"},
    {"[a]\nb\n", "t:2:2: expected key = value"},
    {"[a]\nb c = d\n", "t:2:3: expected key = value"},
    {"[a]\n= d\n", "t:2:1: expected key = value"},
    {"[a\nb = c\n", "t:1:3: expected [section]"},
    {"[]\n", "t:1:2: expected [section]"},
    {"[a b]\n", "t:1:3: expected [section]"},
    {"[a] b\n", "t:1:5: text after the section's"},
    {"[a]\nb = \"c\n", "t:2:5: this quote is not closed"},
    {"[a]\nb = \"c\\\n", "t:2:7: a backslash inside quotes"},
    {"[a]\nb = \"c\\n\"\n", "t:2:7: a backslash inside quotes"},
    {"[a]\nb = \"c\" d\n", "t:2:9: text after the closing quote"},
    {"[a]\nb = \"c\";d\n", "t:2:8: text after the closing quote"},
    {"[a]\nb = 1\nc = 2\nb = 3\n", "t:4:1: a.b: already given on line 2"},
    {"[a]\nb = 1\n[c]\nb = 1\n[a]\nb = 3\n", "t:6:1: a.b: already given on line 2"},
    {"  b = 1\n", "t:1:3: an indented line continues a value"},
    {"[a]\n  b = 1\n", "t:2:3: an indented line continues a value"},
    {"[a]\nb = 1\n\n  2\n", "t:4:3: an indented line continues a value"},
    {"[a]\nb = \x01\n", "t:2:5: a control character"},
    {"[a]\nb = 1\rc = 2\n", "t:2:6: a control character"},
    {"include = b.ini\n", "t:1:1: include is not possible here"},
    {"[a]\ninclude = b.ini\n", "t:2:1: include stands before"},
    {"[a]\n; b = 1\n\n[c]\nd = 1\n", "t:1:1: [a] has no keys"},
    {"[a]\nb = 1\n[sweep]\n", "t:3:1: [sweep] has no keys"},
};

START_TEST(refuses) {
  IniFile ini;
  Error e = {0};
  const char *text = refused[_i].text;
  ck_assert(!ini_parse(&ini, "t", text, strlen(text), &e));
  ck_assert_int_eq(e.code, EXIT_CONFIG);
  ck_assert_msg(!strncmp(e.message, refused[_i].message, strlen(refused[_i].message)), "%s",
                e.message);
  ck_assert_int_eq(ini.count, 0);
}
END_TEST

START_TEST(a_nul_byte_is_refused_where_it_stands) {
  IniFile ini;
  Error e = {0};
  ck_assert(!ini_parse(&ini, "t", "[a]\nb = c\0d\n", 12, &e));
  ck_assert_msg(!strncmp(e.message, "t:2:6: a control", 16), "%s", e.message);
}
END_TEST

START_TEST(a_long_list_is_read_whole) {
  char *text = NULL;
  size_t size;
  FILE *file = open_memstream(&text, &size);
  fputs("[sweep]\nrun.seed = 0", file);
  for (int i = 1; i < 100000; i++) fprintf(file, ",%s%d", i % 1000 ? " " : "\n  ", i);
  fclose(file);
  IniFile ini;
  Error e = {0};
  ck_assert(ini_parse(&ini, "t", text, size, &e));
  ck_assert_int_eq(ini.count, 1);
  int values = 1;
  for (const char *c = ini.entries[0].value; *c; c++) values += *c == ',';
  ck_assert_int_eq(values, 100000);
  ck_assert_str_eq(strrchr(ini.entries[0].value, ' '), " 99999");
  ini_free(&ini);
  free(text);
}
END_TEST

START_TEST(too_many_keys_are_refused) {
  char *text = NULL;
  size_t size;
  FILE *file = open_memstream(&text, &size);
  fputs("[a]\n", file);
  for (int i = 0; i <= INI_ENTRIES_MAX; i++) fprintf(file, "k%d=\n", i);
  fclose(file);
  IniFile ini;
  Error e = {0};
  ck_assert(!ini_parse(&ini, "t", text, size, &e));
  ck_assert_ptr_nonnull(strstr(e.message, "too many keys"));
  /* One key less is taken. */
  size -= strlen("k4096=\n");
  ck_assert(ini_parse(&ini, "t", text, size, &e));
  ck_assert_int_eq(ini.count, INI_ENTRIES_MAX);
  ini_free(&ini);
  free(text);
}
END_TEST

/* Every prefix of a text, and the text with every byte replaced: never a crash or a leak, and a
 * failure always has a message and a place. */
START_TEST(damaged_text_is_survived) {
  static const char whole[] = "; head\n[model]\nencoder = \"192x6x3\" ; x\n[sweep]\n"
                              "train.mask_ratio = 0.5,\n  0.75\nexclude = a=1; b=\"2\"\n";
  static const char replacements[] = "\"\\[]=;# \n\r\t\x01\xff"
                                     "a";
  char text[sizeof whole];
  int refusals = 0;
  for (size_t i = 0; i < sizeof whole - 1; i++)
    for (size_t r = 0; r < sizeof replacements; r++) {
      memcpy(text, whole, sizeof whole);
      text[i] = replacements[r];
      size_t size = r ? sizeof whole - 1 : i; /* r = 0: cut at i instead */
      IniFile ini;
      Error e = {0};
      if (ini_parse(&ini, "t", text, size, &e)) {
        ini_free(&ini);
        continue;
      }
      refusals++;
      ck_assert_int_eq(e.code, EXIT_CONFIG);
      ck_assert_msg(!strncmp(e.message, "t:", 2), "%s", e.message);
    }
  ck_assert_int_gt(refusals, 100);
}
END_TEST

static char folder[64];

static void setup(void) {
  strcpy(folder, "/tmp/maebench-ini-XXXXXX");
  ck_assert_ptr_nonnull(mkdtemp(folder));
}

static void teardown(void) {
  char command[128];
  snprintf(command, sizeof command, "rm -rf %s", folder);
  ck_assert_int_eq(system(command), 0);
}

static const char *write_file(const char *name, const char *text) {
  static char path[256];
  snprintf(path, sizeof path, "%s/%s", folder, name);
  FILE *file = fopen(path, "w");
  ck_assert_ptr_nonnull(file);
  fputs(text, file);
  fclose(file);
  return path;
}

START_TEST(includes_come_first_and_are_overridden) {
  char sub[128];
  snprintf(sub, sizeof sub, "mkdir %s/scales", folder);
  ck_assert_int_eq(system(sub), 0);
  write_file("base.ini", "[a]\nx = 0\n");
  write_file("scales/cpu.ini", "include = ../base.ini\n[a]\nx = 1\ny = 1\n");
  const char *path = write_file("top.ini", "; why\ninclude = scales/cpu.ini ; first\n[a]\nx = 2\n");
  IniFile ini;
  Error e = {0};
  ck_assert_msg(ini_read(&ini, path, &e), "%s", e.message);
  ck_assert_int_eq(ini.count, 4);
  for (int i = 0; i < 4; i++) ck_assert_str_eq(ini.entries[i].value, &"0\0001\0001\0002"[2 * i]);
  ck_assert_ptr_nonnull(strstr(ini.entries[0].file, "/scales/../base.ini"));
  ck_assert_str_eq(ini.entries[3].file, path);
  ini_free(&ini);
}
END_TEST

START_TEST(circular_includes_are_refused) {
  write_file("a.ini", "include = b.ini\n");
  const char *path = write_file("b.ini", "include = ./a.ini\n");
  IniFile ini;
  Error e = {0};
  ck_assert(!ini_read(&ini, path, &e));
  ck_assert_int_eq(e.code, EXIT_CONFIG);
  ck_assert_ptr_nonnull(strstr(e.message, "circular include"));
  ck_assert_ptr_nonnull(strstr(e.message, "b.ini:1:11: include: "));
}
END_TEST

/* Each file includes the next twice: 2^20 readings without a limit. */
START_TEST(doubling_includes_are_refused) {
  char name[32], text[64];
  for (int i = 0; i < 20; i++) {
    snprintf(name, sizeof name, "%d.ini", i);
    snprintf(text, sizeof text, "include = %d.ini\ninclude = %d.ini\n", i + 1, i + 1);
    write_file(name, text);
  }
  write_file("20.ini", "");
  char path[128];
  snprintf(path, sizeof path, "%s/0.ini", folder);
  IniFile ini;
  Error e = {0};
  ck_assert(!ini_read(&ini, path, &e));
  ck_assert_ptr_nonnull(strstr(e.message, "more than 64 files"));
}
END_TEST

START_TEST(missing_files_and_folders_are_named) {
  IniFile ini;
  Error e = {0};
  ck_assert(!ini_read(&ini, "/nonexistent/x.ini", &e));
  ck_assert_ptr_nonnull(strstr(e.message, "/nonexistent/x.ini"));
  ck_assert(!ini_read(&ini, folder, &e));
  ck_assert_ptr_nonnull(strstr(e.message, folder));
  const char *path = write_file("a.ini", "\ninclude = gone.ini\n");
  ck_assert(!ini_read(&ini, path, &e));
  ck_assert_ptr_nonnull(strstr(e.message, "a.ini:2:11: include: "));
  ck_assert_ptr_nonnull(strstr(e.message, "gone.ini: No such file"));
}
END_TEST

int main(void) {
  TCase *tc = tcase_create("ini");
  tcase_add_checked_fixture(tc, setup, teardown);
  tcase_set_timeout(tc, 60);
  tcase_add_loop_test(tc, accepts, 0, sizeof accepted / sizeof *accepted);
  tcase_add_loop_test(tc, refuses, 0, sizeof refused / sizeof *refused);
  tcase_add_test(tc, a_nul_byte_is_refused_where_it_stands);
  tcase_add_test(tc, a_long_list_is_read_whole);
  tcase_add_test(tc, too_many_keys_are_refused);
  tcase_add_test(tc, damaged_text_is_survived);
  tcase_add_test(tc, includes_come_first_and_are_overridden);
  tcase_add_test(tc, circular_includes_are_refused);
  tcase_add_test(tc, doubling_includes_are_refused);
  tcase_add_test(tc, missing_files_and_folders_are_named);
  Suite *suite = suite_create("ini");
  suite_add_tcase(suite, tc);
  return suite_run(suite);
}
