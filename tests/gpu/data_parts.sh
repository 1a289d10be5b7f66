#!/bin/sh
# TinyImageNet in parts, for a machine that takes only so much at a time.
#
#   sh tests/gpu/data_parts.sh make DIR OUT     here: DIR, the data set's folder, cut into OUT/
#   sh tests/gpu/data_parts.sh join OUT DIR     there: the parts that are in OUT/ into DIR
#
# A part is a .tar.gz of files as they are, with nothing that the trainer does not read, of less
# than PART_MB (55) million bytes. OUT/parts.sha256 lists them and must come with each. `join`
# checks every part that is there and unpacks it once (DIR/.parts says which have been), so that
# the parts may come one by one and be taken away again.
#
# Exit 0: made, or joined and complete; 1: a part is damaged or cannot be written; 2: usage; 3:
# parts are missing; 4: not TinyImageNet.
set -u
usage() {
  echo "usage: data_parts.sh make DIR OUT | join OUT DIR" >&2
  exit 2
}
fail() {
  code=$1
  shift
  echo "data_parts.sh: $*" >&2
  exit "$code"
}
[ $# -eq 3 ] || usage
PART_MB=${PART_MB:-55}
case $PART_MB in 0* | *[!0-9]*) fail 2 "PART_MB=$PART_MB: not a number of million bytes" ;; esac

# What of the data set is read: mae/data/tiny_imagenet.c. As "bytes name" lines, in one order.
files_read() {
  find wnids.txt val/val_annotations.txt val/images train/*/images -type f -printf '%s %p\n' |
    LC_ALL=C sort -k 2
}

# pack NAMES: the files of a list, the same bytes every time.
pack() {
  tar -c --format=ustar --owner=0 --group=0 --numeric-owner --mtime=@0 --mode=a=rX,u+w \
    --no-recursion -T "$1" | gzip -n -6
}

# What a million bytes of files become, in bytes: told by every 40th. JPEG files shrink by their
# equal headings, a third of a small picture.
shrinking() {
  awk 'NR % 40 == 1 { sub(/^[0-9]+ /, ""); print }' "$1/all" > "$1/part-0.names"
  packed=$(pack "$1/part-0.names" | wc -c)
  awk -v packed="$packed" 'NR % 40 == 1 { sum += $1 }
    END { print int(1e6 * packed / (sum + 1)) + 1 }' "$1/all"
}

# Names of files into OUT/part-N.names, so that a part becomes a little less than it may.
divide() {
  awk -v most=$((PART_MB * 950000)) -v factor="$2" -v out="$1" '
    { bytes = $1 * factor / 1e6; sub(/^[0-9]+ /, "") }
    !part || sum + bytes > most { part++; sum = 0 }
    { sum += bytes; print > (out "/part-" part ".names") }
    END { print part + 0 }' "$1/all"
}

make_parts() {
  cd "$1" 2> /dev/null && [ -f wnids.txt ] && [ -f val/val_annotations.txt ] && [ -d train ] ||
    fail 4 "$1: no wnids.txt, val/val_annotations.txt and train/: not TinyImageNet's folder"
  rm -f "$2"/part-*.names "$2"/part-*.tar.gz "$2/parts.sha256"
  files_read > "$2/all" || fail 1 "$2/all: cannot be written"
  parts=$(divide "$2" "$(shrinking "$2")")
  part=1
  while [ $part -le "$parts" ]; do
    name=part-$part.tar.gz
    pack "$2/part-$part.names" > "$2/$name" || fail 1 "$2/$name: cannot be written"
    bytes=$(wc -c < "$2/$name")
    [ "$bytes" -lt $((PART_MB * 1000000)) ] ||
      fail 1 "$2/$name: has $bytes bytes, more than PART_MB=$PART_MB allows: try a smaller PART_MB"
    echo "$name: $bytes bytes, $(wc -l < "$2/part-$part.names") files"
    part=$((part + 1))
  done
  (cd "$2" && sha256sum part-*.tar.gz > parts.sha256) || fail 1 "$2/parts.sha256: cannot be written"
  rm -f "$2"/part-*.names "$2/all"
}

join_parts() {
  [ -s "$1/parts.sha256" ] || fail 3 "$1/parts.sha256: not there: it must come with every part"
  touch "$2/.parts" || fail 1 "$2: cannot be written"
  missing=
  while read -r sum name; do
    if grep -qxF "$sum" "$2/.parts"; then
      continue
    elif [ ! -f "$1/$name" ]; then
      missing="$missing $name"
    elif [ "$(sha256sum < "$1/$name" | cut -c 1-64)" != "$sum" ]; then
      fail 1 "$1/$name: not what parts.sha256 says: copy it again"
    else
      tar -xzf "$1/$name" -C "$2" && echo "$sum" >> "$2/.parts" ||
        fail 1 "$1/$name: cannot be unpacked into $2"
      echo "$name: unpacked"
    fi
  done < "$1/parts.sha256"
  [ -z "$missing" ] || fail 3 "still missing:$missing"
  echo "complete: $(find "$2" -type f ! -name .parts | wc -l) files in $2"
}

mkdir -p "$3" || exit 1
from=$2
to=$(cd "$3" && pwd)
case $1 in
make) make_parts "$from" "$to" ;;
join) join_parts "$from" "$to" ;;
*) usage ;;
esac
