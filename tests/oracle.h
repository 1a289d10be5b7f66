/* oracle.h - expected values that the Python libraries compute from fresh random input: a script of
 * tests/oracle/ called with a folder for its files and a seed. */
#ifndef TESTS_ORACLE_H
#define TESTS_ORACLE_H

#include <check.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

typedef struct Oracle {
  char folder[64];
  FILE *lines; /* what the script printed */
  int code;    /* its exit code */
} Oracle;

/* Returns when the script has ended: its lines may come before its files are complete. The seed is
 * new on every run, or MAEBENCH_TEST_SEED; it is printed. */
static inline void oracle_open(Oracle *oracle, const char *script) {
  char command[1024], path[128];
  const char *given = getenv("MAEBENCH_TEST_SEED");
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  unsigned long seed = given ? strtoul(given, NULL, 10) : (unsigned long)now.tv_nsec;
  printf("%s: MAEBENCH_TEST_SEED=%lu\n", script, seed);
  fflush(stdout);
  strcpy(oracle->folder, "/tmp/maebench-oracle-XXXXXX");
  ck_assert_ptr_nonnull(mkdtemp(oracle->folder));
  snprintf(path, sizeof path, "%s/lines", oracle->folder);
  snprintf(command, sizeof command, "/usr/bin/python3 %s/tests/oracle/%s %s %lu > %s", SOURCE_DIR,
           script, oracle->folder, seed, path);
  unsetenv("LD_PRELOAD"); /* a sanitizer's is not for Python */
  int status = system(command);
  ck_assert(WIFEXITED(status));
  oracle->code = WEXITSTATUS(status);
  oracle->lines = fopen(path, "r");
  ck_assert_ptr_nonnull(oracle->lines);
}

/* A whole file of the script's, which must hold `size` bytes; 0: any number. */
static inline void *oracle_file(const Oracle *oracle, const char *name, size_t size) {
  char path[128];
  snprintf(path, sizeof path, "%s/%s", oracle->folder, name);
  FILE *file = fopen(path, "rb");
  ck_assert_msg(file != NULL, "%s is not there", path);
  ck_assert_int_eq(fseek(file, 0, SEEK_END), 0);
  size_t bytes = (size_t)ftell(file);
  ck_assert(!size || bytes == size);
  rewind(file);
  void *content = malloc(bytes + 1);
  ck_assert_uint_eq(fread(content, 1, bytes, file), bytes);
  fclose(file);
  return content;
}

/* False when the libraries are not installed, so that nothing was compared. */
static inline bool oracle_close(Oracle *oracle) {
  char command[128];
  fclose(oracle->lines);
  snprintf(command, sizeof command, "rm -rf '%s'", oracle->folder);
  ck_assert_int_eq(system(command), 0);
  if (oracle->code == 77 || oracle->code == 127) {
    fprintf(stderr, "not installed: only the stored values were compared\n");
    return false;
  }
  ck_assert_int_eq(oracle->code, 0);
  return true;
}

#endif
