# Three panels, PSNR of the masked pixels, PSNR and SSIM of the composite, against the mask ratio.
width = 7.2
height = 3.5
load 'style.gp'
top = 1 - 0.7 / height # the legend has a line of its own

series = names('mean', 'series')
fills = names('fill', 'series')
is(kind, name, metric) = strcol('kind') eq kind && strcol('series') eq name && \
  strcol('metric') eq metric

FILL = "linecolor rgb '#666666' dashtype i + 1 pointtype 4 * i"

set multiplot
@TEXTS
set xlabel 'mask ratio'
set xrange [0:1]
set xtics 0.25
set offsets 0, 0, graph 0.05, graph 0.05
set tmargin at screen top
set bmargin at screen bottom
do for [panel = 1:3] {
  metric = word('psnr_masked psnr_composite ssim_composite', panel)
  set ylabel word('"psnr_masked (dB)" "psnr_composite (dB)" "ssim_composite"', panel) offset 1,0
  set lmargin at screen (0.55 + (panel - 1) * 2.4) / width
  set rmargin at screen (0.55 + (panel - 1) * 2.4 + 1.75) / width
  plot for [i = 1:words(fills)] data using (column('mask_ratio')):\
      (only(is('fill', word(fills, i), metric), 'value')) with linespoints @FILL, \
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
plot for [i = 1:words(series)] NaN with linespoints linetype i title word(series, i), \
  for [i = 1:words(fills)] NaN with linespoints @FILL title word(fills, i)
unset multiplot
