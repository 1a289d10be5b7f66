# style.gp - what the figures share: page, colours, marks, and the text around the panels.
#
# A figure sets width and height in inches before it loads this (names.gp says how many names there
# are and how long they get), then places its panels between the
# screen coordinates `bottom` (of the axis; its tics and title hang below) and `top`, and says @TEXTS
# once, before its first panel. draw.sh passes FORMAT (svg or pdf), OUTPUT, DATA (the TSV), TITLE and
# CAPTION in the environment, so that no text out of the database is ever read as a command.

environment(name) = system('printf %s "$' . name . '"')
if (environment('FORMAT') eq 'pdf') {
  set terminal pdfcairo noenhanced font 'sans-serif,7.2' fontscale 0.75 pointscale 0.8 size width,height
} else {
  set terminal svg noenhanced font 'sans-serif,11' size width*100,height*100 background 'white'
}
set output environment('OUTPUT')
data = environment('DATA')
set datafile separator tab
set datafile columnheaders

# Okabe and Ito's colours, in an order whose greys differ; every line has its own mark and dashes too.
set linetype 1 linecolor rgb '#0072B2' linewidth 1.5 pointtype 7  dashtype solid
set linetype 2 linecolor rgb '#D55E00' linewidth 1.5 pointtype 5  dashtype (14,5)
set linetype 3 linecolor rgb '#56B4E9' linewidth 1.5 pointtype 9  dashtype (4,3)
set linetype 4 linecolor rgb '#000000' linewidth 1.5 pointtype 13 dashtype (14,4,3,4)
set linetype 5 linecolor rgb '#009E73' linewidth 1.5 pointtype 11 dashtype (22,4)
set linetype 6 linecolor rgb '#CC79A7' linewidth 1.5 pointtype 15 dashtype (8,3,3,3,3,3)
set linetype 7 linecolor rgb '#E69F00' linewidth 1.5 pointtype 6  dashtype (2,2)
set linetype 8 linecolor rgb '#666666' linewidth 1.5 pointtype 4  dashtype (10,2,2,2)
set linetype cycle 8
set pointsize 0.55

set border 3 linecolor rgb '#444444' linewidth 0.8
set tics out nomirror scale 0.6 textcolor rgb '#000000'
set grid ytics linetype 1 linecolor rgb '#dddddd' linewidth 0.5 dashtype solid
set key noautotitle samplen 2.5 spacing 1.1

# A legend across the page under the title, in a last panel of its own that has nothing else: after
# @LEGEND, plot NaN with the titles.
LEGEND = "unset label; unset border; unset tics; unset xlabel; unset ylabel; unset grid; \
set lmargin at screen 0; set rmargin at screen 1; set bmargin at screen 0; set tmargin at screen 1; \
set xrange [0:1]; set yrange [0:1]; \
set key at screen 0.5, screen 1 - 0.5 / height center center horizontal maxrows 1 reverse Left"

# A field of the rows where the condition holds, nothing to draw elsewhere.
only(condition, field) = condition ? column(field) : NaN
# A round step that cuts a range into about five; for panels too narrow for the default's ten tics.
round_down(x) = 10 ** floor(log10(x))
step(range) = range > 0 ? round_down(range / 5) * \
  (range / 5 < 2 * round_down(range / 5) ? 2 : range / 5 < 5 * round_down(range / 5) ? 5 : 10) : 1
# The font of a line of text across the page, smaller where it would leave the page.
line_font(text) = sprintf(',%.1f', (environment('FORMAT') eq 'pdf' ? 7.2 : 11) * \
  (strlen(text) > 84 ? 84.0 / strlen(text) : 1))
set errorbars 0

caption_lines = int(system('printf "%s\n" "$CAPTION" | wc -l'))
bottom = (0.62 + 0.14 * caption_lines) / height
top = 1 - 0.45 / height
TEXTS = "set label 101 environment('TITLE') at screen 0.5, screen 1 - 0.2 / height center \
  font ',' . (environment('FORMAT') eq 'pdf' ? '9' : '14'); \
set label 102 environment('CAPTION') at screen 0.1 / width, \
  screen (0.14 * caption_lines - 0.03) / height left font ',' . (environment('FORMAT') eq 'pdf' ? \
  '6.2' : '9.5') textcolor rgb '#444444'"
