/* script.c - writes the job scripts. */
#include "harness/slurm/script.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

double slurm_script_margin(double seconds) {
  return fmax(1, fmin(60, floor(seconds / 10)));
}

/* A word as the shell and sbatch's own reader of #SBATCH lines take it; the caller frees. */
static char *quoted(const char *word) {
  static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                              "_-+=:,./%@[]";
  char *text = NULL;
  size_t size;
  if (*word && strspn(word, plain) == strlen(word)) return string_copy(word);
  FILE *out = need(open_memstream(&text, &size));
  putc('\'', out);
  for (const char *c = word; *c; c++)
    if (*c == '\'')
      fputs("'\\''", out);
    else
      putc(*c, out);
  putc('\'', out);
  fclose(out);
  return need(text);
}

static void put_words(FILE *out, const StringList *words) {
  for (int i = 0; i < words->count; i++) {
    char *word = quoted(words->items[i]);
    fprintf(out, "%s%s", i ? " " : "", word);
    free(word);
  }
}

/* ---- Options ---- */

/* In names of files sbatch replaces what a % begins. */
static char *log_option(const char *folder, const char *name) {
  char *text = NULL;
  size_t size;
  FILE *out = need(open_memstream(&text, &size));
  fputs("--output=", out);
  for (const char *c = folder; *c; c++) fprintf(out, "%s%c", *c == '%' ? "%" : "", *c);
  fprintf(out, "/%s", name);
  fclose(out);
  return need(text);
}

/* What the user may say otherwise. */
static void add_defaults(StringList *list, const SlurmScript *script, const SlurmOptions *options) {
  if (!options->named) strings_add(list, string_format("--job-name=%s", script->name));
  if (!options->logged) strings_add(list, log_option(script->folder, "part-%a.log"));
  strings_add(list, string_copy("--open-mode=append"));
}

/* What the script depends on. */
static void add_fixed(StringList *list, const SlurmScript *script, const SlurmOptions *options) {
  strings_add(list, string_format("--array=%s", script->array));
  strings_add(list, string_copy("--requeue"));
  if (isinf(script->seconds)) return;
  if (!options->seconds)
    strings_add(list, string_format("--time=%.0f", ceil(script->seconds / 60)));
  strings_add(list, string_format("--signal=B:USR1@%.0f", slurm_script_margin(script->seconds)));
}

static void add_copies(StringList *list, const StringList *words) {
  for (int i = 0; i < words->count; i++) strings_add(list, string_copy(words->items[i]));
}

void slurm_script_options(StringList *list, const SlurmScript *script,
                          const SlurmOptions *options) {
  add_defaults(list, script, options);
  add_copies(list, &options->all);
  add_fixed(list, script, options);
}

void slurm_import_options(StringList *list, const SlurmScript *script,
                          const SlurmOptions *options) {
  strings_add(list, string_format("--job-name=%s-import", script->name));
  strings_add(list, log_option(script->folder, "import.log"));
  strings_add(list, string_copy("--open-mode=append"));
  add_copies(list, &options->import);
}

static void put_lines(FILE *out, const StringList *options) {
  for (int i = 0; i < options->count; i++) {
    /* A value that stands by itself stays beside its option. */
    char *word = quoted(options->items[i]);
    fprintf(out, "%s%s", options->items[i][0] == '-' ? i ? "\n#SBATCH " : "#SBATCH " : " ", word);
    free(word);
  }
  putc('\n', out);
}

/* ---- The array ---- */

static const char beginning[] =
    "\n"
    "part=$SLURM_ARRAY_TASK_ID\n"
    "# Not $SLURM_JOB_ID: one task has the number of the whole array.\n"
    "me=${SLURM_ARRAY_JOB_ID}_$part\n"
    "notes=$folder/part-$part.state\n"
    "db=${TMPDIR:-/tmp}/maebench-$me.db # a database of its own; `harness import` joins them\n"
    "\n"
    "# `harness status` reads these lines.\n"
    "note() { echo \"$(date -u +%FT%TZ) $me $*\" >>\"$notes\"; }\n"
    "\n"
    "note running \"$(hostname)\"\n"
    ": >\"$folder/part-$part.begun\"\n";

static const char ending[] = "harness=$!\n"
                             "# Slurm sends USR1 shortly before its time limit, and TERM for "
                             "scancel or when another job takes\n"
                             "# the place. With either the trials write a checkpoint; only after "
                             "USR1 the part is queued again\n"
                             "# here, so that scancel ends it.\n"
                             "over=no\n"
                             "trap 'over=yes; kill -TERM $harness' USR1\n"
                             "trap 'kill -TERM $harness' TERM\n"
                             "wait $harness # a signal ends the waiting early\n"
                             "while kill -0 $harness 2>/dev/null; do wait $harness; done\n"
                             "wait $harness\n"
                             "code=$?\n"
                             "rm -f \"$db\" \"$db\".lock \"$db\"-*\n"
                             "trap '' USR1 TERM\n"
                             "\n"
                             "if [ $code = 75 ] || [ $over$code = yes143 ]; then # the time "
                             "is over, the part is not done\n"
                             "  word=requeued\n";

static const char requeue[] =
    "  # Three sessions in a row without a checkpoint: the next would be no better.\n"
    "  if [ \"$word\" != requeued ] && [ \"$(tail -n 4 \"$notes\" | grep -c ' requeued idle$')\" = "
    "2 ]; then\n"
    "    echo \"in three sessions no trial came to a checkpoint; give a longer --time\" >&2\n"
    "    note ended 75\n"
    "    exit 75\n"
    "  fi\n"
    "  note \"$word\"\n"
    "  scontrol requeue \"$me\" && exit 75 # Slurm ends this script meanwhile\n"
    "  echo \"it could not be queued again; the same harness run --slurm goes on\" >&2\n"
    "  note stopped\n"
    "  exit 75\n"
    "fi\n"
    "if [ $code -gt 128 ]; then note stopped; else note ended $code; fi\n"
    "exit $code\n";

static void put_place(FILE *out, const SlurmScript *script) {
  char *here = quoted(script->here), *folder = quoted(script->folder);
  fprintf(out, "\ncd %s || exit 4\nfolder=%s\n", here, folder);
  free(here);
  free(folder);
}

/* An option a line. */
static void put_harness(FILE *out, const SlurmScript *script) {
  char *program = quoted(script->harness);
  fputs(program, out);
  free(program);
  for (int i = 0; i < script->command.count; i++) {
    char *word = quoted(script->command.items[i]);
    fprintf(out, "%s%s", *word == '-' ? " \\\n  " : " ", word);
    free(word);
  }
  fprintf(out, " \\\n  --part \"$part/%d\" --db \"$db\"", script->parts);
  if (isfinite(script->time_limit)) fprintf(out, " \\\n  --time-limit %.0fs", script->time_limit);
  fputs(" &\n", out);
}

static void put_check(FILE *out, const SlurmScript *script) {
  fputs("  [ \"$(find ", out);
  put_words(out, &script->sweeps);
  fputs(" -name checkpoints -newer \"$folder/part-$part.begun\" \\\n"
        "    2>/dev/null | head -n 1)\" ] || word=\"requeued idle\"\n",
        out);
}

char *slurm_script_text(const SlurmScript *script, const SlurmOptions *options) {
  char *text = NULL;
  size_t size;
  StringList list = {0};
  FILE *out = need(open_memstream(&text, &size));
  fprintf(out,
          "#!/bin/bash\n"
          "# Written by `harness run --slurm` for %s. A task of this array runs one of %d\n"
          "# part%s of the sweep, and queues itself again when its time is over until the part is "
          "done.\n",
          script->name, script->parts, script->parts == 1 ? "" : "s");
  slurm_script_options(&list, script, options);
  put_lines(out, &list);
  put_place(out, script);
  fputs(beginning, out);
  put_harness(out, script);
  fputs(ending, out);
  put_check(out, script);
  fputs(requeue, out);
  strings_free(&list);
  fclose(out);
  return need(text);
}

/* ---- The import ---- */

char *slurm_import_text(const SlurmScript *script, const SlurmOptions *options) {
  char *text = NULL;
  size_t size;
  StringList list = {0};
  char *program = quoted(script->harness), *results = quoted(script->out), *db = quoted(script->db);
  FILE *out = need(open_memstream(&text, &size));
  fprintf(out,
          "#!/bin/bash\n"
          "# Written by `harness run --slurm` for %s: puts what the parts did into one database,\n"
          "# when none of them is left in the queue, whatever came of it.\n",
          script->name);
  slurm_import_options(&list, script, options);
  put_lines(out, &list);
  put_place(out, script);
  fprintf(out,
          "note() { echo \"$(date -u +%%FT%%TZ) $SLURM_JOB_ID $*\" >>\"$folder/import.state\"; }\n"
          "\n"
          "note running \"$(hostname)\"\n"
          "%s import --out %s --db %s\n"
          "code=$?\n"
          "note ended $code\n"
          "exit $code\n",
          program, results, db);
  strings_free(&list);
  free(program);
  free(results);
  free(db);
  fclose(out);
  return need(text);
}

void slurm_script_free(SlurmScript *script) {
  strings_free(&script->command);
  strings_free(&script->sweeps);
  free(script->array);
  *script = (SlurmScript){0};
}
