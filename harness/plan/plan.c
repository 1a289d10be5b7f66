/* plan.c - the scale, the file and --set, read and merged; then a trial per combination. */
#include "harness/plan/plan.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "harness/plan/locate.h"
#include "harness/plan/sweep.h"
#include "mae/base/suggest.h"
#include "mae/base/text.h"
#include "mae/config/ini.h"

/* What is gathered while the files are read; entries of later files come later and win. */
typedef struct Reading {
  IniFile files[2]; /* scale, FILE; the origins below point into them */
  Config base;
  Sweep sweep;
  PaperEntries paper;
  PruneEntries prune;
  const IniEntry *zip, *exclude;
  IniEntry set_zip, set_exclude; /* the same from --set */
  const PlanOverride *sets;
  int set_count;
  Plan *plan;
} Reading;

static char **experiment_field(Plan *plan, const char *key) {
  if (!strcmp(key, "name")) return &plan->name;
  if (!strcmp(key, "question")) return &plan->question;
  if (!strcmp(key, "expected")) return &plan->expected;
  if (!strcmp(key, "source")) return &plan->source;
  if (!strcmp(key, "x")) return &plan->x;
  return NULL;
}

static void replace(char **field, char *value) {
  free(*field);
  *field = value;
}

static char *origin_text(const IniEntry *entry) {
  if (entry->line > 0) return string_format("%s:%d:%d", entry->file, entry->line, entry->column);
  return string_copy(entry->file);
}

static bool entry_error(Error *e, const IniEntry *entry, const char *problem) {
  char *at = origin_text(entry);
  error_set(e, EXIT_CONFIG, "%s: [%s] %s: %s", at, entry->section, entry->key, problem);
  free(at);
  return false;
}

/* What was read is kept in JSON files, which hold nothing else. */
static bool is_text(const IniEntry *entry, Error *e) {
  return text_is_utf8(entry->value) || entry_error(e, entry, "not UTF-8: save it in that encoding");
}

/* The name becomes a folder's name. */
static bool name_is_safe(const char *name) {
  if (!*name || *name == '.') return false;
  for (const char *c = name; *c; c++)
    if (!isalnum((unsigned char)*c) && !strchr("._-", *c)) return false;
  return true;
}

static bool read_experiment(Reading *reading, const IniEntry *entry, Error *e) {
  char **field = experiment_field(reading->plan, entry->key);
  if (!field)
    return entry_error(e, entry, "unknown key; there are name, question, expected, source and x");
  if (!strcmp(entry->key, "name") && !name_is_safe(entry->value))
    return entry_error(e, entry, "only letters, digits, '.', '_' and '-': it names a folder");
  if (!strcmp(entry->key, "x") && *entry->value) {
    char value[CONFIG_PATH_MAX + 64];
    if (!config_get(&reading->base, entry->value, value, sizeof value)) {
      const char *near = config_suggest(entry->value);
      char *problem =
          string_format("unknown option %s%s%s%s", entry->value, near ? "; did you mean " : "",
                        near ? near : "", near ? "?" : "");
      entry_error(e, entry, problem);
      free(problem);
      return false;
    }
  }
  replace(field, string_copy(entry->value));
  return true;
}

static bool read_sweep(Reading *reading, const IniEntry *entry, Error *e) {
  if (!strcmp(entry->key, "zip")) {
    reading->zip = entry;
    return true;
  }
  if (!strcmp(entry->key, "exclude")) {
    reading->exclude = entry;
    return true;
  }
  ConfigOrigin origin = {entry->file, entry->line, entry->column};
  return sweep_set(&reading->sweep, entry->key, entry->value, &reading->base, &origin, e);
}

static bool is_sweep_section(const char *section, const char *scale) {
  return !strcmp(section, "sweep") ||
         (!strncmp(section, "sweep.", 6) && !strcmp(section + 6, scale));
}

/* A section for another scale is passed over; where no scale has its name but a similar one, it may
 * be for that. */
static void note_scale_names(Reading *reading) {
  static const char *const kinds[] = {"sweep.", "paper.", "prune."};
  const IniFile *file = &reading->files[1];
  for (int i = 0; i < file->count && !reading->plan->note; i++) {
    const IniEntry *entry = &file->entries[i];
    for (int k = 0; k < 3; k++) {
      size_t length = strlen(kinds[k]);
      if (strncmp(entry->section, kinds[k], length)) continue;
      const char *name = entry->section + length;
      if (!strcmp(name, reading->plan->scale)) continue;
      char *near = locate_near_scale(name);
      if (near)
        reading->plan->note =
            string_format("%s:%d: [%s] is passed over: there is no scale %s; did you mean [%s%s]?",
                          entry->file, entry->line, entry->section, name, kinds[k], near);
      free(near);
    }
  }
}

/* --set data.path alone, where the scale has another source of images. */
static void note_idle_path(Plan *plan) {
  const char *idle = config_idle_path(&plan->trials[0].config);
  for (int i = 1; i < plan->count; i++) /* one that sweeps the source may read it elsewhere */
    if (!*config_idle_path(&plan->trials[i].config)) return;
  if (*idle && !plan->note) plan->note = string_copy(idle);
}

/* "[swep]" makes options of what is none; `e` says only that of its first key. False. */
static bool blame_section(const IniEntry *entry, Error *e) {
  static const char *const sections[] = {"experiment", "sweep", "paper", "prune"};
  size_t length = strcspn(entry->section, ".");
  for (int i = 0; config_key(i); i++)
    if (!strncmp(config_key(i), entry->section, length) && config_key(i)[length] == '.')
      return false;
  char *name = need(strndup(entry->section, length));
  int near = suggest_index(name, sections, sizeof sections / sizeof *sections);
  /* [experiment.NAME] is none, whatever NAME is. */
  const char *rest = near >= 0 && !strcmp(name, sections[near]) ? "" : entry->section + length;
  free(name);
  if (near < 0) return false;
  return error_set(e, EXIT_CONFIG, "%s:%d: there is no section [%.100s]; did you mean [%s%.100s]?",
                   entry->file, entry->line, entry->section, sections[near], rest);
}

/* Options first, so that a list is checked against the options it will be combined with. */
static bool read_entries(Reading *reading, const IniFile *file, bool sweeps, Error *e) {
  for (int i = 0; i < file->count; i++) {
    const IniEntry *entry = &file->entries[i];
    bool is_sweep = !strcmp(entry->section, "sweep") || !strncmp(entry->section, "sweep.", 6);
    if (is_sweep != sweeps) continue;
    if (sweeps) {
      if (!is_sweep_section(entry->section, reading->plan->scale)) continue;
      if (!read_sweep(reading, entry, e)) return false;
    } else if (!strcmp(entry->section, "experiment")) {
      if (!read_experiment(reading, entry, e)) return false;
    } else if (!strcmp(entry->section, "paper") || !strncmp(entry->section, "paper.", 6)) {
      if (!paper_is_section(entry->section, reading->plan->scale)) continue;
      if (!paper_take(&reading->paper, entry, e)) return false;
    } else if (!strcmp(entry->section, "prune") || !strncmp(entry->section, "prune.", 6)) {
      if (!prune_is_section(entry->section, reading->plan->scale)) continue;
      if (!prune_take(&reading->prune, entry, e)) return false;
    } else {
      ConfigOrigin origin = {entry->file, entry->line, entry->column};
      char *key = string_format("%s.%s", entry->section, entry->key);
      bool ok =
          config_set(&reading->base, key, entry->value, &origin, e) || blame_section(entry, e);
      free(key);
      if (!ok) return false;
    }
  }
  return true;
}

static bool is_swept(const Sweep *sweep, const char *key) {
  for (int i = 0; i < sweep->count; i++)
    if (!strcmp(sweep->keys[i].key, key)) return true;
  return false;
}

static bool apply_override(Reading *reading, const PlanOverride *set, Error *e) {
  static char from[] = "--set";
  ConfigOrigin origin = {from, 0, 0};
  IniEntry entry = {.file = from, .value = (char *)set->value};
  if (!text_is_utf8(set->value))
    return error_set(e, EXIT_CONFIG, "--set %.100s: not UTF-8", set->key);
  if (!strncmp(set->key, "experiment.", 11)) {
    entry.section = (char *)"experiment";
    entry.key = (char *)set->key + 11;
    return read_experiment(reading, &entry, e);
  }
  if (!strncmp(set->key, "paper.", 6)) {
    entry.section = (char *)"paper";
    entry.key = (char *)set->key + 6;
    return paper_take(&reading->paper, &entry, e);
  }
  if (!strncmp(set->key, "prune.", 6)) {
    entry.section = (char *)"prune";
    entry.key = (char *)set->key + 6;
    return prune_take(&reading->prune, &entry, e);
  }
  if (!strncmp(set->key, "sweep.", 6)) {
    entry.section = (char *)"sweep";
    entry.key = (char *)set->key + 6;
    if (!strcmp(entry.key, "zip")) {
      reading->set_zip = entry;
      reading->zip = &reading->set_zip;
      return true;
    }
    if (!strcmp(entry.key, "exclude")) {
      reading->set_exclude = entry;
      reading->exclude = &reading->set_exclude;
      return true;
    }
    return read_sweep(reading, &entry, e);
  }
  if (is_swept(&reading->sweep, set->key))
    return sweep_set(&reading->sweep, set->key, set->value, &reading->base, &origin, e);
  if (config_set(&reading->base, set->key, set->value, &origin, e)) return true;
  if (strchr(set->value, ','))
    error_suffix(e, "to sweep it: --set sweep.%s=%s", set->key, set->value);
  return false;
}

static bool apply_overrides(Reading *reading, Error *e) {
  for (int i = 0; i < reading->set_count; i++)
    if (!apply_override(reading, &reading->sets[i], e)) return false;
  return true;
}

/* The place of the value that a validation message is most likely about: the last one read whose
 * key the message names. */
static char *blame(const Reading *reading, const char *message, const char *file) {
  const IniEntry *found = NULL;
  for (int f = 0; f < 2; f++) {
    for (int i = 0; i < reading->files[f].count; i++) {
      const IniEntry *entry = &reading->files[f].entries[i];
      bool sweeps = is_sweep_section(entry->section, reading->plan->scale);
      char *key =
          sweeps ? string_copy(entry->key) : string_format("%s.%s", entry->section, entry->key);
      if (config_mentions(message, key)) found = entry;
      free(key);
    }
  }
  for (int i = 0; i < reading->set_count; i++) {
    const char *key = reading->sets[i].key;
    if (config_mentions(message, strncmp(key, "sweep.", 6) ? key : key + 6))
      return string_copy("--set");
  }
  return found ? origin_text(found) : string_copy(file);
}

/* The hashes of the trials so far, in open addressing: a configuration hash is as good as random,
 * so its first digits are the place where the search begins. */
typedef struct HashSet {
  const char **slots; /* NULL: free; the hashes are the trials' own */
  size_t mask;        /* slots - 1; the slots are a power of two, at least twice the hashes */
} HashSet;

static HashSet hash_set(int most) {
  size_t size = 2;
  while (size < 2 * (size_t)most) size *= 2;
  return (HashSet){need(calloc(size, sizeof(char *))), size - 1};
}

/* Keeps the pointer; false when an equal hash is there already. */
static bool hash_set_add(HashSet *set, const char *hash) {
  char digits[17];
  snprintf(digits, sizeof digits, "%.16s", hash);
  size_t at = (size_t)strtoull(digits, NULL, 16) & set->mask;
  for (; set->slots[at]; at = (at + 1) & set->mask)
    if (!strcmp(set->slots[at], hash)) return false;
  set->slots[at] = hash;
  return true;
}

static void trial_free(PlanTrial *trial) {
  for (int i = 0; i < trial->swept_count; i++) {
    free(trial->swept[i].key);
    free(trial->swept[i].value);
  }
  free(trial->swept);
  *trial = (PlanTrial){0};
}

static bool make_trial(PlanTrial *trial, const Reading *reading, const int *choice,
                       const char *file, Error *e) {
  const Sweep *sweep = &reading->sweep;
  *trial = (PlanTrial){.config = reading->base, .swept_count = sweep->count};
  trial->swept = need(calloc((size_t)sweep->count + 1, sizeof *trial->swept));
  bool ok = true;
  for (int i = 0; ok && i < sweep->count; i++) {
    const SweepKey *key = &sweep->keys[i];
    const char *value = key->values.items[choice[i]];
    trial->swept[i] = (PlanSetting){string_copy(key->key), string_copy(value)};
    ok = config_set(&trial->config, key->key, value, &key->origin, e);
  }
  if (ok && !config_validate(&trial->config, e)) {
    char *at = blame(reading, e->message, file);
    char *values = plan_describe(trial);
    error_prefix(e, "%s: trial %s", at, values);
    free(at);
    free(values);
    ok = false;
  }
  config_hash(&trial->config, trial->hash);
  return ok;
}

static bool expand(Plan *plan, const Reading *reading, const char *file, Error *e) {
  int combinations = sweep_combinations(&reading->sweep);
  if (combinations < 0)
    return error_set(e, EXIT_CONFIG, "%s: [sweep] makes more than %d trials", file,
                     SWEEP_TRIALS_MAX);
  plan->trials = need(calloc((size_t)combinations, sizeof *plan->trials));
  int *choice = need(calloc((size_t)reading->sweep.count + 1, sizeof *choice));
  HashSet hashes = hash_set(combinations);
  bool ok = true;
  for (int i = 0; ok && i < combinations; i++) {
    if (!sweep_choose(&reading->sweep, i, choice)) {
      plan->excluded++;
      continue;
    }
    PlanTrial *trial = &plan->trials[plan->count];
    ok = make_trial(trial, reading, choice, file, e);
    bool keep = ok && hash_set_add(&hashes, trial->hash);
    if (ok && !keep) plan->duplicates++;
    if (keep) plan->count++;
    if (!keep) trial_free(trial);
  }
  free(choice);
  free(hashes.slots);
  if (ok && plan->count == 0)
    ok = error_set(e, EXIT_CONFIG, "%s: [sweep] is empty: exclude leaves out all %d combinations",
                   file, combinations);
  return ok;
}

/* How many steps a trial has may only be known once its images have been counted (rungs.h). */
static bool check_prune(const Plan *plan, Error *e) {
  bool ok = true;
  for (int i = 0; ok && plan->prune.rule != PRUNE_NONE && i < plan->count; i++) {
    const PlanTrial *trial = &plan->trials[i];
    char *values = plan_describe(trial);
    ok = prune_accepts(&plan->prune, &trial->config, trial->config.train.steps, values, e);
    free(values);
  }
  return ok;
}

static void write_line(FILE *out, const char *key, const char *value) {
  fprintf(out, "%s = ", key);
  ini_write_quoted(out, value);
  fputc('\n', out);
}

static void write_text(Plan *plan, const Reading *reading) {
  size_t size;
  FILE *out = need(open_memstream(&plan->text, &size));
  fputs("[experiment]\n", out);
  write_line(out, "name", plan->name);
  if (*plan->question) write_line(out, "question", plan->question);
  if (*plan->expected) write_line(out, "expected", plan->expected);
  if (*plan->source) write_line(out, "source", plan->source);
  if (*plan->x) write_line(out, "x", plan->x);
  fputc('\n', out);
  config_dump(&reading->base, out, false);
  if (reading->sweep.count) fputs("\n[sweep]\n", out);
  for (int i = 0; i < reading->sweep.count; i++) {
    const SweepKey *key = &reading->sweep.keys[i];
    fprintf(out, "%s = ", key->key);
    for (int j = 0; j < key->values.count; j++)
      fprintf(out, "%s%s", j ? ", " : "", key->values.items[j]);
    fputc('\n', out);
  }
  if (reading->zip) write_line(out, "zip", reading->zip->value);
  if (reading->exclude) write_line(out, "exclude", reading->exclude->value);
  paper_write(out, &reading->paper);
  prune_write(out, &reading->prune, &plan->prune);
  fclose(out);
}

/* "experiments/ablations/mask_ratio.ini" -> "mask_ratio". */
static char *stem(const char *path) {
  const char *slash = strrchr(path, '/');
  const char *name = slash ? slash + 1 : path;
  size_t length = strlen(name);
  if (length > 4 && !strcmp(name + length - 4, ".ini")) length -= 4;
  return need(strndup(name, length));
}

static bool read_all(Reading *reading, const char *file, const char *scale_file, Error *e) {
  Plan *plan = reading->plan;
  if (scale_file && !ini_read(&reading->files[0], scale_file, e)) return false;
  if (!ini_read(&reading->files[1], file, e)) return false;
  if (reading->files[1].count == 0)
    return error_set(e, EXIT_CONFIG,
                     "%s: no setting in it: an experiment has a [sweep], an [experiment] or a "
                     "section of the trainer's options, such as [train]",
                     file);
  if (!name_is_safe(plan->name))
    return error_set(e, EXIT_CONFIG,
                     "%s: the file's name names a folder: only letters, digits, '.', '_' and '-'",
                     file);
  for (int f = 0; f < 2; f++)
    for (int i = 0; i < reading->files[f].count; i++)
      if (!is_text(&reading->files[f].entries[i], e)) return false;
  for (int sweeps = 0; sweeps <= 1; sweeps++)
    for (int f = 0; f < 2; f++)
      if (!read_entries(reading, &reading->files[f], sweeps, e)) return false;
  if (!apply_overrides(reading, e)) return false;
  if (reading->zip) {
    ConfigOrigin at = {reading->zip->file, reading->zip->line, reading->zip->column};
    if (!sweep_zip(&reading->sweep, reading->zip->value, &at, e)) return false;
  }
  if (reading->exclude) {
    ConfigOrigin at = {reading->exclude->file, reading->exclude->line, reading->exclude->column};
    if (!sweep_exclude(&reading->sweep, reading->exclude->value, &reading->base, &at, e))
      return false;
  }
  return paper_read(&plan->paper, &reading->paper, &reading->base, plan->x, e) &&
         prune_read(&plan->prune, &reading->prune, &reading->base, e) &&
         expand(plan, reading, file, e) && check_prune(plan, e);
}

bool plan_load(Plan *plan, const char *file, const char *scale_file, const PlanOverride *sets,
               int count, Error *e) {
  *plan = (Plan){.name = stem(file),
                 .question = string_copy(""),
                 .expected = string_copy(""),
                 .source = string_copy(""),
                 .x = string_copy(""),
                 .scale = scale_file ? stem(scale_file) : string_copy("")};
  Reading *reading = need(calloc(1, sizeof *reading));
  reading->plan = plan;
  reading->sets = sets;
  reading->set_count = count;
  config_init(&reading->base);
  bool ok = read_all(reading, file, scale_file, e);
  if (ok) write_text(plan, reading);
  if (ok) note_scale_names(reading);
  if (ok) note_idle_path(plan);
  sweep_free(&reading->sweep);
  ini_free(&reading->files[0]);
  ini_free(&reading->files[1]);
  free(reading);
  if (!ok) plan_free(plan);
  return ok;
}

void plan_free(Plan *plan) {
  for (int i = 0; i < plan->count; i++) trial_free(&plan->trials[i]);
  free(plan->trials);
  free(plan->name);
  free(plan->question);
  free(plan->expected);
  free(plan->source);
  free(plan->x);
  free(plan->scale);
  free(plan->text);
  free(plan->note);
  paper_free(&plan->paper);
  prune_free(&plan->prune);
  *plan = (Plan){0};
}

char *plan_describe(const PlanTrial *trial) {
  char *text = NULL;
  size_t size;
  FILE *out = need(open_memstream(&text, &size));
  for (int i = 0; i < trial->swept_count; i++)
    fprintf(out, "%s%s=%s", i ? " " : "", trial->swept[i].key, trial->swept[i].value);
  if (!trial->swept_count) fputs("(no sweep)", out);
  fclose(out);
  return need(text);
}

typedef struct Named {
  char *name; /* the swept values without the seed */
  int trial;
} Named;

static int by_name(const void *a, const void *b) {
  const Named *x = a, *y = b;
  int order = strcmp(x->name, y->name);
  return order ? order : (x->trial > y->trial) - (x->trial < y->trial);
}

static char *setting_name(const PlanTrial *trial) {
  char *text = NULL;
  size_t size;
  FILE *out = need(open_memstream(&text, &size));
  for (int i = 0; i < trial->swept_count; i++)
    if (strcmp(trial->swept[i].key, "run.seed") != 0)
      fprintf(out, "%s%s=%s", ftell(out) ? " " : "", trial->swept[i].key, trial->swept[i].value);
  fclose(out);
  return need(text);
}

int plan_settings(const Plan *plan, int *setting) {
  int count = plan->count, settings = 0;
  Named *names = need(calloc((size_t)count + 1, sizeof *names));
  int *first = need(calloc((size_t)count + 1, sizeof *first)); /* the first trial of its setting */
  for (int i = 0; i < count; i++) names[i] = (Named){setting_name(&plan->trials[i]), i};
  qsort(names, (size_t)count, sizeof *names, by_name);
  for (int i = 0; i < count; i++) {
    bool same = i > 0 && !strcmp(names[i].name, names[i - 1].name);
    first[names[i].trial] = same ? first[names[i - 1].trial] : names[i].trial;
  }
  for (int i = 0; i < count; i++) setting[i] = first[i] == i ? settings++ : setting[first[i]];
  for (int i = 0; i < count; i++) free(names[i].name);
  free(names);
  free(first);
  return settings;
}
