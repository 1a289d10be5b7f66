/* Hashes against published answers, the provenance object, and the header that says what a binary
 * was built from. */
#include <check.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "mae/base/io.h"
#include "mae/base/sha256.h"
#include "mae/record/provenance.h"
#include "tests/suite.h"

static char folder[64];

static void setup(void) {
  strcpy(folder, "/tmp/test_provenance-XXXXXX");
  ck_assert_ptr_nonnull(mkdtemp(folder));
}

static void teardown(void) {
  Error e;
  ck_assert(io_remove(folder, &e));
}

/* FIPS 180-2, appendix B. */
static const char abc[] = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
static const char million[] = "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0";

START_TEST(sha256_known_answers) {
  char hex[65];
  sha256_bytes(hex, "abc", 3);
  ck_assert_str_eq(hex, abc);
  Sha256 *hash = sha256_new();
  char part[1000];
  memset(part, 'a', sizeof part);
  for (int i = 0; i < 1000; i++) sha256_add(hash, part, sizeof part);
  sha256_finish(hash, hex);
  ck_assert_str_eq(hex, million);
}
END_TEST

START_TEST(sha256_of_a_file) {
  char path[128], hex[65];
  snprintf(path, sizeof path, "%s/a", folder);
  Error e = {0};
  ck_assert(!sha256_file(hex, path, &e));
  ck_assert_ptr_nonnull(strstr(e.message, path));
  FILE *f = fopen(path, "wb");
  for (int i = 0; i < 1000000; i++) fputc('a', f);
  fclose(f);
  ck_assert(sha256_file(hex, path, &e));
  ck_assert_str_eq(hex, million);
  ck_assert(!sha256_file(hex, folder, &e)); /* a folder opens, but cannot be read */
  ck_assert(provenance_binary_hash(hex, &e));
}
END_TEST

static void fake_info(Device *device, DeviceInfo *info) {
  (void)device;
  *info = (DeviceInfo){
      .name = "Test Processor", .libraries = "testlib 1.2", .features = "none", .threads = 3};
}

START_TEST(provenance_is_complete) {
  static const char *const members[] = {
      "version",   "git_commit", "git_dirty",       "git_diff_sha256", "compiler", "flags",
      "libraries", "cpu",        "cpu_features",    "kernel",          "device",   "hostname",
      "gpu",       "driver",     "device_features", "threads",         "ranks",    "env"};
  setenv("OMP_TEST_ONLY", "x\"y=\xff", 1);
  setenv("UNRELATED_SECRET", "never", 1);
  char path[128];
  snprintf(path, sizeof path, "%s/events.jsonl", folder);
  const Kernels kernels = {.name = "cpu", .info = fake_info};
  Device device = {&kernels};
  Config config = {.train.ranks = 2};
  EventLog log;
  Error e = {0};
  ck_assert(events_open(&log, path, &e));
  event_begin(&log, "start");
  event_object(&log, "provenance");
  provenance_write(&log, &config, &device);
  event_object_end(&log);
  ck_assert(event_end(&log, &e) && events_close(&log, &e));

  json_error_t error;
  json_t *event = json_load_file(path, JSON_REJECT_DUPLICATES, &error);
  ck_assert_msg(event != NULL, "%s", error.text);
  json_t *provenance = json_object_get(event, "provenance");
  for (size_t i = 0; i < sizeof members / sizeof *members; i++)
    ck_assert_msg(json_object_get(provenance, members[i]) != NULL, "%s", members[i]);
  ck_assert_ptr_nonnull(
      strstr(json_string_value(json_object_get(provenance, "libraries")), "testlib 1.2, "));
  ck_assert_int_eq(json_integer_value(json_object_get(provenance, "threads")), 3);
  ck_assert_int_eq(json_integer_value(json_object_get(provenance, "ranks")), 2);
  json_t *env = json_object_get(provenance, "env");
  ck_assert_str_eq(json_string_value(json_object_get(env, "OMP_TEST_ONLY")), "x\"y=\xEF\xBF\xBD");
  ck_assert_ptr_null(json_object_get(env, "UNRELATED_SECRET"));
  json_decref(event);
}
END_TEST

static void make_header(void) {
  char command[1024];
  snprintf(command, sizeof command,
           "cmake -DSOURCE=%s/tree -DOUTPUT=%s/out.h '-DCOMPILER=cc 1' '-DFLAGS=-D\"q\"' "
           "-DVERSION=9.8 -P %s/mae/build_info.cmake",
           folder, folder, SOURCE_DIR);
  ck_assert_int_eq(system(command), 0);
}

static void shell(const char *script) {
  char command[1024];
  snprintf(command, sizeof command,
           "cd %s/tree && export GIT_CEILING_DIRECTORIES=%s && { %s; } > /dev/null", folder, folder,
           script);
  ck_assert_msg(system(command) == 0, "%s", script);
}

static bool header_has(const char *line) {
  char command[256];
  snprintf(command, sizeof command, "grep -qF '%s' %s/out.h", line, folder);
  return system(command) == 0;
}

START_TEST(build_info_follows_the_sources) {
  setenv("GIT_CEILING_DIRECTORIES", folder, 1);
  char path[256];
  snprintf(path, sizeof path, "mkdir -p %s/tree/mae %s/tree/kernels", folder, folder);
  ck_assert_int_eq(system(path), 0);
  make_header();
  ck_assert(header_has("GIT_COMMIT \"unknown\"") && header_has("GIT_DIRTY 0"));
  ck_assert(header_has("VERSION \"9.8\"") && header_has("FLAGS \"-D\\\"q\\\"\""));

  if (system("git --version > /dev/null 2>&1")) return;
  shell("git init -q . && echo 1 > mae/a.c && echo 1 > README && git add . && "
        "git -c user.name=t -c user.email=t commit -qm one");
  make_header();
  ck_assert(!header_has("unknown") && header_has("GIT_DIRTY 0"));

  /* Unchanged, and changed where it does not matter: the very same header. */
  snprintf(path, sizeof path, "%s/out.h", folder);
  struct stat before, after;
  ck_assert(!stat(path, &before));
  shell("echo 2 > README && git -c user.name=t -c user.email=t commit -qam two && echo 3 > README");
  make_header();
  ck_assert(!stat(path, &after));
  ck_assert(before.st_mtim.tv_sec == after.st_mtim.tv_sec &&
            before.st_mtim.tv_nsec == after.st_mtim.tv_nsec);

  shell("echo '2;x' > mae/a.c");
  make_header();
  ck_assert(header_has("GIT_DIRTY 1"));
  shell("git checkout -q mae && echo new > mae/b.c");
  make_header();
  ck_assert(header_has("GIT_DIRTY 1") && !header_has("DIFF_SHA256 \"\""));
}
END_TEST

int main(void) {
  TCase *tc = tcase_create("provenance");
  tcase_add_checked_fixture(tc, setup, teardown);
  tcase_set_timeout(tc, 60);
  tcase_add_test(tc, sha256_known_answers);
  tcase_add_test(tc, sha256_of_a_file);
  tcase_add_test(tc, provenance_is_complete);
  tcase_add_test(tc, build_info_follows_the_sources);
  Suite *suite = suite_create("provenance");
  suite_add_tcase(suite, tc);
  return suite_run(suite);
}
