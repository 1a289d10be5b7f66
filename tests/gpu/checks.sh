#!/bin/sh
# The checks of check.sh, which runs one a process: `sh checks.sh NAME [ARGUMENT]`, with what it
# exports: NVCC_FOLDER; the programs MAE, CASES, MODEL, PARITY, ONE_RANK; DEVICE, GPUS, PRECISIONS;
# FAKE, not empty when the GPU is simulated; RUN, an empty folder; CACHE, for packed images; STEM,
# the beginning of result files' names; LEFT, seconds until the whole must end, and LIMIT, those
# that this check has.
#
# What is printed goes into a log; the last line `figure: ...` is what the table shows.
# Exit 0: passed; 77: not checked; 75: too little time; else failed, for the reason in the figure or
# in the last line.
set -u
here=$(cd "$(dirname "$0")" && pwd)

# Sizes -------------------------------------------------------------------------------------------
# Every shape of ViT-Base with its decoder, one block of each; on the simulated GPU hardly a model.
if [ "$FAKE" ]; then
  small="model.image_size=16 model.patch_size=4 model.encoder=16x1x2 model.decoder=16x1x2"
  blocks=""
  training="$small train.batch=4 data.train_images=20 eval.images=4"
  steps=4 kill_steps=18 per_rank=2 diverging=16
  base="$small train.batch=2"
  large="$small train.batch=128 data.train_images=128"
  cases="--below 0.003"
  speed="--only image_scores"
  batches=${SIMT_BATCHES:-4} # a rehearsal may have others
  timing="--steps 3 --warmup 1"
  peer_seconds=8
  peer="--model tiny --steps 2 --turns 1"
else
  small="model.image_size=64 model.patch_size=8 model.encoder=192x3x3 model.decoder=96x2x3"
  vit="model.image_size=224 model.patch_size=16"
  training="$vit model.encoder=768x1x12 model.decoder=384x1x6 train.batch=64"
  training="$training data.train_images=256 eval.images=16"
  steps=16 kill_steps=60 per_rank=16 diverging=64
  vit="$vit model.encoder=vit_base model.decoder=384x12x6"
  base="$vit train.batch=2"
  blocks="model.encoder=768x1x12 model.decoder=384x1x6"
  large="$vit train.batch=8192 data.train_images=8192"
  cases=""
  speed=""
  batches="256 128 64 32"
  timing="--peak"
  peer_seconds=90
  peer=""
fi
training="$training train.shards=2 train.blr=0.03 train.warmup_steps=2"
case $PRECISIONS in *bf16*) preferred=bf16 ;; *) preferred=fp16 ;; esac

# Tools -------------------------------------------------------------------------------------------

figure() {
  echo "figure: $*"
}
fail() {
  figure "$*"
  exit 1
}
skip() {
  figure "$*"
  exit 77
}
no_time() {
  figure "$*"
  exit 75
}

# mae COMMAND WORD...: words like section.key=value become settings. $under is a program to run it.
under=
mae() {
  command=$1
  shift
  for word; do
    shift
    case $word in
    -* | /*) set -- "$@" "$word" ;;
    *=*) set -- "$@" --set "$word" ;;
    *) set -- "$@" "$word" ;;
    esac
  done
  $under "$MAE" "$command" "$@" --set "data.cache=$CACHE"
}

# train NAME WORD...: a run of $training in the folder $RUN/NAME.
train() {
  name=$1
  shift
  # shellcheck disable=SC2086 # a list of words
  mae train $training run.device="$DEVICE" "$@" --quiet --out "$RUN/$name"
}

# The last value of KEY that a run logged.
logged() {
  sed -n "s/.*\"$2\":\"\{0,1\}\([^\",}]*\).*/\1/p" "$RUN/$1/events.jsonl" | tail -1
}

# Trains to the end and leaves the state's hash in $hash.
hash_of() {
  code=0
  train "$@" > "$RUN/output" 2>&1 || code=$?
  cat "$RUN/output"
  [ $code -eq 0 ] || fail "$1: exit code $code: $(sed 's/^mae train: //' "$RUN/output" | tail -1)"
  hash=$(logged "$1" state_sha256)
  [ ${#hash} -eq 64 ] || fail "$1: no hash of the final state"
}

short() {
  echo "$1" | cut -c1-12
}

# refused CODE TEXT WORD...: `mae train` must end with the exit code, and one line that says TEXT.
refused() {
  wanted=$1
  text=$2
  shift 2
  code=0
  train refused "$@" > "$RUN/output" 2>&1 || code=$?
  cat "$RUN/output"
  [ $code -eq "$wanted" ] || fail "exit code $code, not $wanted: $(tail -1 "$RUN/output")"
  [ "$(wc -l < "$RUN/output")" -eq 1 ] || fail "more than one line of message"
  grep -q "$text" "$RUN/output" || fail "no '$text' in: $(cat "$RUN/output")"
  figure "exit code $code: $(sed 's/^mae train: //' "$RUN/output")"
}

# A Python that can do what the statement says.
python_with() {
  for python in ${PYTHON:-} python3 /usr/bin/python3; do
    "$python" -c "$1" > /dev/null 2>&1 && return 0
  done
  return 1
}

# Waits until the run NAME, process $process, has logged step N.
wait_for_step() {
  until [ "$(logged "$1" step 2> /dev/null)" -ge "$2" ] 2> /dev/null; do
    kill -0 "$process" 2> /dev/null || fail "$1 ended before step $2"
    sleep 0.05
  done
}

# Checks ------------------------------------------------------------------------------------------

check_kernels() {
  # shellcheck disable=SC2086
  "$CASES" --device "$DEVICE" $cases > "$RUN/table"
  code=$?
  cat "$RUN/table"
  [ $code -eq 0 ] || fail "$(sed -n 's/^FAIL //p' "$RUN/table" | head -1)"
  figure "$(awk '$NF ~ /^[0-9.]+$/ && $(NF - 1) > worst { worst = $(NF - 1) } { count = $1 }
    END { printf "%d cases, worst error %.2f of what is allowed", count, worst }' "$RUN/table")"
}

has_precision() {
  case " $PRECISIONS " in *" $1 "*) ;; *) skip "this GPU has no $1" ;; esac
}

# In the precision $1.
check_model() {
  has_precision "$1"
  failed=0
  for options in "$small train.batch=4" \
    "$small train.batch=4 train.norm_pix=true model.class_token=false" \
    "$small train.batch=4 train.recompute=true model.pos_embed=learned train.mask_ratio=0.5" \
    "$small train.batch=4 train.loss=all model.encoder_mask_tokens=true" "$base"; do
    echo "$options"
    # shellcheck disable=SC2086
    "$MODEL" gradients run.device="$DEVICE" train.precision="$1" $options > "$RUN/distance" ||
      failed=1
    cat "$RUN/distance"
    cat "$RUN/distance" >> "$RUN/distances"
  done
  figure "$(awk -v device="$DEVICE" '
    $1 == device { if ($2 > l) l = $2; if ($3 > p) p = $3; if ($5 > g) g = $5 }
    END { printf "at most: loss %.1e, prediction %.1e, a gradient %.1e", l, p, g }' \
    "$RUN/distances")"
  [ $failed -eq 0 ] || fail "$(sed -n 's/^FAILED: //p' "$RUN/distances" | tail -1)"
}

# parity WORD...: parity.py on the cases that the words choose; what it prints into $RUN/table.
parity() {
  "$python" "$here/../oracle/parity.py" --tool "$PARITY" --device "$DEVICE" "$@" \
    >> "$RUN/table" 2>&1
}

check_torch() {
  python_with "import torch, numpy" || skip "no python3 with torch and numpy"
  failed=0
  set -- --quick
  case $PRECISIONS in *bf16*) ;; *) set -- --quick --without bf16 ;; esac
  if [ "$FAKE" ]; then
    parity --only "small no class token" || failed=1
  else
    parity "$@" || failed=1
    parity --only "ViT-B + 384x12x6 0.75" || failed=1
  fi
  cat "$RUN/table"
  [ $failed -eq 0 ] || fail "$(grep FAILED "$RUN/table" || tail -1 "$RUN/table")"
  figure "$(sed -n 's/^parity with //; s/, seed.*//; 1p' "$RUN/table"): $(
    awk '/ passed, / { n += $1 } END { print n " passed" }' "$RUN/table")"
}

check_repeat() {
  text=
  for precision in $PRECISIONS; do
    hash_of "first-$precision" train.precision="$precision" train.steps=$steps
    first=$hash
    hash_of "second-$precision" train.precision="$precision" train.steps=$steps
    [ "$first" = "$hash" ] || fail "$precision: $(short "$first") and $(short "$hash") differ"
    text="$text, $precision $(short "$hash")"
  done
  hash_of other train.precision="$precision" train.steps=$steps run.seed=2
  [ "$first" != "$hash" ] || fail "another seed gives the same state: nothing was compared"
  figure "the same state twice: ${text#, }"
}

check_kill() {
  precision=${PRECISIONS##* }
  set -- train.precision="$precision" train.steps=$kill_steps run.checkpoint_every=5
  hash_of whole "$@"
  whole=$hash
  train killed "$@" &
  process=$!
  wait_for_step killed 12
  # The shell's child is a subshell: the run itself tells its process.
  kill -9 "$(logged killed pid)" || fail "it had ended before it could be killed"
  wait $process
  [ $? -eq 137 ] || fail "it had ended before it was killed"
  stopped=$(logged killed step)
  hash_of killed "$@" --resume
  [ "$hash" = "$whole" ] || fail "killed at step $stopped: $(short "$hash") after --resume," \
    "$(short "$whole") without"
  figure "$precision, killed at step $stopped and resumed: $(short "$hash") as without"
}

# The first two steps of a process are not replayed (one for each input buffer).
check_pieces() {
  precision=${PRECISIONS##* }
  set -- train.precision="$precision" train.steps=6
  hash_of whole "$@"
  whole=$hash
  for stop in 2 4; do
    train pieces "$@" --resume --stop-after $stop
    [ $? -eq 130 ] || fail "no stop after step $stop"
  done
  hash_of pieces "$@" --resume
  [ "$hash" = "$whole" ] || fail "$(short "$whole") replayed, $(short "$hash") step by step"
  figure "$precision, recorded steps and steps one by one: $(short "$hash")"
}

# The whole way (crops, masks, steps, schedule) beside the CPU, in fp32.
check_beside_cpu() {
  set -- train.steps=4 run.checkpoint_every=0
  train gpu "$@" || fail "exit code $?"
  train cpu "$@" run.device=cpu || fail "exit code $?"
  step='s/.*"event":"step".*"loss":\([^,]*\).*"grad_norm":\([^,]*\).*/\1 \2/p'
  for name in gpu cpu; do
    sed -n "$step" "$RUN/$name/events.jsonl" > "$RUN/$name.steps"
  done
  paste -d ' ' "$RUN/gpu.steps" "$RUN/cpu.steps" | tee "$RUN/steps"
  worst=$(awk '{ for (i = 1; i <= 2; i++) {
      d = ($i - $(i + 2)) / $(i + 2); if (d < 0) d = -d; if (!(d <= worst)) worst = d } }
    END { if (NR == 4) printf "%.1e", worst }' "$RUN/steps")
  awk -v worst="${worst:-nan}" 'BEGIN { exit !(worst ~ /^[0-9]/ && worst + 0 <= 1e-4) }' ||
    fail "losses or gradients differ by ${worst:-an unknown amount}, allowed are 1e-4"
  figure "losses and gradient norms of 4 steps within $worst"
}

check_overflow() {
  # shellcheck disable=SC2086
  "$MODEL" overflow run.device="$DEVICE" $small train.batch=4 > "$RUN/output" || {
    cat "$RUN/output"
    return 1
  }
  figure "$(tail -1 "$RUN/output")"
}

# What the message says would fit does.
check_memory() {
  precision=${PRECISIONS##* }
  [ -z "$FAKE" ] || export SIMT_MEMORY=258
  # shellcheck disable=SC2086
  refused 3 "MiB are free .* would fit" $large train.shards=1 train.precision="$precision"
  fits=$(sed -n 's/.*; \(train\.[a-z]*\) = \([0-9]*\) would fit$/\1=\2/p' "$RUN/output")
  # shellcheck disable=SC2086
  mae bench $large train.shards=1 train.precision="$precision" "$fits" run.device="$DEVICE" \
    --steps 1 --warmup 0 || fail "$fits does not fit"
}

check_no_such_gpu() {
  refused 3 "there is no cuda:999 here, only cuda:0" run.device=cuda:999
}

check_hidden() {
  [ -z "$FAKE" ] || export SIMT_DEVICES=0
  export CUDA_VISIBLE_DEVICES=-1
  refused 3 "sees no GPU here; is it hidden by CUDA_VISIBLE_DEVICES"
}

check_no_bf16() {
  case $PRECISIONS in *bf16*) skip "this GPU has bf16" ;; esac
  refused 2 "has no bf16: that takes compute capability 8.0" train.precision=bf16
}

# A communicator of one; gradients are fp32 in every precision.
check_one_rank() {
  # shellcheck disable=SC2086
  "$ONE_RANK" --device "$DEVICE" $small train.batch=4 train.precision="${PRECISIONS##* }" \
    > "$RUN/output" 2>&1
  code=$?
  cat "$RUN/output"
  figure "$(sed 's/^NCCL with one rank[ :on]*//' "$RUN/output" | tail -1)"
  [ $code -eq 0 ] || ! grep -q "not checked: this build has no NCCL" "$RUN/output" ||
    skip "this build has no NCCL"
  return $code
}

# $1 ranks, a GPU each. Two have the bits of one with two shards; more have bits of their own, the
# same every time.
check_ranks() {
  ranks=$1 before=1 text=
  [ "$GPUS" -ge "$ranks" ] || skip "$GPUS GPU here"
  [ "$ranks" -eq 2 ] || before=$ranks
  for precision in $PRECISIONS; do
    set -- train.precision="$precision" train.steps=$steps train.shards="$ranks" \
      train.batch=$((per_rank * ranks))
    hash_of "before-$precision" "$@" train.ranks="$before"
    first=$hash
    hash_of "ranks-$precision" "$@" train.ranks="$ranks"
    [ "$first" = "$hash" ] || fail "$precision: $(short "$first") in the first run with $before," \
      "$(short "$hash") with $ranks"
    text="$text, $precision $(short "$hash")"
  done
  figure "the bits of $before: ${text#, }"
}

check_lost_rank() {
  [ "$GPUS" -ge 2 ] || skip "$GPUS GPU here, and NCCL takes no two ranks on one"
  train lost train.ranks=2 train.steps=100000 run.checkpoint_every=2 2> "$RUN/output" &
  process=$!
  wait_for_step lost 5
  parent=$(logged lost pid)
  child=$(cut -d ' ' -f 1 "/proc/$parent/task/$parent/children")
  [ "$child" ] || fail "no second rank"
  kill -9 "$child"
  wait $process
  code=$?
  cat "$RUN/output"
  [ $code -eq 3 ] || fail "exit code $code, not 3"
  grep -q "was killed by signal 9; the last checkpoint is good" "$RUN/output" ||
    fail "not said: $(tail -1 "$RUN/output")"
  train lost train.ranks=2 train.steps=100000 run.checkpoint_every=2 --resume \
    --stop-after "$(($(logged lost step) + 2))"
  [ $? -eq 130 ] || fail "the checkpoint does not resume"
  figure "exit code 3: $(sed 's/^mae train: //' "$RUN/output" | tail -1)"
}

# A decay above the weights themselves makes them grow with every step, until one is not finite.
check_not_a_number() {
  refused 5 "the loss is\|the gradient is not finite" train.precision="$preferred" \
    train.steps=200 train.batch="$diverging" train.blr=10 train.weight_decay=10 \
    train.warmup_steps=0 run.checkpoint_every=0
}

# clean WHAT COMMAND...: the command, under compute-sanitizer, ends well, until the time $until.
clean() {
  what=$1
  shift
  seconds=$((until - $(date +%s)))
  [ $seconds -gt 0 ] || no_time "$done_so_far; no time for $what"
  under="timeout $seconds $sanitizer"
  "$@" > "$RUN/output" 2>&1
  code=$?
  cat "$RUN/output"
  found=$(sed -n '/COMPUTE-SANITIZER/d; /SUMMARY: 0 /d; s/^===* *\([A-Z].*\)/\1/p' \
    "$RUN/output" | head -1)
  [ $code -ne 124 ] || [ "$found" ] ||
    no_time "$done_so_far; $what took more than $seconds s, without an error until then"
  done_so_far="no errors in $what"
  [ $code -eq 0 ] || fail "$what: exit code $code," \
    "$(sed -n 's/^=* *ERROR SUMMARY: //p; $p' "$RUN/output" | head -1)"
}

sanitized() {
  $under "$@"
}

# compute-sanitizer's tool $1 on the small cases, and on a whole training.
check_sanitizer() {
  [ -z "$FAKE" ] || skip "for GPUs; simt_cases_address and simt_cases_thread are its like"
  sanitizer=$(command -v compute-sanitizer) || sanitizer=$NVCC_FOLDER/compute-sanitizer
  [ -x "$sanitizer" ] || skip "no compute-sanitizer beside nvcc or on the PATH"
  sanitizer="$sanitizer --tool $1 --error-exitcode 9"
  until=$(($(date +%s) + LIMIT - 15)) done_so_far="nothing checked"
  training="$small train.batch=4 data.train_images=20 eval.images=4 train.warmup_steps=2"
  # shellcheck disable=SC2086
  clean "the kernel cases" sanitized "$CASES" --device "$DEVICE" --below 0.05
  clean "a small training" train small train.steps=4 train.precision="${PRECISIONS##* }"
  figure "no errors in the kernel cases and a small training"
}

check_kernel_speed() {
  # shellcheck disable=SC2086
  "$CASES" --device "$DEVICE" --speed $speed > "$STEM-kernels.txt" || return 1
  cat "$STEM-kernels.txt"
  figure "$(tail -1 "$STEM-kernels.txt"), in $(basename "$STEM")-kernels.txt"
}

# The first of $batches that fits, in $batch; $1: in this precision.
find_batch() {
  for batch in $batches; do
    # shellcheck disable=SC2086
    mae bench $base train.precision="${1:-${PRECISIONS##* }}" run.device="$DEVICE" \
      train.batch="$batch" --steps 1 --warmup 0 > /dev/null 2> "$RUN/output" && return 0
    cat "$RUN/output"
    grep -q "out of memory" "$RUN/output" || fail "batch $batch: $(tail -1 "$RUN/output")"
  done
  fail "not even a batch of $batch fits"
}

number_in() {
  sed -n "s/.*\"$2\": \([0-9.e+-]*\).*/\1/p" "$1"
}

# time_steps PRECISION WORD...: this trainer alone at $batch; what it reaches in $reached.
time_steps() {
  precision=$1
  shift
  # shellcheck disable=SC2086
  mae bench $base train.precision="$precision" run.device="$DEVICE" train.batch="$batch" "$@" \
    --json > "$RUN/speed.json" 2> "$RUN/output" || fail "batch $batch: $(tail -1 "$RUN/output")"
  cat "$RUN/speed.json"
  reached=$(awk -v rate="$(number_in "$RUN/speed.json" images_per_second)" \
    -v share="$(number_in "$RUN/speed.json" share_of_peak)" \
    -v bytes="$(number_in "$RUN/speed.json" peak_memory_bytes)" -v batch="$batch" 'BEGIN {
      printf "batch %d: %.0f images/s, ", batch, rate
      if (share) printf "%.0f%% of the products'\'' peak, ", 100 * share
      printf "%.0f MiB", bytes / 1048576 }')
}

# This trainer alone, in the precision $1.
check_speed() {
  has_precision "$1"
  find_batch
  # shellcheck disable=SC2086
  time_steps "$1" $timing
  figure "$reached"
}

# The largest batch that fits. Two steps are not replayed, the third is the first that is.
check_flagship() {
  [ "$FAKE" ] || batches="1024 $batches"
  find_batch "$preferred"
  time_steps "$preferred" --warmup 2 --steps 8
  loss=$(number_in "$RUN/speed.json" loss | cut -c 1-6)
  awk -v loss="${loss:-nan}" 'BEGIN { exit !(loss ~ /^[0-9]/ && loss + 0 < 100) }' ||
    fail "the loss after 10 steps is ${loss:-no number}"
  figure "$preferred, loss $loss after 10 steps, $reached"
}

# What cuBLASLt was asked to compute and how it does: a line per product in STEM-algorithms.txt.
check_algorithms() {
  [ "$FAKE" ] || batches="1024 $batches"
  find_batch "$preferred"
  # shellcheck disable=SC2086
  hash_of products $base train.precision="$preferred" train.batch="$batch" train.shards=1 \
    train.blr=0.00015 data.train_images="$batch" train.steps=6 eval.images=1 run.checkpoint_every=0
  {
    echo "# $(logged products gpu), $preferred, batch $batch"
    echo "# products m x n x k; each: algorithm.tile.stages.split.swizzle.custom.inner.cluster, and"
    echo "# what else the record has (kernels/cuda/linear.cu). nt: the gradient of a weight; tn:"
    echo "# the forward product; nn: the gradient of an input."
    sed -n 's/.*"device_features":"[^"]*products \([^"]*\)".*/\1/p' "$RUN/products/events.jsonl" |
      head -1 | tr ' ' '\n' | sort -t : -k 1,1
  } > "$STEM-algorithms.txt"
  cat "$STEM-algorithms.txt"
  figure "$(awk -F '[:.]' '
    /^[0-9]+x/ { products++ }
    /^[0-9]+x[0-9]+x[0-9]+nt/ { n++; if ($5 > 1) { split_++; if ($5 > most) most = $5 } }
    END { printf "%d products; of %d gradients of weights %d are split sums", products, n, split_
      if (split_) printf ", of up to %d parts", most }' "$STEM-algorithms.txt"), loss" \
    "$(logged products loss | cut -c 1-6); in $(basename "$STEM")-algorithms.txt"
  grep -q '^[0-9]*x[0-9]*x[0-9]*nt' "$STEM-algorithms.txt" || fail "no product was recorded"
}

# What a table of algorithms made by timing gains over the rule; it stays, in STEM-products.txt. The
# steps that follow it must come to the same loss twice.
check_table() {
  find_batch "$preferred"
  table="$STEM-products.txt"
  set --
  # shellcheck disable=SC2086
  [ ! "$FAKE" ] || set -- $timing
  time_steps "$preferred" "$@"
  rule=$(number_in "$RUN/speed.json" images_per_second)
  time_steps "$preferred" --products "$table" "$@"
  cat "$table"
  loss=''
  for turn in 1 2; do
    time_steps "$preferred" run.products="$table" "$@"
    own=$(number_in "$RUN/speed.json" loss)
    [ "${loss:-$own}" = "$own" ] || fail "the loss is $loss and in turn $turn $own"
    loss=$own
  done
  figure "batch $batch: $(awk -v rule="$rule" \
    -v rate="$(number_in "$RUN/speed.json" images_per_second)" '
    /# [0-9.e+-]* ms; rule/ { all++; other += $(NF - 4) != $(NF - 1) }
    END { printf "%.0f images/s by the rule, %.0f by the table; %d of %d products differ", rule,
      rate, other, all }' "$table"), in $(basename "$table")"
}

# Attention and GELU under the profiler ncu, one block of each size: durations, and what part of the
# memory's speed, of the tensor cores and of the warps that fit is used.
check_ncu() {
  ncu=${NCU:-$(command -v ncu)} || ncu=$NVCC_FOLDER/ncu
  [ -x "$ncu" ] || skip "no ncu beside nvcc or on the PATH; the profile has their times"
  [ "$FAKE" ] || batches="256 $batches"
  base="$base $blocks"
  find_batch "$preferred"
  tensor=sm__pipe_tensor_cycles_active
  set --
  ! "$ncu" --query-metrics 2> /dev/null | grep -q "^$tensor" ||
    set -- --metrics $tensor.avg.pct_of_peak_sustained_active
  under="$ncu --clock-control none --kernel-name regex:attention|gelu --section
    SpeedOfLight --section Occupancy --section LaunchStats $*"
  # shellcheck disable=SC2086
  mae bench $base train.precision="$preferred" run.device="$DEVICE" train.batch="$batch" \
    --steps 1 --warmup 0 > "$RUN/ncu" 2>&1
  code=$?
  {
    echo "# ViT-Base + 384x12x6, one block of each, $preferred, batch $batch"
    grep -v '^==PROF==' "$RUN/ncu"
  } > "$STEM-ncu.txt"
  cat "$STEM-ncu.txt"
  [ $code -eq 0 ] || fail "ncu: $(grep '^==ERROR==\|^mae' "$RUN/ncu" | head -1)"
  text=$(awk -f "$here/ncu.awk" "$STEM-ncu.txt") || fail "ncu printed nothing of these kernels"
  figure "$text; in $(basename "$STEM")-ncu.txt"
}

# Every operation beside its floor, in the precision $1, or in the preferred one.
check_profile() {
  [ "$1" != preferred ] || set -- "$preferred"
  has_precision "$1"
  find_batch
  # shellcheck disable=SC2086
  mae bench $base train.precision="$1" run.device="$DEVICE" train.batch="$batch" --profile \
    >> "$STEM-profile.txt" || return 1
  echo >> "$STEM-profile.txt"
  figure "$(sed -n 's/^throughput *//p' "$STEM-profile.txt" | tail -1)," \
    "in $(basename "$STEM")-profile.txt"
}

# Beside PyTorch. short: the largest usual batch, one turn, not compiled. first: the batches 256 and
# 1024 on images that lie ready, one turn, compiled where the time allows. full: the whole table, of
# which our half is there without PyTorch too.
check_peer() {
  python_with "import torch; assert torch.cuda.is_available()" ||
    { [ "$1" != short ] && python_with ""; } || skip "no python3 with a PyTorch that sees the GPU"
  [ "$1" != first ] || [ "$LIMIT" -ge "$peer_seconds" ] ||
    no_time "it takes $peer_seconds s or more, $LIMIT were left"
  [ "$1" = short ] || [ "$FAKE" ] || batches="1024 $batches"
  find_batch
  # shellcheck disable=SC2086
  set -- "$1" "$python" "$here/bench.py" --mae "$MAE" --device "$DEVICE" $peer \
    --precisions "$(echo "${PRECISIONS#fp32 }" | tr ' ' ,)"
  result=$STEM-bench.tsv
  [ "$1" = short ] || [ "$batch" -lt 1024 ] || batch=256,1024
  case $1 in
  short)
    result=$RUN/short-bench.tsv
    set -- "$@" --out "$RUN" --name short --batches "$batch" --turns 1 --steps 10 --no-compile
    ;;
  first)
    # A row takes about a minute and a half when PyTorch compiles, half of one when it does not.
    seconds=$((LIMIT - 120))
    if [ "$LIMIT" -lt 330 ]; then
      seconds=$((LIMIT - 40))
      set -- "$@" --no-compile
    fi
    set -- "$@" --out "$(dirname "$STEM")" --name "$(basename "$STEM")" --batches "$batch" \
      --turns 1 --steps 10 --inputs device --minutes "$(awk "BEGIN { print $seconds / 60 }")"
    ;;
  full)
    set -- "$@" --out "$(dirname "$STEM")" --name "$(basename "$STEM")" --batches "$batch" \
      --minutes $((LEFT / 75))
    ;;
  esac
  shift
  code=0
  "$@" || code=$?
  [ $code -eq 0 ] || [ $code -eq 75 ] ||
    fail "$(awk -F'\t' '$1 != "input" && $13 { print $2, $1, $3 ": " $13; exit }' "$result")"
  figure "$(awk -F'\t' '/^#/ || $1 == "input" || $4 == "-" { next }
    { printf "%s%s %s %d: %s images/s, ", separator, $2, $1, $3, $4
      printf "%s", $7 == "-" ? "no PyTorch" : $7 " times PyTorch"
      printf "%s", $7 == "-" || $6 != "-" ? "" : " (eager)"
      separator = "; " }' "$result")"
  return $code
}

# What no healthy machine shows.
check_elsewhere() {
  skip "not on a healthy machine; tests/simt does"
}

check=$1
shift
"check_$check" "$@"
