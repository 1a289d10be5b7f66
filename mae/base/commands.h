/* commands.h - a program made of commands: `PROGRAM COMMAND [options]`. */
#ifndef MAE_BASE_COMMANDS_H
#define MAE_BASE_COMMANDS_H

typedef struct Command {
  const char *name;
  int (*run)(int argc, char **argv); /* argv[0] is the command's name; returns the exit code */
  const char *help;
} Command;

typedef struct Program {
  const char *name;
  const char *summary; /* half a sentence, for the manual's first line */
  const Command *commands;
  int count;
  const char *after_list;    /* ends the help: what else is there to know, exit codes */
  void (*print_parts)(void); /* what --version says behind its first two lines; or NULL */
} Program;

/* Runs the command that argv names, or answers --help, --version, `manual`, `completion SHELL` and
 * what is none of them. Returns the process's exit code: that of the command, or EXIT_DATA when
 * what it printed on standard output could not be written, which no command needs to check. */
int commands_run(const Program *, int argc, char **argv);
/* Standard output as it is so far, for what is printed on standard error to stand behind it. When
 * it cannot be written the reason is kept for the end, where commands_run() says it. */
void commands_flush_output(void);
/* "maebench 1.0.0" and what multiplies matrices on the CPU, on standard output; then what the
 * program that runs has to say of its parts. */
void commands_print_version(void);

#endif
