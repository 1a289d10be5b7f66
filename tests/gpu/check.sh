#!/bin/sh
# make gpu-check and make gpu-bench: everything that only a machine with a GPU can show.
#
#   sh tests/gpu/check.sh [--bench] [--fake BUILD] [--only NAME] [--build FOLDER] [--out FOLDER]
#
# Builds into --build (build-gpu) for the GPUs found, runs the checks of checks.sh one after the
# other, each with a log in BUILD/gpu-check/, and writes OUT/DEVICE.tsv (OUT is
# results/reference/gpu). What cannot be checked here is listed as such; a check that fails does not
# stop the rest.
#   --bench  instead measures this trainer beside PyTorch (bench.py) and every operation beside its
#            floor: OUT/DEVICE-bench*.tsv, OUT/DEVICE-profile.txt
#   --fake   the same checks, small, on the simulated GPU of a finished build
#   --only   the checks whose names contain this
#
# From the environment (or `make gpu-check NAME=VALUE`):
#   GPU_MINUTES  for all together: 10 for the checks, 30 for the benchmark
#   DEPS         a folder with unpacked libraries, made by unpack_deps.sh
#   PYTHON       a Python with PyTorch, tried before python3
#   JOBS         compilers at once
#
# Exit 0: nothing failed; 1: something failed; 2: usage; 4: no GPU, or no compiler for it.
set -u
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)

usage() {
  echo "usage: check.sh [--bench] [--fake BUILD] [--only NAME] [--build FOLDER] [--out FOLDER]" >&2
  exit 2
}
refuse() {
  echo "gpu-check: $*" >&2
  exit 4
}

bench='' FAKE='' only='' BUILD=$root/build-gpu out=$root/results/reference/gpu
while [ $# -gt 0 ]; do
  case $1 in
  --bench)
    bench=1
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
minutes=${GPU_MINUTES:-$([ "$bench" ] && echo 30 || echo 10)}
case $minutes in *[!0-9]*)
  echo "gpu-check: GPU_MINUTES=$minutes: not a whole number of minutes" >&2
  exit 2
  ;;
esac
DEPS=${DEPS:-}
deadline=$(($(date +%s) + 60 * minutes))
case $BUILD in /*) ;; *) BUILD=$PWD/$BUILD ;; esac
case $out in /*) ;; *) out=$PWD/$out ;; esac
work=$BUILD/gpu-check

# The machine and the build ------------------------------------------------------------------------

# "90;100": compute capabilities of the GPUs here; `native` leaves it to the compiler.
architectures() {
  list=$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader 2> /dev/null |
    tr -d '. ' | sort -u | paste -sd ';')
  case $list in '' | *[!0-9\;]*) echo native ;; *) echo "$list" ;; esac
}

require_gpu() {
  nvidia-smi -L 2> /dev/null | grep -q '^GPU' || [ -d /proc/driver/nvidia/gpus ] ||
    refuse "no NVIDIA GPU with a driver here; it takes one of compute capability 7.5 or later," \
      "and the CUDA toolkit"
  nvcc=$(command -v nvcc || ls "${CUDA_PATH:-/usr/local/cuda}/bin/nvcc" 2> /dev/null) ||
    refuse "a GPU but no nvcc: put the CUDA toolkit's bin folder on the PATH, or set CUDA_PATH"
  NVCC_FOLDER=$(dirname "$nvcc")
}

# cmake 3.22 or later as `$cmake`: this machine's, or the one in DEPS with the libraries it needs.
find_cmake() {
  cmake=cmake
  recent='s/^cmake version \([0-9]*\)\.\([0-9]*\).*/\1 \2/p'
  # shellcheck disable=SC2046
  set -- $(cmake --version 2> /dev/null | sed -n "$recent") 0 0
  [ $((1000 * $1 + $2)) -ge 3022 ] && return
  [ "$DEPS" ] && [ -x "$DEPS/usr/bin/cmake" ] ||
    refuse "no cmake 3.22 or later on the PATH or in DEPS (unpack_deps.sh puts one there)"
  cmake="env LD_LIBRARY_PATH=$deps_libraries:${LD_LIBRARY_PATH:-} $DEPS/usr/bin/cmake"
}

# Libraries in DEPS are found at run time by RPATH: unlike LD_LIBRARY_PATH no other program sees it,
# and unlike RUNPATH it serves the libraries' own libraries too.
build() {
  set -- -S "$root" -B "$BUILD" -DCMAKE_BUILD_TYPE=Release -DMAEBENCH_CUDA=ON \
    -DMAEBENCH_CUDA_ARCHITECTURES="$(architectures)"
  if [ "$DEPS" ]; then
    case $DEPS in /*) ;; *) DEPS=$PWD/$DEPS ;; esac
    triplet=$(basename "$(echo "$DEPS"/usr/lib/*-linux-gnu)")
    [ -d "$DEPS/usr/lib/$triplet" ] || refuse "DEPS=$DEPS: not a folder that unpack_deps.sh made"
    deps_libraries=$DEPS/usr/lib/$triplet
    export PKG_CONFIG_SYSROOT_DIR="$DEPS"
    export PKG_CONFIG_LIBDIR="$deps_libraries/pkgconfig:$DEPS/usr/share/pkgconfig"
    printf '#!/bin/sh\nLD_LIBRARY_PATH="%s" exec "%s" "$@"\n' "$deps_libraries" \
      "$DEPS/usr/bin/pkgconf" > "$work/pkg-config"
    chmod +x "$work/pkg-config"
    set -- "$@" -DPKG_CONFIG_EXECUTABLE="$work/pkg-config" -DCMAKE_PREFIX_PATH="$DEPS/usr" \
      -DCMAKE_LIBRARY_ARCHITECTURE="$triplet" \
      -DCMAKE_C_FLAGS="-isystem $DEPS/usr/include/$triplet" -DCMAKE_EXE_LINKER_FLAGS="\
-Wl,--disable-new-dtags,-rpath,$deps_libraries,-rpath-link,$deps_libraries"
  fi
  find_cmake
  echo "building into $BUILD (log: $work/build.log)"
  {
    $cmake "$@" && $cmake --build "$BUILD" --target gpu_programs -j "${JOBS:-$(nproc)}"
  } > "$work/build.log" 2>&1 || {
    tail -20 "$work/build.log"
    echo "gpu-check: it does not build" >&2
    exit 1
  }
}

if [ "$FAKE" ]; then
  NVCC_FOLDER=''
  MAE=$BUILD/tests/mae_simt CASES=$BUILD/tests/simt_cases
  MODEL=$BUILD/tests/gpu_model_check_fake PARITY=$BUILD/tests/parity_tool_fake
  ONE_RANK=$BUILD/tests/gpu_one_rank_fake
  [ -x "$MAE" ] || refuse "$MAE is not there: --fake takes a finished build folder"
  export SIMT_DEVICES=2 SIMT_GUARD=0
  mkdir -p "$work" || exit 2
else
  require_gpu
  mkdir -p "$work" || exit 2
  build
  MAE=$BUILD/bin/mae CASES=$BUILD/tests/kernel_cases
  MODEL=$BUILD/tests/gpu_model_check PARITY=$BUILD/tests/parity_tool
  ONE_RANK=$BUILD/tests/gpu_one_rank
fi
DEVICE=cuda:0 RUN=$work/run CACHE=$work/cache
export FAKE DEVICE MAE CASES MODEL PARITY ONE_RANK RUN CACHE NVCC_FOLDER

# Facts --------------------------------------------------------------------------------------------

# One tiny training tells what the device is, and whether it can be used at all.
probe() {
  rm -rf "$RUN"
  mkdir -p "$RUN"
  "$MAE" train --quiet --out "$RUN/$1" --set run.device=$DEVICE --set data.cache="$CACHE" \
    --set model.image_size=16 --set model.patch_size=4 --set model.encoder=16x1x2 \
    --set model.decoder=16x1x2 --set train.batch=4 --set data.train_images=4 --set eval.images=1 \
    --set train.steps=2 --set train.warmup_steps=1 --set train.precision="$1" 2>&1
}
fact() {
  sed -n "s/.*\"$1\":\"\([^\"]*\)\".*/\1/p" "$RUN/fp32/events.jsonl" | head -1
}

PRECISIONS="fp32 bf16 fp16"
case $(probe bf16) in *"has no bf16"*) PRECISIONS="fp32 fp16" ;; esac
message=$(probe fp32) || refuse "the GPU cannot be used: ${message#mae train: }"
device=$(fact gpu)
features=$(fact device_features)
driver=$(fact driver)
libraries=$(fact libraries)
GPUS=$("$MAE" bench --steps 1 --set run.device=cuda:999 2>&1 |
  sed -n 's/.*only .*cuda:\([0-9]*\)$/\1/p')
GPUS=$((${GPUS:-0} + 1))
STEM=$out/$(echo "$device" | tr '[:upper:]' '[:lower:]' | tr -cs '[:alnum:]' - | sed 's/-$//')
export PRECISIONS GPUS STEM
mkdir -p "$out" || exit 2

facts() {
  printf '# device: %s, %d of them; %s; %s\n' "$device" "$GPUS" "${features%%;*}" "${driver:--}"
  printf '# libraries: %s\n' "$libraries"
  printf '# commit: %s; %s\n' \
    "$(git -C "$root" describe --always --dirty --abbrev=12 2> /dev/null || echo unknown)" \
    "$(date -u +%Y-%m-%dT%H:%MZ)"
}
facts > "$work/facts"
sed 's/^# //' "$work/facts"

# The table ----------------------------------------------------------------------------------------

running=''
trap '[ -z "$running" ] || kill "$running"; echo; exit 130' INT TERM
: > "$work/rows.tsv"

# row TITLE SECONDS CHECK [ARGUMENT]: runs a check for at most that long, and not past the deadline.
row() {
  title=$1 limit=$2
  shift 2
  case $title in *"$only"*) ;; *) return ;; esac
  log=$work/$(echo "$title" | tr -cs '[:alnum:]\n' -).log
  began=$(date +%s)
  LEFT=$((deadline - began))
  most=$limit
  [ $LEFT -ge "$limit" ] || most=$LEFT
  export LEFT
  printf '%-22s ' "$title"
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
  figure=$(sed -n 's/^figure: //p' "$log" | tail -1 | tr -s '\t ' ' ')
  case $code in
  0) result=PASSED ;;
  77) result="NOT CHECKED" ;;
  124 | 137)
    result=FAILED figure="took longer than $limit s"
    [ "$most" -eq "$limit" ] || result="NOT CHECKED" figure="GPU_MINUTES=$minutes were over"
    ;;
  *)
    result=FAILED
    [ "$figure" ] || figure=$(tail -1 "$log" | tr -s '\t ' ' ')
    ;;
  esac
  seconds=$(($(date +%s) - began))
  printf '%-11s %4d s  %s\n' "$result" $seconds "$figure"
  printf '%s\t%s\t%d\t%s\n' "$title" "$result" $seconds "$figure" >> "$work/rows.tsv"
}

if [ "$bench" ]; then
  rm -f "$STEM-profile.txt"
  row "profile bf16" 120 profile bf16
  row "profile fp16" 120 profile fp16
  row "beside PyTorch" 3600 peer full
  grep -v '^figure: ' "$work/beside-PyTorch.log"
else
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
  row "memcheck" 60 sanitizer memcheck
  row "racecheck" 60 sanitizer racecheck
  row "initcheck" 60 sanitizer initcheck
  row "synccheck" 60 sanitizer synccheck
  row "driver or GPU too old" 10 elsewhere
  row "error in a step" 10 elsewhere
fi
rm -rf "$RUN"

count() {
  cut -f 2 "$work/rows.tsv" | grep -c "^$1\$"
}
echo "$(count PASSED) passed, $(count FAILED) failed, $(count 'NOT CHECKED') not checked;" \
  "logs: $work"
[ -s "$work/rows.tsv" ] || {
  echo "gpu-check: no check is called '$only'" >&2
  exit 2
}
if [ -z "$only$bench" ]; then
  {
    cat "$work/facts"
    printf 'check\tresult\tseconds\tfigure\n'
    cat "$work/rows.tsv"
  } > "$STEM.tsv" || exit 2
  echo "written: $STEM.tsv"
fi
[ "$(count FAILED)" -eq 0 ]
