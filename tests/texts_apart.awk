# texts_apart.awk - which texts of a figure touch each other or leave the page:
#
#   awk -f tests/texts_apart.awk FIGURE.svg...
#
# The figures are gnuplot's SVG: a <g> with the place, the angle, the font's size and the anchor, and
# its <text> on the next line. Widths are those of DejaVu Sans, as wide a font as `sans-serif` is
# anywhere. Texts of one angle are compared with each other; less than a blank between two is none.
# Exit 1: there are such texts.
BEGIN {
  narrow = "fijlrt.,:;'|!()/ -"
  for (i = 1; i <= length(narrow); i++) em[substr(narrow, i, 1)] = 0.35
  for (i = 32; i < 127; i++) {
    c = sprintf("%c", i)
    if (!(c in em)) em[c] = c ~ /[mwMW%+=<>]/ ? 0.9 : c ~ /[A-Z]/ ? 0.68 : c ~ /[0-9]/ ? 0.64 : 0.6
  }
}

function attribute(line, name,   rest) {
  if (!match(line, name "=\"[^\"]*\"")) return ""
  rest = substr(line, RSTART + length(name) + 2, RLENGTH - length(name) - 3)
  return rest
}

function tell(what) {
  print FILENAME ": " what
  bad = 1
}

function is_off(x, y) { return x < 0 || y < 0 || x > page_width || y > page_height }

# The ends of text `n` along its line, and its distance from other lines of the same angle.
function place(n, x, y, angle, anchor, w,   c, s, along, i) {
  c = cos(angle * 3.14159265 / 180); s = sin(angle * 3.14159265 / 180)
  along = x * c + y * s
  from[n] = anchor == "end" ? along - w : anchor == "middle" ? along - w / 2 : along
  to[n] = from[n] + w
  across[n] = y * c - x * s
  for (i = 0; i < 4; i++) # its corners, a letter being three quarters of the font's size high
    if (is_off(x + ((i < 2 ? from[n] : to[n]) - along) * c + i % 2 * 0.75 * high[n] * s,
      y + ((i < 2 ? from[n] : to[n]) - along) * s - i % 2 * 0.75 * high[n] * c)) {
      tell("\"" text[n] "\" leaves the page")
      return
    }
}

FNR == 1 { count = 0; page_width = page_height = 0 }
!page_width && /viewBox=/ {
  split(attribute($0, "viewBox"), box, " ")
  page_width = box[3]; page_height = box[4]
}
/<g transform="translate/ {
  transform = attribute($0, "<g transform")
  split(substr(transform, 11), at, /[,)]/)
  turn = match(transform, /rotate\([^)]*/) ? substr(transform, RSTART + 7, RLENGTH - 7) + 0 : 0
  size = attribute($0, "font-size") + 0
  anchor = attribute($0, "text-anchor")
}
/<text>/ {
  line = $0
  sub(/.*<text>(<tspan[^>]*>)? */, "", line)
  sub(/ *(<\/tspan>)?<\/text>.*/, "", line)
  gsub(/&[a-z]*;/, "+", line)
  if (line == "") next
  w = 0
  for (i = 1; i <= length(line); i++) w += (substr(line, i, 1) in em ? em[substr(line, i, 1)] : 0.6)
  text[++count] = line
  angles[count] = turn
  high[count] = size
  place(count, at[1] + 0, at[2] + 0, turn, anchor, w * size)
  for (i = 1; i < count; i++)
    if (angles[i] == turn && from[i] < to[count] + 0.3 * size && from[count] < to[i] + 0.3 * size &&
        (across[i] - across[count]) ^ 2 < (0.35 * (high[i] + size)) ^ 2)
      tell("\"" text[i] "\" and \"" text[count] "\" touch")
}
END { exit bad }
