/* page.c - the page as a whole: its head, and a section for each experiment that begins with the
 * question and what the numbers say to it. */
#include "harness/page/page.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "harness/page/html.h"
#include "harness/page/internal.h"
#include "page_files.h"
#include "page_sql.h"

/* Around the sections --------------------------------------------------------------------------*/

/* 'sha256-...' of a style or script: the only ones that a browser applies, whatever else might have
 * got into the page. */
static void write_source(FILE *out, const char *text) {
  unsigned char hash[EVP_MAX_MD_SIZE];
  unsigned length = 0;
  need(EVP_Digest(text, strlen(text), hash, &length, EVP_sha256(), NULL) ? hash : NULL);
  fputs("'sha256-", out);
  html_base64(out, hash, length);
  fputs("'", out);
}

static void write_head(Page *page, const StringList *experiments) {
  FILE *out = page->out;
  fputs("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; img-src data:; "
        "style-src ",
        out);
  write_source(out, page_css);
  fputs("; script-src ", out);
  write_source(out, page_js);
  fputs("\">\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
        "<meta name=\"color-scheme\" content=\"light dark\">\n",
        out);
  html_put(out, "<title>Results: %s%s</title>\n", experiments->items[0],
           experiments->count > 1 ? " and others" : "");
  fprintf(out, "<style>%s</style>\n</head>\n<body>\n", page_css);
  fputs("<a class=\"skip\" href=\"#results\">to the results</a>\n<header>\n<h1>Results of "
        "maebench</h1>\n",
        out);
  if (experiments->count > 1) {
    fputs("<nav aria-label=\"experiments\"><ul>\n", out);
    for (int i = 0; i < experiments->count; i++)
      html_put(out, "<li><a href=\"#e%d\">%s</a></li>\n", i + 1, experiments->items[i]);
    fputs("</ul></nav>\n", out);
  }
  fputs("</header>\n<main id=\"results\">\n", out);
}

static bool write_terms(Page *page, Error *e) {
  static const char sql[] =
      "SELECT name || iif(unit = '', '', ' (' || unit || ')'), meaning || iif(better > 0, "
      "'; higher is better', '; lower is better') FROM metrics WHERE headline OR needs = 'run' "
      "ORDER BY position";
  static const char baselines[] =
      "<dt>fill_mean, fill_harmonic</dt><dd>what the model is compared with: hidden patches "
      "painted "
      "with the mean colour of the visible ones, or interpolated smoothly from them; scored by the "
      "same code on the same images and masks</dd>\n<dt>pixels, random, chance</dt><dd>what a "
      "probe "
      "is compared with: the pixels themselves, the features of the untrained encoder, "
      "guessing</dd>\n<dt>interval</dt><dd>the 95% interval of a mean by Student's t, over "
      "seeds</dd>\n";
  fputs(
      "<section aria-labelledby=\"terms\">\n<h2 id=\"terms\">What the numbers mean</h2>\n<p>Of "
      "held-out "
      "images only, the same ones and the same masks for every trial.</p>\n<dl class=\"terms\">\n",
      page->out);
  Rows *rows = rows_open(page->store, sql, NULL);
  while (rows_next(rows))
    html_put(page->out, "<dt>%s</dt><dd>%s</dd>\n", rows_text(rows, 0), rows_text(rows, 1));
  fprintf(page->out, "%s</dl>\n</section>\n", baselines);
  return rows_close(rows, e);
}

/* An experiment --------------------------------------------------------------------------------*/

/* The lines of a query as a list; "- " before a line is markup of another page. */
static bool write_list(Page *page, const char *sql, int *count, Error *e) {
  Rows *rows = rows_open(page->store, sql, PAGE_BINDINGS(page, "table"));
  for (*count = 0; rows_next(rows); ++*count) {
    const char *text = rows_text(rows, 0);
    if (*count == 0) fputs("<ul>\n", page->out);
    html_put(page->out, "<li>%s</li>\n", strncmp(text, "- ", 2) ? text : text + 2);
  }
  if (*count) fputs("</ul>", page->out);
  return rows_close(rows, e);
}

static bool write_answer(Page *page, const char *expected, Error *e) {
  static const char beside[] =
      "SELECT text || ', beside ' || (SELECT min(source) FROM paper WHERE paper.experiment = "
      "paper_verdicts.experiment) FROM paper_verdicts WHERE experiment = @experiment ORDER BY "
      "series";
  int verdicts = 0, findings = 0;
  fputs("<dl class=\"answer\">\n", page->out);
  if (*expected) html_put(page->out, "<dt>Expected</dt><dd>%s</dd>\n", expected);
  fputs("<dt>Verdict</dt><dd>", page->out);
  if (!write_list(page, beside, &verdicts, e)) return false;
  if (!verdicts)
    fputs("No published order of the settings is recorded to compare with.", page->out);
  fputs("</dd>\n<dt>Found</dt><dd>", page->out);
  if (!write_list(page, verdict_sql, &findings, e)) return false;
  if (!findings) fputs("No trial is done yet, so nothing can be said.", page->out);
  fputs("</dd>\n</dl>\n", page->out);
  return true;
}

/* The mean of each setting, as `make plots` has it. */
static bool write_means(Page *page, Error *e) {
  char *sql = rows_first(page->store, table_sql, PAGE_BINDINGS(page, "table"), e);
  bool ok = sql != NULL;
  if (ok && *sql) {
    fputs("<h3>By setting</h3>\n", page->out);
    ok = page_table(page, sql, "table",
                    (PageTable){.caption = "Means over seeds, with their standard deviation "
                                           "(sd, by n - 1)",
                                .sortable = true,
                                .headed = true},
                    NULL, e);
  }
  free(sql);
  return ok;
}

/* The question; *expected receives the answer that was expected, which the caller frees. */
static bool write_question(Page *page, char **expected, Error *e) {
  static const char sql[] = "SELECT question, expected, done, trials, (SELECT count(*) FROM "
                            "trials WHERE trials.experiment = experiments.experiment AND planned "
                            "AND status = 'pruned') FROM experiments "
                            "WHERE experiment = @experiment";
  Rows *rows = rows_open(page->store, sql, PAGE_BINDINGS(page, ""));
  if (rows_next(rows)) {
    const char *question = rows_text(rows, 0);
    html_put(page->out,
             "<section id=\"e%d\" aria-labelledby=\"e%dq\">\n<h2 id=\"e%dq\">%s</h2>\n"
             "<p class=\"soft\">%s: ",
             page->number, page->number, page->number, *question ? question : page->experiment,
             page->experiment);
    html_put(page->out, "%s of %s planned trials are done", rows_text(rows, 2), rows_text(rows, 3));
    if (rows_int(rows, 4))
      html_put(page->out,
               ", %s %s pruned: paused early by the rule in [prune], and in no mean or figure",
               rows_text(rows, 4), rows_int(rows, 4) == 1 ? "is" : "are");
    fputs(".</p>\n", page->out);
    *expected = string_copy(rows_text(rows, 1));
  }
  return rows_close(rows, e);
}

static bool write_experiment(Page *page, Error *e) {
  char *expected = NULL;
  bool ok = write_question(page, &expected, e) && page_common(page, "table", e) &&
            write_answer(page, expected ? expected : "", e) && page_figures(page, e) &&
            page_common(page, "table", e) && write_means(page, e) && page_trials(page, e) &&
            page_sheets(page, e) && page_settings(page, e) && page_provenance(page, e) &&
            page_failures(page, e) && page_reproduce(page, e);
  fputs("</section>\n", page->out);
  free(expected);
  return ok;
}

/* Each sheet's share of the room for all of them. */
static bool share_room(Page *page, const StringList *experiments, Error *e) {
  static const char sql[] =
      "SELECT count(DISTINCT point || coalesce(dataset, '')) FROM trials JOIN artifacts USING "
      "(trial) "
      "WHERE trials.experiment = @experiment AND planned AND status = 'done' AND kind = 'sheet'";
  long sheets = 0;
  for (int i = 0; i < experiments->count; i++) {
    page->experiment = experiments->items[i];
    char *count = rows_first(page->store, sql, PAGE_BINDINGS(page, ""), e);
    if (!count) return false;
    sheets += strtol(count, NULL, 10);
    free(count);
  }
  page->picture_share = PAGE_PICTURE_BYTES / (size_t)(sheets ? sheets : 1);
  return true;
}

bool page_write(FILE *out, Store *store, const StringList *experiments, Error *e) {
  Page page = {.store = store, .out = out};
  /* One state of the database, whatever a sweep records meanwhile. */
  bool ok = rows_script(store, "PRAGMA temp_store = MEMORY; BEGIN", NULL, e) &&
            share_room(&page, experiments, e);
  if (ok) write_head(&page, experiments);
  for (int i = 0; ok && i < experiments->count; i++) {
    page.experiment = experiments->items[i];
    page.number = i + 1;
    page.panels = 0;
    ok = write_experiment(&page, e);
  }
  ok = ok && write_terms(&page, e);
  fprintf(out,
          "</main>\n<footer><p>Made by <code>harness report</code> from the results database "
          "alone.</p></footer>\n<script>%s</script>\n</body>\n</html>\n",
          page_js);
  return rows_script(store, "COMMIT", NULL, NULL) && ok;
}
