/* The configuration of a command: the defaults or a checkpoint's, then files, then settings. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mae/cmd/cmd.h"
#include "mae/config/ini.h"
#include "mae/record/json_text.h"
#include "mae/record/run_folder.h"

enum { OPTIONS_MAX = 32 };

/* Where the values of a configuration were written, in the order in which they are read. */
typedef struct Sources {
  CmdList files, settings;
} Sources;

/* key=value; the key ends at the first '='. */
static bool apply_setting(Config *config, const char *setting, Error *e) {
  const char *equals = strchr(setting, '=');
  char key[128];
  if (!equals || equals - setting >= (long)sizeof key)
    return error_set(e, EXIT_CONFIG, "--set %.100s: expected section.key=value", setting);
  snprintf(key, sizeof key, "%.*s", (int)(equals - setting), setting);
  return config_set(config, key, equals + 1, &(ConfigOrigin){.file = "--set"}, e);
}

/* config_validate knows values, not where they were written. Puts in front of its message the place
 * of the value that was given last among those whose key the message names. */
static bool blame(const Sources *from, Error *e) {
  for (int i = from->settings.count - 1; i >= 0; i--) {
    const char *setting = from->settings.items[i];
    char key[128];
    snprintf(key, sizeof key, "%.*s", (int)strcspn(setting, "="), setting);
    if (config_mentions(e->message, key)) return error_prefix(e, "--set");
  }
  for (int f = from->files.count - 1; f >= 0; f--) {
    IniFile ini;
    bool found = false;
    if (!ini_read(&ini, from->files.items[f], NULL)) continue;
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

bool cmd_checkpoint_config(ConfigCommand *command, Error *e) {
  CheckpointChoice *chosen = command->user;
  if (!chosen->path)
    return error_set(e, EXIT_CONFIG, "--checkpoint is missing: a run folder or a weights file");
  return run_folder_locate(chosen->weights, &command->config, chosen->path, e);
}

json_t *cmd_json_real(double value) {
  if (isnan(value)) return json_string("nan");
  if (isinf(value)) return json_string(value > 0 ? "inf" : "-inf");
  return json_real(value);
}

bool cmd_print_json(json_t *json, size_t indent, Error *e) {
  if (!json) return error_set(e, EXIT_DEVICE, "out of memory for the result");
  bool ok = json_print(stdout, json, JSON_INDENT(indent));
  json_decref(json);
  return ok || error_set(e, EXIT_DEVICE, "out of memory for the result");
}

static bool build_config(ConfigCommand *command, const Sources *from, Error *e) {
  Config *config = &command->config;
  config_init(config);
  if (command->base && !command->base(command, e)) return false;
  for (int i = 0; i < from->files.count; i++)
    if (!config_load(config, from->files.items[i], e)) return false;
  for (int i = 0; i < from->settings.count; i++)
    if (!apply_setting(config, from->settings.items[i], e)) return false;
  Config checked = *config;
  if (command->no_data) checked.data.source = SOURCE_SHAPES; /* which needs no data.path */
  return config_validate(&checked, e) || blame(from, e);
}

bool cmd_parse(ConfigCommand *command, int argc, char **argv, int *code) {
  Sources from = {0};
  CmdOption options[OPTIONS_MAX];
  CommandLine line = command->line;
  if (line.option_count > OPTIONS_MAX - 2) abort();
  for (int i = 0; i < line.option_count; i++) options[i] = line.options[i];
  options[line.option_count++] =
      (CmdOption){"--config", CMD_LIST, &from.files, "FILE",
                  "read options from an INI file (or name FILE.ini alone)"};
  options[line.option_count++] = (CmdOption){"--set", CMD_LIST, &from.settings, "KEY=VALUE",
                                             "set one option, over every file; may be repeated"};
  line.options = options;
  line.ending = ".ini";
  line.ended = &from.files;
  line.after = "`mae config --help` explains every KEY.";
  if (!command_line_read(&line, argc, argv, code)) return false;
  Error e = {0};
  command->line.words = line.words;
  command->line.word_count = line.word_count;
  bool ok = build_config(command, &from, &e);
  if (!ok) *code = line.silent ? e.code : command_fail(line.name, &e);
  command_line_free(&line);
  return ok;
}
