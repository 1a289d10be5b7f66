/* table.h - the option table itself; private to config*.c. */
#ifndef MAE_CONFIG_TABLE_H
#define MAE_CONFIG_TABLE_H

#include "mae/config/config.h"

typedef enum OptionType {
  OPTION_INTEGER, /* int, int64_t or uint64_t, told apart by size */
  OPTION_NUMBER,  /* double */
  OPTION_BOOL,
  OPTION_CHOICE, /* an enum: the value is an index into choices */
  OPTION_TOWER,
  OPTION_TEXT,   /* char[size]; no control characters */
  OPTION_DEVICE, /* char[size]: auto, cpu, cuda or cuda:N */
} OptionType;

typedef struct Option {
  const char *key; /* section.name */
  OptionType type;
  size_t offset, size;        /* of the member of Config */
  const char *initial;        /* the default, as text */
  double min, max;            /* of numbers, both allowed */
  const char *const *choices; /* NULL-terminated */
  bool hashed;                /* part of the config hash, since it can change a result */
  /* Hashed, and added when results had been recorded: at its default, with which everything is as
   * it was before, it is left out of the hash, so that those results keep theirs. */
  bool younger;
  const char *recorded; /* not hashed, and can all the same: how that is noticed */
  const char *help;
} Option;

typedef struct TowerPreset {
  const char *name;
  Tower tower;
} TowerPreset;

/* Options of one section stand together. */
extern const Option config_options[];
extern const int config_option_count;

extern const TowerPreset config_presets[];
extern const int config_preset_count;
enum { TOWER_WIDTH_MAX = 8192, TOWER_DEPTH_MAX = 128, TOWER_HEADS_MAX = 128 };

#endif
