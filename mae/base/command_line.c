/* Reading the command line of one command: options, words, --help and what is wrong with them. */
#include "mae/base/command_line.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mae/base/commands.h"
#include "mae/base/suggest.h"

enum { NAMES_MAX = 64, COLUMN = 24 /* width of an option and its argument in --help */ };

static const char help_name[] = "--help", version_name[] = "--version";

int command_fail(const char *name, const Error *e) {
  fprintf(stderr, "%s: %s\n", name, e->message);
  return e->code ? e->code : EXIT_DATA;
}

/* ---- Help ---- */

static void print_option(const char *name, const char *argument, const char *help) {
  char left[64];
  snprintf(left, sizeof left, "%s%s%s", name, argument ? " " : "", argument ? argument : "");
  printf("  %-*s ", COLUMN, left);
  for (const char *c = help; *c; c++)
    if (*c == '\n')
      printf("\n%*s", COLUMN + 3, "");
    else
      putchar(*c);
  putchar('\n');
}

static void print_help(const CommandLine *line) {
  printf("usage: %s", line->name);
  if (line->usage && *line->usage) printf(" %s", line->usage);
  if (line->ending) printf(" [FILE%s]...", line->ending);
  for (int i = 0; i < line->option_count; i++) {
    const CmdOption *option = &line->options[i];
    if (option->type == CMD_LIST && option->target != line->ended)
      printf(" [%s %s]...", option->name, option->argument);
  }
  printf(" [options]");
  for (int i = 0; i < line->option_count; i++) {
    const CmdOption *option = &line->options[i];
    if (option->type == CMD_REST) printf(" [%s %s]", option->name, option->argument);
  }
  printf("\n\n%s\n\n", line->about);
  for (int i = 0; i < line->option_count; i++) {
    const CmdOption *option = &line->options[i];
    if (option->help) print_option(option->name, option->argument, option->help);
  }
  print_option(help_name, NULL, "print this help");
  print_option(version_name, NULL, "print version, build, libraries and GPUs");
  if (line->after) printf("\n%s\n", line->after);
}

/* ---- Options ---- */

static bool unknown_option(const CommandLine *line, const char *argument, Error *e) {
  const char *names[NAMES_MAX];
  char name[64];
  int count = 0;
  snprintf(name, sizeof name, "%.*s", (int)strcspn(argument, "="), argument);
  for (int i = 0; i < line->option_count && count < NAMES_MAX - 2; i++)
    if (line->options[i].help) names[count++] = line->options[i].name;
  names[count++] = help_name;
  names[count++] = version_name;
  int near = suggest_index(name, names, count);
  if (near >= 0 && !strcmp(name, names[near])) /* --help=1 */
    return error_set(e, EXIT_CONFIG, "%s takes no value", name);
  if (near >= 0)
    return error_set(e, EXIT_CONFIG, "no option %s; did you mean %s?", name, names[near]);
  return error_set(e, EXIT_CONFIG, "no option %s; `%s --help` lists them", name, line->name);
}

static const CmdOption *find_option(const CommandLine *line, const char *argument) {
  size_t length = strcspn(argument, "=");
  for (int i = 0; i < line->option_count; i++) {
    const char *name = line->options[i].name;
    if (strlen(name) == length && !strncmp(name, argument, length)) return &line->options[i];
  }
  return NULL;
}

static bool add_to_list(CmdList *list, const char *value, Error *e) {
  const char **items = realloc(list->items, (size_t)(list->count + 1) * sizeof *items);
  if (!items) return error_set(e, EXIT_DEVICE, "out of memory");
  items[list->count++] = value;
  list->items = items;
  return true;
}

static bool store_count(const CmdOption *option, const char *text, Error *e) {
  char *end;
  long long value = strtoll(text, &end, 10);
  if (*text < '0' || *text > '9' || *end || value > 1000000000000)
    return error_set(e, EXIT_CONFIG, "%s %.100s: expected a whole number from 0", option->name,
                     text);
  *(int64_t *)option->target = value;
  return true;
}

static bool store_number(const CmdOption *option, const char *text, Error *e) {
  char *end;
  double value = strtod(text, &end);
  if (end == text || *end || !(value >= 0) || value > 1e12)
    return error_set(e, EXIT_CONFIG, "%s %.100s: expected a number from 0", option->name, text);
  *(double *)option->target = value;
  return true;
}

/* Whole numbers, each with a unit smaller than the one before; or seconds. */
static bool store_time(const CmdOption *option, const char *text, Error *e) {
  static const struct {
    char name;
    double seconds;
  } units[] = {{'d', 86400}, {'h', 3600}, {'m', 60}, {'s', 1}};
  char *end;
  const char *at = text;
  double sum = 0;
  size_t next = 0;
  while (*at >= '0' && *at <= '9' && next < 4) {
    double value = (double)strtoull(at, &end, 10);
    if (!*end && at > text) break;
    if (!*end) next = 3; /* no unit at all */
    while (next < 4 && *end && units[next].name != *end) next++;
    if (next == 4) break;
    sum += value * units[next++].seconds;
    at = *end ? end + 1 : end;
  }
  if (*at || !(sum > 0) || sum > 1e9)
    return error_set(e, EXIT_CONFIG, "%s %.100s: expected a time such as 11h30m, 90m or 45s",
                     option->name, text);
  *(double *)option->target = sum;
  return true;
}

static bool store_value(const CmdOption *option, const char *value, Error *e) {
  switch (option->type) {
  case CMD_FLAG:
    *(bool *)option->target = true;
    return true;
  case CMD_TEXT:
    if (!*value) /* a shell variable that is not set: never the root or the working folder */
      return error_set(e, EXIT_CONFIG, "%s is empty: %s %s", option->name, option->name,
                       option->argument);
    *(const char **)option->target = value;
    return true;
  case CMD_COUNT:
    return store_count(option, value, e);
  case CMD_NUMBER:
    return store_number(option, value, e);
  case CMD_TIME:
    return store_time(option, value, e);
  case CMD_LIST:
    return add_to_list(option->target, value, e);
  case CMD_REST: /* take_rest */
    break;
  }
  return false;
}

/* Words are moved to places before these, which stay as they are. */
static void take_rest(const CmdOption *option, int argc, char **argv, int *at) {
  *(CmdList *)option->target = (CmdList){(const char **)argv + *at + 1, argc - *at - 1};
  *at = argc - 1;
}

/* The option at argv[*at] and its value; moves *at to the last argument that it takes up. */
static bool take_option(const CommandLine *line, int argc, char **argv, int *at, Error *e) {
  const CmdOption *option = find_option(line, argv[*at]);
  const char *equals = strchr(argv[*at], '='), *value = equals ? equals + 1 : NULL;
  if (!option) return unknown_option(line, argv[*at], e);
  if (value && (option->type == CMD_FLAG || option->type == CMD_REST))
    return error_set(e, EXIT_CONFIG, "%s takes no value", option->name);
  if (option->type == CMD_REST) {
    take_rest(option, argc, argv, at);
    return true;
  }
  if (option->type != CMD_FLAG && !value) {
    if (*at + 1 >= argc)
      return error_set(e, EXIT_CONFIG, "%s needs a value: %s %s", option->name, option->name,
                       option->argument);
    value = argv[++*at];
  }
  return store_value(option, value, e);
}

/* ---- Words ---- */

static bool ends_in(const char *word, const char *ending) {
  size_t length = strlen(word), part = strlen(ending);
  return length > part && !strcmp(word + length - part, ending);
}

/* Words take the place of arguments that were read before. */
static bool take_word(CommandLine *line, char **argv, char *word, Error *e) {
  if (line->ending && ends_in(word, line->ending)) return add_to_list(line->ended, word, e);
  if (line->word_count >= line->words_max)
    return error_set(e, EXIT_CONFIG, "unexpected argument '%.100s'; `%s --help` shows the usage",
                     word, line->name);
  argv[1 + line->word_count++] = word;
  return true;
}

static bool is_option(const char *argument) {
  return argument[0] == '-' && argument[1];
}

static bool is_help(const CommandLine *line, const char *argument) {
  size_t length = line->explain ? strcspn(argument, "=") : strlen(argument);
  return !strcmp(argument, "-h") ||
         (length == strlen(help_name) && !strncmp(argument, help_name, length));
}

/* --help as the last argument, or before or with its topic. */
static bool give_help(const CommandLine *line, const char *argument, const char *next, Error *e) {
  const char *equals = strchr(argument, '='), *topic = equals ? equals + 1 : next;
  if (!line->explain || !topic) print_help(line);
  return !line->explain || line->explain(topic, e);
}

/* What was missed may stand behind an option that takes all the rest. */
static bool explain_rest(const CommandLine *line, Error *e) {
  for (int i = 0; i < line->option_count; i++) {
    const CmdOption *option = &line->options[i];
    if (option->type == CMD_REST && ((const CmdList *)option->target)->count)
      error_suffix(e, "all that follows %s is %s", option->name, option->argument);
  }
  return false;
}

/* *told: help or the version was printed instead. */
static bool read_arguments(CommandLine *line, int argc, char **argv, bool *told, Error *e) {
  bool words_only = false;
  for (int i = 1; i < argc; i++) {
    if (words_only || !is_option(argv[i])) {
      if (!take_word(line, argv, argv[i], e)) return false;
    } else if (!strcmp(argv[i], "--")) {
      words_only = true;
    } else if (is_help(line, argv[i])) {
      *told = true;
      return give_help(line, argv[i], i + 1 < argc ? argv[i + 1] : NULL, e);
    } else if (!strcmp(argv[i], version_name)) {
      *told = true;
      commands_print_version();
      return true;
    } else if (!take_option(line, argc, argv, &i, e)) {
      return false;
    }
  }
  if (line->word_count < line->words_min) {
    error_set(e, EXIT_CONFIG, "missing argument; usage: %s %s", line->name, line->usage);
    return explain_rest(line, e);
  }
  return true;
}

static CommandVisitor visitor;
static void *visitor_context;

void command_line_visit(CommandVisitor function, void *context) {
  visitor = function;
  visitor_context = context;
}

bool command_line_read(CommandLine *line, int argc, char **argv, int *code) {
  Error e = {0};
  bool told = false;
  *code = EXIT_OK;
  if (visitor) {
    visitor(line, visitor_context);
    return false;
  }
  line->words = (const char *const *)argv + 1;
  line->word_count = 0;
  bool ok = read_arguments(line, argc, argv, &told, &e);
  if (ok && !told) return true;
  command_line_free(line);
  if (!ok) *code = line->silent ? e.code : command_fail(line->name, &e);
  return false;
}

void command_line_free(const CommandLine *line) {
  for (int i = 0; i < line->option_count; i++) {
    if (line->options[i].type != CMD_LIST) continue;
    CmdList *list = line->options[i].target;
    free(list->items);
    *list = (CmdList){0};
  }
}
