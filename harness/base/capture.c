/* capture.c - a child whose output goes to temporary files, so that none of it can block it. */
#include "harness/base/capture.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness/base/strings.h"

extern char **environ;

static char *read_all(FILE *file) {
  char *text = NULL;
  size_t size;
  FILE *out = need(open_memstream(&text, &size));
  rewind(file);
  for (int c; (c = getc(file)) != EOF;) putc(c, out);
  fclose(out);
  return need(text);
}

static char *read_as_line(FILE *file) {
  char *text = read_all(file), *line = string_copy("");
  StringList lines = {0};
  strings_split(&lines, text, "\n");
  for (int i = 0; i < lines.count; i++) {
    if (!*lines.items[i]) continue;
    char *longer = string_format("%s%s%s", line, *line ? "; " : "", lines.items[i]);
    free(line);
    line = longer;
  }
  strings_free(&lines);
  free(text);
  return line;
}

static int start(pid_t *child, const char *const *argv, FILE *out, FILE *error) {
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, fileno(out), 1);
  posix_spawn_file_actions_adddup2(&actions, fileno(error), 2);
  int failed = posix_spawnp(child, argv[0], &actions, NULL, (char *const *)argv, environ);
  posix_spawn_file_actions_destroy(&actions);
  return failed;
}

bool capture(Captured *captured, const char *const *argv, Error *e) {
  *captured = (Captured){0};
  FILE *out = tmpfile(), *error = tmpfile();
  bool ok = out && error;
  if (!ok) error_set(e, EXIT_DATA, "no temporary file for %s: %s", argv[0], strerror(errno));
  if (ok) {
    pid_t child;
    int status = 0, failed = start(&child, argv, out, error);
    while (!failed && waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    captured->code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    captured->out = read_all(out);
    captured->error = read_as_line(error);
    if (failed)
      ok = error_set(e, EXIT_DATA, "the program %s cannot be started: %s", argv[0],
                     strerror(failed));
  }
  if (out) fclose(out);
  if (error) fclose(error);
  return ok;
}

void captured_free(Captured *captured) {
  free(captured->out);
  free(captured->error);
  *captured = (Captured){0};
}
