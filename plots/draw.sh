#!/bin/sh
# Every figure and table, from the database alone.
#
#   sh plots/draw.sh [DB [OUT]]
#
# DB is results/results.db, OUT is plots/out unless given. OUT/EXPERIMENT/ gets, for each experiment
# with finished trials, NAME.tsv, NAME.svg and NAME.pdf of every figure that fits what it sweeps, the
# same for a column of 8.5 cm as NAME-column.svg and .pdf, and table.tsv and table.md; OUT/index.md
# shows them all. The same database gives the same bytes. The pictures of the reconstruction sheet are
# files in the trial folders, taken in only if they have the SHA-256 that the database knows.
#
# Exit 0: drawn; 2: usage; 4: a program or the database is missing, or there is nothing to draw.
set -eu
export LC_ALL=C TZ=UTC

say() {
  echo "draw.sh: $*" >&2
}
refuse() {
  say "$@"
  exit 4
}

if [ $# -gt 2 ] || [ "${1-}" = --help ]; then
  say "usage: sh plots/draw.sh [DB [OUT]]"
  exit 2
fi
here=$(cd "$(dirname "$0")" && pwd)
db=${1:-results/results.db}
out=${2:-$here/out}
ablations=$here/../experiments/ablations

# Opening -----------------------------------------------------------------------------------------

for program in sqlite3 gnuplot awk sha256sum; do
  command -v $program >/dev/null || refuse "$program is not installed; make deps installs it"
done
fill="fill it with: harness run ablations/mask_ratio.ini --db $db"
[ -e "$db" ] || refuse "$db: there is no such database; $fill"
[ -f "$db" ] && [ -r "$db" ] || refuse "$db: not a readable file"
[ -s "$db" ] || refuse "$db: an empty file; $fill"

# Whatever text is in a database, -safe keeps the shell from running programs and touching files.
ask() {
  sqlite3 -safe -readonly -bail -batch -cmd ".timeout 5000" "$db" "$@" ||
    refuse "$db: cannot be read (see above); harness import rebuilds it from the event files"
}
# application_id is "MAEb": harness/store/store.c stamps it on every results database.
application=$(ask "PRAGMA application_id") || exit 4
[ "$application" = 1296123234 ] || refuse "$db: a database of another program, not of harness"

version=$(ask "PRAGMA user_version") || exit 4
[ "$version" -ge 5 ] || # whose lists have words for the axes
  refuse "$db: written by an older harness; harness status --db $db brings it up to date"

# An experiment's name becomes a folder's: letters, digits, ".", "_", "-" and blanks, no "." first.
odd=$(ask "SELECT experiment FROM experiments WHERE experiment GLOB '*[^a-zA-Z0-9._ -]*'
  OR experiment GLOB '[. ]*' OR experiment = ''") || exit 4
[ -z "$odd" ] || refuse "$db: \"$odd\" is no name of an experiment: letters, digits, . _ - and blanks"

experiments=$(ask "SELECT experiment FROM experiments WHERE done > 0 ORDER BY experiment") || exit 4
names=$(ask "SELECT DISTINCT name FROM experiments WHERE done > 0") || exit 4

for ini in "$ablations"/*.ini; do
  name=$(basename "$ini" .ini)
  echo "$names" | grep -qx "$name" ||
    say "$name: not in $db; fill it with: harness run ablations/$name.ini --db $db"
done
[ -n "$experiments" ] || refuse "$db: no trial is finished, so there is nothing to draw"
mkdir -p "$out" || exit 4

# Figures -----------------------------------------------------------------------------------------

# rows MODE QUERY [noheader]: the rows of a query, a file or a SELECT, about $experiment and $figure,
# whose letters (see above) need no quoting.
rows() {
  {
    echo ".parameter init"
    echo "INSERT INTO temp.sqlite_parameters VALUES ('@experiment', '$experiment');"
    echo "INSERT INTO temp.sqlite_parameters VALUES ('@figure', '$figure');"
    cat "$here/common.sql"
    case $2 in
    *.sql) cat "$here/$2" ;;
    *) printf '%s\n' "$2" ;;
    esac
  } | ask "-$1" "-${3-header}"
}

# Text for index.md, in which no character of the database is markup; \| of a table stays.
plain() {
  sed 's/&/\&amp;/g; s/</\&lt;/g; s/>/\&gt;/g; s/[][`*\\]/\\&/g; s/\\\\|/\\|/g'
}

# Cairo writes the time into a PDF; with the same time there the same figure has the same bytes.
undate() {
  sed 's/(D:[0-9]\{14\}/(D:19700101000000/' "$OUTPUT" >"$1"
  rm "$OUTPUT"
  [ $FORMAT = svg ] || LC_ALL=C grep -q '(D:19700101' "$1"
}
# From 1.18 on cairo compresses it, and only a clock that stands still helps. faketime names what its
# processes share by its own process number and fails where a killed one of the same number left it.
at_zero() {
  for _ in 1 2 3; do
    faketime -f '@1970-01-01 00:00:00' "$@" 2>/dev/null && return
  done
  return 1
}
plot() (
  cd "$here" && "$@" gnuplot -d "$figure.gp"
)

# draw FOLDER: $figure, whose .tsv is in FOLDER, as SVG and PDF, wide and for a column; a line holds so
# many letters of the title and of the caption.
draw() {
  DATA=$1/$figure.tsv
  text=$(rows list caption.sql noheader) || exit 4
  title=$(printf '%s\n' "$text" | head -n 1)
  for PAGE in wide column; do
    case $PAGE in
    wide) name=$figure of_title=84 of_caption=130 ;;
    column) name=$figure-column of_title=42 of_caption=58 ;;
    esac
    TITLE=$(printf '%s\n' "$title" | fold -s -w $of_title)
    CAPTION=$(printf '%s\n' "$text" | tail -n +2 | fold -s -w $of_caption)
    export DATA TITLE CAPTION PAGE
    for FORMAT in svg pdf; do
      OUTPUT=$1/$figure.new
      export FORMAT OUTPUT
      plot || refuse "$experiment: gnuplot could not draw $name from $DATA"
      undate "$1/$name.$FORMAT" && continue
      if plot at_zero; then mv "$OUTPUT" "$1/$name.pdf"; else rm -f "$OUTPUT" && dated=1; fi
    done
  done
  printf '![%s](%s/%s.svg)\n\n' "$(printf '%s\n' "$title" | plain)" \
    "$(printf '%s\n' "$experiment" | sed 's/ /%20/g')" "$figure" >>"$out/index.new"
}

# Turns the rows of sheet.sql into a TSV of pictures that are there and unchanged. A sheet is as wide as
# its four cells and five gaps: `size` is 1, of versions that showed no differences, or 2.
sheets() (
  tab=$(printf '\t')
  printf 'setting\tcell\tsize\tkeys\tfile\tkind\n'
  while IFS=$tab read -r setting cell keys kind sha256 folder path; do
    case $path in
    /*) file=$path ;;
    *) file=$folder/$path ;;
    esac
    case $file in
    /*) ;;
    *) file=$(cd "$(dirname "$db")" && pwd)/$file ;;
    esac
    if [ ! -r "$file" ]; then
      say "$experiment: $file is not there; the sheet is drawn without it"
    elif [ "$(sha256sum <"$file" | cut -d ' ' -f 1)" != "$sha256" ]; then
      say "$experiment: $file is not the picture that was recorded; the sheet is drawn without it"
    else
      width=$(od -An -tu1 -j 16 -N 4 "$file" | awk '{ print (($1 * 256 + $2) * 256 + $3) * 256 + $4 }')
      printf '%s\t%s\t%s\t%s\t%s\t%s\n' "$setting" "$cell" $((width / (4 * cell + 40))) "$keys" \
        "$file" "$kind"
    fi
  done
)

cat >"$out/index.new" <<END
# Figures and tables of $(basename "$db")

In the tables every number is a mean over seeds; \`_sd\` is the standard deviation over seeds (n - 1).
PSNR is in dB. \`gain_mean\` and \`gain_harmonic\` say how far \`psnr_masked\` lies above that baseline: of
each trial on its own images and masks, then the mean over seeds. \`psnr_leaky\` and \`ssim_leaky\` are of
norm_pix models, un-normalised with the hidden patches' own statistics: they compare with nothing else.
\`images_per_second\` (from the median time of a trial's steps) and GFLOP per image are of whole training
steps, \`gflops_decoder\` is the decoder's part. \`speed_notes\` names trials that were resumed, or a
tenth of whose steps took over 1.5 times the median: the machine was busy. \`joules_per_image\` is of
training steps, \`energy_kwh\` of whole trials, both of the GPUs or processor packages that trained.
\`published_linear\` and
\`published_finetuned\` are what a paper reports of the setting, in percent, of its own model on its own
images: only the order of the settings compares. \`missing\` counts planned trials without \`psnr_masked\`.
Trials on different images (\`data\`) are never averaged.

END
# One name a line, with its blanks; standard input stays as it is.
IFS='
'
for experiment in $experiments; do
  folder=$out/$experiment
  mkdir -p "$folder"
  folder=$(cd "$folder" && pwd)
  printf '## %s\n\n' "$experiment" >>"$out/index.new"

  figure=table
  select=$(rows list table.sql noheader) || exit 4
  rows tabs "$select" >"$folder/table.tsv"
  # A | would end a cell.
  rows markdown "$(printf '%s\n' "$select" |
    sed "1s/line\.setting/replace(line.setting, '|', '\\\\|') AS setting/")" >"$folder/table.md"
  rows list "SELECT char(10) || 'Our order of the settings beside '
      || (SELECT min(source) FROM paper WHERE experiment = @experiment) || ': '
      || group_concat(text, '; ') || '.'
    FROM paper_verdicts WHERE experiment = @experiment GROUP BY experiment" noheader \
    >>"$folder/table.md"
  figures=$(rows list figures.sql noheader) || exit 4
  for figure in $figures; do
    if [ "$figure" = sheet ]; then
      recorded=$(rows tabs sheet.sql noheader) || exit 4
      printf '%s\n' "$recorded" | sheets >"$folder/sheet.tsv"
      [ "$(wc -l <"$folder/sheet.tsv")" -gt 1 ] || continue
    else
      rows tabs "$figure.sql" >"$folder/$figure.tsv"
    fi
    draw "$folder"
  done
  plain <"$folder/table.md" >>"$out/index.new"
  echo >>"$out/index.new"
  echo "draw.sh: $experiment:" $figures "table"
done
mv "$out/index.new" "$out/index.md"
[ -z "${dated-}" ] ||
  say "note: some PDFs tell when they were drawn; with faketime, which make deps installs, none does"
echo "draw.sh: everything is in $out/index.md"
