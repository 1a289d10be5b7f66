#!/bin/sh
# Installs what is missing to build, test and plot, from Debian's packages.
#
#   tests/deps.sh [oracle] [mpi] [fuzz] [tsan]
#
# oracle adds what the comparisons with PyTorch, scikit-image and Pillow need, mpi adds Open MPI,
# fuzz clang, tsan (the preset) clang with its OpenMP. On a system without apt it says what is
# missing and exits 4. Exit 0: everything is there.
set -eu

packages="build-essential cmake pkg-config git libdnnl-dev libjansson-dev check libsqlite3-dev
  sqlite3 libjpeg-dev libpng-dev libssl-dev libarchive-dev gnuplot-nox
  faketime"
groups=""
recommends="--no-install-recommends"
for group in "$@"; do
  case $group in
  oracle) # without OpenBLAS Debian's PyTorch multiplies with the reference BLAS, 20 times slower
    packages="$packages python3-torch python3-skimage python3-pil python3-numpy
      libopenblas0-pthread"
    ;;
  mpi)
    packages="$packages libopenmpi-dev openmpi-bin"
    ;;
  fuzz) # clang's sanitizer runtimes are only recommended by it
    packages="$packages clang"
    recommends=""
    ;;
  tsan)
    packages="$packages clang libomp-dev"
    recommends=""
    ;;
  *)
    echo "deps.sh: no group '$group'; there are oracle, mpi, fuzz and tsan" >&2
    exit 2
    ;;
  esac
  groups="$groups $group"
done

# Elsewhere the build tells by itself whether a library is there; only the names differ.
without_apt() {
  cat >&2 <<END
deps.sh: this system has no apt. Install with its own tools, then run make again:
  a C11 and a C++17 compiler with OpenMP, GNU make, git, pkg-config
  CMake 3.22 or later
  oneDNN 2.6 or later, libraries and C headers (oneapi/dnnl/dnnl.h)
  jansson, SQLite 3.37 or later with its command-line program, libjpeg(-turbo), libpng,
  OpenSSL 3 (libcrypto), Check 0.15 or later; all with their headers
  libarchive 3.4 or later to read images from archives; without it, from folders alone
  gnuplot 5.4 or later; faketime, for PDFs that are the same each time they are drawn
END
  case $groups in *oracle*) echo "  Python 3 with torch, scikit-image, Pillow and numpy" >&2 ;; esac
  case $groups in *mpi*) echo "  a library of MPI 3.0 or later with mpicc and mpirun" >&2 ;; esac
  case $groups in *fuzz* | *tsan*) echo "  clang with its sanitizers, libFuzzer and OpenMP" >&2 ;; esac
  echo "If all of this is there already, \`make build\` and \`make test\` do without this step." >&2
  exit 4
}

command -v apt-get >/dev/null && command -v dpkg >/dev/null || without_apt

missing=""
for package in $packages; do
  dpkg -s "$package" 2>/dev/null | grep -q '^Status: install ok installed' ||
    missing="$missing $package"
done
if [ -z "$missing" ]; then
  echo "deps.sh: every package is there"
  exit 0
fi

echo "deps.sh: installing$missing"
as_root=""
if [ "$(id -u)" -ne 0 ]; then
  if ! command -v sudo >/dev/null; then
    echo "deps.sh: not root and no sudo; as root, run: apt-get install$missing" >&2
    exit 4
  fi
  as_root="sudo"
fi
$as_root apt-get update -q
DEBIAN_FRONTEND=noninteractive
export DEBIAN_FRONTEND
# shellcheck disable=SC2086 # lists of words
$as_root apt-get install -q -y $recommends $missing
