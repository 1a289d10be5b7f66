# Strips cut out of the contact sheets: a line per setting, up to two held-out images side by side.
# A sheet (mae/evaluate/sheet.c) is a head of 21 pixels, then a strip per image: four cells with gaps of 8
# pixels before, between and after them, over 13 pixels for captions.
width = 7.2
sheet_head = 21
gap = 8
foot = 13
lines = system('awk ''END { print NR - 1 }'' "$DATA"') + 0
item(line, field) = system(sprintf('awk -F"\t" ''NR == %d { print $%d }'' "$DATA"', line + 1, field))
images = 1
do for [line = 1:lines] { if (item(line, 3) > images) { images = item(line, 3) + 0 } }
load 'names.gp'
left = name_width('', 1) > 0.95 ? name_width('', 1) : 0.95 # inches, for the settings' names
strip = (width - left - 0.05) / images # of the page, for one strip
cell = item(1, 2) + 0
strip_height = strip * (cell + foot) / (4 * cell + 5 * gap)
height = 1.15 + lines * strip_height
load 'style.gp'

set multiplot
@TEXTS
set label 100 (item(1, 4) eq '-' ? '' : item(1, 4)) at screen 0.1 / width, screen 1 - 0.42 / height left \
  font line_font(item(1, 4))
unset border
unset tics
unset grid
set autoscale noextend
do for [line = 1:lines] {
  cell = item(line, 2) + 0
  strip_width = 4 * cell + 5 * gap
  y = 1 - (0.72 + (line - 1) * strip_height) / height
  set label 1 fitted(item(line, 1)) . (item(line, 6) eq 'LEAKY' ? "\nLEAKY" : '') at screen (left - 0.08) / width, screen y - 0.4 * strip_height / height \
    right
  set tmargin at screen y
  set bmargin at screen y - strip_height / height
  do for [image = 1:(item(line, 3) < images ? item(line, 3) + 0 : images)] {
    set lmargin at screen (left + (image - 1) * strip) / width
    set rmargin at screen (left + image * strip) / width
    start = sheet_head + (image - 1) * (cell + foot)
    if (line == 1) {
      do for [column = 1:4] {
        set label 1 + column word('original masked reconstruction "harmonic fill"', column) at \
          first gap + (column - 0.5) * cell + (column - 1) * gap, graph 1.09 center font \
          sprintf(',%.1f', (environment('FORMAT') eq 'pdf' ? 6.5 : 9) * (strip < 3.1 ? strip / 3.1 : 1))
      }
    }
    plot item(line, 5) binary filetype=png every \
      1:1:0:start:strip_width - 1:start + cell + foot - 1 with rgbimage
    unset label
  }
}
unset multiplot
