#!/bin/sh
# Runs the commands of README.md, at a tiny size.
#
#   sh tests/readme.sh SOURCE BIN SCRATCH
#
# BIN holds the programs `mae` and `harness`. Every indented line is one of these:
#   a command       run with sh in a copy of what it needs, in SCRATCH; must exit 0 and, with
#                   --out PATH, leave something there. mae and harness are wrappers that add the
#                   sizes below.
#   $ a query       run too; the columns of its answer must be those printed beneath it
#   an experiment   [section] and what follows: planned with `harness run FILE --dry-run`
#   a folder        NAME/ and what it holds: must exist
#   not run         a command of the list below, with its reason
# Any other line fails, and so does an entry of the list that the page no longer has. A page with
# wrong commands is tried first and must fail in each of them.
set -u
export LC_ALL=C
source=$(cd "$1" && pwd) || exit 2
bin=$(cd "$2" && pwd) || exit 2
for program in gnuplot sqlite3; do
  command -v $program >/dev/null || {
    echo "skipped: $program is not installed"
    exit 77
  }
done
rm -rf "$3" && mkdir -p "$3/bin" "$3/work" || exit 2
scratch=$(cd "$3" && pwd) || exit 2

# Not run: the command's beginning | why.
not_run='git clone |from the network
make demo|installs packages and builds; the sweep and the figures, which it is for, are run
make test|this is one of its tests
make bench|full-size models; mae bench is run
make parity|PyTorch, and a test of its own
make fuzz|clang, and ten minutes a reader
cmake --preset asan |builds and tests everything once more
make gpu-check|a GPU'

# The sizes -----------------------------------------------------------------------------------------

tiny="--set model.encoder=32x1x2 --set train.steps=6 --set train.warmup_steps=2
  --set train.batch=8 --set data.train_images=16 --set eval.images=8 --set eval.batch=8
  --set eval.every=3 --set run.threads=1"
tiny=$(echo $tiny)

cat >"$scratch/bin/mae" <<END
#!/bin/sh
case \$1 in
train) exec "$bin/mae" "\$@" $tiny --set model.decoder=16x1x2 ;;
bench) exec "$bin/mae" "\$@" --steps 2 --warmup 1 --set run.threads=1 ;;
esac
exec "$bin/mae" "\$@"
END
cat >"$scratch/bin/harness" <<END
#!/bin/sh
case \$1 in
run) exec "$bin/harness" "\$@" --scale cpu --jobs 1 $tiny ;;
esac
exec "$bin/harness" "\$@"
END
chmod +x "$scratch/bin/mae" "$scratch/bin/harness"
PATH=$scratch/bin:$PATH
export PATH XDG_CACHE_HOME="$scratch/cache"
unset MAE CUDA_VISIBLE_DEVICES 2>/dev/null

# What the commands find --------------------------------------------------------------------------

cd "$scratch/work" || exit 2
cp -R "$source/experiments" "$source/Makefile" . && mkdir plots &&
  cp "$source"/plots/*.* plots || exit 2
pictures=$source/tests/fuzz/corpus/picture
cp "$pictures/rgb.jpg" photo1.jpg
cp "$pictures/rgb.png" photo2.png

# DIR: TinyImageNet's original layout with two classes.
mkdir -p DIR/val/images
for class in n01443537 n01629819; do
  echo $class >>DIR/wnids.txt
  mkdir -p DIR/train/$class/images
  for i in 0 1 2 3 4 5 6 7; do
    cp "$pictures/rgb.jpg" DIR/train/$class/images/${class}_$i.JPEG
    cp "$pictures/rgb.jpg" DIR/val/images/val_$class$i.JPEG
    printf 'val_%s%d.JPEG\t%s\t0\t0\t1\t1\n' $class $i $class >>DIR/val/val_annotations.txt
  done
done

# Reading the page --------------------------------------------------------------------------------

# KIND LINE-NUMBER TEXT of every indented line; an experiment is one line FILE, written there.
lines() {
  awk -v scratch="$scratch" '
    /^    / {
      text = substr($0, 5)
      if (!block)
        block = text ~ /^\[/ ? "experiment" : text ~ /^\$ / ? "query" : \
          text ~ /^[a-z]+\/ / ? "folder" : "command"
      if (block == "experiment") {
        if (!file) {
          file = scratch "/experiment" NR ".ini"
          printf "" > file
          print "experiment", NR, file
        }
        print text > file
      } else if (block == "query" && text ~ /^\$ /) {
        print "query", NR, substr(text, 3)
        header = 1
      } else if (block == "query") {
        if (header) print "columns", NR, text
        header = 0
      } else {
        print block, NR, text
      }
      next
    }
    /./ || block != "experiment" { block = ""; if (file) close(file); file = "" }
  ' "$1"
}

# Why a command is not run; false when there is no reason.
reason() {
  echo "$not_run" | while IFS='|' read -r start why; do
    case $1 in
    "$start"*) echo "$why" ;;
    esac
  done | grep .
}

failed() {
  echo "$page:$number: $1: $2"
  tail -n 5 "$scratch/output" | sed 's/^/    /'
}

# Runs a line; its output is in $scratch/output.
run() {
  sh -c "$1" >"$scratch/output" 2>&1 </dev/null || {
    failed "$1" "exit $?"
    return
  }
  out=$(echo "${1%%\#*}" | sed -n 's/.* --out \([^ ]*\).*/\1/p')
  [ -z "$out" ] || [ -s "$out" ] || failed "$1" "there is no $out"
}

check_command() {
  case $1 in
  'git '* | 'make '* | 'mae '* | 'harness '* | 'cmake '* | 'sqlite3 '* | 'sh '*) ;;
  *)
    failed "$1" "neither run nor listed in tests/readme.sh"
    return
    ;;
  esac
  if reason "$1" >"$scratch/reason"; then
    echo "not run: ${1%% \#*} ($(cat "$scratch/reason"))" >&3
    target=$(echo "$1" | sed -n 's/^make \([a-z-]*\).*/\1/p')
    [ -z "$target" ] || make -n "$target" >"$scratch/output" 2>&1 ||
      failed "$1" "make has no such target"
  else
    run "$1"
  fi
}

words() {
  tr -s ' ' | sed 's/ $//'
}

# What fails in a page, to standard output; what is not run, to 3.
check_page() {
  page=$1
  lines "$2" >"$scratch/lines"
  while read -r kind number text; do
    [ "$kind" = columns ] || : >"$scratch/output"
    case $kind in
    command) check_command "$text" ;;
    query) run "$text" ;;
    columns)
      [ "$(sed -n '1p' "$scratch/output" | words)" = "$(echo "$text" | words)" ] ||
        failed "$text" "the query's columns are others"
      [ "$(wc -l <"$scratch/output")" -gt 2 ] || failed "$text" "the query has no answer"
      ;;
    experiment) run "harness run $text --dry-run" ;;
    folder) [ -d "$source/${text%% *}" ] || failed "$text" "there is no such folder" ;;
    esac
  done <"$scratch/lines"
}

# Self-test ---------------------------------------------------------------------------------------

cat >"$scratch/planted.md" <<'END'
Each of these is wrong:

    mae export --checkpoint run --encoder --out encoder.safetensors
    mae config --help train.gone
    harness status --gone
    make gone
    wget address
    mae config --help train.blr --out gone

    $ sqlite3 :memory: "select gone"
    gone
    ----

    $ sqlite3 -column -header :memory: "select 1 as one union select 2"
    two
    ---

    [experiment]
    name = gone
    [sweep]
    train.gone = 1, 2

Text.

    gone/   a folder

And these are right:

    mae config --help train.blr     # a comment
    make demo

    $ sqlite3 -column -header :memory: "select 1 as one union select 2"
    one
    ---

    mae/   a folder
END
check_page planted "$scratch/planted.md" >"$scratch/told" 3>/dev/null
# Every wrong line; a query that fails does not have the columns either.
told=$(grep '^planted:' "$scratch/told" | cut -d: -f2 | tr '\n' ' ')
if [ "$told" != "3 4 5 6 7 8 10 11 15 18 25 " ]; then
  echo "readme.sh: of the planted page it tells of lines $told:"
  cat "$scratch/told"
  exit 1
fi

# The page ----------------------------------------------------------------------------------------

check_page README.md "$source/README.md" 3>&1 >"$scratch/told"
echo "$not_run" | while IFS='|' read -r start why; do
  grep -qF "    $start" "$source/README.md" ||
    echo "tests/readme.sh: lists '$start' ($why), which README.md does not have"
done >>"$scratch/told"
if [ -s "$scratch/told" ]; then
  cat "$scratch/told"
  exit 1
fi
echo "readme.sh: $(grep -c . "$scratch/lines") lines of README.md hold"
