#!/bin/sh
# usage: readme-install.sh DIRECTORY (of the built programs)
# The commands and programs by which the README and docs/ install and link, word by word, in a namespace where /usr/local and /etc are
# layers that go away at the end.
set -eu
if [ "${2:-}" != inside ]; then
  [ "$(id -u)" = 0 ] && unshare -m true 2>/dev/null || {
    echo "readme-install: skipped: needs root, for a namespace of its own"
    exit 0
  }
  out=$(mktemp -d)
  trap 'rm -rf "$out"' EXIT
  unshare -m "$0" "$1" inside "$out"
  exit
fi
out=$3 root=$(pwd) built=$(cd "$1" && pwd)
unset MAKEFLAGS MFLAGS MAKELEVEL || true

fail() {
  echo "readme-install: $*" >&2
  exit 1
}

layers() {
  mount -t tmpfs none "$out" || return 1
  for directory in /usr/local /etc; do
    mkdir -p "$out/upper$directory" "$out/work$directory"
    mount -t overlay none -o "lowerdir=$directory,upperdir=$out/upper$directory,workdir=$out/work$directory" $directory || return 1
  done
}

block() { # NAME FILE
  (cd "$root" && tests/block.sh "$@")
}

# run NAME FILE: the commands of a block.
run() {
  block "$1" "$2" >"$out/commands"
  sh -e "$out/commands" >"$out/log" 2>&1 || {
    cat "$out/commands" "$out/log" >&2
    fail "block $1 of $2 failed"
  }
}

# doubles PROGRAM [ARGUMENT]: as the node's exec program, it doubles the week.
doubles() {
  list=$(printf '"%s", ' "$@")
  echo "nodes = { doubler = { type = \"shmem\", name = \"doubler\", samplelen = 8, exec = [ ${list%, } ] } }" >doubler.conf
  timeout 60 villas-shm pipe doubler.conf doubler <"$root/examples/grid-week.dat" >doubled.dat 2>log || {
    cat log >&2
    fail "$* did not go on to the end"
  }
  villas-shm compare -e 0 expected.dat doubled.dat
  rm -f doubler
}

layers 2>/dev/null || {
  echo "readme-install: skipped: no permission for an overlay"
  exit 0
}
mkdir "$out/bin" "$out/home" "$out/doubler"
command -v sudo >/dev/null || {
  printf '#!/bin/sh\nexec "$@"\n' >"$out/bin/sudo"
  chmod +x "$out/bin/sudo"
}
export PATH="$out/bin:/usr/local/bin:$PATH"
hash -r
find /usr/local | sort >"$out/before"

run install README.md
[ "$(command -v villas-shm)" = /usr/local/bin/villas-shm ] || fail "villas-shm is not found in /usr/local/bin"
ldconfig -p | grep -q 'libvillas_shm.so.0 .*/usr/local/lib/' || fail "the loader does not know the library"
(
  export HOME="$out/home"
  run install-places docs/install.md
  [ -x "$HOME/.local/bin/villas-shmem" ] && [ -e stage/usr/lib64/libvillas_shm.so ] || fail "not installed where it should be"
  rm -r stage "$HOME/.local"
)

cd "$out/doubler"
block doubler.c README.md >doubler.c
awk -F'\t' '/^#/ {next} {printf "%s", $1; for (i = 2; i <= NF; i++) printf "\t%.17g", 2 * $i; print ""}' "$root/examples/grid-week.dat" >expected.dat
run link-shared docs/install.md
doubles ./doubler
block link-static docs/install.md | while read -r line; do
  sh -ec "$line" >"$out/log" 2>&1 || fail "$line: $(cat "$out/log")"
  ! ldd doubler 2>&1 | grep villas || fail "not static: $line"
  doubles ./doubler
done
# In a home directory, with the search paths of the README.
(
  export HOME="$out/home"
  {
    echo "cd '$root'"
    block install-home README.md
    echo "cd '$out/doubler'"
    block link README.md
    echo 'ldd doubler; command -v villas-shm'
  } >"$out/home.sh"
  sh -e "$out/home.sh" >"$out/log" 2>&1 || {
    cat "$out/log" >&2
    fail "the installation into a home directory failed"
  }
  [ "$(grep -cF "$HOME/.local/" "$out/log")" -ge 2 ] || fail "another library or tool was taken: $(cat "$out/log")"
  block CMakeLists.txt docs/install.md >CMakeLists.txt
  run cmake-build docs/install.md
  ldd build/doubler | grep -qF "$HOME/.local/lib" || fail "CMake took another library"
)
doubles ./doubler
doubles build/doubler

# As a part of the project. cargo has built the library already: that it builds it is for "make test-cmake".
as_part() { # NAME FILE
  block "$@" >CMakeLists.txt
  rm -rf build
  { cmake -B build -DVILLAS_SHM_CARGO_DIR="${built%/release}" -DVILLAS_SHM_TOOL=ON -DFETCHCONTENT_SOURCE_DIR_VILLAS_SHM="$root" && cmake --build build; } >"$out/log" 2>&1 ||
    fail "block $1 of $2 failed: $(cat "$out/log")"
  ldd build/doubler | grep -qF "=> $built/libvillas_shm.so.0" || fail "CMake took another library: $(ldd build/doubler)"
  doubles build/doubler
}
ln -s "$root" villas-shm
as_part CMakeLists-subdirectory docs/install.md
as_part CMakeLists-fetch docs/install.md

cd "$root"
echo "somebody else's" >/usr/local/bin/villas-shmem
! make install >"$out/log" 2>&1 || fail "another villas-shmem was replaced"
block install-refused docs/install.md | diff - "$out/log" | grep '^[<>]' | grep -vE '^> make: \*\*\* \[.*Error 1' && fail "docs/install.md shows another message"
run uninstall docs/install.md
[ "$(cat /usr/local/bin/villas-shmem)" = "somebody else's" ] || fail "another villas-shmem was removed"
find /usr/local | sort | diff "$out/before" - >"$out/diff" || true
[ "$(grep -v '^[0-9]' "$out/diff")" = "> /usr/local/bin/villas-shmem" ] || fail "uninstall left behind: $(cat "$out/diff")"
echo "readme-install: the commands of the documents install, link, refuse and remove; programs in C doubled a week"
