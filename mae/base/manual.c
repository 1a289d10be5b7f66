/* The manual page and the completions of bash, zsh and fish. Every command is asked for its
 * description (command_line_visit), which it gives before it does anything. */
#include "mae/base/manual.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "mae/base/command_line.h"

/* What a visitor has to know beside the description. */
typedef struct Visit {
  const Program *program;
  const Command *command;
} Visit;

static void visit_commands(const Program *program, CommandVisitor visitor) {
  for (int i = 0; i < program->count; i++) {
    Visit visit = {program, &program->commands[i]};
    char *argv[] = {(char *)visit.command->name, NULL};
    command_line_visit(visitor, &visit);
    visit.command->run(1, argv);
    command_line_visit(NULL, NULL);
  }
}

/* ---- The page ---- */

/* Text of one line; roff's own characters are escaped, and a line never begins with a request. */
static void put_roff(const char *text, size_t length) {
  if (length && (*text == '.' || *text == '\'')) fputs("\\&", stdout);
  for (size_t i = 0; i < length; i++)
    if (text[i] == '\\')
      fputs("\\e", stdout);
    else if (text[i] == '-')
      fputs("\\-", stdout);
    else
      putchar(text[i]);
}

/* Paragraphs: lines are filled, but for those that are indented, which are examples. */
static void put_text(const char *text) {
  bool example = false;
  while (*text) {
    size_t length = strcspn(text, "\n");
    bool indented = length > 1 && text[0] == ' ' && text[1] == ' ';
    if (indented != example) puts(indented ? ".EX" : ".EE");
    example = indented;
    if (length) {
      put_roff(text, length);
      putchar('\n');
    } else {
      puts(".PP");
    }
    text += length + (text[length] == '\n');
  }
  if (example) puts(".EE");
}

static void put_option(const char *name, const char *argument, const char *help) {
  fputs(".TP\n\\fB", stdout);
  put_roff(name, strlen(name));
  fputs("\\fR", stdout);
  if (argument) {
    fputs(" \\fI", stdout);
    put_roff(argument, strlen(argument));
    fputs("\\fR", stdout);
  }
  putchar('\n');
  put_text(help);
}

static void put_command(const CommandLine *line, void *context) {
  const Visit *visit = context;
  printf(".SS \"%s\"\n\\fB%s\\fR", visit->command->name, line->name);
  if (line->usage && *line->usage) {
    fputs(" \\fI", stdout);
    put_roff(line->usage, strlen(line->usage));
    fputs("\\fR", stdout);
  }
  if (line->ending) {
    fputs(" [\\fIFILE", stdout);
    put_roff(line->ending, strlen(line->ending));
    fputs("\\fR]...", stdout);
  }
  puts(" [options]\n.PP");
  put_text(line->about);
  for (int i = 0; i < line->option_count; i++) {
    const CmdOption *option = &line->options[i];
    if (option->help) put_option(option->name, option->argument, option->help);
  }
  if (line->after) {
    puts(".PP");
    put_text(line->after);
  }
}

static void put_upper(const char *text) {
  for (; *text; text++) putchar(toupper((unsigned char)*text));
}

void manual_print(const Program *program) {
  fputs(".TH ", stdout);
  put_upper(program->name);
  printf(" 1 \"\" \"maebench " MAEBENCH_VERSION "\" \"User Commands\"\n.SH NAME\n%s \\- %s\n",
         program->name, program->summary);
  printf(".SH SYNOPSIS\n\\fB%s\\fR \\fICOMMAND\\fR [options]\n.SH COMMANDS\n", program->name);
  visit_commands(program, put_command);
  puts(".SH NOTES");
  put_text(program->after_list);
  puts(".SH SEE ALSO\n\\fBmae\\fR(1), \\fBharness\\fR(1)");
}

/* ---- Completions ---- */

/* A shell's single-quoted text: the help's first line; `special` characters get a backslash. */
static void put_quoted(const char *text, const char *special) {
  putchar('\'');
  for (; *text && *text != '\n'; text++)
    if (*text == '\'') {
      fputs("'\\''", stdout);
    } else {
      if (strchr(special, *text)) putchar('\\');
      putchar(*text);
    }
  putchar('\'');
}

/* Whether an option's value is the name of a file. */
static bool is_path(const CmdOption *option) {
  return strstr(option->argument, "PATH") || strstr(option->argument, "DIR") ||
         strstr(option->argument, "FILE");
}

static bool is_setting(const CmdOption *option) {
  return !strcmp(option->name, "--set");
}

/* The keys that --set takes, by the program that knows them: "train.mask_ratio=". */
#define KEYS                                                                                       \
  "mae config 2>/dev/null | awk '/^\\[/ { s = substr($1, 2, length($1) - 2) } "                    \
  "/ = / { print s \".\" $1 \"=\" }'"

static void put_bash_case(const CommandLine *line, void *context) {
  const Visit *visit = context;
  printf("  %s) options='--help --version", visit->command->name);
  for (int i = 0; i < line->option_count; i++)
    if (line->options[i].help) printf(" %s", line->options[i].name);
  puts("' ;;");
}

static void print_bash(const Program *program) {
  const char *name = program->name;
  printf("# bash completion of %s, made by `%s completion bash`\n_%s() {\n"
         "  local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} options=\n"
         "  COMPREPLY=()\n  if ((COMP_CWORD == 1)); then\n    COMPREPLY=($(compgen -W '",
         name, name, name);
  for (int i = 0; i < program->count; i++) printf("%s ", program->commands[i].name);
  printf("manual completion --help --version' -- \"$word\"))\n    return\n  fi\n"
         "  if [[ $before == --set ]]; then\n"
         "    compopt -o nospace 2>/dev/null\n    COMPREPLY=($(compgen -W \"$(" KEYS
         ")\" -- \"$word\"))\n    return\n  fi\n"
         "  case ${COMP_WORDS[1]} in\n");
  visit_commands(program, put_bash_case);
  printf(
      "  completion) options='bash zsh fish' ;;\n  esac\n"
      "  if [[ $word == -* || ${COMP_WORDS[1]} == completion ]]; then\n"
      "    COMPREPLY=($(compgen -W \"$options\" -- \"$word\"))\n  else\n"
      "    compopt -o filenames 2>/dev/null\n    COMPREPLY=($(compgen -f -- \"$word\"))\n  fi\n}\n"
      "complete -F _%s %s\n",
      name, name);
}

static void put_zsh_case(const CommandLine *line, void *context) {
  const Visit *visit = context;
  printf("  %s)\n    _arguments \\\n", visit->command->name);
  for (int i = 0; i < line->option_count; i++) {
    const CmdOption *option = &line->options[i];
    if (!option->help) continue;
    printf("      '%s%s'[", option->type == CMD_LIST ? "*" : "", option->name);
    put_quoted(option->help, "[]:\\");
    fputs("]", stdout);
    if (option->argument) {
      fputs(":", stdout);
      put_quoted(option->argument, ":\\");
      if (is_setting(option))
        printf(":_%s_keys", visit->program->name);
      else
        fputs(is_path(option) ? ":_files" : ": ", stdout);
    }
    fputs(" \\\n", stdout);
  }
  puts("      '--help[print this help]' '--version[print version, build, libraries and GPUs]' "
       "'*:file:_files'\n    ;;");
}

static void print_zsh(const Program *program) {
  const char *name = program->name;
  printf("#compdef %s\n# zsh completion of %s, made by `%s completion zsh`\n"
         "_%s_keys() {\n  local -a keys\n  keys=(${(f)\"$(" KEYS ")\"})\n"
         "  compadd -S '' -- $keys\n}\n"
         "local -a commands\ncommands=(\n",
         name, name, name, name);
  for (int i = 0; i < program->count; i++) {
    printf("  %s:", program->commands[i].name);
    put_quoted(program->commands[i].help, ":\\");
    putchar('\n');
  }
  puts("  manual:'the manual page' completion:'completions of a shell'\n)\n"
       "if ((CURRENT == 2)); then\n  _describe command commands\n  return\nfi\n"
       "local command=$words[2]\nshift words\n((CURRENT--))\ncase $command in");
  visit_commands(program, put_zsh_case);
  puts("  completion) _values shell bash zsh fish ;;\nesac");
}

static void put_fish_options(const CommandLine *line, void *context) {
  const Visit *visit = context;
  for (int i = 0; i < line->option_count; i++) {
    const CmdOption *option = &line->options[i];
    if (!option->help) continue;
    printf("complete -c %s -n '__fish_seen_subcommand_from %s' -l %s", visit->program->name,
           visit->command->name, option->name + 2);
    if (option->argument)
      fputs(is_setting(option) ? " -x -a '(__maebench_keys)'"
            : is_path(option)  ? " -r"
                               : " -x",
            stdout);
    fputs(" -d ", stdout);
    put_quoted(option->help, "\\");
    putchar('\n');
  }
}

static void print_fish(const Program *program) {
  const char *name = program->name;
  printf("# fish completion of %s, made by `%s completion fish`\n"
         "function __maebench_keys\n  mae config 2>/dev/null | awk '/^\\\\[/ { s = substr($1, 2, "
         "length($1) - 2) } / = / { print s \".\" $1 \"=\" }'\nend\n",
         name, name);
  for (int i = 0; i < program->count; i++) {
    printf("complete -c %s -n __fish_use_subcommand -f -a %s -d ", name, program->commands[i].name);
    put_quoted(program->commands[i].help, "\\");
    putchar('\n');
  }
  printf("complete -c %s -n __fish_use_subcommand -f -a manual -d 'the manual page'\n"
         "complete -c %s -n __fish_use_subcommand -f -a completion -d 'completions of a shell'\n"
         "complete -c %s -n '__fish_seen_subcommand_from completion' -f -a 'bash zsh fish'\n",
         name, name, name);
  visit_commands(program, put_fish_options);
}

bool completion_print(const Program *program, const char *shell) {
  static const struct {
    const char *name;
    void (*print)(const Program *);
  } shells[] = {{"bash", print_bash}, {"zsh", print_zsh}, {"fish", print_fish}};
  for (size_t i = 0; i < sizeof shells / sizeof *shells; i++)
    if (!strcmp(shell, shells[i].name)) {
      shells[i].print(program);
      return true;
    }
  return false;
}
