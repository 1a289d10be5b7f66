#!/bin/sh
# The pages (*.md) name nothing that is gone. Checked are, in text and tables:
#   `path/to/file`, `file.c`   exists, from the project's root or from the page's folder
#   `name()`                   is a function of the code
#   `section.option`           is in the option table
#   [text](target)             the file exists, and the heading after a #
# and in indented commands that `mae` and `harness` have the command and the --options, and make the
# target. Comments that point to a page, as (mae/README.md, The schedule), name one of its headings.
#
#   sh tests/pages.sh SOURCE SCRATCH
#
# Plants a wrong name of each kind in a page in SCRATCH first, and expects to be told of each.
set -u
export LC_ALL=C
source=$(cd "$1" && pwd) || exit 2
scratch=$2
mkdir -p "$scratch" || exit 2
cd "$source" || exit 2

pages=$(find . -name '*.md' -not -path './build*' -not -path './.git/*' -not -path './*/out/*' \
  -not -path './results/*' -print
  find results/reference -name '*.md' -not -name table.md -print)
find kernels mae harness tests \( -name '*.[ch]' -o -name '*.cu' -o -name '*.cuh' -o -name '*.cc' \
  -o -name '*.py' \) -exec cat {} + >"$scratch/code"
cat mae/cmd/*.c mae/base/*.c harness/*/*.c >"$scratch/commands"
sed -n 's/^ *{*\.key = "\([a-z]*\.[a-z0-9_]*\)".*/\1/p' mae/config/table.c >"$scratch/options"

# What a page may name although it is no file of the project: what the programs make when they run,
# and names with a place for another in them (plots/NAME.sql, step-N/).
is_no_file() {
  case $1 in
  build/* | plots/out/* | paper/out/* | results/results.db | config.ini | job.sh | import.sh | *-N/ | *'*'*) return 0 ;;
  */README.md | */CMakeLists.txt) return 1 ;;
  *[A-Z][A-Z]*) return 0 ;;
  esac
  return 1
}

is_path() {
  case $1 in
  *' '* | *://* | -* | /* | \$* | *=*) return 1 ;;
  kernels/* | mae/* | harness/* | experiments/* | plots/* | results/* | tests/* | paper/*)
    return 0
    ;;
  *.c | *.h | *.cu | *.cuh | *.cmake | *.sql | *.gp | *.sh | *.py | *.md | *.ini) return 0 ;;
  esac
  return 1
}

# From the root, from the page's folder or the one around it, and from experiments/ as `harness run`
# looks.
exists() {
  [ -e "$1" ] || [ -e "$2/$1" ] || [ -e "$2/../$1" ] || [ -e "experiments/$1" ]
}

is_option() {
  case $1 in
  *.safetensors | *.jsonl | *.json) return 1 ;;
  model.* | train.* | data.* | eval.* | probe.* | run.* | resources.*)
    ! is_path "$1" && ! echo "$1" | grep -q '[^a-z0-9_.]'
    return
    ;;
  esac
  return 1
}

# The names in a page, one a line: text NAME, link TARGET, command LINE (what is indented).
names() {
  awk '
    /^    / { sub(/^ +/, ""); sub(/^(exec|srun [^m]*) /, ""); print "command " $0; next }
    {
      line = $0
      while (match(line, /\]\([^)]*\)/)) {
        print "link " substr(line, RSTART + 2, RLENGTH - 3)
        line = substr(line, RSTART + RLENGTH)
      }
      line = $0
      while (match(line, /`[^`]*`/)) {
        name = substr(line, RSTART + 1, RLENGTH - 2)
        print "text " name
        if (name ~ /^(mae|harness|make) /) print "command " name
        line = substr(line, RSTART + RLENGTH)
      }
    }' "$1"
}

# The headings of a page as links name them.
anchors() {
  sed -n 's/^##* //p' "$1" | tr 'A-Z ' 'a-z-' | tr -cd 'a-z0-9_\n-'
}

check_command() {
  program=${1%% *}
  rest=${1#* }
  command=${rest%% *}
  case $program in
  mae | harness)
    case $command in
    manual | completion) ;; # of every program
    [a-z]*) grep -qF "{\"$command\", cmd_" $program/cmd/main.c ||
      echo "$page: $program has no command $command" ;;
    esac
    # What follows --slurm is sbatch's.
    options=$(echo "${1%%\#*}" | sed 's/ --slurm .*/ --slurm/')
    for word in $(echo "$options" | grep -Eo -- '(^| )--[a-z-]+'); do
      case $word in
      --ntasks | --mpi) ;; # srun's, in the value of resources.launcher
      *) grep -qF -- "\"$word\"" "$scratch/commands" ||
        echo "$page: $program $command has no $word" ;;
      esac
    done
    ;;
  make)
    grep -Eq "^$command:" Makefile || echo "$page: make has no target $command"
    ;;
  esac
}

check_text() {
  case $1 in
  [a-z]*'()')
    name=${1%??}
    grep -Eq "(^|[^A-Za-z0-9_])$name\(" "$scratch/code" || echo "$page: there is no function $1"
    ;;
  *)
    if is_option "$1"; then
      grep -qx "$1" "$scratch/options" || echo "$page: there is no option $1"
    elif is_path "$1" && ! is_no_file "$1"; then
      exists "$1" "$folder" || echo "$page: there is no $1"
    fi
    ;;
  esac
}

check_link() {
  file=${1%%\#*}
  case $1 in
  *://*) return ;;
  esac
  target=$folder/$file
  [ -n "$file" ] || target=$page
  [ ! -d "$target" ] || return
  if [ ! -e "$target" ]; then
    echo "$page: there is no $1 to link to"
  elif [ "$file" != "$1" ]; then
    anchors "$target" | grep -qxF -- "${1#*\#}" || echo "$page: $1: there is no such heading"
  fi
}

check_page() {
  page=$1
  folder=$2
  names "$page" | while read -r kind name; do
    case $kind in
    text) check_text "$name" ;;
    link) check_link "$name" ;;
    command) check_command "$name" ;;
    esac
  done
}

# file:(page, heading), as grep finds it in a comment.
check_pointer() {
  pointed=${1#*:(}
  heading=${pointed#*, }
  pointed=${pointed%%,*}
  [ -e "$pointed" ] && sed -n 's/^##* //p' "$pointed" | grep -qxF -- "${heading%)}" ||
    echo "${1%%:*}: there is no heading ${heading%)} in $pointed"
}

# Self-test: every planted name is told, and none of the right ones beside it.
cat >"$scratch/planted.md" <<'END'
Wrong: `mae/train/gone.c`, `gone.h`, `gone_function()`, `train.gone`, [a](gone.md),
[b](README.md#gone), `make gone`, `mae gone`.

    harness run FILE --gone

Right: `mae/train/train.c`, `train_run()`, `train.batch`, [c](README.md#layout), `make plots`,
`mae eval`.

    harness run FILE --dry-run
END
told=$(check_page "$scratch/planted.md" . | sed 's/README.md/page/' | grep -c gone)
all=$(check_page "$scratch/planted.md" . | wc -l)
[ -n "$(check_pointer 'a.c:(mae/README.md, Gone)')" ] || told=no
[ -z "$(check_pointer 'a.c:(mae/README.md, The schedule)')" ] || told=no
if [ "$told" != 9 ] || [ "$all" != 9 ]; then
  echo "pages.sh: of 9 planted names $told were seen, in $all messages:"
  check_page "$scratch/planted.md" .
  exit 1
fi

missing=$(
  for page in $pages; do check_page "${page#./}" "$(dirname "${page#./}")"; done
  grep -rEo '\([a-z/]*README\.md, [^)]*\)' kernels mae harness --include='*.[ch]' \
    --include='*.cu*' | while read -r pointer; do check_pointer "$pointer"; done
)
if [ -n "$missing" ]; then
  echo "$missing"
  exit 1
fi
echo "pages.sh: $(echo "$pages" | wc -l) pages name nothing that is gone"
