#!/bin/sh
# usage: cmake.sh DIRECTORY (to build in)
# The project of cmake/consumer builds villas-shm as a part of itself: by make and by Ninja, by add_subdirectory and by
# FetchContent, from a copy of the sources, so that their times can be changed.
set -eu
mkdir -p "$1"
out=$(cd "$1" && pwd)/"with space"
: "${CC:=cc}" "${CXX:=c++}"
unset MAKEFLAGS MFLAGS MAKELEVEL DESTDIR LD_LIBRARY_PATH CARGO_TARGET_DIR || true
# How well it is optimised is not what is tested.
export CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16
rm -rf "$out/sources" "$out/build" "$out/installed" "$out/elsewhere"
mkdir -p "$out/sources"
tar -c --exclude=./target --exclude=./.git . | tar -x -C "$out/sources"

fail() {
  [ ! -e "$out/log" ] || cat "$out/log" >&2
  echo "cmake: $*" >&2
  exit 1
}

# configure GENERATOR OPTION...: a fresh build tree of cmake/consumer. The trees share what cargo has built.
configure() {
  generator=$1
  shift
  rm -rf "$out/build"
  cmake -G "$generator" -S "$out/sources/cmake/consumer" -B "$out/build" -DCMAKE_C_COMPILER="$CC" -DCMAKE_CXX_COMPILER="$CXX" "$@" >"$out/log" 2>&1
}

build() {
  cmake --build "$out/build" "$@" >"$out/log" 2>&1 || fail "$generator failed"
}

programs() {
  find "$out/build" -name 'exchange_c*' -type f -perm -u+x ! -path '*/CMakeFiles/*' -printf '%p %T@\n' | sort
}

# works SOURCES LIBRARIES [OPTION...]: the four programs run with the library of LIBRARIES. A second build links nothing, one after a change of the library all.
works() {
  sources=$1 libraries=$2
  shift 2
  build "$@"
  ctest --test-dir "$out/build" -C Release --no-tests=error --output-on-failure >"$out/log" 2>&1 || fail "$generator: a program failed"
  grep -q '100% tests passed, 0 tests failed out of 4' "$out/log" || fail "$generator: there are not four tests"
  for program in $(cd "$out/build" && find . -name 'exchange_c*_villas_shm' -type f); do
    ldd "$out/build/$program" | grep -qF "libvillas_shm.so.0 => $libraries/" || fail "$program has another library: $(ldd "$out/build/$program")"
  done
  programs >"$out/before"
  build "$@"
  programs | diff "$out/before" - >&2 || fail "$generator: the second build linked anew"
  ! grep -q Compiling "$out/log" || fail "$generator: the second build compiled the library anew"
  touch "$sources/src/lib.rs"
  build "$@"
  programs | diff "$out/before" - | grep -c '^>' >"$out/linked" || true
  [ "$(cat "$out/linked")" = "$(wc -l <"$out/before")" ] || fail "$generator: after a change of the library $(cat "$out/linked") programs were linked anew"
}

# refused PATTERN OPTION...
refused() {
  pattern=$1
  shift
  ! configure "Unix Makefiles" -DVILLAS_SHM_SOURCE="$out/sources" "$@" || fail "configured with $*"
  tr -s ' \n' '  ' <"$out/log" | grep -q -e "$pattern" || fail "$* does not say: $pattern"
}

echo "cmake: add_subdirectory, make"
configure "Unix Makefiles" -DVILLAS_SHM_SOURCE="$out/sources" || fail "not configured"
works "$out/sources" "$out/build/villas-shm/cargo/release"
[ ! -e "$out/sources/target" ] || fail "cargo has built in the sources"
cmake --build "$out/build" --target clean >"$out/log" 2>&1 && build || fail "not built again after make clean"

echo "cmake: FetchContent, Ninja; installed with the program"
git -C "$out/sources" init -q -b main
git -C "$out/sources" add .
git -C "$out/sources" -c user.name=test -c user.email=test@localhost commit -qm 'as it is'
configure Ninja -DFETCH="file://$(echo "$out/sources" | sed 's/ /%20/g')" -DVILLAS_SHM_CARGO_DIR="$out/cargo" -DVILLAS_SHM_INSTALL=ON \
  -DCMAKE_INSTALL_PREFIX="$out/installed" -DCMAKE_INSTALL_LIBDIR=lib || fail "not configured"
works "$out/build/_deps/villas_shm-src" "$out/cargo/release"
cmake --install "$out/build" >"$out/log" 2>&1 || fail "not installed"
[ "$(cd "$out/installed" && find . -type f | sort | tr '\n' ' ')" = "./bin/exchange_c_villas_shm ./bin/exchange_cpp_villas_shm ./lib/libvillas_shm.so.0 " ] ||
  fail "installed: $(find "$out/installed" -type f)"
mv "$out/installed" "$out/elsewhere"
for program in "$out"/elsewhere/bin/*; do
  "$program" >"$out/log" 2>&1 || fail "the installed $program failed"
  ldd "$program" | grep -qF "=> $out/elsewhere/bin/../lib/" || fail "$program has another library: $(ldd "$program")"
done

echo "cmake: Ninja Multi-Config, for a machine that is named"
host=$(rustc -vV | sed -n 's/^host: //p')
for configuration in Debug Release; do
  configure "Ninja Multi-Config" -DVILLAS_SHM_SOURCE="$out/sources" -DVILLAS_SHM_CARGO_DIR="$out/cargo" -DVILLAS_SHM_CARGO_TARGET="$host" || fail "not configured"
  build --config $configuration
  "$out/build/$configuration/exchange_c_villas_shm" >"$out/log" 2>&1 || fail "$configuration: the program failed"
  ldd "$out/build/$configuration/exchange_c_villas_shm" | grep -qF "=> $out/cargo/$host/release/" || fail "$configuration: another library"
done

echo "cmake: errors"
printf '#!/bin/sh\necho "cargo 1.84.1 (66221abde 2024-11-19)"\n' >"$out/old-cargo"
chmod +x "$out/old-cargo"
refused 'old-cargo --version says "cargo 1.84.1 (66221abde 2024-11-19)". villas-shm needs Rust 1.85 or newer.*apt-get install rustc cargo' -DVILLAS_SHM_CARGO="$out/old-cargo"
grep -q '^VILLAS_SHM_CARGO:' "$out/build/CMakeCache.txt" && fail "the next run would not look for a newer cargo"
refused 'false --version says "'  -DVILLAS_SHM_CARGO=/bin/false
echo 'set(CMAKE_FIND_USE_SYSTEM_ENVIRONMENT_PATH OFF) set(CMAKE_FIND_USE_CMAKE_SYSTEM_PATH OFF) set(ENV{HOME} /nowhere) set(ENV{CARGO_HOME} /nowhere)' | sed 's/) /)\n/g' >"$out/none.cmake"
refused 'cargo was not found. villas-shm needs Rust 1.85' -DCMAKE_PROJECT_exchange_INCLUDE="$out/none.cmake"
refused 'built for another machine (sparc64): .*-DVILLAS_SHM_CARGO_TARGET=sparc64-unknown-linux-gnu' -DCMAKE_SYSTEM_NAME=Linux -DCMAKE_SYSTEM_PROCESSOR=sparc64
echo 'set(CMAKE_SIZEOF_VOID_P 4)' >"$out/small.cmake"
refused 'for 64 bits only' -DCMAKE_PROJECT_exchange_INCLUDE="$out/small.cmake"
rm -rf "$out/build" "$out/sources" "$out/elsewhere"
echo "cmake: all passed"
