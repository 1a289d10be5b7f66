# shellcheck shell=sh
# What check.sh and article.sh share: the machine, the build, and the facts above their tables.
#
# Before: $program, whose messages these are; $root, the project's folder; BUILD, the build folder;
# out, where results go; FAKE, not empty for a simulated GPU; COMMIT, where git cannot tell it.

refuse() {
  echo "$program: $*" >&2
  exit 4
}

# Reads GPU_MINUTES, of which $minutes is the default, and makes the folders' names absolute. A
# rehearsal may have shorter minutes, of MINUTE seconds.
set_limits() {
  minutes=${GPU_MINUTES:-$minutes}
  case $minutes in *[!0-9]*)
    echo "$program: GPU_MINUTES=$minutes: not a whole number of minutes" >&2
    exit 2
    ;;
  esac
  DEPS=${DEPS:-}
  deadline=$(($(date +%s) + ${MINUTE:-60} * minutes))
  case $BUILD in /*) ;; *) BUILD=$PWD/$BUILD ;; esac
  case $out in /*) ;; *) out=$PWD/$out ;; esac
}

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

# DEPS may be the folder in one file; unpacked once, it serves later commands without the file.
unpack_deps() {
  case $DEPS in *.tar.gz) ;; *) return ;; esac
  [ -d "$BUILD/deps/usr" ] || {
    mkdir -p "$BUILD/deps.part" && tar -xzf "$DEPS" -C "$BUILD/deps.part" &&
      mv "$BUILD/deps.part" "$BUILD/deps" || refuse "DEPS=$DEPS: cannot be unpacked into $BUILD"
  }
  DEPS=$BUILD/deps
}

hash_of_sources() {
  {
    echo "$@"
    (cd "$root" && find CMakeLists.txt CMakePresets.json kernels mae harness tests -type f \
      ! -name '*.md' ! -name '*.sh' ! -name '*.py' ! -name '*.pyc' -exec sha256sum {} + |
      LC_ALL=C sort)
  } | sha256sum
}

# find_in_python NAME HEADER PACKAGE...: PyTorch brings NVIDIA's libraries as packages of Python,
# under no name that a linker looks for. Links to the first that has the header and libNAME make up
# $work/NAME; false when there is none.
find_in_python() {
  name=$1 header=$2
  shift 2
  for python in ${PYTHON:-} python3; do
    for package; do
      folder=$("$python" -c "import $package as n; print(list(n.__path__)[0])" 2> /dev/null) &&
        library=$(ls "$folder/lib/lib$name.so".[0-9]* 2> /dev/null) &&
        [ -f "$folder/include/$header" ] && [ -f "$library" ] || continue
      mkdir -p "$work/$name/lib"
      ln -sfn "$folder/include" "$work/$name/include"
      ln -sf "$library" "$work/$name/lib"
      ln -sf "$library" "$work/$name/lib/lib$name.so"
      return 0
    done
  done
  return 1
}

use_nccl_of_python() {
  [ -z "${NCCL_HOME:-}" ] || return 0
  ! find_in_python nccl nccl.h nvidia.nccl || export NCCL_HOME="$work/nccl"
}

# Sets $cublas, options for cmake where the toolkit came without cuBLASLt.
use_cublas_of_python() {
  cublas=''
  ! echo '#include <cublasLt.h>' | "$nvcc" -E -x cu - > /dev/null 2>&1 || return 0
  find_in_python cublasLt cublasLt.h nvidia.cu13 nvidia.cublas || return 0
  cublas="-DCMAKE_CUDA_FLAGS=-I$work/cublasLt/include -L$work/cublasLt/lib"
  echo "$program: cuBLASLt is Python's: $folder"
}

# Libraries in DEPS are found at run time by RPATH: unlike LD_LIBRARY_PATH no other program sees it,
# and unlike RUNPATH it serves the libraries' own libraries too.
build() {
  set -- -S "$root" -B "$BUILD" -DCMAKE_BUILD_TYPE=Release -DMAEBENCH_CUDA=ON \
    -DMAEBENCH_CUDA_ARCHITECTURES="$(architectures)"
  if [ "$DEPS" ]; then
    case $DEPS in /*) ;; *) DEPS=$PWD/$DEPS ;; esac
    unpack_deps
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
  command -v make > /dev/null || set -- "$@" -G Ninja
  use_nccl_of_python
  use_cublas_of_python
  [ -z "$cublas" ] ||
    set -- "$@" "$cublas" -DCUDA_cublasLt_LIBRARY="$work/cublasLt/lib/libcublasLt.so"
  # Files that were copied anew have new times: what is built is told by what they hold.
  sources=$(hash_of_sources "$@")
  if [ -x "$BUILD/bin/mae" ] && [ "$(cat "$BUILD/gpu.sources" 2> /dev/null)" = "$sources" ]; then
    echo "built in $BUILD"
    return
  fi
  echo "building into $BUILD (log: $work/build.log)"
  {
    $cmake "$@" && $cmake --build "$BUILD" --target gpu_programs -j "${JOBS:-$(nproc)}"
  } > "$work/build.log" 2>&1 || {
    grep -n -i -A 3 'error' "$work/build.log" | head -40
    tail -20 "$work/build.log"
    echo "$program: it does not build" >&2
    exit 1
  }
  echo "$sources" > "$BUILD/gpu.sources"
}

gpu_prepare() {
  mkdir -p "$work" || exit 2
  if [ "$FAKE" ]; then
    NVCC_FOLDER=''
    MAE=$BUILD/tests/mae_simt CASES=$BUILD/tests/simt_cases
    MODEL=$BUILD/tests/gpu_model_check_fake PARITY=$BUILD/tests/parity_tool_fake
    ONE_RANK=$BUILD/tests/gpu_one_rank_fake
    [ -x "$MAE" ] || refuse "$MAE is not there: --fake takes a finished build folder"
    export SIMT_DEVICES=2 SIMT_GUARD=0
  else
    require_gpu
    build
    MAE=$BUILD/bin/mae CASES=$BUILD/tests/kernel_cases
    MODEL=$BUILD/tests/gpu_model_check PARITY=$BUILD/tests/parity_tool
    ONE_RANK=$BUILD/tests/gpu_one_rank
  fi
  DEVICE=cuda:0 RUN=$work/run CACHE=$work/cache
  export FAKE DEVICE MAE CASES MODEL PARITY ONE_RANK RUN CACHE NVCC_FOLDER
}

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

# Sets PRECISIONS and GPUS, and what the facts say; ends where no GPU can be used.
gpu_probe() {
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
  export PRECISIONS GPUS
}

facts() {
  printf '# device: %s, %d of them; %s; %s\n' "$device" "$GPUS" "${features%%;*}" "${driver:--}"
  printf '# libraries: %s\n' "$libraries"
  export COMMIT="${COMMIT:-$(git -C "$root" describe --always --dirty --abbrev=12 2> /dev/null)}"
  printf '# commit: %s; %s\n' "${COMMIT:-unknown}" "$(date -u +%Y-%m-%dT%H:%MZ)"
}

# The device's name as results' files begin with it.
device_stem() {
  echo "$device" | tr '[:upper:]' '[:lower:]' | tr -cs '[:alnum:]' - | sed 's/-$//'
}
