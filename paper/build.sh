#!/bin/sh
# The report, from the database and what plots/draw.sh drew of it.
#
#   sh paper/build.sh [DB [PLOTS [OUT]]]
#
# DB is results/results.db, PLOTS is plots/out, OUT is paper/out unless given. OUT/report.md is
# report.md with its lines `@experiments` (question, expected answer, findings, figures and table of
# every experiment that has results, and which ablations have none) and `@provenance` filled in; the
# figures it shows are copied beside it.
#
# Exit 0: written; 2: usage; 4: the database or the drawings are missing.
set -eu
export LC_ALL=C TZ=UTC

refuse() {
  echo "build.sh: $1" >&2
  exit "${2-4}"
}

[ $# -le 3 ] || refuse "usage: sh paper/build.sh [DB [PLOTS [OUT]]]" 2
here=$(cd "$(dirname "$0")" && pwd)
db=${1:-results/results.db}
plots=${2:-$here/../plots/out}
out=${3:-$here/out}
[ -r "$db" ] || refuse "$db: there is no such database; fill it with: harness run ablations/mask_ratio.ini"
[ -r "$plots/index.md" ] || refuse "$plots/index.md: not there; make plots draws it"

ask() {
  sqlite3 -safe -readonly -bail -batch -cmd ".timeout 5000" "$db" "$@" ||
    refuse "$db: cannot be read (see above)"
}

# results EXPERIMENT: its question, the findings, its part of draw.sh's index; copies the figures.
results() {
  [ -d "$plots/$1" ] || refuse "$1: not in $plots; make plots draws it"
  mkdir -p "$out/$1"
  cp "$plots/$1"/*.svg "$out/$1/"
  echo "## $1"
  echo
  {
    echo ".parameter init"
    echo "INSERT INTO temp.sqlite_parameters VALUES ('@experiment', '$1'), ('@figure', 'table');"
    cat "$here/../plots/common.sql"
    echo "SELECT '**' || question || '**' || iif(expected = '', '', ' Expected: ' || expected)
      || char(10) FROM experiments WHERE experiment = @experiment;"
    cat "$here/verdict.sql"
  } | ask -list -noheader
  echo
  awk -v section="## $1" '/^## / { on = $0 == section; next } on && (NF || !blank) { print }
    { blank = !NF }' "$plots/index.md"
}

# Which of the questions in experiments/ablations the database says nothing about.
unasked() {
  for ini in "$here"/../experiments/ablations/*.ini; do
    name=$(basename "$ini" .ini)
    run=$(ask "SELECT count(*) FROM experiments WHERE name = '$name' AND done > 0") || exit 4
    [ "$run" != 0 ] || echo "- \`harness run ablations/$name.ini\`"
  done
}

mkdir -p "$out"
while IFS= read -r line; do
  case $line in
  @experiments)
    experiments=$(ask "SELECT experiment FROM experiments WHERE done > 0 ORDER BY experiment") ||
      exit 4
    IFS='
' # a name a line, with its blanks
    for experiment in $experiments; do
      results "$experiment"
    done
    left=$(unasked) || exit 4
    [ -z "$left" ] || printf '## Not run yet\n\n%s\n' "$left"
    ;;
  @provenance)
    ask -markdown <"$here/provenance.sql"
    ;;
  *)
    printf '%s\n' "$line"
    ;;
  esac
done <"$here/report.md" >"$out/report.new"
mv "$out/report.new" "$out/report.md"
echo "build.sh: the report is $out/report.md"
