#!/bin/sh
# usage: deb.sh TARGET
# The Debian packages are built, then looked at by lintian. Then they are installed, used, upgraded, put beside a package of VILLASnode, and
# purged, in a fresh Debian in a chroot: a layer over TARGET/deb/chroot, which stays.
set -eu
cd "$(dirname "$0")/.."
deb=$(realpath -m "$1")/deb
fail() {
  echo "deb: $*" >&2
  exit 1
}
skip() {
  echo "deb: skipped: $*"
  exit 0
}

version=$(sed -n 's/^version = "\(.*\)"$/\1/p' Cargo.toml | head -n 1)

if [ "${2:-}" != inside ]; then
  tests/install-missing.sh dh dpkg-buildpackage lintian debootstrap || skip "what makes and looks at packages cannot be installed"
  cmake/deb.sh "$1"
  lintian --allow-root --fail-on error --suppress-tags initial-upload-closes-no-bugs "$deb"/*_"$version"-1_*.changes || fail "lintian found errors"

  # dh_makeshlibs has compared the library with the list. That is a check that can fail:
  library=$(realpath "$deb"/build/debian/libvillas-shm0/usr/lib/*/libvillas_shm.so.0)
  sed '/ shmem_version@/d' cmake/debian/libvillas-shm0.symbols >"$deb/build/fewer"
  ! (cd "$deb/build" && dpkg-gensymbols -plibvillas-shm0 -e"$library" -c4 -O/dev/null -Ifewer) >"$deb/build/log" 2>&1 ||
    fail "dpkg-gensymbols takes a function that is not listed"
  grep -q 'shmem_version@Base' "$deb/build/log" || { cat "$deb/build/log" >&2; fail "dpkg-gensymbols failed for another reason"; }
  echo "deb: lintian finds no error"

  [ "$(id -u)" = 0 ] || skip "the chroot: it needs root"
  unshare -mpf true 2>/dev/null || skip "the chroot: no permission for namespaces"
  suite=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
  mirror=$(apt-get indextargets --format '$(REPO_URI)' "Created-By: Packages" "Codename: $suite" "Component: main" 2>/dev/null | head -n 1)
  [ -n "$mirror" ] || skip "the chroot: apt has no Debian mirror for ${suite:-this system}"
  wanted="$suite $mirror gcc,g++,libc6-dev,make,cmake,pkgconf"
  if [ "$(cat "$deb/chroot/made" 2>/dev/null)" != "$wanted" ]; then
    rm -rf "$deb/chroot"
    mkdir -p "$deb/chroot/base"
    # shellcheck disable=SC2086 # three words
    set -- $wanted
    debootstrap --variant=minbase --include="$3" "$1" "$deb/chroot/base" "$2" >"$deb/chroot/log" 2>&1 || {
      tail -n 5 "$deb/chroot/log" >&2
      fail "debootstrap failed: $deb/chroot/log. Is the mirror $mirror reachable?"
    }
    echo "$wanted" >"$deb/chroot/made"
  fi
  unshare -mpf --kill-child "$0" "${deb%/deb}" inside
  exit
fi

root=$deb/chroot/root
mkdir -p "$deb/chroot/layer" "$root"
mount -t tmpfs none "$deb/chroot/layer"
mkdir "$deb/chroot/layer/upper" "$deb/chroot/layer/work"
mount -t overlay none -o "lowerdir=$deb/chroot/base,upperdir=$deb/chroot/layer/upper,workdir=$deb/chroot/layer/work" "$root" 2>/dev/null ||
  skip "the chroot: no permission for an overlay"
mount -t proc none "$root/proc"
mkdir -p "$root/dev/shm"
mount -t tmpfs none "$root/dev/shm"
mkdir -p "$root/test/new" "$root/test/old"
cp "$deb"/*.deb "$root/test/new"
cp -R cmake/consumer "$root/test"
tests/block.sh doubler.c README.md >"$root/test/doubler.c"
log=$deb/chroot/layer/log

# inside COMMAND: in the chroot, by its own shell.
inside() {
  timeout 300 env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root DEBIAN_FRONTEND=noninteractive \
    chroot "$root" sh -ec "cd /test; $1" >"$log" 2>&1 || {
    cat "$log" >&2
    fail "in the chroot failed: $1"
  }
}

# Paths of the whole system; what dpkg keeps of its own does not count.
paths() {
  (cd "$root" && find . -xdev \( -path ./test -o -path ./proc -o -path ./var/log \) -prune -o -printf '%p %l\n') |
    grep -vE '^\./(var/lib/dpkg/[a-z]+-old|var/cache/ldconfig/aux-cache) ' | sort
}

# older DEB: the same as version 0.1.9, whose library has that in its name, with a file that this version has not.
older() {
  package=$root/test/package
  rm -rf "$package"
  dpkg-deb -R "$1" "$package"
  find "$package/DEBIAN" -type f -exec sed -i "s/\b$version/0.1.9/g" {} +
  for library in "$package"/usr/lib/*/libvillas_shm.so."$version"; do
    [ -f "$library" ] || continue
    mv "$library" "${library%"$version"}0.1.9"
    ln -sfn libvillas_shm.so.0.1.9 "${library%"$version"}0"
  done
  echo "gone since" >"$(echo "$package"/usr/share/doc/*)/gone"
  dpkg-deb -b --root-owner-group "$package" "$root/test/old" >/dev/null
}

# demo CLIENT: a week to the example client and back, with the configuration of the documentation.
demo() {
  inside "cd /usr/share/doc/villas-shm
    sed 's/\"villas-shmem\"/\"$1\"/' etc/shmem.conf >/test/demo.conf
    villas-shm pipe /test/demo.conf example <examples/grid-week.dat >/test/back.dat
    villas-shm compare -e 0 examples/grid-week.dat /test/back.dat"
}

# doubles PROGRAM: the program of the README, as a node's exec program.
doubles() {
  inside "echo 'nodes = { doubler = { type = \"shmem\", name = \"doubler\", samplelen = 8, exec = [ \"./$1\" ] } }' >doubler.conf
    villas-shm pipe doubler.conf doubler <doubled-once.dat >twice.dat
    villas-shm compare -e 0 doubled-twice.dat twice.dat"
}

step() {
  echo "deb: $*"
}

# That of others: a package with the name that VILLASnode's program has.
mkdir -p "$root/test/node/DEBIAN" "$root/test/node/usr/bin"
printf '%s\n' 'Package: villas-node' 'Version: 1' 'Architecture: all' 'Maintainer: nobody <nobody@packages.invalid>' 'Description: a name' \
  >"$root/test/node/DEBIAN/control"
printf '#!/bin/sh\necho of VILLASnode\n' >"$root/test/node/usr/bin/villas-shmem"
chmod 755 "$root/test/node/usr/bin/villas-shmem"
dpkg-deb -b --root-owner-group "$root/test/node" "$root/test/node.deb" >/dev/null
for package in "$root"/test/new/*.deb; do
  older "$package"
done
for factor in once:2 twice:4; do
  awk -F'\t' -v "factor=${factor#*:}" '/^#/ {next} {printf "%s", $1; for (i = 2; i <= NF; i++) printf "\t%.17g", factor * $i; print ""}' \
    examples/grid-week.dat >"$root/test/doubled-${factor%:*}.dat"
done
ours='libvillas-shm0 libvillas-shm-dev villas-shm villas-shm-client'
[ ! -e "$deb/villas-shm-bridge_$version-1_"*.deb ] || ours="$ours villas-shm-bridge"
paths >"$deb/chroot/before"

step "an older version"
inside 'dpkg -i old/*.deb'
inside '[ "$(dpkg-query -W -f "\${Version}" libvillas-shm0)" = 0.1.9-1 ] && readlink -f /usr/lib/*/libvillas_shm.so | grep 0.1.9'
inside 'cc doubler.c -lvillas_shm -o doubler-old'
doubles doubler-old
step "upgraded"
inside 'dpkg -i new/*.deb'
inside "[ -z \"\$(dpkg --audit)\" ] && villas-shm -V | grep -F ' $version' && ! ls /usr/lib/*/libvillas_shm.so.0.1.9 /usr/share/doc/*villas*/gone"
doubles doubler-old # a program that was built before
step "programs by cc, pkg-config and CMake"
inside 'cc doubler.c -lvillas_shm -o doubler-cc && cc doubler.c $(pkg-config --cflags --libs villas_shm) -o doubler-shared
  cc doubler.c $(pkg-config --static --cflags --libs villas_shm | sed s/-lvillas_shm/-l:libvillas_shm.a/) -o doubler-static
  ! ldd doubler-static | grep villas'
for program in doubler-cc doubler-shared doubler-static; do
  doubles $program
done
inside "pkg-config --modversion villas_shm | grep -Fx '$version'"
inside 'cmake -S consumer -B build && cmake --build build && ctest --test-dir build --no-tests=error --output-on-failure'
step "the demo, the links, and no search path in what is installed"
demo villas-shmem
inside "for package in $ours; do dpkg -L \$package; done | while read -r path; do [ -e \"\$path\" ] || { echo \"\$path leads nowhere\"; exit 1; }; done"
inside '! for file in /usr/bin/villas-shm /usr/bin/villas-shm-client /usr/lib/*/libvillas_shm.so; do readelf -d $file; done | grep -E "R(UN)?PATH"'

step "beside VILLASnode, which came later, and before"
inside "dpkg -i node.deb && villas-shmem | grep VILLASnode"
demo villas-shm-client
inside "dpkg -i new/*.deb && villas-shmem | grep VILLASnode"
inside "dpkg --purge $ours && villas-shmem | grep VILLASnode"
inside "dpkg -i new/*.deb && villas-shmem | grep VILLASnode"
demo villas-shm-client
inside "dpkg --purge $ours && villas-shmem | grep VILLASnode && dpkg --purge villas-node"

step "purged"
paths | diff "$deb/chroot/before" - || fail "the packages left something behind, or took something away"
echo "deb: all passed"
