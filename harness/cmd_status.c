/* harness status: how far every experiment is. */
#include <stdlib.h>

#include "harness/cmd.h"
#include "harness/options.h"
#include "harness/store.h"

static const char about[] =
    "One line per experiment: its trials by status, the range of scores, the time spent. With an\n"
    "EXPERIMENT (as it stands in the first column, or its name without the scale: then those of\n"
    "every scale), one line per trial.";

static const char experiments_sql[] =
    "SELECT experiment, count(*) AS trials, sum(status = 'done') AS done, "
    "sum(status = 'running') AS running, sum(status = 'interrupted') AS interrupted, "
    "sum(status = 'failed') AS failed, sum(status = 'pending') AS pending, "
    "round(min(psnr_masked), 2) AS psnr_masked_min, round(max(psnr_masked), 2) AS psnr_masked_max, "
    "round(sum(wall_seconds) / 60, 1) AS minutes FROM trials WHERE planned GROUP BY experiment "
    "ORDER BY experiment";

/* Headline metrics, the leaky ones where there are any. */
static const char shown[] = "headline AND (needs <> 'leaky' OR name IN (SELECT metric FROM scores "
                            "WHERE value IS NOT NULL))";

/* The newest training step, and the minutes that a running trial needs for the rest at the mean
 * pace of its last 50 steps (evaluations are not in it). */
static const char progress_columns[] =
    "(SELECT max(step) FROM step WHERE step.trial = trials.trial) AS step, steps, "
    "CASE status WHEN 'running' THEN round((steps - (SELECT max(step) FROM step WHERE step.trial = "
    "trials.trial)) / 60.0 * (SELECT avg(seconds) FROM step WHERE step.trial = trials.trial AND "
    "step.step > (SELECT max(step) - 50 FROM step WHERE step.trial = trials.trial)), 1) END AS "
    "minutes_left";

/* A line per trial. */
static char *trials_sql(Store *store, const char *name, Error *e) {
  StringList found = {0};
  char *metrics = NULL, *list = NULL, *sql = NULL;
  if (store_find_experiments(store, name, &found, e) &&
      store_columns(store, &metrics, shown, true, e)) {
    size_t size;
    FILE *out = need(open_memstream(&list, &size));
    for (int i = 0; i < found.count; i++) {
      fputs(i ? ", '" : "'", out);
      for (const char *c = found.items[i]; *c; c++) fprintf(out, "%s%c", *c == '\'' ? "'" : "", *c);
      fputc('\'', out);
    }
    fclose(out);
    sql = string_format("SELECT %strial, status, %s, swept, %sround(images_per_second) AS "
                        "images_per_second, attempts, error FROM trials WHERE experiment IN (%s) "
                        "ORDER BY experiment, trial",
                        found.count > 1 ? "experiment, " : "", progress_columns, metrics, list);
  }
  strings_free(&found);
  free(metrics);
  free(list);
  return sql;
}

int cmd_status(int argc, char **argv) {
  const char *db = DEFAULT_DB;
  bool json = false;
  const CmdOption options[] = {
      {"--db", CMD_TEXT, &db, "PATH", "database (" DEFAULT_DB ")"},
      {"--json", CMD_FLAG, &json, NULL, "print JSON"},
  };
  CommandLine line = {.name = "harness status",
                      .usage = "[EXPERIMENT]",
                      .about = about,
                      .options = options,
                      .option_count = sizeof options / sizeof *options,
                      .words_max = 1};
  int code;
  Error e = {0};
  Store *store = NULL;
  if (command_line_read(&line, argc, argv, &code)) {
    char *sql = NULL;
    bool ok = store_open_readonly(&store, db, &e);
    bool cut = false;
    ok = ok && store_import_cut(store, &cut, &e);
    if (cut)
      fprintf(stderr,
              "note: an import into %s is under way or was cut short: not all trials are in "
              "it; `harness import` completes it\n",
              db);
    if (ok)
      sql = line.word_count ? trials_sql(store, line.words[0], &e) : string_copy(experiments_sql);
    ok = sql && store_print(store, stdout, sql, json, &e);
    free(sql);
    store_close(store);
    code = ok ? EXIT_OK : command_fail(line.name, &e);
  }
  return code;
}
