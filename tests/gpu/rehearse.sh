#!/bin/sh
# The scripts for a machine with a GPU, tried without one: `sh rehearse.sh CASE BUILD WORK`. BUILD
# has the simulated GPU; WORK is emptied. Exit 0: as it should be.
set -u
here=$(cd "$(dirname "$0")" && pwd)
name=$1 build=$2 work=$3
rm -rf "$work"
mkdir -p "$work" && cd "$work" || exit 1

fail() {
  echo "FAILED: $*"
  exit 1
}
# expect CODE COMMAND...: its output goes to $work/output.
expect() {
  wanted=$1
  shift
  "$@" > output 2>&1
  code=$?
  cat output
  [ $code -eq "$wanted" ] || fail "exit code $code, not $wanted: $*"
}
# says FILE TEXT...
says() {
  file=$1
  shift
  for text; do
    grep -q -- "$text" "$file" || fail "no '$text' in $file: $(cat "$file")"
  done
}

first() {
  sh "$here/check.sh" --first --fake "$build" --out . "$@"
}
table=simulated-gpu-first.tsv
tab=$(printf '\t')

# A build folder in $build whose trainer goes on for ever when it is asked for a profile.
build_that_hangs() {
  mkdir -p build/tests
  ln -s "$build"/tests/* build/tests
  rm build/tests/mae_simt
  printf '#!/bin/sh\ncase "$*" in *--profile*) exec sleep 600 ;; esac\nexec "%s" "$@"\n' \
    "$build/tests/mae_simt" > build/tests/mae_simt
  chmod +x build/tests/mae_simt
  build=$work/build
}

# Killed in the middle, the table has the rows so far and the one that ran; --rest keeps them.
rehearse_first() {
  build_that_hangs
  sh "$here/check.sh" --first --fake "$build" --out . > killed 2>&1 &
  process=$!
  until grep -q "^profile$tab" $table 2> /dev/null; do
    kill -0 $process 2> /dev/null || fail "it ended by itself: $(cat killed)"
    sleep 0.05
  done
  row=$(cat /proc/$process/task/$process/children)
  kill -9 $process
  # shellcheck disable=SC2086
  kill $row
  wait $process
  cat $table
  says $table "^flagship${tab}PASSED$tab.*bf16, loss [0-9]" \
    "^algorithms${tab}PASSED$tab.* products" "^profile${tab}RUNNING"
  says simulated-gpu-algorithms.txt "^[0-9]*x[0-9]*x[0-9]*nt:"
  GPU_MINUTES=0 expect 0 first --rest
  says $table "^flagship${tab}PASSED" "^profile${tab}NOT CHECKED${tab}0${tab}all was ended" \
    "^beside PyTorch${tab}NO TIME" "^lost rank${tab}NO TIME"
  [ "$(grep -c -v '^#' $table)" -eq 14 ] || fail "not 13 rows and a heading in the table"
  says output "^2 passed, 0 failed, 1 not checked, 10 without time" "with --rest goes on"
  says simulated-gpu-first-logs.txt "^==== flagship: PASSED" "^==== lost rank: NO TIME"
}

# The rows that nothing else tries.
rehearse_first_rows() {
  export NCU="$here/fake_ncu.sh"
  expect 0 first --only "attention and GELU"
  says output "attention_backward_queries of 3072: 123.45 us, DRAM 45.60%, tensor 12.30%, warps" \
    "; gelu_backward_rows of 2400: 1.20 ms, DRAM 91.00%; in simulated-gpu-ncu.txt"
  expect 0 first --only "table of products"
  says output "PASSED .*batch 4: [0-9]* images/s by the rule, [0-9]* by the table; 3[0-9] of 3[0-9]"
  says simulated-gpu-products.txt "^end = 3[0-9]"
  # A batch that does not fit is followed by a smaller one.
  export SIMT_MEMORY=400 SIMT_BATCHES="65536 4"
  expect 0 first --only flagship
  says output "PASSED .*, batch 4: [0-9]* images/s"
  unset SIMT_MEMORY SIMT_BATCHES
  expect 0 first --only "not a number"
  says output "PASSED .*exit code 5: step .*the loss is"
}

# Stopped in the training and gone on with; the second command does nothing twice.
rehearse_article() {
  set -- sh "$here/article.sh" --fake "$build" --out .
  rm -rf "$build/gpu-article"
  GPU_MINUTES=0 expect 75 "$@"
  says output "^training: not begun; the same command goes on"
  expect 75 "$@" --stop-after 5
  says output "^training: step 5 of 12 (42%), .* commands of this length still needed: 1"
  says simulated-gpu-article.tsv "^steps${tab}5 of 12"
  expect 0 "$@"
  says output "^every convention on 2 images: " "^neighbours: " "^every convention on 4 images: " \
    "^regression on 8 images: "
  says simulated-gpu-article.tsv "^attempts${tab}2" "^steps${tab}12 of 12" \
    "^state_sha256${tab}[0-9a-f]" "^knn_mean (" "^linear_mean (" \
    "^psnr_masked of 4 images${tab}[0-9.]*${tab}[0-9.]*${tab}[0-9]"
  says simulated-gpu-article-curve.tsv "^step${tab}10$tab" "^eval${tab}12$tab"
  [ -s simulated-gpu-article-sheet.png ] || fail "no sheet"
  rm -f simulated-gpu-article*
  expect 0 "$@"
  ! grep -q "^neighbours" output || fail "done again: $(cat output)"
  says simulated-gpu-article.tsv "^attempts${tab}2" "^linear_mean ("
}

# Parts that come one by one, one of them damaged.
rehearse_parts() {
  mkdir -p tin/test/images tin/val/images tin/train/n1/images tin/train/n2/images
  printf 'n1\nn2\n' | tee tin/wnids.txt > tin/words.txt
  printf 'val_0.JPEG\tn1\t0\t0\t9\t9\n' > tin/val/val_annotations.txt
  for file in test/images/a train/n1/n1_boxes.txt val/images/val_0.JPEG; do
    head -c 90000 /dev/urandom > "tin/$file"
  done
  for number in 1 2 3 4 5 6 7 8 9; do
    head -c 100000 /dev/urandom > "tin/train/n1/images/n1_$number.JPEG"
    head -c 30000 /dev/urandom > "tin/train/n2/images/n2_$number.JPEG"
  done
  export PART_MB=1
  parts="sh $here/data_parts.sh"
  expect 0 $parts make tin out
  cp out/parts.sha256 first.sha256
  expect 0 $parts make tin out
  cmp out/parts.sha256 first.sha256 || fail "other parts of the same files"
  [ "$(ls out)" = "$(printf 'part-1.tar.gz\npart-2.tar.gz\nparts.sha256')" ] || fail "$(ls out)"
  [ -z "$(find out -size +999999c)" ] || fail "a part is too large"
  mkdir there
  expect 3 $parts join there joined
  cp out/parts.sha256 out/part-2.tar.gz there
  expect 3 $parts join there joined
  says output "part-2.tar.gz: unpacked" "still missing: part-1.tar.gz"
  rm there/part-2.tar.gz
  { cat out/part-1.tar.gz && echo; } > there/part-1.tar.gz
  expect 1 $parts join there joined
  says output "part-1.tar.gz: not what parts.sha256 says"
  cp out/part-1.tar.gz there
  expect 0 $parts join there joined
  says output "^complete: 21 files"
  rm -r tin/test tin/words.txt tin/train/n1/n1_boxes.txt joined/.parts
  diff -r tin joined || fail "the joined folder differs"
  expect 4 $parts make out other
  says output "not TinyImageNet"
}

"rehearse_$name"
