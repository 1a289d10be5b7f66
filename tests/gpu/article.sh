#!/bin/sh
# make gpu-article: the article's own training (experiments/article.ini at the scale t4x2, seed 1)
# on one GPU, over as many commands as it takes.
#
#   sh tests/gpu/article.sh --data DIR [--fake BUILD] [--build FOLDER] [--out FOLDER]
#     [--stop-after N]
#
# DIR is TinyImageNet's folder (data_parts.sh joins one). One GPU computes both shards, in bf16
# where it has that. Every command goes on where the last one stopped, by stages: training; every
# convention of scoring on 1,000 held-out images; the probe by neighbours; every convention on all
# 10,000; the probe by regression. Then it says how far it is. The run is BUILD/gpu-article/article;
# OUT (results/reference/gpu) gets
#   DEVICE-article.tsv         facts, speed, scores beside the fills, probes
#   DEVICE-article-curve.tsv   every 100th step and every evaluation
#   DEVICE-article-*.txt       what `mae eval` printed
#   DEVICE-article-sheet.png   held-out images and what the model makes of them; not to be committed
#   --fake        all of it, tiny, on the simulated GPU of a finished build; no --data
#   --stop-after  stops the training after N steps, as when the time is over
#
# From the environment: GPU_MINUTES (9) for this command; DEPS and JOBS as check.sh has them.
# Exit 0: all is done; 1: something failed; 2: usage; 4: no GPU, no compiler for it or no data; 75:
# the time was over, the same command goes on.
set -u
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
program=gpu-article # of machine.sh
. "$here/machine.sh"

usage() {
  echo "usage: article.sh --data DIR [--fake BUILD] [--build FOLDER] [--out FOLDER]" \
    "[--stop-after N]" >&2
  exit 2
}
FAKE='' data='' stop=0 BUILD=$root/build-gpu out=$root/results/reference/gpu minutes=9
while [ $# -gt 0 ]; do
  [ $# -gt 1 ] || usage
  case $1 in
  --data) data=$2 ;;
  --fake)
    FAKE=1
    BUILD=$2
    ;;
  --build) BUILD=$2 ;;
  --stop-after) stop=$2 ;;
  --out) out=$2 ;;
  *) usage ;;
  esac
  shift 2
done
[ "$FAKE$data" ] || usage
[ "$FAKE" ] || [ -f "$data/wnids.txt" ] || refuse "$data: no wnids.txt: not TinyImageNet's folder"
set_limits
work=$BUILD/gpu-article
gpu_prepare
gpu_probe
CACHE=$work/cache
case $PRECISIONS in *bf16*) precision=bf16 ;; *) precision=fp16 ;; esac
STEM=$out/$(device_stem)-article
run=$work/article events=$work/article/events.jsonl
mkdir -p "$out" || exit 2
facts | tee "$work/facts" | sed 's/^# //'

# The configuration. How often it saves is no part of the result.
set -- --set run.device="$DEVICE" --set data.cache="$CACHE"
if [ "$FAKE" ]; then
  reserve=0 few=2 all=4 classified=8 held_out=16
  settings="model.image_size=16 model.patch_size=4 model.encoder=16x1x2 model.decoder=16x1x2
    train.batch=4 train.steps=12 train.warmup_epochs=1 data.source=shapes data.train_images=20
    eval.images=2"
else
  data=$(cd "$data" && pwd)
  reserve=40 few=1000 all=10000 classified=10000 held_out=10000
  settings="data.path=$data run.checkpoint_every=2000"
fi
for setting in $settings; do
  set -- "$@" --set "$setting"
done

left() {
  echo $((deadline - $(date +%s) - reserve))
}
# The last value of KEY in the events whose name is $1.
last() {
  grep "\"event\":\"$1\"" "$events" 2> /dev/null |
    sed -n "s/.*\"$2\":\"\{0,1\}\([^\",}]*\).*/\1/p" | tail -1
}
running=''
trap '[ -z "$running" ] || kill "$running"; [ -z "$running" ] || wait "$running"; exit 130' INT TERM

# in_time COMMAND...: until the time is over, then it is asked to stop and has $reserve seconds.
in_time() {
  seconds=$(left)
  [ "$seconds" -gt 0 ] || return 75
  timeout --preserve-status -k $((reserve + 1)) "$seconds" "$@" &
  running=$!
  wait $running
  code=$?
  running=''
  case $code in 130 | 137 | 143) code=75 ;; esac
  return $code
}

# The time is over: what is done and what is not.
later() {
  write_results
  echo "$*; the same command goes on"
  exit 75
}
failed() {
  write_results
  echo "gpu-article: $*" >&2
  exit 1
}

# How many commands as this one the rest of the training takes, by the speed of what is done.
training_left() {
  done=$(last step step) steps=$(last start steps) rate=$(last throughput images_per_second)
  median=$(last throughput step_seconds_median)
  awk -v done="${done:-0}" -v steps="${steps:-0}" -v rate="${rate:-0}" -v median="${median:-0}" \
    -v command=$((60 * minutes - reserve - 30)) 'BEGIN {
      if (!steps) { print "training: not begun"; exit }
      printf "training: step %d of %d (%.0f%%)", done, steps, 100 * done / steps
      if (rate > 0) printf ", %.0f images/s", rate
      if (rate <= 0 || done == steps || command <= 0) exit
      seconds = (steps - done) * median
      printf ", %.0f s more: commands of this length still needed: %d", seconds,
        1 + int(seconds / command)
      printf ", and the scores after that" }'
}

train() {
  [ "$(last end status)" != "done" ] || return 0
  in_time "$MAE" train "$root/experiments/scales/t4x2.ini" "$@" --set train.ranks=1 \
    --set train.precision=$precision --set run.seed=1 --out "$run" --resume --quiet \
    --stop-after "$stop"
  code=$?
  [ $code -ne 75 ] || later "$(training_left)"
  [ $code -eq 0 ] || failed "training: exit code $code; $(training_left)"
  worked=1
}

# stage NAME TEXT WORD...: NAME.txt is what `mae eval` with these settings prints. A stage that a
# whole command did not suffice for is given up: what comes after it may still fit.
stage() {
  name=$1 text=$2
  shift 2
  [ ! -s "$work/$name.txt" ] && [ ! -f "$work/$name.given-up" ] || return 0
  began=$(date +%s)
  in_time "$MAE" eval --checkpoint "$run" "$@" > "$work/$name.part" 2> "$work/$name.log"
  code=$?
  if [ $code -eq 75 ] && [ -f "$work/$name.begun" ] && [ -z "$worked" ]; then
    echo "$text: not within a command of $minutes minutes: given up" | tee "$work/$name.given-up"
    later "the other stages are to do"
  fi
  touch "$work/$name.begun"
  [ $code -ne 75 ] || later "$text: not done"
  [ $code -eq 0 ] || failed "$text: exit code $code: $(tail -1 "$work/$name.log")"
  mv "$work/$name.part" "$work/$name.txt"
  worked=1
  write_results
  echo "$text: $(($(date +%s) - began)) s"
}

# Tables -------------------------------------------------------------------------------------------

# Every attempt's speed, the last scores of the training, then the best of what the stages gave.
write_table() {
  cat "$work/facts"
  printf 'quantity\tmodel\tfill_mean\tfill_harmonic\n'
  printf 'precision\t%s\t-\t-\nsteps\t%s of %s\t-\t-\n' "$precision" "$(last step step)" \
    "$(last start steps)"
  for key in images_per_second step_seconds_median peak_memory_bytes; do
    printf '%s\t%s\t-\t-\n' $key "$(last throughput $key)"
  done
  printf 'attempts\t%d\t-\t-\n' "$(grep -c '"event":"start"' "$events")"
  printf 'state_sha256\t%s\t-\t-\n' "$(last end state_sha256)"
  printf 'data set sha256\t%s\t-\t-\n' \
    "$(sed -n 's/.*"dataset":{[^}]*"sha256":"\([0-9a-f]*\)".*/\1/p' "$events" | tail -1)"
  for conventions in "$work/conventions-all.txt" "$work/conventions.txt"; do
    [ -s "$conventions" ] || continue
    awk '/ held-out images, pictures as predicted/ { block = $1 } /^$/ { block = 0 }
      block && /^(psnr|ssim)_[a-z_]* / && $1 !~ /uniform|global|unclamped/ {
        print $1 " of " block " images\t" $2 "\t" $3 "\t" $4 }' "$conventions"
    break
  done
  # As `mae eval` prints them: the model, the pixels, the untrained model, chance.
  for probe in knn linear; do
    [ -s "$work/$probe.txt" ] || continue
    sed -n '/^knn_\|^linear_/p; /^classes told/p' "$work/$probe.txt" |
      awk '/^classes/ { print "# " $0; next }
        { print $1 " (model; pixels, random, chance)\t" $2 "\t" $3 ", " $4 ", " $5 "\t-" }'
  done
}

write_curve() {
  printf 'event\tstep\tloss\tlr\timages_per_second\tpsnr_masked\tssim_composite\n'
  awk 'function value(key) {
      if (!match($0, "\"" key "\":[^,}]*")) return "-"
      return substr($0, RSTART + length(key) + 3, RLENGTH - length(key) - 3) }
    /"event":"step"/ && value("step") % 100 != 0 && value("step") > 10 { next }
    /"event":"(step|eval)"/ {
      print /"event":"step"/ ? "step" : "eval", value("step"), value("loss"), value("lr"),
        value("images_per_second"), value("psnr_masked"), value("ssim_composite") }' OFS='\t' \
    "$events"
}

write_results() {
  [ -f "$events" ] || return 0
  write_table > "$work/table" && mv "$work/table" "$STEM.tsv"
  write_curve > "$work/curve" && mv "$work/curve" "$STEM-curve.tsv"
  [ ! -f "$run/sheet.png" ] || cp "$run/sheet.png" "$STEM-sheet.png"
  for file in "$work"/*.txt; do
    [ ! -f "$file" ] || cp "$file" "$STEM-$(basename "$file")"
  done
}

# The stages, the most telling first. Scores are of the checkpoint that is there.
worked=''
[ -d "$run" ] || rm -f "$work"/*.txt "$work"/*.begun "$work"/*.given-up
train "$@"
training_left
echo
write_results
set -- --set run.device="$DEVICE" --set data.cache="$CACHE"
[ "$FAKE" ] || set -- "$@" --set data.path="$data"
stage conventions "every convention on $few images" --conventions "$@" --set eval.images=$few
set -- "$@" --set probe.features=mean --set probe.eval_images=$held_out
stage knn "neighbours" "$@" --set eval.images=1 --set probe.method=knn
stage conventions-all "every convention on $all images" --conventions "$@" --set eval.images=$all
stage linear "regression on $classified images" "$@" --set eval.images=1 \
  --set probe.method=linear --set probe.train_images=$classified
echo "all is done: $STEM.tsv"
