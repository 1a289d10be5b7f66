# A row per setting, a panel for each leading metric, every seed.
width = 7.2
load 'names.gp'
settings = names('row', 'setting')
rows = words(settings)
height = 1.75 + 0.28 * rows
load 'style.gp'
top = 1 - 0.65 / height # the swept keys have a line of their own

is(kind, metric) = strcol('kind') eq kind && strcol('metric') eq metric

set multiplot
@TEXTS
set label 200 word(names('mean', 'keys'), 1) at screen 0.1 / width, screen top + 0.1 / height left \
  font line_font(word(names('mean', 'keys'), 1))
# Why a setting has no marks, or "-".
reasons = system('awk -F"\t" ''$1 == "row" { printf "\"%s\" ", $9 == "" ? "-" : $9 }'' "$DATA"')
left = name_width('row', 2) > 1.4 ? name_width('row', 2) : 1.4 # inches
metrics = names('mean', 'metric')
labels = names('mean', 'label')
pitch = (width - left) / words(metrics)
do for [i = 1:rows] {
  set label i fitted(word(settings, i)) at screen left / width, first 1 - i right
}
set tmargin at screen top
set bmargin at screen bottom
set border 1
set ytics 1 scale 0 format ''
set grid xtics linetype 1 linecolor rgb '#dddddd' linewidth 0.5 dashtype solid
set grid ytics linetype 1 linecolor rgb '#dddddd' linewidth 0.5 dashtype solid
set offsets graph 0.08, graph 0.08, 0, 0
do for [panel = 1:words(metrics)] {
  metric = word(metrics, panel)
  set yrange [*:*] # of what stats reads
  stats data using (only(strcol('metric') eq metric, 'value')) name 'value' nooutput
  set yrange [0.5 - rows:0.5]
  set xtics step(value_max - value_min)
  set xrange [*:*]
  if (value_max == value_min) { set xrange [value_min - 1:value_max + 1] }
  set xlabel word(labels, panel)
  set lmargin at screen (left + 0.1 + (panel - 1) * pitch) / width
  set rmargin at screen (left - 0.2 + panel * pitch) / width
  do for [i = 1:rows] {
    if (word(reasons, i) ne '-') {
      set label 300 + i word(reasons, i) at graph 0.02, first 1 - i left textcolor rgb '#777777'
    }
  }
  plot data using (only(is('mean', metric), 'value')):'place':\
      (only(is('mean', metric), 'bar_low')):(only(is('mean', metric), 'bar_high')) \
      with xerrorbars linetype 1 pointtype 1 \
      pointsize 1.2, \
    data using (only(is('seed', metric), 'value')):'place' with points linetype 1 \
      pointtype 6 pointsize 0.8
  unset label
}
unset multiplot
