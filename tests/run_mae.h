/* run_mae.h - starting the mae program from a test, and reading what it logged. */
#ifndef TESTS_RUN_MAE_H
#define TESTS_RUN_MAE_H

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PATH_SIZE = 512, ARGUMENTS_MAX = 160 };

/* The program that run_mae runs. */
#ifndef MAE_PROGRAM
#define MAE_PROGRAM PROGRAM_DIR "/mae"
#endif
static const char *mae_program = MAE_PROGRAM;

/* Words put before the program: "mpirun -n 2". */
static const char *launch_words = "";

static char test_folder[64]; /* of the present test; data packs lie in its cache/ */

static inline void make_test_folder(void) {
  strcpy(test_folder, "/tmp/maebench-test-XXXXXX");
  ck_assert_ptr_nonnull(mkdtemp(test_folder));
}

static inline void remove_test_folder(void) {
  char command[128];
  snprintf(command, sizeof command, "rm -rf '%s'", test_folder);
  ck_assert_int_eq(system(command), 0);
}

static inline const char *in_folder(char *path, const char *name) {
  snprintf(path, PATH_SIZE, "%s/%s", test_folder, name);
  return path;
}

/* Starts `mae COMMAND`. Words are separated by blanks; @ stands for the test's folder; a word like
 * section.key=value becomes --set section.key=value. Output goes to FOLDER/output. */
static inline pid_t start_mae(const char *command) {
  static char set[] = "--set", text[8192], cache[PATH_SIZE + 32], program[PATH_SIZE], launch[1024];
  char *arguments[ARGUMENTS_MAX], output[PATH_SIZE];
  int count = 0;
  size_t length = 0;
  for (; *command; command++) {
    ck_assert_uint_lt(length + sizeof test_folder, sizeof text);
    if (*command == '@')
      length += (size_t)sprintf(text + length, "%s", test_folder);
    else
      text[length++] = *command;
  }
  text[length] = '\0';
  snprintf(program, sizeof program, "%s", mae_program);
  snprintf(cache, sizeof cache, "data.cache=%s/cache", test_folder);
  snprintf(launch, sizeof launch, "%s", launch_words);
  for (char *word = strtok(launch, " "); word; word = strtok(NULL, " ")) arguments[count++] = word;
  arguments[count++] = program;
  for (char *word = strtok(text, " "); word; word = strtok(NULL, " ")) {
    ck_assert_int_lt(count, ARGUMENTS_MAX - 4);
    if (*word != '-' && strchr(word, '=')) arguments[count++] = set;
    arguments[count++] = word;
  }
  arguments[count++] = set;
  arguments[count++] = cache;
  arguments[count] = NULL;
  in_folder(output, "output");
  pid_t child = fork();
  ck_assert_int_ge(child, 0);
  if (child == 0) {
    int file = open(output, O_CREAT | O_TRUNC | O_WRONLY, 0600);
    if (file < 0 || dup2(file, 1) < 0 || dup2(file, 2) < 0) _exit(126);
    execvp(arguments[0], arguments);
    _exit(127);
  }
  return child;
}

/* The exit code, or 1000 + the number of the signal that ended it. */
static inline int wait_mae(pid_t child) {
  int status;
  while (waitpid(child, &status, 0) < 0) ck_assert_int_eq(errno, EINTR);
  return WIFSIGNALED(status) ? 1000 + WTERMSIG(status) : WEXITSTATUS(status);
}

static inline int run_mae(const char *command) {
  return wait_mae(start_mae(command));
}

/* What the last program printed. */
static inline const char *mae_output(void) {
  static char text[8192];
  char path[PATH_SIZE];
  FILE *file = fopen(in_folder(path, "output"), "r");
  ck_assert_ptr_nonnull(file);
  text[fread(text, 1, sizeof text - 1, file)] = '\0';
  fclose(file);
  return text;
}

/* All complete events of FOLDER/NAME/events.jsonl as a JSON array; empty when there is no file. */
static inline json_t *read_events(const char *name) {
  char path[PATH_SIZE + 32];
  json_t *events = json_array();
  snprintf(path, sizeof path, "%s/%s/events.jsonl", test_folder, name);
  FILE *file = fopen(path, "r");
  if (!file) return events;
  char *line = NULL;
  size_t capacity = 0;
  ssize_t length;
  while ((length = getline(&line, &capacity, file)) > 0) {
    json_error_t problem;
    if (line[length - 1] != '\n') break;
    json_t *event = json_loads(line, 0, &problem);
    ck_assert_msg(event != NULL, "%s: %s: %s", path, problem.text, line);
    json_array_append_new(events, event);
  }
  free(line);
  fclose(file);
  return events;
}

static inline const char *event_name(const json_t *event) {
  return json_string_value(json_object_get(event, "event"));
}

/* The last event of a name (NULL: none), and how many there are. */
static inline json_t *last_event(const json_t *events, const char *name, int *count) {
  json_t *event, *found = NULL;
  size_t i;
  int seen = 0;
  json_array_foreach(events, i, event) if (!strcmp(event_name(event), name)) {
    found = event;
    seen++;
  }
  if (count) *count = seen;
  return found;
}

static inline double event_number(const json_t *event, const char *key) {
  json_t *value = json_object_get(event, key);
  ck_assert_msg(json_is_number(value), "%s: no number %s", event_name(event), key);
  return json_number_value(value);
}

static inline const char *event_text(const json_t *event, const char *key) {
  const char *text = json_string_value(json_object_get(event, key));
  ck_assert_msg(text != NULL, "%s: no text %s", event_name(event), key);
  return text;
}

/* Waits until FOLDER/NAME has logged a step of at least `step`; false when the process ended. */
static inline bool wait_for_step(pid_t child, const char *name, int64_t step) {
  for (;;) {
    json_t *events = read_events(name), *last = last_event(events, "step", NULL);
    bool reached = last && json_integer_value(json_object_get(last, "step")) >= step;
    json_decref(events);
    if (reached) return true;
    siginfo_t info = {0};
    ck_assert_int_eq(waitid(P_PID, (id_t)child, &info, WEXITED | WNOHANG | WNOWAIT), 0);
    if (info.si_pid == child) return false;
    usleep(1000);
  }
}

#endif
