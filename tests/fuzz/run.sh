#!/bin/bash
# Fuzzes with libFuzzer under the address and undefined-behaviour sanitizers.
#
#   tests/fuzz/run.sh [SECONDS [NAME...]]     600 seconds of every target, JOBS (2) at a time
#
# Starts from corpus/NAME and from what earlier runs found (build-fuzz/corpus/NAME). An input that
# makes a target fail is kept as build-fuzz/findings/NAME-*; add it to corpus/NAME with the repair.
# Ends with a table, which build-fuzz/fuzz.tsv keeps; exit 0: no findings, 1: findings, 2: does not
# build.
set -eu
cd "$(dirname "$0")/../.."
seconds=${1:-600}
[ $# -gt 0 ] && shift
[ $# -gt 0 ] || set -- $(ls tests/fuzz/fuzz_*.c | sed 's/.*fuzz_\(.*\)\.c/\1/')
build=build-fuzz
mkdir -p $build/findings $build/logs
log=$build/logs/build

cmake -B $build -DCMAKE_C_COMPILER=clang -DCMAKE_CXX_COMPILER=clang++ -DCMAKE_BUILD_TYPE=Release \
  -DCMAKE_C_FLAGS_RELEASE="-O1 -g" -DMAEBENCH_FUZZ=ON \
  -DMAEBENCH_SANITIZE=fuzzer-no-link,address,undefined > $log 2>&1 &&
  cmake --build $build --target fuzz_targets -j "$(nproc)" >> $log 2>&1 || {
  tail -20 $log
  exit 2
}

fuzz_one() {
  mkdir -p "$build/corpus/$1"
  # -detect_leaks: the first inputs' leak check is enough to see one; -timeout: an input that takes
  # this long is a finding.
  nice "$build/tests/fuzz_$1" -max_total_time="$seconds" -timeout=20 -rss_limit_mb=3000 \
    -max_len=65536 -print_final_stats=1 -artifact_prefix="$build/findings/$1-" \
    "$build/corpus/$1" "tests/fuzz/corpus/$1" > "$build/logs/$1" 2>&1 || true
}
for name in "$@"; do
  while [ "$(jobs -rp | wc -l)" -ge "${JOBS:-2}" ]; do
    wait -n
  done
  fuzz_one "$name" &
done
wait

status=0
{
  printf 'target\tseconds\texecutions\tedges\tinputs\tfindings\n'
  for name in "$@"; do
    executions=$(sed -n 's/^stat::number_of_executed_units: *//p' "$build/logs/$name")
    edges=$(sed -n 's/.* cov: \([0-9]*\).*/\1/p' "$build/logs/$name" | tail -1)
    inputs=$(ls "$build/corpus/$name" | wc -l)
    findings=$(ls "$build/findings" | grep -c "^$name-" || true)
    [ "$findings" = 0 ] && [ -n "$executions" ] || status=1
    printf '%s\t%s\t%s\t%s\t%s\t%s\n' "$name" "$seconds" "${executions:-none}" \
      "${edges:-none}" "$inputs" "$findings"
  done
} > $build/fuzz.tsv
cat $build/fuzz.tsv
exit $status
