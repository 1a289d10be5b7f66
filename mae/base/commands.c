/* Finding the command that a command line names, and the list of commands for --help. */
#include "mae/base/commands.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "kernels/backend.h"
#include "mae/base/error.h"
#include "mae/base/manual.h"
#include "mae/base/suggest.h"

enum { COMMANDS_MAX = 48 };
/* Commands that every program has. */
static const char manual_name[] = "manual", completion_name[] = "completion";

/* The program that runs: its commands answer --version too. */
static const Program *running;

void commands_print_version(void) {
  char products[128];
  backend_cpu_products(products, sizeof products);
  printf("maebench " MAEBENCH_VERSION "\nmatrix products on the CPU: %s\n", products);
  if (running && running->print_parts) running->print_parts();
}

static int unknown_command(const Program *program, const char *name) {
  const char *names[COMMANDS_MAX];
  int count = 0;
  for (; count < program->count; count++) names[count] = program->commands[count].name;
  names[count++] = manual_name;
  names[count++] = completion_name;
  names[count++] = "--help";
  names[count++] = "--version";
  int near = suggest_index(name, names, count);
  if (near >= 0)
    fprintf(stderr, "%s: no command '%s'; did you mean %s?\n", program->name, name, names[near]);
  else
    fprintf(stderr, "%s: no command '%s'; `%s --help` lists them\n", program->name, name,
            program->name);
  return EXIT_CONFIG;
}

static void print_usage(FILE *file, const Program *program) {
  fprintf(file, "usage: %s COMMAND [options]\n\n", program->name);
  for (int i = 0; i < program->count; i++)
    fprintf(file, "  %-12s %s\n", program->commands[i].name, program->commands[i].help);
  fprintf(file, "  %-12s the manual page: `%s manual | man -l -`\n", manual_name, program->name);
  fprintf(file, "  %-12s what bash, zsh or fish need to complete a command line\n",
          completion_name);
  fprintf(file, "\n%s", program->after_list);
}

static int print_completion(const Program *program, const char *shell) {
  if (shell && completion_print(program, shell)) return EXIT_OK;
  fprintf(stderr, "%s %s: which shell? bash, zsh or fish\n", program->name, completion_name);
  return EXIT_CONFIG;
}

static int run_command(const Program *program, int argc, char **argv) {
  if (argc < 2) {
    print_usage(stderr, program);
    return EXIT_CONFIG;
  }
  const char *name = argv[1];
  if (!strcmp(name, "--version")) {
    commands_print_version();
    return EXIT_OK;
  }
  if (!strcmp(name, "--help") || !strcmp(name, "-h") || !strcmp(name, "help")) {
    print_usage(stdout, program);
    return EXIT_OK;
  }
  if (!strcmp(name, completion_name)) return print_completion(program, argc > 2 ? argv[2] : NULL);
  if (!strcmp(name, manual_name)) {
    manual_print(program);
    return EXIT_OK;
  }
  for (int i = 0; i < program->count; i++)
    if (!strcmp(program->commands[i].name, name))
      return program->commands[i].run(argc - 1, argv + 1);
  return unknown_command(program, name);
}

/* A standard stream that was closed (`2>&-`) would give its number to the next file that is opened,
 * and what is printed would go into that file. /dev/null takes its place; as standard output one
 * that cannot be written to, so that results which nobody receives are noticed in the end. */
static void occupy_streams(void) {
  static const int modes[] = {O_RDONLY, O_RDONLY, O_WRONLY};
  for (int fd = 0; fd < 3; fd++)
    if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", modes[fd]) != fd) return;
}

static int flush_errno; /* of the first flush that failed */

void commands_flush_output(void) {
  if (fflush(stdout) != 0 && !flush_errno) flush_errno = errno;
}

/* Whether all that was printed on standard output has arrived; otherwise says so. */
static bool close_output(const char *program, const char *command) {
  bool failed = ferror(stdout);
  errno = 0; /* of a failure while printing the reason is no longer known, unless it occurs again */
  failed |= fclose(stdout) != 0;
  if (flush_errno) errno = flush_errno;
  if (failed)
    fprintf(stderr, "%s%s%s: standard output: %s\n", program, command ? " " : "",
            command ? command : "", errno ? strerror(errno) : "cannot write");
  return !failed;
}

int commands_run(const Program *program, int argc, char **argv) {
  running = program;
  occupy_streams();
  /* A write beyond `ulimit -f` shall fail with a message, as on any full disk. */
  signal(SIGXFSZ, SIG_IGN);
  int code = run_command(program, argc, argv);
  const char *command = argc > 1 && *argv[1] != '-' ? argv[1] : NULL;
  return !close_output(program->name, command) && code == EXIT_OK ? EXIT_DATA : code;
}
