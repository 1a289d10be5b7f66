# names.gp - the names in the rows of $DATA and the room they take: what a figure has to know before it
# sets its page's size.

# The distinct values of column `field` in rows of a kind, in order, each quoted for word().
names(kind, field) = system(sprintf('awk -F"\t" -v kind=%s -v field=%s ' . "'" . \
  'NR == 1 { for (i = 1; i <= NF; i++) if ($i == field) column = i } ' . \
  'NR > 1 && $1 == kind && $column != "" && !seen[$column]++ { printf "\"%%s\" ", $column }' . "' \"$DATA\"", \
  kind, field))

# Inches that the longest name of `column` (a number, in rows of `kind`, or all with "") takes at a
# figure's left side; `fitted` shortens the few names that would take more than half the page.
NAME_MAX = 42
name_width(kind, number) = 0.2 + 0.072 * (system(sprintf("awk -F'\t' -v kind='%s' 'NR > 1 && " . \
  "(kind == \"\" || $1 == kind) && length($%d) > most { most = length($%d) } " . \
  "END { print (most > %d ? %d : most + 0) }' \"$DATA\"", kind, number, number, NAME_MAX, NAME_MAX)) + 0)
fitted(name) = strlen(name) <= NAME_MAX ? name : \
  name[1:NAME_MAX / 2 - 2] . '...' . name[strlen(name) - NAME_MAX / 2 + 2:*]
# Rows of a legend across the page, of `entries` names that take `inches` each beside their lines.
rows_of(entries, inches) = (entries + int(6.8 / (inches + 0.5)) - 1) / int(6.8 / (inches + 0.5))
