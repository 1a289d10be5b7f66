/* The INI reader, and every option's own parser behind it. */
#include "mae/config/config.h"
#include "mae/config/ini.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  IniFile ini;
  Error e = {0};
  bool ok = ini_parse(&ini, "input.ini", (const char *)data, size, &e);
  fuzz_check(ok, &e);
  if (!ok) return 0;
  Config config;
  config_init(&config);
  for (int i = 0; i < ini.count; i++) {
    const IniEntry *entry = &ini.entries[i];
    const ConfigOrigin origin = {entry->file, entry->line, entry->column};
    char key[256];
    snprintf(key, sizeof key, "%s.%s", entry->section, entry->key);
    Error problem = {0};
    fuzz_check(config_set(&config, key, entry->value, &origin, &problem), &problem);
  }
  Error problem = {0};
  fuzz_check(config_validate(&config, &problem), &problem);
  ini_free(&ini);
  return 0;
}
