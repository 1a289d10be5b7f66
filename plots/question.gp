# A panel each for what a probe reads from the features, the PSNR above harmonic inpainting, and the
# training speed, against the experiment's x. Panels without numbers are left out.
load 'page.gp'
panel_names = names('mean', 'panel')
panels = words(panel_names)
ours = system('awk -F"\t" ''$1 == "mean" && $2 == "probe" && !seen[$3]++ { printf "\"%s\" ", $3 }'' "$DATA"')
baselines = names('baseline', 'series')
paper = names('paper', 'series')
labels = names('tick', 'label')
numeric = word(names('tick', 'value'), 1) eq '1'
probed = words(ours) > 0
edge(sign) = system(sprintf('awk -F"\t" ''($1 == "tick" || $1 == "paper") && (!n++ || %d * ($4 - x) > 0) { x = $4 } END { print x }'' "$DATA"', sign)) + 0
x_min = edge(-1)
x_max = edge(1)
is_log = numeric && x_min > 0 && x_max >= 10 * x_min
panel_height = narrow ? 1.6 : 2.0
room_left(name) = name eq 'probe' ? 0.55 : name eq 'gain' ? 0.84 : 0.65
# The axis of published numbers, and the room for them.
published(sign) = system(sprintf('awk -F"\t" ''$1 == "paper" && (!n++ || %d * ($5 - y) > 0) { y = $5 } END { print y + 0 }'' "$DATA"', sign)) + 0
paper_margin = published(1) > published(-1) ? 0.06 * (published(1) - published(-1)) : 1
paper_low = published(-1) - paper_margin
paper_high = published(1) + paper_margin
room_right(name) = name eq 'probe' && words(paper) ? 0.47 + 0.066 * \
  (strlen(sprintf('%.0f', paper_high)) + (paper_high - paper_low >= 5 ? 0 : 2)) : 0.12
# Names under a panel that would touch in the narrowest one are turned, and take room below it: by 35
# degrees where lines of text find room between them and the first does not leave the page, else
# upright, and where even these would touch, only every second, third ... stands.
room = 100.0 # of the narrowest panel
do for [panel = 1:panels] {
  name = word(panel_names, panel)
  inches = width / (narrow ? 1 : panels) - room_left(name) - room_right(name)
  room = inches < room ? inches : room
}
longest = system('awk -F"\t" ''$1 == "tick" && length($8) > most { most = length($8) } END { print most }'' "$DATA"') + 0
longest = 0.07 * (longest > NAME_MAX ? NAME_MAX : longest)
closest = system(sprintf('awk -F"\t" -v ratio=%d ''$1 == "tick" { x = ratio ? log($4) : $4; if (n++ && (n == 2 || x - last < least)) least = x - last; last = x } END { print least + 0 }'' "$DATA"', is_log)) + 0
apart = words(labels) < 2 ? room : room * closest / (is_log ? log(1.69 * x_max / x_min) : x_max - x_min + 1)
named = !numeric || is_log # at the settings, not at round numbers
turned = !named || longest + 0.07 <= apart ? 0 : \
  0.57 * apart >= 0.14 && 0.82 * longest <= 0.5 + 0.5 * apart ? 35 : 90
every = turned == 90 && apart < 0.14 ? int(ceil(0.14 / apart)) : 1
below = turned == 90 ? longest : 0.6 * longest * (turned > 0)
entries = words(ours) + words(baselines) + words(paper)
widest = system('awk -F"\t" ''$2 == "probe" && length($3) > most { most = length($3) } END { print most + 0 }'' "$DATA"') + 0
legend_rows = probed ? rows_of(entries, 0.2 + 0.072 * widest) : 0
above = 0.17 + 0.19 * legend_rows
load 'style.gp'

is(kind, panel) = strcol('kind') eq kind && strcol('panel') eq panel
is_of(kind, series) = is(kind, 'probe') && strcol('series') eq series
# Beside each other, where they would lie upon each other.
shift(i) = numeric || words(ours) < 2 ? 0 : 0.16 * (i - 1.5)
PAPER = "linecolor rgb PAPER_COLOUR"
# A part of a plot command, empty where nothing was published: gnuplot refuses an axis without points.
PUBLISHED = words(paper) == 0 ? '' : \
  "data using 'x':(only(strcol('kind') eq 'paper', 'value')) axes x1y2 with lines " . PAPER \
  . " linewidth (numeric ? 1 : 0) dashtype (2,3), " \
  . "data using 'x':(only(strcol('kind') eq 'paper', 'value')) axes x1y2 with points " . PAPER \
  . " linewidth 1.5 pointtype 12 pointsize 0.6, "

# A round step between numbers that do not touch either.
number_inches(range) = 0.05 + 0.07 * strlen(number_text(x_max, coarse_step(range)))
least_step(range) = 1.12 * range * number_inches(range) / room
number_step(range) = coarse_step(range) >= least_step(range) ? coarse_step(range) : round_up(least_step(range))

set multiplot
@TEXTS
set xlabel word(names('tick', 'series'), 1)
if (is_log) {
  set logscale x
  set xrange [x_min / 1.3:x_max * 1.3]
} else {
  set xrange [x_min - (numeric ? 0.06 * (x_max - x_min) : 0.5):x_max + (numeric ? 0.06 * (x_max - x_min) : 0.5)]
}
every_x = x_max > x_min ? number_step(x_max - x_min) : 1
if (named) { set xtics () } else { set xtics every_x }
if (turned) { set xtics rotate by turned right }
do for [i = 1:words(labels):every] {
  if (named) {
    place = system(sprintf('awk -F"\t" -v n=%d ''$1 == "tick" && ++i == n { print $4 }'' "$DATA"', i)) + 0
    set xtics add (fitted(word(labels, i)) place)
  }
}
do for [panel = 1:panels] {
  name = word(panel_names, panel)
  left = room_left(name)
  right = room_right(name)
  @PLACE
  set offsets 0, 0, graph 0.08, graph 0.08
  set yrange [*:*]
  set ytics autofreq
  if (name eq 'probe') {
    set ylabel 'top-1 accuracy of the probe (%)' offset 1,0
    set yrange [0:*]
    set offsets 0, 0, graph 0.08, 0
    if (words(paper)) {
      set border 11
      set y2range [paper_low:paper_high]
      set y2tics step(paper_high - paper_low) textcolor rgb PAPER_COLOUR
      set y2label word(paper, 1)[1:strstrt(word(paper, 1), ' (') - 1] . ' (%)' offset -1,0 \
        textcolor rgb PAPER_COLOUR
    }
    plot for [i = 1:words(baselines)] data using 'x':(only(is_of('baseline', word(baselines, i)), 'value')) \
        with linespoints linecolor rgb BASELINE_COLOUR dashtype i + 1 linewidth 1 pointtype 4 * i pointsize 0.4, \
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
    if (name eq 'gain') { set ylabel "PSNR of the masked pixels,\ngain over the harmonic fill (dB)" offset 0.4,0 }
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
  @LEGEND
  plot for [i = 1:words(ours)] NaN with linespoints linetype i title word(ours, i), \
    for [j = 1:words(baselines)] NaN with linespoints linecolor rgb BASELINE_COLOUR dashtype j + 1 \
      linewidth 1 pointtype 4 * j pointsize 0.4 title word(baselines, j), \
    for [k = 1:words(paper)] NaN with linespoints @PAPER linewidth 1 dashtype (2,3) pointtype 12 \
      pointsize 0.6 title word(paper, k)
}
unset multiplot
