# A panel for each shown metric, against the mask ratio.
load 'page.gp'
series = names('mean', 'series')
count = words(series)
baselines = names('baseline', 'series')
# A baseline with a line for each series ("fill_mean 16") has one style and one place in the legend.
fills = names('baseline', 'fill')
fill_words = names('baseline', 'title')
style(line) = sum [i = 1:words(fills)] (word(fills, i) eq word(word(baselines, line), 1)) * i
metrics = names('mean', 'metric')
labels = names('mean', 'label')
panels = words(metrics)
direct = count + words(baselines) <= 6 # else the names would not find room
legend_rows = direct ? 0 : rows_of(count + words(fills), name_width('mean', 2) + 0.3)
above = 0.1 + 0.19 * legend_rows
ends = direct ? (name_width('mean', 2) > 1.05 ? name_width('mean', 2) : 1.05) : 0.1
panel_height = narrow ? 1.5 : 2.0
load 'style.gp'

is(kind, name, metric) = strcol('kind') eq kind && strcol('series') eq name && \
  strcol('metric') eq metric
# One series is the model itself; several are settings.
linetype_of(i) = count == 1 ? 1 : setting(i, count)
BASELINE = "linecolor rgb BASELINE_COLOUR dashtype style(i) + 1 pointtype 4 * style(i)"
# Of name i at the right ends.
series_of(name) = sum [i = 1:count] (word(series, i) eq name) * i
end_colour(number) = number == 0 ? BASELINE_COLOUR : colour_of(linetype_of(number))
COLOUR_OF = "rgb end_colour(series_of(word(at_end, 2 * i - 1)))"

set multiplot
@TEXTS
set xlabel 'mask ratio (share of patches hidden)'
if (!narrow && panels > 2) { set xlabel 'mask ratio' }
set xrange [0:1]
set xtics 0.25
do for [panel = 1:panels] {
  metric = word(metrics, panel)
  set ylabel word(labels, panel) offset 1,0
  set yrange [*:*] # of what stats reads
  stats data using (only(strcol('metric') eq metric, 'value')) name 'value' nooutput
  @FIT
  @PLACE
  at_end = direct && panel % across == 0 ? line_ends('mean,baseline', 'metric=' . metric, low, high) : ''
  @NAMES
  plot for [i = 1:words(baselines)] data using (column('mask_ratio')):\
      (only(is('baseline', word(baselines, i), metric), 'value')) with linespoints @BASELINE, \
    for [i = 1:count] data using (column('mask_ratio')):\
      (only(is('mean', word(series, i), metric), 'value')) with lines linetype linetype_of(i), \
    for [i = 1:count] data using (column('mask_ratio')):\
      (only(is('mean', word(series, i), metric), 'value')):\
      (only(is('mean', word(series, i), metric), 'bar_low')):\
      (only(is('mean', word(series, i), metric), 'bar_high')) with yerrorbars linetype linetype_of(i) \
      pointsize 0.2, \
    for [i = 1:count] data using (column('mask_ratio')):\
      (only(is('seed', word(series, i), metric), 'value')) with points linetype linetype_of(i)
  unset label
}
if (!direct) {
  @LEGEND
  plot for [i = 1:count] NaN with linespoints linetype linetype_of(i) title fitted(word(series, i)), \
    for [j = 1:words(fills)] NaN with linespoints linecolor rgb BASELINE_COLOUR dashtype j + 1 \
      pointtype 4 * j title word(fill_words, j)
}
unset multiplot
