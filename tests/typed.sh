#!/bin/sh
# usage: typed.sh DIRECTORY (of the built programs)
# clients/typed, built by CMake against a fresh installation, and run.
set -eu
unset MAKEFLAGS MFLAGS MAKELEVEL DESTDIR FORCE || true
out=$(mktemp -d "${TMPDIR:-/tmp}/villas typed.XXXXXX")
trap 'rm -rf "$out"' EXIT
{
  CARGO_TARGET_DIR="${1%/release}" make --no-print-directory install PREFIX="$out/prefix"
  cmake -S clients/typed -B "$out/build" -DCMAKE_PREFIX_PATH="$out/prefix" -DCMAKE_CXX_COMPILER="${CXX:-c++}"
  cmake --build "$out/build"
  ctest --test-dir "$out/build" --no-tests=error --output-on-failure
} >"$out/log" 2>&1 || { cat "$out/log" >&2; exit 1; }
ldd "$out/build/typed-client" | grep -qF "=> $out/prefix/" || { echo "typed: CMake took another library" >&2; exit 1; }
echo "typed: a server and three clients, built by CMake against an installation, agree"
