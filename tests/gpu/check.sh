#!/bin/sh
# make gpu-first, make gpu-check and make gpu-bench: everything that only a machine with a GPU can
# show.
#
#   sh tests/gpu/check.sh [--first | --bench] [--rest] [--fake BUILD] [--only NAME]
#     [--build FOLDER] [--out FOLDER]
#
# Builds into --build (build-gpu) for the GPUs found, runs the checks of checks.sh one after the
# other, each with a log in BUILD/gpu-check/, and writes OUT/DEVICE.tsv (OUT is
# results/reference/gpu), anew after every check. What cannot be checked here is listed as such; a
# check that fails does not stop the rest.
#   --first  instead what tells most, in that order, for the first minutes on a machine:
#            OUT/DEVICE-first.tsv, what the checks printed (-first-logs.txt), the products'
#            algorithms (-algorithms.txt, -products.txt), operations (-profile.txt, -ncu.txt),
#            -bench*.tsv
#   --bench  instead measures this trainer beside PyTorch (bench.py) and every operation beside its
#            floor: OUT/DEVICE-bench*.tsv, OUT/DEVICE-profile.txt
#   --rest   keeps the rows that an earlier command with the same program has, and runs the others:
#            those for which there was no time, and those that it did not come to
#   --fake   the same checks, small, on the simulated GPU of a finished build
#   --only   the checks whose names contain this
#
# From the environment (or `make gpu-check NAME=VALUE`):
#   GPU_MINUTES  for all together: 9 for --first, 10 for the checks, 30 for the benchmark
#   DEPS         a folder with unpacked libraries, made by unpack_deps.sh
#   PYTHON       a Python with PyTorch, tried before python3
#   NCU          the profiler ncu, where it is neither on the PATH nor beside nvcc
#   JOBS         compilers at once
#   COMMIT       what the tables name as the commit, where the sources came without git's folder
#
# Exit 0: nothing failed; 1: something failed; 2: usage; 4: no GPU, or no compiler for it.
set -u
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)

program=gpu-check
. "$here/machine.sh"

usage() {
  echo "usage: check.sh [--first | --bench] [--rest] [--fake BUILD] [--only NAME]" \
    "[--build FOLDER] [--out FOLDER]" >&2
  exit 2
}

mode=check rest='' FAKE='' only='' BUILD=$root/build-gpu out=$root/results/reference/gpu
while [ $# -gt 0 ]; do
  case $1 in
  --first | --bench | --rest)
    [ "$1" = --rest ] && rest=1 || mode=${1#--}
    shift
    continue
    ;;
  --fake | --only | --build | --out) [ $# -gt 1 ] || usage ;;
  *) usage ;;
  esac
  case $1 in
  --fake)
    FAKE=1
    BUILD=$2
    ;;
  --only) only=$2 ;;
  --build) BUILD=$2 ;;
  --out) out=$2 ;;
  esac
  shift 2
done
case $mode in first) minutes=9 ;; check) minutes=10 ;; bench) minutes=30 ;; esac
set_limits
work=$BUILD/gpu-check
gpu_prepare
gpu_probe
STEM=$out/$(device_stem)
export STEM
mkdir -p "$out" || exit 2
facts > "$work/facts"
sed 's/^# //' "$work/facts"

# The table ----------------------------------------------------------------------------------------

# rows: the table so far, a line per check: TITLE RESULT SECONDS FIGURE, separated by tabs.
rows=$work/$mode${only:+-only}.tsv
case $mode in check) table=$STEM ;; *) table=$STEM-$mode ;; esac
program_hash=$(sha256sum < "$MAE" | cut -c 1-64)

# What an earlier command did not come to the end of is not repeated: it may be what ended it all.
keep_rows() {
  if [ "$(cat "$rows.program" 2> /dev/null)" != "$program_hash" ]; then
    echo "$program: --rest: this program has no rows yet: all are run"
    return 1
  fi
  grep -v '	NO TIME	' "$rows" |
    sed 's/	RUNNING	.*/	NOT CHECKED	0	all was ended while it ran/' > "$rows.kept"
  mv "$rows.kept" "$rows"
}
[ -z "$only" ] || rest=''
[ -z "$rest" ] || keep_rows || rest=''
[ "$rest" ] || : > "$rows"
[ "$rest$only" ] || rm -f "$table-logs.txt"
echo "$program_hash" > "$rows.program"

# Whole at every moment: the table is what is left when everything ends early.
write_table() {
  [ -z "$only" ] && [ "$mode" != bench ] || return 0
  {
    cat "$work/facts"
    printf 'check\tresult\tseconds\tfigure\n'
    cat "$rows"
  } > "$table.part" && mv "$table.part" "$table.tsv" || exit 2
}

# Where only what was written comes back, the end of each check's log is worth as much as the table.
keep_log() {
  [ "$mode" = first ] && [ -z "$only" ] || return 0
  {
    printf '==== %s: %s\n' "$title" "$result"
    tail -n "$([ "$result" = FAILED ] && echo 120 || echo 30)" "$log" | cut -c 1-400
  } >> "$table-logs.txt"
}

running=''
trap '[ -z "$running" ] || kill "$running"; echo; exit 130' INT TERM

# What the exit code of a check means, in $result and $figure. 75: there was too little time.
judge() {
  figure=$(sed -n 's/^figure: //p' "$log" | tail -1 | tr -s '\t ' ' ')
  case $1 in
  0) result=PASSED ;;
  77) result="NOT CHECKED" ;;
  75) result="NO TIME" ;;
  124 | 137)
    result=FAILED figure="took longer than $limit s"
    [ "$most" -eq "$limit" ] || result="NO TIME" figure="GPU_MINUTES=$minutes were over"
    ;;
  *)
    result=FAILED
    [ "$figure" ] || figure=$(tail -1 "$log" | tr -s '\t ' ' ')
    ;;
  esac
}

# row TITLE SECONDS CHECK [ARGUMENT]: runs a check for at most that long, and not past the deadline.
row() {
  title=$1 limit=$2
  shift 2
  case $title in *"$only"*) ;; *) return ;; esac
  ! cut -f 1 "$rows" | grep -qxF "$title" || return 0
  log=$work/$(echo "$title" | tr -cs '[:alnum:]\n' -).log
  began=$(date +%s)
  LEFT=$((deadline - began))
  most=$limit
  [ $LEFT -ge "$limit" ] || most=$LEFT
  LIMIT=$most
  export LEFT LIMIT
  printf '%-22s ' "$title"
  cp "$rows" "$rows.before"
  printf '%s\tRUNNING\t0\tbegan at %s\n' "$title" "$(date -u +%H:%M:%SZ)" >> "$rows"
  write_table
  rm -rf "$RUN"
  mkdir -p "$RUN"
  code=124
  : > "$log"
  if [ $LEFT -gt 5 ]; then
    timeout -k 10 "$most" sh "$here/checks.sh" "$@" > "$log" 2>&1 &
    running=$!
    wait $running
    code=$?
    running=''
  fi
  judge $code
  seconds=$(($(date +%s) - began))
  printf '%-11s %4d s  %s\n' "$result" $seconds "$figure"
  printf '%s\t%s\t%d\t%s\n' "$title" "$result" $seconds "$figure" >> "$rows.before"
  mv "$rows.before" "$rows"
  write_table
  keep_log
}

# The order is that of what one wants to know first; each row stands alone.
first_rows() {
  [ "$rest" ] || rm -f "$STEM-profile.txt" "$STEM-ncu.txt" "$STEM-algorithms.txt" \
    "$STEM-products.txt"
  row "flagship" 90 flagship
  row "algorithms" 90 algorithms
  row "profile" 60 profile preferred
  row "attention and GELU" 120 ncu
  row "results of PyTorch" 100 torch
  row "repeat" 90 repeat
  row "kill and resume" 60 kill
  row "recorded steps" 60 pieces
  row "table of products" 150 table
  row "beside PyTorch" 400 peer first
  row "not a number" 90 not_a_number
  row "1 rank through NCCL" 45 one_rank
  row "lost rank" 60 lost_rank
}

case $mode in
first) first_rows ;;
bench)
  rm -f "$STEM-profile.txt"
  row "profile bf16" 120 profile bf16
  row "profile fp16" 120 profile fp16
  row "beside PyTorch" 3600 peer full
  grep -v '^figure: ' "$work/beside-PyTorch.log"
  ;;
check)
  row "kernels" 150 kernels
  row "model fp32" 45 model fp32
  row "model bf16" 45 model bf16
  row "model fp16" 45 model fp16
  row "results of PyTorch" 100 torch
  row "repeat" 90 repeat
  row "kill and resume" 60 kill
  row "recorded steps" 60 pieces
  row "training on the CPU" 120 beside_cpu
  row "fp16 overflow" 30 overflow
  row "out of memory" 90 memory
  row "no such GPU" 20 no_such_gpu
  row "GPU hidden" 20 hidden
  row "GPU without bf16" 20 no_bf16
  row "1 rank through NCCL" 45 one_rank
  row "2 ranks" 60 ranks 2
  [ $GPUS -le 2 ] || row "$GPUS ranks" 60 ranks $GPUS
  row "lost rank" 60 lost_rank
  row "speed bf16" 60 speed bf16
  row "speed fp16" 60 speed fp16
  row "speed of PyTorch" 130 peer short
  row "speed of kernels" 60 kernel_speed
  row "driver or GPU too old" 10 elsewhere
  row "error in a step" 10 elsewhere
  # Last: each may take minutes to load the libraries.
  row "memcheck" 300 sanitizer memcheck
  row "racecheck" 300 sanitizer racecheck
  row "initcheck" 300 sanitizer initcheck
  row "synccheck" 300 sanitizer synccheck
  ;;
esac
rm -rf "$RUN"

count() {
  cut -f 2 "$rows" | grep -c "^$1\$"
}
echo "$(count PASSED) passed, $(count FAILED) failed, $(count 'NOT CHECKED') not checked," \
  "$(count 'NO TIME') without time; logs: $work"
[ -s "$rows" ] || {
  echo "gpu-check: no check is called '$only'" >&2
  exit 2
}
[ "$only" ] || [ "$mode" = bench ] || echo "written: $table.tsv"
[ "$only" ] || [ "$(count 'NO TIME')" -eq 0 ] || echo "the same command with --rest goes on"
[ "$(count FAILED)" -eq 0 ]
