/* tables.c - what a page says in tables: trials, settings, provenance, failures, commands. */
#include <stdlib.h>
#include <string.h>

#include "harness/page/html.h"
#include "harness/page/internal.h"

/* Any query ------------------------------------------------------------------------------------*/

static bool is_number(const char *text) {
  char *end;
  strtod(text, &end);
  return end > text && !*end;
}

/* Six significant digits are enough for reading; `harness export` has them all. */
static void cell(Page *page, const Rows *rows, int column, bool head) {
  CellType type = rows_type(rows, column);
  char number[40];
  const char *text = rows_text(rows, column);
  if (type == CELL_REAL) {
    snprintf(number, sizeof number, "%.6g", rows_real(rows, column));
    text = number;
  }
  if (type == CELL_NULL || (type == CELL_TEXT && (!*text || !strcmp(text, "-")))) {
    fputs("<td>–</td>", page->out);
    return;
  }
  if (head)
    html_put(page->out, "<th scope=\"row\">%s</th>", text);
  else if (type != CELL_TEXT || is_number(text))
    html_put(page->out, "<td class=\"n\">%s</td>", text);
  else /* a long text gets room, so that it does not stretch its row */
    html_put(page->out, strlen(text) > 30 ? "<td class=\"t\">%s</td>" : "<td>%s</td>", text);
}

bool page_table(Page *page, const char *sql, const char *figure, PageTable table, int *count,
                Error *e) {
  Rows *rows = rows_open(page->store, sql, PAGE_BINDINGS(page, figure));
  int n = 0;
  for (; rows_next(rows); n++) {
    if (n == 0) {
      /* A wide table moves in a window of its own, which a keyboard can reach. */
      html_put(page->out,
               "<div class=\"wide\" role=\"region\" aria-label=\"%s\" tabindex=\"0\">\n<table",
               table.caption ? table.caption : "table");
      if (table.sortable) fputs(" class=\"sortable\"", page->out);
      fputs(">", page->out);
      if (table.caption && !table.named_above)
        html_put(page->out, "<caption>%s</caption>", table.caption);
      fputs("\n<thead><tr>", page->out);
      for (int c = 0; c < rows_columns(rows); c++)
        html_put(page->out, "<th scope=\"col\">%s</th>", rows_name(rows, c));
      fputs("</tr></thead>\n<tbody>\n", page->out);
    }
    fputs("<tr>", page->out);
    for (int c = 0; c < rows_columns(rows); c++) cell(page, rows, c, c == 0 && table.headed);
    fputs("</tr>\n", page->out);
  }
  if (n) fputs("</tbody></table></div>\n", page->out);
  if (count) *count = n;
  return rows_close(rows, e);
}

/* Trials ---------------------------------------------------------------------------------------*/

/* "(SELECT value ... key) AS "key", " of the settings that differ between the trials. */
static char *differing_columns(Page *page, Error *e) {
  static const char sql[] =
      "SELECT key FROM settings WHERE experiment = @experiment GROUP BY key "
      "HAVING count(DISTINCT value) > 1 OR max(swept) = 1 ORDER BY key = 'run.seed', key";
  char *columns = NULL;
  size_t size;
  FILE *out = need(open_memstream(&columns, &size));
  Rows *rows = rows_open(page->store, sql, PAGE_BINDINGS(page, ""));
  while (rows_next(rows)) {
    char *value = sql_quoted(rows_text(rows, 0), '\''), *name = sql_quoted(rows_text(rows, 0), '"');
    fprintf(out,
            "(SELECT value FROM settings WHERE settings.trial = trials.trial AND key = %s) AS %s, ",
            value, name);
    free(value);
    free(name);
  }
  fclose(out);
  if (rows_close(rows, e)) return columns;
  free(columns);
  return NULL;
}

bool page_trials(Page *page, Error *e) {
  static const char shown[] = "(headline OR name IN ('joules_per_image', 'energy_kwh')) AND name "
                              "IN (SELECT metric FROM scores WHERE experiment = %s AND value IS "
                              "NOT NULL)";
  char *quoted = sql_quoted(page->experiment, '\''), *which = string_format(shown, quoted);
  char *settings = differing_columns(page, e), *metrics = NULL;
  bool ok = settings && store_columns(page->store, &metrics, which, true, e);
  if (ok) {
    char *sql = string_format(
        "SELECT trial, status || iif(planned, '', ', no longer planned') AS status, %s%s"
        "round(images_per_second) AS \"images/s\", round(peak_memory_mb) AS \"memory (MiB)\", "
        "round(wall_seconds / 60, 1) AS minutes, speed_note AS \"speed in doubt\", energy_note "
        "AS \"energy in doubt\" "
        "FROM trials WHERE experiment = @experiment ORDER BY planned DESC, trial",
        settings, metrics);
    fputs("<h3>Every trial</h3>\n", page->out);
    ok = page_table(
        page, sql, "",
        (PageTable){
            .caption = "Every trial", .sortable = true, .headed = true, .named_above = true},
        NULL, e);
    free(sql);
  }
  free(quoted);
  free(which);
  free(settings);
  free(metrics);
  return ok;
}

/* A table that is opened by who wants it. */
static bool folded(Page *page, const char *summary, const char *sql, Error *e) {
  html_put(page->out, "<details><summary>%s</summary>\n", summary);
  bool ok = page_table(
      page, sql, "", (PageTable){.caption = summary, .headed = true, .named_above = true}, NULL, e);
  fputs("</details>\n", page->out);
  return ok;
}

bool page_settings(Page *page, Error *e) {
  static const char common[] =
      "SELECT key AS setting, min(value) AS value FROM settings WHERE experiment = @experiment "
      "GROUP BY key HAVING count(DISTINCT value) = 1 AND max(swept) = 0 ORDER BY key";
  fputs(
      "<h3>Configuration</h3>\n<p>What differs between trials is in the table of every trial; all "
      "else is the same in all of them.</p>\n",
      page->out);
  return folded(page, "Settings that all trials share", common, e);
}

/* Provenance -----------------------------------------------------------------------------------*/

#define OF_EXPERIMENT                                                                              \
  "FROM attempt JOIN trial USING (trial) JOIN sweep USING (sweep) JOIN environment USING "         \
  "(environment) WHERE sweep.experiment = @experiment "
#define SAYS(member) "CASE WHEN json_valid(json) THEN json_extract(json, '$." member "') END"

/* Everything that each kind of machine and build said about itself, a table of each. */
static bool environments(Page *page, Error *e) {
  static const char sql[] =
      "SELECT DISTINCT environment, coalesce(nullif(gpu, ''), cpu, '') " OF_EXPERIMENT
      "ORDER BY environment";
  Rows *rows = rows_open(page->store, sql, PAGE_BINDINGS(page, ""));
  bool ok = true;
  for (int n = 1; ok && rows_next(rows); n++) {
    char *id = sql_quoted(rows_text(rows, 0), '\'');
    char *about =
        string_format("All that was recorded of machine and build %d (%s)", n, rows_text(rows, 1));
    char *all = string_format("SELECT substr(fullkey, 3) AS \"what\", atom AS value FROM "
                              "environment, json_tree(environment.json) WHERE environment = %s AND "
                              "json_valid(environment.json) AND atom IS NOT NULL AND atom <> ''",
                              id);
    ok = folded(page, about, all, e);
    free(all);
    free(about);
    free(id);
  }
  return rows_close(rows, ok ? e : NULL) && ok;
}

bool page_provenance(Page *page, Error *e) {
  static const char builds[] =
      "SELECT group_concat(DISTINCT trial) AS trials, substr(git_commit, 1, 12) AS \"commit\", "
      "iif(" SAYS("git_dirty") ", 'yes, diff SHA-256 ' || substr(" SAYS(
          "git_diff_sha256") ", 1, 12), "
                             "'no') AS \"uncommitted changes\", substr(binary_sha256, 1, 12) AS "
                             "\"program SHA-256\", "
                             "compiler, coalesce(nullif(gpu, ''), cpu) AS processor, hostname AS "
                             "machine "
                             "FROM (SELECT * " OF_EXPERIMENT
                             "ORDER BY trial) GROUP BY environment, binary_sha256 "
                             "ORDER BY min(trial)";
  static const char data[] =
      "SELECT dataset.source AS images, dataset AS \"SHA-256\", train_images AS \"for training\", "
      "eval_images AS \"held out\", skipped AS \"left out as unreadable\", "
      "count(DISTINCT trial) AS trials FROM attempt JOIN trial USING (trial) JOIN sweep USING "
      "(sweep) JOIN dataset USING (dataset) WHERE sweep.experiment = @experiment GROUP BY dataset "
      "ORDER BY min(trial)";
  static const char verified[] =
      "SELECT trial, asked AS \"asked for\", class AS proved, outcome, steps, detail FROM "
      "verification JOIN trial USING (trial) JOIN sweep USING (sweep) WHERE experiment = "
      "@experiment ORDER BY trial, time";
  int count = 0;
  fputs("<h3>Where the numbers come from</h3>\n", page->out);
  if (!page_table(page, builds, "", (PageTable){.caption = "Builds and machines"}, &count, e))
    return false;
  if (!count) fputs("<p>Nothing has run yet.</p>\n", page->out);
  return page_table(page, data, "", (PageTable){.caption = "Images"}, NULL, e) &&
         page_table(page, verified, "",
                    (PageTable){.caption = "Trained again and compared", .headed = true}, NULL,
                    e) &&
         environments(page, e);
}

/* Failures and warnings ------------------------------------------------------------------------*/

bool page_failures(Page *page, Error *e) {
  static const char sql[] =
      "SELECT trials, what, text FROM ("
      "SELECT trial AS first, trial AS trials, status AS what, substr(error, 1, 2000) AS text, "
      "0 AS nth FROM trials WHERE experiment = @experiment AND planned AND status <> 'done' "
      "AND error <> '' "
      "UNION ALL SELECT min(trial), group_concat(trial, ', '), status, '', 0 FROM trials "
      "WHERE experiment = @experiment AND planned AND status <> 'done' AND coalesce(error, '') = "
      "'' "
      "GROUP BY status "
      "UNION ALL SELECT trial, trial, 'a score is not a number', nonfinite, 1 FROM trials "
      "WHERE experiment = @experiment AND nonfinite IS NOT NULL "
      "UNION ALL SELECT min(trial), group_concat(DISTINCT trial), "
      "level || iif(count(*) > 1, ', ' || count(*) || ' times', ''), "
      "substr(text, 1, 2000), 2 FROM message JOIN trial USING (trial) JOIN sweep USING (sweep) "
      "WHERE experiment = @experiment GROUP BY level, text "
      "UNION ALL SELECT trial, trial, 'does not come out again', detail, 3 FROM verification JOIN "
      "trial USING (trial) JOIN sweep USING (sweep) WHERE experiment = @experiment AND outcome = "
      "'mismatch') ORDER BY first, nth, what, text";
  int count = 0;
  fputs("<h3>Failures and warnings</h3>\n", page->out);
  bool ok = page_table(
      page, sql, "",
      (PageTable){.caption = "Failures and warnings", .headed = true, .named_above = true}, &count,
      e);
  if (ok && !count)
    fputs("<p>None: every planned trial is done, and none gave a warning.</p>\n", page->out);
  return ok;
}

/* How to reproduce -----------------------------------------------------------------------------*/

bool page_reproduce(Page *page, Error *e) {
  static const char sql[] =
      "SELECT name, scale, ini, source, (SELECT min(trial) FROM trials WHERE trials.experiment = "
      "sweep.experiment AND planned AND status = 'done'), (SELECT git_commit " OF_EXPERIMENT
      "ORDER BY trial LIMIT 1), EXISTS (SELECT 1 FROM trials WHERE trials.experiment = "
      "sweep.experiment AND data_source <> 'shapes') FROM sweep WHERE experiment = @experiment";
  Rows *rows = rows_open(page->store, sql, PAGE_BINDINGS(page, ""));
  if (rows_next(rows)) {
    const char *name = rows_text(rows, 0), *scale = rows_text(rows, 1);
    fputs("<h3>How to reproduce this</h3>\n<pre class=\"wide\" tabindex=\"0\">", page->out);
    if (*rows_text(rows, 5))
      html_put(page->out, "git checkout %s\nmake build\n", rows_text(rows, 5));
    html_put(page->out, "harness run %s.ini --scale %s%s\n", name, *scale ? scale : "none",
             rows_int(rows, 6) ? " --set data.path=FOLDER_OF_THE_IMAGES" : "");
    if (rows_type(rows, 4) != CELL_NULL)
      html_put(page->out,
               "harness verify %s      # trains that trial again and compares every number\n",
               rows_text(rows, 4));
    fputs("harness report   # makes this page again\n</pre>\n", page->out);
    html_put(page->out,
             "<p>The numbers of a trial come out again on the same build and kind of processor, "
             "times and speeds aside.%s%s</p>\n<details><summary>%s.ini as it was run</summary>\n"
             "<pre class=\"wide\" tabindex=\"0\">%s</pre></details>\n",
             *rows_text(rows, 3) ? " Where the question comes from: " : "", rows_text(rows, 3),
             name, rows_text(rows, 2));
  }
  return rows_close(rows, e);
}
