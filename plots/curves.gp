# Training loss, and masked PSNR of the held-out images, by step.
load 'page.gp'
settings = names('smooth', 'setting')
count = words(settings)
direct = count <= 8 # else the names would not find room
panels = 2
panel_height = narrow ? 1.7 : 2.2
legend_rows = direct ? 0 : rows_of(count, name_width('smooth', 2))
above = 0.25 + 0.19 * legend_rows
ends = direct ? name_width('smooth', 2) : 0.1
load 'style.gp'

is(kind, name) = strcol('kind') eq kind && strcol('setting') eq name
linetype_of(i) = setting(i, count)
COLOUR_OF = "linetype linetype_of(i)"

set multiplot
@TEXTS
set label 200 word(names('raw', 'keys'), 1) at screen 0.08 / width, screen 1 - (head - above + 0.12) / height \
  left font line_font(word(names('raw', 'keys'), 1))
set xlabel 'training step'
stats data using 'step' name 'steps' nooutput
set xrange [0:steps_max]
set xtics coarse_step(steps_max)
do for [panel = 1:panels] {
  smooth = panel == 1 ? 'smooth' : 'eval_mean'
  set yrange [*:*] # of what stats reads
  stats data using (only(strcol('kind') eq (panel == 1 ? 'smooth' : 'eval'), 'value')) name 'value' nooutput
  @FIT
  if (panel == 2) { left = left + 0.15 } # its name has two lines
  @PLACE
  at_end = direct && panel % across == 0 ? line_ends(smooth, '', low, high) : ''
  @NAMES
  if (panel == 1) {
    set ylabel 'training loss' offset 1,0
    plot for [i = 1:count] data using (column('step')):\
        (only(is('raw', word(settings, i)) && strcol('value') ne '', 'value')) with lines \
        linetype linetype_of(i) linewidth 0.3 dashtype solid, \
      for [i = 1:count] data using 'step':(only(is('smooth', word(settings, i)), 'value')) with lines \
        linetype linetype_of(i) linewidth 2
  } else {
    set ylabel "PSNR of the masked pixels,\nheld-out images (dB)" offset 1,0
    plot for [i = 1:count] data using 'step':(only(is('eval_mean', word(settings, i)), 'value')) with lines \
        linetype linetype_of(i), \
      for [i = 1:count] data using 'step':(only(is('eval', word(settings, i)), 'value')) with points \
        linetype linetype_of(i)
  }
  unset label
}
if (!direct) {
  @LEGEND
  plot for [i = 1:count] NaN with linespoints linetype linetype_of(i) title fitted(word(settings, i))
}
unset multiplot
