#!/bin/sh
# What deps.sh makes of packages that a system does not have or has too old, with an apt of our own.
#
#   sh tests/deps_choice.sh SOURCE SCRATCH
set -eu
source=$(cd "$1" && pwd)
rm -rf "$2" && mkdir -p "$2"
cd "$2"
mkdir bin

# Nothing is installed. VERSIONS holds "package version" lines, of any other package there is a 9.9.
cat >bin/dpkg <<'END'
#!/bin/sh
[ "$1" = --compare-versions ] || exit 1
[ "$(printf '%s\n%s\n' "$2" "$4" | sort -V | head -n 1)" = "$2" ] && [ "$2" != "$4" ]
END
cat >bin/apt-cache <<'END'
#!/bin/sh
version=$(sed -n "s/^$2 //p" VERSIONS)
printf '%s:\n  Installed: (none)\n  Candidate: %s\n' "$2" "${version:-9.9}"
END
cat >bin/apt-get <<'END'
#!/bin/sh
[ "$1" = update ] || echo "$*" >>INSTALLED
END
printf '#!/bin/sh\necho 0\n' >bin/id
chmod +x bin/*

# expect CODE SAID HAS HAS-NOT: with the present VERSIONS.
expect() {
  echo "apt-get:" >INSTALLED
  code=0
  PATH=$PWD/bin:$PATH sh "$source/tests/deps.sh" >said 2>&1 || code=$?
  if [ $code != "$1" ] || ! grep -qF "$2" said || ! grep -q "$3" INSTALLED ||
    grep -q "$4" INSTALLED; then
    echo "deps_choice.sh: expected $*; code $code:"
    cat VERSIONS said INSTALLED
    exit 1
  fi
}

: >VERSIONS
expect 0 "installing build-essential" libdnnl-dev nothing-else
expect 0 "missing" " file" nothing-else # which slim systems do not have, and make package needs
echo "libdnnl-dev 1.7-1" >VERSIONS
expect 0 "libdnnl-dev 1.7-1 is too old: the CPU then" libjansson-dev libdnnl-dev
echo "libdnnl-dev 2.2.4+ds-2" >VERSIONS
expect 0 "installing" libdnnl-dev nothing-else
printf 'check (none)\ngnuplot-nox (none)\n' >VERSIONS
expect 0 "no package check: the tests are not built" libjansson-dev 'check\|gnuplot'
echo "libjansson-dev (none)" >VERSIONS
expect 4 "no package libjansson-dev, which is needed" apt-get: install
echo "deps_choice.sh: all of it"
