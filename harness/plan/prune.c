/* prune.c - the [prune] section out of an INI file, and what its rule decides. */
#include "harness/plan/prune.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "mae/evaluate/metrics.h"

enum { RULE, METRIC, STEPS, ETA, KEEP };
static const char *const key_names[PRUNE_KEYS] = {"rule", "metric", "steps", "eta", "keep"};
static const char *const rule_names[] = {
    [PRUNE_NONE] = "none", [PRUNE_HALVING] = "halving", [PRUNE_MEDIAN] = "median"};

const char *prune_rule_name(PruneRule rule) {
  return rule_names[rule];
}

bool prune_is_section(const char *section, const char *scale) {
  return !strcmp(section, "prune") ||
         (!strncmp(section, "prune.", 6) && !strcmp(section + 6, scale));
}

/* "FILE:LINE:COLUMN: [prune] steps". */
static char *place_of(const IniEntry *entry) {
  if (entry->line <= 0)
    return string_format("%s: [%s] %s", entry->file, entry->section, entry->key);
  return string_format("%s:%d:%d: [%s] %s", entry->file, entry->line, entry->column, entry->section,
                       entry->key);
}

__attribute__((format(printf, 3, 4))) static bool refuse(Error *e, const IniEntry *entry,
                                                         const char *format, ...) {
  char problem[512], *at = place_of(entry);
  va_list args;
  va_start(args, format);
  vsnprintf(problem, sizeof problem, format, args);
  va_end(args);
  error_set(e, EXIT_CONFIG, "%s: %s", at, problem);
  free(at);
  return false;
}

bool prune_take(PruneEntries *entries, const IniEntry *entry, Error *e) {
  for (int k = 0; k < PRUNE_KEYS; k++) {
    if (strcmp(key_names[k], entry->key)) continue;
    entries->key[k] = *entry;
    return true;
  }
  return refuse(e, entry, "unknown key; there are rule, metric, steps, eta and keep");
}

/* Reading --------------------------------------------------------------------------------------*/

static bool read_rule(Prune *prune, const IniEntry *entry, Error *e) {
  for (PruneRule rule = PRUNE_NONE; rule <= PRUNE_MEDIAN; rule++) {
    if (strcmp(entry->value, rule_names[rule])) continue;
    prune->rule = rule;
    return true;
  }
  return refuse(e, entry, "\"%.60s\": there are halving, median and none", entry->value);
}

/* What metrics begin as this one does, or the headline ones: a wrong name is most often a part of a
 * right one. */
static bool refuse_metric(const IniEntry *entry, Error *e) {
  size_t size, length = strcspn(entry->value, "_");
  char *names = NULL;
  FILE *out = need(open_memstream(&names, &size));
  for (int near = 1; near >= 0 && (fflush(out), !size); near--)
    for (int i = 0; i < metric_count; i++)
      if (near ? length && !strncmp(metric_list[i].name, entry->value, length)
               : metric_list[i].headline)
        fprintf(out, "%s, ", metric_list[i].name);
  fclose(out);
  refuse(e, entry, "unknown metric %.60s; there are %.300s" PRUNE_TRAIN_LOSS, entry->value, names);
  free(names);
  return false;
}

static bool read_metric(Prune *prune, const IniEntry *entry, Error *e) {
  const Metric *metric = metric_find(entry->value);
  bool loss = !strcmp(entry->value, PRUNE_TRAIN_LOSS);
  if (!metric && !loss) return refuse_metric(entry, e);
  prune->metric = string_copy(entry->value);
  prune->better = loss ? -1 : metric->better;
  prune->metric_at = place_of(entry);
  return true;
}

/* A whole number of at least `least`. */
static bool read_whole(int64_t *value, const char *text, int64_t least) {
  char *end;
  errno = 0;
  long long number = strtoll(text, &end, 10);
  *value = number;
  return end != text && !*end && errno == 0 && number >= least;
}

static bool read_steps(Prune *prune, const IniEntry *entry, Error *e) {
  StringList words = {0};
  strings_split(&words, entry->value, ",");
  bool ok =
      words.count <= PRUNE_STEPS_MAX || refuse(e, entry, "more than %d steps", PRUNE_STEPS_MAX);
  for (int i = 0; ok && i < words.count; i++) {
    int64_t *step = &prune->steps[i];
    if (!read_whole(step, words.items[i], 1))
      ok = refuse(e, entry, "\"%.60s\" is no step: whole numbers from 1 on", words.items[i]);
    else if (i > 0 && *step <= prune->steps[i - 1])
      ok = refuse(e, entry, "%lld comes after %lld: steps must increase", (long long)*step,
                  (long long)prune->steps[i - 1]);
  }
  prune->count = words.count;
  prune->steps_at = place_of(entry);
  strings_free(&words);
  return ok;
}

static bool read_eta(Prune *prune, const IniEntry *entry, Error *e) {
  prune->eta = 2;
  if (!entry->value) return true;
  if (prune->rule != PRUNE_HALVING) return refuse(e, entry, "only rule = halving has one");
  return read_whole(&prune->eta, entry->value, 2) ||
         refuse(e, entry, "\"%.60s\": a whole number from 2 on", entry->value);
}

/* "section.key=value" in canonical words. */
static bool read_pair(PruneClause *clause, char *pair, const Config *base, const IniEntry *entry,
                      Error *e) {
  char canonical[CONFIG_PATH_MAX + 64], *value = strchr(pair, '=');
  const ConfigOrigin nowhere = {NULL, 0, 0};
  Config scratch = *base;
  Error problem = {0};
  if (!value || value == pair || !value[1])
    return refuse(e, entry, "\"%.60s\": is written key=value key=value, ...", pair);
  *value++ = '\0';
  const char *key = strcmp(pair, "seeds") ? pair : "run.seed";
  if (!config_set(&scratch, key, value, &nowhere, &problem))
    return refuse(e, entry, "%s", problem.message);
  config_get(&scratch, key, canonical, sizeof canonical);
  strings_add(&clause->keys, string_copy(key));
  strings_add(&clause->values, string_copy(canonical));
  return true;
}

static bool read_clause(Prune *prune, const char *text, const Config *base, const IniEntry *entry,
                        Error *e) {
  size_t size = (size_t)(prune->kept_count + 1) * sizeof *prune->kept;
  prune->kept = need(realloc(prune->kept, size));
  PruneClause *clause = &prune->kept[prune->kept_count++];
  *clause = (PruneClause){0};
  StringList pairs = {0};
  strings_split(&pairs, text, " \t");
  bool ok = true;
  for (int i = 0; ok && i < pairs.count; i++)
    if (*pairs.items[i]) ok = read_pair(clause, pairs.items[i], base, entry, e);
  strings_free(&pairs);
  return ok && (clause->keys.count > 0 || refuse(e, entry, "an empty setting between commas"));
}

static bool read_keep(Prune *prune, const IniEntry *entry, const Config *base, Error *e) {
  StringList clauses = {0};
  if (entry->value) strings_split(&clauses, entry->value, ",;");
  bool ok = true;
  for (int i = 0; ok && i < clauses.count; i++)
    ok = read_clause(prune, clauses.items[i], base, entry, e);
  strings_free(&clauses);
  return ok;
}

bool prune_read(Prune *prune, const PruneEntries *entries, const Config *base, Error *e) {
  const IniEntry *key = entries->key, *section = NULL;
  *prune = (Prune){0};
  for (int k = PRUNE_KEYS - 1; k >= 0; k--)
    if (key[k].value) section = &key[k];
  if (!section) return true;
  if (!key[RULE].value)
    return refuse(e, section, "there is no rule: give rule = halving, median or none");
  if (!read_rule(prune, &key[RULE], e)) return false;
  if (prune->rule == PRUNE_NONE) return true;
  for (int k = METRIC; k <= STEPS; k++)
    if (!key[k].value) return refuse(e, &key[RULE], "needs %s = ... beside it", key_names[k]);
  return read_metric(prune, &key[METRIC], e) && read_steps(prune, &key[STEPS], e) &&
         read_eta(prune, &key[ETA], e) && read_keep(prune, &key[KEEP], base, e);
}

void prune_write(FILE *out, const PruneEntries *entries, const Prune *prune) {
  if (prune->rule == PRUNE_NONE) return;
  fputs("\n[prune]\n", out);
  for (int k = 0; k < PRUNE_KEYS; k++) {
    if (!entries->key[k].value) continue;
    fprintf(out, "%s = ", key_names[k]);
    ini_write_quoted(out, entries->key[k].value);
    fputc('\n', out);
  }
}

void prune_free(Prune *prune) {
  for (int i = 0; i < prune->kept_count; i++) {
    strings_free(&prune->kept[i].keys);
    strings_free(&prune->kept[i].values);
  }
  free(prune->kept);
  free(prune->metric);
  free(prune->steps_at);
  free(prune->metric_at);
  *prune = (Prune){0};
}

/* Checking -------------------------------------------------------------------------------------*/

/* Why a trial never has the metric; NULL: it has. */
static const char *lacks(const Metric *metric, const Config *config) {
  bool knn = !strncmp(metric->name, "knn_", 4);
  ProbeMethod method = config->probe.method;
  ProbeFeatures features = config->probe.features;
  if (metric->needs & OFFERS_PROBE) {
    if (method == PROBE_OFF || (knn ? method == PROBE_LINEAR : method == PROBE_KNN))
      return "probe.method does not ask for it";
    if ((features == PROBE_CLS && strstr(metric->name, "_mean")) ||
        (features == PROBE_MEAN && strstr(metric->name, "_cls")))
      return "probe.features does not ask for it";
    return NULL;
  }
  if (config->train.norm_pix && metric->needs & (OFFERS_HIDDEN | OFFERS_FULL))
    return "train.norm_pix models have psnr_leaky and ssim_leaky instead";
  if (!config->train.norm_pix && metric->needs & OFFERS_LEAKY)
    return "only train.norm_pix models have it";
  return NULL;
}

bool prune_accepts(const Prune *prune, const Config *config, int64_t steps, const char *trial,
                   Error *e) {
  const Metric *metric = metric_find(prune->metric);
  const char *why = metric ? lacks(metric, config) : NULL;
  if (why)
    return error_set(e, EXIT_CONFIG, "%s: trial %s has no %s: %s", prune->metric_at, trial,
                     prune->metric, why);
  bool probe = metric && metric->needs & OFFERS_PROBE;
  const char *key = probe ? "probe.every" : "eval.every";
  int64_t every = !metric ? 1 : probe ? config->probe.every : config->eval.every;
  for (int i = 0; i < prune->count; i++) {
    long long step = (long long)prune->steps[i];
    if (every <= 0)
      return error_set(e, EXIT_CONFIG,
                       "%s: trial %s does not record %s before its end: set %s = %lld",
                       prune->steps_at, trial, prune->metric, key, (long long)prune->steps[0]);
    if (step % every != 0)
      return error_set(e, EXIT_CONFIG,
                       "%s: trial %s does not record %s at step %lld: it must be a multiple of %s "
                       "= %lld",
                       prune->steps_at, trial, prune->metric, step, key, (long long)every);
    if (steps > 0 && step >= steps)
      return error_set(e, EXIT_CONFIG,
                       "%s: step %lld does not come before the end of trial %s, which has %lld "
                       "steps",
                       prune->steps_at, step, trial, (long long)steps);
  }
  return true;
}

/* Deciding -------------------------------------------------------------------------------------*/

/* Higher is better, and what is no number is the worst. */
static double merit(const Prune *prune, double value) {
  return isfinite(value) ? value * prune->better : -INFINITY;
}

static int go_on(const Prune *prune, int count) {
  return (int)((count + prune->eta - 1) / prune->eta);
}

int prune_least(const Prune *prune, int count) {
  if (prune->rule == PRUNE_HALVING) return go_on(prune, count);
  return count > 1 ? count / 2 : count;
}

int prune_most(const Prune *prune, int count) {
  return prune->rule == PRUNE_HALVING ? go_on(prune, count) : count;
}

/* Of all but one. */
static double median_of_others(const double *sorted, int count, int place) {
  int others = count - 1, middle = others / 2;
  double low = sorted[(others - 1) / 2 + ((others - 1) / 2 >= place)];
  double high = sorted[middle + (middle >= place)];
  return low == high ? low : low + (high - low) / 2;
}

static const Prune *sort_by;
static int by_merit(const void *a, const void *b) {
  const PruneSetting *x = *(PruneSetting *const *)a, *y = *(PruneSetting *const *)b;
  double m = merit(sort_by, x->value), n = merit(sort_by, y->value);
  if (m != n) return m > n ? -1 : 1;
  return (x > y) - (x < y);
}

void prune_decide(const Prune *prune, PruneSetting *settings, int count) {
  PruneSetting **order = need(calloc((size_t)count + 1, sizeof *order));
  double *sorted = need(calloc((size_t)count + 1, sizeof *sorted));
  for (int i = 0; i < count; i++) order[i] = &settings[i];
  sort_by = prune;
  qsort(order, (size_t)count, sizeof *order, by_merit);
  for (int i = 0; i < count; i++) sorted[i] = merit(prune, order[i]->value);
  for (int i = 0; i < count; i++) {
    PruneSetting *setting = order[i];
    setting->place = i + 1;
    setting->limit = NAN;
    setting->stops = prune->rule == PRUNE_HALVING && i >= go_on(prune, count);
    if (prune->rule != PRUNE_MEDIAN || count < 2) continue;
    double limit = median_of_others(sorted, count, i);
    setting->limit = limit * prune->better;
    bool lost = isinf(sorted[i]) && !isinf(sorted[0]); /* as low as a median of such */
    setting->stops = sorted[i] < limit || lost;
  }
  free(order);
  free(sorted);
}
