# A panel for each shown metric, against the mask ratio.
width = 7.2
load 'names.gp'
series = names('mean', 'series')
baselines = names('baseline', 'series')
# A baseline with a line for each series ("fill_mean 16") has one style and one place in the legend.
fills = names('baseline', 'fill')
style(line) = sum [i = 1:words(fills)] (word(fills, i) eq word(word(baselines, line), 1)) * i
legend_rows = rows_of(words(series) + words(fills), name_width('mean', 2)) # between title and panels
height = 3.33 + 0.17 * legend_rows
load 'style.gp'
top = 1 - (0.53 + 0.17 * legend_rows) / height

metrics = names('mean', 'metric')
labels = names('mean', 'label')
pitch = width / words(metrics)
is(kind, name, metric) = strcol('kind') eq kind && strcol('series') eq name && \
  strcol('metric') eq metric

BASELINE = "linecolor rgb '#666666' dashtype style(i) + 1 pointtype 4 * style(i)"

set multiplot
@TEXTS
set xlabel 'mask ratio'
set xrange [0:1]
set xtics 0.25
set offsets 0, 0, graph 0.05, graph 0.05
set tmargin at screen top
set bmargin at screen bottom
do for [panel = 1:words(metrics)] {
  metric = word(metrics, panel)
  set ylabel word(labels, panel) offset 1,0
  set lmargin at screen (0.55 + (panel - 1) * pitch) / width
  set rmargin at screen (panel * pitch - 0.1) / width
  plot for [i = 1:words(baselines)] data using (column('mask_ratio')):\
      (only(is('baseline', word(baselines, i), metric), 'value')) with linespoints @BASELINE, \
    for [i = 1:words(series)] data using (column('mask_ratio')):\
      (only(is('mean', word(series, i), metric), 'value')) with lines linetype i, \
    for [i = 1:words(series)] data using (column('mask_ratio')):\
      (only(is('mean', word(series, i), metric), 'value')):\
      (only(is('mean', word(series, i), metric), 'bar_low')):\
      (only(is('mean', word(series, i), metric), 'bar_high')) with yerrorbars linetype i \
      pointsize 0.2, \
    for [i = 1:words(series)] data using (column('mask_ratio')):\
      (only(is('seed', word(series, i), metric), 'value')) with points linetype i
  unset label
}
@LEGEND
set key maxrows legend_rows at screen 0.5, screen 1 - (0.41 + 0.09 * legend_rows) / height
plot for [i = 1:words(series)] NaN with linespoints linetype i title word(series, i), \
  for [j = 1:words(fills)] NaN with linespoints linecolor rgb '#666666' dashtype j + 1 \
    pointtype 4 * j title word(fills, j)
unset multiplot
