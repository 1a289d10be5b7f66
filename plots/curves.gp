# Training loss, and masked PSNR of the held-out images, by step.
width = 7.2
load 'names.gp'
settings = names('smooth', 'setting')
legend_rows = rows_of(words(settings), name_width('smooth', 2)) # between title and panels
height = 3.5 + 0.17 * legend_rows
load 'style.gp'
top = 1 - (0.65 + 0.17 * legend_rows) / height

is(kind, name) = strcol('kind') eq kind && strcol('setting') eq name

set multiplot
@TEXTS
set tmargin at screen top
set bmargin at screen bottom
set xlabel 'training step'
set xrange [0:*]
set lmargin at screen 0.75 / width
set rmargin at screen 3.4 / width
set ylabel 'training loss' offset 1,0
plot for [i = 1:words(settings)] data using (column('step')):\
    (only(is('raw', word(settings, i)) && strcol('value') ne '', 'value')) with lines linetype i \
    linewidth 0.3 dashtype solid, \
  for [i = 1:words(settings)] data using 'step':\
    (only(is('smooth', word(settings, i)), 'value')) with lines linetype i linewidth 2
unset label
set lmargin at screen 4.3 / width
set rmargin at screen 7.05 / width
set ylabel 'psnr_masked, held-out images (dB)' offset 1,0
plot for [i = 1:words(settings)] data using 'step':\
    (only(is('eval_mean', word(settings, i)), 'value')) with lines linetype i, \
  for [i = 1:words(settings)] data using 'step':\
    (only(is('eval', word(settings, i)), 'value')) with points linetype i
@LEGEND
set label 200 word(names('raw', 'keys'), 1) at screen 0.5, screen 1 - 0.42 / height center \
  font line_font(word(names('raw', 'keys'), 1))
set key at screen 0.5, screen 1 - 0.5 / height center top maxrows legend_rows
plot for [i = 1:words(settings)] NaN with linespoints linetype i title word(settings, i)
unset multiplot
