# Images per second of training against the mask ratio.
width = 7.2
height = 3.3
load 'names.gp'
load 'style.gp'

series = names('mean', 'series')
is(kind, name) = strcol('kind') eq kind && strcol('series') eq name

@TEXTS
set tmargin at screen top
set bmargin at screen bottom
set lmargin at screen 0.7 / width
set rmargin at screen 1 - 0.25 / width
set xlabel 'mask ratio (share of patches that are hidden)'
set ylabel 'training speed (images/s)' offset 1,0
set xrange [0:1]
set yrange [0:*]
set offsets 0, 0, graph 0.08, 0
set key top left reverse Left
plot for [i = 1:words(series)] data using (column('mask_ratio')):\
    (only(is('ideal', word(series, i)), 'value')) with lines linecolor rgb '#666666' \
    dashtype 2 linewidth 0.8 title (i == 1 ? 'ideal' : ''), \
  for [i = 1:words(series)] data using (column('mask_ratio')):\
    (only(is('mean', word(series, i)), 'value')) with lines linetype i, \
  for [i = 1:words(series)] data using (column('mask_ratio')):\
    (only(is('mean', word(series, i)), 'value')):(only(is('mean', word(series, i)), 'bar_low')):\
    (only(is('mean', word(series, i)), 'bar_high')) with yerrorbars linetype i pointsize 0.2, \
  for [i = 1:words(series)] data using (column('mask_ratio')):\
    (only(is('seed', word(series, i)), 'value')) with points linetype i, \
  data using (column('mask_ratio')):(only(strcol('kind') eq 'noted', 'value')) with points \
    pointtype 6 pointsize 1.4 linecolor rgb '#D55E00', \
  for [i = 1:words(series)] NaN with linespoints linetype i title word(series, i)
