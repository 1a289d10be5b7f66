# The first held-out image of each setting's contact sheet, and what its reconstruction and the fill
# differ by from it.
# A sheet (mae/evaluate/sheet.c) is a head of 21 pixels, then strips: four cells with gaps of 8 pixels
# before, between and after them, over 13 pixels for captions. All of this is `size` times as large; at
# size 2 every other strip is of differences.
load 'page.gp'
sheet_head = 21
gap = 8
under = 13
lines = system('awk ''END { print NR - 1 }'' "$DATA"') + 0
item(line, field) = system(sprintf('awk -F"\t" ''NR == %d { print $%d }'' "$DATA"', line + 1, field))
number(line, field) = item(line, field) + 0
# Names stand beside the strips, or over them where the page is narrow.
starts = narrow ? 0 : name_width('', 1) > 0.95 ? name_width('', 1) : 0.95
over = narrow ? 0.2 : 0.05
strip_height(line) = (width - starts) * (number(line, 2) + under) * number(line, 3) / (4.0 * number(line, 2) + 5 * gap)
panels = 1
above = 0.45
panel_height = 0 # of all strips
below = -0.45 # there are no tics
do for [line = 1:lines] { panel_height = panel_height + strip_height(line) + over }
load 'style.gp'

set multiplot
@TEXTS
set label 100 (item(1, 4) eq '-' ? '' : item(1, 4)) at screen 0.08 / width, \
  screen 1 - (head - above + 0.08) / height left font line_font(item(1, 4))
unset border
unset tics
unset grid
set autoscale noextend
y = head # from the page's top
do for [line = 1:lines] {
  size = number(line, 3)
  cell = number(line, 2) * size
  strip = 4 * cell + 5 * gap * size
  y = y + over
  name = fitted(item(line, 1)) . (item(line, 6) eq 'LEAKY' ? (narrow ? ', ' : "\n") . 'LEAKY' : '')
  if (narrow) { set label 1 name at screen 0.08 / width, screen 1 - (y - 0.08) / height left } else {
    set label 1 name at screen (starts - 0.08) / width, screen 1 - (y + 0.2 * (width - starts) / 2) / height right
  }
  set lmargin at screen starts / width
  set rmargin at screen 1
  set tmargin at screen 1 - y / height
  set bmargin at screen 1 - (y + strip_height(line)) / height
  if (line == 1) {
    do for [column = 1:4] {
      set label 1 + column word('original masked reconstruction "harmonic fill"', column) at screen \
        (starts + (width - starts) * (gap * size + (column - 0.5) * cell + (column - 1) * gap * size) / strip) / width, \
        screen 1 - (head - 0.12 - (narrow ? 0 : over)) / height center font font(narrow ? 8 : 10)
    }
  }
  plot item(line, 5) binary filetype=png every \
    1:1:0:(sheet_head * size):(strip - 1):(sheet_head * size + (cell + under * size) * size - 1) with rgbimage
  unset label
  y = y + strip_height(line)
}
unset multiplot
