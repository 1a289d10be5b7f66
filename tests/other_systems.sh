#!/bin/sh
# Builds and tries the project in other systems than this one, in roots that debootstrap makes, and
# says what came out. By hand, as root; it needs debootstrap and the systems' archives.
#
#   sh tests/other_systems.sh ROOTS SYSTEM...
#
# ROOTS is a folder for the roots (1 to 2 GB each), which later calls use again. SYSTEM is a name of
# debootstrap's: trixie (Debian 13), bookworm (Debian 12), jammy (Ubuntu 22.04), noble (24.04).
# MIRROR_UBUNTU and MIRROR_DEBIAN name other archives than debootstrap's own.
#
# In each: make deps, make build without CUDA, a few fast tests, a training of forty tiny steps. A
# table says with what it was built, whether the tests passed, and the final state's hash, which
# ROOTS/SYSTEM.log tells more of. Systems with another oneDNN or compiler may have other hashes; one
# build's own never changes. Exit 0: all built and passed.
set -u
export LC_ALL=C
[ $# -ge 2 ] || {
  echo "usage: sh tests/other_systems.sh ROOTS SYSTEM..." >&2
  exit 2
}
source=$(cd "$(dirname "$0")/.." && pwd)
mkdir -p "$1" && roots=$(cd "$1" && pwd) || exit 4
shift
tests='test_plain_product|test_config|test_store|test_results|test_export|test_report_html|test_plots'
tests="$tests|optional_library|deps_choice"

# What runs inside; the lines that begin with = are the table's.
inside=$(
  cat <<'END'
set -eu
export DEBIAN_FRONTEND=noninteractive OMP_WAIT_POLICY=passive
command -v make >/dev/null || { apt-get update -q && apt-get install -q -y make; }
cd /maebench
make deps
make build TARGETS="mae harness" CUDA=OFF
targets=$(echo "$TESTS" | tr '|' '\n' | grep '^test_') || true
cmake --build build -j 2 --target fake_trainer $targets
echo "=$(. /etc/os-release && echo "$PRETTY_NAME")"
echo "=gcc $(gcc -dumpfullversion), CMake $(cmake --version | sed -n 's/^cmake version //p')"
echo "=$(build/bin/mae --version | sed -n 's/.*CPU: //p')"
ctest --test-dir build --output-on-failure -R "^($TESTS)\$" && tests="tests passed" ||
  tests="tests FAILED"
echo "=$tests"
rm -rf /tmp/run
build/bin/mae train --out /tmp/run --set data.source=shapes --set run.device=cpu \
  --set model.image_size=32 --set model.patch_size=8 --set model.encoder=32x2x2 \
  --set model.decoder=16x1x2 --set train.batch=16 --set train.warmup_epochs=0 \
  --set train.warmup_steps=4 --set train.steps=40 --set data.train_images=56 --set eval.images=4
grep -o '"libraries":"[^"]*"' /tmp/run/events.jsonl | head -n 1
echo "=$(grep -o '"state_sha256":"[0-9a-f]*"' /tmp/run/events.jsonl | tail -n 1 | cut -d '"' -f 4 | cut -c 1-16)"
END
)

make_root() {
  [ -e "$roots/$1/.made" ] && return
  script=
  case $1 in
  jammy | noble)
    components=main,universe
    mirror=${MIRROR_UBUNTU:-}
    # Where debootstrap is older than the system, the script of the one before serves.
    [ -e "/usr/share/debootstrap/scripts/$1" ] || {
      script=/usr/share/debootstrap/scripts/jammy
      mirror=${mirror:-http://archive.ubuntu.com/ubuntu} # a script comes after a mirror
    }
    ;;
  *)
    components=main
    mirror=${MIRROR_DEBIAN:-}
    ;;
  esac
  rm -rf "${roots:?}/$1"
  # shellcheck disable=SC2086 # the last two may be absent
  debootstrap --variant=minbase --components=$components "$1" "$roots/$1" $mirror $script &&
    touch "$roots/$1/.made"
}

# The files that git knows, as they are now.
copy_source() {
  rm -rf "$1/maebench" && mkdir "$1/maebench" &&
    (cd "$source" && git ls-files -z | tar --null -T - -cf -) | tar -xf - -C "$1/maebench"
}

# Mounts exist in a namespace of its own and end with it.
try() {
  make_root "$1" && copy_source "$roots/$1" && TESTS="$tests" INSIDE="$inside" unshare -m sh -c '
    mount -t proc proc "$0/proc" && mount --rbind /dev "$0/dev" &&
      cp /etc/resolv.conf "$0/etc/resolv.conf" && exec chroot "$0" /usr/bin/env -i \
      PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TESTS="$TESTS" \
      sh -c "$INSIDE"' "$roots/$1"
}

bad=0
for system in "$@"; do
  try "$system" >"$roots/$system.log" 2>&1 || echo "=FAILED" >>"$roots/$system.log"
  line=$(sed -n 's/^=//p' "$roots/$system.log" | paste -sd '|' | sed 's/|/ | /g')
  echo "$system | $line"
  case $line in *FAILED*) bad=1 ;; esac
done
exit $bad
