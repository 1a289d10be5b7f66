/* harness show: everything about one trial. */
#include <stdlib.h>

#include "harness/cmd/cmd.h"
#include "harness/cmd/options.h"
#include "harness/store/store.h"

static const char about[] =
    "TRIAL is the number in the first columns of `harness status EXPERIMENT`. Prints its results,\n"
    "the baselines on the same masks, its attempts and what they ran on, its verifications,\n"
    "and its configuration (swept keys first).";

/* SELECT `head`, the metrics for which the condition `metrics` holds (NULL: none), `tail`, the
 * trial's number, `rest`. */
static const struct Part {
  const char *title, *head, *metrics, *tail, *rest;
} parts[] = {
    {"trial",
     "trial, experiment, status, swept, seed, params, gflops_per_image, dataset, processor, folder",
     NULL, "FROM trials", ""},
    {"result", "", "wide AND needs <> 'run'",
     "images_per_second, peak_memory_mb, wall_seconds, joules_per_image, energy_kwh, "
     "energy_source, energy_note, nonfinite, error FROM trials",
     ""},
    {"baselines", "fill, ", "wide AND needs = 'hidden'", "images FROM baselines", ""},
    {"attempts",
     "launch, status, datetime(started, 'unixepoch') AS started, "
     "ended - started AS seconds, resumed_from, last_step, code, signal, "
     "device, substr(binary_sha256, 1, 12) AS binary, substr(state_sha256, 1, 12) AS state, error",
     NULL, "FROM attempts", "ORDER BY started"},
    {"provenance", "DISTINCT git_commit, cpu, gpu, hostname, libraries", NULL, "FROM attempts",
     "AND git_commit IS NOT NULL"},
    {"verifications",
     "datetime(time, 'unixepoch') AS time, asked, class AS proved, "
     "outcome, steps, first_step, first_tensor, detail",
     NULL, "FROM verification", "ORDER BY time"},
    {"configuration", "key, value, iif(swept, 'swept', '') AS swept", NULL, "FROM param",
     "ORDER BY swept = '', key"},
};

static char *part_sql(Store *store, const struct Part *part, int64_t trial, Error *e) {
  char *metrics = NULL;
  if (part->metrics && !store_columns(store, &metrics, part->metrics, false, e)) return NULL;
  char *sql = string_format("SELECT %s%s %s WHERE trial = %lld %s", part->head,
                            metrics ? metrics : "", part->tail, (long long)trial, part->rest);
  free(metrics);
  return sql;
}

static bool show(Store *store, int64_t trial, bool json, Error *e) {
  int count = sizeof parts / sizeof *parts;
  bool ok = true;
  if (json) puts("{");
  for (int i = 0; ok && i < count; i++) {
    char *sql = part_sql(store, &parts[i], trial, e);
    if (!sql) return false;
    if (json)
      printf("\"%s\":\n", parts[i].title);
    else
      printf("%s%s\n", i ? "\n" : "", parts[i].title);
    ok = store_print(store, stdout, sql, json, e);
    if (json && i + 1 < count) puts(",");
    free(sql);
  }
  if (json) puts("}");
  return ok;
}

int cmd_show(int argc, char **argv) {
  const char *db = DEFAULT_DB;
  bool json = false;
  const CmdOption options[] = {
      OPTION_DB(&db),
      OPTION_JSON(&json),
  };
  CommandLine line = {.name = "harness show",
                      .usage = "TRIAL",
                      .about = about,
                      .options = options,
                      .option_count = sizeof options / sizeof *options,
                      .words_min = 1,
                      .words_max = 1};
  int code;
  Error e = {0};
  Store *store = NULL;
  if (!command_line_read(&line, argc, argv, &code)) return code;
  TrialInfo info;
  int64_t trial;
  bool found = false;
  bool ok = parse_trial(line.words[0], &trial, &e) && store_open_readonly(&store, db, &e) &&
            store_get_trial(store, trial, &info, &found, &e);
  if (ok && !found)
    ok = error_set(&e, EXIT_DATA, "%s has no trial %lld; `harness status` lists experiments", db,
                   (long long)trial);
  ok = ok && show(store, trial, json, &e);
  return command_end(&line, store, ok, &e);
}
