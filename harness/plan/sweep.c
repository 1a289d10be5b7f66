/* sweep.c - lists of values, checked as they are read, and the combinations of them. */
#include "harness/plan/sweep.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "mae/base/suggest.h"

enum { VALUE_MAX = CONFIG_PATH_MAX + 64 };

static bool error_at(Error *e, const ConfigOrigin *at, const char *key, const char *problem) {
  if (at->line > 0)
    return error_set(e, EXIT_CONFIG, "%s:%d:%d: [sweep] %s: %s", at->file, at->line, at->column,
                     key, problem);
  return error_set(e, EXIT_CONFIG, "%s: [sweep] %s: %s", at->file, key, problem);
}

static SweepKey *find_key(const Sweep *sweep, const char *key) {
  for (int i = 0; i < sweep->count; i++)
    if (!strcmp(sweep->keys[i].key, key)) return &sweep->keys[i];
  return NULL;
}

/* Checks one value by setting it, and appends the text config_get gives back. */
static bool add_value(StringList *values, const char *key, const char *text, const Config *base,
                      const ConfigOrigin *at, Error *e) {
  Config scratch = *base;
  char canonical[VALUE_MAX];
  if (!config_set(&scratch, key, text, at, e)) return false;
  if (!config_get(&scratch, key, canonical, sizeof canonical))
    return error_at(e, at, key, "no such option");
  strings_add(values, string_copy(canonical));
  return true;
}

static const char range_form[] = "a range is written FIRST..LAST, such as 1..3";

/* "1..4" as four seeds; *is_range stays false when the text is no range. */
static bool add_seed_range(StringList *values, const char *text, bool *is_range,
                           const ConfigOrigin *at, Error *e) {
  const char *dots = strstr(text, "..");
  *is_range = dots != NULL;
  if (!dots) return true;
  char *end_first, *end_last;
  errno = 0;
  unsigned long long first = strtoull(text, &end_first, 10);
  unsigned long long last = strtoull(dots + 2, &end_last, 10);
  if (errno || end_first != dots || end_last == dots + 2 || *end_last || text[0] == '-' ||
      dots[2] == '-')
    return error_at(e, at, "seeds", range_form);
  if (last < first) return error_at(e, at, "seeds", "the range's end is before its start");
  if (last - first >= SWEEP_TRIALS_MAX) return error_at(e, at, "seeds", "too many seeds");
  for (unsigned long long seed = first; seed <= last; seed++)
    strings_add(values, string_format("%llu", seed));
  return true;
}

static bool parse_list(StringList *values, const char *key, const char *list, bool seeds,
                       const Config *base, const ConfigOrigin *at, Error *e) {
  StringList items = {0};
  strings_split(&items, list, ",");
  bool ok = true;
  if (items.count == 1 && !*items.items[0])
    ok = error_at(e, at, key, "the list is empty: nothing to sweep");
  for (int i = 0; ok && i < items.count; i++) {
    bool is_range = false;
    if (!*items.items[i]) {
      ok = error_at(e, at, key, "an empty value between commas");
    } else if (seeds) {
      ok = add_seed_range(values, items.items[i], &is_range, at, e);
    }
    if (ok && !is_range) {
      ok = add_value(values, key, items.items[i], base, at, e);
      if (!ok && seeds) error_suffix(e, "%s", range_form);
    }
  }
  strings_free(&items);
  return ok;
}

/* "seed" is no option, and its likeliest meaning is none either. */
static bool is_slip(const char *key, const ConfigOrigin *at, Error *e) {
  static const char *const words[] = {"seeds", "zip", "exclude"};
  for (int i = 0; i < 3; i++) {
    if (!strcmp(key, words[i]) || edit_distance(key, words[i]) > 1) continue;
    char *problem = string_format("no such key; did you mean %s?", words[i]);
    error_at(e, at, key, problem);
    free(problem);
    return true;
  }
  return false;
}

bool sweep_set(Sweep *sweep, const char *key, const char *list, const Config *base,
               const ConfigOrigin *at, Error *e) {
  bool seeds = !strcmp(key, "seeds");
  StringList values = {0};
  if (is_slip(key, at, e)) return false;
  if (!parse_list(&values, seeds ? "run.seed" : key, list, seeds, base, at, e)) {
    strings_free(&values);
    return false;
  }
  if (seeds) key = "run.seed";
  SweepKey *known = find_key(sweep, key);
  if (known) {
    strings_free(&known->values);
    known->values = values;
    known->origin = *at;
    return true;
  }
  sweep->keys = need(realloc(sweep->keys, (size_t)(sweep->count + 1) * sizeof *sweep->keys));
  if (seeds) /* slowest: before all others */
    memmove(sweep->keys + 1, sweep->keys, (size_t)sweep->count * sizeof *sweep->keys);
  sweep->keys[seeds ? 0 : sweep->count] =
      (SweepKey){.key = string_copy(key), .values = values, .origin = *at};
  sweep->count++;
  for (int i = 0; i < sweep->count; i++) sweep->keys[i].group = i;
  return true;
}

static bool zip_group(Sweep *sweep, const StringList *keys, const ConfigOrigin *at, Error *e) {
  SweepKey *first = NULL;
  if (keys->count < 2)
    return error_at(e, at, "zip", "needs two keys or more, with blanks between them");
  for (int i = 0; i < keys->count; i++) {
    SweepKey *key = find_key(sweep, keys->items[i]);
    if (!key) {
      char *problem = string_format("%s has no list in this section", keys->items[i]);
      error_at(e, at, "zip", problem);
      free(problem);
      return false;
    }
    if (key->group != (int)(key - sweep->keys) || (first && key == first))
      return error_at(e, at, "zip", "names a key twice");
    if (key->values.count == 1 && key->origin.line == 0) continue;
    if (first && key->values.count != first->values.count) {
      char *problem =
          string_format("%s has %d values and %s has %d; keys that vary together need as many",
                        first->key, first->values.count, key->key, key->values.count);
      error_at(e, at, "zip", problem);
      free(problem);
      return false;
    }
    if (first) key->group = first->group;
    if (!first) first = key;
  }
  return true;
}

bool sweep_zip(Sweep *sweep, const char *groups, const ConfigOrigin *at, Error *e) {
  StringList list = {0};
  strings_split(&list, groups, ",;");
  bool ok = true;
  for (int i = 0; ok && i < list.count; i++) {
    StringList words = {0}, keys = {0};
    strings_split(&words, list.items[i], " \t");
    for (int j = 0; j < words.count; j++)
      if (*words.items[j]) strings_add(&keys, string_copy(words.items[j]));
    ok = zip_group(sweep, &keys, at, e);
    strings_free(&words);
    strings_free(&keys);
  }
  strings_free(&list);
  return ok;
}

static bool exclude_pair(const Sweep *sweep, SweepClause *clause, const char *pair,
                         const Config *base, const ConfigOrigin *at, Error *e) {
  const char *equals = strchr(pair, '=');
  if (!equals) return error_at(e, at, "exclude", "is written key=value key=value, ...");
  char *name = need(strndup(pair, (size_t)(equals - pair)));
  const SweepKey *key = find_key(sweep, strcmp(name, "seeds") ? name : "run.seed");
  bool ok = true;
  char *problem = NULL;
  if (!key) {
    problem = string_format("%s has no list in this section", name);
  } else if ((ok = add_value(&clause->values, key->key, equals + 1, base, at, e))) {
    strings_add(&clause->keys, string_copy(key->key));
    const char *value = clause->values.items[clause->values.count - 1];
    /* A list that --set has replaced need not hold the value any more. */
    if (key->origin.line > 0 && strings_find(&key->values, value) < 0)
      problem = string_format("%s is not in the list of %s", value, key->key);
  }
  if (problem) ok = error_at(e, at, "exclude", problem);
  free(problem);
  free(name);
  return ok;
}

bool sweep_exclude(Sweep *sweep, const char *clauses, const Config *base, const ConfigOrigin *at,
                   Error *e) {
  StringList list = {0};
  strings_split(&list, clauses, ",;");
  bool ok = true;
  for (int i = 0; ok && i < list.count; i++) {
    SweepClause clause = {0};
    StringList pairs = {0};
    strings_split(&pairs, list.items[i], " \t");
    for (int j = 0; ok && j < pairs.count; j++)
      if (*pairs.items[j]) ok = exclude_pair(sweep, &clause, pairs.items[j], base, at, e);
    if (ok && clause.keys.count == 0)
      ok = error_at(e, at, "exclude", "an empty combination between commas");
    strings_free(&pairs);
    size_t size = (size_t)(sweep->excluded_count + 1) * sizeof clause;
    sweep->excluded = need(realloc(sweep->excluded, size));
    sweep->excluded[sweep->excluded_count++] = clause;
  }
  strings_free(&list);
  return ok;
}

int sweep_combinations(const Sweep *sweep) {
  long total = 1;
  for (int i = 0; i < sweep->count; i++) {
    if (sweep->keys[i].group != i) continue;
    total *= sweep->keys[i].values.count;
    if (total > SWEEP_TRIALS_MAX) return -1;
  }
  return (int)total;
}

static bool clause_holds(const Sweep *sweep, const SweepClause *clause, const int *choice) {
  for (int i = 0; i < clause->keys.count; i++) {
    const SweepKey *key = find_key(sweep, clause->keys.items[i]);
    const char *value = key->values.items[choice[key - sweep->keys]];
    if (strcmp(value, clause->values.items[i])) return false;
  }
  return true;
}

bool sweep_choose(const Sweep *sweep, int index, int *choice) {
  for (int i = sweep->count - 1; i >= 0; i--) {
    if (sweep->keys[i].group != i) continue;
    choice[i] = index % sweep->keys[i].values.count;
    index /= sweep->keys[i].values.count;
  }
  for (int i = 0; i < sweep->count; i++)
    if (sweep->keys[i].group != i) choice[i] = choice[sweep->keys[i].group];
  for (int i = 0; i < sweep->excluded_count; i++)
    if (clause_holds(sweep, &sweep->excluded[i], choice)) return false;
  return true;
}

void sweep_free(Sweep *sweep) {
  for (int i = 0; i < sweep->count; i++) {
    free(sweep->keys[i].key);
    strings_free(&sweep->keys[i].values);
  }
  for (int i = 0; i < sweep->excluded_count; i++) {
    strings_free(&sweep->excluded[i].keys);
    strings_free(&sweep->excluded[i].values);
  }
  free(sweep->keys);
  free(sweep->excluded);
  *sweep = (Sweep){0};
}
