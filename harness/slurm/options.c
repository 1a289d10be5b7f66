/* options.c - reads the options of sbatch that matter here; sbatch itself checks the rest. */
#include "harness/slurm/options.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* What becomes of an option. */
typedef enum Use { USE_ARRAY, USE_TIME, USE_PARTITION, USE_NAME, USE_LOG, USE_IMPORT, REFUSED } Use;

static const struct Known {
  const char *name;
  char letter; /* 0: none */
  Use use;
  const char *why; /* refused */
} known[] = {
    {"--array", 'a', USE_ARRAY, NULL},
    {"--time", 't', USE_TIME, NULL},
    {"--partition", 'p', USE_PARTITION, NULL},
    {"--job-name", 'J', USE_NAME, NULL},
    {"--output", 'o', USE_LOG, NULL},
    {"--account", 'A', USE_IMPORT, NULL},
    {"--qos", 'q', USE_IMPORT, NULL},
    {"--reservation", 0, USE_IMPORT, NULL},
    {"--mail-user", 0, USE_IMPORT, NULL},
    {"--signal", 0, REFUSED, "the job script needs it to be warned of the time limit"},
    {"--no-requeue", 0, REFUSED,
     "a part that is not done when its time is over queues itself again"},
    {"--wrap", 0, REFUSED, "the job script is written here"},
    {"--wait", 'W', REFUSED, "`harness status` tells how far it is"},
    {"--test-only", 0, REFUSED, "--dry-run before --slurm shows the plan and the job script"},
    {"--clusters", 'M', REFUSED, "submit on the cluster itself"},
    {"--help", 'h', REFUSED, "`sbatch --help` explains sbatch's options"},
    {"--version", 'V', REFUSED, "it stands before --slurm"},
};

enum { KNOWN = sizeof known / sizeof *known };

/* The option that a word is, and its value within the word; NULL: the next word, if it has one. */
static const struct Known *find_known(const char *word, const char **value) {
  size_t length = strcspn(word, "=");
  *value = NULL;
  for (int i = 0; i < KNOWN; i++) {
    if (strlen(known[i].name) == length && !strncmp(known[i].name, word, length)) {
      if (word[length]) *value = word + length + 1;
      return &known[i];
    }
    if (known[i].letter && word[0] == '-' && word[1] == known[i].letter) {
      if (word[2]) *value = word + 2;
      return &known[i];
    }
  }
  return NULL;
}

static bool read_array(SlurmOptions *options, const char *text, Error *e) {
  int parts = 0, at_once = 0, end = 0, more = 0;
  bool ok = strlen(text) < 30 && sscanf(text, "1-%d%n%%%d%n", &parts, &end, &at_once, &more) > 0 &&
            parts >= 1 && parts <= SLURM_PARTS_MAX && !text[more ? more : end] &&
            (!more || at_once >= 1);
  if (!ok)
    return error_set(e, EXIT_CONFIG,
                     "--array=%.50s: expected 1-N or 1-N%%M: N parts of the sweep (at most %d), of "
                     "which M run at a time; what is done already is left out by itself",
                     text, SLURM_PARTS_MAX);
  options->parts = parts;
  options->at_once = at_once;
  return true;
}

bool slurm_time_parse(const char *text, double *seconds) {
  double days = 0, number[3] = {0};
  int end = 0, count = 0;
  if (!strcasecmp(text, "unlimited") || !strcasecmp(text, "infinite") || !strcmp(text, "-1") ||
      !strcmp(text, "0")) {
    *seconds = INFINITY;
    return true;
  }
  if (strlen(text) > 30 || strspn(text, "0123456789:-") != strlen(text)) return false;
  const char *dash = strchr(text, '-'), *rest = dash ? dash + 1 : text;
  if (dash && (sscanf(text, "%lf-%n", &days, &end) != 1 || text + end != rest)) return false;
  for (; count < 3 && *rest; count++) {
    if (*rest < '0' || *rest > '9') return false;
    number[count] = strtod(rest, (char **)&rest);
    if (*rest && (*rest++ != ':' || !*rest)) return false;
  }
  if (count == 0 || *rest) return false;
  double minutes = count == 3   ? number[0] * 60 + number[1] + number[2] / 60
                   : count == 2 ? number[0] + number[1] / 60
                                : number[0];
  if (dash) minutes = days * 1440 + number[0] * 60 + number[1] + number[2] / 60;
  *seconds = minutes * 60;
  return minutes > 0 && minutes < 1e7;
}

static bool read_time(SlurmOptions *options, const char *name, const char *text, Error *e) {
  if (slurm_time_parse(text, &options->seconds)) return true;
  return error_set(e, EXIT_CONFIG,
                   "%s=%.50s: expected a time as Slurm writes it: minutes, H:M:S, D-H or D-H:M:S",
                   name, text);
}

static bool take_known(SlurmOptions *options, const struct Known *option, const char *value,
                       Error *e) {
  switch (option->use) {
  case USE_ARRAY:
    return read_array(options, value, e);
  case USE_TIME:
    return read_time(options, "--time", value, e);
  case USE_PARTITION:
    free(options->partition);
    options->partition = string_copy(value);
    break;
  case USE_NAME:
    options->named = true;
    break;
  case USE_LOG:
    options->logged = true;
    break;
  case USE_IMPORT:
  case REFUSED:
    break;
  }
  return true;
}

static bool is_own(const char *word, const CmdOption *own, int count) {
  size_t length = strcspn(word, "=");
  for (int i = 0; i < count; i++)
    if (strlen(own[i].name) == length && !strncmp(own[i].name, word, length)) return true;
  return false;
}

/* The word at *at, with the next when that is its value. */
static bool take_word(SlurmOptions *options, const CmdList *given, int *at, Error *e) {
  const char *word = given->items[*at], *value, *next = NULL;
  const struct Known *option = find_known(word, &value);
  if (option && option->use == REFUSED)
    return error_set(e, EXIT_CONFIG, "--slurm %s: not here; %s", word, option->why);
  if (option && !value) {
    if (*at + 1 >= given->count) return error_set(e, EXIT_CONFIG, "%s needs a value", word);
    value = next = given->items[++*at];
  }
  if (option && !take_known(options, option, value, e)) return false;
  if (option && option->use == USE_ARRAY) return true;
  bool both = option && (option->use == USE_PARTITION || option->use == USE_IMPORT);
  strings_add(&options->all, string_copy(word));
  if (next) strings_add(&options->all, string_copy(next));
  if (both) strings_add(&options->import, string_copy(word));
  if (both && next) strings_add(&options->import, string_copy(next));
  return true;
}

/* A word without a dash is the value of an option before it, which must then have none. */
static bool is_stray(const CmdList *given, int at) {
  if (given->items[at][0] == '-') return false;
  const char *before = at ? given->items[at - 1] : "";
  return before[0] != '-' || strchr(before, '=');
}

bool slurm_options_read(SlurmOptions *options, const CmdList *given, const CmdOption *own,
                        int own_count, Error *e) {
  const char *limit = getenv("SBATCH_TIMELIMIT"), *partition = getenv("SBATCH_PARTITION");
  *options = (SlurmOptions){0};
  if (limit && *limit && !read_time(options, "SBATCH_TIMELIMIT", limit, e)) return false;
  if (partition && *partition) options->partition = string_copy(partition);
  for (int i = 0; i < given->count; i++) {
    const char *word = given->items[i];
    if (is_own(word, own, own_count))
      return error_set(e, EXIT_CONFIG,
                       "%s stands behind --slurm, where all goes to sbatch; it belongs before it",
                       word);
    if (is_stray(given, i))
      return error_set(e, EXIT_CONFIG,
                       "%.100s stands behind --slurm, where sbatch's options are; FILEs belong "
                       "before it",
                       word);
    if (!take_word(options, given, &i, e)) return false;
  }
  return true;
}

void slurm_options_free(SlurmOptions *options) {
  strings_free(&options->all);
  strings_free(&options->import);
  free(options->partition);
  *options = (SlurmOptions){0};
}
