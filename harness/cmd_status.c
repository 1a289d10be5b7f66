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
  const Option options[] = {
      {"--db", OPTION_TEXT, &db, "PATH", "database (" DEFAULT_DB ")"},
      {"--json", OPTION_FLAG, &json, NULL, "print JSON"},
  };
  Arguments arguments = {.command = "status",
                         .usage = "[EXPERIMENT]",
                         .about = about,
                         .options = options,
                         .option_count = 2,
                         .words_max = 1};
  int code;
  Error e = {0};
  Store *store = NULL;
  if (arguments_read(&arguments, argc, argv, &code)) {
    char *sql = NULL;
    bool ok = store_open_readonly(&store, db, &e);
    if (ok)
      sql = arguments.words.count ? trials_sql(store, arguments.words.items[0], &e)
                                  : string_copy(experiments_sql);
    ok = sql && store_print(store, stdout, sql, json, &e);
    free(sql);
    store_close(store);
    code = ok ? EXIT_OK : command_fail("status", &e);
  }
  arguments_free(&arguments);
  return code;
}
