# A panel each for what a probe reads from the features, the PSNR above harmonic inpainting, and the
# training speed, against the experiment's x. Panels without numbers are left out.
width = 7.2
load 'names.gp'
panels = names('mean', 'panel')
ours = system('awk -F"\t" ''$1 == "mean" && $2 == "probe" && !seen[$3]++ { printf "\"%s\" ", $3 }'' "$DATA"')
baselines = names('baseline', 'series')
paper = names('paper', 'series')
labels = names('tick', 'label')
numeric = word(names('tick', 'value'), 1) eq '1'
probed = words(ours) > 0
# Names under a panel are turned, and take room below it; the first also to the left.
longest = system('awk -F"\t" ''$1 == "tick" && length($8) > most { most = length($8) } END { print most }'' "$DATA"') + 0
edge(sign) = system(sprintf('awk -F"\t" ''($1 == "tick" || $1 == "paper") && (!n++ || %d * ($4 - x) > 0) { x = $4 } END { print x }'' "$DATA"', sign)) + 0
x_min = edge(-1)
x_max = edge(1)
is_log = numeric && x_min > 0 && x_max >= 10 * x_min
turned = (!numeric || is_log) && longest * words(labels) > 14
below = turned ? 0.042 * longest : 0 # inches
entries = words(ours) + words(baselines) + words(paper)
widest = system('awk -F"\t" ''$2 == "probe" && length($3) > most { most = length($3) } END { print most + 0 }'' "$DATA"') + 0
legend_rows = probed ? rows_of(entries, 0.2 + 0.072 * widest) : 0
captions = int(system('printf "%s\n" "$CAPTION" | wc -l')) # a verdict takes lines, not from the panels
height = 3.0 + 0.17 * legend_rows + below + 0.14 * captions
load 'style.gp'
top = 1 - (0.47 + (probed ? 0.12 : 0) + 0.17 * legend_rows) / height
bottom = bottom + below / height

is(kind, panel) = strcol('kind') eq kind && strcol('panel') eq panel
is_of(kind, series) = is(kind, 'probe') && strcol('series') eq series
# Beside each other, where they would lie upon each other.
shift(i) = numeric || words(ours) < 2 ? 0 : 0.16 * (i - 1.5)
PAPER = "linecolor rgb '#CC79A7'"
# A part of a plot command, empty where nothing was published: gnuplot refuses an axis without points.
PUBLISHED = words(paper) == 0 ? '' : \
  "data using 'x':(only(strcol('kind') eq 'paper', 'value')) axes x1y2 with lines " . PAPER \
  . " linewidth (numeric ? 1 : 0) dashtype (2,3), " \
  . "data using 'x':(only(strcol('kind') eq 'paper', 'value')) axes x1y2 with points " . PAPER \
  . " linewidth 1.5 pointtype 12 pointsize 0.6, "

left(panel) = word(panels, panel) eq 'probe' ? 0.6 : 0.75
right(panel) = word(panels, panel) eq 'probe' && words(paper) ? 0.6 : 0.12
pitch = width / words(panels)

set multiplot
@TEXTS
set tmargin at screen top
set bmargin at screen bottom
set xlabel word(names('tick', 'series'), 1)
if (is_log) {
  set logscale x
  set xrange [x_min / 1.3:x_max * 1.3]
} else {
  set xrange [x_min - (numeric ? 0.06 * (x_max - x_min) : 0.5):x_max + (numeric ? 0.06 * (x_max - x_min) : 0.5)]
}
if (numeric && !is_log) { set xtics step(x_max - x_min) } else { set xtics () }
if (turned) { set xtics rotate by 35 right }
do for [i = 1:words(labels)] {
  if (!numeric || is_log) {
    place = system(sprintf('awk -F"\t" -v n=%d ''$1 == "tick" && ++i == n { print $4 }'' "$DATA"', i)) + 0
    set xtics add (word(labels, i) place)
  }
}
do for [panel = 1:words(panels)] {
  name = word(panels, panel)
  set lmargin at screen ((panel - 1) * pitch + left(panel)) / width
  set rmargin at screen (panel * pitch - right(panel)) / width
  set offsets 0, 0, graph 0.08, graph 0.08
  set yrange [*:*]
  if (name eq 'probe') {
    set ylabel 'top-1 accuracy of the probe (%)' offset 1,0
    set yrange [0:*]
    set offsets 0, 0, graph 0.08, 0
    if (words(paper)) {
      set border 11
      set y2tics textcolor rgb '#a2457f'
      set y2label word(paper, 1)[1:strstrt(word(paper, 1), ' (') - 1] . ' (%)' offset -1,0 \
        textcolor rgb '#a2457f'
    }
    plot for [i = 1:words(baselines)] data using 'x':(only(is_of('baseline', word(baselines, i)), 'value')) \
        with linespoints linecolor rgb '#666666' dashtype i + 1 linewidth 1 pointtype 4 * i pointsize 0.4, \
      @PUBLISHED \
      for [i = 1:words(ours)] data using (column('x') + shift(i)):\
        (only(is_of('mean', word(ours, i)), 'value')) with lines linetype i linewidth (numeric ? 1.5 : 0), \
      for [i = 1:words(ours)] data using (column('x') + shift(i)):\
        (only(is_of('mean', word(ours, i)), 'value')):\
        (only(is_of('mean', word(ours, i)), 'low')):(only(is_of('mean', word(ours, i)), 'high')) with yerrorbars linetype i dashtype solid, \
      for [i = 1:words(ours)] data using (column('x') + shift(i)):\
        (only(is_of('seed', word(ours, i)), 'value')) with points linetype i pointtype 6 pointsize 0.4
    unset y2tics
    unset y2label
    set border 3
  } else {
    if (name eq 'gain') { set ylabel 'gain over fill_harmonic (dB)' offset 1,0 }
    if (name eq 'speed') {
      set ylabel 'training speed (images/s)' offset 1,0
      set yrange [0:*]
      set offsets 0, 0, graph 0.08, 0
    }
    plot data using 'x':(only(is('mean', name), 'value')) with lines linetype 1 linewidth (numeric ? 1.5 : 0), \
      data using 'x':(only(is('mean', name), 'value')):(only(is('mean', name), 'low')):\
        (only(is('mean', name), 'high')) with yerrorbars linetype 1 dashtype solid, \
      data using 'x':(only(is('seed', name), 'value')) with points linetype 1 pointtype 6 pointsize 0.4
  }
  unset label
}
if (probed) {
  unset logscale # before the legend's own range: 0 has no logarithm
  @LEGEND
  set key maxrows legend_rows at screen 0.5, screen 1 - (0.41 + 0.09 * legend_rows) / height
  plot for [i = 1:words(ours)] NaN with linespoints linetype i title word(ours, i), \
    for [j = 1:words(baselines)] NaN with linespoints linecolor rgb '#666666' dashtype j + 1 linewidth 1 \
      pointtype 4 * j pointsize 0.4 title word(baselines, j), \
    for [k = 1:words(paper)] NaN with linespoints @PAPER linewidth 1 dashtype (2,3) pointtype 12 \
      pointsize 0.6 title word(paper, k)
}
unset multiplot
