# style.gp - what the figures share: page, colours, marks, and the text around the panels.
#
# A figure loads page.gp, sets `panels` (how many), `panel_height` and whatever else of page.gp's room
# it needs, and loads this. It says @TEXTS once, before its first panel, and @PLACE before each, with
# the panel's number in `panel`.

across = narrow ? 1 : panels # beside each other
down = (panels + across - 1) / across
title_lines = int(system('printf "%s\n" "$TITLE" | wc -l'))
caption_lines = int(system('printf "%s\n" "$CAPTION" | wc -l'))
head = 0.1 + 0.2 * title_lines + above
row_height = panel_height + 0.5 + below # with its tics and the axis's name
foot = 0.08 + 0.14 * caption_lines
height = head + down * row_height + foot
pitch = (width - starts - ends) / across

if (environment('FORMAT') eq 'pdf') {
  set terminal pdfcairo noenhanced font 'sans-serif,7.2' fontscale 0.75 pointscale 0.8 size width,height
} else {
  set terminal svg noenhanced font 'sans-serif,11' size width*100,height*100 background 'white'
}
set output environment('OUTPUT')
data = environment('DATA')
set datafile separator tab
set datafile columnheaders

# The same colour for the same thing in every figure: the model and its linear probe blue, nearest
# neighbours light blue, whatever it is held against grey, published numbers purple, and a setting the
# colour of its place in the plan (linetypes 11 and on: `setting`), like viridis, but dark
# enough for text. Every line has its own mark and dashes too.
BASELINE_COLOUR = '#666666'
PAPER_COLOUR = '#a2457f'
set linetype 1 linecolor rgb '#0072B2' linewidth 1.5 pointtype 7  dashtype solid
set linetype 2 linecolor rgb '#56B4E9' linewidth 1.5 pointtype 5  dashtype (14,5)
SETTINGS = "#440154 #46327e #365c8d #277f8e #1f9e6e #3f9b3f #6f9200 #9c8400"
set linetype 11 linecolor rgb word(SETTINGS, 1) linewidth 1.5 pointtype 7  dashtype solid
set linetype 12 linecolor rgb word(SETTINGS, 2) linewidth 1.5 pointtype 5  dashtype (14,5)
set linetype 13 linecolor rgb word(SETTINGS, 3) linewidth 1.5 pointtype 9  dashtype (4,3)
set linetype 14 linecolor rgb word(SETTINGS, 4) linewidth 1.5 pointtype 13 dashtype (14,4,3,4)
set linetype 15 linecolor rgb word(SETTINGS, 5) linewidth 1.5 pointtype 11 dashtype (22,4)
set linetype 16 linecolor rgb word(SETTINGS, 6) linewidth 1.5 pointtype 15 dashtype (8,3,3,3,3,3)
set linetype 17 linecolor rgb word(SETTINGS, 7) linewidth 1.5 pointtype 6  dashtype (2,2)
set linetype 18 linecolor rgb word(SETTINGS, 8) linewidth 1.5 pointtype 4  dashtype (10,2,2,2)
# The linetype of setting i of n: few settings take colours that lie far apart.
setting(i, n) = 11 + (n <= 1 ? 0 : n > 8 ? (i - 1) % 8 : int((i - 1) * 7.0 / (n - 1) + 0.5))
colour_of(linetype) = linetype == 1 ? '#0072B2' : word(SETTINGS, linetype - 10)
set pointsize 0.55

set border 3 linecolor rgb '#444444' linewidth 0.8
set tics out nomirror scale 0.6 textcolor rgb '#000000'
set grid ytics linetype 1 linecolor rgb '#dddddd' linewidth 0.5 dashtype solid
set key noautotitle samplen 2.5 spacing 1.1
set xtics offset 0,0.2
set xlabel offset 0,0.6

# A legend across the page under the title, in a last panel of its own that has nothing else: after
# @LEGEND, plot NaN with the titles.
LEGEND = "unset label; unset border; unset tics; unset xlabel; unset ylabel; unset grid; \
unset logscale; set lmargin at screen 0; set rmargin at screen 1; set bmargin at screen 0; \
set tmargin at screen 1; set xrange [0:1]; set yrange [0:1]; \
set key at screen 0.5, screen 1 - (head - above + 0.05) / height center top horizontal maxrows legend_rows \
  reverse Left"

PLACE = "set lmargin at screen (starts + (panel - 1) % across * pitch + left) / width; \
set rmargin at screen (starts + ((panel - 1) % across + 1) * pitch - right) / width; \
set tmargin at screen 1 - (head + (panel - 1) / across * row_height) / height; \
set bmargin at screen 1 - (head + (panel - 1) / across * row_height + panel_height) / height"

# A field of the rows where the condition holds, nothing to draw elsewhere.
only(condition, field) = condition ? column(field) : NaN
# A round step that cuts a range into about five, or three; for panels too narrow for the default's ten
# tics.
round_down(x) = 10 ** floor(log10(x))
round_up(x) = x <= round_down(x) ? round_down(x) : x <= 2 * round_down(x) ? 2 * round_down(x) : \
  x <= 5 * round_down(x) ? 5 * round_down(x) : 10 * round_down(x)
step(range) = range > 0 ? round_up(range / 5.5) : 1
coarse_step(range) = range > 0 ? round_up(range / 4.5) : 1
# A font of gnuplot's by its size in an SVG.
font(size) = sprintf(',%.1f', size * (environment('FORMAT') eq 'pdf' ? 0.655 : 1))
# The font of a line of text across the page, smaller where it would leave the page.
line_font(text) = font(11.0 * (strlen(text) > 11.6 * width ? 11.6 * width / strlen(text) : 1))
set errorbars 0

TEXTS = "set label 101 environment('TITLE') at screen 0.5, screen 1 - 0.18 / height center \
  font font(narrow ? 12 : 14); \
set label 102 environment('CAPTION') at screen 0.08 / width, \
  screen (0.14 * caption_lines - 0.03) / height left font font(9.5) textcolor rgb '#444444'"

# The names of lines at their right ends, in place of a legend: "NAME" PLACE pairs for word(), the place
# in parts of the panel's height, on an axis from low to high (ends.awk says which rows count).
line_ends(kinds, condition, low, high) = system(sprintf("awk -F'\t' -v kind=%s -v condition='%s' " . \
  "-v low=%.9g -v high=%.9g -v gap=%.4f -f ends.awk \"$DATA\"", kinds, condition, low, high, \
  0.15 / panel_height))
# The room at a panel's left: for an axis's name, and for its numbers from low to high.
digits_of(step) = step >= 1 ? 0 : int(ceil(-log10(step) - 1e-9))
number_text(number, step) = sprintf(sprintf('%%.%df', digits_of(step)), number)
longer(one, two) = strlen(one) > strlen(two) ? strlen(one) : strlen(two)
axis_room(low, high) = 0.4 + 0.066 * \
  longer(number_text(low, step(high - low)), number_text(high, step(high - low)))
# An axis that leaves a little room around all values of a panel, and at its left; after `stats` named
# `value`.
FIT = "low = value_min - 0.06 * (value_max - value_min); high = value_max + 0.06 * (value_max - value_min); \
if (high <= low) { low = value_min - 1; high = value_max + 1 }; set yrange [low:high]; set ytics step(high - low); left = axis_room(low, high)"
# Puts the names of line_ends, in `at_end`, beside the panel; COLOUR_OF is the colour of name i.
NAMES = "do for [i = 1:words(at_end) / 2] { \
  set label i fitted(word(at_end, 2 * i - 1)) at graph 1.02, graph (word(at_end, 2 * i) + 0) left \
    textcolor @COLOUR_OF }"
