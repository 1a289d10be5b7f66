/* scratch.h - a temporary folder for a test, and programs run in it. */
#ifndef TESTS_SCRATCH_H
#define TESTS_SCRATCH_H

#include <check.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char scratch[64]; /* the folder, while a test runs */

static int scratch_remove_entry(const char *name, const struct stat *info, int type,
                                struct FTW *ftw) {
  (void)info, (void)type, (void)ftw;
  return remove(name);
}

static inline void scratch_setup(void) {
  strcpy(scratch, "/tmp/maebench_test_XXXXXX");
  ck_assert_ptr_nonnull(mkdtemp(scratch));
  ck_assert_int_eq(chdir(scratch), 0);
}

static inline void scratch_teardown(void) {
  ck_assert_int_eq(chdir("/"), 0);
  nftw(scratch, scratch_remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

static inline void scratch_write(const char *name, const char *text) {
  FILE *file = fopen(name, "w");
  ck_assert_ptr_nonnull(file);
  ck_assert_int_ge(fputs(text, file), 0);
  ck_assert_int_eq(fclose(file), 0);
}

/* A whole file as text, "" when it is not there; the caller frees. */
static inline char *scratch_read(const char *name) {
  FILE *file = fopen(name, "r");
  char *text = calloc(1, 1 << 22);
  ck_assert_ptr_nonnull(text);
  if (file) {
    size_t size = fread(text, 1, (1 << 22) - 1, file);
    text[size] = 0;
    fclose(file);
  }
  return text;
}

/* Starts a program with its output, and nothing of an earlier one's, in the file `log`. */
static inline pid_t scratch_start(const char *const *argv, const char *log) {
  fflush(NULL);
  unlink(log);
  pid_t child = fork();
  if (child == 0) {
    int out = open(log, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    setpgid(0, 0);
    if (out >= 0 && dup2(out, 1) >= 0 && dup2(out, 2) >= 0) execv(argv[0], (char **)argv);
    _exit(127);
  }
  ck_assert_int_gt(child, 0);
  return child;
}

/* Waits for it: the exit code, or 128 + the signal it died of. */
static inline int scratch_wait(pid_t child) {
  int status;
  ck_assert_int_eq(waitpid(child, &status, 0), child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

#endif
