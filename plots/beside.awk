# beside.awk - where the names of points go, to the right of each: prints "NAME" X Y for every row of
# kind mean with the metric, in their order, in parts of the panel's size from its lower left corner. A
# name that would lie on another or on the axis below moves down or up to the nearest free place. Names
# of points on the front stand a little lower: the line that goes on from there rises.
#
# x_low, x_high, low, high: the axes; gap: the height of a line of text; inches: the panel's width.
NR == 1 {
  for (i = 1; i <= NF; i++) column[$i] = i
  next
}
$1 == "mean" && $column["metric"] == metric && $column["value"] != "" {
  name[++count] = $column["setting"]
  x[count] = ($column["x"] - x_low) / (x_high - x_low) + 0.1 / inches
  y[count] = ($column["value"] - low) / (high - low) - ($column["front"] == 1 ? 0.6 * gap : 0)
  wide[count] = 0.08 * length($column["setting"]) / inches
}
function is_free(n, at,   i) {
  if (at < 0.5 * gap) return 0
  for (i = 1; i < n; i++)
    if (x[n] < x[i] + wide[i] && x[i] < x[n] + wide[n] && at - y[i] < gap && y[i] - at < gap) return 0
  return 1
}
END {
  for (n = 1; n <= count; n++) {
    wanted = y[n]
    for (k = 0; k <= 2 * count && !is_free(n, y[n]); k++)
      y[n] = wanted + (k % 2 ? 1 : -1) * int(k / 2 + 1) * gap
    printf "\"%s\" %.4f %.4f ", name[n], x[n], y[n]
  }
}
