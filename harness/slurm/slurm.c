/* slurm.c - runs Slurm's programs and reads what they print. */
#include "harness/slurm/slurm.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness/base/capture.h"
#include "harness/slurm/options.h"

/* Runs one of them, called `name` in messages; what it prints is the caller's to free. */
static bool ask(char **out, const char *name, const char *const *argv, Error *e) {
  Captured captured;
  bool ok = capture(&captured, argv, e);
  if (!ok)
    error_suffix(e, "is Slurm installed, and on the PATH?");
  else if (captured.code)
    ok = error_set(e, EXIT_DATA, "%s ended with exit code %d: %s", name, captured.code,
                   *captured.error ? captured.error : "it did not say why");
  *out = ok ? string_copy(captured.out) : NULL;
  captured_free(&captured);
  return ok;
}

bool slurm_there(Error *e) {
  static const char *const argv[] = {"sbatch", "--version", NULL};
  char *out;
  bool ok = ask(&out, "sbatch", argv, e);
  free(out);
  return ok;
}

/* ---- Limits ---- */

/* The value of NAME= in a line of words; "" when it has none; the caller frees. */
static char *value_of(const char *line, const char *name) {
  size_t length = strlen(name);
  for (const char *word = line; *word; word += *word != 0) {
    size_t size = strcspn(word, " \n");
    if (size > length && !strncmp(word, name, length) && word[length] == '=')
      return need(strndup(word + length + 1, size - length - 1));
    word += size;
  }
  return string_copy("");
}

/* DefaultTime, or MaxTime where it is NONE. */
static bool read_partition(SlurmLimit *limit, const char *line, const char *name, Error *e) {
  char *usual = value_of(line, "DefaultTime"), *most = value_of(line, "MaxTime");
  bool none = !*usual || !strcmp(usual, "NONE");
  bool ok = slurm_time_parse(none ? most : usual, &limit->seconds) &&
            slurm_time_parse(most, &limit->most);
  if (!ok)
    error_set(
        e, EXIT_DATA,
        "partition %s: Slurm's DefaultTime=%.40s MaxTime=%.40s is no time that is known here; "
        "give --time behind --slurm",
        name, usual, most);
  else if (isinf(limit->seconds))
    snprintf(limit->what, sizeof limit->what, "partition %.100s has no time limit", name);
  else if (none)
    snprintf(limit->what, sizeof limit->what,
             "MaxTime %.40s of partition %.100s; --time=... asks for less", most, name);
  else
    snprintf(limit->what, sizeof limit->what,
             "DefaultTime %.40s of partition %.100s; --time=... asks for another, MaxTime is %.40s",
             usual, name, most);
  free(usual);
  free(most);
  return ok;
}

/* Whether it is one of those wanted, separated by commas; the default one where none is. */
static bool is_wanted(const char *line, const char *name, const char *partition) {
  StringList names = {0};
  if (!partition) {
    char *is_default = value_of(line, "Default");
    bool wanted = !strcmp(is_default, "YES");
    free(is_default);
    return wanted;
  }
  strings_split(&names, partition, ",");
  bool wanted = strings_find(&names, name) >= 0;
  strings_free(&names);
  return wanted;
}

bool slurm_limit_read(SlurmLimit *limit, const char *text, const char *partition, Error *e) {
  StringList lines = {0};
  bool ok = true, found = false;
  strings_split(&lines, text, "\n");
  for (int i = 0; ok && i < lines.count; i++) {
    SlurmLimit one;
    char *name = value_of(lines.items[i], "PartitionName");
    if (*name && is_wanted(lines.items[i], name, partition)) {
      ok = read_partition(&one, lines.items[i], name, e);
      if (ok && (!found || one.seconds < limit->seconds)) *limit = one;
      found = true;
    }
    free(name);
  }
  strings_free(&lines);
  if (ok && !found)
    ok = partition ? error_set(e, EXIT_DATA, "Slurm knows no partition %.100s; `sinfo` lists them",
                               partition)
                   : error_set(e, EXIT_DATA,
                               "Slurm has no default partition; give --partition behind "
                               "--slurm (`sinfo` lists them)");
  return ok;
}

bool slurm_limit(SlurmLimit *limit, const char *partition, Error *e) {
  static const char *const argv[] = {"scontrol", "--oneliner", "show", "partition", NULL};
  char *text;
  if (!ask(&text, "scontrol", argv, e)) return false;
  bool ok = slurm_limit_read(limit, text, partition, e);
  free(text);
  return ok;
}

/* ---- Jobs ---- */

bool slurm_submit(char id[SLURM_ID_MAX], const StringList *options, const char *script, Error *e) {
  const char **argv = need(calloc((size_t)options->count + 4, sizeof *argv));
  int count = 0;
  char *out;
  argv[count++] = "sbatch";
  argv[count++] = "--parsable";
  for (int i = 0; i < options->count; i++) argv[count++] = options->items[i];
  argv[count] = script;
  bool ok = ask(&out, "sbatch", argv, e);
  free(argv);
  if (!ok) return false;
  /* "17" or "17;cluster". */
  size_t digits = strspn(out, "0123456789");
  ok = digits > 0 && digits < SLURM_ID_MAX;
  if (ok)
    snprintf(id, SLURM_ID_MAX, "%.*s", (int)digits, out);
  else
    error_set(e, EXIT_DATA, "sbatch printed no job's number: %.200s", out);
  free(out);
  return ok;
}

bool slurm_queue(StringList *jobs, const StringList *ids, Error *e) {
  char *list = string_copy("--jobs="), *text;
  for (int i = 0; i < ids->count; i++) {
    char *longer = string_format("%s%s%s", list, i ? "," : "", ids->items[i]);
    free(list);
    list = longer;
  }
  /* Without an answer squeue tries again for minutes. */
  const char *const argv[] = {"timeout",           "10", "squeue", "--noheader", "--array",
                              "--format=%i %T %r", list, NULL};
  Error problem = {0};
  bool ok = ask(&text, "squeue", argv, &problem);
  free(list);
  /* So it calls a single one that has left the queue. */
  if (!ok && strstr(problem.message, "Invalid job id")) return true;
  if (!ok) return error_set(e, EXIT_DATA, "%s", problem.message);
  StringList lines = {0};
  strings_split(&lines, text, "\n");
  for (int i = 0; i < lines.count; i++)
    if (*lines.items[i]) strings_add(jobs, string_copy(lines.items[i]));
  strings_free(&lines);
  free(text);
  return true;
}
