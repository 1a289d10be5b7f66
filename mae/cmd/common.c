#include <stdlib.h>
#include <string.h>

#include "mae/base/commands.h"
#include "mae/base/suggest.h"
#include "mae/cmd/cmd.h"
#include "mae/config/ini.h"

enum { COMMON_COUNT = 4, OPTIONS_MAX = 32 };

static const CmdOption common_options[COMMON_COUNT] = {
    {"--config", CMD_TEXT, NULL, "FILE", "read options from an INI file (or name FILE.ini alone)"},
    {"--set", CMD_TEXT, NULL, "KEY=VALUE", "set one option, over every file; may be repeated"},
    {"--help", CMD_FLAG, NULL, NULL, "print this help"},
    {"--version", CMD_FLAG, NULL, NULL, "print the version"},
};

int cmd_fail(const char *name, const Error *e) {
  fprintf(stderr, "mae %s: %s\n", name, e->message);
  return e->code;
}

static void print_option(const CmdOption *option) {
  char left[64];
  snprintf(left, sizeof left, "%s%s%s", option->name, option->argument ? " " : "",
           option->argument ? option->argument : "");
  printf("  %-22s %s\n", left, option->help);
}

static void print_help(const CommandLine *line) {
  printf("usage: mae %s [FILE.ini] [--set KEY=VALUE]... [options]%s%s\n\n%s\n\n", line->name,
         line->words_help ? " " : "", line->words_help ? line->words_help : "", line->about);
  for (int i = 0; i < line->option_count; i++) print_option(&line->options[i]);
  for (int i = 0; i < COMMON_COUNT; i++) print_option(&common_options[i]);
  puts("\n`mae config --help` explains every KEY.");
}

static bool unknown_option(const CommandLine *line, const char *name, size_t length, Error *e) {
  const char *names[OPTIONS_MAX];
  char word[64];
  int count = 0;
  for (int i = 0; i < line->option_count && count < OPTIONS_MAX - COMMON_COUNT; i++)
    names[count++] = line->options[i].name;
  for (int i = 0; i < COMMON_COUNT; i++) names[count++] = common_options[i].name;
  snprintf(word, sizeof word, "%.*s", (int)length, name);
  int near = suggest_index(word, names, count);
  if (near >= 0)
    return error_set(e, EXIT_CONFIG, "no option %s; did you mean %s?", word, names[near]);
  return error_set(e, EXIT_CONFIG, "no option %s; `mae %s --help` lists them", word, line->name);
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

/* key=value; the key ends at the first '='. */
static bool apply_setting(Config *config, const char *setting, Error *e) {
  const char *equals = strchr(setting, '=');
  char key[128];
  if (!equals || equals - setting >= (long)sizeof key)
    return error_set(e, EXIT_CONFIG, "--set %.100s: expected section.key=value", setting);
  snprintf(key, sizeof key, "%.*s", (int)(equals - setting), setting);
  return config_set(config, key, equals + 1, &(ConfigOrigin){.file = "--set"}, e);
}

static bool ends_in_ini(const char *word) {
  size_t length = strlen(word);
  return length > 4 && !strcmp(word + length - 4, ".ini");
}

/* The outcome of reading the arguments before the configuration is put together. */
typedef struct Reading {
  const char **files, **settings; /* [argc] each */
  int file_count, setting_count;
  bool help, version;
} Reading;

static bool take_word(CommandLine *line, Reading *reading, const char *word, Error *e) {
  if (ends_in_ini(word)) {
    reading->files[reading->file_count++] = word;
    return true;
  }
  if (line->word_count >= line->words_max || line->word_count >= CMD_WORDS_MAX)
    return error_set(e, EXIT_CONFIG,
                     "unexpected argument '%.100s'; `mae %s --help` shows the usage", word,
                     line->name);
  line->words[line->word_count++] = word;
  return true;
}

static const CmdOption *find_option(const CommandLine *line, const char *name, size_t length) {
  for (int i = 0; i < line->option_count; i++)
    if (strlen(line->options[i].name) == length && !strncmp(line->options[i].name, name, length))
      return &line->options[i];
  for (int i = 0; i < COMMON_COUNT; i++)
    if (strlen(common_options[i].name) == length && !strncmp(common_options[i].name, name, length))
      return &common_options[i];
  return NULL;
}

static bool store_option(const CmdOption *option, Reading *reading, const char *value, Error *e) {
  if (option == &common_options[0])
    reading->files[reading->file_count++] = value;
  else if (option == &common_options[1])
    reading->settings[reading->setting_count++] = value;
  else if (option == &common_options[2])
    reading->help = true;
  else if (option == &common_options[3])
    reading->version = true;
  else if (option->type == CMD_FLAG)
    *(bool *)option->target = true;
  else if (option->type == CMD_TEXT)
    *(const char **)option->target = value;
  else
    return store_count(option, value, e);
  return true;
}

static bool read_arguments(CommandLine *line, Reading *reading, int argc, char **argv, Error *e) {
  for (int i = 1; i < argc; i++) {
    const char *argument = argv[i];
    if (argument[0] != '-' || !argument[1]) {
      if (!take_word(line, reading, argument, e)) return false;
      continue;
    }
    size_t length = strcspn(argument, "=");
    const char *value = argument[length] ? argument + length + 1 : NULL;
    const CmdOption *option =
        strcmp(argument, "-h") ? find_option(line, argument, length) : &common_options[2];
    if (!option) return unknown_option(line, argument, length, e);
    if (option->type == CMD_FLAG && value)
      return error_set(e, EXIT_CONFIG, "%s takes no value", option->name);
    if (option->type != CMD_FLAG && !value) {
      if (i + 1 >= argc)
        return error_set(e, EXIT_CONFIG, "%s needs a value: %s %s", option->name, option->name,
                         option->argument);
      value = argv[++i];
    }
    if (!store_option(option, reading, value, e)) return false;
  }
  return true;
}

/* Puts the place of the value that a message of config_validate is most likely about in front of
 * it: the last one given whose key the message names. */
static bool blame(const Reading *reading, Error *e) {
  for (int i = reading->setting_count - 1; i >= 0; i--) {
    char key[128];
    snprintf(key, sizeof key, "%.*s", (int)strcspn(reading->settings[i], "="),
             reading->settings[i]);
    if (config_mentions(e->message, key)) return error_prefix(e, "--set");
  }
  for (int f = reading->file_count - 1; f >= 0; f--) {
    IniFile ini;
    Error ignored;
    bool found = false;
    if (!ini_read(&ini, reading->files[f], &ignored)) continue;
    for (int i = ini.count - 1; i >= 0 && !found; i--) {
      const IniEntry *entry = &ini.entries[i];
      char key[256];
      snprintf(key, sizeof key, "%.100s.%.100s", entry->section, entry->key);
      if ((found = config_mentions(e->message, key)))
        error_prefix(e, "%s:%d:%d", entry->file, entry->line, entry->column);
    }
    ini_free(&ini);
    if (found) break;
  }
  return false;
}

static bool build_config(CommandLine *line, const Reading *reading, Error *e) {
  if (line->word_count < line->words_min)
    return error_set(e, EXIT_CONFIG, "missing argument; usage: mae %s %s", line->name,
                     line->words_help);
  config_init(&line->config);
  if (line->base && !line->base(line, e)) return false;
  for (int i = 0; i < reading->file_count; i++)
    if (!config_load(&line->config, reading->files[i], e)) return false;
  for (int i = 0; i < reading->setting_count; i++)
    if (!apply_setting(&line->config, reading->settings[i], e)) return false;
  Config checked = line->config;
  if (line->no_data) checked.data.source = SOURCE_SHAPES;
  return config_validate(&checked, e) || blame(reading, e);
}

bool cmd_parse(CommandLine *line, int argc, char **argv, int *code) {
  Reading reading = {.files = calloc((size_t)argc, sizeof(char *)),
                     .settings = calloc((size_t)argc, sizeof(char *))};
  Error e = {0};
  bool go_on = false;
  *code = EXIT_OK;
  if (!reading.files || !reading.settings) {
    error_set(&e, EXIT_DEVICE, "out of memory");
  } else if (read_arguments(line, &reading, argc, argv, &e)) {
    if (reading.help)
      print_help(line);
    else if (reading.version)
      commands_print_version();
    else
      go_on = build_config(line, &reading, &e);
  }
  if (e.code) *code = line->silent ? e.code : cmd_fail(line->name, &e);
  free(reading.files);
  free(reading.settings);
  return go_on;
}
