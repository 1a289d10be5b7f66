# Quality against what it costs, each setting by name; the line joins those that nothing else beats.
load 'page.gp'
metrics = names('mean', 'metric')
labels = names('mean', 'label')
settings = names('mean', 'setting')
count = words(settings)
direct = count <= 8 # else the names would not find room
panels = words(metrics)
panel_height = narrow ? 1.8 : 2.3
legend_rows = direct ? 0 : rows_of(count, name_width('mean', 2))
above = 0.3 + 0.19 * legend_rows
right = 0.15 # each panel sets its left
load 'style.gp'

is(kind, metric, i) = strcol('kind') eq kind && strcol('metric') eq metric && strcol('setting') eq word(settings, i)
# The front's points from the cheapest on, which rows by the plan's order are not.
FRONT = "< awk -F'\\t' -v OFS='\\t' -v metric=" . '%s' . " 'NR == 1 { print } " . \
  "NR > 1 && $1 == \"mean\" && $3 == metric && $6 == 1 { print | \"sort -t\\\"\\t\\\" -g -k 4\" }' \"$DATA\""

set multiplot
@TEXTS
set label 200 word(names('mean', 'keys'), 1) at screen 0.08 / width, screen 1 - (head - above + 0.12) / height \
  left font line_font(word(names('mean', 'keys'), 1))
set xlabel word(names('mean', 'axis'), 1) offset 0,0.6
do for [panel = 1:panels] {
  metric = word(metrics, panel)
  set xrange [*:*] # of what stats reads
  set yrange [*:*]
  stats data using (only(strcol('metric') eq metric, 'x')) name 'x' nooutput
  stats data using (only(strcol('metric') eq metric, 'value')) name 'value' nooutput
  x_low = x_min - 0.08 * (x_max - x_min)
  x_high = x_max + (direct ? 0.35 : 0.08) * (x_max - x_min)
  if (x_max == x_min) { x_low = 0; x_high = 2 * x_max }
  set xrange [x_low:x_high]
  set xtics step(x_high - x_low)
  if (direct) { value_min = value_min - 0.08 * (value_max - value_min) } # names stand lower than points
  @FIT
  set ylabel word(labels, panel) offset 1,0
  @PLACE
  places = direct ? system(sprintf("awk -F'\t' -v metric=%s -v x_low=%.9g -v x_high=%.9g -v low=%.9g -v high=%.9g " . \
    "-v gap=%.4f -v inches=%.3f -f beside.awk \"$DATA\"", metric, x_low, x_high, low, high, 0.15 / panel_height, \
    pitch - left - right)) : ''
  do for [i = 1:words(places) / 3] {
    set label i fitted(word(places, 3 * i - 2)) at graph (word(places, 3 * i - 1) + 0), \
      graph (word(places, 3 * i) + 0) left textcolor rgb colour_of(setting(i, count))
  }
  plot sprintf(FRONT, metric) using 'x':'value' with lines linecolor rgb BASELINE_COLOUR dashtype (4,3), \
    for [i = 1:count] data using (only(is('mean', metric, i), 'x')):(only(is('mean', metric, i), 'value')):\
      (only(is('mean', metric, i), 'bar_low')):(only(is('mean', metric, i), 'bar_high')) \
      with yerrorbars linetype setting(i, count) dashtype solid pointtype 7 pointsize 0.8, \
    for [i = 1:count] data using (only(is('seed', metric, i), 'x')):(only(is('seed', metric, i), 'value')) \
      with points linetype setting(i, count) pointtype 6 pointsize 0.4
  unset label
}
if (!direct) {
  @LEGEND
  plot for [i = 1:count] NaN with points linetype setting(i, count) pointtype 7 title fitted(word(settings, i))
}
unset multiplot
