#!/bin/sh
# The libraries that the build needs, and cmake, unpacked into a folder: for a machine with a GPU
# on which nothing can be installed. Runs on a Debian machine; needs no root and installs nothing.
#
#   sh tests/gpu/unpack_deps.sh FOLDER
#
# then copy FOLDER to the other machine (its glibc must not be older than this one's), and there
#
#   make gpu-check DEPS=FOLDER
#
# Where only little may be copied at a time, FOLDER.tar.gz (55 MB, a third of the folder) made by
#
#   tar -C FOLDER -cz --exclude='*.a' --exclude=./usr/share/doc --exclude=./usr/share/man \
#     -f FOLDER.tar.gz .
#
# does as well as DEPS: it is unpacked there, into the build folder.
#
# Exit 0: unpacked; 1: a package could not be had; 2: usage; 4: not a Debian machine.
set -eu

if [ $# -ne 1 ]; then
  echo "usage: sh unpack_deps.sh FOLDER" >&2
  exit 2
fi
command -v apt-get > /dev/null && command -v dpkg > /dev/null || {
  echo "unpack_deps.sh: this system has no apt; run it on a Debian machine" >&2
  exit 4
}
packages="cmake pkgconf libdnnl-dev libjansson-dev check libsqlite3-dev libjpeg-dev libpng-dev
  libssl-dev"
mkdir -p "$1"
folder=$(cd "$1" && pwd)
mkdir -p "$folder/packages"

# What a compiler brings to every machine must be that machine's own, and programs that packages are
# installed with are not needed.
compilers='libc6|libc-|libcrypt|libgcc|libstdc|libgomp|gcc-|cpp|linux-libc'
installers='perl|libperl|debconf|dpkg|tar|gawk|mawk|procps|libproc|init-|install-info'
# shellcheck disable=SC2086
names=$(apt-cache depends --recurse --no-recommends --no-suggests --no-conflicts --no-breaks \
  --no-replaces --no-enhances $packages | grep '^[a-z]' | sort -u |
  grep -Ev "^($compilers|$installers)")
echo "unpack_deps.sh: $(echo "$names" | wc -w) packages into $folder"
cd "$folder/packages"
# shellcheck disable=SC2086
apt-get download -q $names > log 2>&1 || {
  tail -5 log >&2
  echo "unpack_deps.sh: not all could be had; is the list of packages recent (apt-get update)?" >&2
  exit 1
}
# One place for all libraries, as on a Debian machine, and no link that leaves the folder.
mkdir -p "$folder/usr/lib"
[ -e "$folder/lib" ] || ln -s usr/lib "$folder/lib"
for package in ./*.deb; do
  dpkg --fsys-tarfile "$package" | tar -x --keep-directory-symlink -C "$folder"
done
find "$folder" -type l -lname '/*' | while read -r link; do
  ln -sfn "$(realpath -sm --relative-to="$(dirname "$link")" "$folder$(readlink "$link")")" "$link"
done
rm -rf "$folder/packages"
