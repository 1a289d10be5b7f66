/* chart.h - one panel of a figure as inline SVG: points with intervals, lines, direct labels. Drawn
 * here and not by gnuplot, so that the page of results needs no other program, its figures follow
 * the reader's light or dark scheme and text size, and a screen reader hears what they show.
 *
 * Colours are classes of page.css and mean what they mean in plots/style.gp: c1 to c8 are settings
 * in the plan's order, c0 is the grey of what is compared with, cp that of published numbers, cm
 * the model, cs a second reading of it, cn rings around what is noted. */
#ifndef HARNESS_PAGE_CHART_H
#define HARNESS_PAGE_CHART_H

#include "harness/base/strings.h"

typedef struct ChartPoint {
  double x, y;      /* NAN: the line ends here */
  double low, high; /* of y's interval (of x's in rows); NAN: none */
} ChartPoint;

enum { CHART_GREY = 0, CHART_COLOURS = 8, CHART_PUBLISHED, CHART_MODEL, CHART_SECOND, CHART_NOTED };
/* The class of a colour, "c3". */
const char *chart_class(int colour);

typedef struct ChartSeries {
  char *name;    /* as its label; two series of one name share colour and label */
  int colour;    /* 1 to 8, or one of the others above */
  int dash;      /* 0: solid, or one of page.css's dashes */
  bool line;     /* points are joined */
  bool marks;    /* points have marks, */
  bool hollow;   /* small ones: single seeds under their mean */
  bool cross;    /* marks are crosses: means over others' marks */
  bool ring;     /* circles around other marks: what is to be noted of them */
  bool faint;    /* a thin line: single seeds under their mean */
  bool labelled; /* has its name at its last point */
  ChartPoint *points;
  int count, capacity;
} ChartSeries;

typedef struct ChartAxis {
  char *title;
  StringList names; /* the places 1, 2, ... of an axis of names; none: numbers */
  bool log; /* places are numbers above 0 and stand by their ratios; their names are the ticks */
  bool from_zero;
  double *at; /* names.count of them */
} ChartAxis;

typedef struct Chart { /* all zero is an empty one */
  char *title;         /* what it shows, in a sentence */
  ChartAxis x, y;
  bool rows; /* names on the y axis, the numbers and their intervals along x */
  ChartSeries *series;
  int count;
} Chart;

/* The series of this name and these looks, added where it is new. */
ChartSeries *chart_series(Chart *, const char *name, ChartSeries looks);
void chart_point(ChartSeries *, ChartPoint);
/* id: of this panel, unlike any other's on the page; letters and digits. */
void chart_write(FILE *, const Chart *, const char *id);
bool chart_is_empty(const Chart *); /* it has no finite point */
void chart_free(Chart *);

#endif
