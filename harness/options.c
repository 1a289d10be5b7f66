#include "harness/options.h"

#include <stdlib.h>
#include <string.h>

#include "mae/base/suggest.h"

enum { NAMES_MAX = 32 };

int command_fail(const char *command, const Error *e) {
  fprintf(stderr, "harness %s: %s\n", command, e->message);
  return e->code ? e->code : EXIT_DATA;
}

static void print_help(const Arguments *arguments) {
  printf("usage: harness %s %s [options]\n\n%s\n\n", arguments->command, arguments->usage,
         arguments->about);
  for (int i = 0; i < arguments->option_count; i++) {
    const Option *option = &arguments->options[i];
    char left[64];
    snprintf(left, sizeof left, "%s %s", option->name, option->argument ? option->argument : "");
    printf("  %-24s %s\n", left, option->help);
  }
  if (arguments->takes_settings)
    printf("  %-24s %s\n", "--set KEY=VALUE",
           "set one option over the files, or replace a swept key's list; repeat it");
}

static bool unknown_option(const Arguments *arguments, const char *word, Error *e) {
  const char *names[NAMES_MAX];
  char name[64];
  int count = 0;
  snprintf(name, sizeof name, "%.*s", (int)strcspn(word, "="), word);
  for (int i = 0; i < arguments->option_count && count < NAMES_MAX - 2; i++)
    names[count++] = arguments->options[i].name;
  if (arguments->takes_settings) names[count++] = "--set";
  names[count++] = "--help";
  int near = suggest_index(name, names, count);
  if (near >= 0)
    return error_set(e, EXIT_CONFIG, "no option %s; did you mean %s?", name, names[near]);
  return error_set(e, EXIT_CONFIG, "no option %s; `harness %s --help` lists them", name,
                   arguments->command);
}

static bool take_setting(Arguments *arguments, const char *text, Error *e) {
  const char *equals = strchr(text, '=');
  if (!equals || equals == text || !memchr(text, '.', (size_t)(equals - text)))
    return error_set(e, EXIT_CONFIG, "--set %.100s: expected section.key=value%s", text,
                     strncmp(text, "seeds=", 6) ? ""
                                                : "; seeds are in [sweep]: --set sweep.seeds=");
  char *copy = string_copy(text);
  char *value = copy + (equals - text);
  *value++ = 0;
  strings_add(&arguments->texts, copy);
  size_t size = (size_t)(arguments->setting_count + 1) * sizeof *arguments->settings;
  arguments->settings = need(realloc(arguments->settings, size));
  arguments->settings[arguments->setting_count++] = (PlanOverride){copy, value};
  return true;
}

static bool store_value(const Option *option, const char *value, Error *e) {
  if (option->type == OPTION_TEXT) {
    *(const char **)option->target = value;
    return true;
  }
  char *end;
  double number = strtod(value, &end);
  if (end == value || *end || !(number >= 0) || number > 1e12)
    return error_set(e, EXIT_CONFIG, "%s %.100s: expected a number from 0", option->name, value);
  *(double *)option->target = number;
  return true;
}

/* One option and its value; *used is how many words that took. */
static bool take_option(Arguments *arguments, char **word, int left, int *used, Error *e) {
  size_t length = strcspn(*word, "=");
  const char *value = (*word)[length] ? *word + length + 1 : NULL;
  const Option setting = {"--set", OPTION_TEXT, NULL, "KEY=VALUE", NULL}, *option = NULL;
  for (int i = 0; i < arguments->option_count; i++)
    if (strlen(arguments->options[i].name) == length &&
        !strncmp(arguments->options[i].name, *word, length))
      option = &arguments->options[i];
  if (!option && arguments->takes_settings && length == 5 && !strncmp(*word, "--set", 5))
    option = &setting;
  *used = 1;
  if (!option) return unknown_option(arguments, *word, e);
  if (option->type == OPTION_FLAG) {
    if (value) return error_set(e, EXIT_CONFIG, "%s takes no value", option->name);
    *(bool *)option->target = true;
    return true;
  }
  if (!value) {
    if (left < 2)
      return error_set(e, EXIT_CONFIG, "%s needs a value: %s %s", option->name, option->name,
                       option->argument);
    value = word[1];
    *used = 2;
  }
  return option == &setting ? take_setting(arguments, value, e) : store_value(option, value, e);
}

bool arguments_read(Arguments *arguments, int argc, char **argv, int *code) {
  Error e = {0};
  bool ok = true;
  *code = EXIT_OK;
  for (int i = 1, used = 1; ok && i < argc; i += used) {
    used = 1;
    if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h")) {
      print_help(arguments);
      return false;
    }
    if (argv[i][0] == '-' && argv[i][1])
      ok = take_option(arguments, &argv[i], argc - i, &used, &e);
    else
      strings_add(&arguments->words, string_copy(argv[i]));
  }
  int words = arguments->words.count;
  if (ok && words < arguments->words_min)
    ok = error_set(&e, EXIT_CONFIG, "missing argument; usage: harness %s %s", arguments->command,
                   arguments->usage);
  if (ok && words > arguments->words_max)
    ok = error_set(&e, EXIT_CONFIG, "unexpected argument %s; usage: harness %s %s",
                   arguments->words.items[arguments->words_max], arguments->command,
                   arguments->usage);
  if (!ok) *code = command_fail(arguments->command, &e);
  return ok;
}

void arguments_free(Arguments *arguments) {
  strings_free(&arguments->words);
  strings_free(&arguments->texts);
  free(arguments->settings);
}

bool parse_trial(const char *text, int64_t *trial, Error *e) {
  char *end;
  long long number = strtoll(text, &end, 10);
  if (end == text || *end || number < 1)
    return error_set(e, EXIT_CONFIG,
                     "%.100s is no trial's number; `harness status EXPERIMENT` lists them", text);
  *trial = number;
  return true;
}
