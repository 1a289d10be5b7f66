/* chart.c - scales, ticks, marks, and labels that keep out of each other's way. */
#include "harness/page/chart.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness/page/html.h"

/* Units of the drawing: about pixels, on a phone too. */
enum {
  WIDTH = 380,
  TOP = 10,
  PLOT_HEIGHT = 190,
  TURNED_APART = 20, /* names at 35 degrees, a line's height from each other */
  ROW_HEIGHT = 22,
  LETTER = 7, /* the width of one, nearly */
  LINE = 14,
  NAME_MAX = 26,
  TICKS = 5
};

/* Building ------------------------------------------------------------------------------------*/

ChartSeries *chart_series(Chart *chart, const char *name, ChartSeries looks) {
  for (int i = 0; i < chart->count; i++) {
    ChartSeries *have = &chart->series[i];
    if (!strcmp(have->name, name) && have->line == looks.line && have->marks == looks.marks &&
        have->hollow == looks.hollow && have->ring == looks.ring && have->cross == looks.cross &&
        have->faint == looks.faint)
      return have;
  }
  size_t size = (size_t)(chart->count + 1) * sizeof *chart->series;
  chart->series = need(realloc(chart->series, size));
  looks.name = string_copy(name);
  looks.points = NULL;
  looks.count = looks.capacity = 0;
  chart->series[chart->count] = looks;
  return &chart->series[chart->count++];
}

void chart_point(ChartSeries *series, ChartPoint point) {
  if (series->count == series->capacity) {
    series->capacity = series->capacity ? 2 * series->capacity : 16;
    series->points =
        need(realloc(series->points, (size_t)series->capacity * sizeof *series->points));
  }
  series->points[series->count++] = point;
}

static bool is_drawn(ChartPoint point) {
  return isfinite(point.x) && isfinite(point.y);
}

bool chart_is_empty(const Chart *chart) {
  for (int i = 0; i < chart->count; i++)
    for (int p = 0; p < chart->series[i].count; p++)
      if (is_drawn(chart->series[i].points[p])) return false;
  return true;
}

void chart_free(Chart *chart) {
  for (int i = 0; i < chart->count; i++) {
    free(chart->series[i].name);
    free(chart->series[i].points);
  }
  free(chart->series);
  free(chart->title);
  free(chart->x.title);
  free(chart->y.title);
  free(chart->x.at);
  free(chart->y.at);
  strings_free(&chart->x.names);
  strings_free(&chart->y.names);
  *chart = (Chart){0};
}

/* Scales --------------------------------------------------------------------------------------*/

typedef struct Scale {
  double low, high; /* of the data's (logarithms) */
  double from, to;  /* units of the drawing */
  bool log;
  double step; /* between ticks; 0: at names */
} Scale;

static double place(const Scale *scale, double value) {
  double v = scale->log ? log10(value) : value;
  return scale->from + (v - scale->low) / (scale->high - scale->low) * (scale->to - scale->from);
}

static void widen(double *low, double *high, double value) {
  if (!isfinite(value)) return;
  if (value < *low) *low = value;
  if (value > *high) *high = value;
}

/* A round step that cuts a range into about TICKS. */
static double round_step(double range) {
  double raw = range / TICKS, ten = pow(10, floor(log10(raw)));
  return ten * (raw > 5 * ten ? 10 : raw > 2 * ten ? 5 : raw > ten ? 2 : 1);
}

/* along_x: the numbers of the points' x. */
static Scale scale_of(const Chart *chart, const ChartAxis *axis, bool along_x, double from,
                      double to) {
  Scale scale = {.low = INFINITY, .high = -INFINITY, .from = from, .to = to};
  if (axis->names.count && !axis->at) {
    scale.low = 0.5;
    scale.high = axis->names.count + 0.5;
    return scale;
  }
  for (int i = 0; i < chart->count; i++)
    for (int p = 0; p < chart->series[i].count; p++) {
      const ChartPoint *point = &chart->series[i].points[p];
      if (!is_drawn(*point)) continue;
      widen(&scale.low, &scale.high, along_x ? point->x : point->y);
      if (along_x != chart->rows) continue;
      widen(&scale.low, &scale.high, point->low);
      widen(&scale.low, &scale.high, point->high);
    }
  if (!(scale.low <= scale.high)) scale.low = 0, scale.high = 1;
  scale.log = axis->log && scale.low > 0;
  if (scale.log) {
    scale.low = log10(scale.low);
    scale.high = log10(scale.high);
  }
  bool zero = axis->from_zero && scale.low >= 0;
  if (zero) scale.low = 0;
  double room = (scale.high - scale.low) * 0.06;
  if (!(room > 0)) room = fabs(scale.high) * 0.05 + 1e-9;
  scale.high += room;
  if (!zero) scale.low -= room;
  if (!axis->names.count) scale.step = round_step(scale.high - scale.low);
  return scale;
}

/* The number of a tick in as few digits as its step needs: "0.25", "1500", "2.5k" of steps. */
static void tick_text(char *text, size_t size, double value, double step) {
  int digits = step >= 1 ? 0 : (int)ceil(-log10(step) - 1e-9);
  if (fabs(value) < step * 1e-6) value = 0;
  if (fabs(value) >= 10000 && step >= 100)
    snprintf(text, size, "%.*fk", step >= 1000 ? 0 : 1, value / 1000);
  else
    snprintf(text, size, "%.*f", digits, value);
}

/* Axes ----------------------------------------------------------------------------------------*/

typedef struct Frame {
  double left, right, top, bottom;
  Scale x, y;
} Frame;

static int letters_of(const char *name) {
  int letters = 0;
  for (const char *c = name; *c; c++) letters += (*c & 0xc0) != 0x80;
  return letters;
}

/* A name that would take more than its room, shortened in its middle, whole characters only. */
static char *fitted(const char *name, int most) {
  int letters = letters_of(name), n = 0;
  if (letters <= most) return string_copy(name);
  char *text = NULL;
  size_t size;
  FILE *out = need(open_memstream(&text, &size));
  for (const char *c = name; *c; c++) {
    n += (*c & 0xc0) != 0x80;
    if (n == most / 2 && (*c & 0xc0) != 0x80) fputs("…", out);
    if (n < most / 2 || n > letters - most / 2) fputc(*c, out);
  }
  fclose(out);
  return need(text);
}

/* text: NULL for a mark alone. */
static void x_tick(FILE *out, const Frame *f, double at, const char *text, bool turned) {
  fprintf(out, "<path class=\"tick\" d=\"M%.1f %.1fv4\"/>", at, f->bottom);
  if (!text) return;
  if (turned)
    fprintf(out,
            "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"end\" transform=\"rotate(-35 %.1f %.1f)\">",
            at + 3, f->bottom + 14, at + 3, f->bottom + 14);
  else
    fprintf(out, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">", at, f->bottom + 17);
  html_put(out, "%s</text>", text);
}

static void y_tick(FILE *out, const Frame *f, double at, const char *text, bool grid) {
  if (grid) fprintf(out, "<path class=\"grid\" d=\"M%.1f %.1fH%.1f\"/>", f->left, at, f->right);
  fprintf(out, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"end\">", f->left - 6, at + 4);
  html_put(out, "%s</text>", text);
}

/* Whether the name of tick i would touch one before it that is written: where numbers have the
 * names, they may lie near each other. */
static bool is_crowded(const ChartAxis *axis, const Scale *scale, int i, bool turned,
                       const bool *written) {
  for (int j = 0; axis->at && j < i; j++) {
    double apart = fabs(place(scale, axis->at[i]) - place(scale, axis->at[j]));
    double letters = letters_of(axis->names.items[i]) + letters_of(axis->names.items[j]);
    if (written[j] && apart < (turned ? TURNED_APART : LETTER * letters / 2)) return true;
  }
  return false;
}

static void name_ticks(FILE *out, const Frame *f, const ChartAxis *axis, const Scale *scale,
                       bool along_x, bool turned) {
  bool *written = need(calloc((size_t)axis->names.count, sizeof *written));
  for (int i = 0; i < axis->names.count; i++) {
    double at = place(scale, axis->at ? axis->at[i] : i + 1);
    char *name = fitted(axis->names.items[i], NAME_MAX);
    written[i] = !is_crowded(axis, scale, i, turned, written);
    if (along_x)
      x_tick(out, f, at, written[i] ? name : NULL, turned);
    else
      y_tick(out, f, at, name, true);
    free(name);
  }
  free(written);
}

static void ticks(FILE *out, const Frame *f, const ChartAxis *axis, const Scale *scale,
                  bool along_x, bool turned) {
  char text[40];
  if (axis->names.count) {
    name_ticks(out, f, axis, scale, along_x, turned);
    return;
  }
  for (double n = ceil(scale->low / scale->step - 1e-9); n * scale->step <= scale->high; n++) {
    tick_text(text, sizeof text, n * scale->step, scale->step);
    if (along_x)
      x_tick(out, f, place(scale, n * scale->step), text, false);
    else
      y_tick(out, f, place(scale, n * scale->step), text, true);
  }
}

/* Marks ---------------------------------------------------------------------------------------*/

const char *chart_class(int colour) {
  static const char *const names[] = {"c0", "c1", "c2", "c3", "c4", "c5", "c6",
                                      "c7", "c8", "cp", "cm", "cs", "cn"};
  return names[colour];
}

static void write_class(FILE *out, const ChartSeries *series, const char *more) {
  fprintf(out, " class=\"%s%s\"", chart_class(series->colour), more);
}

/* Every colour has its own shape, for those who do not tell the colours apart. */
static void write_mark(FILE *out, const ChartSeries *series, double x, double y) {
  if (series->cross) {
    fprintf(out, "<path d=\"M%.1f %.1fl9 9m0 -9l-9 9\"", x - 4.5, y - 4.5);
    write_class(out, series, " line");
    fputs("/>", out);
    return;
  }
  double r = series->ring ? 6.5 : series->hollow || series->colour == CHART_GREY ? 2.6 : 4;
  switch (series->ring ? 0 : series->colour) {
  case 2:
  case 8:
  case CHART_SECOND:
    fprintf(out, "<path d=\"M%.1f %.1fh%.1fv%.1fh%.1fz\"", x - r * 0.9, y - r * 0.9, r * 1.8,
            r * 1.8, -r * 1.8);
    break;
  case 3:
  case 7:
    fprintf(out, "<path d=\"M%.1f %.1fl%.1f %.1fh%.1fz\"", x, y - r * 1.1, r, r * 1.9, -r * 2);
    break;
  case 4:
  case CHART_PUBLISHED:
    fprintf(out, "<path d=\"M%.1f %.1fl%.1f %.1fl%.1f %.1fl%.1f %.1fz\"", x, y - r * 1.3, r * 1.1,
            r * 1.3, -r * 1.1, r * 1.3, -r * 1.1, -r * 1.3);
    break;
  case 5:
    fprintf(out, "<path d=\"M%.1f %.1fl%.1f %.1fh%.1fz\"", x, y + r * 1.1, r, -r * 1.9, -r * 2);
    break;
  default:
    fprintf(out, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"%.1f\"", x, y, r);
  }
  write_class(out, series, series->ring ? " ring" : series->hollow ? " seed" : " mark");
  fputs("/>", out);
}

static void write_line(FILE *out, const Frame *f, const ChartSeries *series) {
  bool pen = false;
  char more[32];
  snprintf(more, sizeof more, " line%s d%d", series->faint ? " faint" : "", series->dash);
  fputs("<path", out);
  write_class(out, series, more);
  fputs(" d=\"", out);
  for (int p = 0; p < series->count; p++) {
    const ChartPoint *point = &series->points[p];
    if (is_drawn(*point))
      fprintf(out, "%c%.1f %.1f", pen ? 'L' : 'M', place(&f->x, point->x), place(&f->y, point->y));
    pen = is_drawn(*point);
  }
  fputs("\"/>", out);
}

static void write_series(FILE *out, const Chart *chart, const Frame *f, const ChartSeries *series) {
  if (series->line && series->count > 1) write_line(out, f, series);
  for (int p = 0; p < series->count; p++) {
    const ChartPoint *point = &series->points[p];
    if (!is_drawn(*point)) continue;
    double x = place(&f->x, point->x), y = place(&f->y, point->y);
    if (point->high > point->low) {
      fputs("<path", out);
      write_class(out, series, " line");
      if (chart->rows)
        fprintf(out, " d=\"M%.1f %.1fH%.1f\"/>", place(&f->x, point->low), y,
                place(&f->x, point->high));
      else
        fprintf(out, " d=\"M%.1f %.1fV%.1f\"/>", x, place(&f->y, point->low),
                place(&f->y, point->high));
    }
    if (series->marks) write_mark(out, series, x, y);
  }
}

/* Labels --------------------------------------------------------------------------------------*/

typedef struct Label {
  const ChartSeries *series;
  double x, y; /* of the point, and then of the text's middle */
} Label;

static int by_height(const void *a, const void *b) {
  const Label *one = a, *other = b;
  return one->y < other->y ? -1 : one->y > other->y ? 1 : 0;
}

/* At the right of the panel, in the order of the lines' ends, at least a line apart. */
static void spread(Label *labels, int count, const Frame *f) {
  qsort(labels, (size_t)count, sizeof *labels, by_height);
  double least = f->top + 5;
  for (int i = 0; i < count; i++, least += LINE) {
    if (labels[i].y < least) labels[i].y = least;
    least = labels[i].y;
  }
  double most = f->bottom;
  for (int i = count - 1; i >= 0; i--, most -= LINE) {
    if (labels[i].y > most) labels[i].y = most;
    most = labels[i].y;
  }
}

static void write_labels(FILE *out, const Chart *chart, const Frame *f) {
  Label *labels = need(calloc((size_t)chart->count + 1, sizeof *labels));
  int count = 0;
  for (int i = 0; i < chart->count; i++) {
    const ChartSeries *series = &chart->series[i];
    int last = series->count - 1;
    while (last >= 0 && !is_drawn(series->points[last])) last--;
    if (series->labelled && last >= 0)
      labels[count++] = (Label){series, place(&f->x, series->points[last].x),
                                place(&f->y, series->points[last].y)};
  }
  spread(labels, count, f);
  for (int i = 0; i < count; i++) {
    char *name = fitted(labels[i].series->name, NAME_MAX);
    write_mark(out,
               &(ChartSeries){.colour = labels[i].series->colour, .ring = labels[i].series->ring},
               f->right + 8, labels[i].y);
    fprintf(out, "<text x=\"%.1f\" y=\"%.1f\">", f->right + 17, labels[i].y + 4);
    html_put(out, "%s</text>", name);
    free(name);
  }
  free(labels);
}

/* Letters of the longest name, of those that are drawn. */
static int longest(const StringList *names) {
  int most = 0;
  for (int i = 0; i < names->count; i++) {
    int letters = letters_of(names->items[i]);
    if (letters > most) most = letters;
  }
  return most < NAME_MAX ? most : NAME_MAX;
}

static int label_letters(const Chart *chart) {
  StringList names = {0};
  for (int i = 0; i < chart->count; i++)
    if (chart->series[i].labelled) strings_add(&names, string_copy(chart->series[i].name));
  int most = longest(&names);
  strings_free(&names);
  return most;
}

/* What a screen reader says of the panel ------------------------------------------------------*/

static void say_number(FILE *out, const ChartAxis *axis, double value) {
  for (int i = 0; i < axis->names.count; i++)
    if (axis->at ? axis->at[i] == value : i + 1 == value) {
      html_put(out, "%s", axis->names.items[i]);
      return;
    }
  fprintf(out, "%.4g", value);
}

static void say_point(FILE *out, const Chart *chart, const ChartPoint *point) {
  say_number(out, chart->rows ? &chart->x : &chart->y, chart->rows ? point->x : point->y);
  fputs(" at ", out);
  say_number(out, chart->rows ? &chart->y : &chart->x, chart->rows ? point->y : point->x);
}

/* All points of a short series, the ends of a long one; seeds are in the data below the figure. */
static void describe(FILE *out, const Chart *chart) {
  html_put(out, "%s across, %s upwards.", chart->x.title,
           chart->y.title ? chart->y.title : "settings");
  for (int i = 0; i < chart->count; i++) {
    const ChartSeries *series = &chart->series[i];
    if (series->hollow || series->ring || series->faint || !series->count) continue;
    html_put(out, " %s: ", series->name);
    if (series->count <= 12) {
      for (int p = 0, said = 0; p < series->count; p++) {
        if (!is_drawn(series->points[p])) continue;
        if (said++) fputs(", ", out);
        say_point(out, chart, &series->points[p]);
      }
    } else {
      fputs("from ", out);
      say_point(out, chart, &series->points[0]);
      fputs(" to ", out);
      say_point(out, chart, &series->points[series->count - 1]);
    }
    fputc('.', out);
  }
}

/* The panel -----------------------------------------------------------------------------------*/

void chart_write(FILE *out, const Chart *chart, const char *id) {
  int labels = label_letters(chart), names = longest(&chart->x.names);
  Frame f = {.left = chart->rows ? 14 + LETTER * longest(&chart->y.names) : 52, .top = TOP};
  f.right = WIDTH - 12 - (labels ? 16 + LETTER * labels : 0);
  f.bottom = TOP + (chart->rows ? ROW_HEIGHT * chart->y.names.count : PLOT_HEIGHT);
  bool turned = (names + 1) * LETTER * chart->x.names.count > f.right - f.left;
  f.x = scale_of(chart, &chart->x, true, f.left, f.right);
  f.y = chart->rows ? scale_of(chart, &chart->y, false, f.top, f.bottom)
                    : scale_of(chart, &chart->y, false, f.bottom, f.top);
  double title = f.bottom + 36 + (turned ? 4 * names : 0), height = title + 6;
  html_put(out,
           "<svg class=\"chart\" viewBox=\"0 0 %d %d\" role=\"img\" aria-labelledby=\"%st %sd\">\n",
           WIDTH, (int)ceil(height), id, id);
  html_put(out, "<title id=\"%st\">%s</title><desc id=\"%sd\">", id, chart->title, id);
  describe(out, chart);
  fputs("</desc>\n<g class=\"axis\">", out);
  ticks(out, &f, &chart->y, &f.y, false, false);
  ticks(out, &f, &chart->x, &f.x, true, turned);
  fprintf(out, "<path class=\"tick\" d=\"M%.1f %.1fV%.1fH%.1f\"/></g>\n", f.left, f.top, f.bottom,
          f.right);
  for (int i = 0; i < chart->count; i++) write_series(out, chart, &f, &chart->series[i]);
  write_labels(out, chart, &f);
  fprintf(out, "<text class=\"name\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">",
          (f.left + f.right) / 2, title);
  html_put(out, "%s</text>\n</svg>\n", chart->x.title ? chart->x.title : "");
}
