# Images per second of training against the mask ratio.
load 'page.gp'
series = names('mean', 'series')
count = words(series)
panels = 1
panel_height = narrow ? 1.8 : 2.3
direct = count <= 5 # else the names would not find room
ends = direct ? (name_width('mean', 2) > 0.7 ? name_width('mean', 2) : 0.7) : 0.1
legend_rows = direct ? 0 : rows_of(count + 1, name_width('mean', 2))
above = 0.1 + 0.19 * legend_rows
load 'style.gp'

is(kind, name) = strcol('kind') eq kind && strcol('series') eq name
linetype_of(i) = count == 1 ? 1 : setting(i, count)
COLOUR_OF = "rgb (i > count ? BASELINE_COLOUR : colour_of(linetype_of(i)))"
LINES = "for [i = 1:count] data using (column('mask_ratio')):(only(is('mean', word(series, i)), 'value')) \
  with lines linetype linetype_of(i)"
IDEAL = "linecolor rgb BASELINE_COLOUR dashtype 2 linewidth 0.8"

set multiplot
@TEXTS
panel = 1
stats data using (only(strcol('kind') ne 'noted', 'value')) name 'value' nooutput
high = 1.08 * value_max
set yrange [0:high]
left = axis_room(0, high)
set xrange [0:1]
set xlabel 'mask ratio (share of patches hidden)'
set ylabel 'training speed (images/s)' offset 1,0
@PLACE
at_end = direct ? line_ends(count == 1 ? 'mean,ideal' : 'mean', '', 0, high) : ''
@NAMES
plot for [i = 1:count] data using (column('mask_ratio')):\
    (only(is('ideal', word(series, i)), 'value')) with lines @IDEAL, \
  @LINES, \
  for [i = 1:count] data using (column('mask_ratio')):\
    (only(is('mean', word(series, i)), 'value')):(only(is('mean', word(series, i)), 'bar_low')):\
    (only(is('mean', word(series, i)), 'bar_high')) with yerrorbars linetype linetype_of(i) pointsize 0.2, \
  for [i = 1:count] data using (column('mask_ratio')):\
    (only(is('seed', word(series, i)), 'value')) with points linetype linetype_of(i), \
  data using (column('mask_ratio')):(only(strcol('kind') eq 'noted', 'value')) with points \
    pointtype 6 pointsize 1.4 linecolor rgb '#D55E00'
unset label
if (!direct) {
  @LEGEND
  plot for [i = 1:count] NaN with linespoints linetype linetype_of(i) title fitted(word(series, i))
}
unset multiplot
