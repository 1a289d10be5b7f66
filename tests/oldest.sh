#!/bin/sh
# Builds with the oldest tools that the project promises to build with, as free notebooks have them:
# CMake 3.22, gcc 11, no oneDNN, for one GPU where there is a CUDA compiler; then runs a few fast tests.
#
#   sh tests/oldest.sh BUILD
#
# CMake comes from pip, gcc 11 from apt (`sh tests/deps.sh oldest`); where one of them cannot be
# had, a line says which newer one is used instead. Exit 0: built and passed.
set -eu
build=${1:?usage: sh tests/oldest.sh BUILD}
cd "$(dirname "$0")/.."
mkdir -p "$build"

cmake=$build/tools/cmake/data/bin/cmake
[ -x "$cmake" ] || python3 -m pip install -q --target "$build/tools" 'cmake==3.22.*' ||
  cmake=$(command -v cmake)
c=gcc-11 cxx=g++-11
command -v $c >/dev/null && command -v $cxx >/dev/null || c=gcc cxx=g++
echo "oldest.sh: $("$cmake" --version | head -n 1), $($c --version | head -n 1)"

"$cmake" -S . -B "$build" -DCMAKE_C_COMPILER=$c -DCMAKE_CXX_COMPILER=$cxx -DMAEBENCH_WERROR=ON \
  -DMAEBENCH_ONEDNN=OFF -DMAEBENCH_CUDA_ARCHITECTURES=75 -DCMAKE_CUDA_HOST_COMPILER=$cxx
"$cmake" --build "$build" -j "$(nproc)" --target mae harness test_plain_product \
  test_store test_plan
"$build/bin/mae" --version | grep "plain loops"
OMP_WAIT_POLICY=passive "$(dirname "$cmake")/ctest" --test-dir "$build" --output-on-failure \
  -R '^(test_plain_product|test_store|test_plan|missing_library)$'
