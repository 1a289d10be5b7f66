/* harness status: how far every experiment is. */
#include <stdlib.h>

#include "harness/cmd.h"
#include "harness/options.h"
#include "harness/store.h"

static const char about[] =
    "One line per experiment: its trials by status, the range of scores, the time spent. With an\n"
    "EXPERIMENT (as it stands in the first column), one line per trial.";

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

/* A line per trial. */
static char *trials_sql(Store *store, const char *experiment, Error *e) {
  char *quoted = string_copy(""), *longer, *metrics;
  if (!store_columns(store, &metrics, shown, true, e)) return NULL;
  for (const char *c = experiment; *c; c++) {
    longer = string_format("%s%s%c", quoted, *c == '\'' ? "'" : "", *c);
    free(quoted);
    quoted = longer;
  }
  char *sql = string_format(
      "SELECT trial, status, swept, %sround(images_per_second) AS images_per_second, attempts, "
      "error FROM trials WHERE experiment = '%s' ORDER BY trial",
      metrics, quoted);
  free(quoted);
  free(metrics);
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
    if (ok)
      sql = line.word_count ? trials_sql(store, line.words[0], &e) : string_copy(experiments_sql);
    ok = sql && store_print(store, stdout, sql, json, &e);
    free(sql);
    store_close(store);
    code = ok ? EXIT_OK : command_fail(line.name, &e);
  }
  return code;
}
