/* `--version` of both programs: its lines, and what it says of GPUs where NVML (fake_nvml.c) has
 * some, has none, hangs or crashes. */
#include <ctype.h>

#include "tests/scratch.h"
#include "tests/suite.h"

static const char *const programs[] = {PROGRAM_DIR "/mae", PROGRAM_DIR "/harness"};

/* What `PROGRAM --version` prints; the caller frees. */
static char *version(int program) {
  const char *const argv[] = {programs[program], "--version", NULL};
  ck_assert_int_eq(scratch_wait(scratch_start(argv, "log")), 0);
  return scratch_read("log");
}

static void use_nvml(const char *library, const char *mode) {
  setenv("MAEBENCH_NVML", library, 1);
  setenv("FAKE_NVML", mode, 1);
}

START_TEST(version_names_build_and_libraries) {
  static const char *const begins[] = {
      "maebench ", "matrix products on the CPU: ", "build: ", "libraries: ", "GPUs: "};
  use_nvml("/nowhere/libnvidia-ml.so.1", "counter");
  char *text = version(_i), *line = text;
  for (int i = 0; i < 5; i++) {
    ck_assert_msg(!strncmp(line, begins[i], strlen(begins[i])), "line %d: %s", i + 1, text);
    line += strcspn(line, "\n");
    ck_assert_int_eq(*line++, '\n');
  }
  ck_assert_msg(!*line, "more than five lines: %s", text);
  ck_assert(!strncmp(text + 9, MAEBENCH_VERSION "\n", sizeof MAEBENCH_VERSION));
  /* Each library with a number. */
  static const char *const libraries[] = {"libjpeg-turbo ", "libpng ", "OpenSSL ",
                                          "jansson ",       "glibc ",  "SQLite "};
  for (int i = 0; i < 6; i++) {
    const char *found = strstr(text, libraries[i]);
    bool wanted = i < 5 || _i == 1;
    ck_assert_msg((found && isdigit((unsigned char)found[strlen(libraries[i])])) == wanted,
                  "%s: %s", libraries[i], text);
  }
#ifdef HAS_ARCHIVES
  ck_assert_msg(strstr(text, ", libarchive ") != NULL, "%s", text);
#endif
  free(text);
}
END_TEST

static const struct {
  const char *nvml, *mode, *said;
} drivers[] = {
    {FAKE_NVML_LIBRARY, "counter",
     "\nGPUs: 0: Fake T4, 15.0 GiB; 1: Fake T8, 15.0 GiB; driver 999.10.20; not used here: "},
    {FAKE_NVML_LIBRARY, "none", "\nGPUs: no GPU: "},
    {FAKE_NVML_LIBRARY, "absent", "\nGPUs: no GPU: "},
    {FAKE_NVML_LIBRARY, "crash", "\nGPUs: no GPU: the driver crashed when it was asked\n"},
    {FAKE_NVML_LIBRARY, "hang", "\nGPUs: no GPU: the driver has not answered for 5 s\n"},
    {"/nowhere/libnvidia-ml.so.1", "counter", "\nGPUs: no GPU: "},
};

/* A machine with GPUs of its own may answer with those where NVML is silent. */
START_TEST(version_says_which_gpus_there_are) {
  use_nvml(drivers[_i].nvml, drivers[_i].mode);
  for (int program = 0; program < 2; program++) {
    char *text = version(program), *said = strstr(text, "\nGPUs: ");
    bool real = access("/dev/nvidiactl", F_OK) == 0;
    ck_assert_msg(strstr(text, drivers[_i].said) || (real && said), "%s", text);
    ck_assert_msg(said[strlen(said) - 1] == '\n' && strchr(said + 1, '\n')[1] == 0, "%s", text);
    free(text);
  }
}
END_TEST

int main(void) {
  Suite *suite = suite_create("version");
  TCase *tests = tcase_create("version");
  tcase_set_timeout(tests, 60);
  tcase_add_checked_fixture(tests, scratch_setup, scratch_teardown);
  tcase_add_loop_test(tests, version_names_build_and_libraries, 0, 2);
  tcase_add_loop_test(tests, version_says_which_gpus_there_are, 0,
                      sizeof drivers / sizeof *drivers);
  suite_add_tcase(suite, tests);
  return suite_run(suite);
}
