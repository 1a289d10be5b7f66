#!/bin/sh
# Installs what is missing to build, test and plot, from the packages of a system with apt: Debian,
# Ubuntu and what is made of them.
#
#   tests/deps.sh [oracle] [mpi] [slurm] [fuzz] [tsan] [notebook] [oldest]
#
# oracle adds what the comparisons with PyTorch, scikit-image and Pillow need, mpi adds Open MPI,
# slurm what the test of `harness run --slurm` starts, fuzz clang, tsan (the preset) clang with its
# OpenMP, notebook what runs experiments/kaggle.ipynb outside Kaggle and Colab, oldest what
# tests/oldest.sh builds with. What the build does without is left out, with a line, where the system
# does not have it or has it too old. On a system without apt it says what to install and exits 4.
# Exit 0: everything that is needed is there.
set -eu

packages="build-essential cmake pkg-config git libdnnl-dev libjansson-dev check libsqlite3-dev
  sqlite3 libjpeg-dev libpng-dev libssl-dev libarchive-dev gnuplot-nox
  faketime file"
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
  slurm) # the test starts the daemons itself, with a configuration of its own
    packages="$packages munge slurmctld slurmd slurm-client"
    ;;
  fuzz) # clang's sanitizer runtimes are only recommended by it
    packages="$packages clang"
    recommends=""
    ;;
  tsan)
    packages="$packages clang libomp-dev"
    recommends=""
    ;;
  notebook)
    packages="$packages python3-nbclient python3-ipykernel"
    ;;
  oldest)
    packages="$packages gcc-11 g++-11 python3-pip"
    ;;
  *)
    echo "deps.sh: no group '$group'; there are oracle, mpi, slurm, fuzz, tsan, notebook," \
      "oldest" >&2
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
  jansson, SQLite 3.37 or later, libjpeg-turbo 2.1, libpng 1.6 and OpenSSL 3 (libcrypto) or later;
  all with their headers
The build does without, and says what it lacks then:
  oneDNN 2.0 or later with its C headers (oneapi/dnnl/dnnl.h), for training on the CPU
  libarchive 3.4 or later, to read images from archives; without it, from folders alone
  Check 0.15 or later, for the tests
  gnuplot 5.4 or later and the program sqlite3, for the figures; faketime, for PDFs that are the
  same each time they are drawn
  file, for make package
END
  case $groups in *oracle*) echo "  Python 3 with torch, scikit-image, Pillow and numpy" >&2 ;; esac
  case $groups in *mpi*) echo "  a library of MPI 3.0 or later with mpicc and mpirun" >&2 ;; esac
  case $groups in *slurm*) echo "  Slurm 22.05 or later with munge" >&2 ;; esac
  case $groups in *fuzz* | *tsan*) echo "  clang with its sanitizers, libFuzzer and OpenMP" >&2 ;; esac
  case $groups in *notebook*) echo "  Python 3 with nbclient and ipykernel" >&2 ;; esac
  echo "If all of this is there already, \`make build\` and \`make test\` do without this step." >&2
  exit 4
}

# What is lost without a package; false where the build needs it.
loss() {
  case $1 in
  libdnnl-dev) echo "the CPU then multiplies matrices by slow loops" ;;
  libarchive-dev) echo "images are read from folders alone" ;;
  check) echo "the tests are not built" ;;
  gnuplot-nox | sqlite3) echo "the figures are not drawn" ;;
  faketime) echo "PDFs of figures tell when they were drawn" ;;
  file) echo "make package makes no .deb" ;; # cpack asks it which files are programs
  python3-pip) echo "the newest CMake stands in for the oldest" ;;
  gcc-11 | g++-11) echo "another gcc stands in for the oldest" ;;
  munge | slurmctld | slurmd | slurm-client) echo "Slurm is not tested" ;;
  python3-nbclient | python3-ipykernel) echo "the notebook is not tested" ;;
  *) return 1 ;;
  esac
}

# The version that apt would install; empty where it knows none.
candidate() {
  LC_ALL=C apt-cache policy "$1" | sed -n 's/^ *Candidate: //p' | grep -vx '(none)' || true
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

echo "deps.sh: missing:$missing"
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
wanted=""
for package in $missing; do
  version=$(candidate "$package")
  reason="this system has no package $package"
  [ "$package" = libdnnl-dev ] && [ "$version" ] && dpkg --compare-versions "$version" lt 2.0 &&
    reason="$package $version is too old" && version=""
  if [ "$version" ]; then
    wanted="$wanted $package"
  elif lost=$(loss "$package"); then
    echo "deps.sh: $reason: $lost"
  else
    echo "deps.sh: $reason, which is needed; is its list of packages complete (universe)?" >&2
    exit 4
  fi
done
[ "$wanted" ] || exit 0
echo "deps.sh: installing$wanted"
# shellcheck disable=SC2086 # lists of words
$as_root apt-get install -q -y $recommends $wanted
