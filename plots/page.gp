# page.gp - what a figure has to know before it sets its page's height: the page's width, the names in
# the rows of $DATA, and the room they take. Lengths are in inches.
#
# draw.sh passes PAGE, FORMAT (svg or pdf), OUTPUT, DATA (the TSV), TITLE and CAPTION in the
# environment, so that no text out of the database is ever read as a command.

environment(name) = system('printf %s "$' . name . '"')
# PAGE is wide, for a slide, a screen or both columns of a paper, or column, for one of them: there the
# panels stand under each other.
narrow = environment('PAGE') eq 'column'
width = narrow ? 3.35 : 7.2

# The distinct values of column `field` in rows of a kind, in order, each quoted for word().
names(kind, field) = system(sprintf('awk -F"\t" -v kind=%s -v field=%s ' . "'" . \
  'NR == 1 { for (i = 1; i <= NF; i++) if ($i == field) column = i } ' . \
  'NR > 1 && $1 == kind && $column != "" && !seen[$column]++ { printf "\"%%s\" ", $column }' . "' \"$DATA\"", \
  kind, field))

# What the longest name of `column` (a number, in rows of `kind`, or all with "") takes; `fitted`
# shortens the few names that would take more than their share of the page.
NAME_MAX = narrow ? 18 : 42
name_width(kind, number) = 0.2 + 0.072 * (system(sprintf("awk -F'\t' -v kind='%s' 'NR > 1 && " . \
  "(kind == \"\" || $1 == kind) && length($%d) > most { most = length($%d) } " . \
  "END { print (most > %d ? %d : most + 0) }' \"$DATA\"", kind, number, number, NAME_MAX, NAME_MAX)) + 0)
fitted(name) = strlen(name) <= NAME_MAX ? name : \
  name[1:NAME_MAX / 2 - 2] . '...' . name[strlen(name) - NAME_MAX / 2 + 2:*]
# Rows of a legend across the page, of `entries` names that take `inches` each beside their lines.
per_row(inches) = int((width - 0.2) / (inches + 0.5)) > 0 ? int((width - 0.2) / (inches + 0.5)) : 1
rows_of(entries, inches) = (entries + per_row(inches) - 1) / per_row(inches)

# Room that a figure may ask for: between the title and the panels, at the page's sides, and at each
# panel's for its tics and labels.
above = 0.1
starts = 0
ends = 0
left = 0.62
right = 0.1
below = 0
