# A row per setting, a panel for each leading metric, every seed.
load 'page.gp'
settings = names('row', 'setting')
rows = words(settings)
metrics = names('mean', 'metric')
labels = names('mean', 'label')
panels = words(metrics)
panel_height = 0.25 + 0.25 * rows
above = 0.32 # the swept keys have a line of their own
starts = name_width('row', 2) > 0.9 ? name_width('row', 2) : 0.9
left = 0.08
right = 0.15
load 'style.gp'

is(kind, metric, i) = strcol('kind') eq kind && strcol('metric') eq metric && column('place') == 1 - i
KEYS = "set label 200 word(names('row', 'keys'), 1) at screen 0.08 / width, \
  screen 1 - (head - 0.16) / height left font line_font(word(names('row', 'keys'), 1))"
# Why a setting has no marks, or "-".
reasons = system('awk -F"\t" ''$1 == "row" { printf "\"%s\" ", $9 == "" ? "-" : $9 }'' "$DATA"')

set multiplot
@TEXTS
@KEYS
set border 1
set ytics 1 scale 0 format ''
set grid xtics linetype 1 linecolor rgb '#dddddd' linewidth 0.5 dashtype solid
set grid ytics linetype 1 linecolor rgb '#dddddd' linewidth 0.5 dashtype solid
do for [panel = 1:panels] {
  metric = word(metrics, panel)
  set yrange [*:*] # of what stats reads
  set xrange [*:*]
  stats data using (only(strcol('metric') eq metric, 'value')) name 'value' nooutput
  set yrange [0.5 - rows:0.5]
  spread = value_max > value_min ? value_max - value_min : 1
  set xtics coarse_step(spread)
  set xrange [value_min - 0.1 * spread:value_max + 0.1 * spread]
  set xlabel word(labels, panel)
  @PLACE
  do for [i = 1:rows] {
    if ((panel - 1) % across == 0) {
      set label i fitted(word(settings, i)) at screen (starts - 0.02) / width, first 1 - i right
    }
    if (word(reasons, i) ne '-') {
      set label 300 + i word(reasons, i) at graph 0.02, first 1 - i left textcolor rgb '#777777'
    }
  }
  plot for [i = 1:rows] data using (only(is('mean', metric, i), 'value')):'place':\
      (only(is('mean', metric, i), 'bar_low')):(only(is('mean', metric, i), 'bar_high')) \
      with xerrorbars linetype setting(i, rows) pointtype 1 dashtype solid pointsize 1.2, \
    for [i = 1:rows] data using (only(is('seed', metric, i), 'value')):'place' with points \
      linetype setting(i, rows) pointtype 6 pointsize 0.8
  unset label
}
unset multiplot
