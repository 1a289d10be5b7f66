/* figures.c - the figures of an experiment: what plots/NAME.sql gives, as panels of chart.h.
 * The numbers, and which figures fit, are those of `make plots`; only the drawing is the page's. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness/page/chart.h"
#include "harness/page/html.h"
#include "harness/page/internal.h"
#include "page_sql.h"

bool page_common(Page *page, const char *figure, Error *e) {
  static const char drop[] = "DROP TABLE IF EXISTS temp.shown; DROP TABLE IF EXISTS temp.marks;"
                             "DROP TABLE IF EXISTS temp.means; DROP TABLE IF EXISTS temp.gains;"
                             "DROP TABLE IF EXISTS temp.baseline_means;"
                             "DROP TABLE IF EXISTS temp.missing_text;"
                             "DROP TABLE IF EXISTS temp.missing; DROP TABLE IF EXISTS temp.chosen;"
                             "DROP TABLE IF EXISTS temp.everyone;";
  return rows_script(page->store, drop, NULL, e) &&
         rows_script(page->store, common_sql, PAGE_BINDINGS(page, figure), e);
}

/* Words ----------------------------------------------------------------------------------------*/

/* What the panels of a question's figure show. Other axes' words come with the rows. */
static const char *panel_words(const char *name) {
  static const struct {
    const char *name, *words;
  } panels[] = {
      {"probe", "accuracy of the probe (top-1, %)"},
      {"gain", "PSNR of the masked pixels, gain over the harmonic fill (dB)"},
      {"speed", "training speed (images/s)"},
      {"published", "published accuracy, of another model (%)"},
  };
  for (size_t i = 0; i < sizeof panels / sizeof *panels; i++)
    if (!strcmp(name, panels[i].name)) return panels[i].words;
  return name;
}

static const char mask_ratio_words[] = "mask ratio (share of patches hidden)";

/* Panels ---------------------------------------------------------------------------------------*/

enum { PANELS_MAX = 8, LABELS_MAX = 10 };

typedef struct Figure {
  const char *name;
  char *title, *caption; /* of plots/caption.sql: a line, and the lines after it */
  Chart panels[PANELS_MAX];
  char *keys[PANELS_MAX]; /* what tells the panels apart in the rows */
  int count;
} Figure;

static const ChartSeries mean_marks = {.marks = true, .cross = true},
                         mean_line = {.marks = true, .line = true},
                         seed_marks = {.marks = true, .hollow = true},
                         ring_marks = {.marks = true, .ring = true}, bare_line = {.line = true},
                         faint_line = {.line = true, .faint = true};

static Chart *panel(Figure *figure, const char *key, const char *x, const char *y) {
  for (int i = 0; i < figure->count; i++)
    if (!strcmp(figure->keys[i], key)) return &figure->panels[i];
  if (figure->count == PANELS_MAX) return NULL;
  Chart *chart = &figure->panels[figure->count];
  figure->keys[figure->count++] = string_copy(key);
  chart->x.title = string_copy(x);
  chart->y.title = string_copy(y);
  return chart;
}

/* The number of a name among those of a figure, from 0: its colour, the same in every panel. */
static int nth(StringList *names, const char *name) {
  int at = strings_find(names, name);
  if (at < 0) strings_add(names, string_copy(name));
  return at < 0 ? names->count - 1 : at;
}

static ChartSeries looks(ChartSeries base, int colour, bool labelled) {
  base.colour = colour;
  base.labelled = labelled;
  return base;
}

/* Of setting n of so many, as plots/style.gp has it: few settings take colours that lie far apart.
 */
static int colour_of(int n, int count) {
  if (count <= 1) return 1;
  if (count > CHART_COLOURS) return 1 + n % CHART_COLOURS;
  return 1 + (int)((double)n * (CHART_COLOURS - 1) / (count - 1) + 0.5);
}

/* Of one of the lines of figures with the mask ratio along x: a single one is the model itself. */
static int colour_of_series(StringList *names, const char *series) {
  int n = nth(names, series);
  return names->count == 1 ? CHART_MODEL : colour_of(n, names->count);
}

static const char *text_of(const Rows *rows, const char *name) {
  int column = rows_column(rows, name);
  return column < 0 ? "" : rows_text(rows, column);
}

static double real_of(const Rows *rows, const char *name) {
  int column = rows_column(rows, name);
  return column < 0 ? NAN : rows_real(rows, column);
}

static bool is(const Rows *rows, const char *name, const char *text) {
  return !strcmp(text_of(rows, name), text);
}

/* One for each figure: a row of its query into its panels. */
typedef void (*TakeRow)(Figure *, const Rows *, StringList *names);

/* Whether values along x stand by their ratios, as question.gp has it. */
static bool is_wide(const ChartAxis *x) {
  double low = INFINITY, high = 0;
  for (int i = 0; i < x->names.count; i++) {
    low = fmin(low, x->at[i]);
    high = fmax(high, x->at[i]);
  }
  return low > 0 && high >= 10 * low;
}

/* The ticks come last of the rows, so the axis is set when they come. */
static void take_question(Figure *figure, const Rows *rows, StringList *names) {
  const char *name = text_of(rows, "panel"), *series = text_of(rows, "series");
  if (is(rows, "kind", "tick")) {
    for (int i = 0; i < figure->count; i++) {
      ChartAxis *x = &figure->panels[i].x;
      free(x->title);
      x->title = string_copy(series);
      strings_add(&x->names, string_copy(text_of(rows, "label")));
      x->at = need(realloc(x->at, (size_t)x->names.count * sizeof *x->at));
      x->at[x->names.count - 1] = real_of(rows, "x");
      x->log = real_of(rows, "value") == 1 && is_wide(x);
    }
    return;
  }
  bool paper = is(rows, "kind", "paper");
  Chart *chart =
      panel(figure, paper ? "published" : name, "", panel_words(paper ? "published" : name));
  if (!chart) return;
  chart->y.from_zero = !strcmp(name, "speed") || (!strcmp(name, "probe") && !paper);
  ChartPoint point = {real_of(rows, "x"), real_of(rows, "value"), real_of(rows, "low"),
                      real_of(rows, "high")};
  ChartSeries how;
  if (paper) {
    how = looks(mean_line, CHART_PUBLISHED, false);
    series = "published";
  } else if (is(rows, "kind", "baseline")) {
    how = looks(mean_line, CHART_GREY, true);
    how.dash = 1 + nth(names, series) % 4;
  } else {
    bool second = !strcmp(name, "probe") && strncmp(series, "linear", 6) != 0;
    int colour = second ? CHART_SECOND : CHART_MODEL;
    bool seed = is(rows, "kind", "seed");
    how = looks(seed ? seed_marks : mean_line, colour, !seed && !strcmp(name, "probe"));
  }
  chart_point(chart_series(chart, series, how), point);
}

static void take_quality(Figure *figure, const Rows *rows, StringList *names) {
  Chart *chart = panel(figure, text_of(rows, "metric"), mask_ratio_words, text_of(rows, "label"));
  const char *series = text_of(rows, "series");
  if (!chart) return;
  ChartPoint point = {real_of(rows, "mask_ratio"), real_of(rows, "value"), real_of(rows, "bar_low"),
                      real_of(rows, "bar_high")};
  ChartSeries how;
  if (is(rows, "kind", "baseline")) {
    how = looks(mean_line, CHART_GREY, true);
    how.dash = 1 + (is(rows, "fill", "fill_mean") ? 1 : 0);
    series = text_of(rows, "words");
  } else {
    bool seed = is(rows, "kind", "seed");
    how = looks(seed ? seed_marks : mean_line, colour_of_series(names, series), !seed);
  }
  chart_point(chart_series(chart, series, how), point);
}

static void take_throughput(Figure *figure, const Rows *rows, StringList *names) {
  Chart *chart = panel(figure, "speed", mask_ratio_words, panel_words("speed"));
  const char *series = text_of(rows, "series"), *kind = text_of(rows, "kind");
  ChartPoint point = {real_of(rows, "mask_ratio"), real_of(rows, "value"), real_of(rows, "bar_low"),
                      real_of(rows, "bar_high")};
  chart->y.from_zero = true;
  if (!strcmp(kind, "ideal")) {
    ChartSeries how = looks(bare_line, CHART_GREY, true);
    how.dash = 1;
    char *name = string_format("ideal of %s", series);
    chart_point(chart_series(chart, name, how), point);
    free(name);
  } else if (!strcmp(kind, "noted")) {
    chart_point(chart_series(chart, "in doubt", looks(ring_marks, CHART_NOTED, true)), point);
  } else {
    bool seed = !strcmp(kind, "seed");
    ChartSeries how = looks(seed ? seed_marks : mean_line, colour_of_series(names, series), !seed);
    chart_point(chart_series(chart, series, how), point);
  }
}

/* Means come first, by what they cost, so that the front is joined from the cheapest on. */
static void take_pareto(Figure *figure, const Rows *rows, StringList *names) {
  Chart *chart =
      panel(figure, text_of(rows, "metric"), text_of(rows, "axis"), text_of(rows, "label"));
  const char *series = text_of(rows, "setting");
  if (!chart) return;
  bool seed = is(rows, "kind", "seed");
  ChartPoint point = {real_of(rows, "x"), real_of(rows, "value"), real_of(rows, "bar_low"),
                      real_of(rows, "bar_high")};
  int n = nth(names, series);
  ChartSeries how = looks(seed ? seed_marks : mean_marks, colour_of(n, names->count), !seed);
  chart_point(chart_series(chart, series, how), point);
  if (seed || real_of(rows, "front") != 1) return;
  ChartSeries front = looks(bare_line, CHART_GREY, false);
  front.dash = 1;
  point.low = point.high = NAN;
  chart_point(chart_series(chart, "what no other equals for less", front), point);
}

/* Rows of kind row, which name the settings, come last; a place is minus its number from 0. */
static void take_settings(Figure *figure, const Rows *rows, StringList *names) {
  double place = 1 - real_of(rows, "place");
  if (is(rows, "kind", "row")) {
    for (int i = 0; i < figure->count; i++) {
      ChartAxis *y = &figure->panels[i].y;
      const char *why = text_of(rows, "label");
      char *name = string_format("%s%s%s%s", text_of(rows, "setting"), *why ? " (" : "", why,
                                 *why ? ")" : "");
      free(y->title);
      y->title = string_copy(text_of(rows, "keys"));
      strings_add(&y->names, name);
    }
    return;
  }
  Chart *chart = panel(figure, text_of(rows, "metric"), text_of(rows, "label"), "");
  if (!chart) return;
  bool seed = is(rows, "kind", "seed");
  int colour = colour_of(nth(names, text_of(rows, "setting")), names->count);
  char *name = string_format("%s %s", seed ? "seeds of" : "mean of", text_of(rows, "setting"));
  chart->rows = true;
  chart_point(chart_series(chart, name, looks(seed ? seed_marks : mean_marks, colour, false)),
              (ChartPoint){real_of(rows, "value"), place, real_of(rows, "bar_low"),
                           real_of(rows, "bar_high")});
  free(name);
}

static void take_curves(Figure *figure, const Rows *rows, StringList *names) {
  const char *series = text_of(rows, "setting"), *kind = text_of(rows, "kind");
  bool eval = !strncmp(kind, "eval", 4);
  Chart *chart = eval ? panel(figure, "eval", "training step",
                              "PSNR of the masked pixels, held-out images (dB)")
                      : panel(figure, "loss", "training step", "training loss");
  int n = nth(names, series), colour = colour_of(n, names->count);
  ChartSeries how = !strcmp(kind, "raw")         ? looks(faint_line, colour, false)
                    : !strcmp(kind, "smooth")    ? looks(bare_line, colour, true)
                    : !strcmp(kind, "eval_mean") ? looks(bare_line, colour, true)
                                                 : looks(seed_marks, colour, false);
  chart->x.from_zero = true;
  chart_point(chart_series(chart, series, how),
              (ChartPoint){real_of(rows, "step"), real_of(rows, "value"), NAN, NAN});
}

/* Writing --------------------------------------------------------------------------------------*/

/* How the rows are to come: the queries order them by kind, for gnuplot; here means come before
 * seeds, and the rows that name an axis' places last. */
#define BY_METRIC "(SELECT position FROM shown WHERE name = metric)"
static const struct FigureKind {
  const char *name, *sql, *order, *data; /* data: which rows are shown as numbers */
  const char *names;                     /* whose lines it has: of settings, of series; or NULL */
  TakeRow take;
} kinds[] = {
    {"question", question_sql,
     "ORDER BY kind = 'tick', kind <> 'mean', kind <> 'baseline', panel = 'speed', panel = 'gain', "
     "CASE WHEN kind = 'baseline' THEN series END DESC, series, x, value",
     "", NULL, take_question},
    {"quality", quality_sql, "ORDER BY kind <> 'mean', " BY_METRIC ", series, mask_ratio, value",
     "", "series", take_quality},
    {"throughput", throughput_sql, "ORDER BY kind <> 'mean', kind, series, mask_ratio, value", "",
     "series", take_throughput},
    {"pareto", pareto_sql, "ORDER BY kind <> 'mean', metric, x, value", "", "setting", take_pareto},
    {"settings", settings_sql,
     "ORDER BY kind = 'row', kind <> 'mean', " BY_METRIC ", place DESC, value", "", "setting",
     take_settings},
    {"curves", curves_sql, "ORDER BY kind LIKE 'eval%', position, seed, step",
     "WHERE kind IN ('smooth', 'eval') ORDER BY kind, position, seed, step", "setting",
     take_curves},
};

/* A query of plots/ as a part of another one. */
static char *around(const char *head, const char *sql, const char *tail) {
  int length = (int)strlen(sql);
  while (length && strchr("; \n", sql[length - 1])) length--;
  return string_format("%s (%.*s\n) %s", head, length, sql, tail);
}

/* More lines than a panel has room to name at their ends are named above it. */
static void name_above(Page *page, Figure *figure, const StringList *names) {
  for (int i = 0; i < figure->count; i++)
    for (int s = 0; s < figure->panels[i].count; s++) {
      ChartSeries *series = &figure->panels[i].series[s];
      if (series->colour != CHART_GREY) series->labelled = false;
    }
  fputs("<ul class=\"key\">", page->out);
  for (int i = 0; i < names->count; i++)
    html_put(page->out, "<li><span class=\"%s\" aria-hidden=\"true\">●</span> %s</li>\n",
             chart_class(colour_of(i, names->count)), names->items[i]);
  fputs("</ul>\n", page->out);
}

static void write_panels(Page *page, Figure *figure) {
  fputs("<div class=\"panels\">\n", page->out);
  for (int i = 0; i < figure->count; i++) {
    Chart *chart = &figure->panels[i];
    char id[32];
    const char *heading = chart->rows ? chart->x.title : chart->y.title;
    if (chart_is_empty(chart)) continue;
    snprintf(id, sizeof id, "e%dp%d", page->number, ++page->panels);
    chart->title =
        string_format("%s, by %s", heading, chart->rows ? chart->y.title : chart->x.title);
    html_put(page->out, "<div class=\"panel\"><p class=\"heading\">%s</p>\n", heading);
    chart_write(page->out, chart, id);
    fputs("</div>\n", page->out);
  }
  fputs("</div>\n", page->out);
}

static bool read_caption(Page *page, Figure *figure, Error *e) {
  figure->title = rows_first(page->store, caption_sql, PAGE_BINDINGS(page, figure->name), e);
  if (!figure->title) return false;
  char *end = strchr(figure->title, '\n');
  figure->caption = string_copy(end ? end + 1 : "");
  if (end) *end = 0;
  return true;
}

static bool has_marks(const Figure *figure) {
  for (int i = 0; i < figure->count; i++)
    if (!chart_is_empty(&figure->panels[i])) return true;
  return false;
}

static bool write_figure(Page *page, const struct FigureKind *kind, Figure *figure,
                         const StringList *names, Error *e) {
  if (!has_marks(figure)) return true;
  /* The question's own figure stands under the question itself. */
  html_put(page->out, "<figure>\n<figcaption><h4>%s</h4></figcaption>\n",
           !strcmp(kind->name, "question") ? "The answer in a figure" : figure->title);
  if (names->count > LABELS_MAX && kind->take != take_settings) name_above(page, figure, names);
  write_panels(page, figure);
  html_put(page->out,
           "<p class=\"caption\">%s</p>\n<details><summary>The numbers of this figure%s"
           "</summary>\n",
           figure->caption,
           *kind->data ? ": means over a thirtieth of the steps, and every score" : "");
  char *data = around("SELECT * FROM", kind->sql, kind->data);
  bool ok = page_table(page, data, kind->name,
                       (PageTable){.caption = figure->title, .named_above = true}, NULL, e);
  free(data);
  fputs("</details></figure>\n", page->out);
  return ok;
}

/* Colours go by the order of the plan, so that a setting has the same one in every figure. */
static bool read_names(Page *page, const char *column, StringList *names, Error *e) {
  char *sql =
      string_format("SELECT %s FROM everyone GROUP BY %s ORDER BY min(position)", column, column);
  Rows *rows = rows_open(page->store, sql, NULL);
  while (rows_next(rows)) strings_add(names, string_copy(rows_text(rows, 0)));
  free(sql);
  return rows_close(rows, e);
}

static bool read_and_write(Page *page, const struct FigureKind *kind, Error *e) {
  Figure figure = {.name = kind->name};
  StringList names = {0};
  char *sql = around("SELECT * FROM", kind->sql, kind->order);
  bool ok = page_common(page, kind->name, e) && read_caption(page, &figure, e) &&
            (!kind->names || read_names(page, kind->names, &names, e));
  if (ok) {
    Rows *rows = rows_open(page->store, sql, PAGE_BINDINGS(page, kind->name));
    while (rows_next(rows)) kind->take(&figure, rows, &names);
    ok = rows_close(rows, e) && write_figure(page, kind, &figure, &names, e);
  }
  for (int i = 0; i < figure.count; i++) {
    chart_free(&figure.panels[i]);
    free(figure.keys[i]);
  }
  free(figure.title);
  free(figure.caption);
  strings_free(&names);
  free(sql);
  return ok;
}

bool page_figures(Page *page, Error *e) {
  StringList fit = {0};
  bool ok = page_common(page, "table", e);
  if (ok) {
    Rows *rows = rows_open(page->store, figures_sql, PAGE_BINDINGS(page, "table"));
    while (rows_next(rows)) strings_add(&fit, string_copy(rows_text(rows, 0)));
    ok = rows_close(rows, e);
  }
  if (ok && fit.count) fputs("<h3>Figures</h3>\n", page->out);
  for (size_t k = 0; ok && k < sizeof kinds / sizeof *kinds; k++)
    if (strings_find(&fit, kinds[k].name) >= 0) ok = read_and_write(page, &kinds[k], e);
  strings_free(&fit);
  return ok;
}
