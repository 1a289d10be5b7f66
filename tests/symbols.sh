# No two files that are linked together define a function or variable of one name: of those that lie
# in libraries the linker takes the first and says nothing.
#
#   sh symbols.sh NM FILE...
set -eu
nm=$1
shift
twice=$("$nm" --extern-only --defined-only "$@" |
  awk '$2 ~ /^[TDBRC]$/ { print $3 }' | sort | uniq -d)
[ -z "$twice" ] || { echo "defined more than once: $twice" >&2; exit 1; }
