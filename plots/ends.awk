# ends.awk - where the names of lines go at their right ends, in parts of the panel's height from its
# bottom: prints, for each line in the order of the rows, "NAME" PLACE. Names that would touch are
# pushed apart, the lower ones down, and all of them up again where they would leave the panel.
#
# Rows of the kinds in `kind` (between commas) count; with `condition` NAME=VALUE only those with that
# field. The columns are found by their names: `name`, or `setting`, or `series` is the line's name, and
# the last row of a name has its `value`. low, high: the axis; gap: the height of a line of text.
NR == 1 {
  for (i = 1; i <= NF; i++) column[$i] = i
  name = "words" in column ? column["words"] : "setting" in column ? column["setting"] : column["series"]
  split(condition, test, "=")
  next
}
index("," kind ",", "," $1 ",") && (test[1] == "" || $column[test[1]] == test[2]) && $column["value"] != "" {
  if (!($name in last)) order[++count] = $name
  last[$name] = ($column["value"] - low) / (high - low)
}
END {
  for (i = 1; i <= count; i++) sorted[i] = order[i]
  for (i = 2; i <= count; i++) # by value, the highest first
    for (j = i; j > 1 && last[sorted[j]] > last[sorted[j - 1]]; j--) {
      other = sorted[j]; sorted[j] = sorted[j - 1]; sorted[j - 1] = other
    }
  for (i = 1; i <= count; i++) {
    place[sorted[i]] = last[sorted[i]]
    if (i > 1 && place[sorted[i]] > place[sorted[i - 1]] - gap)
      place[sorted[i]] = place[sorted[i - 1]] - gap
  }
  floor = 0
  for (i = count; i >= 1; i--) {
    if (place[sorted[i]] < floor) place[sorted[i]] = floor
    floor = place[sorted[i]] + gap
  }
  for (i = 1; i <= count; i++) printf "\"%s\" %.4f ", order[i], place[order[i]]
}
